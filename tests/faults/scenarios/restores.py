"""A restore of what waits, while the broker compacts the topic that it is read from."""

import asyncio
from typing import Any

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from streams.kafka import clients, reader, topics
from streams.kafka.clients import TopicPartition
from streams.settings import Settings
from tests.faults.facts import Facts, Watched
from tests.faults.load import PER_S
from tests.faults.receiver import Manner, first
from tests.faults.stage import Place, stage

KILLS = 5
APART_S = 3.0
FAILS = 3
HOOKS = 1000
"""So many that none has the ten attempts a minute that would open its breaker."""

QUICKLY = {
    "segment.bytes": str(1 << 20),
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "100",
}


async def while_compacting(place: Place) -> Facts:
    """Every delivery waits three times, so its record is replaced twice and then settled; the sender is killed and
    restores what is left while the broker rewrites the segments.
    """
    hooks = [Watched(number=number, waits=(3.0, 3.0, 3.0)) for number in range(HOOKS)]
    async with stage(place, "compaction during a restore", hooks) as the:
        await _compact_quickly(the.line.settings)
        the.receiver.behaviours.update({watched.path: first(FAILS, Manner(status=500)) for watched in hooks})
        sender = the.line.roles["sender"]
        async with the.disturbed():
            for _ in range(KILLS):
                await asyncio.sleep(APART_S)
                await the.kill(sender)
                await sender.start()
                await sender.ready()
        facts = await the.settled()
        facts.problems += await _compacted_nothing(the.line.settings)
        return facts


async def _compact_quickly(settings: Settings) -> None:
    """Small segments that are rewritten at once; the broker's own pause between two rounds is 15 s."""
    own = next(topics.configuration(topic) for topic in topics.TOPICS if topic.name == topics.RETRIES)
    retries = ConfigResource(ConfigResourceType.TOPIC, settings.topic_prefix + topics.RETRIES, own | QUICKLY)
    async with clients.admin(settings) as admin:
        responses: list[Any] = await admin.alter_configs([retries])
    answers = [answer for response in responses for answer in response.resources]
    assert not any(code for code, *_ in answers), answers


async def _compacted_nothing(settings: Settings) -> list[str]:
    """A complaint when no record was ever removed: then the scenario has shown nothing."""
    name = settings.topic_prefix + topics.RETRIES
    try:
        starts = dict.fromkeys(await reader.partitions(settings, [name]), -1)
        count = len([record async for record in reader.to_end(settings, starts)])
        async with clients.consumer(settings) as consumer:
            end = sum((await consumer.end_offsets([TopicPartition(name, at.partition) for at in starts])).values())
    except KafkaError as error:
        return [f"the retries could not be read: {error!r}"]
    return [] if count < end else [f"nothing was compacted: {count} of {end} records are there (load {PER_S}/s)"]
