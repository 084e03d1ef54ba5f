"""The health role: folds outcomes into 24 hours of buckets per hook and publishes one report per hook.

A Faust app without Tables (DESIGN 10): the state of `hooks.log[p]` is `hooks.health[p]` itself, read back when
the partition is assigned. Each report holds the offset of the last outcome it counted, so counts stay exact
when records are delivered again after a crash.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

import faust
import msgspec
from aiokafka.partitioner import murmur2

from streams.core import deadletters
from streams.core import health as rules
from streams.core.recent import RecentIds
from streams.core.records import DeadLetter, Incoming, Outcome, Outgoing, Report
from streams.kafka import agents, reader, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.continuity import Continuity
from streams.kafka.publisher import Publisher
from streams.kafka.router import tell_dead_letter
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import Metrics, log

NAME = "health"

REREAD = 2_000
"""Outcomes read back per partition on assignment, so that duplicates around a restart are still recognised."""

PULSE_S = 0.5
"""How often changed hooks are looked for; with the batch wait it keeps reports within 2 s of a change."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not what they should be; the last two come from Python as they are."""

_outcomes = msgspec.json.Decoder(Outcome)
_reports = msgspec.json.Decoder(Report)
_encoder = msgspec.json.Encoder()


class Partition:
    """What is known of one partition of `hooks.log`: a window per hook, and the delivery ids seen lately."""

    def __init__(self, number: int, recent_max: int) -> None:
        self.number = number
        self.windows: dict[str, rules.Window] = {}
        self.recent = RecentIds(recent_max)

    def restore(self, record: Incoming) -> None:
        """Take a report of ours back; one that nobody can read starts its hook from zero, loudly."""
        hook_id = (record.key or b"").decode("ascii", "replace")
        if record.value is None:
            self.windows.pop(hook_id, None)
            return
        try:
            self.windows[hook_id] = rules.window_of(_reports.decode(record.value))
        except UNREADABLE as error:
            log("health.state_unreadable", logging.ERROR, hook=hook_id, reason=str(error))

    def take(self, outcome: Outcome, offset: int) -> bool:
        """Count an outcome unless its delivery id is known; True when the hook's report changed."""
        window = self.windows.setdefault(outcome.hook_id, rules.Window())
        if self.recent.add(outcome.id):
            return window.take(outcome, offset)
        window.skip(offset)
        return False


