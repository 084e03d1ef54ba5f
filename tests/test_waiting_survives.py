"""What waits survives its process: nothing is lost, cut short, sent twice or overtaken (invariants I1, I8, I9)."""

import asyncio
import signal
from pathlib import Path

from streams.kafka import agents, committed, topics
from streams.settings import Settings
from streams.web.receiver import Receiver, misbehaving
from tests.line import Line, hook, hook_id, line
from tests.test_waiting import busy_once, failing_first, names, publish, until, waits


async def test_a_wait_outlives_a_killed_sender_and_is_not_cut_short(settings: Settings, tmp_path: Path) -> None:
    """The job's offset is committed while it waits, so nothing but its record on `hooks.retries` knows of it."""
    async with Receiver(misbehaving(fail=1)) as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url, delivery={"retry": {"scheduleSeconds": [5.0]}}))
        await publish(the, "default", "w1")
        await receiver.arrived(1, within_s=30)
        await until(lambda: committed_jobs(settings), lambda count: count == 1)
        await the.roles["sender"].stop(signal.SIGKILL)
        await the.roles["sender"].start()
        (outcome,) = await the.ended(hook_id(1), 1)
        assert [attempt.status for attempt in outcome.attempts] == [500, 200]
        first, second = receiver.requests
        assert second.at_ms - first.at_ms >= 4000
        assert (second.body, second.header("webhook-id")) == (first.body, first.header("webhook-id"))


async def test_the_order_of_a_key_holds_across_a_kill(settings: Settings, tmp_path: Path) -> None:
    async with Receiver(failing_first("a0")) as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url, delivery={"ordering": "key", "retry": {"scheduleSeconds": [3.0]}}))
        await publish(the, "default", *(f"a{number}" for number in range(20)), key=b"a")
        await publish(the, "default", "b0", key=b"b")
        await receiver.arrived(2, within_s=30)
        await until(lambda: waits(the, hook_id(1)), lambda found: len(found) >= 1)
        await the.roles["sender"].stop(signal.SIGKILL)
        await the.roles["sender"].start()
        arrived = names(await receiver.arrived(22, within_s=30))
        assert [name for name in arrived if name != "b0"] == ["a0", *(f"a{number}" for number in range(20))]


async def test_a_hold_outlives_its_sender(settings: Settings, tmp_path: Path) -> None:
    """What `Retry-After` asked for is kept by the next process too."""
    async with Receiver(busy_once(seconds=5)) as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url, delivery={"retry": {"scheduleSeconds": [0.1]}}))
        await publish(the, "default", "first")
        await receiver.arrived(1, within_s=30)
        await until(lambda: waits(the, hook_id(1)), lambda found: len(found) == 1)
        await the.roles["sender"].stop(signal.SIGKILL)
        await the.roles["sender"].start()
        await publish(the, "default", "second")
        first, *others = await receiver.arrived(3, within_s=30)
        assert min(request.at_ms for request in others) - first.at_ms >= 5000


async def test_a_sender_that_stops_leaves_nothing_to_be_sent_twice(settings: Settings, tmp_path: Path) -> None:
    """SIGTERM under load, three times: every id arrives once."""
    async with Receiver(misbehaving(delay_s=0.01)) as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url))
        publishing = asyncio.create_task(publish_slowly(the, 600))
        for number in range(3):
            await receiver.arrived(100 + number * 150, within_s=60)
            assert await the.roles["sender"].stop() == 0
            await the.roles["sender"].start()
        await publishing
        outcomes = await the.outcomes(600)
        assert len(outcomes) == 600
        assert receiver.total == 600


async def publish_slowly(the: Line, count: int) -> None:
    for start in range(0, count, 10):
        await publish(the, "default", *(f"s{number}" for number in range(start, start + 10)))


async def committed_jobs(settings: Settings) -> int:
    """How many jobs the senders have committed."""
    found = await committed.offsets(settings, agents.group(settings, "sender"))
    name = settings.topic_prefix + topics.DELIVERIES
    return sum(at.offset for partition, at in found.items() if partition.topic == name)
