"""No record may be passed over unseen: offsets must be consecutive per partition since its assignment.

Faust was seen to drop runs of records from its own queues after a restart; its
commits never pass such a gap, so a role that crashes on one loses nothing. A gap without records in it (left
by a transaction's marker, compaction or retention) is no loss: the broker is asked before anybody crashes.
"""

from collections.abc import Iterable
from contextlib import aclosing

from streams.core.errors import HooklineError
from streams.core.records import Incoming
from streams.kafka import committed, reader
from streams.kafka.clients import TopicPartition
from streams.settings import Settings


class RecordsSkipped(HooklineError):
    """The supervisor acts: it starts the role again, which then reads from the committed offset. Exit code 1."""


class Continuity:
    """Checks every batch of one consumer group's records before anything is done with them."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._next: dict[TopicPartition, int] | None = None
        self._assignment = 0

    def reset(self) -> None:
        """Partitions were assigned: delivery starts anew from the committed offsets."""
        self._next = None
        self._assignment += 1

    async def check(self, records: Iterable[Incoming]) -> None:
        """Raise RecordsSkipped when a record of any partition was passed over. A repeated record is fine."""
        expected = await self._expected()
        for record in records:
            partition = TopicPartition(record.at.topic, record.at.partition)
            start = expected.get(partition, 0)
            if record.at.offset > start:
                await self._prove_empty(partition, start, record.at.offset)
            expected[partition] = max(start, record.at.offset + 1)

    async def _expected(self) -> dict[TopicPartition, int]:
        """The next offset of each partition; asked of the broker again when a rebalance comes while it is asked."""
        while self._next is None:
            assignment, found = self._assignment, await self.committed()
            if assignment == self._assignment:
                self._next = found
        return self._next

    async def committed(self) -> dict[TopicPartition, int]:
        """Where the group would start: the committed offset of each partition that has one."""
        return {
            partition: at.offset for partition, at in (await committed.offsets(self._settings, self._group)).items()
        }

    async def _prove_empty(self, partition: TopicPartition, start: int, stop: int) -> None:
        async with aclosing(reader.to_end(self._settings, {partition: start})) as records:
            first = await anext(records, None)
        if first is not None and first.at.offset < stop:
            raise RecordsSkipped(
                f"{partition.topic}/{partition.partition}: offset {first.at.offset} was never delivered to this role, "
                f"{stop} was; starting again from the committed offset"
            )
