"""`make sbom`: what ships, as CycloneDX 1.6 JSON on stdout: the locked packages, and the local broker's jars.

Versions and hashes are those of the lock files, licences and dependencies those that the installed packages declare.
The same tree and the same installed packages give the same bytes: no time, no serial number, no path, no host.
"""

import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streams.kafka import broker_lock
from streams.kafka.broker_lock import Jar
from tests.supply import locks
from tests.supply.locks import ROOT, Pin

CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""SPDX ids of the classifiers that mean one licence; the others stay names."""


def bom(root: Path) -> Bom:
    """The bill of materials of a tree. Raises PackageNotFoundError when a locked package is not installed."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    pins = locks.read(root / locks.LOCKS / "run.txt").pins
    packages = {name: package(pin) for name, pin in pins.items()}
    ours = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
        description=project["description"],
        licenses=[LicenseFactory().make_from_string(project["license"])],
    )
    jars = [jar(found) for found in broker_lock.read(root / "deploy/kafka" / broker_lock.FILE)]
    made = Bom(components=[*packages.values(), *jars])
    made.metadata.component = ours
    made.register_dependency(ours, [packages[name] for name in _names(project["dependencies"])] + jars)
    for name, component in packages.items():
        wanted = _names(metadata.requires(name) or ())
        made.register_dependency(component, [packages[other] for other in wanted if other in packages])
    return made


def package(pin: Pin) -> Component:
    """A locked Python package; its hashes are those of the files that may be installed, one of which is."""
    purl = PackageURL("pypi", name=pin.name, version=pin.version)
    return Component(
        name=pin.name,
        version=pin.version,
        bom_ref=str(purl),
        purl=purl,
        licenses=_licences(pin),
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(purl)),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.hashes],
            )
        ],
    )


def jar(found: Jar) -> Component:
    """A jar of the local broker, which is fetched for development and no part of a production set-up."""
    purl = PackageURL("maven", found.group, found.artifact, found.version)
    return Component(
        name=found.artifact,
        group=found.group,
        version=found.version,
        scope=ComponentScope.OPTIONAL,
        bom_ref=str(purl),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_512, content=found.sha512)],
    )


def as_json(made: Bom) -> str:
    """The document, without what differs from run to run."""
    unrepeatable: Any = made
    unrepeatable.serial_number = unrepeatable.metadata.timestamp = None
    return make_outputter(made, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


def _licences(pin: Pin) -> list[License]:
    """What the installed package declares: its SPDX expression, else every SPDX id of its older words, else a name."""
    about: Any = metadata.metadata(pin.name)
    if about["Version"] != pin.version:
        raise ValueError(f"{pin.name} {about['Version']} is installed, and {pin.version} is locked: run `make setup`")
    factory = LicenseFactory()
    if about["License-Expression"]:
        return [factory.make_from_string(about["License-Expression"])]
    classifiers = [line for line in about.get_all("Classifier", ()) if line.startswith("License ::")]
    words = [line.rpartition(" :: ")[2] for line in classifiers] + [about["License"] or ""]
    made = [factory.make_from_string(CLASSIFIED.get(word, word)) for word in dict.fromkeys(words) if word]
    return [found for found in made if not getattr(found, "name", None)] or made[:1]


def _names(requirements: Any) -> list[str]:
    """The names of the requirements that hold here."""
    found = map(Requirement, requirements)
    return [canonicalize_name(r.name) for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]


if __name__ == "__main__":
    sys.stdout.write(as_json(bom(ROOT)) + "\n")
