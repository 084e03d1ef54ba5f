"""Stories are coherent: what a person or a house goes through happens in an order that could happen."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core import events
from streams.core.catalogue import EVENTS, INTERACTION, Catalogue
from streams.core.records import Coordinates, Event, Incoming
from streams.core.stories import Step, stories

START_MS = 1_790_000_000_000
SEASON = 200
"""Steps looked at: about four rounds."""

seeds = st.integers(0, 2**32)
few = settings(max_examples=25, deadline=None)


def told(seed: int, steps: int = SEASON) -> list[Step]:
    clock = itertools.count(START_MS, 250)
    return list(itertools.islice(stories(seed, clock.__next__), steps))


def payloads(seed: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    return ((event, key, json.loads(payload)) for event, key, payload in told(seed))


def category(event: str) -> str:
    """One of the seven that people subscribe to; devices belong to the user."""
    first = "interaction" if EVENTS[event] == INTERACTION else event.split(".")[0]
    return "User" if first == "TrustedDevice" else first


@few
@given(seeds)
def test_all_seven_categories_come_within_twenty_steps(seed: int) -> None:
    assert {category(event) for event, _, _ in told(seed, 20)} == {category(event) for event in EVENTS}
    assert len({category(event) for event in EVENTS}) == 7


@few
@given(seeds)
def test_every_event_of_the_catalogue_comes_within_sixty_steps(seed: int) -> None:
    assert {event for event, _, _ in told(seed, 60)} == set(EVENTS)


def test_the_same_seed_tells_the_same_story() -> None:
    assert told(7) == told(7)
    assert told(7) != told(8)


@few
@given(seeds)
def test_the_router_takes_every_step(seed: int) -> None:
    topics = {topic: topic for topic in EVENTS.values()}
    for event, key, payload in told(seed):
        record = Incoming(at=Coordinates(EVENTS[event], 0, 0), key=key.encode(), value=payload)
        found = events.read(record, Catalogue(), "cluster", topics)
        assert isinstance(found, Event)
        assert found.payload == payload


@few
@given(seeds)
def test_whoever_registers_is_created_next_with_the_same_id_and_time_of_birth(seed: int) -> None:
    waiting: dict[str, int] = {}
    for event, key, payload in payloads(seed):
        if event == "PostRegister":
            waiting[key] = payload["user"]["createdAt"]
        elif event == "User.Created":
            assert waiting.pop(key) == payload["data"]["createdAt"]
        else:
            assert key not in waiting


@few
@given(seeds)
def test_nobody_acts_before_they_registered_while_suspended_or_after_they_were_deleted(seed: int) -> None:
    suspended: dict[str, bool] = {}
    for event, key, payload in payloads(seed):
        if event == "PostRegister":
            assert key not in suspended
            suspended[key] = False
        elif event.startswith(("User.", "TrustedDevice.")):
            assert key in suspended
        if event == "User.SuspensionStatus.Updated":
            assert payload["data"]["isSuspended"] is not suspended[key]
            suspended[key] = payload["data"]["isSuspended"]
        elif event == "User.Deleted":
            del suspended[key]
        elif event.startswith("Post"):
            assert suspended[key] is False


@few
@given(seeds)
def test_nothing_changes_before_it_was_created_or_after_it_was_deleted(seed: int) -> None:
    living: set[str] = set()
    for event, key, _ in payloads(seed):
        if category(event) in ("User", "interaction"):
            continue
        if event.endswith(".Created"):
            assert key not in living
            living.add(key)
        else:
            assert key in living
        if event.endswith(".Deleted"):
            living.remove(key)


@few
@given(seeds)
def test_every_step_has_its_key_and_the_callers_time(seed: int) -> None:
    moments = [payload["createdAt"] for _, key, payload in payloads(seed) if key]
    assert len(moments) == SEASON
    assert moments == sorted(moments)
