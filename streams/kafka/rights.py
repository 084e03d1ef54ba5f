"""The one table of rights: what each role and each user needs on a cluster with ACLs, and not one more.

`topic rights`, the README and the check before a role starts come from it. Kafka includes Describe in Read, Write and
Alter, and DescribeConfigs in AlterConfigs, so those stand here only where these do not. Who may write to any topic may
produce idempotently, and nobody needs a right on the cluster.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from streams.core import catalogue
from streams.kafka import topics
from streams.settings import Settings

SENDER = "hookline-sender"
"""The group whose commits say how many partitions there were; every role looks at them before it starts."""


class Right(Struct, frozen=True, kw_only=True):
    """One operation on one topic or group, or with the pattern `prefixed` on all whose names begin so."""

    role: str
    resource: Literal["topic", "group"]
    name: str
    pattern: Literal["literal", "prefixed"] = "literal"
    operation: str


def of(settings: Settings, *roles: str) -> list[Right]:
    """The rights of these roles, or of all, with the configured prefix before every name."""
    return [
        Right(
            role=role,
            resource=resource,
            name=settings.topic_prefix + name,
            pattern="prefixed" if name.endswith("-") else "literal",
            operation=operation,
        )
        for role in roles or RIGHTS
        for resource, name, operation in RIGHTS[role]
    ]


_Row = tuple[Literal["topic", "group"], str, str]

_ALL = tuple(topic.name for topic in topics.TOPICS)
_GROWING = tuple(topic.name for topic in topics.TOPICS if not topic.alike and topic.partitions is None)
"""What `topic apply` may add partitions to."""


def _topics(operation: str, names: Iterable[str]) -> tuple[_Row, ...]:
    return tuple(("topic", name, operation) for name in names)


def _role(name: str, reads: Iterable[str], writes: Iterable[str]) -> tuple[_Row, ...]:
    """A role takes part in its group and, before it starts, sees that every topic is as it has to be."""
    reads, writes, group = set(reads), set(writes), f"hookline-{name}"
    return (
        *_topics("Read", (topic for topic in _ALL if topic in reads)),
        *_topics("Write", (topic for topic in _ALL if topic in writes)),
        *_topics("Describe", (topic for topic in _ALL if topic not in reads | writes)),
        *_topics("DescribeConfigs", _ALL),
        ("group", group, "Read"),
        *((("group", SENDER, "Describe"),) if group != SENDER else ()),
    )


RIGHTS: dict[str, tuple[_Row, ...]] = {
    "router": _role(
        "router",
        reads=(*catalogue.EVENT_TOPICS, topics.CONFIG),
        writes=(topics.DELIVERIES, topics.CONFIG, topics.DEAD_LETTERS),
    ),
    "sender": _role(
        "sender",
        reads=(topics.CONFIG, topics.DELIVERIES, topics.RETRIES, topics.LOG),
        writes=(topics.RETRIES, topics.LOG, topics.DEAD_LETTERS),
    ),
    "health": _role(
        "health",
        reads=(topics.CONFIG, topics.LOG, topics.HEALTH),
        writes=(topics.CONFIG, topics.HEALTH, topics.OPERATIONS, topics.DEAD_LETTERS),
    ),
    "operator": (
        *_topics("Read", (name for name in _ALL if name != topics.RETRIES)),
        *_topics("Write", (*catalogue.TOPICS, topics.CONFIG, topics.DELIVERIES)),
        *_topics("Describe", (topics.RETRIES,)),
        *_topics("DescribeConfigs", _ALL),
        *(("group", f"hookline-{role}", "Describe") for role in topics.READS),
        ("group", "hookline-replay-", "Read"),
        ("group", "hookline-replay-", "Delete"),
    ),
    "administrator": (
        *_topics("Create", _ALL),
        *_topics("Alter", _GROWING),
        *_topics("Describe", (name for name in _ALL if name not in _GROWING)),
        *_topics("AlterConfigs", _ALL),
        ("group", SENDER, "Describe"),
    ),
    "upstream": (*_topics("Write", catalogue.TOPICS),),
}
"""(topic or group, its name without prefix, operation) of the three roles and of people: `operator` is for the commands
that look, write and repeat, `administrator` for `topic plan|apply|check`; an `upstream` service gets one of its rows.

An operator who puts dead letters back on other topics needs Write there too."""
