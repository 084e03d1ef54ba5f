"""What SECURITY.md names is there, and it leaves no topic out."""

import re

import pytest

from streams import settings
from streams.core import hooks, records
from streams.core.catalogue import TOPICS as IDENTITY
from streams.kafka.topics import TOPICS
from streams.settings import Settings
from tests.supply.locks import ROOT

PAGE = (ROOT / ".github/SECURITY.md").read_text()


def test_the_readme_leads_there() -> None:
    assert "(.github/SECURITY.md)" in (ROOT / "README.md").read_text()


def test_every_topic_has_its_row() -> None:
    rows = re.findall(r"^\| `([\w.*-]+)` \|", PAGE, re.MULTILINE)
    assert rows == ["identity.*", *(topic.name for topic in TOPICS if topic.name not in IDENTITY)]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE))))
def test_the_files_it_names_exist(path: str) -> None:
    assert (ROOT / path).exists() or (ROOT / "streams" / path).exists()


def test_the_settings_it_names_exist() -> None:
    assert set(re.findall(r"HOOKLINE_\w+", PAGE)) <= {variable for variable, _, _ in settings.table()}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make (\w+)`", PAGE))))
def test_the_targets_it_names_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_limits_it_names_are_the_codes_own() -> None:
    assert f"bodies up to {records.BODY_BYTES_MAX >> 20} MiB" in PAGE
    assert f"hook records up to {hooks.RECORD_BYTES_MAX >> 10} KiB" in PAGE
    assert f"{Settings().response_bytes_max >> 10} KiB of body" in PAGE
