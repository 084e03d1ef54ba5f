"""What a record nobody could read becomes: its original bytes, with the reason and the origin in headers."""

from streams.core.records import DeadLetter, Incoming, Outgoing

TOPIC = "hooks.dead-letters"

VALUE_BYTES_MAX = 2 * 1024 * 1024
"""What is kept of an original: all of any record the topics accept; a larger one (it came compressed) is cut."""

KEY_BYTES_MAX = 64 * 1024
"""What is kept of an original key."""

REST_BYTES_MAX = 256 * 1024
"""Original headers are left out when key and headers weigh more than this; the origin says where to read them."""

DETAIL_CHARACTERS_MAX = 500


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


def _weight(record: Incoming) -> int:
    """Bytes of everything but the value."""
    return len(record.key or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)
