"""What already ended: on assignment, the tail of `hooks.log[p]` says which jobs need not be sent again.

Every commit of `hooks.deliveries[p]` carries, as its metadata, the offset in `hooks.log[p]` from which on the
outcomes of uncommitted jobs lie; so a restart reads back exactly what it needs, by no clock (DESIGN 6).
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from streams.core.errors import UNREADABLE
from streams.core.recent import RecentIds
from streams.core.records import Coordinates
from streams.kafka import committed, growth, reader, topics
from streams.kafka.clients import TopicPartition
from streams.settings import Settings

REREAD = 2_000
"""Outcomes read back per partition beyond what is needed, so that duplicates of jobs long ended are recognised."""


class Ended(Struct, frozen=True):
    """The fields of an outcome that matter here."""

    id: str
    job: Coordinates
    replay: bool = False


class History(Struct):
    """What one partition's owner learns at the start; `log_end` is where its own outcomes will lie from on.

    `ended_jobs` are the offsets of all jobs whose outcomes were read back, `by_job_offset` of those not committed.
    """

    ids: RecentIds
    committed: int = 0
    ended_jobs: set[int] = msgspec.field(default_factory=set)
    by_job_offset: dict[int, int] = msgspec.field(default_factory=dict)
    log_end: int = 0


_decoder = msgspec.json.Decoder(Ended)


async def read(settings: Settings, group: str, numbers: Iterable[int]) -> dict[int, History]:
    """The histories of the given partitions of `hooks.deliveries`, for a member of `group` that now owns them."""
    prefix = settings.topic_prefix
    known = await committed.offsets(settings, group)
    histories: dict[int, History] = {}
    starts: dict[TopicPartition, int] = {}
    for number in numbers:
        at = known.get(TopicPartition(prefix + topics.DELIVERIES, number))
        floor = growth.parse(at.metadata)[0] if at else 0
        histories[number] = History(RecentIds(settings.recent_ids_max), at.offset if at else 0, log_end=floor)
        starts[TopicPartition(prefix + topics.LOG, number)] = max(floor - REREAD, 0)
    async for record in reader.to_end(settings, starts):
        history = histories[record.at.partition]
        history.log_end = record.at.offset + 1
        try:
            ended = _decoder.decode(record.value or b"")
        except UNREADABLE:
            continue  # the health role buries it
        if not ended.replay:  # a replay that was asked for is not the duplicate of another one
            history.ids.add(ended.id)
        history.ended_jobs.add(ended.job.offset)
        if ended.job.offset >= history.committed:
            history.by_job_offset[ended.job.offset] = record.at.offset
    return histories