class Health:
    """The role's state: the partitions assigned to this process.

    `changed` is filled by the view with the ids of hooks whose records changed; their reports are renewed.
    """

    def __init__(
        self,
        settings: Settings,
        publisher: Publisher,
        metrics: Metrics,
        clock: Callable[[], int],
        changed: set[str],
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._metrics = metrics
        self._clock = clock
        self._loading = asyncio.Lock()
        self._assigned: set[int] = set()
        self._partitions: dict[int, Partition] = {}
        self._count = 0
        self._changed = changed
        self.continuity = Continuity(settings, agents.group(settings, NAME))

    def assign(self, numbers: set[int]) -> None:
        """These partitions of `hooks.log` are ours from now on; all state is read again."""
        self._assigned, self._partitions = numbers, {}
        self.continuity.reset()

    async def take(self, records: list[Incoming], view: HookView) -> None:
        """Fold a batch; returns when every changed report is durable."""
        await self.continuity.check(records)
        await self._load()
        changed = set()
        for record in records:
            outcome = _read(record)
            partition = self._partitions.get(record.at.partition)
            if isinstance(outcome, DeadLetter):
                await self._bury(outcome)
            elif partition and partition.take(outcome, record.at.offset):
                changed.add(outcome.hook_id)
        await self._publish(changed, view)

    async def pulse(self, view: HookView) -> None:
        """Renew the reports of hooks that changed, and all of them every `health_refresh_s`, until cancelled."""
        renewed = 0.0
        while True:
            await asyncio.sleep(PULSE_S)
            if not self._assigned:
                continue
            await self._load()
            due = set(self._changed)
            self._changed.clear()
            if time.monotonic() - renewed >= self._settings.health_refresh_s:
                renewed = time.monotonic()
                due = set(view.hooks.by_id) | {hook for p in self._partitions.values() for hook in p.windows}
            await self._publish(due, view)

    async def _publish(self, hook_ids: Iterable[str], view: HookView) -> None:
        records = [record for hook_id in sorted(hook_ids) for record in self._reported(hook_id, view)]
        await self._publisher.publish(records)
        self._metrics.reports.inc(len(records))

    def _reported(self, hook_id: str, view: HookView) -> list[Outgoing]:
        """The hook's report if its partition is ours; a null, and nothing remembered, when it was deleted."""
        partition = self._partitions.get(partition_of(hook_id, self._count)) if self._count else None
        if partition is None:
            return []
        known, value, now = view.hooks.by_id.get(hook_id), None, self._clock()
        if known is None:
            partition.windows.pop(hook_id, None)
        else:
            window = partition.windows.setdefault(hook_id, rules.Window())
            window.drop_older(now)
            value = _encoder.encode(rules.report(known.hook, window, now))
        return [Outgoing(topic=topics.HEALTH, key=hook_id.encode(), value=value, partition=partition.number)]

    async def _bury(self, letter: DeadLetter) -> None:
        record = deadletters.bury(letter, self._clock())
        await self._publisher.publish([record])
        tell_dead_letter(self._metrics, record)

    async def _load(self) -> None:
        """Read `hooks.health[p]` and the tail of `hooks.log[p]` of every assigned partition not loaded yet."""
        async with self._loading:
            missing = self._assigned - self._partitions.keys()
            if not missing:
                return
            loaded = {number: Partition(number, self._settings.recent_ids_max) for number in missing}
            prefix = self._settings.topic_prefix
            states = {TopicPartition(prefix + topics.HEALTH, number): -1 for number in missing}
            async for record in reader.to_end(self._settings, states):
                loaded[record.at.partition].restore(record)
            committed = await self.continuity.committed()
            log_name = prefix + topics.LOG
            starts = {TopicPartition(log_name, n): committed.get(TopicPartition(log_name, n), 0) for n in missing}
            tails = {at: max(offset - REREAD, 0) for at, offset in starts.items() if offset}
            async for record in reader.to_end(self._settings, tails):
                at = TopicPartition(record.at.topic, record.at.partition)
                outcome = _read(record)
                if record.at.offset < starts[at] and isinstance(outcome, Outcome):  # what is none was buried before
                    loaded[at.partition].recent.add(outcome.id)
            self._count = await reader.partition_count(self._settings, log_name)
            if missing <= self._assigned:
                self._partitions |= loaded
            log("health.loaded", partitions=sorted(missing), hooks=sum(len(p.windows) for p in loaded.values()))


def _read(record: Incoming) -> Outcome | DeadLetter:
    try:
        return _outcomes.decode(record.value or b"")
    except UNREADABLE as error:
        return DeadLetter(reason="not-json", detail=str(error), original=record)


def partition_of(hook_id: str, count: int) -> int:
    """The partition that Kafka's default partitioner gives a hook's records."""
    return int(murmur2(hook_id.encode()) & 0x7FFFFFFF) % count


def build(settings: Settings, health: Health, view: HookView, ready: Callable[[], None]) -> faust.App:
    """The Faust app around a health role; `ready` is called when partitions were assigned to it."""
    app = agents.app(settings, NAME)
    name = settings.topic_prefix + topics.LOG

    async def take(records: list[Incoming]) -> None:
        await health.take(records, view)

    agents.consume(app, [name], settings.router_batch_max, settings.health_wait_ms / 1000, take)

    def assigned(partitions: set[TopicPartition]) -> None:
        health.assign({partition.partition for partition in partitions if partition.topic == name})
        ready()

    agents.on_assignment(app, assigned)
    return app
