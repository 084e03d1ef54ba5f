"""Sealed secrets: what opens them, what does not, and that no trace of a key or a secret is told."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import sealing
from streams.core.sealing import CannotOpen, KeyRing, MasterKey, is_sealed, key_id

OLD, NEW = MasterKey("k1", bytes(range(32))), MasterKey("k2", bytes(range(32, 64)))
RING = KeyRing((NEW, OLD))


def dice(count: int) -> bytes:
    return b"\x07" * count


def encoded(key: MasterKey) -> str:
    return f"{key.id}:{base64.b64encode(key.secret).decode()}"


def seal(secret: str, owner: str = "h1", field: str = "signingKey", ring: KeyRing = RING) -> str:
    return ring.seal(secret.encode(), owner, field, dice)


@given(st.binary(max_size=2000), st.binary(min_size=12, max_size=12))
def test_what_was_sealed_opens_as_it_was_and_does_not_show(secret: bytes, nonce: bytes) -> None:
    text = RING.seal(secret, "h1", "signingKey", lambda _: nonce)
    assert is_sealed(text)
    assert text.isascii()
    assert RING.open(text, "h1", "signingKey") == secret


def test_the_first_key_seals_and_every_key_opens() -> None:
    assert key_id(seal("x")) == "k2"
    old = seal("x", ring=KeyRing((OLD,)))
    assert RING.open(old, "h1", "signingKey") == b"x"
    assert RING.is_current(seal("x"))
    assert not RING.is_current(old)
    assert not RING.is_current("plain")


@pytest.mark.parametrize(
    ("owner", "field"), [("h2", "signingKey"), ("h1", "header:x-a"), ("h1", "signingKey "), ("", "h1|signingKey")]
)
def test_a_sealed_secret_opens_only_for_its_hook_and_its_field(owner: str, field: str) -> None:
    with pytest.raises(CannotOpen, match="the key 'k2' does not open it"):
        RING.open(seal("x"), owner, field)


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(CannotOpen, match="under the key 'k2', which HOOKLINE_MASTER_KEYS does not have"):
        KeyRing((OLD,)).open(seal("x"), "h1", "signingKey")


def test_other_bytes_under_the_same_name_do_not_open_it() -> None:
    with pytest.raises(CannotOpen, match="does not open it"):
        KeyRing((MasterKey("k2", bytes(32)),)).open(seal("x"), "h1", "signingKey")


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place: int, flip: int) -> None:
    prefix, _, box = seal("a secret").rpartition(":")
    raw = bytearray(base64.urlsafe_b64decode(box + "=" * (-len(box) % 4)))
    raw[place % len(raw)] ^= flip
    with pytest.raises(CannotOpen):
        RING.open(f"{prefix}:{base64.urlsafe_b64encode(raw).decode().rstrip('=')}", "h1", "signingKey")


@given(st.text() | st.from_regex(sealing.SEALED, fullmatch=True))
def test_no_text_makes_opening_raise_anything_else(text: str) -> None:
    if is_sealed(text):
        with pytest.raises(CannotOpen):
            RING.open(text, "h1", "signingKey")


@pytest.mark.parametrize("text", ["", "sealed:", "sealed:k1:", "sealed:k1:short", "sealed:K1:" + "a" * 40, "0" * 32])
def test_what_is_not_written_like_one_is_no_sealed_secret(text: str) -> None:
    assert not is_sealed(text)


def test_a_ring_is_read_from_the_setting_with_the_current_key_first() -> None:
    assert sealing.ring(f" {encoded(NEW)}, {encoded(OLD)} ,") == RING
    assert sealing.ring("") == KeyRing()
    urlsafe = base64.urlsafe_b64encode(b"\xff" * 32).decode()
    assert sealing.ring(f"k1:{urlsafe}").keys[0].secret == b"\xff" * 32


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("secretbytes", "key 1 must be id:base64"),
        ("K!:abc", "key 1 must be id:base64"),
        (f"{'k' * 17}:abc", "key 1 must be id:base64"),
        ("k1:", "key 'k1' must be 32 bytes in base64"),
        ("k1:c2VjcmV0Ynl0ZXM=", "key 'k1' must be 32 bytes in base64"),
        (f"k1:{base64.b64encode(bytes(31)).decode()}", "key 'k1' must be 32 bytes in base64"),
        (f"k1:{base64.b64encode(bytes(33)).decode()}", "key 'k1' must be 32 bytes in base64"),
        (f"{encoded(OLD)},{encoded(OLD)}", "there are two keys 'k1'"),
        (",".join(encoded(MasterKey(f"k{number}", bytes(32))) for number in range(9)), "9 keys are more than 8"),
    ],
)
def test_a_ring_that_cannot_be_is_refused_without_repeating_it(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        sealing.ring(text)
    assert "secretbytes" not in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_keys_are_never_shown() -> None:
    for shown in (repr(RING), str(RING), f"{[NEW]}"):
        assert "k2" in shown
        assert repr(NEW.secret)[2:-1] not in shown
