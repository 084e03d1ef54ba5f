"""`hookline` for tests, run as people run it: a process of its own, with its exit code, stdout and stderr."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson

from streams.core.records import Incoming, Outgoing
from streams.kafka import reader
from streams.kafka.publisher import publisher
from streams.settings import Settings
from tests.line import environment

Ran = subprocess.CompletedProcess[str]

PATIENCE_S = 30


def hookline(
    settings: Settings, *arguments: str, before: Sequence[str] = (), given: str = "", typed: str | None = None
) -> Ran:
    """Run a command to its end. `given` comes from a pipe, `typed` from a terminal; `before` are global options."""
    command = [sys.executable, "-m", "streams", *before, *arguments]
    if typed is None:
        return subprocess.run(command, env=environment(settings), input=given, **HOW)
    outer, inner = os.openpty()
    try:
        os.write(outer, typed.encode())
        return subprocess.run(command, env=environment(settings), stdin=inner, **HOW)
    finally:
        os.close(outer)
        os.close(inner)


HOW: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, "check": False}


def rows(ran: Ran) -> list[dict[str, Any]]:
    """The lines of JSON on stdout of a command that succeeded."""
    assert ran.returncode == 0, ran.stderr
    return [orjson.loads(line) for line in ran.stdout.splitlines()]


class Going:
    """A command that goes on until Ctrl-C."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line of stdout."""
        assert self.process.stdout
        async with asyncio.timeout(PATIENCE_S):
            return (await self.process.stdout.readline()).decode()

    async def said(self) -> str:
        """The next line of stderr."""
        assert self.process.stderr
        async with asyncio.timeout(PATIENCE_S):
            return (await self.process.stderr.readline()).decode()

    async def interrupted(self) -> tuple[int, str]:
        """Press Ctrl-C; answers the exit code and what was said after it."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr
        async with asyncio.timeout(PATIENCE_S):
            rest = await self.process.stderr.read()
            return await self.process.wait(), rest.decode()


@asynccontextmanager
async def going(settings: Settings, *arguments: str, stdout: int = PIPE) -> AsyncIterator[Going]:
    """Start a command that goes on; it is killed at the end if it has not ended by then."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", *arguments),
        env=environment(settings) | {"TERM": "xterm"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=PIPE,
        preexec_fn=mind_interrupts,
    )
    try:
        yield Going(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def mind_interrupts() -> None:
    """A shell gives what it starts in the background deaf ears for Ctrl-C, and children inherit them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def nobody() -> Iterator[Settings]:
    """Settings with a broker that does not answer: a port that is bound and not listened on, so nobody else can."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield Settings(bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}")


def publish(settings: Settings, *records: Outgoing) -> None:
    """Write records as a role or an operator's own tooling would."""
    asyncio.run(published(settings, *records))


async def published(settings: Settings, *records: Outgoing) -> None:
    """As `publish`, inside a loop."""
    async with publisher(settings) as out:
        await out.publish(records)


def read(settings: Settings, topic: str) -> list[Incoming]:
    """All that a topic holds, in the order of its partitions."""

    async def found() -> list[Incoming]:
        name = settings.topic_prefix + topic
        starts = dict.fromkeys(await reader.partitions(settings, [name]), -1)
        return [record async for record in reader.to_end(settings, starts)]

    return asyncio.run(found())
