"""Bad input is refused or let through at every door; nothing raises, and nothing costs more than its size.

The doors are in `doors`, what is made of good input in `mutating` and `shapes`. `make fuzz` tries the same doors for
longer, guided by the code that is reached.
"""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.door import KIB, Door
from tests.fuzz.doors import DOORS, close
from tests.fuzz.growing import work
from tests.fuzz.mutating import mutated
from tests.fuzz.shapes import SHAPES, Shape

LARGE, FIXED = 32 * KIB, 400
"""Bytes of the larger input; lines of Python that do not depend on it."""

doors = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    close()


@doors
def test_every_door_lets_something_through_and_refuses_something(door: Door) -> None:
    assert any(door.enter(seed) for seed in door.seeds)
    assert not all(door.enter(nonsense) for nonsense in (b"", b"\xff", b"="))


@doors
@settings(max_examples=60, deadline=None)
@given(dice=st.randoms(use_true_random=False), changes=st.integers(1, 4))
def test_changed_input_is_refused_or_let_through(door: Door, dice: Random, changes: int) -> None:
    data = dice.choice(door.seeds)
    for _ in range(changes):
        data = mutated(data, dice)[: door.size]
    assert door.enter(data) in (True, False)


@doors
@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused_or_let_through(door: Door, data: bytes) -> None:
    assert door.enter(data) in (True, False)


@doors
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_the_costliest_input_of_the_largest_size_is_refused_or_let_through(door: Door, shape: Shape) -> None:
    data = shape(door.seeds[0], max(door.size - KIB, KIB))  # room for what a shape adds, so that its end is there
    assert door.enter(data[: door.size]) in (True, False)


@doors
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_four_times_the_input_is_four_times_the_work_and_no_more(door: Door, shape: Shape) -> None:
    """Of Python itself; what compiled code does is told by `make fuzz`, in time, which no test compares."""
    size = min(door.size, LARGE)
    small, large = (work(door, shape(door.seeds[0], part)[:part]) for part in (size // 4, size))
    assert large <= 4.5 * small + FIXED
