"""A record that was passed over stops the role; a gap without records does not."""

import asyncio
import sys

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import RecordsToDelete

from streams.core.records import Incoming, Outgoing
from streams.kafka import admin, clients, reader
from streams.kafka.clients import TopicPartition
from streams.kafka.continuity import Continuity, RecordsSkipped
from streams.kafka.publisher import publisher
from streams.settings import Settings

TOPIC = "identity.user"
GROUP = "hookline-router"


async def test_consecutive_records_pass_and_so_do_repeated_ones(settings: Settings) -> None:
    records = await published(settings, 5)
    continuity = Continuity(settings, group(settings))
    await continuity.check(records[:3])
    await continuity.check(records[2:])


async def test_a_record_passed_over_is_noticed(settings: Settings) -> None:
    records = await published(settings, 5)
    continuity = Continuity(settings, group(settings))
    await continuity.check(records[:2])
    with pytest.raises(RecordsSkipped, match="offset 2 was never delivered"):
        await continuity.check(records[3:])


async def test_records_passed_over_at_the_very_start_are_noticed(settings: Settings) -> None:
    """The gap that Faust was seen to leave lies right behind the committed offset, where a restart begins."""
    records = await published(settings, 5)
    await commit(settings, 2)
    with pytest.raises(RecordsSkipped, match="offset 2 was never delivered"):
        await Continuity(settings, group(settings)).check(records[3:])


async def test_after_a_rebalance_the_committed_offset_counts_anew(settings: Settings) -> None:
    records = await published(settings, 5)
    continuity = Continuity(settings, group(settings))
    await continuity.check(records[:1])
    await commit(settings, 4)
    continuity.reset()
    await continuity.check(records[4:])


async def test_the_markers_of_a_transaction_are_no_records(settings: Settings) -> None:
    """Upstream services may produce in transactions, which leave offsets that nobody is ever given."""
    await admin.apply(settings)
    topic = settings.topic_prefix + TOPIC
    async with _transactional(settings) as producer:
        for value in (b"a", b"b"):
            async with producer.transaction():
                await producer.send_and_wait(topic, value, partition=0)
    records = [record async for record in reader.to_end(settings, {TopicPartition(topic, 0): -1})]
    assert [record.at.offset for record in records] == [0, 2]
    await Continuity(settings, group(settings)).check(records)


async def test_records_that_retention_deleted_are_no_loss_of_ours(settings: Settings) -> None:
    records = await published(settings, 5)
    async with clients.admin(settings) as client:
        partition = TopicPartition(settings.topic_prefix + TOPIC, 0)
        await client.delete_records({partition: RecordsToDelete(before_offset=3)})
    await Continuity(settings, group(settings)).check(records[3:])


async def test_a_faust_app_that_skips_records_crashes_and_commits_nothing_past_the_gap(settings: Settings) -> None:
    """The whole guard on a real app: records are lost between Kafka and the agent, as was seen after restarts."""
    await published(settings, 200)
    role = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kafka.lossy", settings.bootstrap, settings.topic_prefix),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await role.communicate()
    name, _, last = said.decode().partition(" after ")
    assert (role.returncode, name) == (1, "RecordsSkipped")
    assert int(last) < 100
    committed = await Continuity(settings, group(settings)).committed()
    assert committed.get(TopicPartition(settings.topic_prefix + TOPIC, 0), 0) <= 100


def group(settings: Settings) -> str:
    """The group whose commits count in these tests."""
    return settings.topic_prefix + GROUP


async def published(settings: Settings, count: int) -> list[Incoming]:
    """So many records in partition 0, as a reader sees them."""
    await admin.apply(settings)
    async with publisher(settings) as out:
        await out.publish(Outgoing(topic=TOPIC, key=b"k", value=b"v", partition=0) for _ in range(count))
    start = {TopicPartition(settings.topic_prefix + TOPIC, 0): -1}
    return [record async for record in reader.to_end(settings, start)]


async def commit(settings: Settings, offset: int) -> None:
    """Commit for partition 0 as a member of the group would."""
    partition = TopicPartition(settings.topic_prefix + TOPIC, 0)
    async with clients.consumer(settings, group=group(settings)) as consumer:
        consumer.assign([partition])
        await consumer.commit({partition: offset})


def _transactional(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=settings.bootstrap, transactional_id=settings.topic_prefix + "upstream")
