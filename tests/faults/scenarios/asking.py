"""429 with every form of `Retry-After`: the wait is kept, the whole hook is held, nonsense asks for nothing."""

import asyncio
import math
import time
from collections.abc import Callable
from email.utils import formatdate

from tests.faults.facts import Facts, Watched
from tests.faults.receiver import Manner
from tests.faults.scenarios.mixtures import counted
from tests.faults.stage import Place, stage

REFUSED = 3
EVENTS = 6
AFTER_S = 3.0


def _asks(text: str, seconds: float = 0.0) -> Callable[[], Manner]:
    return lambda: Manner(status=429, retry_after=text, asked_s=seconds)


def _date() -> Manner:
    """A date has whole seconds."""
    moment = math.floor(time.time() + AFTER_S + 1)
    return Manner(status=429, retry_after=formatdate(moment, usegmt=True), asked_s=moment - time.time())


FORMS: dict[str, Callable[[], Manner]] = {
    "seconds": _asks(f"{AFTER_S:.0f}", AFTER_S),
    "date": _date,
    "zero": _asks("0"),
    "negative": _asks("-1"),
    "garbage": _asks("in a moment"),
    "huge": _asks("1000000000", 3600.0),
}


async def every_form(place: Place) -> Facts:
    """Six hooks, one form each; the one that asks for thirty years is deleted while it waits its hour."""
    hooks = {name: Watched(number=number, waits=(0.5, 0.5, 0.5, 0.5)) for number, name in enumerate(FORMS)}
    async with stage(place, "every Retry-After", list(hooks.values())) as the:
        for name, watched in hooks.items():
            the.receiver.behaviours[watched.path] = counted(REFUSED, FORMS[name])
        async with the.disturbed():
            the.choose = lambda _: "nobody"
            for _ in range(EVENTS):
                for watched in hooks.values():
                    the.load.give(watched.of)
                await asyncio.sleep(0.3)
            await asyncio.sleep(2 * AFTER_S)
        await the.line.delete(hooks["huge"].id)
        facts = await the.settled()
        ended = {one.outcome.id for one in facts.ended if one.outcome.hook_id == hooks["huge"].id}
        came = {arrival.id for arrival in facts.arrivals if arrival.path == hooks["huge"].path}
        if not came & ended:
            facts.problems.append("I1: what waited an hour was not cancelled with its hook")
        return facts
