"""One hook's trouble stays in its lane: cap, breaker, rate, hold and order (CONTRACT 4, 5; invariants I4, I8, I9)."""

from typing import Any

import msgspec
import pytest

from streams.core.pending import Item
from tests.core.building import NOW, hook_id
from tests.core.dispatching import LIMITS, MINUTE, Flight, World

WIDE = msgspec.structs.replace(LIMITS, in_flight=1000, retries=500, queue=1000, pending=1000)


def world(**delivery: Any) -> World:
    made = World(WIDE)
    made.put(1, **delivery)
    return made


def sent(made: World, count: int = 1, key: bytes | None = b"u1") -> list[Flight]:
    for _ in range(count):
        made.arrive(1, key)
    return made.run()


def warmed(**delivery: Any) -> World:
    """A hook whose endpoint has answered well often enough to be asked as much as it wants."""
    made = world(**delivery)
    for _ in range(6):
        made.ends(sent(made)[0])
    return made


def opened(**delivery: Any) -> World:
    """A hook whose breaker is open, with one job that waits for it."""
    made = world(**delivery)
    for _ in range(9):
        made.ends(sent(made)[0], True)
    made.fails(sent(made)[0], 0)
    assert made.dispatch.states()["open"] == 1
    return made


# How many at once


@pytest.mark.parametrize(("cap", "under_way"), [(1, 1), (7, 7), (8, 8), (64, 20)])
def test_a_hook_has_no_more_requests_under_way_than_it_asked_for(cap: int, under_way: int) -> None:
    assert len(sent(warmed(maxInFlight=cap), 20)) == under_way


def test_a_hook_begins_with_two_requests_and_every_success_doubles_them() -> None:
    made, counts = world(maxInFlight=64), []
    sent(made, 200)
    for _ in range(7):
        counts.append(len(made.flights))
        made.ends(made.flights[0])
        made.run()
    assert counts == [2, 4, 8, 16, 32, 64, 64]


def test_a_failure_makes_it_one_again_and_the_next_goes_when_those_under_way_are_back() -> None:
    made = warmed()
    first, *rest = sent(made, 8)
    made.arrive()
    made.ends(first, True)
    assert made.run() == []
    for flight in rest:
        made.ends(flight, True)
    assert len(made.run()) == 1


def test_a_changed_cap_counts_at_once() -> None:
    made = warmed(maxInFlight=1)
    sent(made, 5)
    made.put(1, maxInFlight=3)
    assert len(made.run()) == 2


# When


@pytest.mark.parametrize(("later", "starts"), [(4999, 0), (5000, 1), (5001, 1)])
def test_no_retry_before_its_time(later: int, starts: int) -> None:
    made = world()
    made.fails(sent(made)[0], 5000)
    made.now += later
    assert len(made.run()) == starts


@pytest.mark.parametrize(("later", "starts"), [(999, 0), (1000, 2), (1001, 2)])
def test_a_hooks_rate_is_kept(later: int, starts: int) -> None:
    made = world(rateLimit={"limit": 2, "periodMs": 1000})
    assert len(sent(made, 9)) == 2
    for flight in list(made.flights):
        made.ends(flight)
    made.now += later
    assert len(made.run()) == starts


@pytest.mark.parametrize(("later", "starts"), [(8999, 0), (9000, 1), (9001, 1)])
def test_a_hold_leaves_the_whole_hook_alone(later: int, starts: int) -> None:
    made = world()
    made.answer(sent(made)[0], True, None, 9000)
    made.land(made.flights[0])
    made.arrive()
    made.now += later
    assert len(made.run()) == starts


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    made = world()
    first, second = sent(made, 2)
    made.answer(first, True, None, 9000)
    made.answer(second, True, None, 1000)
    made.arrive()
    made.run()
    assert made.dispatch.next_at() == NOW + 9000


@pytest.mark.parametrize(("later", "starts"), [(29_999, 0), (30_000, 1), (30_001, 1)])
def test_an_open_breaker_lets_one_probe_go_after_thirty_seconds(later: int, starts: int) -> None:
    made = opened()
    sent(made, 5)
    made.now += later
    assert [flight.probe for flight in made.run()] == [True] * starts


