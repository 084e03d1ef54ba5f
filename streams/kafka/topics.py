"""The one table of topics (CONTRACT 2). `topic plan|apply|check`, the schemas and the deploy files come from it."""

from typing import Literal

from msgspec import Struct

from streams.core import catalogue

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

CONFIG = "hooks.config"
DELIVERIES = "hooks.deliveries"
RETRIES = "hooks.retries"
LOG = "hooks.log"
HEALTH = "hooks.health"
OPERATIONS = catalogue.OPERATIONS
DEAD_LETTERS = "hooks.dead-letters"

RECORD_BYTES_MAX = 2 * 1024 * 1024
"""Largest record on any topic: a 1 MiB body, or a refused event of a little more, with room for headers."""

DEAD_LETTER_BYTES_MAX = 3 * 1024 * 1024
"""A dead letter carries the refused record whole, and its reason on top; a pending job its body as JSON text, in which
every quote and backslash takes two bytes."""


class Topic(Struct, frozen=True, kw_only=True):
    """One row: what it is keyed by, what it holds, how it is cleaned, and how many partitions it is born with.

    `partitions` None means the setting `topic_partitions`; `alike` marks those that must have equal counts.
    """

    name: str
    key: str
    value: str
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None = None
    partitions: int | None = None
    alike: bool = False


TOPICS: tuple[Topic, ...] = (
    *(
        Topic(name=name, key="entity id", value="IdentityEvent", cleanup="delete", retention_ms=7 * DAY_MS)
        for name in catalogue.TOPICS
    ),
    Topic(name=CONFIG, key="hook id", value="Hook", cleanup="compact", partitions=1),
    Topic(name=DELIVERIES, key="hook id", value="body", cleanup="delete", retention_ms=7 * DAY_MS, alike=True),
    Topic(name=RETRIES, key="delivery id", value="Pending", cleanup="compact", alike=True),
    Topic(name=LOG, key="hook id", value="Outcome", cleanup="delete", retention_ms=7 * DAY_MS, alike=True),
    Topic(name=HEALTH, key="hook id", value="Report", cleanup="compact", alike=True),
    Topic(name=OPERATIONS, key="hook id", value="OperationalEvent", cleanup="delete", retention_ms=30 * DAY_MS),
    Topic(
        name=DEAD_LETTERS,
        key="the original key",
        value="the original bytes",
        cleanup="delete",
        retention_ms=30 * DAY_MS,
        partitions=1,
    ),
)


def configuration(topic: Topic) -> dict[str, str]:
    """The broker's settings for a topic; compacted ones keep replaced records a day, for views that lag."""
    largest = DEAD_LETTER_BYTES_MAX if topic.name in (DEAD_LETTERS, RETRIES) else RECORD_BYTES_MAX
    settings = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(largest)}
    # A record of 100 MiB fits into a small compressed batch; so the broker unpacks it, and refuses it by its real size.
    settings["compression.type"] = "uncompressed"
    if topic.retention_ms is not None:
        settings["retention.ms"] = str(topic.retention_ms)
    if topic.cleanup == "compact":
        settings |= {
            "segment.ms": str(6 * HOUR_MS),  # compaction never touches the open segment: close it often
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": str(DAY_MS),
        }
    if topic.name == RETRIES:
        settings["message.timestamp.type"] = "LogAppendTime"  # due times are on the brokers' clock, see `clock`
    if topic.name == CONFIG:
        # A hook record that does not validate must not erase its good predecessor before somebody looked.
        settings["min.compaction.lag.ms"] = str(DAY_MS)
    return settings


READS: dict[str, tuple[str, ...]] = {
    "router": (*catalogue.EVENT_TOPICS, CONFIG),
    "sender": (DELIVERIES,),
    "health": (LOG,),
}
"""What each role reads as a consumer group. All of them besides view `hooks.config`, without a group; the sender reads
`hooks.retries` back, and health `hooks.health`, when they are given a partition."""
