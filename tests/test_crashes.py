"""Killing a role in mid-stream loses nothing, repeats carry the same id and bytes, and health counts stay exact."""

import asyncio
import signal
from pathlib import Path

import orjson
import pytest

from streams.core import ids
from streams.settings import Settings
from streams.web.receiver import Receiver, misbehaving
from tests.line import Line, Role, attempts_by_id, hook, hook_id, line

EVENTS = 1500
CHUNK = 50
KILLS = 3


@pytest.mark.parametrize("name", ["router", "sender", "health"])
async def test_killing_a_role_in_mid_stream_loses_nothing(settings: Settings, tmp_path: Path, name: str) -> None:
    """Ids in = ids out; repeats only with the same id and bytes; every outcome counted once."""
    async with Receiver(misbehaving(delay_s=0.005)) as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url), hook(2, receiver.url, ["User.*"]))
        killing = asyncio.create_task(_kill(the.roles[name], receiver))
        published = await _publish(the)
        await killing
        expected = {ids.delivery_id(event, hook_id(number)) for event in published for number in (1, 2)}
        outcomes = await the.outcomes(len(expected), within_s=120)
        assert {outcome.id for outcome in outcomes} == expected
        assert {outcome.status for outcome in outcomes} == {"delivered"}
        _same_bytes_for_the_same_id(list(receiver.requests))
        for number in (1, 2):
            await the.settled(hook_id(number), EVENTS)


async def _publish(the: Line) -> list[str]:
    """Events with ids of their own, in chunks, so that kills fall between and into them."""
    names = [f"e{number}" for number in range(EVENTS)]
    for start in range(0, EVENTS, CHUNK):
        for name in names[start : start + CHUNK]:
            event = orjson.dumps({"event": "User.Created", "createdAt": "x", "data": {"id": name}})
            await the.publish("identity.user", event, key=name.encode(), event_id=name)
    return names


async def _kill(role: Role, receiver: Receiver) -> None:
    """SIGKILL and start again, each time after some more requests have arrived."""
    for number in range(KILLS):
        await receiver.arrived(200 + number * 400, within_s=120)
        await role.stop(signal.SIGKILL)
        await role.start()


def _same_bytes_for_the_same_id(requests: list) -> None:
    bodies: dict[str, bytes] = {}
    for request in requests:
        assert bodies.setdefault(request.header("webhook-id"), request.body) == request.body
    assert attempts_by_id(requests).total() >= len(bodies)
