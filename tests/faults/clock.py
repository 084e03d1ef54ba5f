"""A sender whose clock is wrong: `python -m tests.faults.clock SECONDS`."""

import sys

from streams.wiring import SenderParts, now_ms
from tests.faults.playing import play

if __name__ == "__main__":
    off_ms = int(sys.argv[1]) * 1000
    play(SenderParts(clock=lambda: now_ms() + off_ms))
