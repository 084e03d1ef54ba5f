"""Which offset is safe to commit when jobs of one partition end out of order (invariant I2).

Tracks only offsets that were handed out, so gaps left by compaction or transactions need no special case.
"""

from heapq import heappop, heappush


class Offsets:
    """The unfinished offsets of one partition. `begin` is called in rising order, `finish` in any."""

    def __init__(self) -> None:
        self._open: list[int] = []
        self._finished: set[int] = set()
        self._next: int | None = None

    def begin(self, offset: int) -> None:
        """An offset was handed out for work."""
        heappush(self._open, offset)
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """The effect of that offset's record is durable."""
        self._finished.add(offset)
        while self._open and self._open[0] in self._finished:
            self._finished.discard(heappop(self._open))

    @property
    def safe(self) -> int | None:
        """The position to commit: the lowest unfinished offset, or one past the last; None before the first."""
        return self._open[0] if self._open else self._next

    def __len__(self) -> int:
        """How many offsets are unfinished."""
        return len(self._open) - len(self._finished)
