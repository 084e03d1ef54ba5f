"""The secrets in hook records: sealed in place, opened in memory, and nothing else of a record touched."""

import itertools
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import hook_secrets, hooks
from streams.core.hooks import HookRules, Known
from streams.core.records import Coordinates, Hook, Incoming
from streams.core.sealing import KeyRing, MasterKey, is_sealed
from tests.core.building import CATALOGUE
from tests.line import KEY, hook, hook_id

OLD, NEW = MasterKey("k1", bytes(range(32))), MasterKey("k2", bytes(range(32, 64)))
RING = KeyRing((NEW, OLD))
URL = "https://crm.example.com/hooks"
_counter = itertools.count()


def dice(count: int) -> bytes:
    return next(_counter).to_bytes(count, "big")


def record(**fields: Any) -> bytes:
    retired = [{"signingKey": "B" * 32, "until": 5}]
    headers = {"X-Team": "marked-team", "authorization": "Bearer marked-token"}
    return orjson.dumps(hook(1, URL, config={"headers": headers}, retiredKeys=retired, ours={"a": 1}) | fields)


def sealed(value: bytes, ring: KeyRing = RING) -> bytes:
    return hook_secrets.sealed(value, ring, dice)


def read(value: bytes, ring: KeyRing = RING) -> Known:
    at = Coordinates("hooks.config", 0, 7)
    known = HookRules(CATALOGUE, ring=ring).read(Incoming(at=at, key=hook_id(1).encode(), value=value))
    assert isinstance(known, Known)
    return known


def test_every_secret_is_sealed_and_no_other_member_changes() -> None:
    before, after = orjson.loads(record()), orjson.loads(sealed(record()))
    places = [after["signingKey"], after["retiredKeys"][0]["signingKey"], *after["config"]["headers"].values()]
    assert all(is_sealed(text) for text in places)
    assert len({text.rpartition(":")[2][:16] for text in places}) == 4, "a nonce was used twice"
    for gone in (KEY, "B" * 32, "marked"):
        assert gone.encode() not in sealed(record())
    assert list(before) == list(after)
    secret = {"signingKey", "retiredKeys", "config"}
    assert {name: before[name] for name in before.keys() - secret} == {
        name: after[name] for name in after.keys() - secret
    }
    assert after["retiredKeys"][0]["until"] == 5
    assert list(after["config"]["headers"]) == ["X-Team", "authorization"]


def test_other_members_keep_their_bytes() -> None:
    text = orjson.dumps(hook(1, URL, ours=0)).replace(b'"ours":0', b'"ours":{"n":1.10,"big":1180591620717411303424}')
    assert b'"ours":{"n":1.10,"big":1180591620717411303424}' in sealed(text)


def test_a_sealed_record_is_the_same_hook() -> None:
    assert read(sealed(record())).hook == read(record()).hook
    assert hook_secrets.revealed(sealed(record()), RING) == msgspec.json.encode(msgspec.json.decode(record()))


def test_what_is_sealed_under_the_current_key_is_left_as_it_is() -> None:
    once = sealed(record())
    assert sealed(once) is once


def test_what_is_sealed_under_an_older_key_is_sealed_anew() -> None:
    old = sealed(record(), KeyRing((OLD,)))
    assert b"sealed:k1:" in old
    assert b"sealed:k1:" not in sealed(old)
    assert read(sealed(old), KeyRing((NEW,))).hook == read(record()).hook


def test_only_what_is_not_current_is_sealed_anew() -> None:
    half = orjson.loads(sealed(record()))
    half["config"]["headers"]["X-Team"] = "written plain"
    new = orjson.loads(sealed(orjson.dumps(half)))
    assert new["signingKey"] == half["signingKey"]
    assert is_sealed(new["config"]["headers"]["X-Team"])


def test_a_secret_in_a_member_that_is_there_twice_does_not_stay() -> None:
    once = sealed(record())
    twice = once.replace(b'"signingKey":', b'"signingKey":"' + b"P" * 32 + b'","signingKey":', 1)
    assert b"P" * 32 not in sealed(twice)
    assert sealed(sealed(twice)) == sealed(twice)


