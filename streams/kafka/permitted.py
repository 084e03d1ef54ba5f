"""What the broker lets this client do, as the broker itself says it (KIP-430).

So a role that may not do its work tells of every missing right before it starts, and ends soon after one was taken
from it. aiokafka has neither of the two requests in the version that answers this.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka.errors import (
    BrokerResponseError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from streams.core.errors import BrokerRefuses, BrokerUnreachable, InvalidInput
from streams.kafka import clients, refusals, rights
from streams.kafka.rights import Right
from streams.settings import Settings

OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
"""Kafka's AclOperation; a broker answers with a bit for each that it allows."""

UNSAID = -(1 << 31)
"""What a broker answers that does not say; then nothing counts as missing."""

ASK_AGAIN_S = 0.2
PATIENCE_S = 30.0
"""A group's coordinator that is being elected or loaded answers within seconds."""

WATCH_S = 10.0
"""How often a role that is at work is checked: so long it may go on after a right was taken from it."""


async def check(settings: Settings, role: str) -> None:
    """Raise BrokerRefuses that names every right that the role lacks."""
    if lacking := await missing(settings, rights.of(settings, role)):
        raise BrokerRefuses(_sentence(settings, role, lacking))


async def watch(settings: Settings, role: str) -> None:
    """Check again and again, until a right is missing or the client is not let in any more: raises BrokerRefuses.

    A broker that is away, or says nothing of rights, is no refusal: the clients of the role heal by themselves.
    """
    while True:
        await asyncio.sleep(WATCH_S)
        try:
            await check(settings, role)
        except BrokerRefuses:
            raise
        except (BrokerUnreachable, InvalidInput):  # a token file that is being written anew, too
            continue


async def missing(settings: Settings, wanted: Iterable[Right]) -> list[Right]:
    """Those of `wanted` that the broker does not give. None is missing of a topic that does not exist."""
    wanted = list(wanted)
    topics = sorted({right.name for right in wanted if right.resource == "topic"})
    groups = sorted({right.name for right in wanted if right.resource == "group"})
    try:
        async with asyncio.timeout(PATIENCE_S), clients.admin(settings) as admin:
            given = await _of_topics(admin, topics)
            for group in groups:
                given["group", group] = await _of_group(admin, group)
    except NotImplementedError:  # what aiokafka raises for a broker before Kafka 2.3, which cannot say
        return []
    except (KafkaError, TimeoutError) as error:
        raise BrokerUnreachable(
            f"the broker at {settings.bootstrap} does not say what it allows ({error!r})"
        ) from error
    return [right for right in wanted if not _allows(given.get((right.resource, right.name), UNSAID), right)]


async def demand_sight(settings: Settings, admin: Any, names: list[str]) -> None:
    """Raise BrokerRefuses for topics that this client may not even see: to most requests they do not exist."""
    try:
        given = await _of_topics(admin, names)
    except NotImplementedError:
        return
    if hidden := [name for (_, name), bits in given.items() if bits == 0]:
        raise refusals.denial(settings, f"the topic {', '.join(hidden)}")


def _allows(bits: int, right: Right) -> bool:
    return bits == UNSAID or bool(bits >> OPERATIONS[right.operation] & 1)


async def _of_topics(admin: Any, names: list[str]) -> dict[tuple[str, str], int]:
    response = await admin._send_request(_Metadata(names))
    return {
        ("topic", name): 0 if code == TopicAuthorizationFailedError.errno else bits
        for code, name, _, _, bits in response.topics
        if code in (0, TopicAuthorizationFailedError.errno)
    }


async def _of_group(admin: Any, name: str) -> int:
    while True:
        try:
            response = await admin._send_request_to_node(await admin.find_coordinator(name), _DescribeGroup(name))
            code, *_, bits = response.groups[0]
            if code:
                raise for_code(code)(name)
        except GroupAuthorizationFailedError:
            return 0
        except BrokerResponseError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            return int(bits)


def _sentence(settings: Settings, role: str, lacking: Iterable[Right]) -> str:
    names: dict[tuple[str, str], list[str]] = {}
    for right in lacking:
        names.setdefault((right.operation, right.resource), []).append(right.name)
    denied = "; ".join(f"{operation} on {kind} {', '.join(found)}" for (operation, kind), found in names.items())
    return (
        f"the broker at {settings.bootstrap} does not give {refusals.who(settings)} what the {role} needs: {denied}; "
        f"grant it. {refusals.REMEDY}"
    )


class _MetadataResponse_v8(Response):  # noqa: N801 - as aiokafka names them
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataRequest_v8(RequestStruct):  # noqa: N801
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse_v8
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Metadata(Request[_MetadataRequest_v8]):
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request: type[_MetadataRequest_v8]) -> Any:
        return request(self._topics, False, False, True)


class _DescribeGroupRequest_v3(RequestStruct):  # noqa: N801
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3  # aiokafka reads the answer as one of version 2, without what was asked
    SCHEMA = Schema(("groups", Array(String())), ("include_authorized_operations", Boolean))


class _DescribeGroup(Request[_DescribeGroupRequest_v3]):
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request: type[_DescribeGroupRequest_v3]) -> Any:
        return request([self._group], True)
