"""When to try again: schedules, jitter from a given number, and what `Retry-After` may change (CONTRACT 4, 5)."""

import datetime
import hashlib
from email.utils import parsedate_to_datetime
from typing import Literal

from msgspec import Struct

from streams.core.records import Hook, RetryPolicy

PROFILES: dict[str, tuple[float, ...]] = {
    "logto": (0.3, 0.6, 1.2),
    "default": (5, 60, 600),
    "standard": (5, 300, 1800, 7200, 18_000, 36_000, 36_000),
}
"""Waits in seconds before the second and later attempts."""

JITTER = 0.2
"""Each wait is lengthened or shortened by up to this share, so that retries of an outage do not arrive together."""

RETRY_AFTER_MAX_S = 3600.0
"""A receiver may lengthen a wait, up to an hour; more would let it park a job for ever."""

Retryable = Literal["5xx", "timeout", "network", "429"]


class Schedule(Struct, frozen=True):
    """The waits of one hook, already cut by `config.retries`, and the failures that are retried at all."""

    waits_s: tuple[float, ...]
    on: frozenset[str]


def schedule(hook: Hook, profile: str) -> Schedule:
    """The hook's own schedule; `profile` names the one for hooks that say nothing."""
    retry = hook.delivery.retry or profile
    if isinstance(retry, RetryPolicy):
        waits, on = tuple(retry.schedule_seconds), frozenset(retry.on)
    else:
        waits, on = PROFILES[retry], frozenset({"5xx", "timeout", "network", "429"})
    return Schedule(waits if hook.config.retries is None else waits[: hook.config.retries], on)


def wait_s(plan: Schedule, attempt: int, draw: float) -> float | None:
    """Seconds to wait after the given attempt (1 is the first); None when it was the last.

    `draw` in [0, 1) picks the jitter: 0.5 is the schedule's own wait.
    """
    if attempt > len(plan.waits_s):
        return None
    return plan.waits_s[attempt - 1] * (1 - JITTER + 2 * JITTER * draw)


def draw(delivery_id: str, attempt: int) -> float:
    """A number in [0, 1) that depends on the job alone, so that a replay waits as the first run did."""
    digest = hashlib.sha256(f"{delivery_id}|{attempt}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def retry_after_s(value: str | None, now_ms: int) -> float:
    """Seconds that a `Retry-After` asks for: whole seconds or an HTTP date; garbage and the past ask for nothing."""
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MAX_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return min(max(moment.timestamp() - now_ms / 1000, 0.0), RETRY_AFTER_MAX_S)
