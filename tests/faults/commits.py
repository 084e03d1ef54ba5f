"""I2, looked at from outside: what the sender committed past must have an outcome, or wait in `hooks.retries`."""

import msgspec
from aiokafka.errors import KafkaError
from msgspec import Struct

from streams.core import jobs
from streams.core.records import DeadLetter, Incoming
from streams.kafka import agents, committed, reader, sender, topics
from streams.kafka.clients import TopicPartition
from streams.settings import Settings


class _Id(Struct):
    id: str


async def past_unfinished(settings: Settings) -> list[str]:
    """The complaint, if any. In this order: what a commit covers was durable before it, and only grows after."""
    try:
        known = await committed.offsets(settings, agents.group(settings, sender.NAME))
        waiting = _latest(await _all(settings, topics.RETRIES))
        ended = {_id_of(record.value) for record in await _all(settings, topics.LOG)}
        asked = await _all(settings, topics.DELIVERIES)
    except (KafkaError, TimeoutError) as error:
        return [f"I2: could not be looked at: {error!r}"]
    bare = []
    for record in asked:
        at = known.get(TopicPartition(record.at.topic, record.at.partition))
        job = jobs.read(record)
        if at is None or record.at.offset >= at.offset or isinstance(job, DeadLetter):
            continue
        if job.delivery_id not in ended and job.delivery_id not in waiting:
            bare.append(job.delivery_id)
    return [f"I2: {len(bare)} jobs are committed without outcome or retry ({', '.join(bare[:3])})"] if bare else []


async def _all(settings: Settings, topic: str) -> list[Incoming]:
    found = await reader.partitions(settings, [settings.topic_prefix + topic])
    return [record async for record in reader.to_end(settings, dict.fromkeys(found, -1))]


def _latest(records: list[Incoming]) -> set[str]:
    """Ids that wait: the last record of each is no null."""
    last = {record.key: record.value for record in records}
    return {key.decode("ascii", "replace") for key, value in last.items() if key and value}


def _id_of(value: bytes | None) -> str:
    try:
        return msgspec.json.decode(value or b"", type=_Id).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
