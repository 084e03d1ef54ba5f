"""A replay run: choose, send at a steady rate, and keep in Kafka how far it has come, so that a kill loses nothing.

A delivery goes again as its own job of `hooks.deliveries`, or made anew from its event when that is gone. Order of
effects: jobs durable, then the bookmark. So a killed run repeats at most its last batch, with the same ids and the same
run, which the sender drops as known.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct, field, structs

from streams.core import catalogue, replaying
from streams.core.errors import InvalidInput
from streams.core.hooks import HookIndex, Known
from streams.core.joining import Join
from streams.core.records import Coordinates, Incoming, Outgoing
from streams.core.replaying import Bookmark, Chosen, Selection
from streams.kafka import admin, bookmarks, clients, hook_records, originals, reader, replay_choice, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.health_state import partition_of
from streams.kafka.newest import FETCH_WAIT_MS
from streams.kafka.pace import Pace
from streams.kafka.publisher import publisher
from streams.settings import Settings

NAMED_MAX = 20
"""Hooks named in one error."""


class Cluster(Struct, frozen=True):
    """What a run needs to know: hooks as they are now, the partitions there are, and the join of the hook asked for."""

    settings: Settings
    hooks: Mapping[str, Known]
    partitions: frozenset[TopicPartition]
    join: Join

    def of(self, *names: str) -> list[TopicPartition]:
        """The partitions of these topics."""
        wanted = {self.settings.topic_prefix + name for name in names}
        return sorted(at for at in self.partitions if at.topic in wanted)


class Plan(Struct, frozen=True):
    """What is left to send of a run. `lost` were chosen when it began, and are not there to choose any more."""

    cluster: Cluster
    selection: Selection
    marks: Mapping[TopicPartition, Bookmark]
    chosen: list[Chosen]
    began: bool = False
    lost: int = 0


class Sent(Struct):
    """What became of a plan: how many went, how many of them were made anew, and which are gone."""

    count: int = 0
    remade: int = 0
    gone: list[Chosen] = field(default_factory=list)


async def plan(settings: Settings, selection: Selection) -> Plan:
    """Choose for a new run, of what the topics hold now.

    Raises TopicsUnfit when one does not exist, InvalidInput for an id without outcome and a hook that gets nothing.
    """
    cluster = await _cluster(settings, selection)
    log, sources = _sources(cluster, selection)
    async with clients.consumer(settings) as consumer:
        ends = await consumer.end_offsets([*log, *sources])
    if selection.from_events:
        selection = structs.replace(selection, log_end=ends[log[0]])
    ends = {at: ends[at] for at in sources}
    chosen = await _choose(cluster, selection, ends)
    if missing := set(selection.ids) - {one.id for one in chosen}:
        raise InvalidInput(f"hooks.log holds no outcome of {', '.join(sorted(missing))}")
    totals = Counter(_partition(one.at) for one in chosen)
    marks = {at: Bookmark(selection=selection, end=ends[at], total=total) for at, total in totals.items()}
    return Plan(cluster, selection, marks, chosen)


async def resume(settings: Settings, run: str) -> Plan:
    """Choose again for a run that was interrupted, and leave out what it has sent."""
    found = await bookmarks.read(settings, run)
    selection = next(mark.selection for _, mark in found.values())
    cluster = await _cluster(settings, selection)
    ends = {at: mark.end for at, (_, mark) in found.items() if at in cluster.partitions}
    chosen = [one for one in await _choose(cluster, selection, ends) if one.at.offset >= found[_partition(one.at)][0]]
    expected = sum(mark.total - mark.done for _, mark in found.values())
    marks = {at: mark for at, (_, mark) in found.items()}
    return Plan(cluster, selection, marks, chosen, began=True, lost=max(expected - len(chosen), 0))


async def send(plan: Plan, run: str, rate: int, told: Callable[[int], None]) -> Sent:
    """Send all of a plan, `rate` a second at most; `told` is called with how many more are dealt with."""
    settings, sent, pace = plan.cluster.settings, Sent(), Pace(rate)
    async with (
        clients.consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer,
        publisher(settings) as out,
        bookmarks.bookmarks(settings, run, plan.marks) as marks,
    ):
        if not plan.began:
            await marks.begin({_partition(one.at): one.at.offset for one in reversed(plan.chosen)})
        for start in range(0, len(plan.chosen), pace.batch):
            batch = plan.chosen[start : start + pace.batch]
            await pace.wait(len(batch))
            await out.publish(await _made(plan.cluster, consumer, batch, run, sent))
            await marks.passed(one.at for one in batch)
            told(len(batch))
    await bookmarks.forget(settings, run)
    return sent


async def _made(cluster: Cluster, consumer: Any, batch: list[Chosen], run: str, sent: Sent) -> list[Outgoing]:
    """The jobs to send for a batch; what is gone is added to `sent.gone`."""
    found = await originals.read(consumer, cluster.partitions, [one.job for one in batch if one.job])
    made = {one.id: replaying.original(one, found.get(one.job), run) for one in batch if one.job}
    rest = [one for one in batch if not made.get(one.id)]
    events = await originals.read(consumer, cluster.partitions, [one.source for one in rest])
    for one in rest:
        made[one.id] = _anew(cluster, one, events.get(one.source), run)
        sent.remade += one.job is not None and made[one.id] is not None
    sent.gone += [one for one in batch if made[one.id] is None]
    records = [record for one in batch if (record := made[one.id])]
    sent.count += len(records)
    return records


def _anew(cluster: Cluster, chosen: Chosen, event: Incoming | None, run: str) -> Outgoing | None:
    """The job made of the event as it lies on its topic; None when that is gone, or the hook."""
    known = cluster.hooks.get(chosen.hook_id)
    if event is None or known is None or event.at.topic not in cluster.join.topics:
        return None
    return replaying.remade(chosen, event, run, cluster.join, known)


async def _cluster(settings: Settings, selection: Selection) -> Cluster:
    prefix, rules = settings.topic_prefix, hook_records.rules(settings)
    names = {prefix + name: name for name in catalogue.EVENT_TOPICS}
    partitions = await reader.partitions(settings, [*names, prefix + topics.LOG, prefix + topics.DELIVERIES])
    stored = (await hook_records.read(settings)).in_force
    hooks, index = {key: one.known for key, one in stored.items()}, HookIndex(rules.catalogue)
    if selection.hook is not None:
        _require(hooks, [selection.hook])
        index.put(hooks[selection.hook])
    join = Join(rules.catalogue, await admin.cluster_id(settings), names, index)
    return Cluster(settings, hooks, frozenset(partitions), join)


def _require(hooks: Mapping[str, Known], hook_ids: Iterable[str]) -> None:
    """Raise InvalidInput that names the hooks to which nothing would be sent: it would end as cancelled."""
    deaf = sorted({hook_id for hook_id in hook_ids if hook_id not in hooks or not hooks[hook_id].hook.enabled})
    if deaf:
        raise InvalidInput(
            f"nothing can be sent to {', '.join(deaf[:NAMED_MAX])}, deleted or disabled: "
            "`hookline hook enable` lets a hook receive again"
        )


def _sources(cluster: Cluster, selection: Selection) -> tuple[list[TopicPartition], list[TopicPartition]]:
    """The partitions of `hooks.log` that are concerned, and those to choose from: the same, or the identity topics."""
    log = cluster.of(topics.LOG)
    if selection.hook is not None:
        log = [log[partition_of(selection.hook, len(log))]]
    if not selection.from_events:
        return log, log
    known, wants = cluster.join.catalogue, cluster.hooks[selection.hook or ""].hook.wants
    asked = Selection(events=[] if "*" in wants else wants)
    names = {topic for name, topic in known.topics.items() if asked.names(name) and selection.names(name)}
    return log, cluster.of(*names)


async def _choose(cluster: Cluster, selection: Selection, ends: Mapping[TopicPartition, int]) -> list[Chosen]:
    if selection.from_events:
        (log,), _ = _sources(cluster, selection)
        chosen = await replay_choice.from_events(cluster.settings, selection, ends, cluster.join, log)
    else:
        chosen = await replay_choice.from_log(cluster.settings, selection, ends)
    _require(cluster.hooks, (one.hook_id for one in chosen))
    return chosen


def _partition(at: Coordinates) -> TopicPartition:
    return TopicPartition(at.topic, at.partition)
