"""Reading single records again by where they lie: the originals behind outcomes and dead letters, while they last."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

from streams.core.records import Coordinates, Incoming
from streams.kafka.clients import TopicPartition
from streams.kafka.newest import between

NEAR = 500
"""Records between two wanted ones that are read over; for more of them a seek is cheaper."""


async def read(
    consumer: Any, known: frozenset[TopicPartition], places: Iterable[Coordinates]
) -> Mapping[Coordinates, Incoming]:
    """The records at these places. What is gone (retention, another topic) is left out.

    `known` are the partitions that exist: asking for another would wait for ever, or let the broker make it.
    """
    wanted: dict[TopicPartition, list[int]] = {}
    for at in sorted(set(places)):
        wanted.setdefault(TopicPartition(at.topic, at.partition), []).append(at.offset)
    return {
        record.at: record
        for partition, offsets in wanted.items()
        if partition in known
        async for record in _of(consumer, partition, offsets)
    }


async def _of(consumer: Any, partition: TopicPartition, offsets: list[int]) -> AsyncIterator[Incoming]:
    if consumer.assignment() != {partition}:  # assigning anew forgets what is fetched already
        consumer.assign([partition])
    first = (await consumer.beginning_offsets([partition]))[partition]
    end = (await consumer.end_offsets([partition]))[partition]
    wanted = {offset for offset in offsets if first <= offset < end}
    for start, stop in _stretches(sorted(wanted)):
        async for record in between(consumer, partition, start, stop):
            if record.at.offset in wanted:
                yield record


def _stretches(offsets: list[int]) -> Iterator[tuple[int, int]]:
    """From where to where to read, so that all offsets are passed."""
    start = 0
    for index, offset in enumerate(offsets):
        if index + 1 == len(offsets) or offsets[index + 1] - offset > NEAR:
            yield offsets[start], offset + 1
            start = index + 1
