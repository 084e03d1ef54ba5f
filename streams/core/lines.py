"""Order: of the unfinished jobs of one line, only the first may go (CONTRACT 4, invariant I9).

A line is all of a `strict` hook's jobs, or those of one record key of a `key` hook. The place in a line is the job's
offset, which survives restarts. With `key`, a job that has failed for a minute no longer holds back those behind it.
"""

import heapq

from streams.core.pending import Item

PASS_MS = 60_000
"""How long a failing job of a `key` hook holds back its key, from its first attempt on."""


class Line:
    """Unfinished jobs by offset; `late` has the ids of those that were passed and have not ended yet."""

    def __init__(self) -> None:
        self.jobs: list[tuple[int, Item]] = []
        self.late: set[str] = set()


class Lines:
    """The lines of one hook. Methods answer the job that may go now because of what they were told, if any."""

    def __init__(self, passing: bool) -> None:
        self._passing = passing
        self._lines: dict[bytes, Line] = {}
        self._failing: list[tuple[int, int, Item, bytes]] = []  # the moment to pass it, its offset, itself, its line

    def add(self, item: Item, name: bytes) -> Item | None:
        """Stand in line; answers the item itself when it is the first."""
        line = self._lines.setdefault(name, Line())
        heapq.heappush(line.jobs, (item.offset, item))
        return item if line.jobs[0][1] is item else None

    def failed(self, item: Item, name: bytes) -> None:
        """The item's first attempt failed, and it waits for the next."""
        if self._passing:
            heapq.heappush(self._failing, (item.began + PASS_MS, item.offset, item, name))

    def end(self, item: Item, name: bytes) -> Item | None:
        """The item's outcome is durable: it leaves the line; answers who is first now."""
        line = self._lines.get(name)
        if line is None:
            return None
        line.late.discard(item.id)
        if not line.jobs or line.jobs[0][1] is not item:
            self._tidy(name, line)
            return None
        heapq.heappop(line.jobs)
        self._tidy(name, line)
        return line.jobs[0][1] if line.jobs else None

    def overtook(self, item: Item, name: bytes) -> bool:
        """Whether an earlier job of its line, passed after a minute of failures, has not ended yet."""
        line = self._lines.get(name)
        return line is not None and item.id not in line.late and bool(line.late)

    def passed(self, now_ms: int) -> list[Item]:
        """Step past every job that has failed for a minute; answers those that may go instead."""
        freed = []
        while self._failing and self._failing[0][0] <= now_ms:
            _, _, item, name = heapq.heappop(self._failing)
            line = self._lines.get(name)
            if line is None or not line.jobs or line.jobs[0][1] is not item:
                continue  # it has ended
            heapq.heappop(line.jobs)
            line.late.add(item.id)
            if line.jobs:
                freed.append(line.jobs[0][1])
        return freed

    def next_pass(self) -> int | None:
        """The next moment at which a job may have to be passed."""
        return self._failing[0][0] if self._failing else None

    def items(self) -> list[Item]:
        """All that stand in a line, by place."""
        return [item for line in self._lines.values() for _, item in sorted(line.jobs)]

    def _tidy(self, name: bytes, line: Line) -> None:
        if not line.jobs and not line.late:
            del self._lines[name]

    def __len__(self) -> int:
        return len(self._lines)
