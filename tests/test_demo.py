"""`make demo`: the whole line by itself, ended by time or by Ctrl-C, with nothing left behind."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from streams.kafka import admin
from streams.settings import Settings
from tests.line import environment

SUMMARY = re.compile(
    r"events (\d+), deliveries (\d+), delivered (\d+), retries (\d+), exhausted (\d+), unexplained (\d+)"
)


async def test_it_ends_by_itself_with_every_delivery_explained(jars: Path, tmp_path: Path) -> None:
    demo = await start(jars, tmp_path, "--seconds", "4")
    said, words = await demo.communicate()
    found = SUMMARY.fullmatch(said.decode().splitlines()[-1])
    assert demo.returncode == 0, words.decode()
    assert found
    events, deliveries, delivered, retries, exhausted, unexplained = map(int, found.groups())
    assert events > 5
    assert (deliveries, delivered, exhausted) == (3 * events, 2 * events, events)
    assert (retries, unexplained) == (5 * events, 0)
    assert b"\x1b" not in said
    assert descendants(tmp_path) == []


@pytest.mark.parametrize("after", [b"starting the broker", b"first delivery"])
async def test_ctrl_c_ends_all_that_it_started(jars: Path, tmp_path: Path, after: bytes) -> None:
    """As a terminal does it: the signal goes to every process of the foreground group."""
    demo = await start(jars, tmp_path)
    await said(demo, after)
    os.killpg(demo.pid, signal.SIGINT)
    async with asyncio.timeout(20):
        await demo.communicate()
    assert demo.returncode == 0
    assert descendants(tmp_path) == []


async def test_what_it_started_dies_with_it(jars: Path, tmp_path: Path) -> None:
    demo = await start(jars, tmp_path)
    await said(demo, b"first delivery")
    demo.kill()
    await demo.communicate()
    async with asyncio.timeout(20):
        while descendants(tmp_path):
            await asyncio.sleep(0.05)


async def test_on_a_configured_cluster_it_leaves_no_topic_behind(settings: Settings, tmp_path: Path) -> None:
    demo = await start(tmp_path, tmp_path, "--seconds", "2", **environment(settings))
    said, words = await demo.communicate()
    assert demo.returncode == 0, words.decode()
    assert said.decode().splitlines()[-1].endswith("unexplained 0")
    assert not [name for name in await admin.topic_names(settings) if name.startswith("demo-")]


async def start(jars: Path, directory: Path, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
    """The demo in a process group of its own, recognisable by its environment, with the jars that are there."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    marked = {"HOOKLINE_DATA_DIR": str(jars.parents[2])} | environ | {"DEMO_TEST": str(directory)}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.demo", *arguments),
        env=base | marked,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def said(process: asyncio.subprocess.Process, words: bytes) -> None:
    """Wait until it has said this on stderr."""
    assert process.stderr is not None
    async with asyncio.timeout(90):
        while words not in (line := await process.stderr.readline()):
            assert line, "it ended before it said so"


def descendants(directory: Path) -> list[int]:
    """Processes that carry the mark of this test, whoever their parent is by now."""
    mark, found = f"DEMO_TEST={directory}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
