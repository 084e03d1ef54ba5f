"""A broker that dies in mid-stream and comes back loses nothing, and nobody has to do anything (invariant I12)."""

import asyncio
from pathlib import Path

import msgspec

from streams.core import ids
from streams.core.records import Outgoing
from streams.settings import Settings
from streams.supervisor import Supervisor
from streams.web.receiver import Receiver, misbehaving
from tests.conftest import BrokerFactory
from tests.line import ROLES, Line, environment, hook, hook_id, line

EVENTS = 400


async def test_a_broker_killed_in_mid_stream_and_started_again_loses_nothing(
    settings: Settings, broker_factory: BrokerFactory, tmp_path: Path
) -> None:
    """The roles are supervised as by `hookline up`: what cannot go on ends, and is started again."""
    broker = broker_factory()
    await broker.start()
    settings = msgspec.structs.replace(settings, bootstrap_servers=broker.bootstrap)
    supervisor = Supervisor(lambda _: environment(settings) | {"HOOKLINE_INSTANCE": "outage"}, print, lambda _: None)
    async with Receiver(misbehaving(delay_s=0.005)) as receiver, line(settings, tmp_path, names=()) as the:
        try:
            await supervisor.start(*ROLES)
            await the.put(hook(1, receiver.url))
            await _publish(the, range(EVENTS))
            await receiver.arrived(EVENTS // 4, within_s=60)
            broker.kill()
            await broker.start()
            await _publish(the, range(EVENTS, 2 * EVENTS))
            expected = {ids.delivery_id(f"e{number}", hook_id(1)) for number in range(2 * EVENTS)}
            assert {outcome.id for outcome in await the.outcomes(len(expected), within_s=120)} == expected
            report = await the.report(hook_id(1), len(expected), within_s=60)
            assert report.request_count == len(expected)
        finally:
            await asyncio.shield(supervisor.stop())
        await broker.stop()


async def _publish(the: Line, numbers: range) -> None:
    await the.publisher.publish(
        Outgoing(
            topic="identity.user",
            key=f"u{number % 7}".encode(),
            value=b'{"event":"User.Created"}',
            headers=(("event-id", f"e{number}".encode()),),
        )
        for number in numbers
    )