def test_blanks_and_escapes_do_not_make_a_record_anew() -> None:
    text = orjson.dumps(orjson.loads(sealed(record())) | {"o": {"a": [1.10]}}, option=orjson.OPT_INDENT_2)
    assert sealed(text) is text


@pytest.mark.parametrize("size", [hooks.RECORD_BYTES_MAX - 1, hooks.RECORD_BYTES_MAX])
def test_the_largest_record_with_the_most_secrets_may_be_sealed(size: int) -> None:
    headers = {f"x-{number:02}": "v" * 380 for number in range(20)}
    retired = [{"signingKey": "B" * 64, "until": 5}] * 3
    fields = hook(1, URL, config={"headers": headers}, retiredKeys=retired, pad="", signingKey="A" * 64)
    value = orjson.dumps(fields | {"pad": "x" * (size - len(orjson.dumps(fields)))})
    assert len(value) == size
    assert read(sealed(value)).hook.signing_key == "A" * 64


def test_without_a_key_nothing_is_sealed() -> None:
    value = record()
    assert sealed(value, KeyRing()) is value


def test_what_no_key_opens_is_left_as_it_is_and_locks_the_hook() -> None:
    old = sealed(record(), KeyRing((OLD,)))
    ring = KeyRing((NEW,))
    assert sealed(old, ring) is old
    known = read(old, ring)
    assert known.locked
    assert "under the key 'k1', which HOOKLINE_MASTER_KEYS does not have" in known.locked
    assert (known.sends, known.keeps) == (False, True)
    assert hook_secrets.revealed(old, ring) == old


def test_a_secret_moved_from_another_hook_locks_the_hook_that_it_was_moved_to() -> None:
    stolen = orjson.loads(sealed(orjson.dumps(hook(2, URL))))["signingKey"]
    known = read(record(signingKey=stolen))
    assert known.locked == "signingKey: the key 'k2' does not open it: another key, or it was changed or moved"


def test_a_secret_moved_to_another_header_locks_the_hook() -> None:
    fields = orjson.loads(sealed(record()))
    headers = fields["config"]["headers"]
    headers["X-Team"], headers["authorization"] = headers["authorization"], headers["X-Team"]
    assert read(orjson.dumps(fields)).locked


def test_a_header_keeps_its_secret_in_another_spelling_of_its_name() -> None:
    fields = orjson.loads(sealed(record()))
    headers = fields["config"]["headers"]
    headers["x-team"] = headers.pop("X-Team")
    assert read(orjson.dumps(fields)).hook.config.headers["x-team"] == "marked-team"


def test_a_key_that_is_rotated_out_stays_sealed_and_opens_where_it_stands_then() -> None:
    fields = orjson.loads(sealed(record()))
    fields["retiredKeys"] = [{"signingKey": fields["signingKey"], "until": 9}]
    fields["signingKey"] = "C" * 32
    assert read(orjson.dumps(fields)).hook.retired_keys[0].signing_key == KEY


def test_the_longest_header_may_be_sealed() -> None:
    value = orjson.dumps(hook(1, URL, config={"headers": {"x-a": "v" * 1024}}))
    assert read(sealed(value)).hook.config.headers["x-a"] == "v" * 1024
    assert read(sealed(value), KeyRing()).locked


@given(st.dictionaries(st.from_regex(r"x-[a-z]{1,8}", fullmatch=True), st.text("abc :=;!", max_size=40), max_size=5))
def test_sealed_and_opened_a_hook_is_what_it_was(headers: dict[str, str]) -> None:
    value = orjson.dumps(hook(1, URL, config={"headers": headers}))
    found, locked = hook_secrets.opened(msgspec.json.decode(sealed(value), type=Hook), RING)
    assert locked is None
    assert found == msgspec.json.decode(value, type=Hook)
