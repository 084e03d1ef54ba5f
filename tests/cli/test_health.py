"""`hookline health`, run as people run it: the reports of the health role, in words as well as in colours."""

import asyncio
import io
import os
import re
import time

import msgspec
import orjson
import pytest
from rich.console import Console

from streams.cli.health_table import COLUMNS, fitting_table
from streams.core import health
from streams.core.records import Attempt, Coordinates, Hook, Outcome, OutcomeError, Outgoing, Report
from streams.kafka import admin, topics
from streams.settings import Settings
from tests.cli.commands import PATIENCE_S, going, hookline, nobody, publish, published, rows
from tests.line import hook, hook_id

ENDED = time.time_ns() // 1_000_000
LAST_ERROR = OutcomeError(class_="5xx", message="The endpoint answered 503.")


def report(number: int, good: int = 0, bad: int = 0, enabled: bool = True, ago_ms: int = 0) -> Outgoing:
    """The health role's report of a hook after so many deliveries, the failed ones last."""
    window = health.Window()
    for offset in range(good + bad):
        window.take(outcome(number, offset, failed=offset >= good), offset)
    fields = hook(number, "https://crm.example.com/", enabled=enabled)
    made = health.report(msgspec.convert(fields, Hook), window, now() - ago_ms)
    return Outgoing(topic=topics.HEALTH, key=made.hook_id.encode(), value=msgspec.json.encode(made))


def now() -> int:
    return time.time_ns() // 1_000_000


def outcome(number: int, offset: int, *, failed: bool) -> Outcome:
    return Outcome(
        id=f"msg_{offset}",
        hook_id=hook_id(number),
        tenant_id="default",
        event="User.Created",
        event_id=f"e{offset}",
        result="Error" if failed else "Success",
        status="exhausted" if failed else "delivered",
        created_at=ENDED,
        event_at=ENDED,
        duration_ms=12,
        attempts=[Attempt(at=ENDED, ms=12, status=503 if failed else 200)] * (2 if failed else 1),
        source=Coordinates("identity.user", 0, offset),
        job=Coordinates("hooks.deliveries", 0, offset),
        error=LAST_ERROR if failed else None,
    )


@pytest.fixture(scope="module")
def reported(applied: Settings) -> Settings:
    """Reports of five hooks, one of each status, and of one that was deleted."""
    deleted = Outgoing(topic=topics.HEALTH, key=hook_id(9).encode(), value=None)
    publish(
        applied,
        *(report(1, good=99, bad=1), report(2, good=8, bad=2), report(3), report(4, good=9, bad=1)),
        *(report(5, good=1, enabled=False), report(9), deleted, report(2, good=8, bad=3)),
    )
    return applied


def test_the_worst_comes_first_with_the_latest_report_of_every_hook_that_exists(reported: Settings) -> None:
    found = rows(hookline(reported, "health"))
    told = [(int(row["hookId"][4:]), row["status"], row["requestCount"]) for row in found]
    assert told == [(2, "error", 11), (4, "alert", 10), (1, "ok", 100), (3, "idle", 0), (5, "disabled", 1)]


def test_json_is_the_report_without_the_health_roles_own_state(reported: Settings) -> None:
    ran = hookline(reported, "health", "--hook", hook_id(2), "-o", "json")
    (found,) = orjson.loads(ran.stdout)
    assert ran.stderr == ""
    assert "state" not in found
    assert found["lastError"] == {"class": "5xx", "message": "The endpoint answered 503."}
    assert (found["consecutiveFailures"], found["retries"], found["latencyMs"]["p99"]) == (3, 3, 15)


