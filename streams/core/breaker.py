"""A hook's breaker: asks an endpoint that only fails no more, but with one request at a time whether it is back.

Closed until at least ten attempts of the last minute are known and 70 % of them failed; then open for 30 s, twice as
long after every probe that fails, up to ten minutes (CONTRACT 5). Times are given, in Unix milliseconds.
"""

from collections import deque

WINDOW_MS = 60_000
ATTEMPTS_MIN = 10
FAILED_SHARE = 0.7
OPEN_MS = 30_000
OPEN_MAX_MS = 600_000
SECOND_MS = 1000


class Breaker:
    """Counts by the second, so that its memory does not grow with the traffic."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()  # [second, attempts, failures]
        self._open_until: int | None = None
        self._open_ms = OPEN_MS
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half-open` while a probe is under way."""
        if self._open_until is None:
            return "closed"
        return "half-open" if self._probing else "open"

    def quiet(self, now_ms: int) -> bool:
        """Whether forgetting this breaker would change nothing: it is closed and knows of no late failure."""
        last = now_ms // SECOND_MS - WINDOW_MS // SECOND_MS
        return self._open_until is None and not any(second[2] for second in self._seconds if second[0] > last)

    def free_at(self, now_ms: int) -> int | None:
        """When the next request may go: now, when the breaker lets a probe through, or None until the probe is back."""
        if self._probing:
            return None
        return max(self._open_until or now_ms, now_ms)

    def begin(self) -> bool:
        """A request goes; True when it is the probe, whose answer decides."""
        self._probing = self._open_until is not None
        return self._probing

    def answer(self, failed: bool, now_ms: int, probe: bool = False) -> bool:
        """An answer came; True when it opened the breaker. Late ones of before it opened decide nothing."""
        if probe:
            return self._probed(failed, now_ms)
        if self._open_until is not None:
            return False
        self._count(failed, now_ms // SECOND_MS)
        attempts = sum(second[1] for second in self._seconds)
        failures = sum(second[2] for second in self._seconds)
        if attempts < ATTEMPTS_MIN or failures < FAILED_SHARE * attempts:
            return False
        self._open_until = now_ms + self._open_ms
        return True

    def forsake(self) -> None:
        """The probe never went out; the next request is the probe."""
        self._probing = False

    def _probed(self, failed: bool, now_ms: int) -> bool:
        self._probing = False
        if failed:
            self._open_ms = min(self._open_ms * 2, OPEN_MAX_MS)
            self._open_until = now_ms + self._open_ms
        else:
            self._open_until, self._open_ms = None, OPEN_MS
            self._seconds.clear()
        return failed

    def _count(self, failed: bool, second: int) -> None:
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += failed
        while self._seconds[0][0] <= second - WINDOW_MS // SECOND_MS:
            self._seconds.popleft()
