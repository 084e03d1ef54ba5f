"""`hooks.config` for commands: every hook as it stands now, with the bytes of its record, and writing a new version.

The roles tail the topic for ever (`view`); a command reads it once to the end, by the same rules.
"""

import asyncio
import os
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct, field, structs

from streams.core import egress, hook_secrets, sealing
from streams.core.catalogue import Catalogue
from streams.core.errors import HooklineError, InvalidInput
from streams.core.hooks import HookRules, Known
from streams.core.records import Coordinates, DeadLetter, Hook, Incoming, Outgoing
from streams.core.versions import WHY, Versions, replacing
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

    def __repr__(self) -> str:
        """Leave out the record, which may hold plain secrets."""
        return f"Stored({self.known.hook.id!r}, {self.version})"

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
    where that latest record lies, whatever became of it. What the router rewrote by itself is nobody's latest word."""

    in_force: dict[str, Stored] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    latest: dict[str, Coordinates] = field(default_factory=dict)
    versions: Versions = field(default_factory=Versions)

    def take(self, record: Incoming, rules: HookRules) -> None:
        """Apply the next record. One that does not validate leaves the previous version in force (CONTRACT 4)."""
        hook_id = (record.key or b"").decode("utf-8", "replace")
        ours = record.header(WHY) is not None
        if self.versions.is_void(record):
            return
        if not ours:
            self.latest[hook_id] = record.at
        known = rules.read(record)
        if isinstance(known, DeadLetter):
            self.refused[hook_id] = known.detail
            return
        self.versions.take(record)
        if not ours:
            self.refused.pop(hook_id, None)
        if known is None or record.value is None:
            self.in_force.pop(hook_id, None)
        else:
            self.in_force[hook_id] = Stored(known, record.value, record.header(EVENT_ID))


def rules(settings: Settings) -> HookRules:
    """What this installation holds hooks against."""
    return HookRules(
        Catalogue(settings.extra_events), egress.networks(settings.allow_networks), sealing.ring(settings.master_keys)
    )


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


async def write(
    settings: Settings, records: Iterable[tuple[str, bytes | None]], replaces: Mapping[str, int] | None = None
) -> list[Coordinates]:
    """Write (hook id, record that validates, or None to delete); returns where, once readers have seen them.

    Secrets are sealed on the way, if there are master keys. `replaces` has the offset of the version that a record was
    made from; a record counts only if nobody wrote another one meanwhile. Raises Overtaken with the ids of those that
    did not count; before anything is written, InvalidInput for a record that would be refused, and TopicsUnfit when
    the topic does not exist.
    """
    await reader.partitions(settings, [settings.topic_prefix + topics.CONFIG])
    held_against, made_from = rules(settings), replaces or {}
    made = [_record(hook_id, value, made_from, held_against) for hook_id, value in records]
    async with publisher(settings) as out:
        places = await out.publish(made)
    async with asyncio.timeout(VISIBLE_S):
        void = await _seen(settings, places, made_from, {record.key for record in made})
    if void:
        raise Overtaken(void)
    return places


class Overtaken(HooklineError):
    """Whoever changes a hook acts: somebody else did at the same moment, and theirs counts. Exit code 1."""

    def __init__(self, hook_ids: Collection[str]) -> None:
        self.hook_ids = frozenset(hook_ids)
        super().__init__(f"somebody else changed {', '.join(sorted(hook_ids))} at the same moment: look, and try again")


def is_sealed(value: bytes, ring: sealing.KeyRing) -> bool:
    """Whether no secret in a record is left to seal under the ring's current key, as far as its keys open them."""
    return hook_secrets.sealed(value, ring, os.urandom) is value


def _record(hook_id: str, value: bytes | None, made_from: Mapping[str, int], held_against: HookRules) -> Outgoing:
    sealed = value and hook_secrets.sealed(value, held_against.ring, os.urandom)
    if sealed is not None and (problem := refusal(held_against, hook_id, sealed)):
        raise InvalidInput(f"hook {hook_id} would be refused: {problem}")
    record = Outgoing(topic=topics.CONFIG, key=hook_id.encode(), value=sealed)
    return structs.replace(record, headers=replacing(record, made_from.get(hook_id)))


async def _seen(
    settings: Settings, places: list[Coordinates], made_from: Mapping[str, int], keys: Collection[bytes | None]
) -> set[str]:
    """Wait until a consumer that starts anew has read past every place; answers whose records did not count.

    Only records with these keys are looked at: between an old version and its successor may lie all other hooks.
    """
    last = {TopicPartition(at.topic, at.partition): at.offset for at in sorted(places)}
    first = min([*made_from.values(), *(at.offset for at in places)], default=0)
    hooks, held_against, written, void = Hooks(), rules(settings), set(places), set[str]()
    async with clients.consumer(settings) as consumer:
        async for record in reader.read_past(consumer, last, first):
            if record.key not in keys:
                continue
            if record.at in written and hooks.versions.is_void(record):
                void.add((record.key or b"").decode())
            hooks.take(record, held_against)
    return void
