"""The breaker: 60 s window, at least 10 attempts, 70 % failed: open 30 s doubling to 10 min, one probe (CONTRACT 5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.breaker import Breaker
from tests.core.building import NOW


def fed(failures: int, successes: int = 0, at: int = NOW) -> Breaker:
    """A breaker that knows so many answers; the failures came last."""
    breaker = Breaker()
    for failed in [False] * successes + [True] * failures:
        breaker.begin()
        breaker.answer(failed, at)
    return breaker


def opened(at: int = NOW) -> Breaker:
    breaker = fed(10, at=at)
    assert breaker.state == "open"
    return breaker


def probed(breaker: Breaker, failed: bool, now: int) -> bool:
    assert breaker.begin()
    return breaker.answer(failed, now, probe=True)


@pytest.mark.parametrize(
    ("failures", "successes", "state"),
    [
        (9, 0, "closed"),
        (10, 0, "open"),
        (6, 4, "closed"),
        (7, 3, "open"),
        (7, 2, "closed"),
        (69, 31, "closed"),
        (70, 30, "open"),
    ],
)
def test_it_opens_at_ten_attempts_and_seventy_percent_failed(failures: int, successes: int, state: str) -> None:
    assert fed(failures, successes).state == state


@pytest.mark.parametrize(("later", "state"), [(59_000, "open"), (59_999, "open"), (60_000, "closed")])
def test_only_attempts_of_the_last_minute_count(later: int, state: str) -> None:
    start = NOW - NOW % 1000
    breaker = fed(9, at=start)
    assert breaker.answer(True, start + later) is (state == "open")
    assert breaker.state == state


def test_answers_of_just_now_outweigh_a_good_past_only_while_it_is_remembered() -> None:
    start = NOW - NOW % 1000
    breaker = fed(0, 90, at=start)
    for _ in range(10):
        assert not breaker.answer(True, start + 59_000)
    assert breaker.answer(True, start + 60_000)


@pytest.mark.parametrize(("later", "free"), [(0, 30_000), (29_999, 30_000), (30_000, 30_000), (30_001, 30_001)])
def test_it_is_open_for_thirty_seconds(later: int, free: int) -> None:
    assert opened().free_at(NOW + later) == NOW + free


def test_a_closed_one_lets_everything_go_at_once_and_has_no_probe() -> None:
    breaker = fed(9)
    assert breaker.free_at(NOW) == NOW
    assert not breaker.begin()
    assert breaker.free_at(NOW) == NOW


def test_one_probe_goes_and_nothing_beside_it() -> None:
    breaker = opened()
    assert breaker.begin()
    assert breaker.state == "half-open"
    assert breaker.free_at(NOW + 10**9) is None


def test_open_time_doubles_with_every_failed_probe_up_to_ten_minutes_and_begins_anew_after_a_good_one() -> None:
    breaker, now, waits = opened(), NOW, []
    for _ in range(7):
        free = breaker.free_at(now)
        assert free is not None
        waits.append(free - now)
        now = free
        assert probed(breaker, True, now)
    assert waits == [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]
    now += 600_000
    assert not probed(breaker, False, now)
    assert breaker.state == "closed"
    for _ in range(10):
        breaker.answer(True, now)
    assert breaker.free_at(now) == now + 30_000


def test_a_good_probe_forgets_what_was_before() -> None:
    breaker = opened()
    probed(breaker, False, NOW + 30_000)
    for _ in range(9):
        assert not breaker.answer(True, NOW + 30_000)
    assert breaker.answer(True, NOW + 30_000)


def test_answers_to_requests_from_before_it_opened_decide_nothing() -> None:
    breaker = opened()
    assert not breaker.answer(False, NOW + 1)
    assert not breaker.answer(True, NOW + 20_000)
    assert (breaker.state, breaker.free_at(NOW)) == ("open", NOW + 30_000)


def test_a_probe_that_never_went_out_leaves_the_next_request_to_be_the_probe() -> None:
    breaker = opened()
    breaker.begin()
    breaker.forsake()
    assert (breaker.state, breaker.free_at(NOW + 40_000)) == ("open", NOW + 40_000)
    assert breaker.begin()


@pytest.mark.parametrize(("later", "quiet"), [(0, False), (59_000, False), (60_000, True)])
def test_one_that_knows_a_failure_of_the_last_minute_must_not_be_forgotten(later: int, quiet: bool) -> None:
    start = NOW - NOW % 1000
    assert fed(1, at=start).quiet(start + later) is quiet


def test_one_that_is_open_or_knows_no_failure() -> None:
    assert not opened().quiet(NOW + 10**9)
    assert fed(0, 5).quiet(NOW)
    assert Breaker().quiet(NOW)


def test_memory_does_not_grow_with_the_traffic() -> None:
    breaker = Breaker()
    for number in range(100_000):
        breaker.answer(False, NOW + 10 * number)
    assert len(breaker._seconds) <= 60


@given(st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), max_size=60))
def test_it_opens_exactly_when_a_naive_window_says_so(answers: list[tuple[int, bool]]) -> None:
    breaker, now, seen = Breaker(), NOW, list[tuple[int, bool]]()
    for pause, failed in answers:
        now += pause
        seen.append((now // 1000, failed))
        late = [bad for second, bad in seen if second > now // 1000 - 60]
        naive = len(late) >= 10 and sum(late) / len(late) >= 0.7
        assert breaker.answer(failed, now) is naive
        if naive:
            assert breaker.free_at(now) == now + 30_000
            return
        assert breaker.free_at(now) == now
