"""`hookline up`: the roles are kept running, what happens to them is said, and Ctrl-C ends all of it."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import orjson
import pytest

from streams.settings import Settings
from tests.line import environment
from tests.test_demo import descendants


async def words(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """The first line on stderr that matches."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while True:
            line = (await process.stderr.readline()).decode()
            assert line, f"it ended before it said {pattern!r}"
            if found := re.search(pattern, line):
                return found


async def start(settings: Settings, directory: Path) -> asyncio.subprocess.Process:
    """`hookline up` on the session's cluster, recognisable by its environment."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", "up"),
        env=environment(settings) | {"DEMO_TEST": str(directory)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_role_that_is_killed_is_started_again_and_the_end_leaves_nothing(
    settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    up = await start(settings, tmp_path)
    pid = int((await words(up, r"router is ready \(pid (\d+)\)"))[1])
    await words(up, "the line is up")
    os.kill(pid, signal.SIGKILL)
    assert await words(up, r"router died by signal SIGKILL; starting it again in 0.5 s \(restart 1\)")
    os.killpg(up.pid, number)
    async with asyncio.timeout(20):
        logged, _ = await up.communicate()
    assert up.returncode == 0
    assert {orjson.loads(line)["role"] for line in logged.splitlines()} == {"router", "sender", "health"}
    assert descendants(tmp_path) == []
