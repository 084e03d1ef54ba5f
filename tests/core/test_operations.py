"""What happens to a hook, found at its outcomes: each once, in the order of the log, whoever reads it and how often."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import health, operations
from streams.core.catalogue import OPERATIONAL
from streams.core.events import LAST_MS
from streams.core.health import Window
from streams.core.operations import Happening
from streams.core.records import Coordinates, OperationalEvent, Outcome, OutcomeError, Report, Status
from tests.core.building import HOOK_ID, NOW, hook, outcome

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def ended(status: Status, at: int = NOW, event: str = "User.Created", number: int = 1) -> Outcome:
    """An outcome of that status; a rejected one answered 410."""
    class_ = {"delivered": None, "rejected": "410"}.get(status, "5xx")
    made = outcome(at, error=class_)
    return replace(made, status=status, event=event, job=Coordinates("hooks.deliveries", 1, number))


def told(outcomes: Iterable[Outcome], window: Window | None = None) -> list[Happening]:
    """What a window finds in outcomes of offsets 0, 1, 2 and so on."""
    window = Window() if window is None else window
    return [
        happening
        for offset, one in enumerate(outcomes)
        if window.take(one, offset)
        for happening in operations.found(window, one, offset)
    ]


def names(found: Iterable[Happening]) -> list[str]:
    return [happening.name.removeprefix("Hook.") for happening in found]


STATUSES: tuple[Status, ...] = ("delivered", "exhausted", "rejected", "blocked", "cancelled", "expired")
STREAMS = st.lists(
    st.builds(
        ended,
        st.sampled_from(STATUSES) | st.just("delivered"),
        st.integers(0, 12 * 24 * 60).map(lambda minute: NOW + minute * MINUTE_MS),
        st.sampled_from(["User.Created", "Hook.Failing"]),
        st.integers(0, 1000),
    ),
    max_size=40,
).map(lambda outcomes: sorted(outcomes, key=lambda one: one.created_at))


# Failing and recovered


def test_a_hook_fails_with_the_failure_that_brings_it_below_90_percent_and_not_again() -> None:
    found = told([ended("delivered")] * 9 + [ended("blocked")] * 3)
    assert names(found) == ["Failing"]
    assert found[0].data == {
        "successRate": 0.8182,
        "successCount": 9,
        "requestCount": 11,
        "lastError": {"class": "5xx", "message": "It failed."},
    }


def test_it_recovers_with_the_success_that_brings_it_back_to_90_percent() -> None:
    window = Window()
    assert names(told([ended("blocked")] + [ended("delivered")] * 8, window)) == ["Failing"]
    window.take(ended("delivered"), 9)
    (recovered,) = operations.found(window, ended("delivered"), 9)
    assert (recovered.name, recovered.data["successRate"]) == ("Hook.Recovered", 0.9)


def test_a_window_that_ran_empty_is_no_recovery_and_the_next_success_is_one() -> None:
    window = Window()
    told([ended("blocked")], window)
    window.drop_older(NOW + 2 * DAY_MS)
    assert (window.buckets, window.failing) == ([], True)
    assert not health.is_failing(*window.rate())
    assert names(told([ended("blocked", NOW + 2 * DAY_MS)] * 2, window)) == []
    assert names(told([ended("blocked")] * 2 + [ended("delivered", NOW + 4 * DAY_MS)], window)) == ["Recovered"]


def test_a_cancelled_delivery_neither_fails_a_hook_nor_recovers_it() -> None:
    assert told([ended("cancelled")] * 5) == []


@given(STREAMS)
def test_failing_and_recovered_take_turns_and_failing_comes_first(outcomes: list[Outcome]) -> None:
    turns = [name for name in names(told(outcomes)) if name in ("Failing", "Recovered")]
    assert turns == ["Failing", "Recovered"] * (len(turns) // 2) + ["Failing"] * (len(turns) % 2)


@given(STREAMS)
def test_what_was_said_last_is_what_a_plain_count_of_the_last_24_hours_says(outcomes: list[Outcome]) -> None:
    """After every outcome that could change it: a failure that finds it below 90 %, a success that does not."""
    window = Window()
    for offset, one in enumerate(outcomes):
        found = told_at(window, one, offset)
        first = one.created_at // health.BUCKET_MS - health.BUCKETS
        counted = [was for was in outcomes[: offset + 1] if was.created_at // health.BUCKET_MS > first]
        below = sum(was.result == "Success" for was in counted) < 0.9 * len(counted)
        if one.status != "cancelled" and below == (one.result == "Error"):
            assert window.failing is below
        assert len({"Hook.Failing", "Hook.Recovered"} & {happening.name for happening in found}) <= 1


def told_at(window: Window, one: Outcome, offset: int) -> list[Happening]:
    assert window.take(one, offset)
    return operations.found(window, one, offset)


# Exhausted


@given(STREAMS)
def test_every_exhausted_delivery_is_told_once_except_those_of_news_about_hooks(outcomes: list[Outcome]) -> None:
    found = [happening.data["event"] for happening in told(outcomes) if happening.name == "Hook.Exhausted"]
    assert found == [one.event for one in outcomes if one.status == "exhausted" and one.event not in OPERATIONAL]


def test_two_failing_hooks_that_watch_each_other_come_to_an_end() -> None:
    """Each is given all that is told of the other, and every delivery is exhausted."""
    windows, waiting, offset = {"a": Window(), "b": Window()}, [("a", "User.Created"), ("b", "User.Created")], 0
    while waiting:
        name, event = waiting.pop()
        found = told_at(windows[name], ended("exhausted", event=event), offset)
        waiting += [("b" if name == "a" else "a", happening.name) for happening in found]
        offset += 1
        assert offset < 20


def test_an_exhausted_delivery_is_named_with_its_event_and_its_error() -> None:
    (first, _) = told([ended("exhausted")])
    assert (first.name, first.at, first.tenant, first.hook_id) == ("Hook.Exhausted", NOW, "default", HOOK_ID)
    error = {"class": "5xx", "message": "It failed."}
    data = {"deliveryId": "msg_1", "event": "User.Created", "eventId": "e1", "attempts": 1, "error": error}
    assert first.data == data


# Disabled


def test_five_days_of_nothing_but_failures_are_one_too_many() -> None:
    window = Window()
    assert names(told([ended("blocked", NOW), ended("blocked", NOW + 5 * DAY_MS - 1)], window)) == ["Failing"]
    (due,) = told_at(window, ended("blocked", NOW + 5 * DAY_MS), 7)
    assert (due.name, due.at) == ("Hook.Disabled", NOW + 5 * DAY_MS)
    assert due.data == {"reason": "failures", "since": NOW, "lastError": {"class": "5xx", "message": "It failed."}}


def test_one_success_within_the_five_days_begins_them_anew() -> None:
    stream = [ended("blocked", NOW), ended("delivered", NOW + DAY_MS), ended("blocked", NOW + 2 * DAY_MS)]
    window = Window()
    assert "Disabled" not in names(told([*stream, ended("blocked", NOW + 7 * DAY_MS - 1)], window))
    assert window.failing_since == NOW + 2 * DAY_MS
    assert names(told_at(window, ended("blocked", NOW + 7 * DAY_MS), 9)) == ["Disabled"]


def test_a_cancelled_delivery_neither_begins_the_five_days_nor_ends_them() -> None:
    window = Window()
    told([ended("cancelled", NOW)], window)
    assert window.failing_since is None
    told([ended("cancelled", NOW), ended("blocked", NOW + 1), ended("cancelled", NOW + 6 * DAY_MS)], window)
    assert window.failing_since == NOW + 1
    assert names(told_at(window, ended("cancelled", NOW + 6 * DAY_MS), 8)) == []


@pytest.mark.parametrize(
    ("minutes", "due"), [((0, 1, 2), True), ((0, 30, 60), True), ((0, 30, 61), False), ((0, 90, 91, 92), True)]
)
def test_three_answers_410_within_an_hour_are_enough(minutes: Sequence[int], due: bool) -> None:
    found = told(ended("rejected", NOW + minute * MINUTE_MS) for minute in minutes)
    assert (names(found).count("Disabled") == 1) is due
    if due:
        assert (found[-1].data["reason"], found[-1].data["lastError"]["class"]) == ("gone", "410")
        assert found[-1].data["since"] == NOW + minutes[-3] * MINUTE_MS


def test_other_rejections_are_no_answers_410() -> None:
    refused = replace(ended("rejected"), error=OutcomeError(class_="4xx", message="No."))
    assert names(told([refused] * 5)) == ["Failing"]


def test_a_hook_that_is_to_be_disabled_is_so_until_it_is() -> None:
    window = Window()
    found = told([ended("rejected")] * 4, window)
    assert names(found) == ["Failing", "Disabled", "Disabled"]
    window.switched_off = 12
    assert told_at(window, ended("rejected"), 4) == []


def test_a_hook_that_was_enabled_again_begins_anew_once() -> None:
    window = Window()
    told([ended("rejected")] * 3, window)
    window = replace(window, switched_off=12)
    window.begin_anew(enabled_at=9, last_off=-1)
    assert window.gone
    window.begin_anew(enabled_at=13, last_off=12)
    assert (window.failing_since, window.gone, window.switched_off) == (None, [], None)
    assert names(told([ended("rejected")] * 6, window)) == ["Disabled"]
    window.begin_anew(enabled_at=14, last_off=12)
    assert len(window.gone) == 3
    window.begin_anew(enabled_at=16, last_off=15)
    assert window.gone == []


def test_a_hook_begins_anew_even_when_compaction_took_the_record_that_disabled_it() -> None:
    window = Window(gone=[NOW], failing_since=NOW, switched_off=12)
    window.begin_anew(enabled_at=13, last_off=-1)
    assert (window.failing_since, window.gone, window.switched_off) == (None, [], None)


# Again, after a crash


def after_a_crash(window: Window) -> Window:
    encoded = msgspec.json.encode(health.report(hook(), window, NOW))
    return health.window_of(msgspec.json.decode(encoded, type=Report))


@settings(max_examples=60)
@given(STREAMS, st.data())
def test_reading_again_from_the_last_report_tells_the_same_under_the_same_ids(
    outcomes: list[Outcome], data: st.DataObject
) -> None:
    """A crash between telling and reporting repeats what was told, and nothing else."""
    once, repeated, state, position = told(outcomes), list[Happening](), Window(), 0
    while position < len(outcomes):
        position = data.draw(st.integers(position, len(outcomes)))
        for _ in range(data.draw(st.integers(1, 3))):  # all but the last die before their report
            window = after_a_crash(state)
            for offset, one in enumerate(outcomes[:position]):
                if window.take(one, offset):
                    repeated += operations.found(window, one, offset)
        state = window
    assert {msgspec.json.encode(happening) for happening in repeated} == {msgspec.json.encode(one) for one in once}


@given(STREAMS)
def test_an_outcome_that_is_taken_twice_changes_nothing(outcomes: list[Outcome]) -> None:
    window = Window()
    first = told(outcomes, window)
    kept = after_a_crash(window)
    assert told(outcomes, window) == []
    assert window == kept
    crossings = [one.id for one in first if one.name != "Hook.Exhausted"]
    assert len(set(crossings)) == len(crossings)


# The record


@given(st.sampled_from(list(OPERATIONAL)), st.integers(0, 2**60))
def test_the_record_is_keyed_by_the_hook_and_says_whose_it_is_and_which_event(name: Any, at: int) -> None:
    happening = Happening(name=name, id="evt_1", hook_id=HOOK_ID, tenant="acme", at=at, data={"x": 1})
    made = operations.record(happening, "CRM sync")
    assert (made.topic, made.key) == ("hooks.operations", HOOK_ID.encode())
    assert dict(made.headers) == {"tenant-id": b"acme", "event-id": b"evt_1"}
    event = msgspec.json.decode(made.value or b"", type=OperationalEvent)
    assert event.event == name
    assert event.data == {"hookId": HOOK_ID, "name": "CRM sync", "x": 1}
    assert at > LAST_MS or event.created_at.endswith(f".{at % 1000:03d}Z")
    assert list(json.loads(made.value or b"")) == ["event", "createdAt", "data"]
