"""`hooks.config` for commands: every hook as it stands now, with the bytes of its record, and writing a new version.

The roles tail the topic for ever (`view`); a command reads it once to the end, by the same rules.
"""

import asyncio
from collections.abc import Iterable

from msgspec import Struct, field

from streams.core import egress
from streams.core.catalogue import Catalogue
from streams.core.hooks import HookRules, Known
from streams.core.records import Coordinates, DeadLetter, Hook, Incoming, Outgoing
from streams.kafka import clients, reader, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.publisher import publisher
from streams.settings import Settings

VISIBLE_S = 15
"""How long an acknowledged record may take until consumers are given it; one broker takes a few milliseconds."""


EVENT_ID = "event-id"
"""Header of a hook record that Hookline wrote by itself: the id of the `Hook.Disabled` that says why."""


class Stored(Struct, frozen=True):
    """A hook in force and the record that says so, byte for byte: the record may hold members we do not know.

    `event_id` is the id of the event that tells why it was written, which only records of Hookline's own have.
    """

    known: Known
    value: bytes
    event_id: bytes | None = None

    @property
    def version(self) -> tuple[int, int]:
        """Where the record lies: partition and offset."""
        return self.known.version

    @property
    def hook(self) -> Hook:
        """The hook itself."""
        return self.known.hook


class Hooks(Struct):
    """What `hooks.config` says: the hooks in force by id, why the latest record of an id is refused, if it is, and
    where that latest record lies, whatever became of it."""

    in_force: dict[str, Stored] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    latest: dict[str, Coordinates] = field(default_factory=dict)

    def take(self, record: Incoming, rules: HookRules) -> None:
        """Apply the next record. One that does not validate leaves the previous version in force (CONTRACT 4)."""
        hook_id = (record.key or b"").decode("utf-8", "replace")
        self.latest[hook_id] = record.at
        known = rules.read(record)
        if isinstance(known, DeadLetter):
            self.refused[hook_id] = known.detail
            return
        self.refused.pop(hook_id, None)
        if known is None or record.value is None:
            self.in_force.pop(hook_id, None)
        else:
            self.in_force[hook_id] = Stored(known, record.value, record.header(EVENT_ID))


def rules(settings: Settings) -> HookRules:
    """What this installation holds hooks against."""
    return HookRules(Catalogue(settings.extra_events), egress.networks(settings.allow_networks))


def refusal(rules: HookRules, hook_id: str, value: bytes) -> str | None:
    """Why the roles would refuse this record under this key; None when they would take it."""
    found = rules.read(Incoming(at=Coordinates(topics.CONFIG, 0, 0), key=hook_id.encode(), value=value))
    return found.detail if isinstance(found, DeadLetter) else None


async def read(settings: Settings) -> Hooks:
    """The hooks as they are now. Raises TopicsUnfit when the topic does not exist."""
    hooks, held_against = Hooks(), rules(settings)
    for_all = await reader.partitions(settings, [settings.topic_prefix + topics.CONFIG])
    async for record in reader.to_end(settings, dict.fromkeys(for_all, -1)):
        hooks.take(record, held_against)
    return hooks


async def write(settings: Settings, records: Iterable[tuple[str, bytes | None]]) -> list[Coordinates]:
    """Write (hook id, record or None to delete); returns where, once all are durable and a reader has seen them.

    Raises TopicsUnfit before anything is written when the topic does not exist.
    """
    await reader.partitions(settings, [settings.topic_prefix + topics.CONFIG])
    async with publisher(settings) as out:
        places = await out.publish(
            Outgoing(topic=topics.CONFIG, key=hook_id.encode(), value=value) for hook_id, value in records
        )
    async with asyncio.timeout(VISIBLE_S):
        await _seen(settings, places)
    return places


async def _seen(settings: Settings, places: list[Coordinates]) -> None:
    """Wait until a consumer that starts anew has read past every place."""
    last = {TopicPartition(at.topic, at.partition): at.offset for at in sorted(places)}
    async with clients.consumer(settings) as consumer:
        consumer.assign(list(last))
        for partition, offset in last.items():
            consumer.seek(partition, offset)
        for partition, offset in last.items():
            while await consumer.position(partition) <= offset:
                await consumer.getmany(partition, timeout_ms=reader.POLL_MS)
