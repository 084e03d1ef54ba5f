"""Which jars the local broker is made of, to the bit: the lock beside its `pom.xml`.

Maven verifies a download by a checksum from the same server; the lock is ours, so a server that serves another jar
under a known name and version is found out. `make lock` writes it (tests/supply/jars.py).
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

FILE = "jars.sha512"
"""Beside `pom.xml`; a line is `<sha-512 in hex>  <group>:<artifact>:<version>`."""


class Jar(Struct, frozen=True, order=True):
    """One jar by its Maven coordinates, and the SHA-512 of its bytes in lower-case hex."""

    group: str
    artifact: str
    version: str
    sha512: str

    @property
    def file(self) -> str:
        """The name that Maven gives it."""
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        """Its line in the lock."""
        return f"{self.sha512}  {self.group}:{self.artifact}:{self.version}"


def read(lock: Path) -> list[Jar]:
    """The jars of a lock."""
    jars = []
    for line in lock.read_text("utf-8").splitlines():
        sha512, name = line.split()
        group, artifact, version = name.split(":")
        jars.append(Jar(group, artifact, version, sha512))
    return jars


def differences(folder: Path, jars: Iterable[Jar]) -> Iterator[str]:
    """What in a folder is not as locked, one clause each; nothing when it holds these jars and no other file."""
    wanted = {jar.file: jar.sha512 for jar in jars}
    found = {path.name: path for path in sorted(folder.iterdir())}
    for name in sorted(wanted.keys() - found.keys()):
        yield f"{name} is missing"
    for name, path in found.items():
        if name not in wanted:
            yield f"{name} is not in the lock"
        elif digest(path) != wanted[name]:
            yield f"{name} has other bytes than were locked"


def digest(path: Path) -> str:
    """The SHA-512 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()
