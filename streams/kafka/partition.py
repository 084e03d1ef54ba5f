"""One assigned partition of `hooks.deliveries`: what is unfinished, what ended, and what may be committed."""

from streams.core.offsets import Offsets
from streams.kafka.delivering import Delivery
from streams.kafka.ended import History


class Partition:
    """The owner's bookkeeping; it starts from the history that `hooks.log` tells.

    Per unfinished job it remembers where the log ended when the job began: the outcomes of that job and of all later
    ones lie there or beyond.
    """

    def __init__(self, number: int, history: History) -> None:
        self.number = number
        self.offsets = Offsets()
        self.deliveries: set[Delivery] = set()
        self.bytes = 0
        self.paused = False
        self.released = False
        self.recent = history.ids
        self.committed = history.committed
        self._ended = dict(history.by_job_offset)
        self._log_end = history.log_end
        self._floors: dict[int, int] = {}

    def begin(self, offset: int, size: int) -> bool:
        """Hand an offset out; False when its job ended before this process owned the partition."""
        self.offsets.begin(offset)
        if offset in self._ended:
            self.offsets.finish(offset)
            return False
        self._floors[offset] = self._log_end
        self.bytes += size
        return True

    def finish(self, offset: int, size: int, log_offset: int | None = None) -> None:
        """The job's effect is durable; `log_offset` is where its outcome lies, None when it has none."""
        self.bytes -= size
        self._floors.pop(offset, None)
        if log_offset is not None:
            self._log_end = max(self._log_end, log_offset + 1)
        self.offsets.finish(offset)

    def commit(self) -> tuple[int, str] | None:
        """The offset to commit and its metadata (see `ended`); None when nothing moved since the last call."""
        safe = self.offsets.safe
        if safe is None or safe == self.committed:
            return None
        self.committed = safe
        self._ended = {job: log for job, log in self._ended.items() if job >= safe}
        return safe, str(min([self._floors.get(safe, self._log_end), *self._ended.values()]))
