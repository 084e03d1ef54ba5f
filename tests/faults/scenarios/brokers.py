"""A broker that dies, is away, or stands still (I12). Each has a broker of its own."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

from streams.kafka.broker import LocalBroker
from streams.kafka.broker_ready import free_port
from tests.faults.facts import Facts, Span
from tests.faults.scenarios.mixtures import behave, mixture
from tests.faults.stage import Place, Stage, stage

DOWN_S = 60.0
PAUSED_S = 20.0
HEALED_S = 180.0
"""A supervisor starts a role again after up to half a minute, and the group waits for a session that timed out."""

Fault = Callable[[LocalBroker], Awaitable[None]]


async def killed(place: Place) -> Facts:
    """SIGKILL and start again."""

    async def fault(broker: LocalBroker) -> None:
        broker.kill()
        await broker.start()

    return await _without(place, "broker killed and started", fault)


async def down(place: Place) -> Facts:
    """Away for a minute."""

    async def fault(broker: LocalBroker) -> None:
        broker.kill()
        await asyncio.sleep(DOWN_S)
        await broker.start()

    return await _without(place, f"broker down for {DOWN_S:.0f} s", fault)


async def paused(place: Place) -> Facts:
    """Connected, and answering nothing."""

    async def fault(broker: LocalBroker) -> None:
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(PAUSED_S)
        finally:
            os.kill(broker.pid, signal.SIGCONT)

    return await _without(place, f"broker paused for {PAUSED_S:.0f} s", fault)


async def _without(place: Place, words: str, fault: Fault) -> Facts:
    directory = place.directory / "broker"
    async with LocalBroker(directory, jars=place.jars, port=free_port()) as broker:
        hooks = mixture()
        async with stage(place, words, hooks, supervised=True, bootstrap=broker.bootstrap) as the:
            behave(the.receiver, hooks)
            await the.undisturbed(5)
            await _break(the, broker, fault)
            return await the.settled(HEALED_S)


async def _break(the: Stage, broker: LocalBroker, fault: Fault) -> None:
    """An outcome that the broker did not take is unknown to the next owner: until it is back, and a moment after."""
    begin = time.monotonic()
    async with the.disturbed():
        await fault(broker)
    the.facts.unsafe.append(Span(begin, time.monotonic()))
