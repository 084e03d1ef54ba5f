"""Jobs as records of `hooks.deliveries`: frozen when made, and read back whole or refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from streams.core import ids, jobs
from streams.core.jobs import FORMS, KEY_BYTES_MAX, MARKS, REQUIRED
from streams.core.records import Coordinates, DeadLetter, Event, Incoming, Job, Outgoing
from tests.core.building import HOOK_ID, NOW, accepted, incoming, known

AT = Coordinates("p.hooks.deliveries", 2, 40)


def event(key: bytes | None = b"u1", **headers: bytes) -> Event:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return accepted(incoming(b'{"event":"User.Created","createdAt":"x","n":1.0}', key=key, headers=names))


def landed(record: Outgoing) -> Incoming:
    """The record as its consumer gets it."""
    return Incoming(at=AT, key=record.key, value=record.value, headers=record.headers, timestamp=NOW + 9)


def changed(**headers: bytes | None) -> Incoming:
    """A good job's record, with headers replaced or (None) left out."""
    good = jobs.make(event(), known())
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = [(name, names.get(name, value)) for name, value in good.headers]
    given_headers = tuple((name, value) for name, value in kept if value is not None)
    return Incoming(at=AT, key=good.key, value=good.value, headers=given_headers)


def test_a_job_is_the_exact_body_under_the_hooks_id_and_the_rest_in_headers() -> None:
    record = jobs.make(event(event_id=b"e1", tenant_id=b"acme", traceparent=b"00-1-2-01"), known((1, 5)))
    assert record == Outgoing(
        topic="hooks.deliveries",
        key=HOOK_ID.encode(),
        value=b'{"event":"User.Created","createdAt":"x","n":1.0,"hookId":"abcdefghijklmnopqrstu"}',
        headers=(
            ("delivery-id", ids.delivery_id("e1", HOOK_ID).encode()),
            ("tenant-id", b"acme"),
            ("event", b"User.Created"),
            ("event-id", b"e1"),
            ("event-at", b"1790000000000"),
            ("source", b"identity.user/3/7"),
            ("hook-version", b"1/5"),
            ("event-key", b"u1"),
            ("traceparent", b"00-1-2-01"),
        ),
    )


def test_a_job_is_read_back_as_it_was_made() -> None:
    made = jobs.make(event(event_id=b"e1", tenant_id=b"acme", traceparent=b"00-1-2-01"), known((1, 5)))
    assert jobs.read(landed(made)) == Job(
        delivery_id=ids.delivery_id("e1", HOOK_ID),
        hook_id=HOOK_ID,
        tenant="acme",
        event="User.Created",
        event_id="e1",
        event_at=NOW,
        body=made.value or b"",
        source=Coordinates("identity.user", 3, 7),
        hook_version=(1, 5),
        at=AT,
        event_key=b"u1",
        traceparent="00-1-2-01",
    )


def test_what_the_event_did_not_have_the_job_does_not_have() -> None:
    found = jobs.read(landed(jobs.make(event(key=None), known())))
    assert isinstance(found, Job)
    assert (found.event_key, found.traceparent) == (None, None)


@given(
    st.binary(max_size=300),
    st.binary(max_size=140),
    st.text("abz09-", min_size=1, max_size=21),
    st.binary(max_size=140),
)
def test_every_accepted_event_makes_a_readable_job(key: bytes, given_id: bytes, tenant: str, trace: bytes) -> None:
    one = event(key=key, event_id=given_id, tenant_id=tenant.encode(), traceparent=trace)
    found = jobs.read(landed(jobs.make(one, known((11, 2**60)))))
    assert isinstance(found, Job)
    assert (found.event_id, found.tenant, found.traceparent) == (one.id, one.tenant, one.traceparent)
    assert (found.source, found.hook_version, found.event_at) == (one.source, (11, 2**60), one.at)


def test_a_long_event_key_travels_as_its_digest_so_that_the_job_fits_its_topic() -> None:
    def header(key: bytes) -> bytes:
        return dict(jobs.make(event(key=key), known()).headers)["event-key"]

    assert header(b"k" * KEY_BYTES_MAX) == b"k" * KEY_BYTES_MAX
    assert len(header(b"k" * (KEY_BYTES_MAX + 1))) == 32
    assert header(b"k" * 10_000) == header(b"k" * 10_000)
    assert header(b"k" * 10_000) != header(b"k" * 10_001)


def test_the_delivery_id_is_the_same_for_a_record_read_again_and_for_a_hook_changed_meanwhile() -> None:
    first, second = (jobs.make(event(), known(version)) for version in ((0, 5), (0, 9)))
    assert dict(first.headers)["delivery-id"] == dict(second.headers)["delivery-id"]
    assert first.value == second.value


# Once more


