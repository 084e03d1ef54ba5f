"""The newest records of a topic that somebody asks for, read backwards: a busy day is not read to show twenty lines."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from streams.core.records import Incoming
from streams.kafka import clients, reader
from streams.kafka.clients import TopicPartition
from streams.settings import Settings

T = TypeVar("T")

STRIDE_MAX = 20_000
"""Most records read at a stretch; strides begin at what was asked for and grow fourfold while too few are found."""

FETCH_WAIT_MS = 10
"""How long a fetch at a partition's end waits for more: after it a seek backwards would wait as long."""


async def newest(
    settings: Settings, topic: str, since_ms: int, limit: int, pick: Callable[[Incoming], T | None]
) -> list[T]:
    """What `pick` makes of the last `limit` records of every partition that it makes anything of, oldest first in each.

    The newest of the whole topic are among them. `since_ms` (Unix milliseconds) is held against record timestamps.
    """
    found = await reader.partitions(settings, [topic])
    async with clients.consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer:
        ends = await consumer.end_offsets(found)
        firsts = await consumer.offsets_for_times(dict.fromkeys(found, since_ms))
        picked: list[T] = []
        for partition in found:
            if (first := firsts[partition]) is not None:  # else nothing is that young
                consumer.assign([partition])  # one at a time, so that nothing else is fetched meanwhile
                picked += await _backwards(consumer, partition, first.offset, ends[partition], limit, pick)
    return picked


async def _backwards(
    consumer: Any, partition: TopicPartition, first: int, stop: int, limit: int, pick: Callable[[Incoming], T | None]
) -> list[T]:
    picked: list[T] = []
    stride = limit
    while stop > first and len(picked) < limit:
        start = max(first, stop - stride)
        records = [pick(record) async for record in between(consumer, partition, start, stop)]
        picked = [found for found in records if found is not None] + picked
        stop, stride = start, min(stride * 4, STRIDE_MAX)
    return picked[-limit:]


async def between(consumer: Any, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Incoming]:
    """The records with offsets from `start` to before `stop`."""
    consumer.seek(partition, start)
    while await consumer.position(partition) < stop:
        for messages in (await consumer.getmany(partition, timeout_ms=reader.POLL_MS)).values():
            for message in messages:
                if message.offset < stop:
                    yield reader.incoming(message)
