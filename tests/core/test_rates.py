"""A hook's rate limit is exact: never more than `limit` starts in any `periodMs` (CONTRACT 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.rates import Rate
from tests.core.building import NOW


def test_as_many_as_the_limit_may_start_at_once_and_the_next_a_period_after_the_first() -> None:
    rate = Rate(2, 1000)
    for moment in (NOW, NOW + 300):
        assert rate.free_at(moment) == moment
        rate.take(moment)
    assert rate.free_at(NOW + 300) == NOW + 1000


@pytest.mark.parametrize(("later", "free"), [(999, 1000), (1000, 1000), (1001, 1001)])
def test_the_next_start_is_free_when_the_period_is_over_and_not_before(later: int, free: int) -> None:
    rate = Rate(1, 1000)
    rate.take(NOW)
    assert rate.free_at(NOW + later) == NOW + free


@pytest.mark.parametrize(("later", "quiet"), [(999, False), (1000, True), (1001, True)])
def test_a_rate_may_be_forgotten_a_period_after_its_last_start(later: int, quiet: bool) -> None:
    rate = Rate(3, 1000)
    rate.take(NOW)
    assert rate.quiet(NOW + later) is quiet


def test_a_rate_that_started_nothing_may_be_forgotten() -> None:
    assert Rate(1, 1000).quiet(NOW)


@given(st.integers(1, 5), st.integers(10, 1000), st.lists(st.integers(0, 400), max_size=40))
def test_starts_made_as_early_as_allowed_never_exceed_the_limit_and_never_wait_needlessly(
    limit: int, period: int, pauses: list[int]
) -> None:
    rate, starts, now = Rate(limit, period), list[int](), 0
    for pause in pauses:
        now += pause
        free = rate.free_at(now)
        naive = next(t for t in range(now, now + period + 1) if sum(t - period < s for s in starts) < limit)
        assert free == naive
        now = free
        rate.take(now)
        starts.append(now)
    for start in starts:
        assert sum(start <= other < start + period for other in starts) <= limit
