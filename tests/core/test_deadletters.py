"""What lies on `hooks.dead-letters`: the original bytes, with reason and origin in headers (CONTRACT 3)."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import deadletters
from streams.core.deadletters import KEY_BYTES_MAX, OURS, REST_BYTES_MAX, VALUE_BYTES_MAX, bury, read
from streams.core.records import Coordinates, DeadLetter, Incoming, Outgoing, Reason
from tests.core.building import NOW, incoming

REASONS: tuple[Reason, ...] = get_args(Reason)


def buried(record: Incoming, detail: str = "because") -> Outgoing:
    return bury(DeadLetter(reason="not-json", detail=detail, original=record), NOW)


@pytest.mark.parametrize("reason", REASONS)
def test_key_value_and_headers_are_the_originals_then_come_our_own(reason: Reason) -> None:
    record = incoming(b"\xff\x00", headers={"event-id": b"e1", "x": b"\xff"}, key=b"\x01")
    assert bury(DeadLetter(reason=reason, detail="a sentence", original=record), NOW) == Outgoing(
        topic="hooks.dead-letters",
        key=b"\x01",
        value=b"\xff\x00",
        headers=(
            ("event-id", b"e1"),
            ("x", b"\xff"),
            ("reason", reason.encode()),
            ("detail", b"a sentence"),
            ("source-topic", b"identity.user"),
            ("source-partition", b"3"),
            ("source-offset", b"7"),
            ("failed-at", b"1790000000000"),
        ),
    )


@pytest.mark.parametrize("key", [None, b"", b"k"])
@pytest.mark.parametrize("value", [None, b"", b"v"])
def test_an_absent_key_or_value_stays_absent_and_an_empty_one_empty(key: bytes | None, value: bytes | None) -> None:
    out = buried(incoming(value, key=key))
    assert (out.key, out.value) == (key, value)


def test_our_headers_win_over_an_originals_of_the_same_name() -> None:
    out = buried(incoming(b"", headers={"reason": b"forged", "source-topic": b"forged"}))
    again = Incoming(at=incoming(b"").at, key=out.key, value=out.value, headers=out.headers)
    assert (again.header("reason"), again.header("source-topic")) == (b"not-json", b"identity.user")


def test_a_detail_is_kept_to_500_characters() -> None:
    assert dict(buried(incoming(b""), "é" * 500).headers)["detail"] == ("é" * 500).encode()
    assert dict(buried(incoming(b""), "é" * 501).headers)["detail"] == ("é" * 500).encode()


@pytest.mark.parametrize("size", [VALUE_BYTES_MAX - 1, VALUE_BYTES_MAX])
def test_a_value_of_any_size_the_topics_accept_is_kept_whole(size: int) -> None:
    out = buried(incoming(b"x" * size))
    assert len(out.value or b"") == size
    assert "truncated-from" not in dict(out.headers)


def test_a_larger_value_is_cut_and_says_so() -> None:
    out = buried(incoming(b"x" * (VALUE_BYTES_MAX + 1), key=b"12"))
    assert len(out.value or b"") == VALUE_BYTES_MAX
    assert dict(out.headers)["truncated-from"] == str(VALUE_BYTES_MAX + 3).encode()


def test_a_long_key_is_cut_and_says_so() -> None:
    assert buried(incoming(b"", key=b"k" * KEY_BYTES_MAX)).key == b"k" * KEY_BYTES_MAX
    out = buried(incoming(b"", key=b"k" * (KEY_BYTES_MAX + 1)))
    assert out.key == b"k" * KEY_BYTES_MAX
    assert dict(out.headers)["truncated-from"] == str(KEY_BYTES_MAX + 1).encode()


def test_original_headers_that_weigh_too_much_are_left_out_and_it_says_so() -> None:
    room = REST_BYTES_MAX - len("x")
    assert "x" in dict(buried(incoming(b"", headers={"x": b"h" * room}, key=None)).headers)
    out = buried(incoming(b"", headers={"x": b"h" * (room + 1)}, key=None))
    assert "x" not in dict(out.headers)
    assert dict(out.headers)["truncated-from"] == str(REST_BYTES_MAX + 1).encode()


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.text(), st.binary())),
    st.text(st.characters()),
)
def test_any_record_and_any_detail_can_be_buried(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], detail: str
) -> None:
    record = Incoming(at=incoming(b"").at, key=key, value=value, headers=tuple(headers))
    out = buried(record, detail)
    assert (out.topic, out.key, out.value) == (deadletters.TOPIC, key, value)
    assert out.headers[: len(headers)] == tuple(headers)


# And back


def lying(out: Outgoing) -> Incoming:
    """The dead letter as its reader gets it."""
    at = Coordinates("hooks.dead-letters", 0, 12)
    return Incoming(at=at, key=out.key, value=out.value, headers=out.headers, timestamp=NOW)


HEADERS = st.lists(st.tuples(st.sampled_from(["x", "reason", "failed-at", "truncated-from"]), st.binary()))


@given(st.none() | st.binary(), st.none() | st.binary(), HEADERS, st.text(max_size=500))
def test_what_was_buried_is_read_back_as_it_was_whatever_headers_it_came_with(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], detail: str
) -> None:
    record = Incoming(at=incoming(b"").at, key=key, value=value, headers=tuple(headers), timestamp=NOW)
    found = read(lying(buried(record, detail)))
    assert found is not None
    assert found.original == record
    assert (found.reason, found.failed_at, found.truncated_from) == ("not-json", NOW, None)
    assert found.detail == detail.encode("utf-8", "replace").decode()
    assert found.at == Coordinates("hooks.dead-letters", 0, 12)


def test_one_that_was_cut_says_so_when_it_is_read_back() -> None:
    found = read(lying(buried(incoming(b"x" * (VALUE_BYTES_MAX + 1), headers={"x": b"1"}, key=b"12"))))
    assert found is not None
    assert found.truncated_from == VALUE_BYTES_MAX + 1 + len("12x1")
    assert found.original.headers == (("x", b"1"),)


@given(st.lists(st.tuples(st.sampled_from([*OURS, "truncated-from", "x"]), st.binary() | st.just(b"7")), max_size=9))
def test_a_record_of_somebody_else_is_no_dead_letter_and_does_not_make_reading_raise(headers: list[Any]) -> None:
    found = read(Incoming(at=incoming(b"").at, key=None, value=None, headers=tuple(headers)))
    names = [name for name, _ in headers]
    assert found is None or [*OURS] in (names[-6:], names[-7:-1])
