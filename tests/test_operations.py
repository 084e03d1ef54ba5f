"""What happens to a hook reaches those that asked for it, and a hook that nobody answers for is switched off."""

import asyncio
import math
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import orjson

from streams.core.records import Coordinates, Outcome, Outgoing
from streams.kafka import topics
from streams.settings import Settings
from streams.web.receiver import Received, Receiver, misbehaving
from tests.core.building import outcome
from tests.line import Line, Role, hook, hook_id, line

ONCE_MORE = {"retry": {"scheduleSeconds": [0.1]}}
DAY_MS = 24 * 3600 * 1000
EVENT = b'{"event":"User.Created","createdAt":"x"}'


async def test_who_asked_hears_of_a_hook_that_fails_and_recovers_but_not_itself_and_no_other_tenant(
    settings: Settings, tmp_path: Path
) -> None:
    async with (
        Receiver(misbehaving(math.inf)) as bad,
        Receiver() as watching,
        Receiver() as others,
        line(settings, tmp_path) as the,
    ):
        await the.put(
            hook(1, bad.url, ["User.*", "Hook.*"], delivery=ONCE_MORE),
            hook(2, watching.url, ["Hook.*"]),
            hook(3, others.url, ["Hook.*"], tenantId="acme"),
            hook(4, others.url, ["*"], tenantId="acme"),
        )
        await the.publish("identity.user", EVENT, event_id="e1")
        found = told(await watching.arrived(2, within_s=60))
        assert {one["event"] for one in found} == {"Hook.Exhausted", "Hook.Failing"}
        assert {(one["data"]["hookId"], one["data"]["name"]) for one in found} == {(hook_id(1), "hook 1")}
        assert {one["hookId"] for one in found} == {hook_id(2)}
        assert bad.total == 2

        bad.behave = misbehaving(0)
        for number in range(9):
            await the.publish("identity.user", EVENT, event_id=f"good{number}")
        last = told(await watching.arrived(3, within_s=30))[-1]
        assert (last["event"], last["data"]["successRate"], last["data"]["requestCount"]) == ("Hook.Recovered", 0.9, 10)
        await the.outcomes(10 + 3)
        assert {request.header("webhook-id") for request in bad.requests} == {
            one.id for one in await the.ended(hook_id(1), 10)
        }
        assert (watching.total, others.total) == (3, 0)


async def test_three_answers_410_switch_a_hook_off_and_whoever_switches_it_on_gives_it_three_more(
    settings: Settings, tmp_path: Path
) -> None:
    """Every other member of the record stays as its writer left it, those that Hookline does not know included."""
    async with (
        Receiver(misbehaving(math.inf, status=410)) as gone,
        Receiver() as watching,
        line(settings, tmp_path) as the,
    ):
        record = orjson.dumps(hook(1, gone.url, ["User.*"])).replace(b'"enabled":true', b'"enabled" : true')
        record = (
            record[:-1] + b',"ours" : [1.0, {"b": 1, "a": 2}], "config":{"url":"%s",  "retries":0}}' % gone.url.encode()
        )
        await the.ready()
        await the.put(hook(2, watching.url, ["Hook.Disabled"]))
        (first,) = await _written(the, record)
        await the.took([first])
        await _one_after_the_other(the, range(3))
        (disabled,) = told(await watching.arrived(1, within_s=30))
        assert (disabled["data"]["hookId"], disabled["data"]["reason"]) == (hook_id(1), "gone")
        assert disabled["data"]["lastError"] == {"class": "410", "message": "The endpoint answered 410 Gone."}
        *_, latest = [one for one in await the.read(topics.CONFIG) if one.key == hook_id(1).encode()]
        assert members(latest.value) == members(record) | {"enabled": b"false"}
        assert latest.header("event-id") == (await the.operations(2))[-1][0].encode()

        await the.took(await _written(the, record))
        await _one_after_the_other(the, range(3, 5))
        assert watching.total == 1
        await _one_after_the_other(the, range(5, 6))
        assert [one["data"]["hookId"] for one in told(await watching.arrived(2, within_s=30))] == [hook_id(1)] * 2
        assert len([one for one in await the.read(topics.CONFIG) if one.key == hook_id(1).encode()]) == 4


async def test_five_days_of_nothing_but_failures_switch_a_hook_off(settings: Settings, tmp_path: Path) -> None:
    now = time.time_ns() // 1_000_000
    async with Receiver() as watching, line(settings, tmp_path, ("router", "sender", "health")) as the:
        await the.ready()
        await the.took(await the.put(hook(1, watching.url, []), hook(2, watching.url, ["Hook.Disabled"])))
        await _logged(the, *(_failed(number, now - (6 - number) * DAY_MS) for number in range(3)))
        await the.operations(1)
        assert await _enabled(the)
        await _logged(the, _failed(3, now))
        (disabled,) = told(await watching.arrived(1, within_s=30))
        assert disabled["data"] == {
            "hookId": hook_id(1),
            "name": "hook 1",
            "reason": "failures",
            "since": now - 6 * DAY_MS,
            "lastError": {"class": "5xx", "message": "It failed."},
        }
        assert not await _enabled(the)