def test_a_job_sent_again_is_the_original_with_the_run_and_its_place() -> None:
    original = landed(jobs.make(event(event_id=b"e1"), known()))
    assert jobs.again(original, "run-1") == Outgoing(
        topic="hooks.deliveries",
        key=original.key,
        value=original.value,
        headers=(*original.headers, ("replay", b"run-1"), ("sequence", b"40")),
        partition=2,
    )


@given(runs=st.lists(st.from_regex("[!-~]{1,64}", fullmatch=True), min_size=1, max_size=4))
def test_however_often_it_is_sent_again_only_the_run_changes(runs: list[str]) -> None:
    """A replay of a replay keeps the place of the first job, wherever it lies itself."""
    original = jobs.read(landed(jobs.make(event(), known())))
    record = landed(jobs.make(event(), known()))
    for number, run in enumerate(runs):
        again = jobs.again(record, run)
        record = structs.replace(landed(again), at=Coordinates(AT.topic, AT.partition, 100 + number))
    found = jobs.read(record)
    assert isinstance(original, Job)
    assert found == structs.replace(original, at=record.at, replay=runs[-1], sequence=AT.offset)


def test_a_job_of_which_nobody_knows_the_place_has_a_run_and_no_sequence() -> None:
    found = jobs.read(landed(jobs.marked(jobs.make(event(), known()), "r", None)))
    assert isinstance(found, Job)
    assert (found.replay, found.sequence) == ("r", None)


# Refused


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, b""])
def test_a_job_without_one_of_its_headers_is_refused(name: str, value: bytes | None) -> None:
    found = jobs.read(changed(**{name.replace("-", "_"): value}))
    assert isinstance(found, DeadLetter)
    assert (found.reason, found.detail) == ("bad-job", f"{name} is missing")


@pytest.mark.parametrize(("key", "value", "part"), [(None, b"{}", "key"), (b"h", None, "value")])
def test_a_job_without_key_or_body_is_refused(key: bytes | None, value: bytes | None, part: str) -> None:
    good = changed()
    found = jobs.read(Incoming(at=AT, key=key, value=value, headers=good.headers))
    assert isinstance(found, DeadLetter)
    assert (found.reason, found.detail) == ("bad-job", f"{part} is missing")


GARBLED = {
    "event-at": [b"soon", b"-1", b"1.5", b"1_0", b" 1", b"\xd9\xa1", b"9" * 5_000, b"\xff"],
    "source": [b"identity.user", b"identity.user/3", b"/3/7", b"t/a/7", b"t/3/-7", b"a/b/3/7"],
    "hook-version": [b"1", b"1/", b"/5", b"1/2/3", b"a/5", b"1/5\n"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in GARBLED for value in GARBLED[name]])
def test_a_header_that_does_not_look_like_one_is_refused_by_name(name: str, value: bytes) -> None:
    record = changed(**{name.replace("-", "_"): value})
    found = jobs.read(record)
    assert isinstance(found, DeadLetter)
    assert (found.reason, found.detail, found.original) == ("bad-job", f"{name} does not look like one", record)


MARKED = {
    "replay": [b"", b"two words", b"x" * 65, b"\xff", b"a\n"],
    "sequence": [b"", b"-1", b"1.0", b"first", b"9" * 20, b"\xd9\xa1"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in MARKED for value in MARKED[name]])
def test_a_mark_of_a_replay_that_does_not_look_like_one_is_refused_by_name(name: str, value: bytes) -> None:
    good = changed()
    found = jobs.read(structs.replace(good, headers=(*good.headers, (name, value))))
    assert isinstance(found, DeadLetter)
    assert (found.reason, found.detail) == ("bad-job", f"{name} does not look like one")


def test_a_body_that_is_no_text_is_refused() -> None:
    found = jobs.read(structs.replace(changed(), value=b'{"a":"\xe9"}'))
    assert isinstance(found, DeadLetter)
    assert (found.reason, found.detail) == ("bad-job", "byte 6 of the value is not UTF-8")


def test_a_key_that_is_no_text_is_refused() -> None:
    found = jobs.read(Incoming(at=AT, key=b"\xff", value=b"{}", headers=changed().headers))
    assert isinstance(found, DeadLetter)
    assert found.detail == "key does not look like one"


HEADERS = st.lists(
    st.tuples(st.sampled_from([*REQUIRED, *MARKS, "event-key", "traceparent"]), st.binary()), max_size=12
)
NEARLY = st.fixed_dictionaries(
    {name: st.binary() | st.from_regex(FORMS.get(name, ".+")).map(str.encode) for name in REQUIRED}
).map(lambda found: list(found.items()))


@given(st.none() | st.binary(), st.none() | st.binary(), HEADERS | NEARLY)
def test_no_record_makes_reading_raise(key: bytes | None, value: bytes | None, headers: Any) -> None:
    record = Incoming(at=AT, key=key, value=value, headers=tuple(headers))
    assert isinstance(jobs.read(record), Job | DeadLetter)
