"""Records that no client of ours would write: with header names that are not UTF-8, or with neither key nor value."""

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from streams.core.records import Coordinates, Outgoing
from streams.kafka import clients
from streams.settings import Settings


class OddName(str):
    """The header name `x-` and a byte that is no text, under the name that it has for whoever reads it here."""

    __slots__ = ()

    def __new__(cls) -> "OddName":
        return super().__new__(cls, r"x-\xff")

    def encode(self, *_: str) -> bytes:
        """What travels."""
        return b"x-\xff"


def needed(record: Outgoing) -> bool:
    """Whether aiokafka's `send` would refuse the record or write another."""
    return (record.key, record.value) == (None, None) or any(isinstance(name, OddName) for name, _ in record.headers)


async def write(settings: Settings, record: Outgoing) -> Coordinates:
    """Write a record in a batch of its own, by the builder in Python, which asks every name for its bytes."""
    async with AIOKafkaProducer(**clients.connection(settings)) as producer:  # an idempotent one insists on the other
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, -1, 1 << 21)
        batch.append(key=record.key, value=record.value, timestamp=None, headers=list(record.headers))
        topic = settings.topic_prefix + record.topic
        at = await (await producer.send_batch(batch, topic, partition=record.partition or 0))
    return Coordinates(at.topic, at.partition, at.offset)
