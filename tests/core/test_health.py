"""A hook's last 24 hours (CONTRACT 7): counted exactly, however often the same outcomes are read."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core import health
from streams.core.attempts import class_of_status
from streams.core.health import BUCKET_MS, BUCKETS, LATENCY_BOUNDS_MS, Window
from streams.core.records import Attempt, ErrorClass, Outcome, OutcomeError, Report
from tests.core.building import HOOK_ID, NOW, hook, outcome

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
FIRST = NOW // BUCKET_MS - BUCKETS + 1
"""Index of the oldest bucket that counts at NOW."""


def folded(outcomes: Iterable[Outcome], window: Window | None = None) -> Window:
    """A window that took the outcomes of offsets 0, 1, 2 and so on."""
    window = window or Window()
    for offset, one in enumerate(outcomes):
        window.take(one, offset)
    return window


def report(outcomes: Iterable[Outcome] = (), now_ms: int = NOW, **changes: Any) -> Report:
    return health.report(hook(**changes), folded(outcomes), now_ms)


def many(success: int, error: int) -> list[Outcome]:
    return [outcome()] * success + [outcome(error="5xx")] * error


CLASSES: tuple[ErrorClass, ...] = ("timeout", "dns", "connect", "tls", "reset", "protocol", "blocked")
ATTEMPTS = st.builds(
    lambda ms, status: Attempt(at=NOW, ms=ms, status=status), st.integers(0, 100_000), st.integers(100, 599)
) | st.builds(
    lambda ms, class_: Attempt(at=NOW, ms=ms, error=class_), st.integers(0, 100_000), st.sampled_from(CLASSES)
)
OUTCOMES = st.builds(
    outcome,
    created_at=st.integers(NOW - 26 * HOUR_MS, NOW)
    | st.integers(0, BUCKETS + 1).map(lambda bucket: (FIRST - 1 + bucket) * BUCKET_MS).filter(lambda at: at <= NOW),
    attempts=st.lists(ATTEMPTS, max_size=4),
    error=st.none() | st.sampled_from(["5xx", "4xx", "timeout"]),
)
STREAMS = st.lists(OUTCOMES, max_size=30)


# Counting


@given(STREAMS)
def test_a_report_is_what_a_plain_count_of_the_outcomes_in_its_window_gives(outcomes: list[Outcome]) -> None:
    found = report(outcomes)
    inside = [one for one in outcomes if found.window.from_ <= one.created_at <= found.window.to]
    attempts = [attempt for one in inside for attempt in one.attempts]
    classes = Counter(attempt.error or class_of_status(attempt.status or 0) for attempt in attempts)
    good = sum(one.result == "Success" for one in inside)
    assert (found.request_count, found.success_count) == (len(inside), good)
    assert found.success_rate == (round(good / len(inside), 4) if inside else None)
    assert found.attempts == len(attempts)
    assert found.retries == sum(max(len(one.attempts) - 1, 0) for one in inside)
    assert found.by_class == classes
    assert list(found.by_class) == sorted(classes)


@given(STREAMS)
def test_24_hourly_pairs_add_up_to_the_report(outcomes: list[Outcome]) -> None:
    found = report(outcomes)
    assert len(found.hourly) == 24
    assert sum(success for success, _ in found.hourly) == found.success_count
    assert sum(success + error for success, error in found.hourly) == found.request_count


def test_each_hour_of_the_window_has_its_own_pair_oldest_first() -> None:
    start = FIRST * BUCKET_MS
    ages = [0, HOUR_MS - 1, HOUR_MS, 5 * HOUR_MS]
    found = report([outcome(start + age) for age in ages] + [outcome(NOW, error="5xx")])
    assert found.hourly[:6] == [(2, 0), (1, 0), (0, 0), (0, 0), (0, 0), (1, 0)]
    assert found.hourly[23] == (0, 1)


def test_one_job_is_one_request_whatever_its_attempts() -> None:
    tries = [
        Attempt(at=NOW, ms=5, status=500),
        Attempt(at=NOW, ms=9, error="timeout"),
        Attempt(at=NOW, ms=1, status=200),
    ]
    found = report([outcome(attempts=tries), outcome(attempts=[], error="cancelled")])
    assert (found.request_count, found.success_count, found.attempts, found.retries) == (2, 1, 3, 2)
    assert found.by_class == {"2xx": 1, "5xx": 1, "timeout": 1}


# The window's edges


def test_exactly_288_buckets_of_five_minutes_are_counted() -> None:
    one_each = [outcome((FIRST - 1 + bucket) * BUCKET_MS + 17) for bucket in range(BUCKETS + 1)]
    assert one_each[-1].created_at // BUCKET_MS == NOW // BUCKET_MS
    found = report(one_each)
    assert found.request_count == BUCKETS == 288
    assert len(folded(one_each).buckets) == 289


@pytest.mark.parametrize(("created_at", "counted"), [(FIRST * BUCKET_MS - 1, 0), (FIRST * BUCKET_MS, 1), (NOW, 1)])
def test_a_bucket_counts_whole_or_not_at_all(created_at: int, counted: int) -> None:
    found = report([outcome(created_at)])
    assert found.request_count == counted
    assert (found.window.from_, found.window.to) == (FIRST * BUCKET_MS, NOW)


def test_the_window_is_between_23_h_55_and_24_h_long() -> None:
    for now in range(NOW, NOW + BUCKET_MS, 7_001):
        window = report(now_ms=now).window
        assert 24 * HOUR_MS - 5 * MINUTE_MS <= window.to - window.from_ < 24 * HOUR_MS


def test_with_time_alone_an_outcome_leaves_the_window() -> None:
    window = folded([outcome(NOW)])
    leaves = (NOW // BUCKET_MS + BUCKETS) * BUCKET_MS
    assert health.report(hook(), window, leaves - 1).request_count == 1
    assert health.report(hook(), window, leaves).request_count == 0


def test_dropping_forgets_what_left_and_nothing_else() -> None:
    window = folded([outcome((FIRST - 1) * BUCKET_MS), outcome(FIRST * BUCKET_MS), outcome(NOW)])
    before = health.report(hook(), window, NOW)
    assert window.drop_older(NOW)
    assert not window.drop_older(NOW)
    assert [bucket.index for bucket in window.buckets] == [FIRST, NOW // BUCKET_MS]
    assert msgspec.structs.replace(before, state={}) == msgspec.structs.replace(
        health.report(hook(), window, NOW), state={}
    )


@given(st.lists(OUTCOMES, max_size=10), st.randoms(use_true_random=False))
def test_the_order_in_which_outcomes_arrive_does_not_change_a_count(outcomes: list[Outcome], random: Any) -> None:
    shuffled = random.sample(outcomes, len(outcomes))
    ordered, mixed = report(outcomes), report(shuffled)
    assert (ordered.hourly, ordered.by_class, ordered.latency_ms) == (mixed.hourly, mixed.by_class, mixed.latency_ms)


# Exact across crashes


def after_a_crash(window: Window, now_ms: int = NOW) -> Window:
    """The window as the next process has it: from the bytes of the last report."""
    encoded = msgspec.json.encode(health.report(hook(), window, now_ms))
    return health.window_of(msgspec.json.decode(encoded, type=Report))


@given(STREAMS)
def test_a_window_survives_its_report_as_json(outcomes: list[Outcome]) -> None:
    window = folded(outcomes)
    assert after_a_crash(window) == window
    assert health.report(hook(), after_a_crash(window), NOW) == health.report(hook(), window, NOW)


@settings(max_examples=60)
@given(STREAMS, st.data())
def test_folding_the_same_records_again_from_any_earlier_point_changes_nothing(
    outcomes: list[Outcome], data: st.DataObject
) -> None:
    once, restarted, position = folded(outcomes), Window(), 0
    while position < len(outcomes):
        start = data.draw(st.integers(0, position))
        position = data.draw(st.integers(position + 1, len(outcomes)))
        for offset in range(start, position):
            restarted.take(outcomes[offset], offset)
        restarted = after_a_crash(restarted)
    assert restarted == once


def test_taking_says_whether_it_counted() -> None:
    window = Window()
    assert [window.take(outcome(), offset) for offset in (3, 3, 2, 4, 9, 4)] == [True, False, False, True, True, False]
    assert health.report(hook(), window, NOW).request_count == 3


def test_a_skipped_duplicate_is_never_looked_at_again() -> None:
    window = folded([outcome()])
    window.skip(5)
    window.skip(2)
    assert not window.take(outcome(), 5)
    assert window.take(outcome(), 6)
    assert health.report(hook(), window, NOW).request_count == 2


@pytest.mark.parametrize("state", [{"buckets": 1}, {"buckets": [[]]}, {"applied": "x"}, {"buckets": [["a", 1]]}])
def test_a_state_that_is_none_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        health.window_of(msgspec.structs.replace(report(), state=state))


GOLDEN = Path(__file__).parents[1] / "golden" / "report.json"


def test_the_state_that_another_version_left_can_be_folded_on() -> None:
    """The report in `tests/golden` was written once; `REWRITE_GOLDEN=1` writes it again, which loses that proof."""
    tries = [Attempt(at=NOW - 900, ms=31, status=503), Attempt(at=NOW - 700, ms=10_001, error="timeout")]
    stream = [outcome(NOW - 3 * HOUR_MS), outcome(NOW - 1, attempts=tries, error="timeout"), outcome(NOW)]
    encoded = msgspec.json.format(msgspec.json.encode(report(stream))) + b"\n"
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_bytes(encoded)
    assert encoded == GOLDEN.read_bytes()
    window = health.window_of(msgspec.json.decode(GOLDEN.read_bytes(), type=Report))
    assert window == folded(stream)
    assert not window.take(outcome(), 2)
    assert window.take(outcome(), 3)


def test_the_state_of_a_version_that_told_nothing_of_hooks_can_be_folded_on() -> None:
    """`report-before-operations.json` was written before there was any more to remember, and is never written again."""
    old = GOLDEN.with_name("report-before-operations.json")
    window = health.window_of(msgspec.json.decode(old.read_bytes(), type=Report))
    assert (window.applied, window.failing_since, window.gone, window.failing) == (2, None, [], False)
    assert window == health.window_of(msgspec.json.decode(GOLDEN.read_bytes(), type=Report))


# Status


@pytest.mark.parametrize(
    ("success", "total", "word", "rate"),
    [
        (0, 0, "idle", None),
        (0, 1, "error", 0.0),
        (10, 100, "error", 0.1),
        (899, 1000, "error", 0.899),
        (89_996, 100_000, "error", 0.9),
        (9, 10, "alert", 0.9),
        (989, 1000, "alert", 0.989),
        (98_999, 100_000, "alert", 0.99),
        (99, 100, "ok", 0.99),
        (1, 1, "ok", 1.0),
        (10**15, 10**15, "ok", 1.0),
    ],
)
def test_the_status_is_logtos_thresholds_on_the_unrounded_rate(
    success: int, total: int, word: str, rate: float | None
) -> None:
    assert health.status(enabled=True, success=success, total=total) == word
    assert health.status(enabled=False, success=success, total=total) == "disabled"
    if total <= 1000:
        found = report(many(success, total - success))
        assert (found.status, found.success_rate) == (word, rate)


def test_a_hook_that_is_off_is_disabled_whatever_it_did() -> None:
    found = report(many(3, 7), enabled=False)
    assert (found.status, found.enabled, found.request_count) == ("disabled", False, 10)


def test_a_hook_without_outcomes_is_idle_and_its_report_complete() -> None:
    found = json.loads(msgspec.json.encode(report()))
    state = found.pop("state")
    assert found == {
        "hookId": HOOK_ID,
        "name": "CRM sync",
        "enabled": True,
        "status": "idle",
        "window": {"from": FIRST * BUCKET_MS, "to": NOW},
        "requestCount": 0,
        "successCount": 0,
        "successRate": None,
        "latencyMs": {"p50": None, "p95": None, "p99": None},
        "attempts": 0,
        "retries": 0,
        "byClass": {},
        "consecutiveFailures": 0,
        "lastSuccessAt": None,
        "lastFailureAt": None,
        "lastError": None,
        "breaker": None,
        "pending": None,
        "oldestPendingAt": None,
        "updatedAt": NOW,
        "hourly": [[0, 0]] * 24,
    }
    assert state["applied"] == -1


def test_failures_in_a_row_are_counted_until_a_success() -> None:
    stream = [
        outcome(NOW - 9, error="5xx"),
        outcome(NOW - 8),
        outcome(NOW - 7, error="4xx"),
        outcome(NOW - 6, error="tls"),
    ]
    found = report(stream)
    assert (found.consecutive_failures, found.last_success_at, found.last_failure_at) == (2, NOW - 8, NOW - 6)
    assert found.last_error == OutcomeError(class_="tls", message="It failed.")
    assert report([*stream, outcome(NOW)]).consecutive_failures == 0


def test_the_last_success_and_failure_outlive_the_window() -> None:
    old = NOW - 48 * HOUR_MS
    window = folded([outcome(old), outcome(old + 1, error="5xx")])
    window.drop_older(NOW)
    found = health.report(hook(), window, NOW)
    assert (found.request_count, found.last_success_at, found.last_failure_at) == (0, old, old + 1)


# Latency


def bound_of(ms: int) -> int:
    return next((bound for bound in LATENCY_BOUNDS_MS if ms <= bound), LATENCY_BOUNDS_MS[-1])


def nearest_rank(latencies: Sequence[int], percent: int) -> int:
    """The percentile in its plainest form: the ceil(p * n)-th smallest."""
    return sorted(map(bound_of, latencies))[-(-percent * len(latencies) // 100) - 1]


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=300))
def test_percentiles_are_the_bounds_that_a_plain_computation_finds(latencies: list[int]) -> None:
    found = report([outcome(attempts=[Attempt(at=NOW, ms=ms, status=200)]) for ms in latencies]).latency_ms
    assert found.p50 == nearest_rank(latencies, 50)
    assert found.p95 == nearest_rank(latencies, 95)
    assert found.p99 == nearest_rank(latencies, 99)


@pytest.mark.parametrize(
    ("ms", "bound"),
    [(0, 1), (1, 1), (2, 2), (5, 5), (6, 7), (1000, 1000), (1001, 1500), (60_000, 60_000), (99_999, 60_000)],
)
def test_a_latency_is_told_as_the_upper_bound_of_its_bucket_and_at_most_a_minute(ms: int, bound: int) -> None:
    latency = report([outcome(attempts=[Attempt(at=NOW, ms=ms, status=200)])]).latency_ms
    assert (latency.p50, latency.p95, latency.p99) == (bound, bound, bound)


def test_the_bounds_rise() -> None:
    assert list(LATENCY_BOUNDS_MS) == sorted(set(LATENCY_BOUNDS_MS))
