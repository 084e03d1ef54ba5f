"""The demo as somebody sees it who runs `make demo`: in a pipe, on a terminal, and however it ends."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from streams.kafka import admin
from streams.kafka.broker_ready import refuse_taken
from streams.settings import Settings
from tests.cli.commands import nobody
from tests.foreground import Foreground, foreground, on_a_terminal, until_ended
from tests.line import environment

END_S = 10
"""All that ends at Ctrl-C ends within this."""

SUMMARY = re.compile(
    r"events (\d+), deliveries (\d+), delivered (\d+), retries (\d+), exhausted (\d+), waiting (\d+), unexplained (\d+)"
)
NOTHING = "events 0, deliveries 0, delivered 0, retries 0, exhausted 0, waiting 0, unexplained 0"


@pytest.fixture
def bare(jars: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with nothing prepared but the jars, and a folder of its own for temporary files."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    (tmp_path / "tmp").mkdir()
    return inherited | {"HOOKLINE_DATA_DIR": str(jars.parents[2]), "TMPDIR": str(tmp_path / "tmp")}


def summary(text: str) -> tuple[int, ...]:
    """The figures of the last line, which must be the summary; escape codes do not count."""
    found = SUMMARY.fullmatch(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.splitlines()[-1]))
    assert found, text
    return tuple(map(int, found.groups()))


def assert_forgotten(demo: Foreground, environ: dict[str, str]) -> None:
    """No port of its broker is taken, no temporary file is left."""
    port = int(re.findall(r"starting the broker on 127\.0\.0\.1:(\d+)", "\n".join(demo.words))[0])
    for number in (port, port + 1):
        refuse_taken(number)
    assert list(Path(environ["TMPDIR"]).iterdir()) == []


async def test_in_a_pipe_it_prints_plain_lines_and_accounts_for_every_delivery(
    bare: dict[str, str], tmp_path: Path
) -> None:
    """On a machine with nothing prepared, and nothing is left of it."""
    async with foreground("streams.demo", "--seconds", "3", environ=bare, output=tmp_path / "out") as demo:
        assert await demo.ends() == 0
        await demo.leaves_nothing()
    text = (tmp_path / "out").read_text()
    assert not re.search(r"[^\x20-\x7e\n]", text)
    events, deliveries, delivered, retries, exhausted, waiting, unexplained = summary(text)
    assert 1 <= events <= 13
    assert (deliveries + waiting, delivered + exhausted, unexplained) == (3 * events, deliveries, 0)
    assert events <= delivered <= 2 * events
    assert 1 <= exhausted <= retries
    for hook, status in (("healthy", "ok"), ("fails at times", "ok"), ("always fails", "error")):
        assert re.search(rf"^{hook} +{status} +\d+\.\d\d % +\d+ ", text, re.MULTILINE)
    for words in ("starting the broker", "making 12 topics", "router is ready", "sender is ready", "health is ready"):
        assert any(words in line for line in demo.words), words
    assert re.fullmatch(r"first delivery \d+\.\d s after the start", demo.words[-2])
    assert_forgotten(demo, bare)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
async def test_it_ends_while_its_broker_starts(bare: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    async with foreground("streams.demo", environ=bare, output=tmp_path / "out") as demo:
        await demo.says("starting the broker on")
        demo.press(number)
        assert await demo.ends(within_s=END_S) == 0
        await demo.leaves_nothing()
    assert (tmp_path / "out").read_text() == NOTHING + "\n"
    assert_forgotten(demo, bare)


async def test_ctrl_c_before_it_has_done_anything_is_quiet(bare: dict[str, str], tmp_path: Path) -> None:
    async with foreground("streams.demo", environ=bare, output=tmp_path / "out") as demo:
        await demo.says("Hookline demo")
        demo.press(signal.SIGINT)
        assert await demo.ends(within_s=END_S) == 0
    assert not [words for words in demo.words if "Traceback" in words]


async def test_ctrl_c_on_a_terminal_ends_it_on_your_cluster_which_it_leaves_as_it_was(settings: Settings) -> None:
    """With a view that is redrawn; the deliveries under way are seen to their end."""
    environ = environment(settings) | {"TERM": "xterm"}
    async with on_a_terminal("streams.demo", environ=environ) as (demo, terminal):
        words = await demo.says("making 12 topics, ")
        prefix = words.split()[-1].rstrip("*")
        assert prefix.startswith(settings.topic_prefix + "demo-")
        await terminal.shows("exhausted [1-9]")
        assert len([name for name in await admin.topic_names(settings) if name.startswith(prefix)]) == 12
        terminal.type(b"\x03")
        assert await demo.ends(within_s=END_S) == 0
        await demo.leaves_nothing()
        await terminal.shows(SUMMARY.pattern)
    events, deliveries, *_, waiting, unexplained = summary(terminal.printed.replace("\r", ""))
    assert (deliveries + waiting, unexplained) == (3 * events, 0)
    for shown in ("running for 0 s; Ctrl-C ends it", "waiting for the last deliveries", "ended after"):
        assert shown in terminal.printed
    assert f"export HOOKLINE_TOPIC_PREFIX={prefix}" in terminal.printed
    assert not [name for name in await admin.topic_names(settings) if name.startswith(prefix)]


async def test_its_roles_and_its_broker_die_with_it_however_it_dies(bare: dict[str, str], tmp_path: Path) -> None:
    async with foreground("streams.demo", environ=bare, output=tmp_path / "out") as demo:
        descendants = await working(demo)
        demo.process.kill()
        await asyncio.gather(*map(until_ended, descendants))
        await demo.leaves_nothing()


async def test_a_broker_that_dies_ends_it_with_a_sentence(bare: dict[str, str], tmp_path: Path) -> None:
    async with foreground("streams.demo", environ=bare, output=tmp_path / "out") as demo:
        descendants = await working(demo)
        os.kill(next(pid for pid, command in descendants.items() if "kafka.Kafka" in command), signal.SIGKILL)
        assert await demo.ends(within_s=END_S) == 1
        await demo.leaves_nothing()
    assert demo.words[-1].startswith("hookline: the broker ended by itself: ")
    assert_forgotten(demo, bare)


async def working(demo: Foreground) -> dict[int, str]:
    """Wait until the demo has started its broker and its three roles; answers all processes below it."""
    await demo.says("starting router, sender and health")
    found = await demo.runs("streams run", 3)
    return {pid: command for pid, command in found.items() if pid != demo.process.pid}


async def test_without_an_answer_from_your_cluster_it_says_so_and_starts_nothing(tmp_path: Path) -> None:
    with nobody() as settings:
        async with foreground("streams.demo", environ=environment(settings), output=tmp_path / "out") as demo:
            assert await demo.ends() == 3
    assert demo.words[-1].startswith(f"hookline: no Kafka broker answers at {settings.bootstrap}: ")
    assert (tmp_path / "out").read_text() == ""
