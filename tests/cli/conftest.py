"""Topics for the tests of one file, which keep apart by hook ids and keys: making them takes half a second."""

import asyncio
from pathlib import Path

import pytest

from streams.kafka import admin
from streams.settings import Settings
from tests.conftest import PREFIXES


@pytest.fixture(scope="module")
def applied(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings under a prefix of this file's own, with all topics made."""
    directory: Path = tmp_path_factory.mktemp("data")
    settings = Settings(
        bootstrap_servers=bootstrap,
        topic_prefix=next(PREFIXES),
        topic_partitions=3,
        allow_networks=("127.0.0.0/8", "::1/128"),
        data_dir=str(directory),
    )
    asyncio.run(admin.apply(settings))
    return settings
