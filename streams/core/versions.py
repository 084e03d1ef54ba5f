"""Which version of a hook is in force, when records may say which version they were written to replace.

Kafka has no compare-and-set. A record of `hooks.config` may carry the offset of the version that its writer had read,
in the header `replaces`; every reader passes over it when it has read a newer version before it. So a writer that
loses a race changes nothing, instead of undoing what somebody else wrote. Records without the header always count.

Compaction could remove the version in force and leave only the record behind it that did not count, because it lost or
because nobody can read it. So the router writes the version in force once more behind it (`rewritten`): the last record
of a hook is then one that counts for every reader, whatever compaction left it to read before.
"""

from streams.core.records import Incoming, Outgoing

TOPIC = "hooks.config"

REPLACES = "replaces"
"""Header: the offset of the version that this record replaces, if that is still the latest."""

WHY = "why"
"""Header of a record that the router wrote: `sealed` or `restored`. It says nothing new about the hook."""

DELETED_MAX = 10_000
"""Deleted hooks remembered, the first to go forgotten first: a race about one is over within seconds."""


class Versions:
    """Where the version in force of each hook lies, by the keys of the records, and what was passed over behind it."""

    def __init__(self) -> None:
        self._in_force: dict[bytes, int] = {}
        self._deleted: dict[bytes, int] = {}
        self._passed: dict[bytes, int] = {}

    def at(self, key: bytes | None) -> int | None:
        """The offset of the version in force or of the deletion; None when the hook was never heard of."""
        return self._in_force.get(key or b"", self._deleted.get(key or b""))

    def passed(self, key: bytes | None) -> int | None:
        """The offset of the hook's last record, if that did not count although there is a version in force."""
        return self._passed.get(key or b"")

    def is_void(self, record: Incoming) -> bool:
        """Whether a record was written to replace a version that is not the latest any more."""
        latest, replaced = self.at(record.key), _replaced(record)
        return latest is not None and replaced is not None and latest > replaced

    def pass_over(self, record: Incoming) -> None:
        """A record does not count: it is void, or nobody can read it."""
        if self.at(record.key) is not None:
            self._passed[record.key or b""] = record.at.offset

    def take(self, record: Incoming) -> None:
        """A record is the version in force now, or the deletion."""
        key = record.key or b""
        self._deleted.pop(key, None)
        self._passed.pop(key, None)
        if record.value is not None:
            self._in_force[key] = record.at.offset
            return
        self._in_force.pop(key, None)
        self._deleted[key] = record.at.offset
        if len(self._deleted) > DELETED_MAX:
            oldest = next(iter(self._deleted))
            del self._deleted[oldest]
            self._passed.pop(oldest, None)


def replacing(record: Outgoing, version: int | None) -> tuple[tuple[str, bytes], ...]:
    """The headers of a record that counts only while `version` is in force; None lets it always count."""
    kept = tuple((name, value) for name, value in record.headers if name != REPLACES)
    return kept if version is None else (*kept, (REPLACES, str(version).encode()))


KEPT = "event-id"
"""The one header besides ours that a version keeps: it tells why Hookline disabled the hook. Others are strangers'."""

KEPT_BYTES_MAX = 128


def rewritten(record: Incoming, value: bytes | None, behind: int, why: bytes) -> Outgoing:
    """The version in force once more, with the same meaning, behind the hook's last record, which lies at `behind`.

    It counts only if nobody changed the hook meanwhile.
    """
    given = record.header(KEPT)
    headers = () if given is None or len(given) > KEPT_BYTES_MAX else ((KEPT, given),)
    ours = ((REPLACES, str(behind).encode()), (WHY, why))
    return Outgoing(topic=TOPIC, key=record.key, value=value, headers=headers + ours)


def _replaced(record: Incoming) -> int | None:
    """What it replaces; nonsense in the header counts as none."""
    text = record.header(REPLACES) or b""
    return int(text) if text.isdigit() and len(text) <= 19 else None
