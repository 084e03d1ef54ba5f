"""Switching hooks off: the record on `hooks.config` that says so, written by the health role, which owns the decision.

The latest record is read right before the new one is written, and a hook that somebody changed since it was judged is
left alone: who changes a hook is at work on it. A change within the milliseconds between that read and that write
counts too, for the record says which version it replaces (`core.versions`); the hook is then told to be disabled
although it is not, and is judged again.
"""

import logging
from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from streams.core import hook_edits
from streams.core.operations import Happening
from streams.core.records import Outgoing
from streams.core.versions import replacing
from streams.kafka import hook_records, topics
from streams.kafka.hook_records import EVENT_ID, Stored
from streams.kafka.publisher import Publisher
from streams.settings import Settings
from streams.telemetry import log


class Due(Struct, frozen=True):
    """A hook that is to be switched off: the event that will say so, and the version of the hook that was judged."""

    happening: Happening
    version: tuple[int, int]


class Settled(Struct, frozen=True):
    """What became of it: `told` are to be told of; `off` are disabled, by the record at that offset, whoever did it."""

    told: list[Happening] = field(default_factory=list)
    off: dict[str, int] = field(default_factory=dict)


async def switch_off(settings: Settings, publisher: Publisher, due: Mapping[str, Due]) -> Settled:
    """Switch hooks off, by their ids; returns when that is durable. Nothing is read when there are none.

    The record carries the id of its event: after a crash between the two, the event is told and nothing written again.
    """
    if not due:
        return Settled()
    in_force, rules = (await hook_records.read(settings)).in_force, hook_records.rules(settings)
    settled, going = Settled(), dict[str, Due]()
    for hook_id, one in due.items():
        stored = in_force.get(hook_id)
        if stored is None:
            continue  # deleted meanwhile
        if not stored.hook.enabled:
            settled.off[hook_id] = stored.version[1]
            settled.told.extend([one.happening] if stored.event_id == one.happening.id.encode() else [])
        elif stored.version == one.version and (problem := hook_records.refusal(rules, hook_id, _off(stored))):
            log("hook.not_switched_off", logging.ERROR, hook=hook_id, reason=problem)
        elif stored.version == one.version:
            going[hook_id] = one
    places = await publisher.publish(_record(in_force[hook_id], one.happening) for hook_id, one in going.items())
    for (hook_id, one), place in zip(going.items(), places, strict=True):
        settled.off[hook_id] = place.offset
        settled.told.append(one.happening)
        log(
            "hook.switched_off", logging.WARNING, hook=hook_id, reason=one.happening.data["reason"], offset=place.offset
        )
    return settled


def _off(stored: Stored) -> bytes:
    """The record that switches a hook off; one at the limit of its size grows beyond it, and would be refused."""
    return hook_edits.changed(stored.value, {"enabled": False})


def _record(stored: Stored, happening: Happening) -> Outgoing:
    record = Outgoing(
        topic=topics.CONFIG,
        key=happening.hook_id.encode(),
        value=_off(stored),
        headers=((EVENT_ID, happening.id.encode()),),
    )
    return replace(record, headers=replacing(record, stored.version[1]))
