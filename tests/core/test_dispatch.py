"""Who goes next: round-robin between hooks that can go, within the slots there are (DESIGN 8, invariants I4, I10)."""

from typing import Any

import msgspec
import pytest

from streams.core.hooks import Known
from streams.core.lane import Limits
from streams.core.pending import Item
from tests.core.building import NOW, hook_id
from tests.core.dispatching import LIMITS, MINUTE, NEEDS_MS, World

WIDE = msgspec.structs.replace(LIMITS, in_flight=100, retries=50, queue=1000, pending=1000)


def world(limits: Limits = LIMITS, hooks: int = 1, **delivery: Any) -> World:
    made = World(limits)
    for number in range(1, hooks + 1):
        made.put(number, **delivery)
    return made


def failing(made: World, number: int = 1, wait_ms: int = 5000) -> Item:
    """A job of a hook, which then has failed."""
    item = made.arrive(number)
    made.run()
    made.fails(next(flight for flight in made.flights if flight.item is item), wait_ms)
    made.run()
    return item


# Slots


def test_hooks_take_turns() -> None:
    made = world(LIMITS, 3)
    for number in (1, 1, 2, 2, 3, 3):
        made.arrive(number)
    made.run()
    assert [hook for _, hook in made.order] == [hook_id(n) for n in (1, 2, 3, 1, 2, 3)]


@pytest.mark.parametrize(("jobs", "under_way"), [(5, 5), (6, 6), (7, 6)])
def test_no_more_requests_than_slots_are_under_way_and_the_next_goes_when_one_has_landed(
    jobs: int, under_way: int
) -> None:
    made = world(LIMITS, 7)
    for number in range(1, jobs + 1):
        made.arrive(number)
    assert len(made.run()) == under_way
    made.answer(made.flights[0], False)
    assert made.run() == []
    made.land(made.flights[0])
    assert len(made.run()) == jobs - under_way


@pytest.mark.parametrize(("failing_hooks", "under_way"), [(2, 2), (3, 3), (4, 3)])
def test_retries_take_no_more_than_their_share_of_the_slots(failing_hooks: int, under_way: int) -> None:
    made = world(LIMITS, 8)
    for number in range(1, failing_hooks + 1):
        failing(made, number)
    made.now += 5000
    assert len(made.run()) == under_way
    for number in (5, 6, 7):
        made.arrive(number)
    assert len(made.run()) == min(3, LIMITS.in_flight - under_way)


def test_new_jobs_of_a_hook_that_just_failed_count_as_retries() -> None:
    made = world(LIMITS, 4)
    for number in range(1, 5):
        failing(made, number, 10**6)
        made.arrive(number)
    made.run()
    assert len(made.flights) == LIMITS.retries


def test_one_that_waits_for_a_retrys_slot_gets_the_next_that_is_free() -> None:
    made = world(LIMITS, 5)
    waiting = [failing(made, number) for number in range(1, 6)]
    made.now += 5000
    made.run()
    for _ in range(5):
        made.ends(made.flights[0])
        made.run()
    assert sorted(made.ended) == [item.offset for item in waiting]


def test_a_slot_that_the_longest_waiting_does_not_take_goes_to_the_next() -> None:
    made = world(LIMITS, 5)
    for number in range(1, 6):
        failing(made, number)
    made.now += 5000
    made.run()
    made.put(4, enabled=False, keep=True)
    made.ends(made.flights[0])
    assert [flight.item.hook_id for flight in made.run()] == [hook_id(5)]


def test_jobs_that_end_untried_leave_the_slots_for_first_attempts_alone() -> None:
    made = world(LIMITS, 2, maxInFlight=64)
    for _ in range(5):
        made.arrive(1)
    made.delete(1)
    assert len(made.run()) == LIMITS.retries
    made.arrive(2)
    assert [flight.posts for flight in made.run()] == [True]
    made.finish()


def test_a_healthy_hook_starts_in_the_same_round_whatever_a_thousand_failing_ones_do() -> None:
    made = world(LIMITS, 1)
    for number in range(2, 1002):
        made.put(number)
        failing(made, number)
    made.now += 5000
    made.run()
    item = made.arrive(1)
    assert [flight.item for flight in made.run()] == [item]


class Counted(dict[str, Known]):
    """Hooks that count how often a lane was asked for its next job."""

    asked = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)


