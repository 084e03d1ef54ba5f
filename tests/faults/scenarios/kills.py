"""SIGKILL storms and rolling restarts under load."""

import asyncio
import random

from tests.faults.commits import past_unfinished
from tests.faults.facts import Facts
from tests.faults.scenarios.mixtures import behave, mixture
from tests.faults.stage import Place, stage

KILLS, KILLS_QUICK = 20, 4
ROUNDS = 2
UNDISTURBED_S = 5.0


async def router(place: Place) -> Facts:
    """The router, again and again."""
    return await _storm(place, "router")


async def sender(place: Place) -> Facts:
    """The sender, again and again; after each kill nothing may be committed that is unfinished."""
    return await _storm(place, "sender")


async def health(place: Place) -> Facts:
    """The health role, again and again."""
    return await _storm(place, "health")


async def _storm(place: Place, name: str) -> Facts:
    """Kills at odd moments: most while it works, every fourth while it starts."""
    kills, hooks, dice = KILLS_QUICK if place.quick else KILLS, mixture(), random.Random(1)
    async with stage(place, f"{name} killed {kills} times", hooks) as the:
        behave(the.receiver, hooks)
        role = the.line.roles[name]
        await the.undisturbed(place.seconds(UNDISTURBED_S, 2))
        async with the.disturbed():
            for number in range(kills):
                await asyncio.sleep(dice.uniform(0.1, 1.0))
                await the.kill(role)
                if number % 5 == 0:
                    the.facts.problems += await past_unfinished(the.line.settings)
                await role.start()
                if number % 4:
                    await role.ready()
            await role.ready()
        return await the.settled()


async def rolling(place: Place) -> Facts:
    """SIGTERM and start again, one role after the other: nothing is sent twice."""
    hooks = mixture()
    async with stage(place, "rolling restart", hooks) as the:
        behave(the.receiver, hooks)
        await the.undisturbed(place.seconds(UNDISTURBED_S, 2))
        async with the.disturbed():
            for _ in range(1 if place.quick else ROUNDS):
                for role in the.line.roles.values():
                    await role.stop()
                    await role.start()
                    await role.ready()
        return await the.settled()
