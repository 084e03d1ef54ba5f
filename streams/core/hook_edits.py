"""Changes to the record of a hook, byte for byte: members that are not about the change stay as their writer left them.

A record may hold members that nobody here knows, and numbers that no decoder would give back.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from streams.core.records import RETIRED_KEYS_MAX, RetiredKey

_Members = dict[str, msgspec.Raw]


def changed(record: bytes, members: Mapping[str, Any]) -> bytes:
    """The record with these members, by their names on the wire; one that is None is removed."""
    found = msgspec.json.decode(record, type=_Members)
    new = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in members.items() if value is not None}
    kept = {name: value for name, value in found.items() if name not in members or name in new}
    return msgspec.json.encode(kept | new)


def rotated(record: bytes, key: str, now_ms: int, overlap_ms: int) -> bytes:
    """The record with a new signing key; the old one signs beside it for the overlap, 0 meaning not at all.

    Retired keys stand newest first. Those whose time is over are dropped, and the oldest beyond the most there may be.
    """
    found = msgspec.json.decode(record, type=_Members)
    retired = msgspec.json.decode(found.get("retiredKeys", b"[]"), type=list[msgspec.Raw])
    signing = [old for old in retired if msgspec.json.decode(old, type=RetiredKey).until >= now_ms]
    if overlap_ms:
        fields = {"signingKey": found["signingKey"], "until": now_ms + overlap_ms}
        signing.insert(0, msgspec.Raw(msgspec.json.encode(fields)))
    return changed(record, {"signingKey": key, "retiredKeys": signing[:RETIRED_KEYS_MAX] or None})
