"""`hookline up` as somebody at a terminal sees it, with real roles and brokers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import NewTopic

from streams.cli.up import ROLES
from streams.core.errors import LocalBrokerFailed
from streams.kafka import admin, broker_files, clients
from streams.kafka.broker_ready import refuse_taken
from streams.kafka.topics import LOG, RETRIES
from streams.settings import LOCAL_BROKER, Settings
from tests.conftest import BrokerFactory
from tests.foreground import Foreground, foreground, until_ended
from tests.line import environment

END_S = 10
"""All that ends at Ctrl-C ends within this."""

PORT = int(LOCAL_BROKER.rpartition(":")[2])


@pytest.fixture
def local(jars: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has configured nothing but a data directory, with the jars in it."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "kafka").symlink_to(jars.parents[1])
    bare = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    return bare | {"HOOKLINE_DATA_DIR": str(data)}


@pytest.fixture
def default_port() -> None:
    """The local broker's port is free."""
    try:
        for port in (PORT, PORT + 1):
            refuse_taken(port)
    except LocalBrokerFailed:
        pytest.skip(f"somebody uses port {PORT}, the local broker's")


def roles(up: Foreground) -> dict[str, int]:
    """The roles that run, by name."""
    words = {pid: command.split() for pid, command in up.processes().items()}
    return {command[-1]: pid for pid, command in words.items() if command[-2:-1] == ["run"]}


def assert_only_json(output: Path) -> None:
    entries = [orjson.loads(line) for line in output.read_bytes().splitlines()]
    assert {entry["role"] for entry in entries} == set(ROLES)
    assert all({"time", "level", "event"} <= entry.keys() for entry in entries)


async def test_the_line_on_a_broker_that_runs_in_the_data_directory(
    local: dict[str, str], broker_factory: BrokerFactory, tmp_path: Path
) -> None:
    """It is used and outlives the line; a killed role is started again; Ctrl-C ends the rest."""
    broker = broker_factory(directory=Path(local["HOOKLINE_DATA_DIR"]))
    await broker.start()
    async with foreground("streams", "up", environ=local, output=tmp_path / "out") as up:
        await up.says("using the broker that runs in", str(broker.pid), broker.bootstrap)
        await up.says(f"export HOOKLINE_BOOTSTRAP_SERVERS={broker.bootstrap} HOOKLINE_ALLOW_NETWORKS=127.0.0.0/8,::1")
        for _ in ROLES:
            await up.says("is ready (pid ")
        await up.says(f"the line is up on {broker.bootstrap}; Ctrl-C ends it")
        assert set(roles(up)) == set(ROLES)

        await _a_second_one_is_refused(local, broker.bootstrap)

        os.kill(roles(up)["sender"], signal.SIGKILL)
        await up.says("sender died by signal SIGKILL; starting it again in 0.5 s (restart 1)")
        await up.says("sender is ready")

        up.press(signal.SIGINT)
        assert await up.ends(within_s=END_S) == 0
        await up.leaves_nothing()
    assert up.words[-1] == "stopping"
    assert not any(line.startswith("{") for line in up.words)
    assert_only_json(tmp_path / "out")
    assert broker_files.find(broker.directory) is not None
    await broker.stop()


async def _a_second_one_is_refused(environ: dict[str, str], bootstrap: str) -> None:
    """Two lines of one name on the same topics would take the partitions from each other for ever."""
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", "-q", "up"), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, words = await second.communicate()
    assert (second.returncode, output) == (4, b"")
    assert words.decode() == (
        f"hookline: another `hookline up` named {socket.gethostname()}-up runs on {bootstrap} already: "
        "stop it, or give this one a name with HOOKLINE_INSTANCE\n"
    )


async def test_roles_that_cannot_start_are_tried_again_until_they_can_and_die_with_the_supervisor(
    settings: Settings, tmp_path: Path
) -> None:
    """As when somebody made a topic with another number of partitions than its siblings have."""
    await make(settings, RETRIES, 3)
    await make(settings, LOG, 4)
    async with foreground("streams", "up", environ=environment(settings), output=tmp_path / "out") as up:
        words = await up.says("sender died with exit code 1 (the topics do not fit: ")
        assert words.endswith("); starting it again in 0.5 s (restart 1)\n")
        async with clients.admin(settings) as client:
            await client.delete_topics([settings.topic_prefix + LOG])
        await admin.apply(settings)
        await up.says(f"the line is up on {settings.bootstrap}")

        found = roles(up)
        assert set(found) == set(ROLES)
        up.process.kill()
        await asyncio.gather(*map(until_ended, found.values()))
        await up.leaves_nothing()


async def make(settings: Settings, topic: str, partitions: int) -> None:
    async with clients.admin(settings) as client:
        await client.create_topics([NewTopic(settings.topic_prefix + topic, partitions, 1)])


@pytest.mark.usefixtures("default_port")
async def test_a_local_broker_that_dies_by_itself_ends_the_line_with_a_sentence(
    local: dict[str, str], tmp_path: Path
) -> None:
    async with foreground("streams", "up", environ=local, output=tmp_path / "out") as up:
        await up.says(f"starting the broker on {LOCAL_BROKER}, data in {local['HOOKLINE_DATA_DIR']}")
        await up.runs("streams run", len(ROLES))
        broker = broker_files.find(Path(local["HOOKLINE_DATA_DIR"]))
        assert broker is not None
        os.kill(broker.pid, signal.SIGKILL)
        assert await up.ends(within_s=END_S) == 1
        await up.leaves_nothing()
    assert up.words[-1].startswith("hookline: the broker ended by itself: look into ")
    assert not [words for words in up.words if "Traceback" in words or words.startswith("{")]


@pytest.mark.usefixtures("default_port")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_it_ends_while_its_broker_starts(local: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    async with foreground("streams", "up", environ=local, output=tmp_path / "out") as up:
        await up.says("starting the broker on")
        up.press(number)
        assert await up.ends(within_s=END_S) == 0
        await up.leaves_nothing()
    assert up.words[1:] == ["stopping"]
    assert (tmp_path / "out").read_bytes() == b""
    for port in (PORT, PORT + 1):
        refuse_taken(port)
