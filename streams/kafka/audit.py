"""What exactly one process does about records of `hooks.config`, the router: bury, seal, restore.

What nobody can read is buried as the agent takes the topic through its consumer group. Hooks are written again by what
the view says of them, in the background and little by little, by the router that owns the topic's partition: sealing
thousands of them, which every role then reads again, is not as urgent as an event that comes in.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from streams.core import deadletters, hook_secrets, sealed_letters
from streams.core.hooks import SEALED_BYTES_MAX, HookRules
from streams.core.records import Coordinates, DeadLetter, Incoming, Outgoing
from streams.core.sealing import KeyRing
from streams.core.versions import rewritten
from streams.kafka import clients, originals, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.publisher import Publisher
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import log

BATCH_MAX = 20
"""Hooks written again at a time."""

PAUSE_S = 0.2
"""Between two batches: 100 hooks a second at most."""

CHUNK_BYTES = 64 * 1024
"""Read at once for a batch; with the 2 MiB of other readers most of the work was unpacking what nobody wanted."""


def buried(record: Incoming, rules: HookRules, now_ms: int) -> list[Outgoing]:
    """The dead letter of a hook record that does not validate, sealed whole if there is a master key."""
    try:
        letter = rules.read(record)
    except Exception as error:  # noqa: BLE001 - a bug of ours met by one record must not stop all others
        log("hook.audit_failed", logging.ERROR, error=error, offset=record.at.offset)
        letter = DeadLetter(reason="internal-error", detail=type(error).__name__, original=record)
    if not isinstance(letter, DeadLetter):
        return []
    return [deadletters.bury(sealed_letters.sealed(letter, rules.ring, os.urandom), now_ms)]


class Rewriting:
    """Writes hooks again that the view calls `unsettled`; `owner` tells whether this process is the one to do so."""

    def __init__(self, settings: Settings, ring: KeyRing, view: HookView, owner: Callable[[], bool]) -> None:
        self._settings = settings
        self._ring = ring
        self._view = view
        self._owner = owner

    async def run(self, publisher: Publisher) -> None:
        """Go on until cancelled. Raises KafkaError when something could not be written."""
        while True:
            await asyncio.sleep(PAUSE_S)
            if not (self._view.unsettled and self._owner()):
                continue
            async with clients.consumer(self._settings, chunk_bytes=CHUNK_BYTES) as consumer:
                while self._view.unsettled and self._owner():
                    await publisher.publish(await self.records(consumer))
                    await asyncio.sleep(PAUSE_S)

    async def records(self, consumer: Any) -> list[Outgoing]:
        """The next few hooks once more: sealed, or as they are behind a record that did not count.

        Each has its turn once. If what is written does not count either, the view says so when it reads it.
        """
        behind = dict[Coordinates, int]()
        for key in list(self._view.unsettled)[:BATCH_MAX]:
            partition = self._view.unsettled.pop(key)
            latest = self._view.versions.at(key)
            if latest is not None:
                at = Coordinates(self._settings.topic_prefix + topics.CONFIG, partition, latest)
                behind[at] = self._view.versions.passed(key) or latest
        found = await self._originals(consumer, behind)
        return [record for at in found for record in self._again(found[at], behind[at])]

    async def _originals(self, consumer: Any, behind: Mapping[Coordinates, int]) -> Mapping[Coordinates, Incoming]:
        known = frozenset(TopicPartition(at.topic, at.partition) for at in behind)
        found = await originals.read(consumer, known, behind)
        for at in behind.keys() - found.keys():
            log("hook.not_restored", logging.ERROR, offset=at.offset, behind=behind[at])
        return found

    def _again(self, record: Incoming, behind: int) -> list[Outgoing]:
        hook_id, restoring = (record.key or b"").decode("utf-8", "replace")[:40], behind != record.at.offset
        try:
            value = record.value and hook_secrets.sealed(record.value, self._ring, os.urandom)
        except Exception as error:  # noqa: BLE001 - a bug of ours met by one record must not stop all others
            log("hook.audit_failed", logging.ERROR, error=error, offset=record.at.offset)
            value = record.value
        if len(value or b"") > SEALED_BYTES_MAX:  # no reader would take it
            log("hook.not_sealed", logging.ERROR, hook=hook_id, offset=record.at.offset)
            value = record.value
        if not restoring and value is record.value:
            return []
        event, level = ("hook.restored", logging.WARNING) if restoring else ("hook.sealed", logging.INFO)
        log(event, level, hook=hook_id, offset=record.at.offset, behind=behind)
        return [rewritten(record, value, behind, b"restored" if restoring else b"sealed")]
