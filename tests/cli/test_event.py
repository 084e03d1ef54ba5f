"""`hookline event`, run as people run it: what is published, what is refused, what a sample is, and who sees what."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from streams.cli.event_publish import CHUNK
from streams.core.catalogue import EVENTS, OPERATIONAL
from streams.core.records import Outgoing
from streams.settings import Settings
from tests.cli.commands import going, hookline, nobody, published, read, rows
from tests.line import environment

EVENT = '{"event": "User.Created", "data": {"id": "u1", "n": 1.0}}'


def test_an_event_goes_to_its_topic_byte_for_byte_under_the_id_it_is_about(applied: Settings) -> None:
    ran = hookline(applied, "event", "publish", "--event-id", "e1", "--tenant", "acme", given=EVENT + "\n")
    (row,) = rows(ran)
    assert row["topic"] == applied.topic_prefix + "identity.user"
    assert (row["event"], row["key"]) == ("User.Created", "u1")
    (record,) = [r for r in read(applied, "identity.user") if tuple(r.at) == tuple(row.values())[:3]]
    assert (record.key, record.value) == (b"u1", EVENT.encode())
    assert record.headers == (("event-id", b"e1"), ("tenant-id", b"acme"))
    assert "1 of 1 events are acknowledged" in ran.stderr


def test_lines_are_events_of_their_own_with_keys_and_topics_of_their_own(applied: Settings) -> None:
    found = rows(hookline(applied, "event", "publish", given=f'{EVENT}\n\n{{"event":"Role.Deleted","roleId":"r1"}}\n'))
    assert [(row["event"], row["key"]) for row in found] == [("User.Created", "u1"), ("Role.Deleted", "r1")]
    assert found[1]["topic"] == applied.topic_prefix + "identity.role"


def test_an_indented_object_is_one_event_and_a_key_may_be_given(applied: Settings, tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(orjson.dumps(orjson.loads(EVENT), option=orjson.OPT_INDENT_2))
    ran = hookline(applied, "event", "publish", str(path), "--key", "k1", "-o", "json")
    assert [row["key"] for row in orjson.loads(ran.stdout)] == ["k1"]


def test_one_refused_event_keeps_all_from_being_sent_and_every_reason_is_told(applied: Settings) -> None:
    before = len(read(applied, "identity.user"))
    bad = '{"event": "User.Created", "hookId": "h"}\n{"event": "Nope"}\n{"no": 1}\nnot json'
    ran = hookline(applied, "event", "publish", given=f"{EVENT}\n{bad}\n")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "4 of 5 refused, nothing was sent" in ran.stderr
    for number, reason in enumerate(("reserved-field", "unknown-event", "missing-event", "not-json"), 2):
        assert f"event {number}: {reason}: " in ran.stderr
    assert len(read(applied, "identity.user")) == before


def test_an_event_on_a_topic_that_is_not_its_own_is_refused(applied: Settings) -> None:
    ran = hookline(applied, "event", "publish", "--topic", "identity.role", given=EVENT)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "wrong-topic: User.Created belongs to identity.user" in ran.stderr


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_an_event_about_a_hook_is_hooklines_to_write_and_nobody_elses(
    applied: Settings, force: tuple[str, ...]
) -> None:
    sampled = hookline(applied, "event", "sample", "Hook.Disabled").stdout
    ran = hookline(applied, "event", "publish", *force, given=sampled)
    assert (ran.returncode, ran.stdout) == (4, "")
    words = "names no topic that may be written to" if force else "wrong-topic: Hook.Disabled belongs to hooks."
    assert words in ran.stderr
    assert read(applied, "hooks.operations") == []


def test_force_sends_what_the_router_will_refuse_and_says_why_it_will(applied: Settings) -> None:
    ran = hookline(applied, "event", "publish", "--force", "--topic", "identity.role", given="{")
    (row,) = rows(ran)
    assert row["topic"] == applied.topic_prefix + "identity.role"
    assert "the router will refuse event 1: not-json" in ran.stderr
    assert b"{" in [record.value for record in read(applied, "identity.role")]


def test_force_needs_a_topic_where_the_event_says_none(applied: Settings) -> None:
    ran = hookline(applied, "event", "publish", "--force", given="{}")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "--topic" in ran.stderr


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("--event-id", "e1"), f"{EVENT}\n{EVENT}"),
        (("--event-id", "with space"), EVENT),
        (("--tenant", "t" * 129), EVENT),
    ],
)
def test_what_the_router_would_not_take_as_it_is_is_exit_code_4(words: tuple[str, ...], given: str) -> None:
    ran = hookline(Settings(), "event", "publish", *words, given=given)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "Traceback" not in ran.stderr


def test_many_events_show_progress_on_a_terminal_and_nothing_of_it_in_a_pipe(applied: Settings) -> None:
    text = f"{EVENT}\n" * (CHUNK + 1)
    quiet = hookline(applied, "event", "publish", given=text)
    assert len(rows(quiet)) == CHUNK + 1
    assert quiet.stderr == f"{CHUNK + 1} of {CHUNK + 1} events are acknowledged\n"
    outer, inner = os.openpty()
    try:
        command = [sys.executable, "-m", "streams", "event", "publish"]
        environ = environment(applied) | {"TERM": "xterm"}
        subprocess.run(
            command, env=environ, input=text.encode(), stdout=subprocess.DEVNULL, stderr=inner, timeout=60, check=True
        )
        assert f"{CHUNK + 1}/{CHUNK + 1}".encode() in os.read(outer, 65536)
    finally:
        os.close(outer)
        os.close(inner)


def test_a_sample_is_the_same_for_the_same_seed_and_goes_straight_into_publish(applied: Settings) -> None:
    first, again = (hookline(applied, "event", "sample", "PostSignIn", "--seed", "7", "--count", "2") for _ in "ab")
    people = [[row["user"]["id"] for row in rows(ran)] for ran in (first, again)]
    assert people[0] == people[1]
    assert people[0][0] != people[0][1]
    found = rows(hookline(applied, "event", "publish", given=first.stdout))
    assert [row["key"] for row in found] == people[0]


def test_the_list_of_samples_has_every_event_with_its_topic() -> None:
    found = rows(hookline(Settings(), "event", "sample", "--list"))
    assert {row["event"]: row["topic"] for row in found} == EVENTS | OPERATIONAL


@pytest.mark.parametrize(("words", "code"), [(("User.Nope",), 4), ((), 2)])
def test_a_sample_of_no_event_is_refused(words: tuple[str, ...], code: int) -> None:
    ran = hookline(Settings(), "event", "sample", *words)
    assert (ran.returncode, ran.stdout) == (code, "")


async def test_tail_shows_what_arrives_while_it_looks_and_ends_after_its_limit(applied: Settings) -> None:
    async with going(applied, "event", "tail", "--topic", "identity.permission", "--limit", "2") as tail:
        assert "following" in await tail.said()
        await published(
            applied,
            Outgoing(topic="identity.permission", key=b"s1", value=b'{"event":"Scope.Deleted"}', partition=0),
            Outgoing(topic="identity.permission", key=None, value=b"secret", partition=0),
        )
        first, second = orjson.loads(await tail.line()), orjson.loads(await tail.line())
        assert await tail.process.wait() == 0
    assert (first["event"], first["key"], first["refused"], first["offset"]) == ("Scope.Deleted", "s1", None, 0)
    assert first["topic"] == applied.topic_prefix + "identity.permission"
    assert (second["event"], second["key"], second["refused"]) == (None, None, "not-json")
    assert "secret" not in str(second)


def test_tail_from_the_beginning_shows_what_is_there_in_columns(applied: Settings) -> None:
    value = b'{"event":"Organization.Created","data":{"id":"o1"}}'
    hookline(applied, "event", "publish", given=value.decode())
    words = ("--from-beginning", "--limit", "1", "--topic", "identity.organization", "-o", "table")
    heading, line = hookline(applied, "event", "tail", *words).stdout.splitlines()
    assert heading.split() == ["time", "topic", "partition", "offset", "event", "refused", "key"]
    assert line.split()[4:] == ["Organization.Created", "-", "o1"]


async def test_tail_shows_what_happens_to_hooks_too(applied: Settings) -> None:
    async with going(applied, "event", "tail", "--limit", "1") as tail:
        assert "following" in await tail.said()
        value = b'{"event":"Hook.Failing","createdAt":"x","data":{"hookId":"h1"}}'
        await published(applied, Outgoing(topic="hooks.operations", key=b"h1", value=value))
        row = orjson.loads(await tail.line())
        assert await tail.process.wait() == 0
    assert (row["event"], row["key"], row["refused"]) == ("Hook.Failing", "h1", None)


async def test_ctrl_c_ends_a_tail_quietly(applied: Settings) -> None:
    async with going(applied, "event", "tail") as tail:
        await tail.said()
        assert await tail.interrupted() == (130, "")


def test_without_topics_nothing_is_sent_and_the_exit_code_is_1(settings: Settings) -> None:
    ran = hookline(settings, "event", "publish", given=EVENT)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "`hookline topic apply`" in ran.stderr


def test_without_a_broker_the_exit_code_is_3() -> None:
    with nobody() as settings:
        ran = hookline(settings, "event", "publish", given=EVENT)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "hookline: no Kafka broker answers at 127.0.0.1:" in ran.stderr
