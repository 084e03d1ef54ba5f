"""The jars of the local broker are the locked ones, or are not used."""

import shutil
from pathlib import Path

import pytest

from streams.core.errors import LocalBrokerFailed
from streams.kafka.broker_jars import KAFKA, fetch_jars
from streams.kafka.broker_lock import FILE, differences, read
from tests.supply.jars import POM

JARS = read(POM.with_name(FILE))


def test_every_jar_that_is_fetched_is_locked_once(jars: Path) -> None:
    assert list(differences(jars, JARS)) == []
    assert len({(jar.group, jar.artifact) for jar in JARS}) == len(JARS)
    assert all(len(jar.sha512) == 128 for jar in JARS)
    assert [jar.version for jar in JARS if jar.artifact == "kafka_2.13"] == [KAFKA]


def test_a_lock_is_written_as_it_is_read() -> None:
    assert "".join(f"{jar}\n" for jar in JARS) == POM.with_name(FILE).read_text()


def test_a_jar_that_is_changed_missing_or_added_is_named(tmp_path: Path) -> None:
    for jar in JARS[:3]:
        (tmp_path / jar.file).write_bytes(b"another jar under a known name")
    (tmp_path / JARS[1].file).unlink()
    (tmp_path / "extra.jar").touch()
    assert sorted(differences(tmp_path, JARS[:3])) == sorted(
        [
            f"{JARS[0].file} has other bytes than were locked",
            f"{JARS[1].file} is missing",
            f"{JARS[2].file} has other bytes than were locked",
            "extra.jar is not in the lock",
        ]
    )


async def test_a_repository_that_serves_other_jars_is_found_out_and_nothing_is_left(
    tmp_path: Path, jars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `mvn` that copies the jars as the real one does, all but one byte of one of them."""
    served = tmp_path / "served"
    shutil.copytree(jars, served)
    victim = next(served.glob("kafka-clients-*.jar"))
    with victim.open("r+b") as file:
        file.seek(1000)
        file.write(bytes([file.read(1)[0] ^ 1]))
    command = tmp_path / "bin" / "mvn"
    command.parent.mkdir()
    command.write_text(
        f'#!/bin/sh\nfor word; do case $word in -DoutputDirectory=*) cp {served}/* "${{word#*=}}";; esac; done\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    libs = tmp_path / "kafka" / "libs"
    with pytest.raises(LocalBrokerFailed, match=rf"not those that were locked \({victim.name} has other bytes"):
        await fetch_jars(libs, lambda _: None)
    assert list(libs.parent.iterdir()) == []
