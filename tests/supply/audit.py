"""`make audit`: known vulnerabilities of what is locked, by pip-audit and the OSV database.

pip-audit ends with 1 for a vulnerability, for no network and for its own bugs alike. Here these are told apart:
0 nothing is known, 1 something is, 3 nobody could be asked.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.supply.locks import LOCKS, ROOT

KNOWN, NOT_ASKED = 1, 3

OPTIONS = ("--vulnerability-service", "osv", "--disable-pip", "--require-hashes", "--progress-spinner", "off")
"""With hashes and without pip nothing is resolved or downloaded: names and versions go to the service, no more."""


def audit(command: list[str], lock: Path) -> tuple[int, str]:
    """Run pip-audit, given as the words it is started with, on a lock; answers an exit code and what to tell."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name, "report.json")
        words = [*command, *OPTIONS, "--requirement", str(lock), "--format", "json", "--output", str(report)]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        if not report.exists():
            said = (ran.stderr or ran.stdout).strip().rpartition("\n")[2] or f"it ended with {ran.returncode}"
            return NOT_ASKED, f"audit: nobody could be asked, so nothing is known about {lock.name}: {said[:300]}"
        found = json.loads(report.read_text("utf-8"))["dependencies"]
    known = list(_known(found))
    if known:
        return KNOWN, "\n".join(known)
    return 0, f"audit: nothing is known against the {len(found)} packages of {lock.name}"


def _known(dependencies: list[dict[str, Any]]) -> Iterator[str]:
    for dependency in dependencies:
        for found in dependency.get("vulns", ()):
            names = ", ".join([found["id"], *found.get("aliases", ())])
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            yield f"audit: {dependency['name']} {dependency['version']}: {names}; fixed in {fixed}"


if __name__ == "__main__":
    code, words = audit(sys.argv[1:], ROOT / LOCKS / "run.txt")
    print(words, file=sys.stderr)
    sys.exit(code)
