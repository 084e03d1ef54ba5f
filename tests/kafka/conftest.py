"""The secured broker of this run, which takes four seconds to be had: one for all tests that ask for it."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.settings import Settings
from tests.conftest import PREFIXES
from tests.kafka.secured import Secured, secured_broker


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory, jars: Path) -> Iterator[Secured]:
    """A broker with TLS, SASL and ACLs; nobody has any right but the super user of its plain listener."""
    if not shutil.which("java"):
        pytest.skip("a broker with an authorizer of a test's own needs Java 17")
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        opened = secured_broker(tmp_path_factory.mktemp("secured"), jars)
        yield runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


@pytest.fixture
def plain(secured: Secured, tmp_path: Path) -> Settings:
    """Settings of the super user of the secured broker, under a prefix of the test's own."""
    return Settings(
        bootstrap_servers=secured.broker.bootstrap,
        topic_prefix=next(PREFIXES),
        topic_partitions=3,
        allow_networks=("127.0.0.0/8",),
        data_dir=str(tmp_path / "data"),
    )
