"""Choosing what a replay sends: reads outcomes, or identity events and a hook's outcomes, up to fixed offsets."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from streams.core import jobs
from streams.core.errors import UNREADABLE
from streams.core.joining import Join
from streams.core.records import Incoming, Outcome
from streams.core.replaying import Choice, Chosen, Selection
from streams.kafka import clients
from streams.kafka.clients import TopicPartition
from streams.kafka.newest import FETCH_WAIT_MS, between
from streams.settings import Settings

SKEW_MS = 5 * 60_000
"""How far a sender's clock, which dates outcomes, may be from that of the records' timestamps."""

Ends = Mapping[TopicPartition, int]
"""Partitions to read, each with the offset to stop before."""

_decoder = msgspec.json.Decoder(Outcome)


async def from_log(settings: Settings, selection: Selection, ends: Ends) -> list[Chosen]:
    """What the selection takes of the outcomes in these partitions of `hooks.log`."""
    choice, key = Choice(selection), selection.hook and selection.hook.encode()
    async with clients.consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer:
        async for record in _since(consumer, ends, selection.since - SKEW_MS):
            if key in (None, record.key) and (outcome := _outcome(record)):
                choice.outcome(outcome, record.at)
    return choice.ordered()


async def from_events(
    settings: Settings, selection: Selection, ends: Ends, join: Join, log: TopicPartition
) -> list[Chosen]:
    """What the selection takes of the identity events in these partitions, joined with the one hook of `join`.

    `log` is the partition of `hooks.log` with the hook's outcomes: what arrived by `selection.log_end` is left out.
    """
    choice = Choice(selection)
    async with clients.consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer:
        async for record in _since(consumer, ends, selection.since):
            if selection.covers(record.timestamp):
                for made in join.records(record, 0):
                    if made.topic == jobs.TOPIC:  # else it is refused, and the router has buried it
                        choice.event(record, made)
        if not selection.delivered_too:
            async for record in _since(consumer, {log: selection.log_end}, selection.since - SKEW_MS):
                outcome = _outcome(record)
                if outcome and outcome.status == "delivered":
                    choice.drop(outcome.id)
    return choice.ordered()


async def _since(consumer: Any, ends: Ends, since_ms: int) -> AsyncIterator[Incoming]:
    """The records of each partition, from the first that is as young on.

    To the end whatever `until` says: producers write the timestamps, so that a later record may be an older one.
    """
    firsts = await consumer.offsets_for_times(dict.fromkeys(ends, max(since_ms, 0))) if ends else {}
    for partition, end in ends.items():
        if (first := firsts[partition]) is not None and first.offset < end:
            consumer.assign([partition])  # one at a time, so that nothing else is fetched meanwhile
            async for record in between(consumer, partition, first.offset, end):
                yield record


def _outcome(record: Incoming) -> Outcome | None:
    try:
        return _decoder.decode(record.value or b"")
    except UNREADABLE:
        return None  # the health role buries it
