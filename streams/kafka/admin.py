"""Making and checking the topics of the table in `topics`, on the cluster that the settings name.

What differs, and what may be done about it, is decided in `differences`; here it is read from the broker and mended.
Every function opens a client of its own and closes it; all of them raise BrokerUnreachable and TopicsUnfit only.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka.admin import NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    InvalidPartitionsError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from streams.core.errors import BrokerRefuses, BrokerUnreachable, TopicsUnfit
from streams.kafka import clients, refusals
from streams.kafka.differences import Difference, Seen, differences
from streams.kafka.topics import DELIVERIES, TOPICS, configuration
from streams.settings import Settings

VISIBLE_S = 30
"""How long a cluster may take to show what it accepted; one broker takes about 50 ms."""

POLL_S = 0.02
REPLICAS_MAX = 3
SET_ON_TOPIC = 1  # Kafka's ConfigSource: DYNAMIC_TOPIC_CONFIG
UNAUTHORIZED = (TopicAuthorizationFailedError.errno, ClusterAuthorizationFailedError.errno)


async def plan(settings: Settings) -> list[Difference]:
    """What differs from the table, in its order; nothing is changed."""
    async with _connected(settings) as client:
        return differences(await _read(client, settings), settings)


async def apply(settings: Settings) -> list[Difference]:
    """Mend what may be mended and return what `plan` would have shown before; raises TopicsUnfit if the broker refuses.

    Returns once the cluster shows every change and every partition has a leader. May run twice, and twice at once.
    """
    async with _connected(settings) as client:
        before = differences(await _read(client, settings), settings)
        tried: set[Difference] = set()
        left: list[str] = []
        try:
            async with asyncio.timeout(VISIBLE_S):
                while left := await _mend(client, settings, tried):
                    await asyncio.sleep(POLL_S)  # nothing to wait on: brokers show a change a moment after accepting it
        except TimeoutError as error:
            raise TopicsUnfit(
                f"the broker accepted every change, but does not show them after {VISIBLE_S} s ({'; '.join(left)}): "
                "see that this client may Describe these topics, and look into the broker's log"
            ) from error
        return before


async def check(settings: Settings) -> None:
    """Raise TopicsUnfit with all that would lose records or break order, and what may be done about it."""
    from streams.kafka import growth  # here, because it imports Faust, which takes a second

    async with _connected(settings) as client:
        seen = await _read(client, settings)
        fatal = [difference for difference in differences(seen, settings) if difference.fatal]
        if fatal:
            raise TopicsUnfit(_refusal(fatal))
        await growth.check(settings, seen[settings.topic_prefix + DELIVERIES].partitions)


def _refusal(fatal: list[Difference]) -> str:
    missing = [difference.topic for difference in fatal if difference.kind == "missing"]
    problems = [difference.sentence for difference in fatal if difference.kind != "missing"]
    if missing:
        problems.insert(0, f"these topics do not exist: {', '.join(missing)}")
    if any(difference.remedy == "apply" for difference in fatal):
        problems.append("mend this with `hookline topic apply`")
    return "the topics do not fit:\n  " + "\n  ".join(problems)


async def cluster_id(settings: Settings) -> str:
    """The cluster's own id, the same from every broker and after every restart."""
    async with _connected(settings) as client:
        return str((await client.describe_cluster())["cluster_id"])


async def brokers(settings: Settings) -> int:
    """How many brokers the cluster has now."""
    async with _connected(settings) as client:
        return len((await client.describe_cluster())["brokers"])


async def topic_names(settings: Settings) -> set[str]:
    """The names of all topics on the cluster, whoever they belong to."""
    async with _connected(settings) as client:
        return set(await client.list_topics())


async def partition_counts(settings: Settings) -> dict[str, int]:
    """How many partitions each topic of the table has, by its name without prefix; 0 when it does not exist."""
    async with _connected(settings) as client:
        counts = {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}
    return {topic.name: counts.get(settings.topic_prefix + topic.name, 0) for topic in TOPICS}


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Any]:
    try:
        async with clients.admin(settings) as client:
            yield client
    except (KafkaError, TimeoutError) as error:
        raise refusals.forbidden(settings, error) or BrokerUnreachable(
            f"the broker at {settings.bootstrap} was reached and then failed to answer ({error!r}): try again, "
            "and look into the broker's log if it stays so"
        ) from error


