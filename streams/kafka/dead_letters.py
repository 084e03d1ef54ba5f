"""`hooks.dead-letters` for commands: the newest, single ones, those with a reason; and putting originals back."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct, field, structs

from streams.core import deadletters, sealed_letters, sealing
from streams.core.deadletters import Buried
from streams.core.errors import InvalidInput
from streams.core.records import Coordinates, Incoming, Outgoing
from streams.core.returning import Desk
from streams.kafka import clients, hook_records, originals, reader, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.newest import FETCH_WAIT_MS, between, newest
from streams.kafka.pace import BATCH_MAX, Pace
from streams.kafka.publisher import Publisher, publisher
from streams.settings import Settings

PLACES_MAX = 100_000
"""Most that are put back at a time: their places are held in memory."""


class Wanted(Struct):
    """Which dead letters somebody asked for; None lets all through. Counts the records that are none."""

    reason: str | None = None
    topic: str | None = None
    since_ms: int = 0
    foreign: int = 0

    def letter(self, record: Incoming) -> Buried | None:
        """The dead letter in a record if it is wanted; `topic` is its source's name on the cluster."""
        found = deadletters.read(record)
        self.foreign += found is None
        fits = (
            found is not None
            and self.reason in (None, found.reason)
            and self.topic in (None, found.original.at.topic)
            and found.failed_at >= self.since_ms
        )
        return found if fits else None


class Returned(Struct):
    """What became of dead letters that were to go back; `obstacles` says of a place why not."""

    sent: int = 0
    refused_again: dict[Coordinates, str] = field(default_factory=dict)
    obstacles: dict[Coordinates, str] = field(default_factory=dict)
    gone: list[Coordinates] = field(default_factory=list)


async def latest(settings: Settings, wanted: Wanted, limit: int) -> list[Buried]:
    """The newest that are wanted, newest first."""
    found = await newest(settings, _topic(settings), wanted.since_ms, limit, wanted.letter)
    return sorted(found, key=lambda letter: letter.failed_at)[: -limit - 1 : -1]


async def read(settings: Settings, numbers: Iterable[tuple[int, int]]) -> list[Buried]:
    """The dead letters at (partition, offset). Raises InvalidInput that names every place without one."""
    name = _topic(settings)
    places = [Coordinates(name, *number) for number in numbers]
    known = frozenset(await reader.partitions(settings, [name]))
    async with clients.consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer:
        found = await originals.read(consumer, known, places)
    ring = sealing.ring(settings.master_keys)
    letters = {
        at: sealed_letters.opened(letter, ring) for at, record in found.items() if (letter := deadletters.read(record))
    }
    missing = [f"{at.partition}/{at.offset}" for at in places if at not in letters]
    if missing:
        raise InvalidInput(f"there is no dead letter at {', '.join(missing)}: `hookline dlq list` has the latest")
    return [letters[at] for at in places]


async def chosen(settings: Settings, wanted: Wanted) -> list[Coordinates]:
    """The places of all that are wanted, in order, of what the topic holds now."""
    places: list[Coordinates] = []
    found = await reader.partitions(settings, [_topic(settings)])
    async with clients.consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer:
        ends = await consumer.end_offsets(found)
        firsts = await consumer.offsets_for_times(dict.fromkeys(found, wanted.since_ms))
        for partition in found:
            if (first := firsts[partition]) is not None:
                consumer.assign([partition])
                async for record in between(consumer, partition, first.offset, ends[partition]):
                    places += [record.at] if wanted.letter(record) else []
                    if len(places) > PLACES_MAX:
                        raise InvalidInput(f"these are more than {PLACES_MAX}: name a reason, a topic or a later time")
    return places


class Returning:
    """Puts originals back; made by `returning`, which knows what may go where."""

    def __init__(self, desk: Desk, partitions: frozenset[TopicPartition], consumer: Any, out: Publisher) -> None:
        self._desk = desk
        self._partitions = partitions
        self._consumer = consumer
        self._publisher = out

    async def tried(self, places: list[Coordinates]) -> Returned:
        """What would become of them; nothing is sent."""
        found = Returned()
        for start in range(0, len(places), BATCH_MAX):
            await self._records(places[start : start + BATCH_MAX], found)
        return found

    async def send(self, places: list[Coordinates], rate: int, told: Callable[[int], None]) -> Returned:
        """Put them back, `rate` a second at most; `told` is called with how many more are dealt with."""
        found, pace = Returned(), Pace(rate)
        for start in range(0, len(places), pace.batch):
            batch = places[start : start + pace.batch]
            await pace.wait(len(batch))
            found.sent += len(await self._publisher.publish(await self._records(batch, found)))
            told(len(batch))
        return found

    async def _records(self, places: list[Coordinates], found: Returned) -> list[Outgoing]:
        """The originals that may go back; what becomes of the others is added to `found`."""
        records = await originals.read(self._consumer, self._partitions, places)
        out = []
        for at in places:
            letter = deadletters.read(records[at]) if at in records else None
            letter = letter and sealed_letters.opened(letter, self._desk.rules.ring)
            if letter is None:
                found.gone.append(at)
            elif obstacle := self._desk.obstacle(letter):
                found.obstacles[at] = obstacle
            else:
                if refusal := self._desk.refusal(letter):
                    found.refused_again[at] = refusal
                out.append(self._homed(self._desk.original(letter), letter.original.at))
        return out

    def _homed(self, record: Outgoing, home: Coordinates) -> Outgoing:
        """With the partition chosen by key where the original one does not exist any more."""
        exists = TopicPartition(home.topic, home.partition) in self._partitions
        return record if exists else structs.replace(record, partition=None)


@asynccontextmanager
async def returning(settings: Settings) -> AsyncIterator[Returning]:
    """What puts originals back, with hooks and rules as they are now."""
    names = {settings.topic_prefix + topic.name: topic.name for topic in topics.TOPICS}
    partitions = frozenset(await reader.partitions(settings, names))
    hooks = await hook_records.read(settings)
    desk = Desk(names, hook_records.rules(settings), hooks.latest)
    async with (
        clients.consumer(settings, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer,
        publisher(settings) as out,
    ):
        yield Returning(desk, partitions, consumer, out)


def _topic(settings: Settings) -> str:
    return settings.topic_prefix + topics.DEAD_LETTERS
