"""What exactly one process does about records of `hooks.config`, the router: bury, seal, restore.

It takes the topic through a consumer group, while every role reads it for itself into a view. Of each hook only the
last record of a batch is looked at for sealing and restoring: what came before it has been replaced already.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from streams.core import deadletters, hook_secrets, sealed_letters
from streams.core.hooks import HookRules
from streams.core.records import Coordinates, DeadLetter, Incoming, Outgoing
from streams.core.versions import rewritten
from streams.kafka import clients, originals
from streams.kafka.clients import TopicPartition
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import log

POLL_S = 0.02
"""Between two looks at whether the view has read as far as the batch; it usually has, or does within milliseconds."""


class Audit:
    """`take` answers what is to be written because of a batch of hook records. `clock` is Unix milliseconds."""

    def __init__(self, settings: Settings, rules: HookRules, view: HookView, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._rules = rules
        self._view = view
        self._clock = clock

    async def take(self, records: list[Incoming]) -> list[Outgoing]:
        """Dead letters of what does not validate; hooks written again, sealed or behind a record that did not count."""
        out = list[Outgoing]()
        for record in records:
            out += self._buried(record)
            await asyncio.sleep(0)  # events are joined in the same loop
        while not all(self._view.has((record.at.partition, record.at.offset)) for record in records):
            await asyncio.sleep(POLL_S)
        behind = dict[Coordinates, int]()
        for record in {record.key: record for record in records}.values():
            latest, passed = self._view.versions.at(record.key), self._view.versions.passed(record.key)
            if latest is not None and passed is not None:
                behind[Coordinates(record.at.topic, record.at.partition, latest)] = passed
            elif latest == record.at.offset:
                out += self._sealed(record)
                await asyncio.sleep(0)
        return out + await self._restored(behind)

    def _buried(self, record: Incoming) -> list[Outgoing]:
        try:
            letter = self._rules.read(record)
        except Exception as error:  # noqa: BLE001 - a bug of ours met by one record must not stop all others
            log("hook.audit_failed", logging.ERROR, error=error, offset=record.at.offset)
            letter = DeadLetter(reason="internal-error", detail=type(error).__name__, original=record)
        if not isinstance(letter, DeadLetter):
            return []
        return [deadletters.bury(sealed_letters.sealed(letter, self._rules.ring, os.urandom), self._clock())]

    def _sealed(self, record: Incoming) -> list[Outgoing]:
        """The record in force with its secrets sealed, if any of them is plain."""
        value = self._sealed_value(record)
        if value is record.value:
            return []
        log("hook.sealed", hook=_hook_id(record), offset=record.at.offset)
        return [rewritten(record, value, record.at.offset, b"sealed")]

    def _sealed_value(self, record: Incoming) -> bytes | None:
        """The record with its secrets sealed; as it is when no reader would take it then, which would never end."""
        try:
            value = record.value and hook_secrets.sealed(record.value, self._rules.ring, os.urandom)
            found = self._rules.read(replace(record, value=value))
        except Exception as error:  # noqa: BLE001 - a bug of ours met by one record must not stop all others
            log("hook.audit_failed", logging.ERROR, error=error, offset=record.at.offset)
            return record.value
        if isinstance(found, DeadLetter):
            log("hook.not_sealed", logging.ERROR, hook=_hook_id(record), offset=record.at.offset, reason=found.detail)
            return record.value
        return value

    async def _restored(self, behind: Mapping[Coordinates, int]) -> list[Outgoing]:
        """Versions in force once more, so that compaction does not leave only what did not count behind them."""
        if not behind:
            return []
        async with clients.consumer(self._settings) as consumer:
            known = frozenset(TopicPartition(at.topic, at.partition) for at in behind)
            found = await originals.read(consumer, known, behind)
        for at in behind.keys() - found.keys():
            log("hook.not_restored", logging.ERROR, offset=at.offset, behind=behind[at])
        for at, record in found.items():
            log("hook.restored", logging.WARNING, hook=_hook_id(record), offset=at.offset, behind=behind[at])
        return [rewritten(found[at], self._sealed_value(found[at]), behind[at], b"restored") for at in found]


def _hook_id(record: Incoming) -> str:
    return (record.key or b"").decode("utf-8", "replace")[:40]
