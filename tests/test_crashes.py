"""Killing a role in mid-stream loses nothing, repeats carry the same id and bytes, and health counts stay exact."""

import asyncio
import signal
from pathlib import Path

import orjson
import pytest

from streams.core import ids
from streams.core.records import Outgoing
from streams.settings import Settings
from streams.web.receiver import Received, Receiver, misbehaving
from tests.line import Line, Role, attempts_by_id, hook, hook_id, line

EVENTS = 1500
CHUNK = 25
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
        await _counted_once(the)


async def _publish(the: Line) -> list[str]:
    """Events with ids of their own, in chunks, so that kills fall between and into them."""
    names = [f"e{number}" for number in range(EVENTS)]
    for start in range(0, EVENTS, CHUNK):
        await the.publisher.publish(_event(name) for name in names[start : start + CHUNK])
    return names


def _event(name: str) -> Outgoing:
    value = orjson.dumps({"event": "User.Created", "createdAt": "x", "data": {"id": name}})
    headers = (("event-id", name.encode()),)
    return Outgoing(topic="identity.user", key=name.encode(), value=value, headers=headers)


async def _kill(role: Role, receiver: Receiver) -> None:
    """SIGKILL and start again, each time after some more requests have arrived."""
    for number in range(KILLS):
        await receiver.arrived(200 + number * 400, within_s=120)
        await role.stop(signal.SIGKILL)
        await role.start()


async def _counted_once(the: Line) -> None:
    """One more event closes the count: had any outcome been counted twice, the reports would now show more."""
    await the.publish("identity.user", b'{"event":"User.Created"}', key=b"last")
    for number in (1, 2):
        report = await the.report(hook_id(number), EVENTS + 1)
        assert (report.request_count, report.success_count) == (EVENTS + 1, EVENTS + 1)


def _same_bytes_for_the_same_id(requests: list[Received]) -> None:
    bodies: dict[str, bytes] = {}
    for request in requests:
        assert bodies.setdefault(request.header("webhook-id") or "", request.body) == request.body
    assert attempts_by_id(requests).total() >= len(bodies)
