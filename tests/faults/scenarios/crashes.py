"""The sender dies at exactly the moments at which an effect is durable and the next one is not."""

import signal
import time
from collections.abc import Awaitable, Callable

from tests.faults.commits import past_unfinished
from tests.faults.crashing import POINTS
from tests.faults.facts import Facts, Span
from tests.faults.scenarios.mixtures import behave, mixture
from tests.faults.stage import Place, Stage, stage
from tests.line import Role

__all__ = ["POINTS", "at"]

TIMES = 4
PASSED = 15
"""How often the point is passed before the crash, so that it falls into the middle of things."""

DIES_WITHIN_S = 40.0


def at(*points: str) -> Callable[[Place], Awaitable[Facts]]:
    """The scenario of one point, again and again, or of several, once each."""

    async def crash(place: Place) -> Facts:
        hooks, words = mixture(), POINTS[points[0]] if len(points) == 1 else "at every point"
        async with stage(place, f"crash {words}", hooks) as the:
            behave(the.receiver, hooks)
            await the.undisturbed(2)
            whole = the.line.roles["sender"]
            async with the.disturbed():
                await whole.stop()
                for number, point in enumerate(points * (TIMES // len(points))):
                    await _crash(the, point, PASSED + 7 * number)
                await whole.start()
                await whole.ready()
            return await the.settled()

    return crash


async def _crash(the: Stage, point: str, passed: int) -> None:
    """Let a sender of the same name run into the point."""
    program = ("-m", "tests.faults.crashing", point, str(passed))
    role = Role("sender", the.line.settings, the.directory, "a", program)
    await role.start()
    try:
        code = await role.died(DIES_WITHIN_S)
        the.facts.unsafe.append(Span(time.monotonic() - 1, time.monotonic()))
        if code != -signal.SIGKILL:
            the.facts.problems.append(f"the sender ended with {code} at no point of ours")
    except TimeoutError:
        the.facts.problems.append(f"the point was not passed {passed} times in {DIES_WITHIN_S:.0f} s")
    finally:
        await role.stop()
    the.facts.problems += await past_unfinished(the.line.settings)