def test_a_good_probe_lets_the_others_go_and_a_bad_one_does_not() -> None:
    made = opened()
    sent(made, 5)
    made.now += 30_000
    made.ends(made.run()[0], True)
    assert made.run() == []
    made.now += 60_000
    made.ends(made.run()[0])
    assert len(made.run()) == 2


def test_a_probe_that_was_not_sent_is_tried_with_the_next_job() -> None:
    made = opened()
    sent(made, 2)
    made.now += 30_000
    made.ends(made.run()[0], None)
    assert [flight.probe for flight in made.run()] == [True]


def test_a_job_that_was_a_probe_once_is_none_when_it_ends_untried() -> None:
    made = opened()
    made.now += 30_000
    made.fails(made.run()[0], 10**6)
    sent(made)
    made.now += 60_000
    (probe,) = made.run()
    made.put(1, enabled=False)
    made.run()
    made.untried()
    assert made.dispatch.states()["half-open"] == 1
    made.put(1)
    assert sent(made) == []
    made.ends(probe)
    assert len(made.run()) == 1


# A new URL


def test_a_new_url_closes_the_breaker_and_ends_a_hold() -> None:
    made = opened()
    made.put(1, url="https://b.example/")
    assert len(made.run()) == 1
    made.answer(made.flights[0], True, None, 9000)
    made.put(1, url="https://c.example/")
    made.arrive()
    assert len(made.run()) == 1


def test_what_the_old_url_still_answers_says_nothing_about_the_new_one() -> None:
    made = opened()
    made.now += 30_000
    (probe,) = made.run()
    made.put(1, url="https://b.example/")
    made.run()
    made.answer(probe, True, None, 9000)
    made.land(probe)
    assert [flight.second for flight in sent(made, 2)] == [False, False]


# Hooks that are switched off


def test_a_disabled_hooks_jobs_end_untried() -> None:
    made = world()
    made.put(1, enabled=False)
    assert [flight.posts for flight in sent(made, 3)] == [False] * 3


def test_a_disabled_hook_that_keeps_what_is_pending_sends_nothing_until_it_is_enabled() -> None:
    made = world()
    made.put(1, enabled=False, keep=True)
    assert sent(made, 2) == []
    made.now += 10**9
    assert made.run() == []
    made.put(1)
    assert [flight.posts for flight in made.run()] == [True, True]


def test_a_hook_that_cannot_be_opened_sends_nothing_and_loses_nothing_until_it_can() -> None:
    made = world()
    made.put(1, locked="its key is sealed under a master key that is missing here")
    assert sent(made, 2) == []
    made.now += 10**9
    assert made.run() == []
    made.put(1)
    assert [flight.posts for flight in made.run()] == [True, True]


def test_what_waits_for_a_hook_that_cannot_be_opened_ends_when_it_is_disabled() -> None:
    made = world()
    made.put(1, locked="missing", enabled=False)
    assert [flight.posts for flight in sent(made, 2)] == [False, False]


def test_all_jobs_of_a_deleted_hook_end_also_those_that_stood_in_line_or_waited() -> None:
    made = world(ordering="strict")
    made.fails(sent(made, 5)[0], 10**6)
    made.delete(1)
    made.finish()
    assert made.ended == [1, 2, 3, 4, 5]
    assert len(made.order) == 1


def test_jobs_that_end_untried_use_up_neither_rate_nor_probe() -> None:
    made = opened(rateLimit={"limit": 100, "periodMs": 1000})
    made.now += 30_000
    (probe,) = made.run()
    made.put(1, enabled=False)
    untried = sent(made, 3)
    assert [flight.probe for flight in untried] == [False] * 3
    made.untried()
    made.put(1, rateLimit={"limit": 100, "periodMs": 1000})
    assert sent(made) == []
    made.ends(probe)
    assert len(made.run()) == 1


# Kept back for too long


