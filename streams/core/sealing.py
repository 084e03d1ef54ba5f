"""Secrets at rest: AES-256-GCM under a ring of master keys, each secret bound to its hook and its field (CONTRACT 4).

A sealed secret is the text `sealed:<key id>:<base64url of nonce and ciphertext>`. The hook's id and the field are
associated data, so that a sealed secret copied to another hook, or to another of its fields, opens for nobody.
The first key of the ring seals; all of them open. Dice are the caller's: `draw(n)` gives n random bytes.
"""

import base64
import binascii
import re
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

Draw = Callable[[int], bytes]
"""So many random bytes, never the same again."""

KEY_BYTES = 32
NONCE_BYTES = 12
"""GCM's own size. Random nonces are safe for 2^32 secrets under one key; a hook has a few."""

KEYS_MAX = 8
"""The current key and those that old records may still be sealed under; more means that nobody reseals."""

SEALED = r"sealed:[a-z0-9-]{1,16}:[A-Za-z0-9_-]{38,}"
"""What a sealed secret looks like: the nonce and GCM's tag alone take 38 characters."""

_SEALED = re.compile(SEALED + r"\Z")
_KEY_ID = re.compile(r"[a-z0-9-]{1,16}\Z")


class CannotOpen(Exception):
    """A sealed secret that no key of the ring opens; the text says why and holds nothing secret."""


class MasterKey(Struct, frozen=True):
    """32 bytes that seal, and the name under which sealed secrets remember them."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        """Leave out the key."""
        return f"MasterKey(id={self.id!r})"


class KeyRing(Struct, frozen=True):
    """The master keys, the current one first. An empty ring seals nothing and opens nothing."""

    keys: tuple[MasterKey, ...] = ()

    @property
    def current(self) -> MasterKey | None:
        """The key that seals."""
        return self.keys[0] if self.keys else None

    def is_current(self, text: str) -> bool:
        """Whether a text is a secret sealed under the key that seals now."""
        return is_sealed(text) and bool(self.keys) and key_id(text) == self.keys[0].id

    def seal(self, secret: bytes, owner: str, field: str, draw: Draw) -> str:
        """The secret sealed under the current key, which the ring must have, for the field of a hook or a record."""
        key, nonce = self.keys[0], draw(NONCE_BYTES)
        box = AESGCM(key.secret).encrypt(nonce, secret, _bound(owner, field))
        return f"sealed:{key.id}:{base64.urlsafe_b64encode(nonce + box).decode().rstrip('=')}"

    def open(self, text: str, owner: str, field: str) -> bytes:
        """The secret in a sealed text. Raises CannotOpen."""
        named = key_id(text)
        key = next((key for key in self.keys if key.id == named), None)
        if key is None:
            raise CannotOpen(f"it is sealed under the key {named!r}, which HOOKLINE_MASTER_KEYS does not have")
        encoded = text.rpartition(":")[2]
        try:
            box = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            return AESGCM(key.secret).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], _bound(owner, field))
        except (InvalidTag, ValueError):
            raise CannotOpen(f"the key {named!r} does not open it: another key, or it was changed or moved") from None


def is_sealed(text: str) -> bool:
    """Whether a text is a sealed secret, as far as its form tells."""
    return _SEALED.match(text) is not None


def key_id(text: str) -> str:
    """The id of the master key that a sealed text names."""
    return text.split(":", 2)[1]


def ring(text: str) -> KeyRing:
    """The ring in `HOOKLINE_MASTER_KEYS`: `id:base64` of 32 bytes each, comma separated, the current one first.

    Raises ValueError with every problem; none repeats a key.
    """
    keys, problems = list[MasterKey](), list[str]()
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, colon, encoded = part.partition(":")
        secret = _bytes(encoded)
        if not colon or not _KEY_ID.match(name):
            problems.append(f"key {number} must be id:base64, its id 1 to 16 of a-z, 0-9 and -")
        elif len(secret) != KEY_BYTES:
            problems.append(f"key {name!r} must be {KEY_BYTES} bytes in base64: `openssl rand -base64 32` makes them")
        elif any(key.id == name for key in keys):
            problems.append(f"there are two keys {name!r}")
        keys.append(MasterKey(name, secret))
    if len(keys) > KEYS_MAX:
        problems.append(f"{len(keys)} keys are more than {KEYS_MAX}: `hookline hook reseal`, then drop the old ones")
    if problems:
        raise ValueError("; ".join(problems))
    return KeyRing(tuple(keys))


def _bytes(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _bound(owner: str, field: str) -> bytes:
    """The associated data. Neither a hook's id nor the place of a record has a bar in it: no two pairs read alike."""
    return f"{owner}|{field}".encode()
