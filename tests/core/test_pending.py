"""Records of `hooks.retries`: a job that waits comes back as it was, and a wrong clock strands none (CONTRACT 2, 4)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import pending
from streams.core.pending import Item
from streams.core.records import Attempt, Coordinates, Incoming, Job, Outgoing
from tests.core.building import HOOK_ID, NOW, job

MINUTES_10 = 600_000
MS = st.integers(0, 2**48)
TEXT = st.text(st.characters(codec="utf-8"))
ATTEMPTS = st.lists(
    st.builds(Attempt, at=MS, ms=MS, status=st.none() | st.integers(100, 999), error=st.none() | TEXT), max_size=21
)
JOBS = st.builds(
    Job,
    delivery_id=TEXT,
    hook_id=TEXT,
    tenant=TEXT,
    event=TEXT,
    event_id=TEXT,
    event_at=MS,
    body=TEXT.map(str.encode),
    source=st.builds(Coordinates, TEXT, st.integers(0, 99), MS),
    hook_version=st.tuples(st.integers(0, 99), MS),
    at=st.builds(Coordinates, TEXT, st.integers(0, 99), MS),
    event_key=st.none() | st.binary(),
    traceparent=st.none() | TEXT,
    replay=st.none() | TEXT,
    sequence=st.none() | MS,
)


def item_of(job: Job, due: int = NOW) -> Item:
    return Item(job.delivery_id, job.hook_id, job.at.partition, job.at.offset, NOW, due)


def stored(record: Outgoing, offset: int = 12) -> Incoming:
    """The record as it lies on the topic."""
    assert record.partition is not None
    at = Coordinates(record.topic, record.partition, offset)
    return Incoming(at=at, key=record.key, value=record.value)


def indexed(due: int, written_at: int, read_at: int, hold_until: int = 0) -> tuple[Item, int]:
    return pending.index(stored(pending.put(job(), item_of(job(), due), [], written_at, hold_until)), read_at)


@given(JOBS, ATTEMPTS, MS, MS)
def test_a_job_that_waited_is_the_job_it_was_with_every_attempt(
    waiting: Job, history: list[Attempt], due: int, now: int
) -> None:
    record = pending.put(waiting, item_of(waiting, due), history, now)
    assert pending.read(stored(record)) == (waiting, history)


@given(JOBS, ATTEMPTS, MS)
def test_memory_keeps_what_the_record_says(waiting: Job, history: list[Attempt], due: int) -> None:
    record = stored(pending.put(waiting, item_of(waiting, due), history, 0))
    item, hold_until = pending.index(record, NOW)
    assert (item.id, item.hook_id, item.line) == (waiting.delivery_id, waiting.hook_id, waiting.event_key)
    assert (item.partition, item.offset, item.place) == (waiting.at.partition, waiting.at.offset, record.at.offset)
    assert (item.due, item.since, hold_until) == (due, due, 0)
    assert (item.attempts, item.began) == (len(history), history[0].at if history else 0)
    assert item.job is None


def test_the_record_lies_under_the_delivery_id_in_the_partition_of_its_job() -> None:
    record = pending.put(job(), item_of(job()), [], NOW)
    assert (record.topic, record.key, record.partition) == ("hooks.retries", b"msg_1", 1)


def test_the_null_that_settles_it_has_the_same_key_and_partition() -> None:
    record = pending.settle(item_of(job()))
    assert record == Outgoing(topic="hooks.retries", key=b"msg_1", value=None, partition=1)


def test_the_body_is_text_in_the_record_and_a_binary_key_is_base64() -> None:
    record = pending.put(
        job(body='{"name":"Åsa 🙂"}'.encode(), event_key=b"\xff\x00"), item_of(job(), NOW + 5), [], NOW
    )
    assert record.value is not None
    fields = json.loads(record.value)
    assert (fields["body"], fields["eventKey"], fields["waitMs"]) == ('{"name":"Åsa 🙂"}', "/wA=", 5)
    assert not {"attempts", "holdUntil", "traceparent", "replay", "sequence"} & fields.keys()


# Clocks


@pytest.mark.parametrize("ahead", [0, MINUTES_10])
@pytest.mark.parametrize("wait", [0, 1, 5000])
def test_no_wait_is_longer_than_was_asked_for_when_the_writers_clock_is_ahead(ahead: int, wait: int) -> None:
    item, _ = indexed(NOW + ahead + wait, written_at=NOW + ahead, read_at=NOW)
    assert item.due == NOW + wait


def test_a_due_time_of_a_clock_that_is_behind_is_taken_as_it_is() -> None:
    item, _ = indexed(NOW - MINUTES_10 + 5000, written_at=NOW - MINUTES_10, read_at=NOW)
    assert item.due == NOW - MINUTES_10 + 5000


@pytest.mark.parametrize(("read_after", "due_in"), [(0, 5000), (4999, 1), (5000, 0), (60_000, -55_000)])
def test_a_wait_goes_on_where_it_was_and_does_not_begin_again(read_after: int, due_in: int) -> None:
    item, _ = indexed(NOW + 5000, written_at=NOW, read_at=NOW + read_after)
    assert item.due == NOW + read_after + due_in


def test_a_job_that_was_due_when_it_was_parked_waits_for_nothing() -> None:
    assert indexed(NOW - 7, written_at=NOW, read_at=NOW + 1)[0].due == NOW - 7


def test_a_hold_is_read_back_and_is_no_longer_than_the_wait() -> None:
    assert indexed(NOW + 9000, NOW, NOW, hold_until=NOW + 8000)[1] == NOW + 8000
    assert indexed(NOW + MINUTES_10 + 9000, NOW + MINUTES_10, NOW, hold_until=NOW + MINUTES_10 + 9000)[1] == NOW + 9000


# What is no job


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"{}", b"\xff", b'{"id":1}'])
def test_what_is_no_pending_job_is_refused_by_both_readers(value: bytes | None) -> None:
    record = Incoming(at=Coordinates("hooks.retries", 1, 0), key=b"msg_1", value=value)
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        pending.read(record)
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        pending.index(record, NOW)


BAD: list[dict[str, Any]] = [{"dueAt": -1}, {"waitMs": "1"}, {"job": ["t", 1]}, {"attempts": [{}]}, {"id": None}]


@pytest.mark.parametrize("change", BAD)
def test_a_record_with_a_wrong_member_that_memory_needs_is_refused_by_both_readers(change: dict[str, Any]) -> None:
    good = pending.put(job(), item_of(job()), [], NOW)
    assert good.value is not None
    value = json.dumps(json.loads(good.value) | change).encode()
    bad = Incoming(at=Coordinates("hooks.retries", 1, 0), key=good.key, value=value)
    with pytest.raises(msgspec.MsgspecError):
        pending.read(bad)
    with pytest.raises(msgspec.MsgspecError):
        pending.index(bad, NOW)


def test_members_that_came_later_are_passed_over() -> None:
    good = pending.put(job(), item_of(job()), [], NOW)
    assert good.value is not None
    more = Incoming(
        at=Coordinates("hooks.retries", 1, 12), key=good.key, value=good.value[:-1] + b',"later":{"a":[1]}}'
    )
    assert pending.read(more)[0] == job()
    assert pending.index(more, NOW)[0].hook_id == HOOK_ID


# Order


def test_items_sort_by_due_time_then_by_place_in_line() -> None:
    def made(due: int, offset: int) -> Item:
        return Item("m", HOOK_ID, 0, offset, NOW, due)

    first, second, third = made(1, 9), made(2, 3), made(2, 4)
    assert sorted([third, first, second]) == [first, second, third]