async def test_killing_the_health_role_in_mid_stream_tells_everything_under_one_id(
    settings: Settings, tmp_path: Path
) -> None:
    """Three hooks that fail and recover by turns, and one that is gone; each thing that happens is one event."""
    async with line(settings, tmp_path, ("health",)) as the:
        await the.ready()
        await the.took(await the.put(*(hook(number, "http://127.0.0.1:1", []) for number in range(1, 5))))
        killing = asyncio.create_task(_kill(the.roles["health"], the))
        for start in range(0, 1200, 40):
            await _logged(the, *(made for number in range(start, start + 40) for made in _turns(number)))
        await killing
        await _logged(the, *_turns(1200))
        for number in range(1, 4):
            await the.report(hook_id(number), 1201, within_s=60)
        told_by_id: dict[str, set[bytes]] = {}
        for record in await the.read(topics.OPERATIONS):
            told_by_id.setdefault((record.header("event-id") or b"").decode(), set()).add(record.value)
        assert all(len(values) == 1 for values in told_by_id.values())
        events = [orjson.loads(value) for values in told_by_id.values() for value in values]
        for number in range(1, 4):
            names = [one["event"] for one in events if one["data"]["hookId"] == hook_id(number)]
            assert names.count("Hook.Exhausted") == EXHAUSTED
            turns = [name for name in names if name != "Hook.Exhausted"]
            assert turns == ["Hook.Failing", "Hook.Recovered"] * (len(turns) // 2) + ["Hook.Failing"] * (len(turns) % 2)
        assert [one["event"] for one in events if one["data"]["hookId"] == hook_id(4)] == [
            "Hook.Failing",
            "Hook.Disabled",
        ]
        assert not await _enabled(the, 4)


EXHAUSTED = sum(1 for number in range(1201) if number % 40 == 0)


def _turns(number: int) -> list[Outcome]:
    """Outcome `number` of hooks 1 to 3, of which every fortieth was exhausted; hook 4 answers 410 every hundredth."""
    bad = number % 40 == 0
    found = [_failed(number, hook=which) if bad else _delivered(number, which) for which in range(1, 4)]
    return found + ([_gone(number)] if number % 100 == 0 else [])


async def _kill(role: Role, the: Line) -> None:
    """SIGKILL and start again, each time after more reports."""
    for requests in (100, 450, 800):
        await the.report(hook_id(1), requests, within_s=60)
        await role.stop(signal.SIGKILL)
        await role.start()
    await role.ready()


def _failed(number: int, at: int | None = None, hook: int = 1) -> Outcome:
    made = outcome(at or time.time_ns() // 1_000_000, error="5xx")
    return _placed(msgspec.structs.replace(made, status="exhausted"), number, hook)


def _delivered(number: int, hook: int) -> Outcome:
    return _placed(outcome(time.time_ns() // 1_000_000), number, hook)


def _gone(number: int) -> Outcome:
    return _placed(outcome(time.time_ns() // 1_000_000, error="410"), number, 4)


def _placed(made: Outcome, number: int, hook: int) -> Outcome:
    place = Coordinates(topics.DELIVERIES, 0, 10 * number + hook)
    return msgspec.structs.replace(made, id=f"msg_{hook}_{number}", hook_id=hook_id(hook), job=place)


async def _logged(the: Line, *outcomes: Outcome) -> None:
    """As the sender would."""
    await the.publisher.publish(
        Outgoing(topic=topics.LOG, key=one.hook_id.encode(), value=msgspec.json.encode(one)) for one in outcomes
    )


async def _one_after_the_other(the: Line, numbers: range) -> None:
    """Events, each published when what came before it has ended and is in the hook's report."""
    for number in numbers:
        await the.publish("identity.user", EVENT, event_id=f"e{number}")
        await the.report(hook_id(1), number + 1)


async def _written(the: Line, record: bytes) -> list[Coordinates]:
    return await the.publisher.publish([Outgoing(topic=topics.CONFIG, key=hook_id(1).encode(), value=record)])


async def _enabled(the: Line, number: int = 1) -> bool:
    *_, latest = [one for one in await the.read(topics.CONFIG) if one.key == hook_id(number).encode()]
    enabled: bool = orjson.loads(latest.value)["enabled"]
    return enabled


def told(requests: list[Received]) -> list[dict[str, Any]]:
    return [orjson.loads(request.body) for request in requests]


def members(value: bytes) -> dict[str, bytes]:
    """The members of a record with their bytes."""
    return {name: bytes(raw) for name, raw in msgspec.json.decode(value, type=dict[str, msgspec.Raw]).items()}
