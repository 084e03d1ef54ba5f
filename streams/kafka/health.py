"""The health role: folds outcomes into 24 hours of buckets per hook, publishes one report per hook, and tells what
happened to it on `hooks.operations`; it also switches off hooks that nobody answers for.

A Faust app without Tables (DESIGN 10): the state of `hooks.log[p]` is `hooks.health[p]` itself, read back when
the partition is assigned. Each report holds the offset of the last outcome it counted, so counts stay exact
when records are delivered again after a crash. What happened to a hook is durable before the report that remembers it
is written: a crash between the two tells it again, under the same event id.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import faust
import msgspec
from msgspec import Struct, field

from streams.core import deadletters, operations
from streams.core import health as rules
from streams.core.operations import Happening
from streams.core.records import DeadLetter, Incoming, Outcome, Outgoing
from streams.kafka import agents, health_state, reader, switching, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.continuity import Continuity
from streams.kafka.publisher import Publisher
from streams.kafka.router import tell_dead_letter
from streams.kafka.switching import Due
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import Metrics, log

NAME = "health"

REPORTS_AT_ONCE = 50

PULSE_S = 0.5
"""How often changed hooks are looked for; with the batch wait it keeps reports within 2 s of a change."""


_encoder = msgspec.json.Encoder()


class Folded(Struct):
    """What a batch of outcomes says: whose reports changed, what happened, who is to be switched off, what was none."""

    changed: set[str] = field(default_factory=set)
    happened: list[Happening] = field(default_factory=list)
    due: dict[str, Due] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)


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
        self._working = asyncio.Lock()  # state is read, folded and published by one at a time
        self._assigned: set[int] = set()
        self._partitions: dict[int, health_state.Partition] = {}
        self._count = 0
        self._changed = changed
        self.continuity = Continuity(settings, agents.group(settings, NAME))

    def assign(self, numbers: set[int]) -> None:
        """These partitions of `hooks.log` are ours from now on; all state is read again."""
        self._assigned, self._partitions = numbers, {}
        self.continuity.reset()

    async def take(self, records: list[Incoming], view: HookView) -> None:
        """Fold a batch; returns when what happened, and every changed report, is durable."""
        await self.continuity.check(records)
        async with self._working:
            await self._load()
            try:
                await self._handle(self._fold(records, view), view)
            except BaseException:
                self._partitions = {}  # or the next pulse would report as told what was not: all state is read again
                raise

    async def pulse(self, view: HookView) -> None:
        """Renew the reports of hooks that changed, and all of them every `health_refresh_s`, until cancelled."""
        renewed = 0.0
        while True:
            await asyncio.sleep(PULSE_S)
            async with self._working:
                await self._load()
                due = set(self._changed)
                self._changed.clear()
                if time.monotonic() - renewed >= self._settings.health_refresh_s:
                    renewed = time.monotonic()
                    due = set(view.hooks.by_id) | {hook for p in self._partitions.values() for hook in p.windows}
                await self._publish(due, view)

    def _fold(self, records: Iterable[Incoming], view: HookView) -> Folded:
        """Count the outcomes of the partitions that are ours."""
        folded = Folded()
        for record in records:
            outcome, partition = health_state.read(record), self._partitions.get(record.at.partition)
            if isinstance(outcome, DeadLetter):
                folded.letters.append(outcome)
            elif partition:
                self._count_in(partition, outcome, record.at.offset, view, folded)
        return folded

    def _count_in(
        self, partition: health_state.Partition, outcome: Outcome, offset: int, view: HookView, folded: Folded
    ) -> None:
        window, known = partition.window(outcome.hook_id, view.hooks), view.hooks.by_id.get(outcome.hook_id)
        if not partition.take(outcome, offset):
            return
        folded.changed.add(outcome.hook_id)
        for happening in operations.found(window, outcome, offset):
            if happening.name != "Hook.Disabled":
                folded.happened.append(happening)
            elif known:
                folded.due.setdefault(outcome.hook_id, Due(happening, known.version))

    async def _handle(self, folded: Folded, view: HookView) -> None:
        """Make a batch's effects durable in their order: what happened, and last the reports that remember it."""
        await self._bury(folded.letters)
        await self._tell(folded.happened, view)
        settled = await switching.switch_off(self._settings, self._publisher, folded.due)
        await self._tell(settled.told, view)
        for partition in self._partitions.values():
            for hook_id in settled.off.keys() & partition.windows.keys():
                partition.windows[hook_id].switched_off = settled.off[hook_id]
        # A hook that the view does not know was deleted, or its record is about to be read: `pulse` sees to both.
        await self._publish(folded.changed & view.hooks.by_id.keys(), view)

    async def _tell(self, happened: Iterable[Happening], view: HookView) -> None:
        """Publish what happened to hooks; one deleted meanwhile has no name any more."""
        told, known = list(happened), view.hooks.by_id
        names = {one.hook_id: known[one.hook_id].hook.name for one in told if one.hook_id in known}
        await self._publisher.publish(operations.record(one, names.get(one.hook_id, "")) for one in told)
        for one in told:
            self._metrics.operations.labels(one.name).inc()
            log("hook.told", hook=one.hook_id, told=one.name, id=one.id)

    async def _publish(self, hook_ids: Iterable[str], view: HookView) -> None:
        """Publish the hooks' reports, some at a time: a busy hook's is 17 KB and takes a millisecond to make."""
        due = sorted(hook_ids)
        for start in range(0, len(due), REPORTS_AT_ONCE):
            some = due[start : start + REPORTS_AT_ONCE]
            records = [record for hook_id in some for record in self._reported(hook_id, view)]
            await self._publisher.publish(records)
            self._metrics.reports.inc(len(records))

    def _reported(self, hook_id: str, view: HookView) -> list[Outgoing]:
        """The hook's report if its partition is ours; a null, and nothing remembered, when it was deleted."""
        partition = self._partitions.get(health_state.partition_of(hook_id, self._count)) if self._count else None
        if partition is None:
            return []
        known, value, now = view.hooks.by_id.get(hook_id), None, self._clock()
        if known is None:
            partition.windows.pop(hook_id, None)
        else:
            window = partition.window(hook_id, view.hooks)
            window.drop_older(now)
            value = _encoder.encode(rules.report(known.hook, window, now))
        return [Outgoing(topic=topics.HEALTH, key=hook_id.encode(), value=value, partition=partition.number)]

    async def _bury(self, letters: Iterable[DeadLetter]) -> None:
        records = [deadletters.bury(letter, self._clock()) for letter in letters]
        await self._publisher.publish(records)
        for record in records:
            tell_dead_letter(self._metrics, record)

    async def _load(self) -> None:
        """Read the state of every assigned partition that is not known yet; again when a rebalance came between."""
        while missing := self._assigned - self._partitions.keys():
            assigned = self._assigned
            self._count = await reader.partition_count(self._settings, self._settings.topic_prefix + topics.LOG)
            loaded = await health_state.load(self._settings, missing, await self.continuity.committed())
            if self._assigned is assigned:
                self._partitions |= loaded


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