def test_a_table_says_in_words_what_it_says_in_colours(reported: Settings) -> None:
    plain = hookline(reported, "health", "-o", "table").stdout
    heading, *lines = plain.splitlines()
    assert re.split(r"  +", heading.strip()) == [
        *("name", "id", "status", "success", "requests", "p50", "p95", "p99"),
        *("attempts", "retries", "failing", "last error"),
    ]
    cells = [re.split(r"  +", line.strip()) for line in lines]
    assert cells[0] == [
        *("hook 2", hook_id(2), "error", "72.73 %", "11", "15", "15", "15", "14", "3", "3"),
        "5xx: The endpoint answered 503.",
    ]
    assert [row[2:4] for row in cells[1:]] == [
        ["alert", "90.00 %"],
        ["ok", "99.00 %"],
        ["idle", "-"],
        ["disabled", "100.00 %"],
    ]
    coloured = hookline(reported, "health", "-o", "table", before=["--color", "always"]).stdout
    for word, colour in (("error", 31), ("alert", 33), ("ok", 32), ("idle", 90), ("disabled", 90)):
        assert re.search(rf"\x1b\[{colour}m{word} *\x1b", coloured)
    assert "\x1b" not in plain


def test_it_says_when_nobody_makes_reports_any_more(applied: Settings) -> None:
    publish(applied, report(40, ago_ms=121_000))
    assert "see that `hookline run health` runs" in hookline(applied, "health", "--hook", hook_id(40)).stderr


def test_a_hook_without_a_report_is_exit_code_4(reported: Settings) -> None:
    ran = hookline(reported, "health", "--hook", hook_id(9))
    assert (ran.returncode, ran.stdout) == (4, "")
    assert hook_id(9) in ran.stderr


async def test_watching_in_a_pipe_prints_every_report_and_then_only_what_is_new(applied: Settings) -> None:
    await published(applied, report(20, good=1), report(21, good=1))
    count = len(rows(await asyncio.to_thread(hookline, applied, "health")))
    async with going(applied, "health", "--watch") as watch:
        assert hook_id(20) in {orjson.loads(await watch.line())["hookId"] for _ in range(count)}
        for good in (2, 3):
            await published(applied, report(20, good=1), report(21, good=good))
            told = orjson.loads(await watch.line())
            assert (told["hookId"], told["requestCount"]) == (hook_id(21), good)
        assert await watch.interrupted() == (130, "")


async def test_watching_on_a_terminal_draws_the_table_anew(applied: Settings) -> None:
    await published(applied, report(30, good=1))
    outer, inner = os.openpty()
    try:
        async with going(applied, "health", "--watch", "--hook", hook_id(30), stdout=inner) as watch:
            assert b"1 ok; as of" in await drawn(outer, b"Ctrl-C ends it")
            await published(applied, report(30, good=1, bad=1))
            assert b"1 error; as of" in await drawn(outer, b"Ctrl-C ends it")
            assert await watch.interrupted() == (130, "")
    finally:
        os.close(outer)
        os.close(inner)


@pytest.mark.parametrize("width", [50, 80, 100, 120, 200])
def test_a_watched_table_is_never_wider_than_its_terminal_and_always_has_the_status(width: int) -> None:
    reports = [msgspec.json.decode(report(n, good=n, bad=1).value or b"", type=Report) for n in (1, 99)]
    terminal = Console(width=width, file=io.StringIO())
    table = fitting_table(reports, terminal)
    assert terminal.measure(table, options=terminal.options.update(width=1000)).minimum <= width
    assert {"name", "status", "success", "requests"} <= {column.header for column in table.columns}
    assert (len(table.columns) == len(COLUMNS)) == (width >= 120)


async def drawn(terminal: int, last: bytes) -> bytes:
    """What the terminal is given, until it was given `last`."""
    found = b""
    async with asyncio.timeout(PATIENCE_S):
        while last not in found:
            found += await asyncio.to_thread(os.read, terminal, 65536)
    return found


def test_a_document_cannot_be_watched() -> None:
    ran = hookline(Settings(), "health", "--watch", "-o", "json")
    assert (ran.returncode, ran.stdout) == (2, "")


def test_without_reports_it_says_what_makes_them(settings: Settings) -> None:
    missing = hookline(settings, "health")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "`hookline topic apply`" in missing.stderr
    asyncio.run(admin.apply(settings))
    ran = hookline(settings, "health")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "there are no reports yet" in ran.stderr


def test_without_a_broker_the_exit_code_is_3() -> None:
    with nobody() as settings:
        ran = hookline(settings, "health")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("hookline: no Kafka broker answers at 127.0.0.1:")
