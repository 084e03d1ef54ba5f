"""At most so many starts in any period: the moments of the last ones are remembered, so the limit is exact."""

from collections import deque


class Rate:
    """`limit` starts in any `period_ms`; remembers at most `limit` moments. Times are given, in milliseconds."""

    def __init__(self, limit: int, period_ms: int) -> None:
        self.limit = limit
        self.period_ms = period_ms
        self._starts: deque[int] = deque(maxlen=limit)

    def free_at(self, now_ms: int) -> int:
        """The earliest moment, not before `now_ms`, at which one more start is within the limit."""
        if len(self._starts) < self.limit:
            return now_ms
        return max(self._starts[0] + self.period_ms, now_ms)

    def quiet(self, now_ms: int) -> bool:
        """Whether forgetting this rate would change nothing."""
        return not self._starts or self._starts[-1] + self.period_ms <= now_ms

    def take(self, now_ms: int) -> None:
        """A start happened."""
        self._starts.append(now_ms)
