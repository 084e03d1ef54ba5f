"""Races for one hook on a log without compare-and-set: the first wins everywhere, the loser changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import versions
from streams.core.records import Coordinates, Incoming, Outgoing
from streams.core.versions import REPLACES, WHY, Versions, replacing, rewritten

KEY = b"h1"


def record(offset: int, replaces: bytes | None = None, value: bytes | None = b"{}", key: bytes = KEY) -> Incoming:
    headers = () if replaces is None else ((REPLACES, replaces),)
    return Incoming(at=Coordinates("hooks.config", 0, offset), key=key, value=value, headers=headers)


def after(*records: Incoming) -> Versions:
    found = Versions()
    for one in records:
        if not found.is_void(one):
            found.take(one)
    return found


def test_of_two_that_replace_one_version_the_first_counts() -> None:
    found = after(record(1), record(2, b"1"), record(3, b"1"))
    assert found.at(KEY) == 2


def test_one_that_replaces_the_latest_counts() -> None:
    assert after(record(1), record(2), record(3, b"2")).at(KEY) == 3


def test_one_without_the_header_always_counts() -> None:
    assert after(record(1), record(2, b"1"), record(3)).at(KEY) == 3


def test_what_was_deleted_meanwhile_is_not_brought_back() -> None:
    assert after(record(1), record(2, value=None)).is_void(record(3, b"1"))


def test_a_deletion_may_be_replaced_by_who_knew_of_it() -> None:
    assert not after(record(1), record(2, value=None)).is_void(record(3, b"2"))


def test_a_reader_to_whom_compaction_left_nothing_else_takes_it() -> None:
    assert not Versions().is_void(record(9, b"1"))
    assert not after(record(1)).is_void(record(9, b"5"))


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"\xff", b"1" * 20, "\u0661".encode()])
def test_nonsense_in_the_header_counts_as_none(text: bytes) -> None:
    assert not after(record(5)).is_void(record(6, text))


def test_hooks_do_not_meddle_with_each_other() -> None:
    assert after(record(1), record(2, key=b"h2")).at(KEY) == 1


def test_the_deletions_remembered_are_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "DELETED_MAX", 2)
    found = after(*(record(number, value=None, key=b"h%d" % number) for number in range(3)))
    assert [found.at(b"h%d" % number) for number in range(3)] == [None, 1, 2]


def test_a_version_written_again_says_which_and_why_and_keeps_the_event_that_disabled_it() -> None:
    headers = ((REPLACES, b"3"), ("event-id", b"e1"), ("a stranger's", b"x" * 2_000_000))
    old = Incoming(at=Coordinates("hooks.config", 0, 7), key=KEY, value=b"a", headers=headers)
    again = rewritten(old, b"b", 9, b"sealed")
    assert (again.key, again.value) == (KEY, b"b")
    assert again.headers == (("event-id", b"e1"), (REPLACES, b"9"), (WHY, b"sealed"))


@pytest.mark.parametrize(("size", "kept"), [(128, True), (129, False)])
def test_what_a_version_keeps_is_bounded(size: int, kept: bool) -> None:
    old = Incoming(at=Coordinates("hooks.config", 0, 7), key=KEY, value=b"a", headers=(("event-id", b"e" * size),))
    assert (rewritten(old, b"b", 9, b"sealed").headers[0][0] == "event-id") is kept


def test_a_change_may_say_what_it_replaces() -> None:
    plain = Outgoing(topic="hooks.config", key=KEY, value=b"a", headers=(("mine", b"x"),))
    assert replacing(plain, None) == (("mine", b"x"),)
    assert replacing(plain, 4) == (("mine", b"x"), (REPLACES, b"4"))


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 12), st.sampled_from(["put", "delete", "bad"])), max_size=12),
    st.data(),
)
def test_readers_end_with_the_same_version_whatever_compaction_left_them(
    writes: list[tuple[int | None, str]], data: st.DataObject
) -> None:
    """Once the router has written the version in force behind a last record that did not count."""
    log, bad, found = list[Incoming](), set[int](), Versions()

    def read(versions: Versions, one: Incoming) -> None:
        if versions.is_void(one) or one.at.offset in bad:
            versions.pass_over(one)
        else:
            versions.take(one)

    for offset, (replaces, what) in enumerate(writes):
        written = None if replaces is None else str(replaces).encode()
        log.append(record(offset, written, None if what == "delete" else b"{}"))
        bad |= {offset} if what == "bad" else set()
        read(found, log[-1])
    if (behind := found.passed(KEY)) is not None:
        in_force = found.at(KEY)
        assert in_force is not None
        log.append(record(len(log), str(behind).encode(), log[in_force].value))
        read(found, log[-1])
    latest = found.at(KEY)
    if latest is None:
        return
    assert (latest, found.passed(KEY)) == (log[-1].at.offset, None)
    left = data.draw(st.sets(st.sampled_from(range(len(log))))) | {len(log) - 1}
    late = Versions()
    for offset in sorted(left):
        read(late, log[offset])
    assert late.at(KEY) == latest
