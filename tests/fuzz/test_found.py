"""Input that something once could not take, each beside what went wrong; and what a refusal must never hold."""

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from streams.core import health, pending
from streams.core.health import AHEAD, BUCKET_MS
from streams.core.hooks import EVENTS_MAX
from streams.core.records import BODY_BYTES_MAX, DeadLetter, Outcome
from streams.kafka import admin
from streams.kafka.publisher import publisher
from streams.settings import Settings
from tests.core.building import HOOK_ID, KEY, NOW, hook_fields, incoming, job, known, outcome
from tests.fuzz.door import KIB, MIB, parts
from tests.fuzz.doors import DOORS
from tests.fuzz.kafka_doors import JOB, OUTCOMES, RULES, WAIT, _report
from tests.fuzz.mutating import mutated_json

SECRET = "tHeSeCrEtOfThIsHook0123456789abcd"
ODD = {"x-odd": SECRET + "\n", "x-long": SECRET * 40}
"""Header values that are refused themselves."""

HUGE = b"1" + b"0" * 400
ENDED = OUTCOMES[1].decode()


def waiting(name: bytes, number: bytes) -> bytes:
    """A pending job with other numbers."""
    assert WAIT is not None
    fields = msgspec.json.decode(WAIT, type=dict[str, msgspec.Raw]) | {name.decode(): msgspec.Raw(number)}
    return parts(msgspec.json.encode(fields | {"waitMs": msgspec.Raw(number)}), b"msg_1")


def state(bucket: str) -> bytes:
    """A report that goes on from this bucket."""
    found = msgspec.json.decode(_report(), type=dict[str, msgspec.Raw])
    return msgspec.json.encode(found | {"state": msgspec.Raw(b'{"buckets":[' + bucket.encode() + b"]}")})


NOW_BUCKET = NOW // BUCKET_MS
FOUND = {
    "a commit of 4,301 digits: Python refuses to read them": ("commit metadata", b"9" * 5000),
    "a setting of 5,000 digits": ("settings, TOML", b"drain_s = " + b"9" * 5000),
    "a setting of 5,000 digits in hexadecimal: Python refuses to print them": (
        "settings, TOML", b"topic_partitions = 0x" + b"f" * 5000
    ),
    "a setting nested 5,000 levels": ("settings, TOML", b"a = " + b"[" * 5000),
    "a bookmark nested 2,000 levels": ("bookmark", b'{"x":' + b"[" * 2000),
    "a piped name that is not UTF-8": ("piped into commands", b'{"\xff":1}'),
    "a piped id that is not UTF-8": ("piped into commands", b'{"id":"\xff"}\n{"id":"\xff"}'),
    "a received event that is not UTF-8": ("signature headers", b'{"event":"\xff"}'),
    "a received event nested 2,000 levels": ("signature headers", b'{"x":' + b"[" * 2000),
    "a checked record that is not UTF-8": ("schema check", b'{"id":"\xff"}'),
    "a checked record nested 2,000 levels": ("schema check", b'{"x":' + b"[" * 2000),
    "a shown report that is not UTF-8": ("report", b'{"hookId":"\xff"}'),
    "a shown outcome that is not UTF-8": ("outcome", b'{"id":"\xff"}'),
    "a latency beyond the last": ("report", state(f'[{NOW_BUCKET},1,0,0,{{}},{{"99":1}}]')),
    "more successes than a float can hold": ("report", state(f"[{NOW_BUCKET},{HUGE.decode()},1,0,{{}},{{}}]")),
    "an error that fills the report": (
        "outcome", ENDED.replace("It failed.", "x" * 600 * KIB).encode()
    ),
    "an event's name that fills what is told": ("outcome", ENDED.replace("User.Created", "x" * 600 * KIB).encode()),
    "a time that no float can hold": ("pending job", waiting(b"dueAt", HUGE)),
    "a hold that no float can hold": ("pending job", waiting(b"holdUntil", HUGE)),
    "a trace of several lines, which would be a header": ("job", JOB[:-8] + b"\r\nx-a: b"),
    "a key that fills the pending job": ("job", JOB.replace(b"event-key\x1eu1", b"event-key\x1e" + b"k" * MIB)),
    "a sequence of more than an offset's digits": ("job", JOB.replace(b"\x1e7\x1e", b"\x1e" + b"9" * 19 + b"\x1e")),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_once_could_not_be_taken_is_refused(name: str) -> None:
    door, data = FOUND[name]
    assert len(data) <= DOORS[door].size + MIB
    assert DOORS[door].enter(data) is False


def test_outcomes_from_the_far_future_do_not_stay_in_the_report() -> None:
    """Nor do they hide what is counted now: a rate is of the 24 hours that end with the newest bucket."""
    window = health.Window()
    times = [NOW + ahead * BUCKET_MS for ahead in (0, AHEAD, AHEAD + 1, 10_000)]
    for offset, at in enumerate(times):
        window.take(outcome(created_at=at), offset)
    assert window.drop_older(NOW)
    assert [bucket.index - NOW_BUCKET for bucket in window.buckets] == [0, AHEAD]


def test_a_class_of_error_that_nobody_knows_counts_as_a_protocol_error() -> None:
    made = msgspec.json.decode(ENDED.replace('"status":200', '"error":"a-new-one"'), type=Outcome)
    window = health.Window()
    window.take(made, 0)
    assert health.report(known().hook, window, NOW).by_class == {"protocol": 1}


async def test_the_longest_body_of_quotes_alone_can_wait(settings: Settings) -> None:
    """As JSON text each of its bytes takes two: with the limit of other topics it could never have been written."""
    await admin.apply(settings)
    text = b'{"event":"User.Created","x":"'
    body = text + b'\\"' * ((BODY_BYTES_MAX - len(text) - 2) // 2) + b'"}'
    one = job(body=body, event_key=b"k" * 256)
    record = pending.put(one, pending.Item("msg_1", HOOK_ID, 0, 0, NOW, due=NOW), [], NOW)
    assert len(record.value or b"") > 2 * MIB
    async with publisher(settings) as out:
        (at,) = await out.publish([structs.replace(record, partition=0)])
    assert at.offset == 0


@settings(max_examples=150, deadline=None)
@given(dice=st.randoms(use_true_random=False), changes=st.integers(1, 3))
def test_no_refusal_of_a_hook_record_holds_a_secret_of_it(dice: Random, changes: int) -> None:
    secrets = {"signingKey": SECRET, "retiredKeys": [{"signingKey": SECRET, "until": NOW}]}
    config = {
        "url": "https://a.example/",
        "headers": {"authorization": SECRET, "x-\n": SECRET, "cookie": SECRET, **ODD},
    }
    data = msgspec.json.encode(hook_fields(config=config, events=["Nope"] * (EVENTS_MAX + 1), **secrets))
    for _ in range(changes):
        data = mutated_json(data, dice) or data
    found = RULES.read(incoming(data, "hooks.config", key=HOOK_ID.encode()))
    assert isinstance(found, DeadLetter)
    assert SECRET not in found.detail
    assert KEY not in found.detail
