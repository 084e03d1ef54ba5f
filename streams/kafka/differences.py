"""What differs between the topics of a cluster and the table in `topics`, and what may be done about each difference.

Rules only: nothing here talks to a broker. Three of them are choices. More partitions than asked for are no
difference. Partitions of topics that are partitioned alike are never added. Retention of a topic that exists is the
operator's: it is shown, and never a reason to stop or to change anything.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from streams.kafka.topics import TOPICS, Topic, configuration
from streams.settings import Settings

PREFIX_SETTING = "HOOKLINE_TOPIC_PREFIX"
KEYS_WOULD_MOVE = "none are added, because keys would move: order and co-partitioning would break"


class Seen(Struct, frozen=True, kw_only=True):
    """A topic as the cluster has it: `configs` are in force, whoever set them; `own` are set on the topic itself."""

    partitions: int
    leaderless: int
    configs: Mapping[str, str | None]
    own: Mapping[str, str]


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that is not as the table says; `topic` with prefix, `setting` is `partitions` or a Kafka name.

    `remedy`: `apply` mends it; it is `refused` for the reason in `sentence`; or it is the operator's `choice`.
    `fatal` ones keep every role from starting.
    """

    topic: str
    kind: Literal["missing", "partitions", "config", "unequal"]
    setting: str
    found: str | None
    wanted: str
    remedy: Literal["apply", "refused", "choice"]
    fatal: bool
    sentence: str


def differences(seen: Mapping[str, Seen], settings: Settings) -> list[Difference]:
    """Everything that differs, in the table's order; `seen` by name with prefix, without those that do not exist."""
    alike = next((name for name, topic in _named(settings) if topic.alike and name in seen), None)
    found: list[Difference] = []
    for name, topic in _named(settings):
        wanted = topic.partitions or settings.topic_partitions
        if name not in seen:
            # Born equal to its siblings, whatever the setting says by now.
            count = seen[alike].partitions if alike and topic.alike else wanted
            found.append(_missing(name, count))
            continue
        count = seen[name].partitions
        if alike and topic.alike and count != seen[alike].partitions:
            found.append(_unequal(name, count, alike, seen[alike].partitions))
        elif count < wanted:
            found.append(_too_few(name, topic, count, wanted))
        found += _configs(name, topic, seen[name])
    return found


def _named(settings: Settings) -> Iterator[tuple[str, Topic]]:
    return ((settings.topic_prefix + topic.name, topic) for topic in TOPICS)


def _missing(name: str, partitions: int) -> Difference:
    return Difference(
        topic=name,
        kind="missing",
        setting="partitions",
        found=None,
        wanted=str(partitions),
        remedy="apply",
        fatal=True,
        sentence=f"{name} does not exist",
    )


def _unequal(name: str, count: int, alike: str, wanted: int) -> Difference:
    return Difference(
        topic=name,
        kind="unequal",
        setting="partitions",
        found=str(count),
        wanted=str(wanted),
        remedy="refused",
        fatal=True,
        sentence=f"{name} has {count} partitions and {alike} has {wanted}, which must be equal; {KEYS_WOULD_MOVE}. "
        f"Delete it if it holds nothing that you need, and `hookline topic apply` makes it anew; "
        f"or begin under another {PREFIX_SETTING}",
    )


def _too_few(name: str, topic: Topic, count: int, wanted: int) -> Difference:
    if topic.alike:
        reason = f"{KEYS_WOULD_MOVE}. Set HOOKLINE_TOPIC_PARTITIONS={count}, or begin under another {PREFIX_SETTING}"
    else:
        reason = "adding some moves keys, so that order holds only among records written after that"
    return Difference(
        topic=name,
        kind="partitions",
        setting="partitions",
        found=str(count),
        wanted=str(wanted),
        remedy="refused" if topic.alike else "apply",
        fatal=False,
        sentence=f"{name} has {count} of {wanted} partitions; {reason}",
    )


def _configs(name: str, topic: Topic, seen: Seen) -> Iterator[Difference]:
    for setting, wanted in configuration(topic).items():
        found = seen.configs.get(setting)
        if _fits(setting, found, wanted):
            continue
        yield Difference(
            topic=name,
            kind="config",
            setting=setting,
            found=found,
            wanted=wanted,
            remedy="choice" if setting == "retention.ms" else "apply",
            fatal=_loses_records(setting, found, wanted),
            sentence=f"{name} has {setting}={found}, and the table says {wanted}{_REASONS.get(setting, '')}",
        )


def _fits(setting: str, found: str | None, wanted: str) -> bool:
    if setting == "max.message.bytes":
        return int(found or 0) >= int(wanted)
    return found == wanted


def _loses_records(setting: str, found: str | None, wanted: str) -> bool:
    """Whether work with this setting loses records: compacted or not where it must be, or too large to be taken."""
    if setting == "cleanup.policy":
        return wanted == "compact" or "compact" in (found or "")
    return setting == "max.message.bytes"


_REASONS = {
    "cleanup.policy": ": any other loses records that are needed",
    "max.message.bytes": ": with less, large records are refused",
    "retention.ms": ": how long records are kept is your choice, and nothing changes it",
}
