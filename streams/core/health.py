"""A hook's last 24 hours: fold outcomes into 5-minute buckets, drop the old, report (CONTRACT 7).

Exact across crashes: a window remembers the offset of the last outcome it took, and taking an older one again
changes nothing. The clock is an argument; which bucket an outcome falls into depends on its own `createdAt`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from streams.core.attempts import TABLE, class_of_status
from streams.core.records import COUNT_MAX, Count, Hook, Latency, Ms, Outcome, OutcomeError, Report, Word
from streams.core.records import Window as Span

K = TypeVar("K", str, int)

BUCKET_MS = 5 * 60 * 1000
BUCKETS = 24 * 12
"""The bucket that `now` is in and the 287 before it: between 23 h 55 min and 24 h."""

LATENCY_BOUNDS_MS = (
    1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 400, 500, 700,
    1000, 1500, 2000, 3000, 4000, 5000, 7000, 10_000, 15_000, 20_000, 30_000, 60_000,
)  # fmt: skip
"""Upper bounds of latency buckets; a percentile is the bound of the bucket it falls into."""

Place = Annotated[int, Meta(ge=0, lt=len(LATENCY_BOUNDS_MS))]

AHEAD = 12
"""Buckets later than `now` that are kept: an hour. Outcomes are dated by the brokers' clock, so more is a forgery."""

ERROR_BELOW_PERCENT = 90
ALERT_BELOW_PERCENT = 99
"""Logto's console thresholds, applied to the unrounded rate."""

GONE_KEPT = 3
"""How many times of answers 410 a window keeps: as many as switch a hook off (CONTRACT 5)."""


class Bucket(Struct, array_like=True):
    """Five minutes of outcomes. `attempts` by class, `latency` by index into LATENCY_BOUNDS_MS."""

    index: Count
    success: Count = 0
    error: Count = 0
    retries: Count = 0
    attempts: dict[Word, Count] = field(default_factory=dict)
    latency: dict[Place, Count] = field(default_factory=dict)


