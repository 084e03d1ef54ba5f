"""What `make audit` tells of each way in which pip-audit may end. None of them asks anybody."""

import json
from pathlib import Path

import pytest

from tests.supply.audit import audit
from tests.supply.locks import LOCKS, ROOT

LOCK = ROOT / LOCKS / "run.txt"
GOOD = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
BAD = {
    "name": "click",
    "version": "8.3.3",
    "vulns": [{"id": "GHSA-1", "aliases": ["CVE-2"], "fix_versions": ["8.3.4"], "description": "long"}],
}


def pip_audit(directory: Path, code: int, says: str = "", report: object = None) -> list[str]:
    """A command that ends as pip-audit does: with its code, words on stderr, and a report when it got that far."""
    script = directory / "pip_audit.py"
    written = f"open(sys.argv[-1], 'w').write({json.dumps(report)!r})" if report else ""
    script.write_text(
        f"import sys\nassert sys.argv[-2] == '--output'\n{written}\nsys.stderr.write({says!r})\nsys.exit({code})"
    )
    return ["python3", str(script)]


def test_nothing_known_is_0(tmp_path: Path) -> None:
    code, words = audit(pip_audit(tmp_path, 0, "No known vulnerabilities", {"dependencies": [GOOD]}), LOCK)
    assert (code, words) == (0, "audit: nothing is known against the 1 packages of run.txt")


def test_something_known_is_1_and_named_with_the_version_that_mends_it(tmp_path: Path) -> None:
    code, words = audit(pip_audit(tmp_path, 1, "Found 1", {"dependencies": [GOOD, BAD]}), LOCK)
    assert (code, words) == (1, "audit: click 8.3.3: GHSA-1, CVE-2; fixed in 8.3.4")


@pytest.mark.parametrize("says", ["Traceback\n  File x\nConnectionError: no route\n", "ConnectionError: no route"])
def test_nobody_asked_is_3_with_one_sentence(tmp_path: Path, says: str) -> None:
    code, words = audit(pip_audit(tmp_path, 1, says), LOCK)
    assert code == 3
    assert words == "audit: nobody could be asked, so nothing is known about run.txt: ConnectionError: no route"


def test_a_silent_end_is_3_too(tmp_path: Path) -> None:
    assert audit(pip_audit(tmp_path, 2), LOCK)[1].endswith("it ended with 2")
