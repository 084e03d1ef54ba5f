"""What the health role knows of each partition of `hooks.log`, and how it learns it back after a restart.

The state is the topic that the role publishes, `hooks.health[p]`: each report holds its hook's window with the offset
of the last outcome that was counted.
"""

import logging
from collections.abc import Iterable, Mapping

import msgspec
from aiokafka.partitioner import murmur2

from streams.core import health as rules
from streams.core.errors import UNREADABLE
from streams.core.hooks import HookIndex
from streams.core.recent import RecentIds
from streams.core.records import DeadLetter, Incoming, Outcome, Report
from streams.kafka import reader, topics
from streams.kafka.clients import TopicPartition
from streams.settings import Settings
from streams.telemetry import log

REREAD = 2_000
"""Outcomes read back per partition on assignment, so that duplicates around a restart are still recognised."""

_outcomes = msgspec.json.Decoder(Outcome)
_reports = msgspec.json.Decoder(Report)


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

    def window(self, hook_id: str, hooks: HookIndex) -> rules.Window:
        """The window of a hook; one that was enabled again since it was looked at last begins anew."""
        window, known = self.windows.setdefault(hook_id, rules.Window()), hooks.by_id.get(hook_id)
        if known and known.hook.enabled:
            window.begin_anew(known.version[1], hooks.last_off.get(hook_id, -1))
        return window

    def take(self, outcome: Outcome, offset: int) -> bool:
        """Count an outcome unless its delivery id is known; True when the hook's report changed."""
        window = self.windows.setdefault(outcome.hook_id, rules.Window())
        if self.recent.add(outcome.id):
            return window.take(outcome, offset)
        window.skip(offset)
        return False


async def load(
    settings: Settings, numbers: Iterable[int], committed: Mapping[TopicPartition, int]
) -> dict[int, Partition]:
    """The partitions of `hooks.log` with these numbers as their last owner left them.

    `committed` says where the group starts in each; the ids of the outcomes right before it are read back too.
    """
    prefix = settings.topic_prefix
    loaded = {number: Partition(number, settings.recent_ids_max) for number in numbers}
    states = {TopicPartition(prefix + topics.HEALTH, number): -1 for number in loaded}
    async for record in reader.to_end(settings, states):
        loaded[record.at.partition].restore(record)
    starts = {number: committed.get(TopicPartition(prefix + topics.LOG, number), 0) for number in loaded}
    tails = {TopicPartition(prefix + topics.LOG, n): max(start - REREAD, 0) for n, start in starts.items() if start}
    async for record in reader.to_end(settings, tails):
        outcome = read(record)
        if record.at.offset < starts[record.at.partition] and isinstance(outcome, Outcome):  # others were buried
            loaded[record.at.partition].recent.add(outcome.id)
    log("health.loaded", partitions=sorted(loaded), hooks=sum(len(part.windows) for part in loaded.values()))
    return loaded


def read(record: Incoming) -> Outcome | DeadLetter:
    """The outcome in a record of `hooks.log`, or why there is none."""
    try:
        return _outcomes.decode(record.value or b"")
    except UNREADABLE as error:
        return DeadLetter(reason="not-json", detail=str(error), original=record)


def partition_of(hook_id: str, count: int) -> int:
    """The partition that Kafka's default partitioner gives a hook's records."""
    return int(murmur2(hook_id.encode()) & 0x7FFFFFFF) % count
