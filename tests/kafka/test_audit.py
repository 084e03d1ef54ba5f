"""What the router does about hook records, once for all: seal the plain, restore what counts, bury the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from msgspec import structs

from streams.core import deadletters, sealed_letters, sealing
from streams.core.errors import InvalidInput
from streams.core.hooks import RECORD_BYTES_MAX, Known
from streams.core.records import Coordinates, Incoming, Outgoing
from streams.core.versions import REPLACES, WHY
from streams.kafka import admin, clients, hook_records, reader, topics
from streams.kafka.audit import Rewriting, buried
from streams.kafka.clients import TopicPartition
from streams.kafka.publisher import Publisher, publisher
from streams.kafka.view import HookView
from streams.settings import Settings
from tests.line import KEY, hook, hook_id

URL = "http://127.0.0.1:9/"
MASTER_KEYS = "k1:" + "QUFB" * 10 + "QUE="
NOW = 1_790_000_000_000


class Desk:
    """`hooks.config` with an audit that takes what the test hands it, as the router's agent would."""

    def __init__(self, settings: Settings, view: HookView, out: Publisher) -> None:
        self.settings = settings
        self.view = view
        self.ring = sealing.ring(settings.master_keys)
        self.out = out
        self._rewriting = Rewriting(settings, self.ring, view, lambda: True)
        self._taken = 0

    async def write(self, fields: dict[str, Any] | None, replaces: int | None = None) -> int:
        """One record of hook 1; answers where it lies."""
        headers = () if replaces is None else ((REPLACES, str(replaces).encode()),)
        value = None if fields is None else orjson.dumps(fields)
        record = Outgoing(topic=topics.CONFIG, key=hook_id(1).encode(), value=value, headers=headers)
        return (await self.out.publish([record]))[0].offset

    async def audit(self) -> list[Incoming]:
        """Let all be done that has to be done, until there is nothing more; answers what was written to the topic."""
        before = len(await self.records())
        for record in (await self.records())[self._taken :]:
            await self.out.publish(buried(record, hook_records.rules(self.settings), NOW))
        await self.in_force()
        async with clients.consumer(self.settings) as consumer:
            while await self.out.publish(await self._rewriting.records(consumer)):
                await self.in_force()
        self._taken = len(await self.records())
        return (await self.records())[before:]

    async def records(self, topic: str = topics.CONFIG) -> list[Incoming]:
        at = TopicPartition(self.settings.topic_prefix + topic, 0)
        return [record async for record in reader.to_end(self.settings, {at: -1})]

    async def in_force(self) -> Known | None:
        """The hook as the view has it, once it has read all there is."""
        last = (await self.records())[-1].at
        async with asyncio.timeout(10):
            while not self.view.has((0, last.offset)):
                await asyncio.sleep(0.01)
        return self.view.hooks.by_id.get(hook_id(1))

    async def late(self) -> Known | None:
        """The hook as somebody has it to whom compaction left the last record alone."""
        hooks = hook_records.Hooks()
        hooks.take((await self.records())[-1], hook_records.rules(self.settings))
        found = hooks.in_force.get(hook_id(1))
        return found.known if found else None


@asynccontextmanager
async def desk(settings: Settings, keys: str = MASTER_KEYS) -> AsyncIterator[Desk]:
    ours = structs.replace(settings, master_keys=keys)
    await admin.apply(ours)
    view = HookView(ours, hook_records.rules(ours))
    reading = asyncio.create_task(view.run())
    async with publisher(ours) as out:
        await view.ready.wait()
        yield Desk(ours, view, out)
    reading.cancel()
    await asyncio.wait([reading])


async def test_a_plain_record_is_written_again_sealed_and_only_once(settings: Settings) -> None:
    async with desk(settings) as the:
        plain = await the.write(hook(1, URL, config={"headers": {"x-a": "marked"}}))
        (wrote,) = await the.audit()
        assert wrote.value is not None
        assert KEY.encode() not in wrote.value
        assert b"marked" not in wrote.value
        assert wrote.headers == ((REPLACES, str(plain).encode()), (WHY, b"sealed"))
        known = await the.in_force()
        assert known is not None
        assert (known.hook.signing_key, known.hook.config.headers, known.locked) == (KEY, {"x-a": "marked"}, None)
        assert await the.audit() == []


