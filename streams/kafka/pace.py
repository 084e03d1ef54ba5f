"""A steady rate: so many in a second, without catching up on a time in which nothing could be done."""

import asyncio

BATCHES_A_SECOND = 10
"""So a batch is a tenth of what a second may have: smooth for receivers, and few commits."""

BATCH_MAX = 500


class Pace:
    """At most `rate` a second."""

    def __init__(self, rate: int) -> None:
        self.batch = min(max(rate // BATCHES_A_SECOND, 1), BATCH_MAX)
        self._rate = rate
        self._due = 0.0

    async def wait(self, count: int) -> None:
        """Return when the next `count` may go."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(self._due - now)
        self._due = max(self._due, now) + count / self._rate