@pytest.mark.parametrize(("later", "ends"), [(-1, 0), (0, 1), (1, 1)])
def test_a_job_that_its_hook_kept_back_for_too_long_ends_as_expired(later: int, ends: int) -> None:
    made = world()
    made.answer(sent(made)[0], True, 0, 2 * WIDE.age_ms)
    made.land(made.flights[0])
    made.run()
    assert made.dispatch.next_at() == NOW + WIDE.age_ms
    made.now += WIDE.age_ms + later
    assert [flight.item.expired for flight in made.run()] == [True] * ends


def test_expired_jobs_end_within_the_retries_share_of_the_slots() -> None:
    made = World(LIMITS)
    made.put(1)
    for flight in sent(made, 2):
        made.answer(flight, True, 0, 2 * WIDE.age_ms)
        made.land(flight)
    for _ in range(5):
        made.arrive()
    made.run()
    made.tend()
    made.now += LIMITS.park_ms
    made.tend()
    made.park()
    made.now += 2 * WIDE.age_ms - 10_000
    assert len(made.run()) == LIMITS.retries
    made.finish()


def test_a_job_that_may_go_is_never_too_old() -> None:
    made = world()
    made.fails(sent(made)[0], 1000)
    made.now += 10 * WIDE.age_ms
    assert [flight.item.expired for flight in made.run()] == [False]


# Outages


def test_after_an_outage_what_is_overdue_drains_at_a_bounded_rate_and_new_jobs_go_beside_it() -> None:
    made = warmed(maxInFlight=64)
    for flight in sent(made, 20):
        made.fails(flight, 1000)
    made.put(1, url="https://b.example/", maxInFlight=64)
    made.now += MINUTE
    for _ in range(6):
        for flight in made.run():
            made.ends(flight)
    assert len(made.unfinished) == 20 - LIMITS.drain_per_s
    assert [flight.item.attempts for flight in sent(made)] == [0]


@pytest.mark.parametrize(("late", "starts"), [(1000, 9), (1001, LIMITS.drain_per_s)])
def test_a_retry_is_one_of_an_outage_when_it_is_more_than_a_second_late(late: int, starts: int) -> None:
    made = warmed(maxInFlight=64)
    items = [Item(f"m{n}", hook_id(1), 0, 100 + n, NOW, NOW - late, n, 1, NOW - MINUTE) for n in range(9)]
    made.unfinished.update({item.offset: item for item in items})
    made.dispatch.restore(items, {})
    assert len(made.run()) == starts


def test_first_attempts_that_an_open_breaker_kept_back_drain_at_a_bounded_rate() -> None:
    made = opened()
    for _ in range(20):
        made.arrive()
    made.now += 5000
    made.tend()
    made.park()
    made.now += 25_000
    made.ends(made.run()[0])
    while made.run() or made.flights:
        made.ends(made.flights[0])
    assert len(made.unfinished) == 21 - LIMITS.drain_per_s


@pytest.mark.parametrize("recovered", [False, True])
def test_a_busy_hooks_own_overflow_is_not_slowed_down_not_even_after_an_outage(recovered: bool) -> None:
    made = warmed(maxInFlight=64)
    if recovered:
        made.answer(sent(made)[0], False, None, 1000)
        made.land(made.flights[0])
        made.now += 1000
        made.ends(sent(made)[0])
    sent(made, 64)
    for _ in range(30):
        made.arrive()
    made.now += 5000
    made.tend()
    made.park()
    made.now += 5000
    for flight in list(made.flights):
        made.ends(flight)
    assert len(made.run()) == 30


# Order


def test_a_strict_hook_is_one_queue() -> None:
    made = world(ordering="strict")
    for key in (b"u1", b"u2", None, b"u1"):
        made.arrive(1, key)
    while made.run():
        assert len(made.flights) == 1
        made.ends(made.flights[0])
    assert [offset for offset, _ in made.order] == [1, 2, 3, 4]


def test_a_strict_hook_waits_for_a_failing_job_for_as_long_as_it_fails() -> None:
    made = world(ordering="strict")
    made.fails(sent(made, 2)[0], 10**9)
    made.now += 10**9 - 1
    assert made.run() == []
    made.now += 1
    made.ends(made.run()[0])
    assert [flight.item.offset for flight in made.run()] == [2]


