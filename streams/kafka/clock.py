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


class BrokersClock:
    """Unix milliseconds; the given clock until the first record was stamped."""

    def __init__(self, publisher: Publisher, clock: Callable[[], int]) -> None:
        self._publisher = publisher
        self._clock = clock

    def __call__(self) -> int:
        """Now."""
        if self._publisher.stamped is None:
            return self._clock()
        stamp, read = self._publisher.stamped
        return stamp + int((time.monotonic() - read) * 1000)

    async def ask(self) -> int:
        """Have a record stamped; answers by how many milliseconds the given clock is ahead of the brokers'."""
        await self._publisher.publish([ASKED])
        return self._clock() - self()
