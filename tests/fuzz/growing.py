"""How the cost of the costliest input grows with its size: four times the bytes, four times the work and no more.

Time is told here and asserted nowhere. What is asserted, in the tests, is the work that Python itself does, which
is the same in every run: the lines it runs and the functions it calls (`work`).
"""

import sys
import time
from types import FrameType
from typing import Any

from msgspec import Struct

from tests.fuzz.door import Door
from tests.fuzz.shapes import SHAPES, Shape

WORTH_MS = 3.0
"""Below this a ratio is noise."""


class Growth(Struct, frozen=True):
    """The worst of a door's shapes: milliseconds for the largest input, and how often those of a quarter of it."""

    shape: str = ""
    ms: float = 0.0
    ratio: float = 0.0

    def __str__(self) -> str:
        return f"{self.ratio:.1f} ({self.shape})" if self.shape else f"under {WORTH_MS:.0f} ms"


def growth(door: Door) -> Growth:
    """The shape of which four times the size costs the most, among those that cost anything."""
    found = [_measured(door, shape) for shape in SHAPES]
    return max((one for one in found if one.ms >= WORTH_MS), key=lambda one: one.ratio, default=Growth())


def _measured(door: Door, shape: Shape) -> Growth:
    small, large = (shape(door.seeds[0], size)[: door.size] for size in (door.size // 4, door.size))
    spent = [min(_ms(door, data) for _ in range(3)) for data in (small, large)]
    return Growth(shape.__name__, spent[1], spent[1] / max(spent[0], 0.001))


def _ms(door: Door, data: bytes) -> float:
    began = time.thread_time()
    door.enter(data)
    return (time.thread_time() - began) * 1000


def work(door: Door, data: bytes) -> int:
    """Lines of Python that the door runs for this input."""
    count = 0

    def line(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        door.enter(data)
    finally:
        sys.settrace(before)
    return count
