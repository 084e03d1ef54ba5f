"""What waits, on the real line: it survives, nobody waits for it, and it follows its hook (CONTRACT 4-6, DESIGN 6-9).

One line serves the whole file; every test has hooks in a tenant of its own. Kills are in `test_waiting_survives`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from streams.core.records import Outgoing, Pending
from streams.kafka import topics
from streams.settings import LOOPBACK
from streams.web.receiver import Behaviour, Received, Receiver, Reply, misbehaving
from tests.line import Line, apart, hook, hook_id, line, logs_of_a_failure

EVENT = b'{"event":"User.Created"}'
LATER = {"retry": {"scheduleSeconds": [600]}}

one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def the(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    directory = tmp_path_factory.mktemp("line")
    async with line(apart(bootstrap, directory, allow_networks=LOOPBACK), directory) as the:
        await the.ready()
        yield the


@pytest.fixture(autouse=True)
def logs(request: pytest.FixtureRequest) -> Iterator[None]:
    yield from logs_of_a_failure(request.getfixturevalue("the"), request)


@one_loop
async def test_a_job_waits_on_the_topic_with_its_history_and_goes_from_it_when_its_outcome_is_durable(
    the: Line,
) -> None:
    async with Receiver(misbehaving(fail=1)) as receiver:
        await put(the, hook(1, receiver.url, tenantId="t1", delivery={"retry": {"scheduleSeconds": [0.5]}}))
        await publish(the, "t1", "w1")
        (outcome,) = await the.ended(hook_id(1), 1)
        assert [attempt.status for attempt in outcome.attempts] == [500, 200]
        first, second = receiver.requests
        assert second.at_ms - first.at_ms >= 400
        found = await waits(the, hook_id(1))
        assert [record.value is None for record in found] == [False, True]
        pending = msgspec.json.decode(found[0].value, type=Pending)
        assert (pending.id, pending.body.encode()) == (outcome.id, first.body)
        assert [attempt.status for attempt in pending.attempts] == [500]
        assert {record.at.partition for record in found} == {outcome.job.partition}


@one_loop
async def test_a_hook_that_hangs_delays_no_other_and_what_does_not_fit_is_parked(the: Line) -> None:
    async with Receiver(never) as hanging, Receiver() as healthy:
        await put(the, hook(2, hanging.url, tenantId="t2"), hook(3, healthy.url, tenantId="t2"))
        await publish(the, "t2", *(f"h{number}" for number in range(1000)))
        await healthy.arrived(1000, within_s=30)
        assert 1 <= hanging.total <= 8
        await until(lambda: waits(the, hook_id(2)), lambda found: len(found) >= 1000 - 8)
        await the.delete(hook_id(2))
        outcomes = await the.ended(hook_id(2), 1000, within_s=60)
        assert {outcome.status for outcome in outcomes} == {"cancelled"} | {o.status for o in outcomes[-8:]}


@one_loop
async def test_an_endpoint_that_only_fails_is_asked_no_more_and_a_new_url_ends_that(the: Line) -> None:
    async with Receiver(misbehaving(fail=1e9)) as failing, Receiver() as good:
        policy = {"retry": {"scheduleSeconds": [0.05] * 3}}
        await put(the, hook(4, failing.url, tenantId="t4", delivery=policy))
        await publish(the, "t4", *(f"b{number}" for number in range(60)))
        await until(lambda: waits(the, hook_id(4)), lambda found: len({record.key for record in found}) >= 50)
        asked = failing.total
        assert 10 <= asked <= 12
        await put(the, hook(4, good.url, tenantId="t4", delivery=policy))
        outcomes = await the.ended(hook_id(4), 60)
        assert {outcome.status for outcome in outcomes} == {"delivered"}
        assert (failing.total, good.total) == (asked, 60)


@one_loop
async def test_a_rate_limit_holds_in_any_period(the: Line) -> None:
    async with Receiver() as receiver:
        limit = {"rateLimit": {"limit": 3, "periodMs": 400}}
        await put(the, hook(5, receiver.url, tenantId="t5", delivery=limit))
        await publish(the, "t5", *(f"r{number}" for number in range(12)))
        arrivals = [request.at_ms for request in await receiver.arrived(12, within_s=20)]
        spans = [later - earlier for earlier, later in zip(arrivals, arrivals[3:], strict=False)]
        assert min(spans) >= 350


@one_loop
async def test_429_with_retry_after_holds_the_whole_hook(the: Line) -> None:
    async with Receiver(busy_once(seconds=2)) as receiver:
        await put(the, hook(6, receiver.url, tenantId="t6", delivery={"retry": {"scheduleSeconds": [0.05]}}))
        await publish(the, "t6", "first")
        await receiver.arrived(1)
        await publish(the, "t6", "second", "third")
        first, *others = await receiver.arrived(4, within_s=20)
        assert min(request.at_ms for request in others) - first.at_ms >= 2000


@one_loop
async def test_events_of_one_key_arrive_in_order_and_a_failing_one_holds_back_only_its_key(the: Line) -> None:
    async with Receiver(failing_first("a0")) as receiver:
        policy = {"ordering": "key", "retry": {"scheduleSeconds": [1.0]}}
        await put(the, hook(7, receiver.url, tenantId="t7", delivery=policy))
        for number in range(5):
            await publish(the, "t7", f"a{number}", key=b"a")
            await publish(the, "t7", f"b{number}", key=b"b")
        arrived = names(await receiver.arrived(11, within_s=20))
        assert [name for name in arrived if name[0] == "b"] == ["b0", "b1", "b2", "b3", "b4"]
        assert [name for name in arrived if name[0] == "a"] == ["a0", "a0", "a1", "a2", "a3", "a4"]
        assert arrived.index("b4") < arrived.index("a1")
        outcomes = await the.ended(hook_id(7), 10)
        assert not any(outcome.out_of_order for outcome in outcomes)


@one_loop
async def test_a_strict_hook_is_one_queue(the: Line) -> None:
    async with Receiver(failing_first("a1")) as receiver:
        policy = {"ordering": "strict", "retry": {"scheduleSeconds": [0.3]}}
        await put(the, hook(8, receiver.url, tenantId="t8", delivery=policy))
        for name in ("a0", "a1", "b2", "c3"):
            await publish(the, "t8", name, key=name[:1].encode())
        expected = ["a0", "a1", "a1", "b2", "c3"]
        arrived = names(await receiver.arrived(5, within_s=20))
        assert sorted(arrived) == expected
        # Three record keys may lie in three partitions of the event topic, so only the queue itself has an order.
        assert [name for name, after in pairwise(arrived) if name == after] == ["a1"]


@one_loop
async def test_what_waits_for_a_disabled_hook_ends_as_cancelled(the: Line) -> None:
    async with Receiver(misbehaving(fail=1e9)) as receiver:
        one = hook(9, receiver.url, tenantId="t9", delivery=LATER)
        await put(the, one)
        await publish(the, "t9", "d1", "d2")
        await until(lambda: waits(the, hook_id(9)), lambda found: len(found) == 2)
        await put(the, one | {"enabled": False})
        outcomes = await the.ended(hook_id(9), 2)
        assert {outcome.status for outcome in outcomes} == {"cancelled"}
        assert [len(outcome.attempts) for outcome in outcomes] == [1, 1]
        assert receiver.total == 2


@one_loop
async def test_what_waits_is_kept_while_its_hook_is_disabled_with_keep_pending(the: Line) -> None:
    async with Receiver(misbehaving(fail=1)) as receiver:
        one = hook(10, receiver.url, tenantId="t10", delivery={"retry": {"scheduleSeconds": [0.2]}})
        slow = hook(11, receiver.url, tenantId="t10", delivery={"retry": {"scheduleSeconds": [0.2]}})
        await put(the, one | {"delivery": LATER}, slow)
        await publish(the, "t10", "k1")
        await until(lambda: waits(the, hook_id(10)), lambda found: len(found) == 1)
        await put(the, one | {"enabled": False, "keepPending": True, "delivery": LATER})
        await the.ended(hook_id(11), 1)
        assert [outcome.hook_id for outcome in await outcomes_of(the, hook_id(10))] == []
        await put(the, one | {"enabled": False})
        (outcome,) = await the.ended(hook_id(10), 1)
        assert outcome.status == "cancelled"


async def never(_: Received) -> Reply:
    """Hang for longer than any hook waits."""
    await asyncio.sleep(60)
    return Reply()


def busy_once(seconds: int) -> Behaviour:
    """The first event's first attempt is told to come back in so many seconds."""

    async def behave(request: Received) -> Reply:
        busy = names([request]) == ["first"] and request.attempt == 1
        return Reply(status=429, headers={"retry-after": str(seconds)}) if busy else Reply()

    return behave