class Window(Struct, rename="camel"):
    """What is known of one hook; the `state` inside its report, from which folding goes on after a restart.

    `failing_since` is the time of the first failure after the last success, `gone` the times of the last outcomes that
    ended with 410. `failing` is what was last said of the hook (`operations`). Two are offsets in `hooks.config`:
    `switched_off` of the record that disabled a hook which was due for it, `afresh` of the last disabling that
    somebody took back.
    """

    applied: Annotated[int, Meta(le=COUNT_MAX)] = -1
    buckets: list[Bucket] = field(default_factory=list)
    consecutive_failures: Count = 0
    last_success_at: Ms | None = None
    last_failure_at: Ms | None = None
    last_error: OutcomeError | None = None
    failing_since: Ms | None = None
    gone: Annotated[list[Ms], Meta(max_length=GONE_KEPT)] = field(default_factory=list)
    failing: bool = False
    switched_off: Count | None = None
    afresh: Annotated[int, Meta(le=COUNT_MAX)] = -1

    def take(self, outcome: Outcome, offset: int) -> bool:
        """Count an outcome that lies at `offset` of its log partition; False when it was counted before."""
        if offset <= self.applied:
            return False
        self.applied = offset
        _add(self._bucket(outcome.created_at // BUCKET_MS), outcome)
        if outcome.result == "Success":
            self.consecutive_failures = 0
            self.last_success_at = outcome.created_at
            self.failing_since = None
        else:
            self.consecutive_failures += 1
            self.last_failure_at = outcome.created_at
            self.last_error = outcome.error
            self._hold_against(outcome)
        return True

    def begin_anew(self, enabled_at: int, last_off: int) -> None:
        """Whoever enables a hook again gives it another chance: what was held against it is forgotten, once.

        `enabled_at` is the offset of its record, `last_off` of the last one that had it disabled (-1: none is known).
        """
        disabled = last_off if self.switched_off is None else max(last_off, self.switched_off)
        if self.afresh < disabled < enabled_at:
            self.afresh, self.failing_since, self.gone, self.switched_off = disabled, None, [], None

    def rate(self) -> tuple[int, int]:
        """(successes, all) of the 24 hours that end with the newest bucket: the same whenever it is asked."""
        newest = self.buckets[-1].index if self.buckets else 0
        counted = [bucket for bucket in self.buckets if bucket.index > newest - BUCKETS]
        success = sum(bucket.success for bucket in counted)
        return success, success + sum(bucket.error for bucket in counted)

    def skip(self, offset: int) -> None:
        """Pass over a record that must not count (a duplicate), so that it is never looked at again."""
        self.applied = max(self.applied, offset)

    def drop_older(self, now_ms: int) -> bool:
        """Forget buckets that left the window, or lie farther ahead than any clock; True when there were any."""
        now = now_ms // BUCKET_MS
        kept = [bucket for bucket in self.buckets if now - BUCKETS < bucket.index <= now + AHEAD]
        dropped = len(kept) < len(self.buckets)
        self.buckets = kept
        return dropped

    def _hold_against(self, outcome: Outcome) -> None:
        """Remember a failure of the endpoint's; a delivery that was cancelled says nothing about it."""
        if outcome.status != "cancelled" and self.failing_since is None:
            self.failing_since = outcome.created_at
        if outcome.error is not None and outcome.error.class_ == "410":
            self.gone = [*self.gone, outcome.created_at][-GONE_KEPT:]

    def _bucket(self, index: int) -> Bucket:
        place = bisect_left(self.buckets, index, key=lambda bucket: bucket.index)
        if place == len(self.buckets) or self.buckets[place].index != index:
            self.buckets.insert(place, Bucket(index))
        return self.buckets[place]


def _add(bucket: Bucket, outcome: Outcome) -> None:
    if outcome.result == "Success":
        bucket.success += 1
    else:
        bucket.error += 1
    bucket.retries += max(len(outcome.attempts) - 1, 0)
    for attempt in outcome.attempts:
        class_ = attempt.error or class_of_status(attempt.status or 0)
        class_ = class_ if class_ in TABLE else "protocol"  # a word of another writer's; reports know ours
        bucket.attempts[class_] = bucket.attempts.get(class_, 0) + 1
        place = min(bisect_left(LATENCY_BOUNDS_MS, attempt.ms), len(LATENCY_BOUNDS_MS) - 1)
        bucket.latency[place] = bucket.latency.get(place, 0) + 1


def report(hook: Hook, window: Window, now_ms: int) -> Report:
    """The hook's report at `now_ms`. `window` is not changed: call `drop_older` first to keep it small."""
    first = now_ms // BUCKET_MS - BUCKETS + 1
    counted = [bucket for bucket in window.buckets if bucket.index >= first]
    success = sum(bucket.success for bucket in counted)
    total = success + sum(bucket.error for bucket in counted)
    by_class = _sums(bucket.attempts for bucket in counted)
    return Report(
        hook_id=hook.id,
        name=hook.name,
        enabled=hook.enabled,
        status=status(hook.enabled, success, total),
        window=Span(from_=first * BUCKET_MS, to=now_ms),
        request_count=total,
        success_count=success,
        success_rate=round(success / total, 4) if total else None,
        latency_ms=percentiles(_sums(bucket.latency for bucket in counted)),
        attempts=sum(by_class.values()),
        retries=sum(bucket.retries for bucket in counted),
        by_class=dict(sorted(by_class.items())),
        consecutive_failures=window.consecutive_failures,
        last_success_at=window.last_success_at,
        last_failure_at=window.last_failure_at,
        last_error=window.last_error,
        breaker=None,
        pending=None,
        oldest_pending_at=None,
        updated_at=now_ms,
        hourly=_hourly(counted, first),
        state=msgspec.to_builtins(window, str_keys=True),
    )


def window_of(report: Report) -> Window:
    """The window inside a report; raises msgspec.ValidationError when it is not one."""
    return msgspec.convert(report.state, Window, strict=False)


def status(enabled: bool, success: int, total: int) -> Literal["idle", "ok", "alert", "error", "disabled"]:
    """One word for a hook: `disabled` when off, `idle` at zero, else by Logto's thresholds."""
    if not enabled:
        return "disabled"
    if total == 0:
        return "idle"
    if is_failing(success, total):
        return "error"
    return "alert" if 100 * success < ALERT_BELOW_PERCENT * total else "ok"


def is_failing(success: int, total: int) -> bool:
    """Whether so few of so many are Logto's `ERROR`; nothing at all is not."""
    return 100 * success < ERROR_BELOW_PERCENT * total


def percentiles(latency: Counter[int]) -> Latency:
    """p50, p95 and p99 as upper bounds in milliseconds."""
    total = sum(latency.values())
    if total == 0:
        return Latency()
    places = sorted(latency)
    running = list(accumulate(latency[place] for place in places))
    bounds = [LATENCY_BOUNDS_MS[places[bisect_left(running, share * total)]] for share in (0.50, 0.95, 0.99)]
    return Latency(p50=bounds[0], p95=bounds[1], p99=bounds[2])


def _sums(parts: Iterable[Mapping[K, int]]) -> Counter[K]:
    """All counts added up; a plain loop, for adding Counters takes ten times as long."""
    total: Counter[K] = Counter()
    for part in parts:
        for name, count in part.items():
            total[name] += count
    return total


def _hourly(counted: list[Bucket], first: int) -> list[tuple[int, int]]:
    hours = [[0, 0] for _ in range(24)]
    for bucket in counted:
        hour = min((bucket.index - first) // 12, 23)
        hours[hour][0] += bucket.success
        hours[hour][1] += bucket.error
    return [(success, error) for success, error in hours]
