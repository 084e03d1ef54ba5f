"""The consumer groups of the roles as the cluster sees them: who is in them, and how much waits for them.

For commands; reads only, and by offsets alone: no record is fetched.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.errors import GroupAuthorizationFailedError, for_code
from msgspec import Struct

from streams.core.errors import TopicsUnfit
from streams.kafka import agents, clients, committed, reader, topics
from streams.kafka.clients import TopicPartition
from streams.settings import Settings


class Group(Struct, frozen=True):
    """One group now: `state` in Kafka's words (`Stable`, `Empty`, `Dead`, ...), `waiting` counts records."""

    name: str
    state: str
    members: int
    waiting: int


async def look(settings: Settings, role: str) -> Group:
    """The group of a role. Raises TopicsUnfit when this client may not see it, or when a topic it reads is missing.

    Raises KafkaError or TimeoutError when nobody can say.
    """
    name = agents.group(settings, role)
    try:
        return await _look(settings, name, topics.READS[role])
    except GroupAuthorizationFailedError as error:
        raise TopicsUnfit(f"this client may not see the group {name}: grant it Describe on it") from error


async def arrived_since(settings: Settings, topic: str, since_ms: int) -> int:
    """How many records the topic (named without prefix) got from a time on, in Unix milliseconds."""
    found = await reader.partitions(settings, [settings.topic_prefix + topic])
    async with clients.consumer(settings) as consumer:
        ends = await consumer.end_offsets(found)
        firsts = await consumer.offsets_for_times(dict.fromkeys(found, since_ms))
    return sum(ends[partition] - first.offset for partition, first in firsts.items() if first is not None)


async def _look(settings: Settings, name: str, names: Iterable[str]) -> Group:
    known = await committed.offsets(settings, name)  # first, for it waits until the group's coordinator answers
    async with clients.admin(settings) as admin:
        answers: list[Any] = await admin.describe_consumer_groups([name])
    ((code, _, state, _, _, members, *_),) = answers[0].groups
    if code:
        raise for_code(code)(f"group {name}")
    starts = {partition: at.offset for partition, at in known.items()}
    return Group(name, state, len(members), await _waiting(settings, names, starts))


async def _waiting(settings: Settings, names: Iterable[str], starts: Mapping[TopicPartition, int]) -> int:
    """Records from where the group would start to the ends; a group that committed nothing starts at the beginning."""
    found = await reader.partitions(settings, [settings.topic_prefix + name for name in names])
    async with clients.consumer(settings) as consumer:
        ends: dict[TopicPartition, Any] = await consumer.end_offsets(found)
        firsts = await consumer.beginning_offsets(found)
    return sum(max(0, ends[at] - max(starts.get(at, 0), firsts[at])) for at in found)
