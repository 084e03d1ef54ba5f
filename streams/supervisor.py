"""Keeps roles running as processes: starts them, starts them again when they die, and ends them all together.

Knows nothing of topics or HTTP: a role is a command line that logs JSON lines and says `role.ready`.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import orjson

from streams.kafka.broker import die_with

BACKOFF_S = 0.5
BACKOFF_MAX_S = 30.0
"""A role that dies is started again after half a second, then twice as long each time, up to half a minute."""

STEADY_S = 60.0
"""A role that ran this long is thought well again: its backoff starts from the beginning."""

STOP_S = 8.0
"""Longer than a sender's drain; whoever has not ended by then is killed, which loses nothing."""


LINE_BYTES_MAX = 1024 * 1024
"""Longest log line; a traceback is the longest there is, and far shorter."""


class Supervisor:
    """The roles of one line. `environ` gives a role's environment, `say` hears words for people, `line` log lines."""

    def __init__(
        self,
        environ: Callable[[str], Mapping[str, str]],
        say: Callable[[str], None],
        line: Callable[[bytes], None],
    ) -> None:
        self._environ = environ
        self._say = say
        self._line = line
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self.restarts: dict[str, int] = {}

    async def start(self, *roles: str) -> None:
        """Start the roles and return when each has said that it is ready."""
        ready = {role: asyncio.Event() for role in roles}
        self._tasks += [asyncio.create_task(self._keep(role, ready[role])) for role in roles]
        waiting: asyncio.Future[Any] = asyncio.gather(*(event.wait() for event in ready.values()))
        await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                waiting.cancel()
                task.result()
        await waiting

    async def watch(self) -> None:
        """Raise what ended the keeping of a role, such as output that nobody takes; else never return."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """End every role: SIGTERM, at most STOP_S to drain, then SIGKILL. Log lines are passed on until the end."""
        self._stop.set()
        for process in self._processes.values():
            _send(process, signal.SIGTERM)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for process in self._processes.values():
            _send(process, signal.SIGKILL)
            await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, role: str, ready: asyncio.Event) -> None:
        """Run a role again and again. A role that cannot even start for a reason of its own keeps being tried."""
        loop, backoff = asyncio.get_running_loop(), BACKOFF_S
        while True:
            began = loop.time()
            code = await self._run(role, ready)
            if self._stop.is_set():
                return
            backoff = BACKOFF_S if loop.time() - began > STEADY_S else backoff
            self.restarts[role] = self.restarts.get(role, 0) + 1
            self._say(f"{role} died {_how(code)}; starting it again in {backoff:g} s (restart {self.restarts[role]})")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff)
                return
            backoff = min(backoff * 2, BACKOFF_MAX_S)

    async def _run(self, role: str, ready: asyncio.Event) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams", "run", role),
            env=self._environ(role),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            # Ctrl-C goes to a terminal's whole process group; the roles end when we say so.
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid(), signal.SIGTERM),
        )
        self._processes[role] = process
        async for line in cast(asyncio.StreamReader, process.stdout):
            if not ready.is_set() and _event(line) == "role.ready":
                ready.set()
                self._say(f"{role} is ready (pid {process.pid})")
            self._line(line)
        return await process.wait()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _event(line: bytes) -> str | None:
    try:
        found: str | None = orjson.loads(line)["event"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return found


def _how(code: int) -> str:
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
