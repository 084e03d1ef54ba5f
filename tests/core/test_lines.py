"""Of the unfinished jobs of one line only the first may go; a `key` line steps past one that fails for 60 s (I9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.lines import Lines
from streams.core.pending import Item
from tests.core.building import HOOK_ID, NOW

MINUTE = 60_000


def item(offset: int, began: int = 0) -> Item:
    """A job; with `began` its first attempt failed."""
    return Item(f"msg_{offset}", HOOK_ID, 0, offset, NOW, attempts=int(began > 0), began=began)


def standing(*items: Item, passing: bool = True) -> Lines:
    lines = Lines(passing)
    for one in items:
        lines.add(one, b"u1")
    return lines


def test_the_first_may_go_and_those_behind_it_stand() -> None:
    lines, first, second = Lines(True), item(1), item(2)
    assert lines.add(first, b"u1") is first
    assert lines.add(second, b"u1") is None


def test_lines_do_not_hold_each_other_back() -> None:
    lines, first, other = Lines(True), item(1), item(2)
    assert lines.add(first, b"u1") is first
    assert lines.add(other, b"u2") is other


def test_the_end_of_the_first_lets_the_next_go_by_offset_whatever_the_order_they_came_in() -> None:
    first, third, second = item(1), item(3), item(2)
    lines = standing(first, third, second)
    assert lines.end(first, b"u1") is second
    assert lines.end(second, b"u1") is third
    assert lines.end(third, b"u1") is None
    assert len(lines) == 0


def test_one_that_ends_from_the_middle_leaves_no_ghost_that_blocks_its_line() -> None:
    """Jobs that were under way when the hook got its order end in any order."""
    first, second, third = item(1), item(2), item(3)
    lines = standing(first, second, third)
    assert lines.end(second, b"u1") is None
    assert lines.end(first, b"u1") is third
    assert lines.end(third, b"u1") is None
    assert len(lines) == 0


def test_the_end_of_one_that_never_stood_in_line_changes_nothing() -> None:
    first, second = item(1), item(2)
    lines = standing(first)
    assert lines.end(second, b"u1") is None
    assert lines.end(second, b"u9") is None
    assert lines.items() == [first]


@pytest.mark.parametrize(("later", "freed"), [(59_999, False), (60_000, True), (60_001, True)])
def test_a_key_steps_past_a_job_sixty_seconds_after_its_first_attempt(later: int, freed: bool) -> None:
    first, second = item(1, NOW), item(2)
    lines = standing(first, second)
    lines.failed(first, b"u1")
    assert lines.next_pass() == NOW + MINUTE
    assert lines.passed(NOW + later) == ([second] if freed else [])


def test_a_strict_line_never_steps_past() -> None:
    first, second = item(1, NOW), item(2)
    lines = standing(first, second, passing=False)
    lines.failed(first, b"u1")
    assert lines.next_pass() is None
    assert lines.passed(NOW + 10**9) == []


def test_one_that_has_ended_is_not_stepped_past_again() -> None:
    first, second, third = item(1, NOW), item(2), item(3)
    lines = standing(first, second, third)
    lines.failed(first, b"u1")
    assert lines.end(first, b"u1") is second
    assert lines.passed(NOW + MINUTE) == []
    assert lines.next_pass() is None


def test_a_failing_job_that_becomes_the_first_is_stepped_past_too() -> None:
    """Its minute was over while it still stood behind another."""
    first, second, third = item(1), item(2, NOW), item(3)
    lines = standing(first, second, third)
    lines.failed(second, b"u1")
    assert lines.passed(NOW + MINUTE) == []
    assert lines.end(first, b"u1") is second
    assert lines.next_pass() == NOW + MINUTE
    assert lines.passed(NOW + MINUTE) == [third]


def test_the_minute_of_one_that_has_ended_or_was_passed_already_means_nothing() -> None:
    first, other = item(1, NOW), item(2, NOW)
    lines = standing(first)
    lines.add(other, b"u2")
    for one, name in ((first, b"u1"), (other, b"u2"), (other, b"u2")):
        lines.failed(one, name)
    lines.end(first, b"u1")
    assert lines.passed(NOW + MINUTE) == []


def test_two_failing_jobs_are_both_stepped_past() -> None:
    first, second, third = item(1, NOW), item(2, NOW + 1), item(3)
    lines = standing(first, second, third)
    lines.failed(first, b"u1")
    assert lines.passed(NOW + MINUTE) == [second]
    lines.failed(second, b"u1")
    assert lines.passed(NOW + MINUTE) == []
    assert lines.passed(NOW + MINUTE + 1) == [third]


# Marked


def test_one_that_ends_while_an_earlier_one_has_not_has_overtaken_it() -> None:
    first, second = item(1, NOW), item(2)
    lines = standing(first, second)
    lines.failed(first, b"u1")
    assert not lines.overtook(second, b"u1")
    lines.passed(NOW + MINUTE)
    assert lines.overtook(second, b"u1")
    assert not lines.overtook(first, b"u1")
    assert not lines.overtook(item(3), b"u2")


def test_one_that_was_passed_itself_has_still_overtaken_the_one_before_it() -> None:
    first, second, third = item(1, NOW), item(2, NOW + 1), item(3)
    lines = standing(first, second, third)
    lines.failed(first, b"u1")
    lines.passed(NOW + MINUTE)
    lines.failed(second, b"u1")
    lines.passed(NOW + MINUTE + 1)
    assert lines.overtook(second, b"u1")
    assert lines.overtook(third, b"u1")
    assert not lines.overtook(first, b"u1")


def test_an_earlier_one_that_comes_in_late_has_not_overtaken_a_later_one() -> None:
    second, third = item(2, NOW), item(3)
    lines = standing(second, third)
    lines.failed(second, b"u1")
    lines.passed(NOW + MINUTE)
    assert not lines.overtook(item(1), b"u1")


def test_when_the_passed_one_has_ended_nobody_overtakes_it_any_more() -> None:
    first, second = item(1, NOW), item(2)
    lines = standing(first, second)
    lines.failed(first, b"u1")
    lines.passed(NOW + MINUTE)
    assert lines.end(first, b"u1") is None
    assert not lines.overtook(second, b"u1")
    lines.end(second, b"u1")
    assert len(lines) == 0


def test_a_line_is_remembered_while_one_that_was_passed_has_not_ended() -> None:
    first = item(1, NOW)
    lines = standing(first)
    lines.failed(first, b"u1")
    assert lines.passed(NOW + MINUTE) == []
    assert len(lines) == 1
    lines.end(first, b"u1")
    assert len(lines) == 0


def test_those_that_come_after_the_next_has_ended_overtake_it_too() -> None:
    first, second = item(1, NOW), item(2)
    lines = standing(first, second)
    lines.failed(first, b"u1")
    lines.passed(NOW + MINUTE)
    lines.end(second, b"u1")
    third = item(3)
    assert lines.add(third, b"u1") is third
    assert lines.overtook(third, b"u1")


# Against a naive model


class Naive:
    """A job may go when every unfinished earlier one of its key has failed for a minute."""

    def __init__(self, passing: bool) -> None:
        self.lines = Lines(passing)
        self.passing = passing
        self.now = NOW
        self.keys: dict[int, bytes] = {}
        self.unfinished: dict[int, Item] = {}
        self.free: set[int] = set()
        self.passed: set[int] = set()

    def add(self, number: int) -> None:
        offset = len(self.keys) + 1
        one = Item(f"msg_{offset}", HOOK_ID, 0, offset, self.now)
        self.keys[offset], self.unfinished[offset] = bytes([number % 2]), one
        self.freed(self.lines.add(one, self.keys[offset]))

    def fail(self, one: Item) -> None:
        if not one.attempts:
            one.attempts, one.began = 1, self.now
            self.lines.failed(one, self.keys[one.offset])

    def end(self, one: Item) -> None:
        key = self.keys[one.offset]
        late = any(self.keys[n] == key and n < one.offset for n in self.passed)
        assert self.lines.overtook(one, key) is late
        for them in (self.free, self.passed):
            them.discard(one.offset)
        del self.unfinished[one.offset]
        self.freed(self.lines.end(one, key))

    def freed(self, found: Item | None) -> None:
        if found is not None:
            assert found.offset not in self.free
            self.free.add(found.offset)

    def check(self) -> None:
        for found in self.lines.passed(self.now):
            self.freed(found)
        overdue = {n for n, one in self.unfinished.items() if one.attempts and one.began + MINUTE <= self.now}
        overdue = overdue if self.passing else set()
        before = {n: {m for m in self.unfinished if m < n and self.keys[m] == self.keys[n]} for n in self.unfinished}
        self.passed |= overdue & self.free
        assert self.free == {n for n in self.unfinished if before[n] <= overdue}


EVENTS = st.lists(st.tuples(st.sampled_from(["add", "fail", "end", "wait"]), st.integers(0, 3)), max_size=60)


@given(EVENTS, st.booleans())
def test_who_may_go_is_what_a_naive_model_says(events: list[tuple[str, int]], passing: bool) -> None:
    model = Naive(passing)
    for what, number in events:
        if what == "add":
            model.add(number)
        elif what == "wait":
            model.now += 20_000 * number
        elif model.free:
            one = model.unfinished[sorted(model.free)[number % len(model.free)]]
            (model.fail if what == "fail" else model.end)(one)
        model.check()
    assert len(model.lines) == len({model.keys[n] for n in model.unfinished})
