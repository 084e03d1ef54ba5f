"""The brokers' clock: what senders measure waits by, so that no sender's own clock can make a retry early or strand it.

Brokers stamp the records of `hooks.retries` (LogAppendTime). A sender reads the time off its own records and counts on
with its monotonic clock; it is then behind the broker by half a round trip, which makes waits longer, never shorter.
"""

import time
from collections.abc import Callable

from streams.core.records import Outgoing
from streams.kafka import topics
from streams.kafka.publisher import Publisher

ASKED = Outgoing(topic=topics.RETRIES, key=b"clock", value=None, partition=0)
"""A record that says nothing: its stamp is what is wanted, and compaction removes it."""

ASKED_TIMES = 5
"""The first round trips of a process are slow; the quickest of so many tells the time best."""

SLEW = 0.001
"""How fast the clock follows later stamps, so that it never jumps: a wait that spans a correction is 0.1 % off."""


class BrokersClock:
    """Unix milliseconds that never jump; the given clock until the first record was stamped."""

    def __init__(
        self, publisher: Publisher, clock: Callable[[], int], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._monotonic = monotonic
        self._ahead: float | None = None  # of the monotonic clock, in milliseconds
        self._seen: tuple[int, float] | None = None
        self._moved = 0.0

    def __call__(self) -> int:
        """Now."""
        self._follow()
        if self._ahead is None:
            return self._clock()
        return int(self._monotonic() * 1000 + self._ahead)

    async def ask(self) -> int:
        """Learn the time from records made for it; answers by how many ms the given clock is ahead of the brokers'."""
        best: float | None = None
        for _ in range(ASKED_TIMES):
            await self._publisher.publish([ASKED])
            if stamped := self._publisher.stamped:
                self._seen, sample = stamped, _ahead(stamped)
                best = sample if best is None else max(best, sample)  # a slow answer makes it seem earlier
        self._ahead, self._moved = best, self._monotonic()
        return self._clock() - self()

    def _follow(self) -> None:
        """Move towards the latest stamp, by as much as the time since the last move allows."""
        stamped = self._publisher.stamped
        if stamped is None or self._ahead is None or stamped is self._seen:
            return
        self._seen, now = stamped, self._monotonic()
        step = (now - self._moved) * 1000 * SLEW
        self._ahead += min(max(_ahead(stamped) - self._ahead, -step), step)
        self._moved = now


def _ahead(stamped: tuple[int, float]) -> float:
    stamp, read = stamped
    return stamp - read * 1000
