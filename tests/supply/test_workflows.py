"""What runs for us on other people's machines has few rights and is pinned to the bit."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from tests.supply.locks import ROOT

PATHS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)


def workflow(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


def test_there_are_workflows() -> None:
    assert PATHS


@each
def test_it_is_valid_by_the_schema_of_workflows(path: Path) -> None:
    spec = find_spec("check_jsonschema")
    assert spec
    assert spec.submodule_search_locations
    schema = Path(spec.submodule_search_locations[0]) / "builtin_schemas/vendor/github-workflows.json"
    errors = jsonschema_rs.validator_for(json.loads(schema.read_bytes())).iter_errors(workflow(path))
    assert [error.message for error in errors] == []


@each
def test_every_action_is_pinned_to_a_commit_whose_version_is_told(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text())
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


@each
def test_it_may_read_the_code_and_nothing_else(path: Path) -> None:
    found = workflow(path)
    assert found["permissions"] == {"contents": "read"}
    jobs = found["jobs"].values()
    assert not any("permissions" in job for job in jobs)
    steps = [step for job in jobs for step in job["steps"]]
    assert all(step["with"]["persist-credentials"] is False for step in steps if "checkout" in step.get("uses", ""))
    assert "secrets." not in path.read_text()
    assert "pull_request_target" not in found.get("on", {})


@each
def test_every_command_is_a_target_of_the_makefile(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in workflow(path)["jobs"].values():
        for words in (step["run"].split() for step in job["steps"] if "run" in step):
            assert words[0] == "make"
            assert words[1] in targets
