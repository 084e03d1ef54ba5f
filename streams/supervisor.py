"""Keeps roles running as processes: starts them, starts them again when they die, and ends them all together.

Knows nothing of Kafka or HTTP: a role is a command line that logs JSON lines, says `role.ready` once it is at work,
and ends on SIGTERM.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import orjson

from streams.core.moments import iso
from streams.kafka.broker import die_with, silent

BACKOFF_S = 0.5
BACKOFF_MAX_S = 30.0
"""A role that dies is started again after half a second, then twice as long each time, up to half a minute."""

STEADY_S = 60.0
"""A role that ran this long is thought well again: its backoff starts from the beginning."""

STOP_S = 7.0
"""Longer than a sender's drain, and short enough to leave a broker its time within ten seconds of Ctrl-C.

Whoever has not ended by then is killed, which loses nothing.
"""

LINE_BYTES_MAX = 1 << 20
"""Longest log line that is passed on; a traceback with a body in it may have hundreds of kilobytes."""

FAILED = "role.failed"
PRINTED = "role.printed"
"""Events of log lines: a role's own last words, and a line that the supervisor made of what was no log line."""

SIGNALS = {number.value: number.name for number in signal.Signals}


def played(role: str) -> Sequence[str]:
    """The command line that plays a role of Hookline."""
    return (sys.executable, "-m", "streams", "run", role)


class Supervisor:
    """The roles of one line; whoever calls `start` calls `stop` too, however it went.

    `environ` and `command` say how a role is run. `say` hears of troubles and `progress` of the rest, in words for
    people; `line` gets the log lines: JSON objects, one each, whatever a role may have printed.
    """

    def __init__(
        self,
        environ: Callable[[str], Mapping[str, str]],
        say: Callable[[str], None],
        line: Callable[[bytes], None],
        command: Callable[[str], Sequence[str]] = played,
        progress: Callable[[str], None] = silent,
    ) -> None:
        self._environ = environ
        self._say = say
        self._line = line
        self._command = command
        self._progress = progress
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def start(self, *roles: str) -> None:
        """Start the roles and return when each has said that it is ready, however often it had to be started."""
        ready = {role: asyncio.Event() for role in roles}
        self._keepers += [asyncio.create_task(self._keep(role, ready[role])) for role in roles]
        await first(self.failed(), _all(ready.values()))

    async def failed(self) -> None:
        """Wait until a role cannot be kept any more and raise why: no process to be had, or `line` refuses."""
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self, within_s: float = STOP_S) -> None:
        """End every role: SIGTERM, `within_s` seconds to drain, then SIGKILL. What they say until then is passed on."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        if not self._keepers:
            return
        _, late = await asyncio.wait(self._keepers, timeout=within_s)
        if late:
            names = [role for role, process in self._processes.items() if process.returncode is None]
            self._say(f"{' and '.join(names)} did not stop within {within_s:g} s and will be killed")
            self.kill()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def kill(self) -> None:
        """End every role at once (SIGKILL), as when there is nothing left that it could do. `stop` has to follow."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def _keep(self, role: str, ready: asyncio.Event) -> None:
        """Run a role again and again. A role that cannot even start for a reason of its own keeps being tried."""
        loop, backoff, restarts = asyncio.get_running_loop(), BACKOFF_S, 0
        while True:
            began = loop.time()
            how = await self._run(role, ready)
            if self._stopping.is_set():
                return
            backoff = BACKOFF_S if loop.time() - began > STEADY_S else backoff
            restarts += 1
            self._say(f"{role} died {how}; starting it again in {backoff:g} s (restart {restarts})")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff)
                return
            backoff = min(backoff * 2, BACKOFF_MAX_S)

    async def _run(self, role: str, ready: asyncio.Event) -> str:
        """Run a role to its end; answers, in words, how it ended and what it gave as the reason."""
        process, said = await self._spawn(role), dict[str, str]()
        try:
            async for line in _lines(cast(asyncio.StreamReader, process.stdout)):
                entry = _entry(line) or _printed(role, line)
                said[entry["event"]] = why(entry)
                if entry["event"] == "role.ready":
                    ready.set()
                    self._progress(f"{role} is ready (pid {process.pid})")
                self._line(line if entry["event"] != PRINTED else orjson.dumps(entry) + b"\n")
            return _how(await process.wait(), said.get(FAILED) or said.get(PRINTED))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _spawn(self, role: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self._command(role),
            env=self._environ(role),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_BYTES_MAX,
            # Ctrl-C goes to a terminal's whole process group; the roles end when we say so.
            start_new_session=True,
            # Not SIGTERM: our broker dies with us, and a role without a broker may wait for it for ever.
            preexec_fn=partial(die_with, os.getpid(), signal.SIGKILL),
        )
        self._processes[role] = process
        if self._stopping.is_set():  # while it was being made
            process.kill()
        return process

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


def why(entry: Mapping[str, Any]) -> str:
    """The reason that a log line gives, on one line: its sentence, or the last line of its traceback."""
    text = str(entry.get("reason") or entry.get("error") or entry.get("text") or "")
    return " ".join((text if entry.get("reason") else text.strip().rpartition("\n")[2]).split())


def told() -> asyncio.Event:
    """An event that is set when somebody asks this process to end: by Ctrl-C, SIGTERM or closing its terminal.

    Only the event made last is set. Under `nohup` a closed terminal asks for nothing.
    """
    event, numbers = asyncio.Event(), [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


async def first(*works: Coroutine[Any, Any, object]) -> None:
    """Wait until one of them ends, cancel the others, let them clean up, and raise what any of them raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for error in [task.exception() for task in tasks if not task.cancelled()]:
        if error:
            raise error


async def _all(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines that say something, each with its line feed."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            line = f"a line of more than {LINE_BYTES_MAX} bytes was dropped".encode()
        if not line:
            return
        if line.strip():
            yield line.rstrip(b"\n") + b"\n"


def _entry(line: bytes) -> dict[str, Any] | None:
    """A role's log line; None when it is none."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("event"), str) else None


def _printed(role: str, line: bytes) -> dict[str, Any]:
    """What a role or its interpreter printed, as a log line."""
    now, text = iso(time.time_ns() // 1_000_000), line.decode(errors="replace").rstrip()
    return {"time": now, "level": "error", "role": role, "event": PRINTED, "text": text}


def _how(code: int, reason: str | None) -> str:
    if code < 0:
        return f"by signal {SIGNALS.get(-code, -code)}"
    return f"with exit code {code}" + (f" ({reason})" if reason else "")
