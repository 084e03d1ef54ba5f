"""What a record nobody could read becomes: its original bytes, with the reason and the origin in headers; and back."""

from msgspec import Struct

from streams.core.records import Coordinates, DeadLetter, Incoming, Outgoing

TOPIC = "hooks.dead-letters"

VALUE_BYTES_MAX = 2 * 1024 * 1024
"""What is kept of an original: all of any record the topics accept; a larger one (it came compressed) is cut."""

KEY_BYTES_MAX = 64 * 1024
"""What is kept of an original key."""

REST_BYTES_MAX = 256 * 1024
"""Original headers are left out when key and headers weigh more than this; the origin says where to read them."""

DETAIL_CHARACTERS_MAX = 500

OURS = ("reason", "detail", "source-topic", "source-partition", "source-offset", "failed-at")
"""Headers that every dead letter ends with, in this order; one that was cut has `truncated-from` behind them."""


class Buried(Struct, frozen=True, kw_only=True):
    """A dead letter read back. `original` lay at its `at` and is whole, unless it was cut."""

    reason: str
    detail: str
    failed_at: int
    at: Coordinates
    original: Incoming
    truncated_from: int | None = None


def bury(letter: DeadLetter, now_ms: int) -> Outgoing:
    """The record for `hooks.dead-letters` (CONTRACT 3): original key, value and headers, then our own headers.

    Ours come last, and Kafka's convention is that the last header of a name counts.
    """
    original, rest = letter.original, _weight(letter.original)
    key, value = original.key or b"", original.value or b""
    headers = [
        *(original.headers if rest <= REST_BYTES_MAX else ()),
        ("reason", letter.reason.encode()),
        ("detail", letter.detail[:DETAIL_CHARACTERS_MAX].encode("utf-8", "replace")),
        ("source-topic", original.at.topic.encode()),
        ("source-partition", str(original.at.partition).encode()),
        ("source-offset", str(original.at.offset).encode()),
        ("failed-at", str(now_ms).encode()),
    ]
    if len(value) > VALUE_BYTES_MAX or rest > REST_BYTES_MAX or len(key) > KEY_BYTES_MAX:
        headers.append(("truncated-from", str(len(value) + rest).encode()))
    return Outgoing(
        topic=TOPIC,
        key=original.key and key[:KEY_BYTES_MAX],
        value=original.value and value[:VALUE_BYTES_MAX],
        headers=tuple(headers),
    )


def read(record: Incoming) -> Buried | None:
    """The dead letter in a record; None when somebody else wrote it. Only our own headers count, which come last."""
    cut = record.headers[-1:] and record.headers[-1][0] == "truncated-from"
    ours = record.headers[-len(OURS) - 1 :] if cut else record.headers[-len(OURS) :]
    texts = {name: value.decode("utf-8", "replace") for name, value in ours}
    numbers = [texts.get(name, "") for name in (*OURS[3:], "truncated-from")[: None if cut else -1]]
    if tuple(name for name, _ in ours)[: len(OURS)] != OURS or not all(map(_is_number, numbers)):
        return None
    partition, offset, failed_at, *size = map(int, numbers)
    kept = record.headers[: len(record.headers) - len(ours)]
    source = Coordinates(texts["source-topic"], partition, offset)
    return Buried(
        reason=texts["reason"],
        detail=texts["detail"],
        failed_at=failed_at,
        at=record.at,
        original=Incoming(at=source, key=record.key, value=record.value, headers=kept, timestamp=record.timestamp),
        truncated_from=size[0] if size else None,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19


def _weight(record: Incoming) -> int:
    """Bytes of everything but the value."""
    return len(record.key or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)