def test_a_failing_job_holds_back_only_its_key() -> None:
    made = world(ordering="key")
    made.fails(sent(made)[0], 10**6)
    for key in (b"u1", b"u2", None):
        made.arrive(1, key)
    while made.run():
        made.ends(made.flights[0])
    assert made.ended == [3, 4]


@pytest.mark.parametrize(("later", "starts"), [(59_999, 0), (60_000, 1), (60_001, 1)])
def test_for_at_most_sixty_seconds_after_its_first_attempt_and_what_follows_is_marked(later: int, starts: int) -> None:
    made = world(ordering="key")
    made.fails(sent(made, 2)[0], 10**6)
    made.run()
    assert made.dispatch.next_at() == NOW + MINUTE
    made.now = NOW + later
    flights = made.run()
    assert [made.answer(flight, False) for flight in flights] == [True] * starts


@pytest.mark.parametrize(("later", "starts"), [(59_999, 0), (60_000, 1)])
def test_a_restored_job_that_had_failed_holds_back_its_key_for_the_rest_of_its_minute(later: int, starts: int) -> None:
    made = world(ordering="key")
    failing = Item("m", hook_id(1), 0, 0, NOW, NOW + 10**6, 7, 1, NOW, b"u1")
    made.unfinished[0] = failing
    made.dispatch.restore([failing], {})
    made.arrive()
    made.now += later
    assert len(made.run()) == starts


def test_what_ends_in_order_is_not_marked() -> None:
    made = world(ordering="key")
    (first,) = sent(made, 2)
    assert not made.answer(first, False)
    made.land(first)
    (second,) = made.run()
    assert not made.answer(second, False)


def test_the_place_in_line_is_kept_while_a_job_is_parked() -> None:
    made = world(ordering="key", maxInFlight=1)
    sent(made, 4)
    made.parking += made.dispatch.unstarted(0, made.now)
    assert [item.offset for item in made.parking] == [2, 3, 4]
    made.ends(made.flights[0])
    assert made.run() == []
    made.park()
    while made.run():
        made.ends(made.flights[0])
    assert made.ended == [1, 2, 3, 4]


def test_a_hook_that_gets_an_order_waits_for_those_that_are_under_way() -> None:
    made = world()
    first, second = sent(made, 3)
    made.put(1, ordering="strict")
    made.run()
    made.ends(second)
    assert made.run() == []
    assert made.dispatch.states()["waiting"] == 1
    made.fails(first, 5000)
    assert made.run() == []
    made.now += 5000
    made.ends(made.run()[0])
    assert [flight.item.offset for flight in made.run()] == [3]


def test_one_that_was_under_way_stands_in_line_for_its_next_attempt() -> None:
    made = world()
    first, second = sent(made, 2)
    made.put(1, ordering="strict")
    made.fails(second, 0)
    assert made.run() == []
    made.ends(first)
    assert [flight.item for flight in made.run()] == [second.item]


def test_a_hook_that_gets_an_order_keeps_those_in_line_that_are_being_parked() -> None:
    made = world()
    sent(made, 4)
    made.parking += made.dispatch.unstarted(0, made.now)
    made.put(1, ordering="strict")
    for flight in list(made.flights):
        made.ends(flight)
        made.run()
    made.park()
    assert [flight.item.offset for flight in made.run()] == [3]
    made.finish()


def test_a_hook_that_gives_up_its_order_lets_all_go() -> None:
    made = warmed(ordering="strict")
    sent(made, 6)
    made.put(1)
    assert len(made.run()) == 5


def test_an_earlier_job_that_comes_in_late_leaves_its_line_whole() -> None:
    """After a rebalance a request of before it may land later than jobs behind it are taken."""
    made = world(ordering="strict")
    late = made.unfinished.pop(made.arrive().offset)
    made.dispatch.clear()
    sent(made, 2)
    late.place, made.unfinished[late.offset] = 1, late
    made.dispatch.restore([late], {})
    made.ends(made.flights[0])
    made.run()
    made.finish()
    assert made.ended == [2, 1, 3]
