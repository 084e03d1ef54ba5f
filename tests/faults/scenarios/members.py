"""Senders beside each other: joining and leaving under load, and one whose clock is wrong."""

import asyncio

from tests.faults.facts import Facts
from tests.faults.scenarios.mixtures import behave, mixture
from tests.faults.stage import Place, Stage, stage
from tests.line import Role

ROUNDS = 3
WORK_S = 3.0
OFF_S = 600


async def join_and_leave(place: Place) -> Facts:
    """A second sender comes and goes, then the first: a rebalance each time, and nothing is sent twice."""
    hooks = mixture()
    async with stage(place, "senders join and leave", hooks, static=False) as the:
        behave(the.receiver, hooks)
        first, second = the.line.roles["sender"], _beside(the, "second")
        await the.undisturbed(5)
        try:
            async with the.disturbed():
                for _ in range(ROUNDS):
                    await second.start()
                    await _works(second)
                    await first.stop()
                    await asyncio.sleep(WORK_S)
                    await first.start()
                    await _works(first)
                    await second.stop()
            return await the.settled()
        finally:
            await second.stop()


async def clock_moved(place: Place) -> Facts:
    """Two senders, one ten minutes ahead; then that one leaves, and the other goes on with what it left waiting."""
    hooks = mixture()
    async with stage(place, "clock moved by 10 min", hooks, static=False) as the:
        behave(the.receiver, hooks)
        await the.undisturbed(5)
        moved = _beside(the, "moved", ("-m", "tests.faults.clock", str(OFF_S)))
        try:
            async with the.disturbed():
                await moved.start()
                await _works(moved)
                await asyncio.sleep(WORK_S)
                await moved.stop()
            return await the.settled()
        finally:
            await moved.stop()


def _beside(the: Stage, name: str, program: tuple[str, ...] = ()) -> Role:
    """One more sender, with a directory of its own for its log."""
    directory = the.directory / name
    directory.mkdir()
    return Role("sender", the.line.settings, directory, "", program)


async def _works(role: Role) -> None:
    """It has partitions, and has had them for a while."""
    await role.ready()
    await asyncio.sleep(WORK_S)
