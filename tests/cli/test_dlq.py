"""`hookline dlq`, run as people run it: what nobody could read, why, and back on its topic once that is mended."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from msgspec import structs

from streams.cli.dlq_rows import ADVICE
from streams.core import deadletters
from streams.core.records import Coordinates, DeadLetter, Incoming, Outgoing, Reason
from streams.kafka import topics
from streams.settings import Settings
from streams.web.receiver import Receiver
from tests.cli.commands import hookline, nobody, publish, read, rows
from tests.line import KEY, hook, hook_id, line

NOW = 1_790_000_000_000
COLUMNS = ["place", "failed", "reason", "bytes", "source", "detail"]
URL = "http://127.0.0.1:9/hooks"


def letter(
    settings: Settings, reason: Reason, value: bytes | None, topic: str = "identity.user", **fields: Any
) -> Outgoing:
    """A dead letter as the roles write them."""
    offset, headers, at_ms = fields.pop("offset", 7), fields.pop("headers", (("x", b"\xff"),)), fields.pop("at_ms", NOW)
    at = Coordinates(settings.topic_prefix + topic, fields.pop("partition", 1), offset)
    original = Incoming(at=at, key=fields.pop("key", b"u1"), value=value, headers=headers)
    return deadletters.bury(DeadLetter(reason=reason, detail=f"because {offset}", original=original), at_ms)


@pytest.fixture(scope="module")
def letters(applied: Settings) -> Settings:
    """Five dead letters and a record that is none, at offsets 0 to 5."""
    refused = orjson.dumps(hook(1, URL, ["Nope"]))
    publish(
        applied,
        letter(applied, "not-json", b"\xff\x00", offset=0, at_ms=NOW - 5),
        letter(applied, "unknown-event", b'{"event":"Parcel.Sent"}', offset=1, key=b"\x1b[2J"),
        Outgoing(topic=topics.DEAD_LETTERS, key=None, value=b"{}"),
        letter(applied, "bad-hook", refused, topics.CONFIG, offset=0, key=hook_id(1).encode(), partition=0, headers=()),
        letter(applied, "bad-job", None, topics.DELIVERIES, offset=4),
        letter(applied, "too-large", b"x" * (deadletters.VALUE_BYTES_MAX + 1), offset=5),
    )
    return applied


def places(settings: Settings, *words: str) -> list[str]:
    return [row["place"] for row in rows(hookline(settings, "dlq", "list", *words))]


def test_list_has_the_newest_first_with_all_but_the_payload(letters: Settings) -> None:
    ran = hookline(letters, "dlq", "list")
    assert [row["place"] for row in rows(ran)] == ["0/5", "0/4", "0/3", "0/1", "0/0"]
    assert rows(ran)[3] == {
        "place": "0/1",
        "failedAt": NOW,
        "reason": "unknown-event",
        "source": f"{letters.topic_prefix}identity.user/1/1",
        "bytes": 23,
        "detail": "because 1",
    }
    assert "that are no dead letters: 1" in ran.stderr


def test_list_shows_only_what_all_filters_let_through(letters: Settings) -> None:
    assert places(letters, "--reason", "unknown-event") == ["0/1"]
    assert places(letters, "--topic", topics.CONFIG) == ["0/3"]
    assert places(letters, "--limit", "2") == ["0/5", "0/4"]
    assert places(letters, "--since", "2026-09-21T14:13:20Z", "--topic", "identity.user") == ["0/5", "0/1"]
    assert "no dead letter fits" in hookline(letters, "dlq", "list", "--reason", "bad-tenant").stderr


def test_a_table_has_one_line_each(letters: Settings) -> None:
    heading, *lines = hookline(letters, "dlq", "list", "-o", "table").stdout.splitlines()
    assert heading.split() == COLUMNS
    assert lines[0].split()[:4] == ["0/5", "2026-09-21T14:13:20.000Z", "too-large", str(deadletters.VALUE_BYTES_MAX)]


def test_get_prints_the_original_as_text_or_as_base64_with_what_to_do_next(letters: Settings) -> None:
    (text,) = rows(hookline(letters, "dlq", "get", "1"))
    assert (text["value"], text["key"]) == ('{"event":"Parcel.Sent"}', "\x1b[2J")
    assert "HOOKLINE_EXTRA_EVENTS" in text["next"]
    (odd,) = rows(hookline(letters, "dlq", "get", "0/0"))
    assert (odd["valueBase64"], odd["headers"]) == ("/wA=", [{"name": "x", "valueBase64": "/w=="}])
    assert rows(hookline(letters, "dlq", "get", "4"))[0]["value"] is None
    assert rows(hookline(letters, "dlq", "get", "5"))[0]["truncatedFrom"] > deadletters.VALUE_BYTES_MAX
    assert "\x1b" not in hookline(letters, "dlq", "get", "1", "-o", "table").stdout


def test_get_shows_a_hook_record_which_holds_secrets_only_when_asked(letters: Settings) -> None:
    for output in ("json", "table"):
        ran = hookline(letters, "dlq", "get", "3", "-o", output)
        assert ran.returncode == 0
        assert KEY not in ran.stdout + ran.stderr
    assert KEY in hookline(letters, "dlq", "get", "3", "--reveal").stdout


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_has_something_to_do_next(reason: Reason) -> None:
    assert ADVICE[reason].endswith(".")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("get", "x/y"), 2),
        (("get", "99"), 4),
        (("get", "2"), 4),
        (("get", "7/0"), 4),
        (("replay", "--yes"), 2),
        (("replay", "1", "--reason", "not-json", "--yes"), 2),
        (("replay", "1"), 2),
        (("replay", "99", "--yes"), 4),
        (("list", "--reason", "bored"), 2),
    ],
)
def test_what_makes_no_sense_is_refused(letters: Settings, words: Sequence[str], code: int) -> None:
    ran = hookline(letters, "dlq", *words)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert "Traceback" not in ran.stderr


# Putting back


def originals(settings: Settings, topic: str = "identity.user") -> list[Incoming]:
    return read(settings, topic)


def test_on_trial_it_says_what_would_go_and_what_would_be_refused_again(letters: Settings) -> None:
    before = len(originals(letters))
    ran = hookline(letters, "dlq", "replay", "0", "1", "5", "--dry-run")
    (found,) = rows(ran)
    assert (found["dryRun"], found["chosen"], found["sent"]) == (True, 3, 0)
    assert found["refusedAgain"]["0/0"] == "not-json: byte 0 is not UTF-8"
    assert list(found["kept"]) == ["0/5"]
    assert "1 would be refused again: unknown-event" in ran.stderr
    assert len(originals(letters)) == before


def test_the_originals_key_bytes_and_headers_go_back_to_their_partition_and_nothing_else(letters: Settings) -> None:
    before = {record.at for record in originals(letters)}
    ran = hookline(letters, "dlq", "replay", "--topic", "identity.user", "--reason", "not-json", "--yes")
    assert rows(ran)[0]["sent"] == 1
    (back,) = [record for record in originals(letters) if record.at not in before]
    assert (back.key, back.value, back.headers, back.at.partition) == (b"u1", b"\xff\x00", (("x", b"\xff"),), 1)


def test_what_must_stay_is_named_and_the_rest_goes(letters: Settings) -> None:
    before = len(originals(letters))
    ran = hookline(letters, "dlq", "replay", "0", "3", "5", "--yes", "-o", "json")
    found = orjson.loads(ran.stdout)
    assert (ran.returncode, found["sent"], sorted(found["kept"])) == (1, 1, ["0/3", "0/5"])
    assert len(originals(letters)) == before + 1


def test_it_asks_on_a_terminal_and_a_no_sends_nothing(letters: Settings) -> None:
    before = len(originals(letters))
    ran = hookline(letters, "dlq", "replay", "0", typed="n\n")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Put them back? [y/N]" in ran.stderr
    assert len(originals(letters)) == before


def test_a_hook_record_goes_back_once_the_rules_allow_it_and_not_twice(settings: Settings, applied: Settings) -> None:
    """The second time it would take the place of a later record: the one that was put back."""
    record = orjson.dumps(hook(2, URL))
    key = hook_id(2).encode()
    publish(applied, Outgoing(topic=topics.CONFIG, key=key, value=record))
    refused = next(one for one in read(applied, topics.CONFIG) if one.key == key)
    publish(applied, letter(applied, "bad-hook", record, topics.CONFIG, offset=refused.at.offset, partition=0, key=key))
    (place,) = places(applied, "--topic", topics.CONFIG, "--limit", "1")
    closed = structs.replace(applied, allow_networks=())
    ran = hookline(closed, "dlq", "replay", place, "--yes")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert f"{place}: bad-hook: config.url" in ran.stderr
    assert rows(hookline(applied, "dlq", "replay", place, "--yes"))[0]["sent"] == 1
    again = [one for one in read(applied, topics.CONFIG) if one.key == key]
    assert [one.value for one in again] == [record, record]
    ran = hookline(applied, "dlq", "replay", place, "--yes")
    assert (ran.returncode, "the hook has a later record" in ran.stderr) == (4, True)


async def test_an_event_that_was_not_declared_arrives_once_it_is_and_its_dead_letter_is_put_back(
    settings: Settings, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        async with line(settings, tmp_path) as the:
            await the.put(hook(1, receiver.url))
            await the.publish("identity.user", b'{"event":"Parcel.Sent","createdAt":"x"}', event_id="e1")
            await the.dead_letters(1)
        mended = structs.replace(settings, extra_events={"Parcel.Sent": "identity.user"})
        async with line(mended, tmp_path) as the:
            words = ("dlq", "replay", "--reason", "unknown-event", "--since", "1h", "--yes")
            (found,) = rows(await asyncio.to_thread(hookline, mended, *words))
            assert (found["sent"], found["refusedAgain"]) == (1, {})
            (request,) = await receiver.arrived(1, within_s=60)
            assert request.body.startswith(b'{"event":"Parcel.Sent"')
            assert (await the.outcomes(1))[0].event_id == "e1"
            assert len(await the.dead_letters(1)) == 1


def test_without_topics_the_exit_code_is_1_and_without_a_broker_3(settings: Settings) -> None:
    assert hookline(settings, "dlq", "list").returncode == 1
    with nobody() as nowhere:
        assert hookline(nowhere, "dlq", "list").returncode == 3