def test_a_slot_for_retries_that_gets_free_asks_one_hook_of_a_thousand_that_wait_for_it() -> None:
    """With all of them asked at each landing, an outage of many hooks took the time of those that are well."""
    made = world(LIMITS, 1)
    for number in range(1, 1001):
        made.put(number)
        failing(made, number)
    made.now += 5000
    made.run()
    counted = Counted(made.hooks)
    made.dispatch._hooks = counted
    for _ in range(100):
        made.fails(made.flights[0])
        made.run()
    assert counted.asked <= 500


def test_a_hooks_next_job_goes_when_an_answer_came_and_need_not_wait_until_its_record_is_durable() -> None:
    made = world(LIMITS, 1, maxInFlight=1)
    made.arrive()
    made.arrive()
    made.answer(made.run()[0], False)
    assert len(made.run()) == 1


def test_a_slot_that_gets_free_after_all_were_asked_is_offered_again() -> None:
    made = world(LIMITS, 4)
    for number in range(1, 5):
        failing(made, number)
    made.now += 5000
    first = made.run()[0].item
    made.dispatch.answered(first, made.now, False)
    made.dispatch.ended(first)
    assert made.dispatch.start(made.now) is None
    made.dispatch.landed(first)
    item = made.dispatch.start(made.now)
    assert item is not None
    assert item.hook_id == hook_id(4)


def test_a_parked_job_goes_when_its_record_is_there() -> None:
    made = world(LIMITS, 1, maxInFlight=1)
    made.arrive()
    item = made.arrive()
    made.run()
    made.parking += made.dispatch.unstarted(0, made.now)
    made.ends(made.flights[0])
    assert made.run() == []
    made.park()
    assert [flight.item for flight in made.run()] == [item]


def test_a_lane_that_was_dropped_while_it_was_to_be_asked_is_no_trouble() -> None:
    made = world()
    made.arrive()
    made.ends(made.run()[0])
    made.tend()
    assert made.run() == []


# Alarms


def test_it_says_when_a_retry_is_due_and_not_before() -> None:
    made = world()
    item = failing(made)
    assert made.dispatch.next_at() == NOW + 5000
    made.now += 4999
    assert made.run() == []
    made.now += 1
    assert [flight.item for flight in made.run()] == [item]


def test_a_job_that_is_due_again_at_once_does_not_go_before_it_has_landed() -> None:
    """Its slot and its place among the jobs under way are still taken."""
    made = world()
    item = made.arrive()
    made.run()
    made.dispatch.answered(item, made.now, True)
    item.due, item.place, item.attempts = made.now, 1, 1
    made.dispatch.again(item)
    assert made.dispatch.start(made.now) is None
    made.dispatch.landed(item)
    assert (made.dispatch.flying, made.dispatch.retries) == (0, 0)
    assert made.dispatch.start(made.now) is item
    assert (made.dispatch.flying, made.dispatch.retries) == (1, 1)


def test_without_anything_that_waits_there_is_no_alarm() -> None:
    made = world()
    assert made.dispatch.next_at() is None
    made.ends(made.run()[0]) if made.arrive() else None
    assert made.run() == []
    assert made.dispatch.next_at() is None


def test_a_clock_that_is_put_back_costs_no_alarm() -> None:
    """The brokers' clock is read off stamps that arrive more or less late, so it jitters."""
    made = world()
    failing(made)
    made.now += 5000
    (flight,) = made.run()
    made.now -= 100
    made.fails(flight, 500)
    made.run()
    assert made.dispatch.next_at() == made.now + 500


def test_a_blocked_lane_that_is_rung_a_hundred_thousand_times_costs_no_memory() -> None:
    made = world(LIMITS, 5)
    for number in range(1, 6):
        failing(made, number)
    made.now += 5000
    made.run()
    for _ in range(100_000):
        for number in (4, 5):
            made.dispatch.changed(hook_id(number))
        assert made.dispatch.start(made.now) is None
    assert len(made.dispatch._ring) + len(made.dispatch._timers) + len(made.dispatch._starved) < 200


