"""`hooks.retries`, the timer store: what waits is learnt at assignment, and bodies are read back when they are due."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from msgspec import Struct, field

from streams.core import pending
from streams.core.errors import UNREADABLE
from streams.core.pending import Item
from streams.core.records import Attempt, DeadLetter, Incoming, Job, Outgoing
from streams.kafka import reader, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.ended import History
from streams.settings import Settings
from streams.telemetry import log

CHUNK_BYTES = 256 * 1024
"""Fetched at once: what is due together was often written together, but not always."""

NEAR = 500
"""A record this near ahead is read up to; a farther one is jumped to."""

POLL_MS = 50
RECONNECT_S = 1.0

Found = tuple[Job, list[Attempt]]


class Waiting(Struct):
    """What waits in one partition: jobs by delivery id, holds by hook id; what has ended, and what nobody can read.

    `hooks` has the ids of the hooks, each once.
    """

    items: dict[str, Item] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    ended: list[Item] = field(default_factory=list)
    letters: dict[bytes, DeadLetter] = field(default_factory=dict)

    def take(self, record: Incoming, now_ms: int) -> None:
        """Apply the next record."""
        key = record.key or b""
        delivery_id = key.decode("utf-8", "replace")
        self.items.pop(delivery_id, None)
        self.letters.pop(key, None)
        if record.value is None:
            return
        try:
            item, hold_until = pending.index(record, now_ms)
            if item.id != delivery_id:
                raise msgspec.ValidationError(f"its key is not its id {item.id!r}")
        except UNREADABLE as error:
            self.letters[key] = DeadLetter(reason="bad-job", detail=f"hooks.retries: {error}", original=record)
            return
        self.items[item.id] = item
        item.hook_id = self.hooks.setdefault(item.hook_id, item.hook_id)  # one text for all of a hook's jobs
        if hold_until > now_ms:
            self.holds[item.hook_id] = max(hold_until, self.holds.get(item.hook_id, 0))

    def settle(self, history: History) -> None:
        """Set apart what has an outcome: a process ended before it could write the null."""
        self.ended = [item for item in self.items.values() if item.offset in history.ended_jobs]
        for item in self.ended:
            del self.items[item.id]

    def nulls(self, number: int) -> list[Outgoing]:
        """What makes the records go that have ended or that nobody can read."""
        keys = [*(item.id.encode() for item in self.ended), *self.letters]
        return [Outgoing(topic=topics.RETRIES, key=key, value=None, partition=number) for key in keys]


async def restore(
    settings: Settings, histories: Mapping[int, History], ordered: Callable[[str], bool], now_ms: int
) -> dict[int, Waiting]:
    """What waits in the partitions of the given histories. `ordered` tells of a hook whether its order must be kept."""
    found = {number: Waiting() for number in histories}
    name = settings.topic_prefix + topics.RETRIES
    async for record in reader.to_end(settings, {TopicPartition(name, number): -1 for number in found}):
        found[record.at.partition].take(record, now_ms)
    for number, waiting in found.items():
        waiting.settle(histories[number])
        for item in waiting.items.values():
            if not ordered(item.hook_id):
                item.line, item.began = None, 0
    return found


class Bodies:
    """Reads jobs back from where they lie. `consumer` is without a group and belongs to this object alone."""

    def __init__(self, consumer: Any, prefix: str) -> None:
        self._consumer = consumer
        self._name = prefix + topics.RETRIES
        self._wanted: dict[tuple[int, int], asyncio.Future[Found | None]] = {}
        self._asked = asyncio.Event()
        self._positions: dict[int, int] = {}

    def own(self, numbers: Iterable[int]) -> None:
        """These partitions are read from now on."""
        self._consumer.assign([TopicPartition(self._name, number) for number in numbers])
        self._positions = {}

    async def load(self, item: Item) -> Found | None:
        """The job and its attempts so far; None when the record is no longer there: somebody else has settled it."""
        at = (item.partition, item.place)
        future = self._wanted.setdefault(at, asyncio.get_running_loop().create_future())
        self._asked.set()
        try:
            return await asyncio.shield(future)
        finally:
            self._wanted.pop(at, None)

    async def run(self) -> None:
        """Serve those who ask, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while wanted := self._next():
                for number, place in wanted.items():
                    self._go_to(number, place)
                try:
                    await self._read([TopicPartition(self._name, number) for number in wanted])
                except KafkaError as error:
                    if not error.retriable:
                        raise  # this client will not recover; the supervisor starts a new one
                    log("retry.read_failed", logging.WARNING, reason=repr(error))
                    await asyncio.sleep(RECONNECT_S)

    async def _read(self, partitions: list[TopicPartition]) -> None:
        for partition, messages in (await self._consumer.getmany(*partitions, timeout_ms=POLL_MS)).items():
            self._hand_over(partition.partition, messages)

    def _next(self) -> dict[int, int]:
        """The lowest place that is asked for in each partition that is ours."""
        places: dict[int, int] = {}
        ours = {partition.partition for partition in self._consumer.assignment()}
        for number, place in self._wanted:
            if number in ours and not self._wanted[number, place].done():
                places[number] = min(place, places.get(number, place))
        return places

    def _go_to(self, number: int, place: int) -> None:
        position = self._positions.get(number)
        if position is None or not position <= place < position + NEAR:
            self._consumer.seek(TopicPartition(self._name, number), place)
            self._positions[number] = place

    def _hand_over(self, number: int, messages: list[Any]) -> None:
        for message in messages:
            future = self._wanted.get((number, message.offset))
            if future and not future.done():
                future.set_result(_found(reader.incoming(message)))
        if number not in self._positions:
            return  # a rebalance came between
        first, self._positions[number] = self._positions[number], messages[-1].offset + 1
        for (partition, place), future in self._wanted.items():
            if partition == number and first <= place < self._positions[number] and not future.done():
                future.set_result(None)


def _found(record: Incoming) -> Found | None:
    try:
        return pending.read(record)
    except UNREADABLE as error:  # it was readable when it was indexed: another record lies there now
        log("retry.unreadable", logging.ERROR, place=record.at.offset, reason=str(error))
        return None
