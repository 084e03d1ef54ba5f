"""Counting what becomes of input at one door."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from tests.fuzz.door import Door


class Tally(Struct):
    """What became of input. `kept` counts what reached code that nothing before it had reached; `crashes` has the file
    of one input for each place in the code that raised.
    """

    tried: int = 0
    refused: int = 0
    let_through: int = 0
    kept: int = 0
    slowest_ms: float = 0.0
    slowest_bytes: int = 0
    crashes: dict[str, str] = field(default_factory=dict)


def watched(door: Door, tally: Tally, kept: Path, word: str) -> Callable[[bytes], None]:
    """The door as something that takes any bytes, counts, and raises nothing."""

    def enter(data: bytes) -> None:
        began = time.thread_time()
        tally.tried += 1
        try:
            if door.enter(data):
                tally.let_through += 1
            else:
                tally.refused += 1
        except Exception as error:  # whatever it is, it is what we look for
            _keep(error, data, tally, kept / word)
        spent = (time.thread_time() - began) * 1000
        if spent > tally.slowest_ms:
            tally.slowest_ms, tally.slowest_bytes = spent, len(data)

    return enter


def _keep(error: Exception, data: bytes, tally: Tally, path: Path) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "streams" in frame.filename or "tests" in frame.filename]
    words = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
    if words not in tally.crashes:
        file = path.with_name(f"{path.name}-crash-{len(tally.crashes)}")
        file.write_bytes(data)
        tally.crashes[words] = str(file)
