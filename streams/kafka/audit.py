"""What exactly one process does about records of `hooks.config`, the router: bury, seal, restore.

It takes the topic through a consumer group, while every role reads it for itself into a view. Of each hook only the
last record of a batch is looked at for sealing and restoring: what came before it has been replaced already.
"""

import asyncio
import logging
import os
from collections.abc import Callable

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
        letters = [letter for record in records if isinstance(letter := self._rules.read(record), DeadLetter)]
        sealed = [sealed_letters.sealed(letter, self._rules.ring, os.urandom) for letter in letters]
        out = [deadletters.bury(letter, self._clock()) for letter in sealed]
        while not all(self._view.has((record.at.partition, record.at.offset)) for record in records):
            await asyncio.sleep(POLL_S)
        for record in {record.key: record for record in records}.values():
            latest, passed = self._view.versions.at(record.key), self._view.versions.passed(record.key)
            if latest is not None and passed is not None:
                out += await self._restored(record, latest, passed)
            elif latest == record.at.offset:
                out += self._sealed(record)
        return out

    def _sealed(self, record: Incoming) -> list[Outgoing]:
        """The record in force with its secrets sealed, if any of them is plain."""
        value = record.value and hook_secrets.sealed(record.value, self._rules.ring, os.urandom)
        if value is record.value:
            return []
        log("hook.sealed", hook=_hook_id(record), offset=record.at.offset)
        return [rewritten(record, value, record.at.offset, b"sealed")]

    async def _restored(self, record: Incoming, latest: int, passed: int) -> list[Outgoing]:
        """The version in force once more, behind the record that did not count."""
        at = Coordinates(record.at.topic, record.at.partition, latest)
        async with clients.consumer(self._settings) as consumer:
            found = await originals.read(consumer, frozenset({TopicPartition(at.topic, at.partition)}), [at])
        if at not in found:
            log("hook.not_restored", logging.ERROR, hook=_hook_id(record), offset=latest, behind=passed)
            return []
        log("hook.restored", logging.WARNING, hook=_hook_id(record), offset=latest, behind=passed)
        kept = found[at].value
        value = kept and hook_secrets.sealed(kept, self._rules.ring, os.urandom)
        return [rewritten(found[at], value, passed, b"restored")]


def _hook_id(record: Incoming) -> str:
    return (record.key or b"").decode("utf-8", "replace")[:40]
