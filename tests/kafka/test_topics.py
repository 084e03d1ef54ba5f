"""Making and checking the topics, on a real broker."""

import asyncio
import socket
from typing import Any

import msgspec
import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.core.errors import BrokerUnreachable, TopicsUnfit
from streams.kafka import admin, clients, topics
from streams.kafka.topics import CONFIG, DELIVERIES, LOG, RETRIES, TOPICS, configuration
from streams.settings import Settings

USER = "identity.user"


async def test_an_empty_cluster_lacks_every_topic_of_the_table_and_plan_changes_nothing(settings: Settings) -> None:
    for _ in range(2):
        found = await admin.plan(settings)
        assert [d.topic for d in found] == [settings.topic_prefix + topic.name for topic in TOPICS]
        assert {(d.kind, d.remedy, d.fatal, d.found) for d in found} == {("missing", "apply", True, None)}


async def test_apply_makes_every_topic_as_the_table_says(settings: Settings) -> None:
    found = await admin.apply(settings)
    assert len(found) == len(TOPICS)
    assert await admin.plan(settings) == []
    await admin.check(settings)
    counts = await admin.partition_counts(settings)
    assert counts == {topic.name: topic.partitions or 3 for topic in TOPICS}
    for topic in TOPICS:
        assert configuration(topic).items() <= (await configs(settings, topic.name)).items()


async def test_new_topics_have_a_leader_for_every_partition_when_apply_returns(settings: Settings) -> None:
    await admin.apply(settings)
    async with clients.admin(settings) as client:
        described = await client.describe_topics()
    ours = [topic for topic in described if topic["topic"].startswith(settings.topic_prefix)]
    assert len(ours) == len(TOPICS)
    assert all(partition["leader"] >= 0 for topic in ours for partition in topic["partitions"])


async def test_a_second_apply_does_nothing(settings: Settings) -> None:
    await admin.apply(settings)
    assert await admin.apply(settings) == []


async def test_four_applies_at_once_all_succeed(settings: Settings) -> None:
    await asyncio.gather(*(admin.apply(settings) for _ in range(4)))
    assert await admin.plan(settings) == []


async def test_two_applies_that_both_alter_and_grow_at_once_succeed(settings: Settings) -> None:
    await admin.apply(settings)
    await alter(settings, CONFIG, {"cleanup.policy": "delete"})
    grown = msgspec.structs.replace(settings, topic_partitions=4)
    await asyncio.gather(admin.apply(grown), admin.apply(grown))
    assert {d.remedy for d in await admin.plan(grown)} == {"refused"}
    await admin.check(grown)


async def test_a_prefix_keeps_two_hooklines_on_one_cluster_apart(settings: Settings) -> None:
    await admin.apply(settings)
    other = msgspec.structs.replace(settings, topic_prefix=settings.topic_prefix + "other.")
    assert {d.kind for d in await admin.plan(other)} == {"missing"}
    assert set((await admin.partition_counts(other)).values()) == {0}


async def test_check_names_every_missing_topic_and_the_command_that_makes_them(settings: Settings) -> None:
    with pytest.raises(TopicsUnfit, match="hookline topic apply") as refusal:
        await admin.check(settings)
    assert all(settings.topic_prefix + topic.name in str(refusal.value) for topic in TOPICS)


async def test_one_missing_topic_is_refused_and_made_by_apply(settings: Settings) -> None:
    await admin.apply(settings)
    await delete(settings, USER)
    with pytest.raises(TopicsUnfit, match=f"do not exist: {settings.topic_prefix}{USER}\n"):
        await admin.check(settings)
    assert [d.topic for d in await admin.apply(settings)] == [settings.topic_prefix + USER]
    await admin.check(settings)


async def test_a_missing_topic_is_made_with_as_many_partitions_as_its_siblings_have(settings: Settings) -> None:
    await admin.apply(settings)
    await delete(settings, LOG)
    await admin.apply(msgspec.structs.replace(settings, topic_partitions=5))
    assert (await admin.partition_counts(settings))[LOG] == 3


@pytest.mark.parametrize(
    ("name", "setting", "wrong"),
    [
        (CONFIG, "cleanup.policy", "delete"),
        (CONFIG, "cleanup.policy", "compact,delete"),
        (DELIVERIES, "cleanup.policy", "compact"),
        (LOG, "max.message.bytes", str(topics.RECORD_BYTES_MAX - 1)),
    ],
)
async def test_a_setting_that_loses_records_is_refused_and_mended(
    settings: Settings, name: str, setting: str, wrong: str
) -> None:
    await admin.apply(settings)
    await alter(settings, name, {setting: wrong})
    with pytest.raises(TopicsUnfit, match=f"{settings.topic_prefix}{name} has {setting}={wrong}"):
        await admin.check(settings)
    await admin.apply(settings)
    await admin.check(settings)


async def test_a_topic_that_takes_larger_records_than_needed_is_fit(settings: Settings) -> None:
    await admin.apply(settings)
    await alter(settings, LOG, {"max.message.bytes": str(topics.RECORD_BYTES_MAX + 1)})
    assert await admin.plan(settings) == []


