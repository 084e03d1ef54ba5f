"""The lock files meet pyproject.toml, with hashes and without addresses; and each rule can fail."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.supply.locks import LOCKS, ROOT, problems

HASH = "--hash=sha256:" + "0" * 64


def test_the_locks_meet_the_project() -> None:
    assert problems(ROOT) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the rules look at."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / LOCKS, tmp_path / LOCKS)
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams/a.py").write_text("import asyncio\nfrom msgspec import Struct\nimport streams.core\n")
    return tmp_path


Break = Callable[[str], str]


@pytest.mark.parametrize(
    ("file", "broken", "told"),
    [
        (
            "run.txt",
            lambda text: f"--index-url https://packages.example/simple\n{text}",
            "'--index-url https://packages.ex",
        ),
        ("run.txt", lambda text: f"--find-links wheels\n{text}", "'--find-links wheels' is no exact version"),
        ("run.txt", lambda text: f"{text}extra @ https://packages.example/extra.whl\n", "'extra @ https://packages"),
        ("run.txt", lambda text: f"{text}extra==1.0\n", "run.txt: extra has no hash"),
        ("run.txt", lambda text: f"{text}extra==1.0 \\\n    --hash=md5:00\n", "run.txt: extra has a bad hash"),
        ("run.txt", lambda text: f"{text}extra==1.0 \\\n    {HASH}0\n", "run.txt: extra has a bad hash"),
        ("run.txt", lambda text: f"{text}extra>=1.0 {HASH}\n", "'extra>=1.0' is no exact version"),
        ("run.txt", lambda text: f"{text}extra {HASH}\n", "'extra' is no exact version"),
        ("run.txt", lambda text: f"{text}-r other.txt\n", "run.txt: '-r other.txt' is no exact version"),
        ("run.txt", lambda text: f"{text}aiokafka==0.14.0 {HASH}\n", "run.txt: aiokafka is there twice"),
        ("run.txt", lambda text: text.replace("aiokafka==0.14.0", "aiokafka==0.14.1"), "aiokafka==0.14.0 is asked for"),
        ("run.txt", lambda text: text.replace("cramjam==2.", "cramjam==1."), "cramjam>=2.8 is asked for"),
        ("run.txt", lambda text: text.replace("uvloop==", "uvloup=="), "run.txt: uvloop>=0.21 is not locked"),
        ("run.txt", lambda text: f"{text}extra==1.0 {HASH}\n", "dev.txt: extra is shipped and not tested"),
        ("run.txt", lambda text: text.replace("yarl==1.", "yarl==9."), "dev.txt: yarl is not what run.txt has"),
        ("dev.txt", lambda text: text.replace("ruff==", "rough=="), "dev.txt: ruff is not locked"),
        ("setup.txt", lambda text: text.replace("hatchling==1.", "hatchling==0."), "hatchling>=1.27 is asked for"),
        ("other.txt", lambda _: f"extra==1.0 {HASH}\n", "other.txt is asked for by nobody"),
        ("../../streams/b.py", lambda _: "def f():\n    import pytest\n", "b.py imports pytest, which pyproject.toml"),
        ("../../streams/b.py", lambda _: "from no_such.thing import x\n", "b.py imports no_such, which pyproject.toml"),
    ],
)
def test_each_rule_can_fail(tree: Path, file: str, broken: Break, told: str) -> None:
    assert problems(tree) == []
    path = tree / LOCKS / file
    path.write_text(broken(path.read_text() if path.exists() else ""))
    assert any(told in problem for problem in problems(tree)), problems(tree)


def test_a_lock_that_is_missing_is_told(tree: Path) -> None:
    (tree / LOCKS / "setup.txt").unlink()
    assert problems(tree) == ["setup.txt is missing"]
