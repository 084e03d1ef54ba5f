"""The bill of materials is valid, whole, repeatable, and names no host."""

import json
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from streams.kafka import broker_lock
from tests.supply import locks, sbom
from tests.supply.jars import POM
from tests.supply.locks import ROOT

PINS = locks.read(ROOT / locks.LOCKS / "run.txt").pins
JARS = broker_lock.read(POM.with_name(broker_lock.FILE))


@pytest.fixture(scope="module")
def text() -> str:
    return sbom.as_json(sbom.bom(ROOT))


@pytest.fixture(scope="module")
def components(text: str) -> dict[str, dict[str, Any]]:
    """By package URL."""
    return {component["purl"]: component for component in json.loads(text)["components"]}


def test_it_is_valid_by_the_schema_of_cyclonedx(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    broken = text.replace('"type": "library"', '"type": "book"', 1)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_it_has_every_locked_package_and_jar_and_no_other(components: dict[str, dict[str, Any]]) -> None:
    packages = {f"pkg:pypi/{pin.name}@{pin.version}" for pin in PINS.values()}
    jars = {f"pkg:maven/{jar.group}/{jar.artifact}@{jar.version}" for jar in JARS}
    assert components.keys() == packages | jars


def test_packages_have_the_hashes_of_the_lock_and_a_licence(components: dict[str, dict[str, Any]]) -> None:
    for pin in PINS.values():
        component = components[f"pkg:pypi/{pin.name}@{pin.version}"]
        (distribution,) = component["externalReferences"]
        assert {found["content"] for found in distribution["hashes"]} == set(pin.hashes)
        assert component["licenses"]


def test_the_jars_are_optional_and_have_the_hashes_of_their_lock(components: dict[str, dict[str, Any]]) -> None:
    for jar in JARS:
        component = components[f"pkg:maven/{jar.group}/{jar.artifact}@{jar.version}"]
        assert component["scope"] == "optional"
        assert component["hashes"] == [{"alg": "SHA-512", "content": jar.sha512}]


def test_it_says_what_needs_what(text: str) -> None:
    needs = {row["ref"]: set(row.get("dependsOn", ())) for row in json.loads(text)["dependencies"]}
    aiohttp, multidict = (f"pkg:pypi/{name}@{PINS[name].version}" for name in ("aiohttp", "multidict"))
    assert aiohttp in needs["hookline"]
    assert multidict in needs[aiohttp]
    assert multidict not in needs["hookline"]


def test_it_is_the_same_each_time_and_names_no_host(text: str) -> None:
    assert sbom.as_json(sbom.bom(ROOT)) == text
    document = json.loads(text)
    assert "serialNumber" not in document
    assert "timestamp" not in document["metadata"]
    document.pop("$schema")
    assert "://" not in json.dumps(document)


def test_a_licence_of_another_version_than_the_locked_one_is_refused() -> None:
    pin = locks.Pin("aiohttp", "0.1", ())
    with pytest.raises(ValueError, match=r"aiohttp .* is installed, and 0.1 is locked"):
        sbom.package(pin)


def test_of_two_licences_both_are_named() -> None:
    ids = [licence.id for licence in sbom.package(PINS["uvloop"]).licenses if hasattr(licence, "id")]
    assert sorted(map(str, ids)) == ["Apache-2.0", "MIT"]
