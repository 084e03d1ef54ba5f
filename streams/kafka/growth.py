"""Whether the topics that are partitioned alike have another partition count than when the sender last committed.

Kafka lets anybody add partitions, and then most keys fall into other ones: a hook's order, its waiting retries and its
health would be looked for where they are not. So every commit of the sender carries the count that it went by, and
no role starts on another.
"""

from aiokafka.errors import GroupAuthorizationFailedError

from streams.core.errors import BrokerRefuses, TopicsUnfit
from streams.kafka import agents, committed, topics
from streams.settings import Settings

DIGITS_MAX = 18
"""What surely fits 63 bits, as an offset must; Python itself refuses to read a number of more than 4,300 digits."""


def metadata(floor: int, count: int) -> str:
    """What a commit of `hooks.deliveries` carries: an offset of `hooks.log` (see `ended`) and the partition count."""
    return f"{floor}/{count}"


def parse(text: str) -> tuple[int, int | None]:
    """The offset and the count of a commit; 0 and None stand for what it does not carry.

    Commits of before the count was carried are a number alone; those of an operator's tool may be anything.
    """
    floor, _, count = text.partition("/")
    return _number(floor) or 0, _number(count) or None


async def check(settings: Settings, count: int) -> None:
    """Raise TopicsUnfit when the sender's commits were made with another count than `count`, which is that of now.

    Raises BrokerRefuses when this client may not know, KafkaError or TimeoutError when nobody can say.
    """
    group, topic = agents.group(settings, "sender"), settings.topic_prefix + topics.DELIVERIES
    try:
        known = await committed.offsets(settings, group)
    except GroupAuthorizationFailedError as error:
        raise BrokerRefuses(
            f"this client may not see what the group {group} committed: grant it Describe on it"
        ) from error
    counts = (parse(at.metadata)[1] for partition, at in known.items() if partition.topic == topic)
    others = sorted({before for before in counts if before is not None} - {count})
    if others:
        raise TopicsUnfit(_sentence(settings.topic_prefix, topic, others, count))


def _sentence(prefix: str, topic: str, before: list[int], now: int) -> str:
    alike = ", ".join(prefix + row.name for row in topics.TOPICS if row.alike)
    return (
        f"{topic} had {' or '.join(map(str, before))} partitions when the sender last worked on it and has {now} now: "
        "keys moved, so the order, the waiting retries and the health of most hooks would be looked for in partitions "
        "that do not hold them. Kafka cannot take partitions away: begin under another HOOKLINE_TOPIC_PREFIX; or stop "
        f"every role, delete {alike}, with the deliveries that wait and the health of the last 24 hours, and let "
        "`hookline topic apply` make them anew"
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None
