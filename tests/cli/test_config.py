"""`hookline config show`, run as people run it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streams import settings

Ran = subprocess.CompletedProcess[str]
SECRET = "hunter2-not-to-be-seen"


def test_every_setting_is_shown_with_value_source_default_and_meaning() -> None:
    shown = rows(config("-o", "jsonl"))
    assert list(shown) == [variable for variable, _, _ in settings.table()]
    assert all(row.keys() == {"setting", "value", "source", "default", "meaning"} for row in shown.values())
    assert shown.pop("HOOKLINE_ALLOW_NETWORKS")["source"] == "local broker"
    assert {row["source"] for row in shown.values()} == {"default"}
    assert all(row["value"] == row["default"] for row in shown.values())


def test_each_value_says_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "hookline.toml"
    file.write_text('topic_prefix = "file."\ninstance = "file"\nallow_networks = ["127.0.0.0/8"]')
    shown = rows(config("-o", "jsonl", before=["-v", "--config", str(file)], HOOKLINE_INSTANCE="environment"))
    told = {name: (row["value"], row["source"]) for name, row in shown.items() if row["source"] != "default"}
    assert told == {
        "HOOKLINE_TOPIC_PREFIX": ("file.", "file"),
        "HOOKLINE_ALLOW_NETWORKS": (["127.0.0.0/8"], "file"),
        "HOOKLINE_INSTANCE": ("environment", "environment"),
        "HOOKLINE_LOG_LEVEL": ("debug", "option"),
    }


@pytest.mark.parametrize("output", ["json", "jsonl", "table"])
def test_secrets_are_shown_as_set_or_unset(output: str) -> None:
    ran = config("-o", output, HOOKLINE_SASL_PASSWORD=SECRET)
    assert ran.returncode == 0
    assert SECRET not in ran.stdout + ran.stderr
    if output == "jsonl":
        password = rows(ran)["HOOKLINE_SASL_PASSWORD"]
        assert (password["value"], password["default"], password["source"]) == ("set", "unset", "environment")


def test_json_is_one_document_on_stdout() -> None:
    ran = config("-o", "json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(json.loads(ran.stdout)) == len(settings.table())


def test_the_table_shows_lists_and_pairs_as_the_environment_takes_them() -> None:
    ran = config(
        *("-o", "table"),
        COLUMNS="400",
        HOOKLINE_ALLOW_NETWORKS="::1/128, fd00::/8",
        HOOKLINE_EXTRA_EVENTS="A.B=identity.user",
    )
    assert ran.returncode == 0
    assert "::1/128, fd00::/8 " in ran.stdout
    assert "A.B=identity.user " in ran.stdout


def test_settings_that_cannot_be_are_all_told_and_exit_code_4() -> None:
    ran = config(HOOKLINE_TOPIC_PARTITIONS="0", HOOKLINE_LOG_LEVEL="loud", HOOKLINE_NO_SUCH="1")
    assert (ran.returncode, ran.stdout) == (4, "")
    for word in ("HOOKLINE_TOPIC_PARTITIONS is '0'", "debug, info, warning, error", "HOOKLINE_NO_SUCH is no setting"):
        assert word in ran.stderr


def config(*arguments: str, before: Sequence[str] = (), **environ: str) -> Ran:
    """Run `hookline config show ...` with no other settings than these."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    command = [sys.executable, "-m", "streams", *before, "config", "show", *arguments]
    return subprocess.run(
        command,
        env=ours | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rows(ran: Ran) -> dict[str, dict[str, Any]]:
    return {row["setting"]: row for row in map(json.loads, ran.stdout.splitlines())}
