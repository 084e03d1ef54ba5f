"""10,000 hooks on one host, a hundred of which hang: nothing is shared that a number of hooks could use up."""

import asyncio

from tests.faults.facts import Facts, Watched
from tests.faults.load import among, shares
from tests.faults.receiver import Manner, always
from tests.faults.stage import Place, stage

HOOKS, AT_FIRST, HANGING = 10_000, 50, 100
UNDISTURBED_S, FAULT_S = 10.0, 15.0
LEARNT_S = 8.0
"""Ten thousand new hooks at once cost every role a second of work and a report each; that is not what is looked at."""


async def on_one_host(place: Place) -> Facts:
    """Fifty hooks to compare with, then all of them."""
    healthy = [Watched(number=number, healthy=True) for number in range(HOOKS - HANGING)]
    bad = [Watched(number=number, waits=(0.5, 1.0, *[5.0] * 10)) for number in range(HOOKS - HANGING, HOOKS)]
    async with stage(place, "10,000 hooks on one host", healthy[:AT_FIRST]) as the:
        the.facts.compare = True
        the.choose = among(healthy[:AT_FIRST])
        await the.undisturbed(UNDISTURBED_S)
        for watched in bad:
            the.receiver.behaviours[watched.path] = always(Manner(ending="hang"))
        await the.add([*healthy[AT_FIRST:], *bad])
        the.choose = shares(bad, healthy)
        await the.load.steady(LEARNT_S, the.choose, the.per_s)
        async with the.disturbed():
            await asyncio.sleep(FAULT_S)
        the.receiver.behaviours.clear()
        return await the.settled()
