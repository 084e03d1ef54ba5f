"""One assigned partition of `hooks.deliveries`: what is unfinished, what ended, and what may be committed."""

from collections import deque

from streams.core.offsets import Offsets
from streams.core.pending import Item
from streams.core.records import Job
from streams.kafka import growth
from streams.kafka.ended import History
from streams.kafka.retries import Waiting


class Partition:
    """The owner's bookkeeping; it starts from what `hooks.log` and `hooks.retries` tell.

    `count` is how many partitions the topic has. `items` has every unfinished job by delivery id. `reread` are ordered
    jobs that wait on `hooks.retries` although their offset is not committed: they stand in line when their offset is
    read again, behind those before it.

    For every job under way it remembers where the log ended when it began: its outcome will lie there or beyond.
    """

    def __init__(self, number: int, count: int, history: History, waiting: Waiting) -> None:
        self.number = number
        self.count = count
        self.offsets = Offsets()
        self.items: dict[str, Item] = waiting.items
        self.reread: deque[Item] = deque()
        self.bytes = 0
        self.paused = False
        self.released = False  # nothing more begins here
        self.lost = False  # somebody else may own it by now
        self.recent = history.ids
        self.committed = history.committed
        self._ended = dict(history.by_job_offset)
        self._log_end = history.log_end
        self._floors: dict[str, int] = {}

    def restored(self) -> list[Item]:
        """The jobs that wait and may be dispatched at once; the others are kept in `reread`."""
        later = [item for item in self.items.values() if item.line is not None and item.offset >= self.committed]
        self.reread = deque(sorted(later, key=lambda item: item.offset))
        kept = {item.id for item in later}
        return [item for item in self.items.values() if item.id not in kept] if kept else list(self.items.values())

    def reached(self, offset: int) -> list[Item]:
        """The jobs of `reread` whose turn to stand in line comes with this offset."""
        due = []
        while self.reread and self.reread[0].offset <= offset:
            due.append(self.reread.popleft())
        return due

    def knows(self, job: Job) -> bool:
        """Whether a job is in work already or has ended lately; a new one is known from now on.

        The replays of one run are one job; a replay of a delivery that is not finished yet is a duplicate.
        """
        if job.delivery_id in self.items:
            return True
        return not self.recent.add(f"{job.delivery_id}/{job.replay}" if job.replay else job.delivery_id)

    def begin(self, offset: int, size: int) -> bool:
        """Hand an offset out; False when its job ended before this process owned the partition."""
        self.offsets.begin(offset)
        if offset in self._ended:
            self.offsets.finish(offset)
            return False
        self.bytes += size
        return True

    def keep(self, item: Item) -> None:
        """From now on the job may write its outcome, whether its offset is committed or not."""
        self._floors.setdefault(item.id, self._log_end)

    def wrote(self, log_offset: int) -> None:
        """An outcome of ours lies there."""
        self._log_end = max(self._log_end, log_offset + 1)

    def finish(self, offset: int, size: int) -> None:
        """What the job's record asked for is durable: its outcome, or that it waits."""
        self.bytes -= size
        self.offsets.finish(offset)

    def settled(self, item: Item) -> None:
        """Nothing on the log needs to be read back for this job: it waits, or nothing but its outcome is left of it."""
        self._floors.pop(item.id, None)

    def commit(self) -> tuple[int, str] | None:
        """The offset to commit and its metadata (see `growth`); None when nothing moved since the last call."""
        safe = self.offsets.safe
        if safe is None or safe == self.committed:
            return None
        self.committed = safe
        self._ended = {job: log for job, log in self._ended.items() if job >= safe}
        floor = min([self._log_end, *self._floors.values(), *self._ended.values()])
        return safe, growth.metadata(floor, self.count)
