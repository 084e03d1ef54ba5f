"""Partitions added to topics that are partitioned alike keep every role from starting, on a real broker."""

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import NewPartitions
from aiokafka.structs import OffsetAndMetadata
from hypothesis import given
from hypothesis import strategies as st

from streams.core.errors import TopicsUnfit
from streams.kafka import admin, agents, clients, growth
from streams.kafka.clients import TopicPartition
from streams.kafka.topics import DELIVERIES, TOPICS
from streams.settings import Settings
from tests.line import ROLES, Role, environment

ALIKE = [topic.name for topic in TOPICS if topic.alike]


@given(st.integers(0, 10**18 - 1), st.integers(1, 10**18 - 1))
def test_what_a_commit_carries_is_read_back(floor: int, count: int) -> None:
    assert growth.parse(growth.metadata(floor, count)) == (floor, count)


def test_a_commit_carries_the_log_offset_and_the_partition_count() -> None:
    assert growth.metadata(12345, 12) == "12345/12"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, None)),
        ("12345", (12345, None)),
        ("12345/", (12345, None)),
        ("12345/0", (12345, None)),
        ("12345/x", (12345, None)),
        ("/12", (0, 12)),
        ("x", (0, None)),
        ("-1/3", (0, 3)),
        ("9" * 19 + "/3", (0, 3)),
        ("1/" + "9" * 5000, (1, None)),
        ("1/2/3", (1, None)),
        ("\u0661/\u0663", (0, None)),
    ],
)
def test_what_an_older_commit_or_a_tool_left_out_is_not_there(text: str, expected: tuple[int, int | None]) -> None:
    assert growth.parse(text) == expected


@pytest.mark.parametrize("role", ROLES)
async def test_after_growth_no_role_starts_and_each_says_what_grew_and_what_to_do(
    settings: Settings, role: str
) -> None:
    await admin.apply(settings)
    await commit(settings, growth.metadata(7, 3))
    await grow(settings, 4)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", "run", role), env=environment(settings), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    line = msgspec.json.decode(said.splitlines()[-1])
    assert (process.returncode, line["event"]) == (1, "role.failed")
    name = settings.topic_prefix + DELIVERIES
    assert f"{name} had 3 partitions when the sender last worked on it and has 4 now: keys moved" in line["reason"]
    assert "another HOOKLINE_TOPIC_PREFIX" in line["reason"]
    assert all(settings.topic_prefix + topic in line["reason"] for topic in ALIKE)


async def test_what_has_not_grown_starts_as_the_sender_left_it(settings: Settings, tmp_path: Path) -> None:
    await admin.apply(settings)
    await commit(settings, growth.metadata(7, 3))
    role = Role("router", settings, tmp_path, "a")
    await role.start()
    try:
        await role.ready()
    finally:
        assert await role.stop() == 0


@pytest.mark.parametrize("text", ["", "7", "a note of somebody's"])
async def test_a_commit_that_carries_no_count_is_accepted(settings: Settings, text: str) -> None:
    await admin.apply(settings)
    await commit(settings, text)
    await grow(settings, 4)
    await admin.check(settings)


async def test_one_commit_of_before_is_enough(settings: Settings) -> None:
    await admin.apply(settings)
    await grow(settings, 4)
    await commit(settings, growth.metadata(7, 4), partition=0)
    await commit(settings, growth.metadata(7, 3), partition=1)
    with pytest.raises(TopicsUnfit, match=r"had 3 partitions .* has 4 now"):
        await admin.check(settings)


async def test_topics_that_were_deleted_and_made_anew_have_not_grown(settings: Settings) -> None:
    """What the refusal advises: with a topic the broker forgets what groups committed for it."""
    await admin.apply(settings)
    await commit(settings, growth.metadata(7, 3))
    async with clients.admin(settings) as client:
        await client.delete_topics([settings.topic_prefix + name for name in ALIKE])
    await counted(settings, 0)
    anew = msgspec.structs.replace(settings, topic_partitions=5)
    await admin.apply(anew)
    await admin.check(anew)
    assert (await admin.partition_counts(anew))[DELIVERIES] == 5


async def commit(settings: Settings, text: str, partition: int = 0) -> None:
    """Commit as the sender does, with this metadata."""
    at = TopicPartition(settings.topic_prefix + DELIVERIES, partition)
    async with clients.consumer(settings, group=agents.group(settings, "sender")) as consumer:
        consumer.assign([at])
        await consumer.commit({at: OffsetAndMetadata(0, text)})


async def grow(settings: Settings, count: int) -> None:
    """Add partitions to all topics that are partitioned alike, and wait until the broker shows them."""
    async with clients.admin(settings) as client:
        await client.create_partitions({settings.topic_prefix + name: NewPartitions(count) for name in ALIKE})
    await counted(settings, count)


async def counted(settings: Settings, count: int) -> None:
    async with asyncio.timeout(30):
        while {found for name, found in (await admin.partition_counts(settings)).items() if name in ALIKE} != {count}:
            await asyncio.sleep(0.02)
