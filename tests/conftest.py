"""A real broker for every test that wants one, one for the whole run, and settings that keep tests apart.

Which broker: the one named by HOOKLINE_BOOTSTRAP_SERVERS; else a container, if a Docker engine answers; else a local
Apache Kafka, if there are Java and Maven. Nothing stands in for a broker.
"""

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from streams.kafka import clients
from streams.kafka.broker import LocalBroker, silent
from streams.kafka.broker_jars import fetch_jars, jars_path
from streams.kafka.broker_ready import free_port, until_answers
from streams.settings import Settings

RUN = uuid.uuid4().hex[:8]
PREFIXES = (f"t{RUN}{number:03x}." for number in count())
JARS = jars_path(Path(os.environ.get("HOOKLINE_DATA_DIR") or Path(__file__).parents[1] / ".cache"))
READY_S = 120

BrokerFactory = Callable[..., LocalBroker]


@pytest.fixture(scope="session")
def jars() -> Path:
    """Where the jars of the local broker are; fetched when they are not, and kept from run to run."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(fetch_jars(JARS, silent))
    return JARS


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of this run's broker."""
    # A runner of its own, which leaves the event loops of the asynchronous tests alone.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        if configured := os.environ.get("HOOKLINE_BOOTSTRAP_SERVERS"):
            yield configured
            runner.run(_delete_topics(configured))
        elif _engine_answers():
            with _container() as address:
                runner.run(asyncio.wait_for(until_answers(address), READY_S))
                yield address
        elif shutil.which("java") and shutil.which("mvn"):
            broker = LocalBroker(tmp_path_factory.mktemp("broker"), jars=JARS, port=free_port())
            runner.run(broker.start())
            yield broker.bootstrap
            runner.run(broker.stop())
        else:
            pytest.fail("broker tests need HOOKLINE_BOOTSTRAP_SERVERS, or a Docker engine, or Java 17 and Maven")


@pytest.fixture
def settings(bootstrap: str, tmp_path: Path) -> Settings:
    """Settings of one test: topics of its own, few partitions, and only loopback for hooks."""
    return Settings(
        bootstrap_servers=bootstrap,
        topic_prefix=next(PREFIXES),
        topic_partitions=3,
        allow_networks=("127.0.0.0/8", "::1/128"),
        data_dir=str(tmp_path / "data"),
    )


@pytest.fixture
def broker_factory(tmp_path: Path) -> Iterator[BrokerFactory]:
    """Makes local brokers of a test's own, to kill and restart; not started. Each ends with the test.

    `broker_factory()` or `broker_factory(directory=..., port=..., jars=...)`.
    """
    if not (shutil.which("java") and shutil.which("mvn")):
        pytest.skip("a broker to kill needs Java 17 and Maven")
    made: list[LocalBroker] = []

    def make(directory: Path = tmp_path / "broker", port: int = 0, jars: Path = JARS) -> LocalBroker:
        made.append(LocalBroker(directory, jars=jars, port=port or free_port()))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


def _engine_answers() -> bool:
    from tests.containers import engine_answers  # only here: importing a Docker client takes a third of a second

    return engine_answers()


@contextmanager
def _container() -> Iterator[str]:
    from tests.containers import KafkaContainer

    port = free_port()
    with KafkaContainer(port, port + 1) as container:
        yield container.bootstrap


async def _delete_topics(bootstrap: str) -> None:
    async with clients.admin(Settings(bootstrap_servers=bootstrap)) as admin:
        ours = [topic for topic in await admin.list_topics() if topic.startswith(f"t{RUN}")]
        if ours:
            await admin.delete_topics(ours)
