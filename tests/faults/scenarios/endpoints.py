"""One endpoint in trouble with a fifth of the traffic, beside fifty healthy ones that must not notice (I4)."""

import asyncio

from tests.faults.facts import Facts, Watched
from tests.faults.load import shares
from tests.faults.receiver import Manner, always
from tests.faults.stage import Place, stage

HEALTHY = 50
UNDISTURBED_S, FAULT_S = 10.0, 15.0
MINUTES_S = 195.0
"""Just before a breaker that opened for 30, 60 and 120 s asks again: recovery then takes seconds, not minutes."""

RECOVERED_S = 240.0
"""A breaker that opened three times asks again after two minutes."""


async def hanging(place: Place) -> Facts:
    """It takes the request and never answers."""
    return await _trouble(place, "endpoint hangs", Manner(ending="hang"), FAULT_S, {"timeoutMs": 10_000})


async def dripping(place: Place) -> Facts:
    """It answers a byte a second."""
    return await _trouble(place, "endpoint drips", Manner(ending="drip"), FAULT_S, {"timeoutMs": 5_000})


async def resetting(place: Place) -> Facts:
    """It cuts the connection."""
    return await _trouble(place, "endpoint resets", Manner(ending="reset"), FAULT_S)


async def closing(place: Place) -> Facts:
    """It answers well, and closes every connection without having said so."""
    return await _trouble(place, "endpoint closes keep-alive", Manner(ending="close"), FAULT_S)


async def failing(place: Place) -> Facts:
    """It answers 500 for two minutes."""
    return await _trouble(place, f"endpoint answers 500 for {MINUTES_S:.0f} s", Manner(status=500), MINUTES_S)


async def _trouble(
    place: Place, words: str, manner: Manner, seconds: float, delivery: dict[str, int] | None = None
) -> Facts:
    healthy = [Watched(number=number, healthy=True) for number in range(HEALTHY)]
    bad = Watched(number=900, delivery=delivery or {}, waits=(0.5, 1.0, 2.0, 4.0, *[10.0] * 16))
    async with stage(place, words, [*healthy, bad]) as the:
        the.facts.compare = not place.quick  # timings are not asserted in tests
        the.choose = shares([bad], healthy)
        await the.undisturbed(place.seconds(UNDISTURBED_S, 6))
        the.receiver.behaviours[bad.path] = always(manner)
        async with the.disturbed():
            await asyncio.sleep(place.seconds(seconds, 8))
        del the.receiver.behaviours[bad.path]
        return await the.settled(RECOVERED_S)
