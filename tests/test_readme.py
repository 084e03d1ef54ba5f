"""The README's code blocks run, its tables are the code's own. REWRITE_GOLDEN=1 writes the tables again."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams import settings as settings_module
from streams.kafka import rights, topics
from streams.kafka.broker_ready import free_port
from streams.settings import Settings
from streams.web.receiver import Receiver
from tests.line import environment, line

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The code blocks of one language, in order."""
    return [code for found, code in BLOCK.findall(README.read_text()) if found == language]


def shell_blocks() -> list[str]:
    """Those that use the command, not the Makefile."""
    return [code for code in blocks("sh") if "hookline" in code]


async def test_the_shell_blocks_run_one_after_the_other_against_the_line(settings: Settings, tmp_path: Path) -> None:
    """As a newcomer would type them, with a receiver where the README has one."""
    async with Receiver(port=free_port()) as receiver, line(settings, tmp_path):
        port = receiver.url.rpartition(":")[2]
        script = "set -euxo pipefail\n" + "\n".join(shell_blocks()).replace("127.0.0.1:9000", f"127.0.0.1:{port}")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        shell = await asyncio.create_subprocess_exec(
            "bash", "-c", script, env=environment(settings) | {"PATH": path}, stderr=asyncio.subprocess.PIPE
        )
        _, words = await shell.communicate()
        assert shell.returncode == 0, words.decode()
        (request,) = await receiver.arrived(1, within_s=30)
        assert b'"event":"User.Created"' in request.body


def test_there_are_shell_blocks_to_run() -> None:
    assert len(shell_blocks()) >= 2


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_blocks_run(code: str) -> None:
    exec(compile(code, str(README), "exec"), {})


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make (\w+)", README.read_text(), re.MULTILINE))))
def test_the_make_targets_exist(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("path", re.findall(r"`((?:streams|deploy|tests|schemas)/[\w/.-]+)`", README.read_text()))
def test_the_files_it_names_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", ["topics", "settings", "rights"])
def test_the_tables_are_the_codes_own(name: str) -> None:
    marked = re.compile(f"(<!-- {name} -->\n)(.*?)(<!-- /{name} -->)", re.DOTALL)
    expected = {"topics": topics_table, "settings": settings_table, "rights": rights_table}[name]()
    if os.environ.get("REWRITE_GOLDEN"):
        README.write_text(marked.sub(lambda found: found[1] + expected + found[3], README.read_text()))
    found = marked.search(README.read_text())
    assert found is not None
    assert found[2] == expected


def topics_table() -> str:
    """The rows of `kafka/topics.py`, those that differ only in name as one."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for topic in topics.TOPICS:
        days = "" if topic.retention_ms is None else f", {topic.retention_ms // topics.DAY_MS} days"
        count = str(topic.partitions or f"{Settings().topic_partitions}{', all alike' if topic.alike else ''}")
        rows.setdefault((topic.key, topic.value, topic.cleanup + days, count), []).append(f"`{topic.name}`")
    head = "| topic | key | value | cleanup | partitions |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(f"| {' '.join(names)} | {' | '.join(row)} |\n" for row, names in rows.items())


def settings_table() -> str:
    """`settings.table()` as Markdown."""
    head = "| variable | default | meaning |\n| --- | --- | --- |\n"
    rows = [(variable, _plain(default), meaning) for variable, default, meaning in settings_module.table()]
    return head + "".join(f"| `{variable}` | {default} | {meaning} |\n" for variable, default, meaning in rows)


def rights_table() -> str:
    """The rows of `kafka/rights.py`, those of one user that differ only in name as one."""
    operations: dict[tuple[str, str, str], list[str]] = {}
    for right in rights.of(Settings()):
        name = right.name + ("*" if right.pattern == "prefixed" else "")
        operations.setdefault((right.role, right.resource, name), []).append(right.operation)
    rows: dict[tuple[str, str, str], list[str]] = {}
    for (role, resource, name), allowed in operations.items():
        rows.setdefault((role, ", ".join(allowed), resource), []).append(f"`{name}`")
    head = "| user | may | on |\n| --- | --- | --- |\n"
    return head + "".join(
        f"| {role} | {may} | {kind} {' '.join(names)} |\n" for (role, may, kind), names in rows.items()
    )


def _plain(default: object) -> str:
    return f"`{default}`" if default not in ("", (), {}) else ""
