"""Topics for a person who watches: batches as they arrive, the first one as soon as nothing can be missed any more.

By consumers without a group, so that watching moves nobody's position.
"""

from collections.abc import AsyncIterator
from typing import Any

from streams.core.records import Incoming
from streams.kafka import clients, reader
from streams.settings import Settings


async def from_now(settings: Settings, *topics: str) -> AsyncIterator[list[Incoming]]:
    """What is written from now on, for ever. The first batch is empty: nothing is missed any more."""
    found = await reader.partitions(settings, topics)
    async with clients.consumer(settings) as consumer:
        consumer.assign(found)
        await consumer.seek_to_end(*found)
        yield []
        async for batch in _batches(consumer):
            yield batch


async def from_beginning(settings: Settings, *topics: str) -> AsyncIterator[list[Incoming]]:
    """What the topics still hold, in the order of each partition, and what is written then, for ever."""
    found = await reader.partitions(settings, topics)
    async with clients.consumer(settings) as consumer:
        consumer.assign(found)
        await consumer.seek_to_beginning(*found)
        yield []
        async for batch in _batches(consumer):
            yield batch


async def from_state(settings: Settings, topic: str) -> AsyncIterator[list[Incoming]]:
    """All that a topic holds as the first batch, which may be empty; then what is written, for ever."""
    found = await reader.partitions(settings, [topic])
    async with clients.consumer(settings) as consumer:
        yield [record async for record in reader.read_to_end(consumer, dict.fromkeys(found, -1))]
        async for batch in _batches(consumer):
            yield batch


async def _batches(consumer: Any) -> AsyncIterator[list[Incoming]]:
    while True:
        found = await consumer.getmany(timeout_ms=reader.POLL_MS)
        if found:
            yield [reader.incoming(message) for messages in found.values() for message in messages]
