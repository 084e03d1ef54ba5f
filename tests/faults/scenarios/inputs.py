"""Input as it must not be, in the middle of load: events twice, and records that nobody can read (I11, I5)."""

import asyncio

import orjson

from streams.core.records import Outgoing
from streams.kafka import topics
from tests.faults.facts import Facts, Watched
from tests.faults.receiver import Receiving
from tests.faults.scenarios.mixtures import behave, mixture
from tests.faults.stage import Place, stage
from tests.line import hook

COPIES = 3
EVENTS = 600
ROUNDS = 10
FORBIDDEN = "127.0.0.2"
"""Loopback, but not of the networks that these lines allow."""

BAD_EVENTS = (b"", b"{", b"\xff\xfe", b"[1]", b'{"event":"No.Such"}', b'{"event":"Role.Created"}', b'{"a":1}')
BAD_JOBS = (b"", b"no headers at all")


async def duplicates(place: Place) -> Facts:
    """Every event three times, some of them apart: one outcome each."""
    hooks = mixture()
    async with stage(place, "duplicate source events", hooks) as the:
        behave(the.receiver, hooks)
        await the.undisturbed(3)
        async with the.disturbed():
            for number in range(EVENTS):
                the.load.give(the.choose(number), copies=COPIES)
                await asyncio.sleep(0.01)
        return await the.settled()


async def poisoned(place: Place) -> Facts:
    """Records nobody can read on every topic, and a hook that must not be reached: each is a dead letter, no more."""
    hooks = mixture()
    async with Receiving(FORBIDDEN) as forbidden, stage(place, "poisoned records", hooks) as the:
        behave(the.receiver, hooks)
        await the.undisturbed(3)
        rounds = 3 if place.quick else ROUNDS
        async with the.disturbed():
            for _ in range(rounds):
                await the.line.publisher.publish(_poison(hooks[0], forbidden.url))
                await asyncio.sleep(0.5)
        facts = await the.settled()
        letters = len(await the.line.read(topics.DEAD_LETTERS))
        if letters < rounds * (len(BAD_EVENTS) + len(BAD_JOBS)):
            facts.problems.append(
                f"I11: {letters} dead letters for {rounds * (len(BAD_EVENTS) + len(BAD_JOBS))} records"
            )
        if forbidden.arrivals:
            facts.problems.append(f"I5: {len(forbidden.arrivals)} requests at a forbidden address")
        return facts


def _poison(watched: Watched, forbidden: str) -> list[Outgoing]:
    key, shut = watched.id.encode(), hook(666, forbidden + "/", tenantId=watched.of)
    return [
        *(Outgoing(topic="identity.user", key=b"u1", value=value) for value in BAD_EVENTS),
        *(Outgoing(topic=topics.DELIVERIES, key=key, value=value) for value in BAD_JOBS),
        Outgoing(topic=topics.CONFIG, key=key, value=b'{"id": 7}'),
        Outgoing(topic=topics.CONFIG, key=shut["id"].encode(), value=orjson.dumps(shut)),
        Outgoing(topic=topics.LOG, key=key, value=b"no outcome"),
        Outgoing(topic=topics.RETRIES, key=b"msg_nobody", value=b"nothing pending"),
    ]
