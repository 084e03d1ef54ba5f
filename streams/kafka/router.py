"""The router: joins every event with the hooks in force and produces one delivery job per match.

Two Faust agents in one app. One takes the identity topics and `hooks.operations` through `core.joining`; the other
takes `hooks.config`, so that what has to be done about a hook record is done exactly once (`audit`), however many
processes read that topic into their views.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import faust

from streams.core import catalogue, deadletters, jobs
from streams.core.hooks import HookRules
from streams.core.joining import Join
from streams.core.records import DeadLetter, Incoming, Outgoing
from streams.kafka import agents, topics
from streams.kafka.audit import buried
from streams.kafka.clients import TopicPartition
from streams.kafka.continuity import Continuity
from streams.kafka.publisher import Publisher
from streams.settings import Settings
from streams.telemetry import Metrics, log

NAME = "router"

JOINED_BYTES_MAX = 16 * 1024 * 1024
"""Bodies held before they are sent: a batch of large events for many hooks must not all be in memory at once."""

Clock = Callable[[], int]
"""Now in Unix milliseconds."""


class Router:
    """The rules of the router with what they need; `take` and `audit` handle batches of its two agents.

    `owns_hooks` tells whether this process is the one that takes `hooks.config`.
    """

    def __init__(self, join: Join, rules: HookRules, publisher: Publisher, metrics: Metrics, clock: Clock) -> None:
        self.owns_hooks = False
        self._join = join
        self._rules = rules
        self._publisher = publisher
        self._metrics = metrics
        self._clock = clock

    async def take(self, records: list[Incoming]) -> None:
        """Join a batch of events; returns when all jobs and dead letters are durable."""
        out, size = list[Outgoing](), 0
        for record in records:
            self._metrics.events.labels(record.at.topic).inc()
            for made in self._joined(record):
                out.append(made)
                size += len(made.value or b"")
            if size >= JOINED_BYTES_MAX:
                await self._publish(out)
                out, size = [], 0
        await self._publish(out)

    async def audit(self, records: list[Incoming]) -> None:
        """Bury the hook records of a batch that do not validate."""
        out = list[Outgoing]()
        for record in records:
            out += buried(record, self._rules, self._clock())
            await asyncio.sleep(0)  # events are joined in the same loop
        await self._publish(out)

    def _joined(self, record: Incoming) -> list[Outgoing]:
        try:
            return self._join.records(record, self._clock())
        except Exception as error:  # noqa: BLE001 - a bug of ours met by one record must not stop its partition
            log("event.join_failed", logging.ERROR, error=error, at="/".join(map(str, record.at)))
            letter = DeadLetter(reason="internal-error", detail=type(error).__name__, original=record)
            return [deadletters.bury(letter, self._clock())]

    async def _publish(self, records: list[Outgoing]) -> None:
        await self._publisher.publish(records)
        for record in records:
            if record.topic == jobs.TOPIC:
                self._metrics.jobs.inc()
            elif record.topic == deadletters.TOPIC:
                tell_dead_letter(self._metrics, record)


def tell_dead_letter(metrics: Metrics, record: Outgoing) -> None:
    """One log line and one count, both under the record's fixed reason."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    metrics.dead_letters.labels(headers["reason"]).inc()
    origin = "/".join(headers[f"source-{part}"] for part in ("topic", "partition", "offset"))
    log("dead-letter", logging.WARNING, reason=headers["reason"], detail=headers["detail"], source=origin)


def build(settings: Settings, router: Router, ready: Callable[[], None]) -> faust.App:
    """The Faust app around a router; `ready` is called when partitions were assigned to it."""
    app = agents.app(settings, NAME)
    events, hooks = (Continuity(settings, agents.group(settings, NAME)) for _ in range(2))
    wait_s = settings.router_wait_ms / 1000
    prefix = settings.topic_prefix

    async def take(records: list[Incoming]) -> None:
        await events.check(records)
        await router.take(records)

    async def audit(records: list[Incoming]) -> None:
        await hooks.check(records)
        await router.audit(records)

    def listen(names: list[str], handle: Callable[[list[Incoming]], Awaitable[None]]) -> None:
        agents.consume(app, names, settings.router_batch_max, wait_s, handle)

    listen([prefix + name for name in catalogue.EVENT_TOPICS], take)
    listen([prefix + topics.CONFIG], audit)

    def assigned(owned: set[TopicPartition]) -> None:
        router.owns_hooks = any(at.topic == prefix + topics.CONFIG for at in owned)
        events.reset()
        hooks.reset()
        ready()

    agents.on_assignment(app, assigned)
    return app
