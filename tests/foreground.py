"""A command in the foreground, in a session of its own, which Ctrl-C reaches as a whole; on a terminal or not.

Every process that descends from it carries a mark in its environment, by which those it left behind are found.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import sys
import termios
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.cli.commands import mind_interrupts

PATIENCE_S = 60
POLL_S = 0.02
GONE_S = 10

MARK = "FOREGROUND_MARK"


class Foreground:
    """A running command. `words` is what it said on stderr so far."""

    def __init__(self, process: asyncio.subprocess.Process, mark: str) -> None:
        self.process = process
        self.words: list[str] = []
        self._mark = mark

    async def says(self, *parts: str) -> str:
        """The next line of stderr that has all these parts; lines before it are skipped."""
        assert self.process.stderr
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.process.stderr.readline()).decode():
                self.words.append(line.rstrip("\n"))
                if all(part in line for part in parts):
                    return line
        raise AssertionError(f"{parts} were never said:\n" + "\n".join(self.words))

    def press(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ctrl-C, or another signal, for the whole foreground."""
        os.killpg(self.process.pid, number)

    async def ends(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end and the rest of its words; answers the exit code."""
        assert self.process.stderr
        async with asyncio.timeout(within_s):
            rest = (await self.process.stderr.read()).decode()
            self.words += rest.splitlines()
            return await self.process.wait()

    def processes(self) -> dict[int, str]:
        """All that descend from it and still run, itself included: command lines by process id."""
        return {
            int(path.name): _command(path)
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and self._mark.encode() in _environ(path) and not _is_dead(path)
        }

    async def runs(self, part: str, count: int) -> dict[int, str]:
        """Wait until so many of its processes have `part` in their command lines; answers all of its processes."""
        async with asyncio.timeout(PATIENCE_S):
            while len([command for command in self.processes().values() if part in command]) < count:
                await asyncio.sleep(POLL_S)
        return self.processes()

    async def leaves_nothing(self) -> None:
        """Wait until no process of it is left: the kernel ends orphans a moment after their parent."""
        async with asyncio.timeout(GONE_S):
            while self.processes():
                await asyncio.sleep(POLL_S)


class Terminal:
    """The terminal of a command: what it printed there, and keys for it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._printed = bytearray()
        self._news = asyncio.Event()

    @property
    def printed(self) -> str:
        """All that was printed so far, escape codes included."""
        return self._printed.decode(errors="replace")

    def type(self, keys: bytes) -> None:
        """Press keys; `\\x03` is Ctrl-C."""
        os.write(self._descriptor, keys)

    async def shows(self, pattern: str) -> None:
        """Wait until something printed matches."""
        async with asyncio.timeout(PATIENCE_S):
            while not re.search(pattern, self.printed):
                self._news.clear()
                await self._news.wait()

    def read(self) -> None:
        """Take what is there; called by the event loop."""
        try:
            self._printed += os.read(self._descriptor, 65_536)
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._news.set()


@asynccontextmanager
async def foreground(*arguments: str, environ: Mapping[str, str], output: Path) -> AsyncIterator[Foreground]:
    """Run `python -m <arguments>` with its stdout in a file; whatever of it still runs at the end is killed."""
    with output.open("wb") as out:
        async with _started(arguments, environ, out.fileno(), mind_interrupts) as running:
            yield running


@asynccontextmanager
async def on_a_terminal(
    *arguments: str, environ: Mapping[str, str], columns: int = 80, rows: int = 24
) -> AsyncIterator[tuple[Foreground, Terminal]]:
    """As `foreground`, with stdout on a terminal that controls it; stderr is a pipe here too."""
    outer, inner = os.openpty()
    termios.tcsetwinsize(inner, (rows, columns))
    terminal, loop = Terminal(outer), asyncio.get_running_loop()
    loop.add_reader(outer, terminal.read)
    try:
        async with _started(arguments, environ, inner, partial(_control, inner)) as running:
            yield running, terminal
    finally:
        loop.remove_reader(outer)
        os.close(inner)
        os.close(outer)


@asynccontextmanager
async def _started(
    arguments: Sequence[str], environ: Mapping[str, str], stdout: int, prepare: Callable[[], None]
) -> AsyncIterator[Foreground]:
    mark = uuid.uuid4().hex
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        env={**environ, MARK: mark},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=prepare,
    )
    running = Foreground(process, mark)
    try:
        yield running
    finally:
        for pid in running.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await process.communicate()


def _control(terminal: int) -> None:
    """In the child: let the terminal's Ctrl-C reach its session."""
    mind_interrupts()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


async def until_ended(pid: int) -> None:
    """Wait for the end of a process that need not be ours, by its pidfd."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(GONE_S):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # ended meanwhile, or somebody else's
        return b""


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _is_dead(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