def test_alarms_that_were_overtaken_by_earlier_ones_are_not_kept() -> None:
    made = world(WIDE, 1, rateLimit={"limit": 1, "periodMs": 10})
    failing(made, 1, 36_000_000)
    for _ in range(1000):
        made.now += 10
        made.arrive()
        made.ends(made.run()[0])
        made.run()
        made.now += 10
        assert made.run() == []
    assert len(made.dispatch._timers) < 200
    assert made.dispatch._timers[0][0] <= NOW + 36_000_000


# The view


def test_a_job_waits_until_the_view_has_read_the_hook_that_the_join_saw() -> None:
    made = world()
    made.arrive(1, ahead=1)
    assert made.run() == []
    made.put(1, url="https://b.example/")
    assert len(made.run()) == 1


@pytest.mark.parametrize(("later", "starts"), [(NEEDS_MS - 1, 0), (NEEDS_MS, 1)])
def test_it_waits_for_the_view_no_longer_than_the_settings_say(later: int, starts: int) -> None:
    made = world()
    made.arrive(1, ahead=1)
    made.run()
    made.now += later
    assert len(made.run()) == starts


def test_jobs_that_go_on_coming_do_not_make_the_first_wait_longer() -> None:
    made = world()
    made.arrive(1, ahead=1)
    made.now += NEEDS_MS - 1
    made.arrive(1, ahead=1)
    made.run()
    made.now += 1
    assert len(made.run()) == 2


def test_of_two_joins_that_saw_different_hooks_the_later_counts() -> None:
    made = world()
    made.arrive(1, ahead=2)
    made.arrive(1, ahead=1)
    made.put(2)
    assert made.run() == []
    made.put(1)
    assert len(made.run()) == 2


def test_jobs_of_a_hook_that_nobody_knows_end_untried() -> None:
    made = World()
    made.arrive(9, ahead=1)
    assert made.run() == []
    made.now += NEEDS_MS
    assert [flight.posts for flight in made.run()] == [False]


def test_a_hook_that_the_view_learns_late_gets_its_order_from_the_first_job_on() -> None:
    made = World()
    first = made.arrive(1, ahead=1)
    made.arrive(1, ahead=1)
    made.put(1, ordering="strict")
    assert [flight.item for flight in made.run()] == [first]


# Memory


def test_a_job_beyond_the_queue_is_parked() -> None:
    made = world(LIMITS, 1, enabled=False, keep=True)
    for _ in range(LIMITS.queue):
        made.arrive()
    assert made.parking == []
    item = made.arrive()
    assert made.parking == [item]
    assert made.in_memory() == LIMITS.queue + 1
    made.park()
    assert made.in_memory() == LIMITS.queue


@pytest.mark.parametrize(("later", "late"), [(4999, 0), (5000, 2), (5001, 2)])
def test_jobs_that_did_not_go_in_time_are_to_be_parked(later: int, late: int) -> None:
    made = world(LIMITS, 1, maxInFlight=1)
    for _ in range(3):
        made.arrive()
    made.run()
    made.now += later
    made.tend()
    assert len(made.parking) == late
    made.tend()
    assert len(made.parking) == late


def test_when_a_partition_is_paused_all_of_its_jobs_that_did_not_go_are_to_be_parked() -> None:
    made = world(LIMITS, 1, ordering="strict")
    for _ in range(3):
        made.arrive()
    made.run()
    assert made.dispatch.unstarted(1, made.now) == []
    assert len(made.dispatch.unstarted(0, made.now)) == 2


@pytest.mark.parametrize("ordering", ["none", "key", "strict"])
def test_a_job_beyond_what_may_wait_ends_as_expired_whatever_the_order(ordering: str) -> None:
    """A hook that is down for days must not fill the memory (I10)."""
    made = world(LIMITS, 1, ordering=ordering)
    failing(made, 1, 10**7)
    for _ in range(30):
        made.arrive()
        for flight in made.run():
            made.fails(flight, 10**7) if flight.posts else made.ends(flight, None)
        made.tend()
        made.park()
    assert made.dispatch.states()["waiting"] <= LIMITS.pending + LIMITS.queue + 1
    assert len(made.ended) >= 30 - LIMITS.pending - LIMITS.queue
    made.finish()


def test_lanes_that_nothing_depends_on_are_dropped() -> None:
    made = world(WIDE, 50)
    for number in range(1, 51):
        made.arrive(number)
    for flight in made.run():
        made.ends(flight)
    assert sum(made.dispatch.states().values()) == 50
    made.tend()
    assert sum(made.dispatch.states().values()) == 0