def failing_first(name: str) -> Behaviour:
    """Answer 500 to the first attempt of one event."""

    async def behave(request: Received) -> Reply:
        return Reply(status=500 if names([request]) == [name] and request.attempt == 1 else 200)

    return behave


def names(requests: list[Received]) -> list[str]:
    """What the events were called when they were published."""
    return [msgspec.json.decode(request.body)["n"] for request in requests]


async def put(the: Line, *hooks: dict[str, Any]) -> None:
    """Write hooks and wait until every role goes by them."""
    await the.took(await the.put(*hooks))


async def publish(the: Line, tenant: str, *called: str, key: bytes = b"u1") -> None:
    """One event each, in order."""
    headers = (("tenant-id", tenant.encode()),)
    await the.publisher.publish(
        Outgoing(
            topic="identity.user",
            key=key,
            value=EVENT[:-1] + b',"n":"' + name.encode() + b'"}',
            headers=(*headers, ("event-id", f"{tenant}-{name}".encode())),
        )
        for name in called
    )


async def waits(the: Line, hook: str) -> list[Any]:
    """The records of one hook on `hooks.retries`, nulls included."""
    ids, found = set[bytes](), []
    for record in await the.read(topics.RETRIES):
        if record.value and msgspec.json.decode(record.value, type=Pending).hook_id == hook:
            ids.add(record.key)
        if record.key in ids:
            found.append(record)
    return found


async def outcomes_of(the: Line, hook: str) -> list[Any]:
    """The outcomes of one hook so far."""
    return [record for record in await the.read(topics.LOG) if record.key == hook.encode()]


async def until(ask: Any, enough: Any, within_s: float = 20) -> None:
    """Ask again until it is enough."""
    async with asyncio.timeout(within_s):
        while not enough(await ask()):
            await asyncio.sleep(0.05)
