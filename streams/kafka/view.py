"""Every role's view of `hooks.config`: read to the end, then tailed for ever, by a consumer without a group.

It is independent of rebalances and loads 50,000 hooks in about a second. A record that does not validate
leaves the hook's previous version in force; that it becomes a dead letter is the router's work, since exactly
one process must write it.
"""

import asyncio
import logging
from collections.abc import Callable

from aiokafka.errors import KafkaError

from streams.core.deadletters import DETAIL_CHARACTERS_MAX
from streams.core.hooks import HookIndex, HookRules, Known
from streams.core.records import DeadLetter, Incoming
from streams.core.versions import Versions
from streams.kafka import clients, reader, topics
from streams.settings import Settings
from streams.telemetry import log

RECONNECT_S = 1.0
"""Pause after the broker failed a read; aiokafka's own retries come before it."""


TURN = 20
"""Records read until others have their turn: thousands of hooks changed at once must not hold up a request or a join.
They are 2 ms."""


class HookView:
    """The hooks in force, as far as `hooks.config` has been read. `ready` is set when it was read to its end.

    `unsettled` has the keys, and partitions, of hooks that ought to be written again: a secret is plain, or the last
    record is not the one in force.

    `changed` is called with the id of every hook that was put or deleted, in order.
    """

    def __init__(self, settings: Settings, rules: HookRules, changed: Callable[[str], None] = lambda _: None) -> None:
        self.hooks = HookIndex(rules.catalogue)
        self.versions = Versions()
        self.unsettled: dict[bytes, int] = {}
        self.ready = asyncio.Event()
        self._settings = settings
        self._rules = rules
        self._changed = changed
        self._positions: dict[int, int] = {}

    async def run(self) -> None:
        """Read and tail until cancelled. Raises TopicsUnfit when the topic does not exist."""
        found = await reader.partitions(self._settings, [self._settings.topic_prefix + topics.CONFIG])
        async with clients.consumer(self._settings) as consumer:
            async for record in reader.read_to_end(consumer, dict.fromkeys(found, -1)):
                self._apply(record)
            # Compaction may have removed the last records, so the end is what counts, not the last one seen.
            self._positions = {at.partition: await consumer.position(at) for at in found}
            self.ready.set()
            log("view.ready", hooks=len(self.hooks.by_id))
            while True:
                try:
                    batches = await consumer.getmany(timeout_ms=reader.POLL_MS)
                except KafkaError as error:
                    if not error.retriable:
                        raise  # stale hooks for ever would be worse than a restart
                    log("view.read_failed", logging.WARNING, reason=repr(error))
                    await asyncio.sleep(RECONNECT_S)
                    continue
                for messages in batches.values():
                    for number, message in enumerate(messages):
                        self._apply(reader.incoming(message))
                        if number % TURN == 0:
                            await asyncio.sleep(0)

    def has(self, version: tuple[int, int]) -> bool:
        """Whether the record at (partition, offset) was read."""
        return self._positions.get(version[0], 0) > version[1]

    def _apply(self, record: Incoming) -> None:
        self._positions[record.at.partition] = record.at.offset + 1
        if self.versions.is_void(record):
            self._pass_over(record)
            log("hook.void", logging.WARNING, offset=record.at.offset)
            return
        known = self._rules.read(record)
        if isinstance(known, DeadLetter):
            self._pass_over(record)
            log(
                "hook.refused",
                logging.WARNING,
                reason=known.reason,
                detail=known.detail[:DETAIL_CHARACTERS_MAX],
                offset=record.at.offset,
            )
            return
        self.versions.take(record)
        self.unsettled.pop(record.key or b"", None)
        if isinstance(known, Known) and known.plain:
            self.unsettled[record.key or b""] = record.at.partition
        hook_id = known.hook.id if isinstance(known, Known) else (record.key or b"").decode("ascii", "replace")
        if isinstance(known, Known):
            if known.locked:
                log("hook.locked", logging.ERROR, hook=hook_id, reason=known.locked)
            self.hooks.put(known)
        else:
            self.hooks.remove(hook_id)
        if self.ready.is_set():
            log("hook.changed", hook=hook_id, offset=record.at.offset, deleted=known is None)
        self._changed(hook_id)

    def _pass_over(self, record: Incoming) -> None:
        self.versions.pass_over(record)
        if self.versions.at(record.key) is not None:
            self.unsettled[record.key or b""] = record.at.partition
