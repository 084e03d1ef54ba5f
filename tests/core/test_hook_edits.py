"""Changes to the record of a hook: what they are about changes, and no byte of anything else."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import hook_edits
from streams.core.records import Hook
from tests.core.building import KEY, NOW, hook_fields

NEW_KEY = "n" * 32
HOUR = 3_600_000
OURS = b'"ours":{"n":1.10,"big":1180591620717411303424}'


def record(**changes: Any) -> bytes:
    """A record with a member that nobody knows, and numbers that a decoder would change."""
    return json.dumps(hook_fields(**changes) | {"ours": 0}, separators=(",", ":")).encode().replace(b'"ours":0', OURS)


def retired(key: str, until: int, **more: Any) -> dict[str, Any]:
    return {"signingKey": key * 32, "until": until} | more


def keys_after(overlap_ms: int, *before: dict[str, Any]) -> list[tuple[str, int]]:
    """The retired keys after a rotation: first character and time."""
    value = hook_edits.rotated(record(retiredKeys=list(before)), NEW_KEY, NOW, overlap_ms)
    hook = msgspec.json.decode(value, type=Hook)
    assert hook.signing_key == NEW_KEY
    return [(key.signing_key[0], key.until) for key in hook.retired_keys]


def test_a_member_is_set_where_it_stood_or_at_the_end_and_none_removes_it() -> None:
    before = record(keepPending=True)
    after = hook_edits.changed(before, {"enabled": False, "keepPending": None, "new": 1})
    expected = before.replace(b'"enabled":true', b'"enabled":false').replace(b',"keepPending":true', b"")
    assert after == expected[:-1] + b',"new":1}'


def test_to_remove_what_is_not_there_changes_nothing() -> None:
    assert hook_edits.changed(record(), {"keepPending": None}) == record()


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5)))
def test_every_member_that_a_change_does_not_name_keeps_its_bytes(more: dict[str, Any]) -> None:
    before = msgspec.json.decode(record(**more), type=dict[str, msgspec.Raw])
    after = msgspec.json.decode(
        hook_edits.changed(record(**more), {"enabled": False, "keepPending": None}), type=dict[str, msgspec.Raw]
    )
    assert {k: bytes(v) for k, v in after.items() if k != "enabled"} == {
        k: bytes(v) for k, v in before.items() if k not in ("enabled", "keepPending")
    }


def test_a_rotation_changes_the_key_and_keeps_the_old_one_until_the_overlap_is_over() -> None:
    before, after = record(), hook_edits.rotated(record(), NEW_KEY, NOW, 24 * HOUR)
    old = f',"retiredKeys":[{{"signingKey":"{KEY}","until":{NOW + 24 * HOUR}}}]}}'
    assert after == before.replace(KEY.encode(), NEW_KEY.encode())[:-1] + old.encode()


def test_without_an_overlap_the_old_key_is_gone() -> None:
    assert hook_edits.rotated(record(), NEW_KEY, NOW, 0) == record().replace(KEY.encode(), NEW_KEY.encode())


@pytest.mark.parametrize(("until", "kept"), [(NOW - 1, False), (NOW, True)])
def test_a_retired_key_whose_time_is_over_is_dropped(until: int, kept: bool) -> None:
    assert keys_after(HOUR, retired("a", until)) == [("0", NOW + HOUR), *([("a", until)] if kept else [])]
    assert keys_after(0, retired("a", until)) == ([("a", until)] if kept else [])


def test_the_newest_stands_first_and_no_more_than_three_are_kept() -> None:
    before = [retired(key, NOW + 9 * HOUR) for key in "abc"]
    assert [key for key, _ in keys_after(HOUR, *before)] == ["0", "a", "b"]


def test_a_retired_key_keeps_the_members_that_nobody_knows() -> None:
    before = record(retiredKeys=[retired("a", NOW + 1, why="leaked")])
    assert b'"why":"leaked"' in hook_edits.rotated(before, NEW_KEY, NOW, HOUR).replace(b": ", b":")
