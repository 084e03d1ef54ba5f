"""How many POSTs may be under way: per hook, so that one hook's trouble stays its own, and in all.

A hook's jobs wait for their hook's lane first and for the process second; both let waiters in by arrival.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.core.records import Hook


class Lane:
    """The slots of one hook, and how many jobs hold or await one."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.slots = asyncio.Semaphore(cap)
        self.users = 0


class Lanes:
    """Slots for POSTs. A lane lives while anybody uses it; a hook whose cap changed gets a new one."""

    def __init__(self, in_flight_max: int) -> None:
        self._all = asyncio.Semaphore(in_flight_max)
        self._lanes: dict[str, Lane] = {}

    @asynccontextmanager
    async def slot(self, hook: Hook) -> AsyncIterator[None]:
        """Hold one of the hook's slots and one of the process's for the life of the block."""
        lane = self._lanes.get(hook.id)
        if lane is None or lane.cap != hook.delivery.max_in_flight:
            lane = self._lanes[hook.id] = Lane(hook.delivery.max_in_flight)
        lane.users += 1
        try:
            async with lane.slots, self._all:
                yield
        finally:
            lane.users -= 1
            if lane.users == 0 and self._lanes.get(hook.id) is lane:
                del self._lanes[hook.id]
