"""Composition root: builds the real clients, hands them to the roles, closes them in reverse; decides nothing.

A role is a coroutine that returns when `stop` is set and raises when it cannot go on; whoever started the
process starts it again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from msgspec import Struct

from streams.core import catalogue
from streams.core.hooks import HookRules
from streams.core.joining import Join
from streams.kafka import admin, agents, clients, health, hook_records, router, sender
from streams.kafka.delivering import Delivering
from streams.kafka.publisher import Publisher, publisher
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import Metrics, log
from streams.web import status
from streams.web.attempting import Attempting
from streams.web.transport import Transport


def now_ms() -> int:
    """The wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Ground(Struct):
    """What every role stands on: checked topics, a complete view, a publisher, metrics on their port."""

    settings: Settings
    rules: HookRules
    view: HookView
    publisher: Publisher
    metrics: Metrics
    assigned: asyncio.Event
    reading: asyncio.Task[None]

    def ready(self) -> None:
        """Partitions were assigned; the role is at work from now on."""
        if not self.assigned.is_set():
            self.assigned.set()
            log("role.ready", hooks=len(self.view.hooks.by_id), topic_prefix=self.settings.topic_prefix)


@asynccontextmanager
async def ground(settings: Settings, changed: Callable[[str], None] = lambda _: None) -> AsyncIterator[Ground]:
    """The ground for the life of the block. Raises TopicsUnfit before anything is started."""
    await admin.check(settings)
    rules, metrics, assigned = hook_records.rules(settings), Metrics(), asyncio.Event()
    view = HookView(settings, rules, changed)
    if settings.allow_networks:
        log("networks.allowed", networks=list(settings.allow_networks))
    metrics.hooks.set_function(lambda: len(view.hooks.by_id))
    async with publisher(settings) as out, status.serve(settings.metrics_port, metrics.registry, assigned.is_set):
        reading = asyncio.create_task(view.run())
        try:
            await _first(view.ready.wait(), reading)
            yield Ground(settings, rules, view, out, metrics, assigned, reading)
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def run_router(settings: Settings, stop: asyncio.Event) -> None:
    """Play the router until `stop`."""
    async with ground(settings) as base:
        topics = {settings.topic_prefix + name: name for name in catalogue.TOPICS}
        cluster = await admin.cluster_id(settings)
        join = Join(base.rules.catalogue, cluster, topics, base.view.hooks)
        role = router.Router(join, base.rules, base.publisher, base.metrics, now_ms)
        app = router.build(settings, role, base.ready)
        await _play(agents.play(app, stop), base.reading)


async def run_health(settings: Settings, stop: asyncio.Event) -> None:
    """Play the health role until `stop`."""
    changed: set[str] = set()
    async with ground(settings, changed.add) as base:
        role = health.Health(settings, base.publisher, base.metrics, now_ms, changed)
        app = health.build(settings, role, base.view, base.ready)
        await _play(agents.play(app, stop), base.reading, role.pulse(base.view))


async def run_sender(settings: Settings, stop: asyncio.Event) -> None:
    """Play the sender until `stop`."""
    group = agents.group(settings, sender.NAME)
    async with (
        ground(settings) as base,
        Transport(settings) as transport,
        clients.consumer(
            settings,
            group=group,
            group_instance_id=f"{settings.instance}-{sender.NAME}" if settings.instance else None,
            session_timeout_ms=20_000,
            heartbeat_interval_ms=3_000,
            rebalance_timeout_ms=30_000,
        ) as consumer,
    ):
        post = Attempting(transport, now_ms, version("hookline"))
        delivering = Delivering(settings, base.view, post, base.publisher, base.metrics, now_ms)
        role = sender.Sender(settings, consumer, group, delivering, base.metrics)
        await _play(role.run(stop, base.ready), base.reading)


ROLES: dict[str, Callable[[Settings, asyncio.Event], Awaitable[None]]] = {
    "router": run_router,
    "sender": run_sender,
    "health": run_health,
}


async def _play(role: Awaitable[None], *beside: Awaitable[None]) -> None:
    """Run a role until it returns. When what goes on beside it fails, the role is cancelled and the failure raised."""
    background = [asyncio.ensure_future(work) for work in beside]
    try:
        await _first(role, *background)
    finally:
        for task in background:
            task.cancel()
        await asyncio.wait(background)
    log("role.stopped")


async def _first(work: Awaitable[Any], *watched: asyncio.Future[Any]) -> None:
    """Wait for `work`; if one of the watched fails before, raise what it raised."""
    task: asyncio.Future[Any] = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, *watched], return_when=asyncio.FIRST_COMPLETED)
        for done in (task, *watched):
            if done.done():
                done.result()
        await task
    finally:
        task.cancel()
