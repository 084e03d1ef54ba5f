"""Arguments and settings that are no text, or no broker, end a command with one sentence and never with a traceback."""

import os
import subprocess
import sys

import pytest

from tests.cli.commands import HOW

ODD = os.fsdecode(b"\xff")


def ran(*arguments: str, **environ: str) -> tuple[int, str]:
    """Exit code, and what was said."""
    given = {"PATH": os.environ["PATH"]} | environ
    found = subprocess.run([sys.executable, "-m", "streams", *arguments], env=given, **(HOW | {"encoding": "utf-8"}))
    assert "Traceback" not in found.stderr
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hook", "create", "--url", "https://a.example/", "--events", "*", "--name", ODD], "argument 8"),
        (["event", "publish", "--key", ODD], "argument 4"),
        (["-b", ODD, "hook", "list"], "argument 2"),
    ],
)
def test_an_argument_that_is_no_text_is_refused_by_its_number(arguments: list[str], words: str) -> None:
    assert ran(*arguments) == (4, f"hookline: {words} is not UTF-8 text\n")


def test_a_setting_that_is_no_text_is_refused_by_its_name_alone() -> None:
    told = ran("config", "show", HOOKLINE_SASL_PASSWORD="secret" + ODD)
    assert told == (4, "hookline: HOOKLINE_SASL_PASSWORD is not UTF-8 text\n")


@pytest.mark.parametrize("brokers", ["a:b", "127.0.0.1:99999", "127.0.0.1:0", "a:1,,b:1", "a:1/x", "[::1", "é:1"])
def test_brokers_that_are_none_are_refused_before_anybody_asks_for_them(brokers: str) -> None:
    code, told = ran("-b", brokers, "hook", "list")
    assert code == 4
    assert "is no broker: write host:port" in told
