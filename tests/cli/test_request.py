"""`hookline request`, run as people run it: the last outcomes, live ones, and once the whole line from end to end."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from streams.core import signing
from streams.core.records import Attempt, Coordinates, Outcome, OutcomeError, Outgoing, Response
from streams.kafka import topics
from streams.kafka.newest import newest
from streams.settings import Settings
from streams.web.receiver import Receiver
from tests.cli.commands import Ran, going, hookline, nobody, publish, published, rows
from tests.line import hook_id, line

HOUR_MS = 3_600_000
COLUMNS = ["time", "event", "hook", "result", "status", "code", "attempts", "ms", "id"]


def outcome(number: int, hook: int = 1, ago_ms: int = 0, **changes: Any) -> Outcome:
    """A delivered job that ended so long ago; `number` makes its id."""
    now = time.time_ns() // 1_000_000 - ago_ms
    fields: dict[str, Any] = {
        "id": f"msg_{number:024d}",
        "hook_id": hook_id(hook),
        "tenant_id": "default",
        "event": "User.Created",
        "event_id": f"e{number}",
        "result": "Success",
        "status": "delivered",
        "created_at": now,
        "event_at": now,
        "duration_ms": 12,
        "attempts": [Attempt(at=now, ms=12, status=200)],
        "source": Coordinates("identity.user", 0, number),
        "job": Coordinates("hooks.deliveries", 0, number),
        "response": Response(status=200, body="ok"),
    }
    return Outcome(**(fields | changes))


def failed(number: int, hook: int, **changes: Any) -> Outcome:
    """A job whose receiver was never reached."""
    error = OutcomeError(class_="timeout", message="No answer within 10 s.")
    return outcome(
        number, hook, **({"result": "Error", "status": "exhausted", "response": None, "error": error} | changes)
    )


def logged(*outcomes: Outcome) -> list[Outgoing]:
    """The records of `hooks.log`, as the sender writes them."""
    return [Outgoing(topic=topics.LOG, key=o.hook_id.encode(), value=msgspec.json.encode(o)) for o in outcomes]


@pytest.fixture(scope="module")
def log(applied: Settings) -> Settings:
    """A log with outcomes of hooks 1 (30 of them), 2 and 3, one of two days ago, and a record that is none."""
    many = [outcome(n, 1, ago_ms=(60 - n) * 1000) for n in range(30)]
    others = [
        outcome(100, 2, ago_ms=48 * HOUR_MS),
        failed(101, 2, ago_ms=HOUR_MS // 2),
        outcome(102, 3, ago_ms=2 * HOUR_MS, event="Role.Created"),
        failed(103, 3, ago_ms=1000, status="rejected", response=Response(status=404, body="no\x1b[2J")),
    ]
    publish(applied, *logged(*many, *others), Outgoing(topic=topics.LOG, key=b"x", value=b"{"))
    return applied


def numbers(settings: Settings, *words: str) -> list[int]:
    return [int(row["id"][4:]) for row in rows(hookline(settings, "request", "list", *words))]


def test_list_has_the_newest_first_and_twenty_at_most(log: Settings) -> None:
    assert numbers(log) == [103, *range(29, 10, -1)]


def test_list_goes_back_as_far_as_it_is_told(log: Settings) -> None:
    assert numbers(log, "--limit", "1000") == [103, *range(29, -1, -1), 101, 102]
    assert numbers(log, "--since", "3d", "--hook", hook_id(2)) == [101, 100]


def test_list_shows_only_what_all_filters_let_through(log: Settings) -> None:
    assert numbers(log, "--event", "Role.Created", "--hook", hook_id(3)) == [102]
    ran = hookline(log, "request", "list", "--event", "Role.Created", "--hook", hook_id(1), "-o", "json")
    assert (ran.returncode, ran.stdout) == (0, "[]\n")
    assert "no outcome fits" in ran.stderr
    assert "no outcomes, which the health role buries: 1" in ran.stderr


def test_json_is_the_outcome_as_it_was_recorded(log: Settings) -> None:
    (row,) = rows(hookline(log, "request", "list", "--status", "exhausted"))
    assert row["id"] == f"msg_{101:024d}"
    assert msgspec.convert(row, Outcome).error == OutcomeError(class_="timeout", message="No answer within 10 s.")


def test_a_table_has_a_code_or_else_the_class_of_the_error(log: Settings) -> None:
    heading, *lines = hookline(log, "request", "list", "--limit", "50", "-o", "table").stdout.splitlines()
    assert heading.split() == COLUMNS
    by_id = {line.split()[-1]: line.split() for line in lines}
    assert by_id[f"msg_{103:024d}"][1:8] == ["User.Created", hook_id(3), "Error", "rejected", "404", "1", "12"]
    assert by_id[f"msg_{101:024d}"][5] == "timeout"


@pytest.mark.parametrize("words", [("--since", "soon"), ("--limit", "0")])
def test_an_option_that_makes_no_sense_is_exit_code_2(words: tuple[str, ...]) -> None:
    ran = hookline(Settings(), "request", "list", *words)
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.parametrize("limit", [1, 2, 7, 29, 30, 31])
async def test_reading_backwards_finds_the_same_as_reading_all(log: Settings, limit: int) -> None:
    """The newest of every partition that fit, whatever the strides that they are found in."""

    def even(record: Any) -> int | None:
        return record.at.offset if record.key == hook_id(1).encode() and record.at.offset % 2 == 0 else None

    name = log.topic_prefix + topics.LOG
    everything = await newest(log, name, 0, 10_000, even)
    assert len(everything) == 15
    assert await newest(log, name, 0, limit, even) == everything[-limit:]


async def test_tail_shows_each_outcome_that_fits_at_once_in_columns_and_ctrl_c_ends_it(applied: Settings) -> None:
    async with going(applied, "request", "tail", "--hook", hook_id(8), "-o", "table") as tail:
        assert (await tail.line()).split() == COLUMNS
        assert "following" in await tail.said()
        await published(applied, *logged(outcome(200, 7, ago_ms=48 * HOUR_MS), failed(201, 8, ago_ms=48 * HOUR_MS)))
        assert (await tail.line()).split()[2:6] == [hook_id(8), "Error", "exhausted", "timeout"]
        assert await tail.interrupted() == (130, "")


async def test_what_the_commands_make_goes_through_the_line_and_is_seen_by_the_commands(
    settings: Settings, tmp_path: Path
) -> None:
    """A hook made and an event published by command: it arrives signed with the key shown, and is accounted for."""
    async with Receiver() as receiver, line(settings, tmp_path), going(settings, "request", "tail") as tail:
        await tail.said()

        async def command(*words: str, given: str = "") -> Ran:
            return await asyncio.to_thread(hookline, settings, *words, given=given)

        (hook,) = rows(await command("hook", "create", "--url", receiver.url, "--events", "User.*"))
        sample = await command("event", "sample", "User.Created")
        assert (await command("event", "publish", "--event-id", "e1", given=sample.stdout)).returncode == 0
        (request,) = await receiver.arrived(1, within_s=40)
        signature = request.header(signing.LOGTO_SIGNATURE)
        assert signing.verify_logto([hook["signingKey"]], signature, request.body).word == "valid"
        live = orjson.loads(await tail.line())
        assert (live["hookId"], live["eventId"], live["status"]) == (hook["id"], "e1", "delivered")
        assert live["id"] == request.header(signing.WEBHOOK_ID)
        assert rows(await command("request", "list")) == [live]


def test_without_topics_the_exit_code_is_1(settings: Settings) -> None:
    ran = hookline(settings, "request", "list")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "`hookline topic apply`" in ran.stderr


def test_without_a_broker_the_exit_code_is_3() -> None:
    with nobody() as settings:
        ran = hookline(settings, "request", "tail")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("hookline: no Kafka broker answers at 127.0.0.1:")
