"""Every receiver that means harm on one line with one that is well: the well one loses nothing, the others end as they
must. Roles are real processes on a real broker."""

from pathlib import Path
from typing import Any

import pytest

from streams.core.attempts import class_of_status
from streams.settings import Settings
from streams.web.receiver import Receiver
from tests.line import hook, hook_id, line
from tests.web.hostile import HOSTILE, receivers

EVENTS = 3
PATIENCE_S = 60


def expected(name: str) -> str:
    """The class of its outcomes. The roles trust no authority of a test, so a good certificate is a bad one here."""
    receiver = HOSTILE[name]
    if receiver.tls == "good":
        return "tls"
    return receiver.error or class_of_status(receiver.status or 0)


def once(url: str) -> dict[str, Any]:
    """A hook's part that says: one attempt, of the shortest time there is."""
    return {"config": {"url": url, "retries": 0}, "delivery": {"timeoutMs": 1000}}


@pytest.fixture
def urls(tmp_path: Path) -> Any:
    with receivers(tmp_path) as found:
        yield found


async def test_hostile_receivers_take_nothing_from_one_that_is_well(
    urls: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    hostile = {hook_id(number): name for number, name in enumerate(HOSTILE, start=1)}
    async with Receiver() as receiver, line(settings, tmp_path) as the:
        await the.ready()
        written = [hook(number, urls[name], **once(urls[name])) for number, name in enumerate(HOSTILE, start=1)]
        await the.took(await the.put(hook(0, receiver.url), *written))
        await the.publish("identity.user", *[b'{"event":"User.Created","data":{"n":%d}}' % n for n in range(EVENTS)])
        await receiver.arrived(EVENTS, within_s=PATIENCE_S)
        for role in the.roles.values():  # what the operator opened is said by every role when it starts
            assert [line["networks"] for line in role.events("networks.allowed")] == [list(settings.allow_networks)]
        outcomes = await the.outcomes(EVENTS * (len(hostile) + 1), within_s=PATIENCE_S)
    well = [outcome for outcome in outcomes if outcome.hook_id == hook_id(0)]
    assert [(outcome.status, len(outcome.attempts)) for outcome in well] == [("delivered", 1)] * EVENTS
    assert receiver.total == EVENTS
    ended = {
        name: {outcome.error.class_ if outcome.error else "2xx" for outcome in outcomes if outcome.hook_id == its_id}
        for its_id, name in hostile.items()
    }
    assert ended == {name: {expected(name)} for name in HOSTILE}
