"""`python -m tests.supply.locks`, part of `make lint`: the lock files say what pyproject.toml asks for, with hashes.

Needs no network and no installed package but `packaging`. Every rule is a function that yields sentences.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from msgspec import Struct
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = "deploy/requirements"
PINNED = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[0-9][a-z0-9.+!]*)(?P<marker> ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


class Pin(Struct, frozen=True):
    """One locked package."""

    name: str
    version: str
    hashes: tuple[str, ...]


class Lock(Struct):
    """A lock file: its pins by name, and what in it is anything else."""

    pins: dict[str, Pin]
    problems: list[str]


def read(path: Path) -> Lock:
    """A lock as pip reads it: logical lines of one exact version and its hashes. Options and addresses are problems."""
    lock = Lock({}, [])
    for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        pinned, *hashes = re.split(r"\s+(?=--)", line.strip())
        match = PINNED.fullmatch(pinned)
        if not match:
            lock.problems.append(f"{path.name}: {pinned[:60]!r} is no exact version of a package")
        elif not hashes or not all(map(HASH.fullmatch, hashes)):
            lock.problems.append(f"{path.name}: {match['name']} has {'a bad hash' if hashes else 'no hash'}")
        elif match["name"] in lock.pins:
            lock.problems.append(f"{path.name}: {match['name']} is there twice")
        else:
            digests = tuple(digest.removeprefix("--hash=sha256:") for digest in hashes)
            lock.pins[match["name"]] = Pin(match["name"], match["version"], digests)
    return lock


def wanted(project: Mapping[str, Any]) -> dict[str, list[str]]:
    """What pyproject.toml asks for, by the lock that has to meet it."""
    run, groups = project["project"]["dependencies"], project["dependency-groups"]
    return {"run": run, "setup": project["build-system"]["requires"]} | {
        name: (run if name == "dev" else []) + groups[name] for name in groups
    }


def unmet(locks: Mapping[str, Lock], wants: Mapping[str, list[str]]) -> Iterator[str]:
    """Requirements that their lock does not meet, and locks that nobody asks for, or that are missing."""
    for name in sorted(locks.keys() ^ wants.keys()):
        yield f"{name}.txt is {'missing' if name in wants else 'asked for by nobody'}"
    for name in sorted(locks.keys() & wants.keys()):
        for requirement in map(Requirement, wants[name]):
            pin = locks[name].pins.get(canonicalize_name(requirement.name))
            if pin is None:
                yield f"{name}.txt: {requirement} is not locked"
            elif not requirement.specifier.contains(pin.version, prereleases=True):
                yield f"{name}.txt: {pin.name} {pin.version} is locked, and {requirement} is asked for"


def disagreeing(locks: Mapping[str, Lock]) -> Iterator[str]:
    """What is tested in another version than is shipped, or under other hashes."""
    shipped, tested = locks["run"].pins, locks["dev"].pins
    for name, pin in shipped.items():
        if name not in tested:
            yield f"dev.txt: {name} is shipped and not tested"
        elif tested[name] != pin:
            yield f"dev.txt: {name} is not what run.txt has"


def undeclared(package: Path, project: Mapping[str, Any]) -> Iterator[str]:
    """What the package imports and pyproject.toml does not ask for, wherever in a file it is imported."""
    asked = {canonicalize_name(Requirement(line).name) for line in project["project"]["dependencies"]}
    homes = packages_distributions()
    for path in sorted(package.rglob("*.py")):
        for name in sorted(_imported(path) - sys.stdlib_module_names - {package.name}):
            if asked.isdisjoint(map(canonicalize_name, homes.get(name, ()))):
                yield f"{path.relative_to(package.parent)} imports {name}, which pyproject.toml does not ask for"


def problems(root: Path) -> list[str]:
    """All that is wrong with the locks of a tree, one sentence each."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    locks = {path.stem: read(path) for path in sorted((root / LOCKS).glob("*.txt"))}
    found = [problem for lock in locks.values() for problem in lock.problems]
    found += unmet(locks, wanted(project))
    found += disagreeing(locks) if {"run", "dev"} <= locks.keys() else []
    return found + list(undeclared(root / "streams", project))


def _imported(path: Path) -> set[str]:
    """The top-level names of all that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


if __name__ == "__main__":
    sys.exit("\n".join(problems(ROOT)) or 0)
