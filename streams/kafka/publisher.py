"""Producing what core decided: every record is acknowledged by all replicas before the caller goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from streams.core.records import Coordinates, Outgoing
from streams.kafka import clients
from streams.settings import Settings

BROKERS_TIME = 1
"""Kafka's timestamp type LogAppendTime: the broker says when it took the record."""


class Publisher:
    """Turns `Outgoing` into records on the cluster. Order within a partition is the order of the calls.

    `stamped` is the last time that a broker gave to a record, with the reading of this process's monotonic clock.
    """

    def __init__(self, producer: Any, prefix: str) -> None:
        self.stamped: tuple[int, float] | None = None
        self._producer = producer
        self._prefix = prefix

    async def publish(self, records: Iterable[Outgoing]) -> list[Coordinates]:
        """Send all, wait for all; answers where each lies. Raises KafkaError when any could not be written."""
        futures = [await self._send(record) for record in records]
        places = await asyncio.gather(*futures)
        if places and places[-1].timestamp_type == BROKERS_TIME:
            self.stamped = (places[-1].timestamp, time.monotonic())
        return [Coordinates(at.topic, at.partition, at.offset) for at in places]

    async def _send(self, record: Outgoing) -> asyncio.Future[Any]:
        # aiokafka refuses a record of neither key nor value, as other clients write them: its dead letter is empty.
        bare = record.key is None and record.value is None
        future: asyncio.Future[Any] = await self._producer.send(
            self._prefix + record.topic,
            value=b"" if bare else record.value,
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
        )
        return future


@asynccontextmanager
async def publisher(settings: Settings) -> AsyncIterator[Publisher]:
    """A publisher for the life of the block."""
    async with clients.producer(settings) as producer:
        yield Publisher(producer, settings.topic_prefix)
