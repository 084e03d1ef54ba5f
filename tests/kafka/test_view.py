"""A role's view of `hooks.config`: complete before anybody works with it, and never older than a join saw."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from streams.core.records import Outgoing
from streams.kafka import admin, hook_records, topics
from streams.kafka.publisher import Publisher, publisher
from streams.kafka.view import HookView
from streams.settings import Settings
from tests.line import hook, hook_id

URL = "http://127.0.0.1:9/"


async def test_it_is_ready_only_when_all_that_was_written_before_is_in_it(settings: Settings) -> None:
    async with made(settings) as out:
        await put(out, *(hook(number, URL) for number in range(300)))
        async with viewing(settings) as view:
            await view.ready.wait()
            assert len(view.hooks.by_id) == 300


async def test_a_change_arrives_and_is_told_once(settings: Settings) -> None:
    changed: list[str] = []
    async with made(settings) as out, viewing(settings, changed) as view:
        await view.ready.wait()
        offset = await put(out, hook(1, URL, ["User.Created"]))
        await reached(view, offset)
        assert [known.hook.id for known in view.hooks.wanting("default", "User.Created")] == [hook_id(1)]
        assert changed == [hook_id(1)]


async def test_a_record_that_does_not_validate_leaves_the_previous_version_in_force(settings: Settings) -> None:
    async with made(settings) as out, viewing(settings) as view:
        await view.ready.wait()
        await put(out, hook(1, URL, name="good"))
        offset = await put(out, hook(1, URL, ["No.Such.Event"], name="bad"))
        await reached(view, offset)
        assert view.hooks.by_id[hook_id(1)].hook.name == "good"


async def test_a_null_deletes(settings: Settings) -> None:
    async with made(settings) as out, viewing(settings) as view:
        await view.ready.wait()
        await put(out, hook(1, URL))
        (at,) = await out.publish([Outgoing(topic=topics.CONFIG, key=hook_id(1).encode(), value=None)])
        await reached(view, at.offset)
        assert view.hooks.by_id == {}
        assert list(view.hooks.wanting("default", "User.Created")) == []


async def test_a_version_that_was_not_written_is_not_reached(settings: Settings) -> None:
    async with made(settings) as out, viewing(settings) as view:
        await view.ready.wait()
        offset = await put(out, hook(1, URL))
        await reached(view, offset)
        assert not view.has((0, offset + 1))
        assert not view.has((1, 0))


@asynccontextmanager
async def made(settings: Settings) -> AsyncIterator[Publisher]:
    """The topics, and a way to write to them."""
    await admin.apply(settings)
    async with publisher(settings) as out:
        yield out


@asynccontextmanager
async def viewing(settings: Settings, changed: list[str] | None = None) -> AsyncIterator[HookView]:
    """A view that reads for the life of the block."""
    heard: list[str] = [] if changed is None else changed
    view = HookView(settings, hook_records.rules(settings), heard.append)
    reading = asyncio.create_task(view.run())
    yield view
    reading.cancel()
    await asyncio.wait([reading])


async def reached(view: HookView, offset: int) -> None:
    """Wait until the view has read this record."""
    async with asyncio.timeout(10):
        while not view.has((0, offset)):
            await asyncio.sleep(0.01)


async def put(out: Publisher, *hooks: dict[str, object]) -> int:
    """Write hook records; answers the last one's offset."""
    records = [Outgoing(topic=topics.CONFIG, key=str(h["id"]).encode(), value=orjson.dumps(h)) for h in hooks]
    return (await out.publish(records))[-1].offset