def test_a_lane_that_is_held_or_close_to_its_rate_is_not_dropped() -> None:
    made = world(WIDE, 1)
    made.put(2, rateLimit={"limit": 1, "periodMs": 9000})
    made.arrive(1)
    made.arrive(2)
    held, limited = made.run()
    made.answer(held, False, None, 9000)
    made.answer(limited, False)
    for flight in (held, limited):
        made.land(flight)
    for later, lanes in ((8999, 2), (9000, 0)):
        made.now = NOW + later
        made.tend()
        assert sum(made.dispatch.states().values()) == lanes


def test_the_lane_of_a_deleted_hook_is_dropped_even_with_its_breaker_open() -> None:
    made = world(WIDE)
    for _ in range(10):
        made.arrive()
        made.ends(made.run()[0], True)
    made.arrive()
    assert made.dispatch.states()["open"] == 1
    made.delete(1)
    made.run()
    made.tend()
    assert made.dispatch.states()["open"] == 1
    made.untried()
    made.tend()
    assert made.dispatch.states() == {"closed": 0, "open": 0, "half-open": 0, "waiting": 0}


@pytest.mark.parametrize("ordering", ["none", "key", "strict"])
def test_what_only_memory_holds_is_counted_down_to_nothing_on_every_path(ordering: str) -> None:
    made = world(LIMITS, 1, ordering=ordering, maxInFlight=2)
    for number in range(20):
        made.arrive(1, bytes([number % 3]))
    made.run()
    made.now += 5000
    made.tend()
    made.put(1, ordering="key" if ordering == "none" else "none")
    made.run()
    made.park()
    made.arrive()
    made.finish()


def test_looking_for_late_jobs_takes_no_time_that_grows_with_what_stands_in_line() -> None:
    """Only what is in memory and late is looked at, however much waits on `hooks.retries` in the same line."""
    made = world(msgspec.structs.replace(WIDE, pending=10**6), 1, ordering="strict")
    for _ in range(3):
        made.arrive()
    lane = made.dispatch._lanes[hook_id(1)]
    assert list(lane._standing) == list(made.unfinished.values())[1:]
    made.parking = made.dispatch.unstarted(0, made.now)
    assert len(made.parking) == 3
    assert not lane._standing


# Given away and taken back


def test_slots_of_requests_that_are_under_way_when_all_is_given_away_stay_taken_until_they_land() -> None:
    made = world(LIMITS, 6)
    for number in range(1, 7):
        made.arrive(number)
    begun = made.run()
    made.dispatch.clear()
    made.arrive(1)
    assert made.dispatch.start(made.now) is None
    made.dispatch.landed(begun[0].item)
    assert made.dispatch.start(made.now) is not None


def test_a_restored_hook_is_held_as_it_was() -> None:
    made = world()
    item = Item("msg_9", hook_id(1), 0, 9, NOW, due=NOW, place=3, attempts=1, began=NOW - MINUTE)
    made.dispatch.restore([item], {hook_id(1): NOW + 9000})
    assert made.dispatch.start(NOW) is None
    assert made.dispatch.next_at() == NOW + 9000
    assert made.dispatch.start(NOW + 9000) is item


def test_a_restored_hold_is_kept_when_the_view_learns_of_the_hook_later() -> None:
    made = World()
    item = Item("msg_9", hook_id(1), 0, 9, NOW, due=NOW, place=3, attempts=1, began=NOW - MINUTE)
    made.dispatch.restore([item], {hook_id(1): NOW + 9000})
    made.put(1)
    assert made.dispatch.start(NOW) is None
    assert made.dispatch.start(NOW + 9000) is item


def test_what_was_restored_drains_at_a_bounded_rate() -> None:
    made = world(WIDE, 1, maxInFlight=64)
    items = [Item(f"m{n}", hook_id(1), 0, n, NOW, due=NOW - MINUTE, place=n) for n in range(9)]
    made.dispatch.restore(items, {})
    assert made.in_memory() == 0
    started: list[Item] = []
    for now in (NOW, NOW + 999, NOW + 1000, NOW + 2000):
        while item := made.dispatch.start(now):
            started.append(item)
            made.dispatch.answered(item, now, False)
        assert len(started) == LIMITS.drain_per_s * (1 + (now - NOW) // 1000)
