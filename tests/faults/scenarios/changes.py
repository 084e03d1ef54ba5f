"""Hooks that change while their retries are pending: what is sent is sent as the hook is now (CONTRACT 4)."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from streams.core import signing
from tests.faults.facts import Facts, Watched
from tests.faults.receiver import Manner, first
from tests.faults.stage import Place, Stage, stage
from tests.line import KEY

EVENTS = 5
WAITS = (4.0, 2.0, 2.0)
NEW_KEY = KEY[::-1]
TAKES_S = 1.0
"""A change takes effect within one second of its record being durable."""

DELETED, DISABLED, KEPT, ROTATED, MOVED = (Watched(number=number, waits=WAITS) for number in range(1, 6))


async def with_retries_pending(place: Place) -> Facts:
    """Five hooks with one failed attempt per event; each is changed in its own way before the second."""
    hooks = [DELETED, DISABLED, KEPT, ROTATED, MOVED]
    async with stage(place, "hooks changed with retries pending", hooks) as the:
        the.choose = lambda _: "nobody"
        for watched in hooks:
            the.receiver.behaviours[watched.path] = first(1, Manner(status=500))
            for _ in range(EVENTS):
                the.load.give(watched.of)
        for watched in hooks:
            await the.arrived(watched.path, EVENTS)
        async with the.disturbed():
            changed = await _change(the)
            await asyncio.sleep(max(WAITS) * 1.3)
            await the.line.put(KEPT.record(the.receiver.url))
        facts = await the.settled()
        facts.problems += [*_ended_right(facts), *_as_it_is_now(facts, changed)]
        return facts


async def _change(the: Stage) -> float:
    """Change all of them; answers when the changes must be in force."""

    def record(watched: Watched, **fields: Any) -> dict[str, Any]:
        return watched.record(the.receiver.url, **fields)

    retired = [{"signingKey": KEY, "until": int(time.time() * 1000) + 86_400_000}]
    await the.line.delete(DELETED.id)
    places = await the.line.put(
        record(DISABLED, enabled=False),
        record(KEPT, enabled=False, keepPending=True),
        record(ROTATED, signingKey=NEW_KEY, retiredKeys=retired),
        record(MOVED, config={"url": the.receiver.url + MOVED.path + "/new"}),
    )
    in_force = time.monotonic() + TAKES_S
    await the.line.took(places)
    return in_force


def _ended_right(facts: Facts) -> Iterable[str]:
    ends = {DELETED.id: "cancelled", DISABLED.id: "cancelled"}
    for one in facts.ended:
        should = ends.get(one.outcome.hook_id, "delivered")
        if one.outcome.status != should:
            yield f"I1: {one.outcome.id} of hook {one.outcome.hook_id} ended {one.outcome.status}, not {should}"


def _as_it_is_now(facts: Facts, changed: float) -> Iterable[str]:
    for arrival in (arrival for arrival in facts.arrivals if arrival.at > changed):
        if arrival.path in (DELETED.path, DISABLED.path, MOVED.path):
            yield f"contract 4: {arrival.id} arrived at {arrival.path} after the hook had changed"
        if arrival.path == ROTATED.path and arrival.signature != signing.logto_signature(NEW_KEY, arrival.body):
            yield f"contract 4: {arrival.id} was signed with a key that was rotated out"
