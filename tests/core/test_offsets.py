"""Only the contiguous prefix of finished offsets is ever committed (invariant I2)."""

from hypothesis import given
from hypothesis import strategies as st

from streams.core.offsets import Offsets

ORDERS = st.sets(st.integers(0, 50), min_size=1).flatmap(lambda found: st.permutations(sorted(found)))


def test_before_the_first_offset_there_is_nothing_to_commit() -> None:
    assert Offsets().safe is None
    assert len(Offsets()) == 0


@given(ORDERS)
def test_under_any_order_of_completion_the_safe_offset_never_passes_an_unfinished_one(order: list[int]) -> None:
    offsets, unfinished, seen = Offsets(), set(order), []
    for offset in sorted(order):
        offsets.begin(offset)
    for offset in order:
        assert len(offsets) == len(unfinished)
        assert offsets.safe == min(unfinished)
        seen.append(offsets.safe)
        offsets.finish(offset)
        unfinished.remove(offset)
    assert offsets.safe == max(order) + 1
    assert len(offsets) == 0
    assert seen == sorted(seen)


@given(ORDERS, st.data())
def test_the_same_holds_while_new_offsets_are_handed_out(order: list[int], data: st.DataObject) -> None:
    offsets, waiting, unfinished, begun = Offsets(), sorted(order), set[int](), -1
    while waiting or unfinished:
        if waiting and (not unfinished or data.draw(st.booleans())):
            begun = waiting.pop(0)
            offsets.begin(begun)
            unfinished.add(begun)
        else:
            offset = data.draw(st.sampled_from(sorted(unfinished)))
            offsets.finish(offset)
            unfinished.remove(offset)
        assert offsets.safe == min(unfinished, default=begun + 1)


def test_gaps_left_by_compaction_need_no_finishing() -> None:
    offsets = Offsets()
    for offset in (5, 9, 1000):
        offsets.begin(offset)
    offsets.finish(5)
    assert offsets.safe == 9
    offsets.finish(1000)
    assert offsets.safe == 9
    offsets.finish(9)
    assert offsets.safe == 1001


def test_an_offset_finished_twice_or_never_begun_changes_nothing() -> None:
    offsets = Offsets()
    offsets.begin(1)
    offsets.begin(2)
    for offset in (1, 1, 7, 0):
        offsets.finish(offset)
    assert (offsets.safe, len(offsets)) == (2, 1)


def test_an_offset_handed_out_twice_is_open_until_it_is_finished() -> None:
    offsets = Offsets()
    for offset in (4, 5, 4):
        offsets.begin(offset)
    assert (offsets.safe, len(offsets)) == (4, 2)
    offsets.finish(4)
    offsets.finish(5)
    assert (offsets.safe, len(offsets)) == (6, 0)
