"""The whole line, end to end: real broker, real processes, real receiver."""

from pathlib import Path

from streams.settings import Settings
from streams.web.receiver import Receiver
from tests.line import hook, hook_id, line


async def test_an_event_reaches_the_hook_that_wants_it_and_ends_in_one_outcome(
    settings: Settings, tmp_path: Path
) -> None:
    event = b'{"event":"User.Created","createdAt":"2026-08-21T08:00:00.000Z","data":{"id":"u1","n":1.0}}'
    async with Receiver() as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url))
        await the.publish("identity.user", event)
        (request,) = await receiver.arrived(1, within_s=40)
        assert request.body == event[:-1] + b',"hookId":"' + hook_id(1).encode() + b'"}'
        (outcome,) = await the.outcomes(1)
        assert (outcome.status, len(outcome.attempts)) == ("delivered", 1)
        report = await the.report(hook_id(1), 1)
        assert (report.request_count, report.success_rate, report.status) == (1, 1.0, "ok")


async def test_every_role_says_that_it_is_ready_and_ends_with_exit_code_0_when_told_to(
    settings: Settings, tmp_path: Path
) -> None:
    async with line(settings, tmp_path) as the:
        for role in the.roles.values():
            await role.ready()
        for role in the.roles.values():
            assert await role.stop() == 0
            assert role.events("role.stopped")
