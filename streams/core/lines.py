"""Order: of the unfinished jobs of one line, only the first may go (CONTRACT 4, invariant I9).

A line is all of a `strict` hook's jobs, or those of one record key of a `key` hook. The place in a line is the job's
offset, which survives restarts. With `key`, a job that has failed for a minute no longer holds back those behind it.
"""

import heapq

from streams.core.pending import Item

PASS_MS = 60_000
"""How long a failing job of a `key` hook holds back its key, from its first attempt on."""


class Line:
    """Unfinished jobs by offset; `late` has the offsets of those that were passed and have not ended yet."""

    def __init__(self) -> None:
        self.jobs: list[tuple[int, Item]] = []
        self.late: set[int] = set()


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
        """The item's outcome is durable: it leaves the line; answers who is first now, if it was the first."""
        line = self._lines.get(name)
        if line is None:
            return None
        first = bool(line.jobs) and line.jobs[0][1] is item
        if first:
            heapq.heappop(line.jobs)
        elif item.offset in line.late:
            line.late.discard(item.offset)
        else:  # it went before there was an order
            line.jobs = [job for job in line.jobs if job[1] is not item]
            heapq.heapify(line.jobs)
        if not line.jobs and not line.late:
            del self._lines[name]
        return self._first(line, name) if first else None

    def overtook(self, item: Item, name: bytes) -> bool:
        """Whether an earlier job of its line, passed after a minute of failures, has not ended yet."""
        line = self._lines.get(name)
        return line is not None and bool(line.late) and min(line.late) < item.offset

    def passed(self, now_ms: int) -> list[Item]:
        """Step past every job that has failed for a minute; answers those that may go instead."""
        freed = []
        while self._failing and self._failing[0][0] <= now_ms:
            _, _, item, name = heapq.heappop(self._failing)
            line = self._lines.get(name)
            if line is None or not line.jobs or line.jobs[0][1] is not item:
                continue  # it has ended, or its minute is over before its turn
            heapq.heappop(line.jobs)
            line.late.add(item.offset)
            if first := self._first(line, name):
                freed.append(first)
        return freed

    def next_pass(self) -> int | None:
        """The next moment at which a job may have to be passed."""
        return self._failing[0][0] if self._failing else None

    def items(self) -> list[Item]:
        """All that stand in a line, by place."""
        return [item for line in self._lines.values() for _, item in sorted(line.jobs)]

    def _first(self, line: Line, name: bytes) -> Item | None:
        """Who is first now; one that has failed already may have to be passed at once."""
        if not line.jobs:
            return None
        first = line.jobs[0][1]
        if first.attempts:
            self.failed(first, name)
        return first

    def __len__(self) -> int:
        return len(self._lines)