async def test_the_largest_record_is_sealed_and_stays_in_force(settings: Settings) -> None:
    async with desk(settings) as the:
        fields = hook(1, URL, pad="")
        await the.write(fields | {"pad": "x" * (RECORD_BYTES_MAX - len(orjson.dumps(fields)))})
        (wrote,) = await the.audit()
        assert wrote.header(WHY) == b"sealed"
        known = await the.in_force()
        assert known is not None
        assert known.version[1] == wrote.at.offset


async def test_a_version_behind_many_headers_is_sealed_without_them(settings: Settings) -> None:
    async with desk(settings) as the:
        strange = ("strange", b"x" * (2 * 1024 * 1024 - 4096))
        value = orjson.dumps(hook(1, URL))
        await the.out.publish([Outgoing(topic=topics.CONFIG, key=hook_id(1).encode(), value=value, headers=(strange,))])
        (wrote,) = await the.audit()
        assert wrote.header("strange") is None


async def test_what_no_reader_would_take_is_written_by_no_command(settings: Settings) -> None:
    await admin.apply(settings)
    with pytest.raises(InvalidInput, match=r"would be refused: .*No\.Such\.Event"):
        await hook_records.write(settings, [(hook_id(1), orjson.dumps(hook(1, URL, ["No.Such.Event"])))])
    assert (await hook_records.read(settings)).latest == {}


async def test_without_master_keys_nothing_is_written(settings: Settings) -> None:
    async with desk(settings, "") as the:
        await the.write(hook(1, URL))
        assert await the.audit() == []


async def test_a_change_that_comes_before_the_sealed_version_is_the_one_that_counts_and_is_sealed(
    settings: Settings,
) -> None:
    async with desk(settings) as the:
        first = await the.write(hook(1, URL, name="first"))
        await the.write(hook(1, URL, name="second"))
        await the.write(hook(1, URL, name="first, written by a router that had not read the second"), replaces=first)
        await the.audit()
        for known in (await the.in_force(), await the.late()):
            assert known is not None
            assert (known.hook.name, known.hook.signing_key) == ("second", KEY)
        assert KEY.encode() not in ((await the.records())[-1].value or b"")


async def test_a_deletion_that_comes_before_the_sealed_version_counts(settings: Settings) -> None:
    async with desk(settings) as the:
        first = await the.write(hook(1, URL))
        await the.write(None)
        await the.write(hook(1, URL), replaces=first)
        (wrote,) = await the.audit()
        assert wrote.value is None
        assert await the.in_force() is None
        assert await the.late() is None


async def test_behind_a_record_that_nobody_can_read_the_version_in_force_is_written_again(settings: Settings) -> None:
    async with desk(settings) as the:
        await the.write(hook(1, URL, name="good"))
        await the.audit()
        bad = await the.write(hook(1, URL, ["No.Such.Event"], name="bad", signingKey="M" * 32))
        (wrote,) = await the.audit()
        assert wrote.headers == ((REPLACES, str(bad).encode()), (WHY, b"restored"))
        for known in (await the.in_force(), await the.late()):
            assert known is not None
            assert known.hook.name == "good"


async def test_many_records_that_nobody_can_read_cost_one_that_is_written(settings: Settings) -> None:
    async with desk(settings) as the:
        await the.write(hook(1, URL, name="good"))
        await the.audit()
        for _ in range(20):
            await the.write(hook(1, URL, ["No.Such.Event"]))
        assert len(await the.audit()) == 1
        assert len(await the.records(topics.DEAD_LETTERS)) == 20


async def test_a_hook_that_was_never_valid_is_only_buried(settings: Settings) -> None:
    async with desk(settings) as the:
        await the.write(hook(1, URL, ["No.Such.Event"]))
        assert await the.audit() == []
        assert len(await the.records(topics.DEAD_LETTERS)) == 1


async def test_a_dead_letter_of_a_hook_is_sealed_whole_and_opens_for_its_place_alone(settings: Settings) -> None:
    async with desk(settings) as the:
        text = hook(1, URL, ["No.Such.Event"], signingKey="M" * 32)
        await the.write(text)
        await the.audit()
        (record,) = await the.records(topics.DEAD_LETTERS)
        assert b"M" * 32 not in (record.value or b"")
        letter = deadletters.read(record)
        assert letter is not None
        assert sealed_letters.is_closed(letter)
        assert sealed_letters.opened(letter, the.ring).original.value == orjson.dumps(text)
        elsewhere = structs.replace(letter.original, at=Coordinates(*letter.original.at[:2], 99))
        moved = structs.replace(letter, original=elsewhere)
        assert sealed_letters.opened(moved, the.ring) == moved