async def test_apply_leaves_alone_what_an_operator_set_besides_the_table(settings: Settings) -> None:
    await admin.apply(settings)
    await alter(settings, CONFIG, {"cleanup.policy": "delete", "file.delete.delay.ms": "1234", "flush.ms": "4321"})
    await admin.apply(settings)
    after = await configs(settings, CONFIG)
    assert (after["cleanup.policy"], after["file.delete.delay.ms"], after["flush.ms"]) == ("compact", "1234", "4321")


async def test_other_retention_is_shown_and_neither_refused_nor_changed(settings: Settings) -> None:
    await admin.apply(settings)
    await alter(settings, LOG, {"retention.ms": "3600000"})
    (shown,) = await admin.plan(settings)
    assert (shown.setting, shown.found, shown.remedy, shown.fatal) == ("retention.ms", "3600000", "choice", False)
    await admin.check(settings)
    assert await admin.apply(settings) == [shown]
    assert (await configs(settings, LOG))["retention.ms"] == "3600000"


async def test_unequal_partition_counts_are_refused_with_the_reason_and_never_levelled(settings: Settings) -> None:
    await admin.apply(settings)
    await grow(settings, RETRIES, 4)
    (shown,) = await admin.plan(settings)
    assert (shown.kind, shown.found, shown.wanted, shown.remedy) == ("unequal", "4", "3", "refused")
    with pytest.raises(TopicsUnfit, match=r"has 4 partitions and .*hooks\.deliveries has 3.* co-partitioning"):
        await admin.check(settings)
    assert await admin.apply(settings) == [shown]
    counts = await admin.partition_counts(settings)
    assert (counts[RETRIES], counts[DELIVERIES]) == (4, 3)


async def test_deleting_the_unequal_topic_and_applying_mends_it(settings: Settings) -> None:
    await admin.apply(settings)
    await grow(settings, RETRIES, 4)
    await delete(settings, RETRIES)
    await admin.apply(settings)
    await admin.check(settings)


async def test_more_partitions_are_added_to_all_but_the_topics_partitioned_alike(settings: Settings) -> None:
    await admin.apply(settings)
    more = msgspec.structs.replace(settings, topic_partitions=4)
    refused = [d for d in await admin.apply(more) if d.remedy == "refused"]
    assert {d.topic for d in refused} == {settings.topic_prefix + topic.name for topic in TOPICS if topic.alike}
    assert all("keys would move" in d.sentence and not d.fatal for d in refused)
    counts = await admin.partition_counts(more)
    assert counts == {t.name: t.partitions or (3 if t.alike else 4) for t in TOPICS}
    await admin.check(more)


async def test_more_partitions_than_asked_for_are_no_difference(settings: Settings) -> None:
    await admin.apply(settings)
    assert await admin.plan(msgspec.structs.replace(settings, topic_partitions=2)) == []


async def test_a_refusal_of_the_broker_is_one_sentence_with_its_words(settings: Settings) -> None:
    await admin.apply(settings)
    # Kafka keeps `a.b` and `a_b` apart in no metric, so it refuses the second.
    clashing = msgspec.structs.replace(settings, topic_prefix=settings.topic_prefix.replace(".", "_"))
    with pytest.raises(TopicsUnfit, match=r"refuses to create topics \(.*collides.*\): mend"):
        await admin.apply(clashing)


async def test_the_cluster_id_is_the_same_each_time(settings: Settings) -> None:
    first = await admin.cluster_id(settings)
    assert first
    assert first == await admin.cluster_id(settings)


@pytest.mark.parametrize("function", [admin.plan, admin.apply, admin.check, admin.cluster_id, admin.partition_counts])
async def test_no_broker_is_one_sentence_and_exit_code_3(function: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can answer there
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerUnreachable, match=address) as refusal:
            await function(Settings(bootstrap_servers=address))
    assert refusal.value.exit_code == 3


async def configs(settings: Settings, name: str) -> dict[str, str]:
    """What is in force for a topic."""
    async with clients.admin(settings) as client:
        responses: Any = await client.describe_configs([resource(settings, name)])
    return {setting: value for setting, value, *_ in responses[0].resources[0][4]}


async def alter(settings: Settings, name: str, changes: dict[str, str]) -> None:
    """Set the table's configuration with changes, and wait until the broker shows it."""
    row = next(topic for topic in TOPICS if topic.name == name)
    async with clients.admin(settings) as client:
        await client.alter_configs([resource(settings, name, configuration(row) | changes)])
    async with asyncio.timeout(30):
        while not changes.items() <= (await configs(settings, name)).items():
            await asyncio.sleep(0.02)


async def grow(settings: Settings, name: str, count: int) -> None:
    async with clients.admin(settings) as client:
        await client.create_partitions({settings.topic_prefix + name: NewPartitions(count)})
    await shown(settings, name, count)


async def delete(settings: Settings, name: str) -> None:
    async with clients.admin(settings) as client:
        await client.delete_topics([settings.topic_prefix + name])
    await shown(settings, name, 0)


async def shown(settings: Settings, name: str, count: int) -> None:
    """Wait until the broker shows that many partitions."""
    async with asyncio.timeout(30):
        while (await admin.partition_counts(settings))[name] != count:
            await asyncio.sleep(0.02)


def resource(settings: Settings, name: str, changes: dict[str, str] | None = None) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, settings.topic_prefix + name, changes)
