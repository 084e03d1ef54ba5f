"""The supervisor, with real processes that are small enough to be read here."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from streams import supervisor as module
from streams.supervisor import Supervisor, first
from tests.foreground import until_ended

PATIENCE_S = 20

READY = """
import json, os, signal, sys
def log(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)
def end(*_):
    log("role.stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
log("role.ready", role=os.environ["ROLE"], pid=os.getpid(), session=os.getsid(0))
"""
"""A role that is ready at once and ends when it is told, up to the point where it begins to wait."""

WAIT = "\nwhile True:\n    signal.pause()\n"

STEADY = READY + WAIT


class Roles:
    """A supervisor of scripts by the names of their roles, and what was heard of it."""

    def __init__(self, **scripts: str) -> None:
        self.names = tuple(scripts)
        self.progress: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self._says: asyncio.Queue[str] = asyncio.Queue()
        self._news = asyncio.Event()
        self.supervisor = Supervisor(
            lambda role: os.environ | {"ROLE": role},
            self._says.put_nowait,
            self._take,
            lambda role: (sys.executable, "-c", scripts[role]),
            self.progress.append,
        )

    async def start(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.supervisor.start(*self.names)

    async def said(self) -> str:
        """The next of its words."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._says.get()

    async def logged(self, event: str, count: int) -> None:
        """Wait until there are so many log lines of one kind."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.of(event)) < count:
                self._news.clear()
                await self._news.wait()

    def of(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one kind."""
        return [line for line in self.lines if line["event"] == event]

    def pids(self, *roles: str) -> list[int]:
        """Of these that were ever ready, in order."""
        return [line["pid"] for line in self.of("role.ready") if line["role"] in roles]

    def _take(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.lines.append(orjson.loads(line))
        self._news.set()


@asynccontextmanager
async def ready(**scripts: str) -> AsyncIterator[Roles]:
    """Roles that have all said that they are ready; stopped at the end."""
    roles = Roles(**scripts)
    try:
        await roles.start()
        yield roles
    finally:
        await roles.supervisor.stop()


@asynccontextmanager
async def starting(**scripts: str) -> AsyncIterator[Roles]:
    """Roles that are being started and may never be ready; stopped at the end."""
    roles = Roles(**scripts)
    start = asyncio.create_task(roles.start())
    try:
        yield roles
    finally:
        start.cancel()
        await asyncio.wait([start])
        await roles.supervisor.stop()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_start_returns_when_every_role_is_ready_and_stop_ends_them_all() -> None:
    async with ready(one=STEADY, two=STEADY) as roles:
        pids = roles.pids("one", "two")
        assert sorted(words.split()[0] for words in roles.progress) == ["one", "two"]
        assert {words.split("pid ")[1] for words in roles.progress} == {f"{pid})" for pid in pids}
        assert all(lives(pid) for pid in pids)
    assert not any(lives(pid) for pid in pids)
    assert len(roles.of("role.stopped")) == 2


async def test_a_role_that_is_killed_is_started_again_and_that_is_told_in_words() -> None:
    async with ready(sender=STEADY, router=STEADY) as roles:
        for restart, pause in ((1, "0.5"), (2, "1")):
            os.kill(roles.pids("sender")[-1], signal.SIGKILL)
            assert await roles.said() == (
                f"sender died by signal SIGKILL; starting it again in {pause} s (restart {restart})"
            )
            await roles.logged("role.ready", 2 + restart)
        assert len(roles.pids("sender")) == 3
        assert len(roles.pids("router")) == 1


async def test_a_role_that_cannot_start_is_tried_again_after_pauses_that_double() -> None:
    """Said with its own reason; and `stop` does not wait for the pause to pass."""
    script = 'import sys; print(\'{"event": "role.failed", "reason": "no broker:\\\\n  answers"}\'); sys.exit(3)'
    async with starting(router=script) as roles:
        for restart, pause in ((1, "0.5"), (2, "1"), (3, "2")):
            assert await roles.said() == (
                f"router died with exit code 3 (no broker: answers); starting it again in {pause} s (restart {restart})"
            )
        assert len(roles.of("role.failed")) == 3
        async with asyncio.timeout(1.5):
            await roles.supervisor.stop()


async def test_the_pauses_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_S", 0.01)
    monkeypatch.setattr(module, "BACKOFF_MAX_S", 0.03)
    async with starting(router="") as roles:
        words = [await roles.said() for _ in range(4)]
    assert [part.split("again in ")[1].split()[0] for part in words] == ["0.01", "0.02", "0.03", "0.03"]


async def test_a_role_that_ran_for_long_is_thought_well_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_S", 0.01)
    monkeypatch.setattr(module, "STEADY_S", 0)
    async with starting(router="") as roles:
        words = [await roles.said() for _ in range(3)]
    assert words == [
        f"router died with exit code 0; starting it again in 0.01 s (restart {count})" for count in (1, 2, 3)
    ]


FAILED = """print('{"event": "role.failed", "level": "error", "error": "Traceback:\\\\n  File x\\\\nKeyError: 1"}')\n"""


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("import sys; sys.exit(4)", "with exit code 4"),
        ("raise ValueError('a setting')", "with exit code 1 (ValueError: a setting)"),
        (FAILED + "import os; os._exit(1)", "with exit code 1 (KeyError: 1)"),
        (FAILED + "raise SystemExit('a thread died')", "with exit code 1 (KeyError: 1)"),
        ("import os; print('well', flush=True); os.kill(os.getpid(), 9)", "by signal SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "by signal 40"),
    ],
)
async def test_the_reason_is_the_roles_own_last_word(script: str, how: str) -> None:
    async with starting(router=script) as roles:
        assert (await roles.said()).startswith(f"router died {how}; starting it again")


async def test_whatever_a_role_prints_is_passed_on_as_lines_of_json() -> None:
    """Its own lines as they are; an interpreter's words, blank lines, huge lines and half lines as JSON too."""
    script = READY + (
        f"print('x' * {module.LINE_BYTES_MAX + 1})\n"
        "print('one\\n\\n[2]\\n3\\n{}', flush=True)\n"
        "print('on stderr \\udcff', file=sys.stderr, flush=True)\n"
        "log('long', text='x' * 500_000)\n"
        "sys.stdout.write('half a line'); sys.stdout.flush()\n"
        "os._exit(0)"
    )
    async with ready(router=script) as roles:
        await roles.said()
    assert [line["text"] for line in roles.of("role.printed")] == [
        f"a line of more than {module.LINE_BYTES_MAX} bytes was dropped", "one", "[2]", "3", "{}",
        "on stderr \\udcff", "half a line",
    ]  # fmt: skip
    assert [len(line["text"]) for line in roles.of("long")] == [500_000]
    printed = roles.of("role.printed")[0]
    assert (printed["level"], printed["role"], printed["time"][-1]) == ("error", "router", "Z")


async def test_what_a_role_says_while_it_drains_is_passed_on_and_never_blocks_it() -> None:
    script = READY.replace('log("role.stopped")', 'for n in range(5000): log("drained", text="x" * 100)') + WAIT
    async with ready(sender=script) as roles:
        pass
    assert len(roles.of("drained")) == 5000


async def test_a_role_that_does_not_stop_in_time_is_killed_and_named() -> None:
    deaf = READY.replace("signal.signal(signal.SIGTERM, end)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)") + WAIT
    async with ready(router=STEADY, health=deaf) as roles:
        await roles.supervisor.stop(within_s=0.5)
        assert await roles.said() == "health did not stop within 0.5 s and will be killed"
        assert not any(lives(pid) for pid in roles.pids("router", "health"))


async def test_a_role_is_ended_while_it_starts() -> None:
    script = READY.replace("role.ready", "role.begun") + WAIT
    async with starting(router=script) as roles:
        await roles.logged("role.begun", 1)
    (begun,) = roles.of("role.begun")
    assert not lives(begun["pid"])


async def test_killed_roles_are_not_started_again() -> None:
    async with ready(router=STEADY) as roles:
        roles.supervisor.kill()
    assert not lives(roles.pids("router")[0])
    assert len(roles.of("role.ready")) == 1


async def test_when_nobody_takes_the_lines_any_more_that_is_raised_and_the_role_ends() -> None:
    """As in `hookline up | head`: a role whose lines nobody reads would block sooner or later."""
    pids: list[int] = []

    def refuse_the_second(line: bytes) -> None:
        if pids:
            raise BrokenPipeError
        pids.append(orjson.loads(line)["pid"])

    script = READY + 'signal.signal(signal.SIGUSR1, lambda *_: log("second"))' + WAIT
    roles = Supervisor(
        lambda role: os.environ | {"ROLE": role}, print, refuse_the_second, lambda _: (sys.executable, "-c", script)
    )
    try:
        await roles.start("router")
        os.kill(pids[0], signal.SIGUSR1)
        with pytest.raises(BrokenPipeError):
            await roles.failed()
    finally:
        await roles.stop()
    assert not lives(pids[0])


async def test_ctrl_c_in_the_terminal_does_not_reach_a_role() -> None:
    async with ready(router=STEADY) as roles:
        (line,) = roles.of("role.ready")
        assert line["session"] == line["pid"] != os.getsid(0)


SUPERVISING = f"""
import asyncio, os, sys
from streams.supervisor import Supervisor
async def main():
    def line(data): os.write(1, data)
    roles = Supervisor(lambda _: os.environ, print, line, lambda _: (sys.executable, "-c", {STEADY!r}))
    await roles.start("one", "two")
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_roles_die_with_their_supervisor_however_it_dies() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISING), env=os.environ | {"ROLE": "any"}, stdout=subprocess.PIPE
    )
    assert process.stdout
    async with asyncio.timeout(PATIENCE_S):
        pids = [orjson.loads(await process.stdout.readline())["pid"] for _ in range(2)]
        process.kill()
        await asyncio.gather(*map(until_ended, pids), process.communicate())


async def test_first_ends_the_others_and_waits_for_what_they_clean_up() -> None:
    cleaned = []

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("other")

    await first(asyncio.sleep(0), other())
    assert cleaned == ["other"]


async def test_first_raises_what_any_of_them_raised_even_while_it_cleaned_up() -> None:
    async def fails() -> None:
        raise ValueError("it")

    async def cleans_up_badly() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("mine")

    with pytest.raises(ValueError, match="it"):
        await first(asyncio.Event().wait(), fails())
    with pytest.raises(KeyError):
        await first(asyncio.sleep(0), cleans_up_badly())


def test_under_nohup_a_closed_terminal_asks_for_nothing() -> None:
    script = """
import asyncio, signal
from streams.supervisor import told
async def main():
    told()
    for name in ("SIGHUP", "SIGINT", "SIGTERM"):
        handler = signal.getsignal(getattr(signal, name))
        print(name, {signal.SIG_IGN: "ignored", signal.SIG_DFL: "deadly"}.get(handler, "heard"))
asyncio.run(main())
"""
    for start, heard in (([], "heard"), (["nohup"], "ignored")):
        ran = subprocess.run([*start, sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert ran.stdout == f"SIGHUP {heard}\nSIGINT heard\nSIGTERM heard\n"
