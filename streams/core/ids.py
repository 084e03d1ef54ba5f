"""Ids that are the same wherever and however often they are computed: they depend on their input alone.

So a re-read record, a replay or another process gives the same event the same id and the same delivery the
same `webhook-id`, which is what lets duplicates be recognised everywhere (CONTRACT 3, 5).
"""

import base64
import hashlib

from streams.core.records import Coordinates

_PLAIN = frozenset(range(0x21, 0x7F))


def event_id(given: bytes | None, cluster: str, at: Coordinates) -> str:
    """The upstream's id if it is 1 to 128 printable ASCII characters, else one derived.

    Derived from the given bytes when there are any (so upstream's own duplicates stay duplicates), else from
    cluster id, topic, partition and offset.
    """
    if given and len(given) <= 128 and _PLAIN.issuperset(given):
        return given.decode("ascii")
    origin = given or f"{cluster}|{at.topic}|{at.partition}|{at.offset}".encode()
    return "evt_" + _hash(origin)


def delivery_id(event: str, hook: str) -> str:
    """`msg_` and 24 characters of base32: one id per event and hook, for every attempt and every replay."""
    return "msg_" + _hash(f"{event}|{hook}".encode())


def operation_id(name: str, hook: str, where: str) -> str:
    """The event id of what happened to a hook: `where` says which outcome showed it."""
    return "evt_" + _hash(f"{name}|{hook}|{where}".encode())


def _hash(text: bytes) -> str:
    return base64.b32encode(hashlib.sha256(text).digest()[:15]).decode("ascii").lower()
