"""How far a replay run has come, kept in Kafka: offsets of a consumer group of the run's own, and nothing in files.

The group is `<prefix>hookline-replay-<run>`. In every partition that something was chosen in, the committed offset says
where to go on, and the commit's metadata holds the bookmark. Nobody joins the group; at the end it is deleted, and one
that is never gone on with is forgotten by the broker in its own time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka.errors import GroupIdNotFound, KafkaError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest
from msgspec import structs

from streams.core.errors import UNREADABLE, InvalidInput
from streams.core.records import Coordinates
from streams.core.replaying import Bookmark
from streams.kafka import clients, committed
from streams.kafka.clients import TopicPartition
from streams.settings import Settings

METADATA_BYTES_MAX = 4096
"""What a broker keeps beside an offset, unless told otherwise (`offset.metadata.max.bytes`)."""

PATIENCE_S = 30.0
"""How long a coordinator that moves or loads may refuse to delete a group."""

ASK_AGAIN_S = 0.2


class Bookmarks:
    """The bookmarks of one run. `consumer` is the group's, and only commits."""

    def __init__(self, consumer: Any, marks: Mapping[TopicPartition, Bookmark]) -> None:
        self._consumer = consumer
        self._marks = dict(marks)

    async def begin(self, firsts: Mapping[TopicPartition, int]) -> None:
        """Write down what was chosen, and from where on, before the first of it is sent."""
        await self._commit(firsts)

    async def passed(self, places: Iterable[Coordinates]) -> None:
        """These are sent, or were told to be gone; a later call may only name later places of a partition."""
        at: dict[TopicPartition, int] = {}
        for place in places:
            partition = TopicPartition(place.topic, place.partition)
            at[partition] = place.offset + 1
            mark = self._marks[partition]
            self._marks[partition] = structs.replace(mark, done=mark.done + 1)
        await self._commit(at)

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        marked = {at: (offset, msgspec.json.encode(self._marks[at]).decode()) for at, offset in offsets.items()}
        if any(len(metadata.encode()) > METADATA_BYTES_MAX for _, metadata in marked.values()):
            raise InvalidInput("this says more than Kafka keeps of a run: name fewer deliveries or events at a time")
        if marked:
            await self._consumer.commit(marked)


@asynccontextmanager
async def bookmarks(settings: Settings, run: str, marks: Mapping[TopicPartition, Bookmark]) -> AsyncIterator[Bookmarks]:
    """The bookmarks of a run, for the life of the block."""
    async with clients.consumer(settings, group=_group(settings, run)) as consumer:
        if marks:
            consumer.assign(list(marks))
            consumer.pause(*marks)  # it reads nothing
        yield Bookmarks(consumer, marks)


async def read(settings: Settings, run: str) -> dict[TopicPartition, tuple[int, Bookmark]]:
    """The offsets to go on from with their bookmarks. Raises InvalidInput when there is nothing to go on with."""
    found = await committed.offsets(settings, _group(settings, run))
    if not found:
        raise InvalidInput(f"there is no run {run} to go on with: it has come to its end, or was forgotten")
    return {at: (mark.offset, parse(run, mark.metadata)) for at, mark in found.items()}


def parse(run: str, metadata: str) -> Bookmark:
    """The bookmark in what was committed; raises InvalidInput when it holds none."""
    try:
        return msgspec.json.decode(metadata, type=Bookmark)
    except UNREADABLE as error:
        raise InvalidInput(f"somebody else has committed to the group of run {run}: {error}") from error


async def forget(settings: Settings, run: str) -> None:
    """Delete the run's group."""
    name = _group(settings, run)
    async with asyncio.timeout(PATIENCE_S), clients.admin(settings) as admin:
        while error := await _deleted(admin, name):
            if not error.retriable:
                raise error
            await asyncio.sleep(ASK_AGAIN_S)


async def _deleted(admin: Any, name: str) -> KafkaError | None:
    """Ask once; None when the group is gone. aiokafka knows the request, but has no method for it."""
    try:
        coordinator = await admin.find_coordinator(name)
        response = await admin._send_request_to_node(coordinator, DeleteGroupsRequest([name]))
    except KafkaError as error:
        return error
    code = response.results[0][1]
    return None if code in (0, GroupIdNotFound.errno) else for_code(code)(name)


def _group(settings: Settings, run: str) -> str:
    return f"{settings.topic_prefix}hookline-replay-{run}"
