"""What was done is not done again, even when a role is given every record a second time.

The sharpest form of a crash between an effect and its commit: the committed offsets are set back to the beginning.
"""

from pathlib import Path

from streams.kafka import clients, topics
from streams.kafka.clients import TopicPartition
from streams.settings import Settings
from streams.web.receiver import Receiver
from tests.line import Line, hook, hook_id, line

EVENTS = 200


async def test_a_sender_that_reads_all_jobs_again_sends_none_of_them_again(settings: Settings, tmp_path: Path) -> None:
    """Their outcomes are on the log, which is read back before the first job is taken."""
    async with Receiver() as receiver, line(settings, tmp_path, static=False) as the:
        await _deliver_all(the, receiver)
        await the.roles["sender"].stop()
        await _set_back(settings, "sender", topics.DELIVERIES)
        await the.roles["sender"].start()
        await the.publish("identity.user", b'{"event":"User.Created"}', event_id="last")
        await the.outcomes(EVENTS + 1)
        assert receiver.total == EVENTS + 1
        assert len(await the.read(topics.LOG)) == EVENTS + 1


async def test_a_health_role_that_reads_all_outcomes_again_counts_none_of_them_again(
    settings: Settings, tmp_path: Path
) -> None:
    """Each report says which outcome it counted last."""
    async with Receiver() as receiver, line(settings, tmp_path, static=False) as the:
        await _deliver_all(the, receiver)
        await the.report(hook_id(1), EVENTS)
        await the.roles["health"].stop()
        await _set_back(settings, "health", topics.LOG)
        await the.roles["health"].start()
        await the.publish("identity.user", b'{"event":"User.Created"}', event_id="last")
        report = await the.report(hook_id(1), EVENTS + 1)
        assert (report.request_count, report.success_count) == (EVENTS + 1, EVENTS + 1)


async def test_a_router_that_reads_all_events_again_makes_jobs_that_the_sender_knows(
    settings: Settings, tmp_path: Path
) -> None:
    """The same delivery ids, so they are dropped; the receiver sees nothing."""
    async with Receiver() as receiver, line(settings, tmp_path, static=False) as the:
        await _deliver_all(the, receiver)
        await the.roles["router"].stop()
        await _set_back(settings, "router", "identity.user")
        await the.roles["router"].start()
        await the.publish("identity.user", b'{"event":"User.Created"}', event_id="last")
        await the.outcomes(EVENTS + 1)
        assert receiver.total == EVENTS + 1
        assert len(await the.read(topics.DELIVERIES)) == 2 * EVENTS + 1


async def _deliver_all(the: Line, receiver: Receiver) -> None:
    await the.put(hook(1, receiver.url))
    for number in range(EVENTS):
        await the.publish("identity.user", b'{"event":"User.Created"}', event_id=f"e{number}")
    await the.outcomes(EVENTS)


async def _set_back(settings: Settings, role: str, topic: str) -> None:
    """As an operator's tool would, once the role has left its group."""
    name = settings.topic_prefix + topic
    partitions = [TopicPartition(name, number) for number in range(settings.topic_partitions)]
    async with clients.consumer(settings, group=f"{settings.topic_prefix}hookline-{role}") as consumer:
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))
