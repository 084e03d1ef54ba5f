"""Publishes identity events at a steady rate and notes which jobs have to come of them, whatever the broker does."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from aiokafka.errors import KafkaError

from streams.core.errors import HooklineError
from streams.core.records import Outgoing
from streams.kafka.publisher import publisher
from streams.settings import Settings
from tests.faults.facts import Wanted, Watched, wanted

PER_S, PER_S_QUICK = 120, 60
KEYS = 7
PAD = "x" * 300
AGAIN_S = 0.2
BATCH_MAX = 500
TOPIC = "identity.user"


def shares(some: list[Watched], others: list[Watched], every: int = 5) -> Callable[[int], str]:
    """A choice of tenant by the event's number: every so manieth event to one of `some`, the rest to `others`."""

    def choose(number: int) -> str:
        group = some if number % every == 0 else others
        return group[number // every % len(group)].of if number % every == 0 else group[number % len(group)].of

    return choose


def among(hooks: list[Watched]) -> Callable[[int], str]:
    """One after the other."""
    return lambda number: hooks[number % len(hooks)].of


class Load:
    """The events of one scenario, numbered through. What was handed to `give` is published until the broker has it."""

    def __init__(self, settings: Settings) -> None:
        self.wanted: list[Wanted] = []
        self._settings = settings
        self._tenants: dict[str, list[Watched]] = defaultdict(list)
        self._queue: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self._number = 0

    def knows(self, hooks: Iterable[Watched]) -> None:
        """Events of these hooks' tenants ask for jobs."""
        for watched in hooks:
            self._tenants[watched.of].append(watched)

    async def steady(self, seconds: float, choose: Callable[[int], str], per_s: int) -> None:
        """Hand out events at this rate for so long."""
        began = time.monotonic()
        for number in range(int(seconds * per_s)):
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
            self.give(choose(number))

    def give(self, tenant: str, copies: int = 1) -> None:
        """Hand out one event; copies of it have the same id."""
        for _ in range(copies):
            self._queue.put_nowait((self._number, tenant))
        self._number += 1

    async def sent(self) -> None:
        """Wait until the broker has everything."""
        await self._queue.join()

    async def run(self) -> None:
        """Publish what is handed out, in that order, for ever. A broker that is away is asked again."""
        left: list[tuple[int, str]] = []
        while True:
            try:
                async with publisher(self._settings) as out:
                    while True:
                        left = left or await self._next()
                        await out.publish([_event(number, tenant) for number, tenant in left])
                        for _ in left:
                            self._queue.task_done()
                        left = []
            except (KafkaError, HooklineError):
                await asyncio.sleep(AGAIN_S)

    async def _next(self) -> list[tuple[int, str]]:
        batch = [await self._queue.get()]
        while not self._queue.empty() and len(batch) < BATCH_MAX:
            batch.append(self._queue.get_nowait())
        now = time.monotonic()
        for number, tenant in dict.fromkeys(batch):
            self.wanted += [wanted(f"e{number}", watched, _key(number), now) for watched in self._tenants[tenant]]
        return batch


def _key(number: int) -> str:
    return f"u{number % KEYS}"


def _event(number: int, tenant: str) -> Outgoing:
    value = f'{{"event":"User.Created","createdAt":"2026","data":{{"n":{number},"pad":"{PAD}"}}}}'
    headers = (("event-id", f"e{number}".encode()), ("tenant-id", tenant.encode()))
    return Outgoing(topic=TOPIC, key=_key(number).encode(), value=value.encode(), headers=headers)
