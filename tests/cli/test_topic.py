"""`hookline topic`, run as people run it: exit codes, JSON on stdout, words on stderr."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from aiokafka.admin import NewTopic

from streams.kafka import admin, clients
from streams.kafka.differences import Difference
from streams.kafka.topics import LOG, TOPICS, configuration
from streams.settings import Settings

Ran = subprocess.CompletedProcess[str]


def test_plan_of_an_empty_cluster_lists_every_topic_and_exits_1(settings: Settings) -> None:
    ran = topic(settings, "plan")
    assert ran.returncode == 1
    rows = lines(ran)
    assert [row["topic"] for row in rows] == [settings.topic_prefix + row.name for row in TOPICS]
    assert rows[0].keys() == {"topic", "kind", "setting", "found", "wanted", "remedy", "fatal", "sentence"}


def test_apply_makes_the_topics_and_then_plan_has_nothing_and_exits_0(settings: Settings) -> None:
    made = topic(settings, "apply", "--yes")
    assert (made.returncode, len(lines(made))) == (0, len(TOPICS))
    assert "mended 12 of 12 differences" in made.stderr
    planned = topic(settings, "plan")
    assert (planned.returncode, planned.stdout, planned.stderr) == (0, "", "")
    again = topic(settings, "apply", "--yes")
    assert (again.returncode, again.stdout) == (0, "")


@pytest.mark.parametrize("output", ["json", "jsonl", "table"])
def test_what_is_printed_goes_to_stdout_and_words_to_stderr(settings: Settings, output: str) -> None:
    ran = topic(settings, "apply", "--dry-run", "-o", output)
    assert "would mend 12 of 12 differences" in ran.stderr
    if output == "json":
        assert len(json.loads(ran.stdout)) == len(TOPICS)
    elif output == "jsonl":
        assert len(lines(ran)) == len(TOPICS)
    else:
        assert ran.stdout.split()[:3] == ["topic", "kind", "setting"]
        assert "would" not in ran.stdout


def test_a_dry_run_changes_nothing(settings: Settings) -> None:
    assert topic(settings, "apply", "--dry-run").returncode == 0
    assert len(differing(settings)) == len(TOPICS)


def test_quiet_says_nothing_but_what_was_refused(settings: Settings) -> None:
    assert topic(settings, "apply", before=["-q"]).stderr == ""


def test_apply_asks_on_a_terminal_and_a_no_changes_nothing(settings: Settings) -> None:
    ran = topic(settings, "apply", answer="n\n")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "hooks.config does not exist" in ran.stderr
    assert "Mend what can be mended? [y/N]" in ran.stderr
    assert "nothing was changed" in ran.stderr
    assert len(differing(settings)) == len(TOPICS)


def test_apply_asks_on_a_terminal_and_a_yes_goes_on(settings: Settings) -> None:
    assert topic(settings, "apply", answer="y\n").returncode == 0
    assert differing(settings) == []


def test_apply_with_yes_asks_nobody(settings: Settings) -> None:
    ran = topic(settings, "apply", "--yes", answer="")
    assert ran.returncode == 0
    assert "?" not in ran.stderr


def test_what_apply_refuses_has_its_reason_on_stderr_and_exit_code_1(settings: Settings) -> None:
    asyncio.run(admin.apply(settings))
    ran = topic(msgspec.structs.replace(settings, topic_partitions=4), "apply")
    assert ran.returncode == 1
    assert "hooks.log has 3 of 4 partitions; none are added, because keys would move" in ran.stderr


def test_check_of_missing_topics_exits_1_with_the_command_that_mends_it(settings: Settings) -> None:
    ran = topic(settings, "check")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{settings.topic_prefix}hooks.config" in ran.stderr
    assert "`hookline topic apply`" in ran.stderr


def test_check_of_fit_topics_exits_0_and_says_so(settings: Settings) -> None:
    asyncio.run(admin.apply(settings))
    ran = topic(settings, "check")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert f"the topics on {settings.bootstrap} fit" in ran.stderr


@pytest.mark.parametrize("name", ["plan", "apply", "check"])
def test_without_a_broker_the_exit_code_is_3(name: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can answer there
        ran = topic(Settings(bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}"), name)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "hookline: no Kafka broker answers at 127.0.0.1:" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_setting_that_cannot_be_is_exit_code_4() -> None:
    ran = topic(Settings(), "check", partitions="0")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "HOOKLINE_TOPIC_PARTITIONS is '0'" in ran.stderr


def test_retention_that_the_operator_chose_is_shown_with_exit_code_0(settings: Settings) -> None:
    asyncio.run(keep_log_for_an_hour(settings))
    ran = topic(settings, "plan")
    assert (ran.returncode, [row["remedy"] for row in lines(ran)]) == (0, ["choice"])
    assert "is your choice" in ran.stderr


async def keep_log_for_an_hour(settings: Settings) -> None:
    """Make `hooks.log` by hand, before the other topics."""
    row = next(row for row in TOPICS if row.name == LOG)
    chosen = configuration(row) | {"retention.ms": "3600000"}
    async with clients.admin(settings) as client:
        await client.create_topics([NewTopic(settings.topic_prefix + LOG, 3, 1, topic_configs=chosen)])
    await admin.apply(settings)


def differing(settings: Settings) -> list[Difference]:
    return asyncio.run(admin.plan(settings))


def topic(
    settings: Settings, *arguments: str, before: Sequence[str] = (), answer: str | None = None, partitions: str = ""
) -> Ran:
    """Run `hookline topic ...` with these settings; an `answer` is typed on a terminal that is its stdin."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    ours |= {
        "HOOKLINE_BOOTSTRAP_SERVERS": settings.bootstrap,
        "HOOKLINE_TOPIC_PREFIX": settings.topic_prefix,
        "HOOKLINE_TOPIC_PARTITIONS": partitions or str(settings.topic_partitions),
    }
    command = [sys.executable, "-m", "streams", *before, "topic", *arguments]
    outer, inner = os.openpty()
    try:
        os.write(outer, (answer or "").encode())
        stdin = subprocess.DEVNULL if answer is None else inner
        return subprocess.run(command, env=ours, stdin=stdin, capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.close(outer)
        os.close(inner)


def lines(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]
