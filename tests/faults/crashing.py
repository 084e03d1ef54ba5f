"""A sender that dies at one moment: `python -m tests.faults.crashing POINT COUNT`, with SIGKILL, at the COUNTth time.

The points are made of the sender's own parts, wrapped: nothing in the product knows of them.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from streams.core.records import Answer, Coordinates, Hook, Job, Outgoing
from streams.kafka import clients, topics
from streams.kafka.publisher import Publisher, publisher
from streams.settings import Settings
from streams.web.attempting import Attempting
from streams.web.transport import Transport
from streams.wiring import SenderParts
from tests.faults.playing import play

POSTED = "posted"
ENDED = "ended"
PARKED = "parked"
UNSETTLED = "unsettled"
POINTS = {
    POSTED: "between POST and outcome",
    ENDED: "between outcome and commit",
    PARKED: "between retry put and commit",
    UNSETTLED: "between outcome and tombstone",
}


class Moment:
    """Counts how often a point was passed."""

    def __init__(self, point: str, count: int) -> None:
        self._point = point
        self._left = count
        self.armed = False

    def passed(self, point: str) -> None:
        """Die if this is it."""
        self._left -= point == self._point
        if point == self._point and self._left <= 0:
            die()

    def done(self, point: str) -> None:
        """The effect is durable: die at the next commit, before it is made."""
        self._left -= point == self._point
        self.armed = self.armed or (point == self._point and self._left <= 0)


def die() -> None:
    """As the kernel or an operator would do it: no handler, no flush, no farewell."""
    os.kill(os.getpid(), signal.SIGKILL)


class Watching(Publisher):
    """The publisher, which looks at what passes."""

    def __init__(self, inner: Publisher, moment: Moment) -> None:
        super().__init__(inner._producer, inner._prefix)
        self._moment = moment

    async def publish(self, records: Iterable[Outgoing]) -> list[Coordinates]:
        """Publish, and note which records are durable now, or would be the ones too many."""
        records = list(records)
        settling = [record for record in records if record.topic == topics.RETRIES and record.value is None]
        others = [record for record in records if record not in settling]
        for _ in settling:
            self._moment.passed(UNSETTLED)
        places = await super().publish(records)
        for record in others:
            if record.topic in (topics.LOG, topics.RETRIES):
                self._moment.done(ENDED if record.topic == topics.LOG else PARKED)
        return places


def parts(moment: Moment) -> SenderParts:
    """The sender's own parts, wrapped."""

    @asynccontextmanager
    async def watching(settings: Settings) -> AsyncIterator[Publisher]:
        async with publisher(settings) as inner:
            yield Watching(inner, moment)

    def posting(transport: Transport, clock: Callable[[], int]) -> Any:
        inner = Attempting(transport, clock, version("hookline"))

        async def post(job: Job, hook: Hook) -> Answer:
            answer = await inner(job, hook)
            moment.passed(POSTED)
            return answer

        return post

    @asynccontextmanager
    async def consumer(*args: Any, **options: Any) -> AsyncIterator[Any]:
        async with clients.consumer(*args, **options) as inner:
            commit = inner.commit

            async def before(*offsets: Any) -> None:
                if moment.armed:
                    die()
                await commit(*offsets)

            inner.commit = before
            yield inner

    return SenderParts(publisher=watching, post=posting, consumer=consumer)


if __name__ == "__main__":
    play(parts(Moment(sys.argv[1], int(sys.argv[2]))))
