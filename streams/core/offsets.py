"""Which offset is safe to commit when jobs of one partition end out of order (invariant I2).

Tracks only offsets that were handed out, so gaps left by compaction or transactions need no special case.
"""


class Offsets:
    """The unfinished offsets of one partition; as many as may be in memory, so the lowest is simply looked for."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._next: int | None = None

    def begin(self, offset: int) -> None:
        """An offset was handed out for work."""
        self._open.add(offset)
        self._next = max(self._next or 0, offset + 1)

    def finish(self, offset: int) -> None:
        """The effect of that offset's record is durable. Said twice, or of an offset never begun, it means nothing."""
        self._open.discard(offset)

    @property
    def safe(self) -> int | None:
        """The position to commit: the lowest unfinished offset, or one past the last; None before the first."""
        return min(self._open, default=self._next)

    def __len__(self) -> int:
        """How many offsets are unfinished."""
        return len(self._open)
