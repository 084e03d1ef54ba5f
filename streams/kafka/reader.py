"""Reading topics without a group: from where one likes, to the end as it was, or for ever."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition

from streams.core.errors import TopicsUnfit
from streams.core.records import Coordinates, Incoming
from streams.kafka import clients, permitted
from streams.settings import Settings

POLL_MS = 200
"""How long one poll waits for records; a record ends the wait at once, so this costs no latency."""


def incoming(message: Any) -> Incoming:
    """An aiokafka message as a record of ours."""
    return Incoming(
        at=Coordinates(message.topic, message.partition, message.offset),
        key=message.key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in message.headers),
        timestamp=message.timestamp,
    )


async def partitions(settings: Settings, names: Iterable[str]) -> list[TopicPartition]:
    """All partitions of the topics; raises TopicsUnfit when one does not exist, BrokerRefuses when it is hidden."""
    names = list(names)
    async with clients.admin(settings) as admin:
        # All topics, because asking for one by name would let some brokers make it.
        found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        if unseen := [name for name in names if not found.get(name)]:
            await permitted.demand_sight(settings, admin, unseen)
            raise TopicsUnfit(f"topic {unseen[0]} does not exist: make the topics with `hookline topic apply`")
    return [TopicPartition(name, part["partition"]) for name in names for part in found[name]]


async def partition_count(settings: Settings, topic: str) -> int:
    """How many partitions a topic has; raises TopicsUnfit when it does not exist."""
    return len(await partitions(settings, [topic]))


async def to_end(settings: Settings, starts: Mapping[TopicPartition, int]) -> AsyncGenerator[Incoming, None]:
    """Every record from the given offsets (-1: the beginning) to the partitions' ends as they are now."""
    if not starts:
        return
    async with clients.consumer(settings) as consumer:
        async for record in read_to_end(consumer, starts):
            yield record


async def read_to_end(consumer: Any, starts: Mapping[TopicPartition, int]) -> AsyncGenerator[Incoming, None]:
    """As `to_end`, with a consumer that stays assigned afterwards and can go on tailing.

    Done is when the position has passed the end, so gaps left by compaction or transactions do not matter.
    """
    consumer.assign(list(starts))
    ends = await consumer.end_offsets(list(starts))
    first = await consumer.beginning_offsets(list(starts))
    for partition, start in starts.items():
        consumer.seek(partition, max(start, first[partition]))
    left = {partition for partition in starts if max(starts[partition], first[partition]) < ends[partition]}
    while left:
        for partition, messages in (await consumer.getmany(*left, timeout_ms=POLL_MS)).items():
            for message in messages:
                if message.offset < ends[partition]:
                    yield incoming(message)
        left = {partition for partition in left if await consumer.position(partition) < ends[partition]}


async def read_past(consumer: Any, last: Mapping[TopicPartition, int], first: int) -> AsyncGenerator[Incoming, None]:
    """Every record from the offset `first` on, until the last offset given for each partition has been read over."""
    consumer.assign(list(last))
    for partition in last:
        consumer.seek(partition, first)
    for partition, offset in last.items():
        while await consumer.position(partition) <= offset:
            for messages in (await consumer.getmany(partition, timeout_ms=POLL_MS)).values():
                for message in messages:
                    yield incoming(message)


async def tail(settings: Settings, *topics: str, from_beginning: bool = False) -> AsyncGenerator[Incoming, None]:
    """Records of the topics as they arrive, until the caller stops iterating."""
    found = await partitions(settings, topics)
    async with clients.consumer(settings) as consumer:
        consumer.assign(found)
        await (consumer.seek_to_beginning(*found) if from_beginning else consumer.seek_to_end(*found))
        while True:
            for messages in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for message in messages:
                    yield incoming(message)
