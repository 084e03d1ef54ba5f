"""The secrets in a hook's record: its signing keys, retired ones too, and the values of its custom headers.

They may be written plain, by an operator's own tooling; Hookline writes them sealed (CONTRACT 4). Nothing else in a
record is touched, whatever its writer put there.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.core.records import Hook
from streams.core.sealing import CannotOpen, Draw, KeyRing, is_sealed

SIGNING_KEY = "signingKey"
"""The field of a key, current or retired: rotation moves a sealed key from one place to the other as it is."""

_Members = dict[str, msgspec.Raw]
_Change = Callable[[str, str], str]
"""(field, secret) -> what stands in its place. A header's field is `header:` and its name in lower case."""


def sealed(record: bytes, ring: KeyRing, draw: Draw) -> bytes:
    """The record with every secret sealed under the ring's current key: plain ones, and those under older keys.

    What no key opens stays as it is. The very record when there is nothing to seal, or no key to seal with. A member
    that is there twice is left once: decoders take the last, and the other may be a secret.
    """
    hook_id = msgspec.json.decode(record, type=_Named).id
    sealing: list[str] = []

    def change(field: str, secret: str) -> str:
        if ring.is_current(secret):
            return secret
        try:
            plain = _plain(ring, secret, hook_id, field)
        except CannotOpen:
            return secret
        sealing.append(field)
        return ring.seal(plain.encode(), hook_id, field, draw)

    if ring.current is None:
        return record
    new = changed(record, change)
    doubled = len(msgspec.json.format(new, indent=-1)) != len(msgspec.json.format(record, indent=-1))
    return new if sealing or doubled else record


def opened(hook: Hook, ring: KeyRing) -> tuple[Hook, str | None]:
    """The hook with its secrets plain, and why one of them could not be opened; such a secret stays sealed."""
    problems: list[str] = []

    def plain(field: str, secret: str) -> str:
        try:
            return _plain(ring, secret, hook.id, field)
        except CannotOpen as error:
            problems.append(f"{field}: {error}")
            return secret

    headers = {name: plain(header_field(name), value) for name, value in hook.config.headers.items()}
    retired = [replace(old, signing_key=plain(SIGNING_KEY, old.signing_key)) for old in hook.retired_keys]
    key = plain(SIGNING_KEY, hook.signing_key)
    config = replace(hook.config, headers=headers)
    return replace(hook, signing_key=key, retired_keys=retired, config=config), problems[0] if problems else None


def is_plain(hook: Hook) -> bool:
    """Whether any secret of a hook, as its record has it, is not sealed."""
    keys = (hook.signing_key, *(old.signing_key for old in hook.retired_keys))
    return not all(map(is_sealed, (*keys, *hook.config.headers.values())))


def revealed(record: bytes, ring: KeyRing) -> bytes:
    """The record with its secrets plain; one that no key opens stays as it is."""
    hook_id = msgspec.json.decode(record, type=_Named).id

    def change(field: str, secret: str) -> str:
        try:
            return _plain(ring, secret, hook_id, field)
        except CannotOpen:
            return secret

    return changed(record, change)


def changed(record: bytes, change: _Change) -> bytes:
    """The record with every secret changed, all other members and their order byte for byte. It must validate."""
    members = msgspec.json.decode(record, type=_Members)
    members["signingKey"] = _text(members["signingKey"], SIGNING_KEY, change)
    if "retiredKeys" in members:
        retired = msgspec.json.decode(members["retiredKeys"], type=list[_Members])
        keys = [old | {"signingKey": _text(old["signingKey"], SIGNING_KEY, change)} for old in retired]
        members["retiredKeys"] = _raw(keys)
    config = msgspec.json.decode(members["config"], type=_Members)
    if "headers" in config:
        headers = msgspec.json.decode(config["headers"], type=_Members)
        config["headers"] = _raw({name: _text(raw, header_field(name), change) for name, raw in headers.items()})
        members["config"] = _raw(config)
    return msgspec.json.encode(members)


def header_field(name: str) -> str:
    """The field of a custom header's value."""
    return f"header:{name.lower()}"


class _Named(msgspec.Struct):
    id: str


def _plain(ring: KeyRing, secret: str, hook_id: str, field: str) -> str:
    """The secret itself, whether it stands there plain or sealed. Raises CannotOpen."""
    return ring.open(secret, hook_id, field).decode("utf-8", "replace") if is_sealed(secret) else secret


def _text(raw: msgspec.Raw, field: str, change: _Change) -> msgspec.Raw:
    return _raw(change(field, msgspec.json.decode(raw, type=str)))


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
