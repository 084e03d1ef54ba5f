"""What a replay takes, in which order it goes, and what is sent when the job itself is gone."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from streams.core import jobs, replaying
from streams.core.errors import InvalidInput
from streams.core.hooks import HookIndex, Known
from streams.core.joining import Join
from streams.core.records import Coordinates, Incoming, Job, Outcome
from streams.core.replaying import Bookmark, Choice, Chosen, Selection
from tests.core.building import CATALOGUE, CLUSTER, HOOK_ID, NOW, TOPICS, accepted, hook_id, incoming, known, outcome

FAILED = ["exhausted", "rejected", "blocked", "cancelled", "expired"]


def ended(status: str, number: int = 1, at_ms: int = NOW, **changes: Any) -> Outcome:
    """An outcome with a delivery id of its own."""
    return structs.replace(outcome(created_at=at_ms), id=f"msg_{number}", status=status, **changes)


def at(offset: int, partition: int = 0) -> Coordinates:
    return Coordinates("hooks.log", partition, offset)


def selection(**changes: Any) -> Selection:
    return Selection(**({"hook": HOOK_ID, "statuses": FAILED} | changes))


def chosen(wanted: Selection, *outcomes: Outcome) -> list[Chosen]:
    """What is chosen of a log with these outcomes, one after the other."""
    choice = Choice(wanted)
    for offset, one in enumerate(outcomes):
        choice.outcome(one, at(offset))
    return choice.ordered()


def numbers(found: list[Chosen]) -> list[int]:
    return [int(one.id.removeprefix("msg_")) for one in found]


# Which outcomes


@pytest.mark.parametrize("status", FAILED)
def test_a_delivery_that_did_not_end_well_is_taken(status: str) -> None:
    (one,) = chosen(selection(), ended(status))
    assert (one.status, one.at, one.job) == (status, at(0), Coordinates("hooks.deliveries", 1, 99))


@pytest.mark.parametrize(
    "changes",
    [
        {"hook": hook_id(7)},
        {"since": NOW + 1},
        {"until": NOW},
        {"statuses": ["rejected"]},
        {"events": ["User.Deleted", "Role.*"]},
        {"ids": ["msg_2"]},
    ],
)
def test_one_condition_that_does_not_hold_leaves_it_out(changes: dict[str, Any]) -> None:
    assert chosen(selection(**changes), ended("exhausted")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"since": NOW},
        {"until": NOW + 1},
        {"events": ["Role.*", "User.Created"]},
        {"events": ["User.*"]},
        {"events": ["*"]},
        {"hook": None, "statuses": [], "ids": ["msg_1"]},
    ],
)
def test_it_is_taken_when_all_hold(changes: dict[str, Any]) -> None:
    assert numbers(chosen(selection(**changes), ended("exhausted"))) == [1]


def test_what_was_delivered_since_is_left_out_even_when_that_was_after_the_time_asked_for() -> None:
    later = ended("delivered", 1, NOW + 5)
    assert chosen(selection(until=NOW + 1), ended("exhausted", 1), later) == []
    assert numbers(chosen(selection(), ended("exhausted", 1), ended("rejected", 2), later)) == [2]


def test_what_failed_again_after_it_was_delivered_is_taken() -> None:
    assert numbers(chosen(selection(), ended("delivered"), ended("exhausted", replay=True))) == [1]


def test_what_was_delivered_goes_again_when_asked_for() -> None:
    twice = (ended("exhausted"), ended("delivered"))
    for wanted in (selection(statuses=["delivered"]), Selection(ids=["msg_1"])):
        assert [one.status for one in chosen(wanted, *twice)] == ["delivered"]


def test_of_several_outcomes_that_fit_the_newest_counts_and_it_goes_once() -> None:
    (one,) = chosen(selection(), ended("exhausted"), ended("rejected", replay=True, job=at(5)))
    assert (one.at, one.status, one.replayed, one.job) == (at(1), "rejected", True, at(5))


def test_more_than_memory_should_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "CHOSEN_MAX", 3)
    assert len(chosen(selection(), *(ended("exhausted", n) for n in (1, 2, 3, 3)))) == 3
    with pytest.raises(InvalidInput, match="in parts"):
        chosen(selection(), *(ended("exhausted", n) for n in (1, 2, 3, 4)))


# In which order

PLACES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 9)), max_size=30, unique_by=lambda one: one[:2]
)


@given(PLACES)
def test_the_order_of_each_partition_is_kept_whatever_the_times_say(places: list[tuple[int, int, int]]) -> None:
    """Offsets of a partition only grow, so that one committed offset says what was sent."""
    choice = Choice(Selection())
    for number, (partition, offset, at_ms) in enumerate(places):
        choice.outcome(ended("exhausted", number, at_ms), at(offset, partition))
    found = choice.ordered()
    assert len(found) == len(places)
    for partition in range(3):
        offsets = [one.at.offset for one in found if one.at.partition == partition]
        assert offsets == sorted(offsets)


def test_partitions_are_merged_by_time() -> None:
    choice = Choice(Selection())
    for number, (partition, offset, at_ms) in enumerate([(0, 1, 10), (0, 2, 40), (1, 1, 20), (1, 2, 30)]):
        choice.outcome(ended("exhausted", number, at_ms), at(offset, partition))
    assert [one.at_ms for one in choice.ordered()] == [10, 20, 30, 40]


# From events


def join(one: Known) -> Join:
    """The join of one hook."""
    index = HookIndex(CATALOGUE)
    index.put(one)
    return Join(CATALOGUE, CLUSTER, TOPICS, index)


def published(number: int = 7, event_id: str = "e1", name: str = "User.Created") -> Incoming:
    value = f'{{"event":"{name}","data":{{"n":{number}}}}}'.encode()
    return incoming(value, headers={"event-id": event_id.encode()}, offset=number)


def travelled(wanted: Selection, *records: Incoming, **hook: Any) -> Choice:
    choice, index = Choice(wanted), join(known(**hook))
    for record in records:
        for made in index.records(record, 0):
            if made.topic == jobs.TOPIC:
                choice.event(record, made)
    return choice


def test_an_event_that_the_hook_would_have_got_is_taken_under_the_same_delivery_id() -> None:
    (one,) = travelled(selection(statuses=[]), published()).ordered()
    made = dict(jobs.make(accepted(published()), known()).headers)
    assert (one.id, one.job, one.status) == (made["delivery-id"].decode(), None, None)
    assert (one.at, one.source, one.at_ms) == (published().at, published().at, NOW)


def test_what_the_hook_does_not_want_or_nobody_asked_for_is_not() -> None:
    assert not travelled(selection(), published(), events=["User.Deleted"]).ordered()
    assert not travelled(selection(), published(), delivery={"filter": {"data.n": 8}}).ordered()
    assert not travelled(selection(events=["Role.*"]), published()).ordered()


def test_of_two_events_with_one_id_the_first_counts() -> None:
    (one,) = travelled(selection(), published(7, "e1"), published(8, "e1")).ordered()
    assert one.at.offset == 7


def test_what_arrived_already_can_be_dropped() -> None:
    choice = travelled(selection(), published(7, "e1"), published(8, "e2"))
    choice.drop(choice.ordered()[0].id)
    assert [one.at.offset for one in choice.ordered()] == [8]


# What is sent


def job_record(offset: int = 40) -> Incoming:
    """The job of the published event, as it lies on its topic."""
    made = jobs.make(accepted(published()), known())
    return Incoming(at=Coordinates("hooks.deliveries", 1, offset), key=made.key, value=made.value, headers=made.headers)


def delivery(**changes: Any) -> Chosen:
    """The chosen delivery of that job."""
    job = jobs.read(job_record())
    assert isinstance(job, Job)
    one = Chosen(
        id=job.delivery_id, hook_id=HOOK_ID, event=job.event, at=at(3), at_ms=NOW, source=job.source, job=job.at
    )
    return structs.replace(one, **changes)


def test_the_original_job_is_sent_once_more() -> None:
    assert replaying.original(delivery(), job_record(), "r1") == jobs.again(job_record(), "r1")


@pytest.mark.parametrize("record", [None, incoming(b"{}"), structs.replace(job_record(), value=None)])
def test_a_record_that_is_not_that_job_is_never_sent(record: Incoming | None) -> None:
    assert replaying.original(delivery(), record, "r1") is None


def test_another_deliverys_job_in_its_place_is_never_sent() -> None:
    """A topic that was made anew has other records at the same offsets."""
    assert replaying.original(delivery(id="msg_other"), job_record(), "r1") is None


def test_a_job_made_anew_from_its_event_is_the_original_once_more() -> None:
    anew = replaying.remade(delivery(), published(), "r1", join(known()), known())
    assert anew is not None
    assert structs.replace(anew, partition=1) == jobs.again(job_record(), "r1")


def test_the_place_of_the_first_job_is_left_out_where_nobody_knows_it() -> None:
    for one in (delivery(replayed=True), delivery(job=None)):
        anew = replaying.remade(one, published(), "r1", join(known()), known())
        assert anew is not None
        assert "sequence" not in dict(anew.headers)


@pytest.mark.parametrize("record", [published(event_id="e2"), incoming(b"not json")])
def test_another_event_or_none_in_its_place_is_never_sent(record: Incoming) -> None:
    assert replaying.remade(delivery(), record, "r1", join(known()), known()) is None


# What is kept and told


def test_a_bookmark_of_a_hundred_ids_fits_beside_an_offset() -> None:
    wanted = Selection(ids=[f"msg_{number:024d}" for number in range(100)], hook=HOOK_ID)
    mark = Bookmark(selection=wanted, end=2**62, total=100_000, done=99_999)
    assert len(msgspec.json.encode(mark)) < 4096
    assert msgspec.json.decode(msgspec.json.encode(mark), type=Bookmark) == mark


def test_a_tally_has_the_most_first_and_no_status_where_events_were_chosen() -> None:
    found = [delivery(status="rejected"), *[delivery(status="exhausted", event="Role.Created")] * 2]
    assert replaying.tally(found) == {
        "status": {"exhausted": 2, "rejected": 1},
        "event": {"Role.Created": 2, "User.Created": 1},
    }
    assert replaying.tally([delivery()])["status"] == {}
