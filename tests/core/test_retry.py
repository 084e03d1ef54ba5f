"""When to try again (CONTRACT 4, 5)."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core import retry
from streams.core.records import ATTEMPTS_MAX
from streams.core.retry import Schedule
from tests.core.building import NOW, hook

HOUR_S = 3600.0
ALL = frozenset({"5xx", "timeout", "network", "429"})
DRAWS = st.floats(0, 1, exclude_max=True)


def scheduled(retry_: Any = None, retries: int | None = None, profile: str = "default") -> Schedule:
    config = {"url": "https://crm.example.com/"} | ({} if retries is None else {"retries": retries})
    return retry.schedule(hook(config=config, delivery={} if retry_ is None else {"retry": retry_}), profile)


@pytest.mark.parametrize(
    ("profile", "waits"),
    [
        ("logto", (0.3, 0.6, 1.2)),
        ("default", (5, 60, 600)),
        ("standard", (5, 300, 1800, 7200, 18_000, 36_000, 36_000)),
    ],
)
def test_a_profile_is_named_by_the_hook_or_else_by_the_operator(profile: str, waits: tuple[float, ...]) -> None:
    assert scheduled(profile) == Schedule(waits, ALL)
    assert scheduled(None, profile=profile) == Schedule(waits, ALL)


@pytest.mark.parametrize(
    ("retries", "waits"), [(None, (5, 60, 600)), (3, (5, 60, 600)), (2, (5, 60)), (1, (5,)), (0, ())]
)
def test_config_retries_cuts_the_profile_short(retries: int | None, waits: tuple[float, ...]) -> None:
    assert scheduled(None, retries).waits_s == waits


def test_config_retries_cuts_longer_schedules_too_and_never_lengthens_one() -> None:
    assert scheduled("standard", 2).waits_s == (5, 300)
    assert scheduled({"scheduleSeconds": [1, 2, 3, 4, 5]}, 3).waits_s == (1, 2, 3)
    assert scheduled({"scheduleSeconds": [1]}, 3).waits_s == (1,)


def test_a_hook_may_have_its_own_schedule_and_say_what_is_retried() -> None:
    assert scheduled({"scheduleSeconds": [1, 2.5], "on": ["5xx"]}) == Schedule((1, 2.5), frozenset({"5xx"}))
    assert scheduled({"scheduleSeconds": [0]}).on == ALL
    assert scheduled({"scheduleSeconds": [], "on": []}) == Schedule((), frozenset())


@pytest.mark.parametrize("schedule", [[1.0] * 19, [1.0] * 20, [86_400], [0]])
def test_a_schedule_has_at_most_20_steps_of_at_most_24_h(schedule: list[float]) -> None:
    assert scheduled({"scheduleSeconds": schedule}).waits_s == tuple(schedule)


@pytest.mark.parametrize(
    "policy",
    [
        {"scheduleSeconds": [1.0] * 21},
        {"scheduleSeconds": [86_400.1]},
        {"scheduleSeconds": [-0.1]},
        {"scheduleSeconds": [1], "on": ["4xx"]},
        {"scheduleSeconds": [1], "jitter": 0},
        {"on": ["5xx"]},
        "fast",
    ],
)
def test_other_schedules_are_refused(policy: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        scheduled(policy)


@given(st.lists(st.floats(0, 86_400), max_size=20), DRAWS)
def test_a_job_is_attempted_at_most_21_times(schedule: list[float], draw: float) -> None:
    plan, attempt = Schedule(tuple(schedule), ALL), 1
    while retry.wait_s(plan, attempt, draw) is not None:
        attempt += 1
    assert attempt == len(schedule) + 1 <= ATTEMPTS_MAX


@given(st.sampled_from(sorted(retry.PROFILES)), st.data())
def test_each_wait_is_the_schedules_within_a_fifth(profile: str, data: st.DataObject) -> None:
    waits = retry.PROFILES[profile]
    attempt = data.draw(st.integers(1, len(waits)))
    wait = retry.wait_s(Schedule(waits, ALL), attempt, data.draw(DRAWS))
    assert wait is not None
    assert wait / waits[attempt - 1] == pytest.approx(1, abs=0.2 + 1e-9)


def test_the_draw_spans_the_whole_fifth_on_both_sides() -> None:
    plan = Schedule((100,), ALL)
    assert retry.wait_s(plan, 1, 0.0) == pytest.approx(80)
    assert retry.wait_s(plan, 1, 0.5) == pytest.approx(100)
    assert retry.wait_s(plan, 1, 1 - 2**-48) == pytest.approx(120)


@given(st.text(), st.integers(1, ATTEMPTS_MAX))
def test_a_jobs_draw_lies_in_0_to_1_and_is_always_the_same(delivery_id: str, attempt: int) -> None:
    assert 0 <= retry.draw(delivery_id, attempt) < 1
    assert retry.draw(delivery_id, attempt) == retry.draw(delivery_id, attempt)


def test_draws_of_different_jobs_and_attempts_are_spread() -> None:
    """A thousand jobs of one outage fall into every tenth of the range, and no two at one moment."""
    draws = [retry.draw(f"msg_{number}", attempt) for number in range(500) for attempt in (1, 2)]
    assert len(set(draws)) == len(draws)
    tenths = [sum(int(draw * 10) == tenth for draw in draws) for tenth in range(10)]
    assert min(tenths) > 50


# Retry-After


def dated(seconds: float) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=NOW, seconds=seconds)
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("0", 0),
        ("1", 1),
        (" 120 ", 120),
        ("00000000000000120", 120),
        ("3599", 3599),
        ("3600", HOUR_S),
        ("3601", HOUR_S),
        ("1000000000", HOUR_S),
        ("9" * 10_000, HOUR_S),
        (dated(30), 30),
        (dated(3600), HOUR_S),
        (dated(86_400), HOUR_S),
        (dated(0), 0),
        (dated(-30), 0),
        ("Mon, 21 Sep 2026 16:14:20 +0200", 60),
        ("Mon, 21 Sep 2026 14:14:20 -0000", 60),
        ("Monday, 21-Sep-26 14:14:20 GMT", 60),
        ("Mon Sep 21 14:14:20 2026", 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", HOUR_S),
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("1e3", 0),
        ("+5", 0),
        ("0x10", 0),
        ("²", 0),
        ("١٢", 0),
        ("soon", 0),
        ("Mon, 99 Sep 2026 99:99:99 GMT", 0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date_asks_for_up_to_an_hour_and_garbage_for_nothing(
    value: str | None, seconds: float
) -> None:
    assert retry.retry_after_s(value, NOW) == pytest.approx(seconds)


DATE_LIKE = st.from_regex(
    r"([A-Z][a-z]{2}, )?[0-9]{1,3}[ -](Jan|Feb|Sep)[ -][0-9]{1,9} "
    r"[0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})? ?([+-][0-9]{1,12}|GMT|)",
    fullmatch=True,
)


@given(st.text() | DATE_LIKE, st.integers(0, 10**14))
@example("1 Jan 1 0:0 -9999", 0)
def test_no_retry_after_shortens_a_wait_or_raises(value: str, now_ms: int) -> None:
    assert 0 <= retry.retry_after_s(value, now_ms) <= HOUR_S
