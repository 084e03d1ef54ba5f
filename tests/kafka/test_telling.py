"""The health role dies between any two of its effects: what happened to a hook is told again, under the same id, or
for the first time; and nobody's change to a hook is undone.

The role is played here, batch by batch, with a publisher that refuses one topic: a real broker's last word before a
crash.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import orjson
import pytest

from streams.core.records import Coordinates, Incoming, OperationalEvent, Outcome, Outgoing, Report
from streams.kafka import admin, clients, hook_records, reader, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.health import Health
from streams.kafka.publisher import Publisher
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import Metrics
from tests.core.building import NOW, outcome
from tests.line import hook, hook_id

HOOK = hook(1, "http://127.0.0.1:1")


class Refused(Exception):
    """What the broker said."""


class Refusing(Publisher):
    """Refuses whatever goes to one topic, after it took so many records of it."""

    def __init__(self, producer: Any, prefix: str, topic: str, after: int = 0) -> None:
        super().__init__(producer, prefix)
        self.topic = topic
        self.left = after

    async def publish(self, records: Iterable[Outgoing]) -> list[Coordinates]:
        records = list(records)
        for record in records:
            if record.topic == self.topic:
                self.left -= 1
                if self.left < 0:
                    raise Refused(self.topic)
        return await super().publish(records)


class Cluster:
    """The topics with one hook, and roles that are played on them one after the other."""

    def __init__(self, settings: Settings, producer: Any) -> None:
        self.settings = settings
        self.producer = producer
        self.publisher = Publisher(producer, settings.topic_prefix)

    async def put(self, **changes: Any) -> None:
        """Write the hook."""
        value = orjson.dumps(HOOK | changes)
        await self.publisher.publish([Outgoing(topic=topics.CONFIG, key=hook_id(1).encode(), value=value)])

    async def log(self, *outcomes: Outcome) -> None:
        """Write outcomes as the sender would."""
        await self.publisher.publish(
            Outgoing(topic=topics.LOG, key=one.hook_id.encode(), value=msgspec.json.encode(one)) for one in outcomes
        )

    @asynccontextmanager
    async def role(self, refused: str = "", after: int = 0) -> AsyncIterator[tuple[Health, HookView]]:
        """A health role at its start, with the hooks as they are now: its view does not go on reading."""
        view = HookView(self.settings, hook_records.rules(self.settings))
        reading = asyncio.create_task(view.run())
        await asyncio.wait_for(view.ready.wait(), 20)
        reading.cancel()
        out = Refusing(self.producer, self.settings.topic_prefix, refused, after)
        role = Health(self.settings, out, Metrics(), lambda: NOW, set())
        role.assign(set(range(self.settings.topic_partitions)))
        yield role, view

    async def take(self, refused: str = "", after: int = 0) -> None:
        """Let a role read the whole log, as it would if nothing had ever been acknowledged."""
        async with self.role(refused, after) as (role, view):
            await role.take(await self.read(topics.LOG), view)

    async def read(self, topic: str) -> list[Incoming]:
        """Every record of a topic."""
        name = self.settings.topic_prefix + topic
        count = await reader.partition_count(self.settings, name)
        starts = {TopicPartition(name, number): -1 for number in range(count)}
        return [record async for record in reader.to_end(self.settings, starts)]

    async def told(self) -> list[tuple[str, str]]:
        """(event, id) of what stands on `hooks.operations`."""
        return [
            (
                msgspec.json.decode(one.value or b"", type=OperationalEvent).event.removeprefix("Hook."),
                (one.header("event-id") or b"").decode(),
            )
            for one in await self.read(topics.OPERATIONS)
        ]

    async def hooks(self) -> list[bool]:
        """Whether the hook was enabled, record by record."""
        return [orjson.loads(record.value or b"")["enabled"] for record in await self.read(topics.CONFIG)]


@pytest.fixture
async def cluster(settings: Settings) -> AsyncIterator[Cluster]:
    await admin.apply(settings)
    async with clients.producer(settings) as producer:
        made = Cluster(settings, producer)
        await made.put()
        yield made


def failed(number: int, class_: str = "5xx") -> Outcome:
    made = outcome(NOW + number, error=class_)
    place = Coordinates(topics.DELIVERIES, 0, number)
    return msgspec.structs.replace(made, id=f"msg_{number}", hook_id=hook_id(1), job=place)


async def test_a_role_that_dies_before_it_told_has_not_reported_it_and_the_next_one_tells(cluster: Cluster) -> None:
    """Not even by the reports that are renewed while it dies."""
    await cluster.log(failed(1))
    async with cluster.role(topics.OPERATIONS) as (role, view):
        with pytest.raises(Refused):
            await role.take(await cluster.read(topics.LOG), view)
        pulse = asyncio.create_task(role.pulse(view))
        async with asyncio.timeout(20):
            while not (reports := await cluster.read(topics.HEALTH)):
                await asyncio.sleep(0.02)
        pulse.cancel()
        await asyncio.wait([pulse])
    assert msgspec.json.decode(reports[0].value or b"", type=Report).request_count == 0
    assert await cluster.told() == []
    await cluster.take()
    assert [name for name, _ in await cluster.told()] == ["Failing"]


async def test_a_role_that_dies_after_it_told_is_followed_by_one_that_tells_it_under_the_same_id(
    cluster: Cluster,
) -> None:
    await cluster.log(failed(1))
    with pytest.raises(Refused):
        await cluster.take(topics.HEALTH)
    await cluster.take()
    first, second = await cluster.told()
    assert first == second


async def test_what_was_told_and_reported_is_not_told_again(cluster: Cluster) -> None:
    await cluster.log(*(failed(number, "410") for number in range(3)))
    for _ in range(2):
        await cluster.take()
    assert [name for name, _ in await cluster.told()] == ["Failing", "Disabled"]
    assert await cluster.hooks() == [True, False]


async def test_a_role_that_dies_between_disabling_and_telling_is_followed_by_one_that_only_tells(
    cluster: Cluster,
) -> None:
    await cluster.log(*(failed(number, "410") for number in range(3)))
    with pytest.raises(Refused):
        await cluster.take(topics.OPERATIONS, after=1)
    assert [name for name, _ in await cluster.told()] == ["Failing"]
    assert await cluster.hooks() == [True, False]
    await cluster.take()
    assert [name for name, _ in await cluster.told()] == ["Failing", "Failing", "Disabled"]
    assert await cluster.hooks() == [True, False]
    *_, record = await cluster.read(topics.CONFIG)
    assert record.header("event-id") == (await cluster.told())[-1][1].encode()


async def test_a_hook_that_changed_since_it_was_judged_is_left_on_and_judged_anew(cluster: Cluster) -> None:
    await cluster.log(*(failed(number, "410") for number in range(3)))
    async with cluster.role() as (role, view):
        await cluster.put(name="being mended")
        await role.take(await cluster.read(topics.LOG), view)
    assert [name for name, _ in await cluster.told()] == ["Failing"]
    assert await cluster.hooks() == [True, True]
    await cluster.log(failed(3, "410"))
    await cluster.take()
    assert await cluster.hooks() == [True, True, False]
    *_, record = await cluster.read(topics.CONFIG)
    assert orjson.loads(record.value or b"")["name"] == "being mended"


async def test_a_hook_that_somebody_disabled_is_their_news_and_not_hooklines(cluster: Cluster) -> None:
    await cluster.put(enabled=False)
    await cluster.log(*(failed(number, "410") for number in range(3)))
    await cluster.take()
    assert [name for name, _ in await cluster.told()] == ["Failing"]
    assert await cluster.hooks() == [True, False]


async def test_a_hook_that_was_deleted_meanwhile_is_not_brought_back(cluster: Cluster) -> None:
    await cluster.log(*(failed(number, "410") for number in range(3)))
    async with cluster.role() as (role, view):
        await cluster.publisher.publish([Outgoing(topic=topics.CONFIG, key=hook_id(1).encode(), value=None)])
        await role.take(await cluster.read(topics.LOG), view)
    assert [record.value is None for record in await cluster.read(topics.CONFIG)] == [False, True]
    assert [name for name, _ in await cluster.told()] == ["Failing"]


async def test_a_hook_that_was_enabled_again_while_no_role_looked_begins_anew(cluster: Cluster) -> None:
    await cluster.log(*(failed(number, "410") for number in range(3)))
    await cluster.take()
    await cluster.put()
    await cluster.log(*(failed(number, "410") for number in range(3, 5)))
    await cluster.take()
    assert await cluster.hooks() == [True, False, True]
    await cluster.log(failed(5, "410"))
    await cluster.take()
    assert await cluster.hooks() == [True, False, True, False]
    disabled = [found for name, found in await cluster.told() if name == "Disabled"]
    assert len(set(disabled)) == 2