async def _read(client: Any, settings: Settings) -> dict[str, Seen]:
    """The table's topics that exist, by name with prefix."""
    # Of all topics, because aiokafka's request for some of them lets the broker make those that it does not have.
    partitions = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics()}
    names = [ConfigResource(ConfigResourceType.TOPIC, settings.topic_prefix + topic.name) for topic in TOPICS]
    answers = [resource for response in await client.describe_configs(names) for resource in response.resources]
    _refuse(
        "describe",
        "DescribeConfigs",
        [
            (name, code, message)
            for code, message, _, name, _ in answers
            if code not in (0, UnknownTopicOrPartitionError.errno)
        ],
    )
    return {
        name: Seen(
            partitions=len(partitions[name]),
            leaderless=sum(partition["leader"] < 0 for partition in partitions[name]),
            configs={setting: value for setting, value, *_ in entries},
            own={setting: value for setting, value, _, source, *_ in entries if source == SET_ON_TOPIC},
        )
        for code, _, _, name, entries in answers
        if code == 0 and name in partitions
    }


async def _mend(client: Any, settings: Settings, tried: set[Difference]) -> list[str]:
    """Mend what was not `tried` yet; returns, in words, what the cluster did not show before that.

    Differences may appear on the way: a topic that somebody else was just making is missing first, then wrong.
    """
    seen = await _read(client, settings)
    todo = [difference for difference in differences(seen, settings) if difference.remedy == "apply"]
    fresh = [difference for difference in todo if difference not in tried]
    await _create(client, settings, [d for d in fresh if d.kind == "missing"])
    await _grow(client, [d for d in fresh if d.kind == "partitions"])
    await _alter(client, seen, [d for d in fresh if d.kind == "config"])
    tried.update(fresh)
    leaderless = [f"{name} has {t.leaderless} partitions without a leader" for name, t in seen.items() if t.leaderless]
    return [difference.sentence for difference in todo] + leaderless


async def _create(client: Any, settings: Settings, missing: list[Difference]) -> None:
    if not missing:
        return
    replicas = min(REPLICAS_MAX, len((await client.describe_cluster())["brokers"]))
    rows = {settings.topic_prefix + topic.name: topic for topic in TOPICS}
    response = await client.create_topics(
        [NewTopic(d.topic, int(d.wanted), replicas, topic_configs=configuration(rows[d.topic])) for d in missing]
    )
    # Another process may have been quicker, with the same table in hand.
    accepted = (0, TopicAlreadyExistsError.errno)
    _refuse("create", "Create", [answer for answer in response.topic_errors if answer[1] not in accepted])


async def _grow(client: Any, too_few: list[Difference]) -> None:
    for difference in too_few:
        try:
            # "Already has that many": another process was quicker.
            with suppress(InvalidPartitionsError):
                await client.create_partitions({difference.topic: NewPartitions(int(difference.wanted))})
        except BrokerResponseError as error:
            _refuse("add partitions to", "Alter", [(difference.topic, error.errno, None)])


async def _alter(client: Any, seen: dict[str, Seen], wrong: list[Difference]) -> None:
    """Set what is wrong and repeat what the topic has, for what a request leaves out goes back to its default.

    aiokafka has no IncrementalAlterConfigs, so what somebody else sets between our reading and this is undone.
    """
    wanted = {difference.topic: dict(seen[difference.topic].own) for difference in wrong}
    for difference in wrong:
        wanted[difference.topic][difference.setting] = difference.wanted
    if wanted:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs) for name, configs in wanted.items()]
        responses = await client.alter_configs(resources)
        answers = [resource for response in responses for resource in response.resources]
        _refuse("configure", "AlterConfigs", [(name, code, message) for code, message, _, name in answers if code])


def _refuse(verb: str, right: str, refused: list[tuple[str, int, str | None]]) -> None:
    """Raise TopicsUnfit or BrokerRefuses for (topic, error code, the broker's words), if there are any."""
    if not refused:
        return
    names: dict[str, list[str]] = {}
    for name, code, message in refused:
        names.setdefault(message or for_code(code).description, []).append(name)
    words = "; ".join(f"{', '.join(topics)}: {reason}" for reason, topics in names.items())
    said = f"the broker refuses to {verb} topics ({words})"
    if any(code in UNAUTHORIZED for _, code, _ in refused):
        raise BrokerRefuses(
            f"{said}: grant this client {right} on these topics, or let an administrator run `hookline topic apply`"
        )
    raise TopicsUnfit(f"{said}: mend what it says, then run `hookline topic apply`")
