"""How many POSTs may be under way, per hook and in all."""

import asyncio
from contextlib import AsyncExitStack

from streams.core.records import Hook
from streams.kafka.lanes import Lanes
from tests.core.building import hook


def a_hook(number: int, cap: int) -> Hook:
    """A hook that allows `cap` requests at once."""
    return hook(id=f"hook{number:017d}", delivery={"maxInFlight": cap})


async def test_a_hook_gets_as_many_slots_as_it_allows_and_no_more() -> None:
    lanes, one = Lanes(100), a_hook(1, 2)
    async with lanes.slot(one), AsyncExitStack() as second:
        await second.enter_async_context(lanes.slot(one))
        third = asyncio.create_task(_hold(lanes, one))
        await asyncio.sleep(0)
        assert not third.done()
        await second.aclose()
        await third


async def test_a_hook_that_uses_all_its_slots_leaves_the_others_theirs() -> None:
    lanes = Lanes(100)
    async with lanes.slot(a_hook(1, 1)):
        await asyncio.wait_for(_hold(lanes, a_hook(2, 1)), 5)


async def test_the_process_has_a_limit_over_all_hooks() -> None:
    lanes = Lanes(1)
    async with lanes.slot(a_hook(1, 8)):
        other = asyncio.create_task(_hold(lanes, a_hook(2, 8)))
        await asyncio.sleep(0)
        assert not other.done()
    await other


async def test_a_cap_that_changed_counts_for_whoever_comes_next() -> None:
    lanes = Lanes(100)
    async with lanes.slot(a_hook(1, 1)):
        await asyncio.wait_for(_hold(lanes, a_hook(1, 2)), 5)


async def _hold(lanes: Lanes, hook: Hook) -> None:
    async with lanes.slot(hook):
        pass
