"""Composition root: builds the real clients, hands them to the roles, closes them in reverse; decides nothing.

A role is a coroutine that returns when `stop` is set and raises when it cannot go on; whoever started the
process starts it again.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from msgspec import Struct

from streams.core import catalogue
from streams.core.dispatch import Dispatch
from streams.core.hooks import HookRules
from streams.core.joining import Join
from streams.core.lane import Limits
from streams.kafka import admin, agents, clients, health, hook_records, permitted, retries, router, sender
from streams.kafka.audit import Rewriting
from streams.kafka.clock import BrokersClock
from streams.kafka.delivering import Delivering, Post
from streams.kafka.publisher import Publisher, publisher
from streams.kafka.retries import Bodies
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
async def ground(
    settings: Settings,
    role: str,
    changed: Callable[[str], None] = lambda _: None,
    make_publisher: Callable[[Settings], AbstractAsyncContextManager[Publisher]] = publisher,
) -> AsyncIterator[Ground]:
    """The ground for the life of the block. Raises BrokerRefuses and TopicsUnfit before anything is started."""
    await permitted.check(settings, role)
    await admin.check(settings)
    rules, metrics, assigned = hook_records.rules(settings), Metrics(), asyncio.Event()
    view = HookView(settings, rules, changed)
    if not settings.master_keys:
        log("secrets.plain", logging.WARNING, remedy="set HOOKLINE_MASTER_KEYS, then `hookline hook reseal`")
    if settings.allow_networks:
        log("networks.allowed", networks=list(settings.allow_networks))
    metrics.hooks.set_function(lambda: len(view.hooks.by_id))
    async with make_publisher(settings) as out, status.serve(settings.metrics_port, metrics.registry, assigned.is_set):
        reading = asyncio.create_task(view.run())
        try:
            await _first(view.ready.wait(), reading)
            yield Ground(settings, rules, view, out, metrics, assigned, reading)
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def run_router(settings: Settings, stop: asyncio.Event) -> None:
    """Play the router until `stop`."""
    async with ground(settings, router.NAME) as base:
        topics = {settings.topic_prefix + name: name for name in catalogue.EVENT_TOPICS}
        cluster = await admin.cluster_id(settings)
        join = Join(base.rules.catalogue, cluster, topics, base.view.hooks)
        role = router.Router(join, base.rules, base.publisher, base.metrics, now_ms)
        rewriting = Rewriting(settings, base.rules.ring, base.view, lambda: role.owns_hooks)
        app = router.build(settings, role, base.ready)
        watching = permitted.watch(settings, router.NAME)
        await _play(agents.play(app, stop), base.reading, watching, rewriting.run(base.publisher))


async def run_health(settings: Settings, stop: asyncio.Event) -> None:
    """Play the health role until `stop`."""
    changed: set[str] = set()
    async with ground(settings, health.NAME, changed.add) as base:
        role = health.Health(settings, base.publisher, base.metrics, now_ms, changed)
        app = health.build(settings, role, base.view, base.ready)
        await _play(agents.play(app, stop), base.reading, role.pulse(base.view), permitted.watch(settings, health.NAME))


class SenderParts(Struct, frozen=True):
    """What a sender is made of besides its rules; a test hands in parts that end the process at a chosen moment."""

    publisher: Callable[[Settings], AbstractAsyncContextManager[Publisher]] = publisher
    consumer: Callable[..., AbstractAsyncContextManager[Any]] = clients.consumer
    post: Callable[[Transport, Callable[[], int]], Post] = lambda transport, clock: Attempting(
        transport, clock, version("hookline")
    )
    clock: Callable[[], int] = now_ms


async def run_sender(settings: Settings, stop: asyncio.Event, parts: SenderParts | None = None) -> None:
    """Play the sender until `stop`."""
    parts = parts or SenderParts()
    changed: set[str] = set()
    group = agents.group(settings, sender.NAME)
    membership = {
        "group_instance_id": f"{settings.instance}-{sender.NAME}" if settings.instance else None,
        "session_timeout_ms": 20_000,
        "heartbeat_interval_ms": 3_000,
        "rebalance_timeout_ms": 30_000,
    }
    async with (
        ground(settings, sender.NAME, changed.add, parts.publisher) as base,
        Transport(settings) as transport,
        parts.consumer(settings, group=group, **membership) as consumer,
        clients.consumer(settings, chunk_bytes=retries.CHUNK_BYTES) as reader,
    ):
        clock = BrokersClock(base.publisher, parts.clock)
        log("clock.ahead", ms=await clock.ask())
        hooks = base.view.hooks.by_id
        delivering = Delivering(settings, hooks, parts.post(transport, clock), base.publisher, base.metrics, clock)
        dispatch = Dispatch(limits(settings), round(settings.config_wait_s * 1000), hooks, base.view.has)
        bodies = Bodies(reader, settings.topic_prefix)
        role = sender.Sender(settings, consumer, group, base.view, dispatch, delivering, bodies, base.metrics, changed)
        await _play(role.run(stop, base.ready), base.reading, permitted.watch(settings, sender.NAME))


def limits(settings: Settings) -> Limits:
    """What the settings bound in the lanes."""
    return Limits(
        in_flight=settings.in_flight_max,
        retries=settings.retries_in_flight_max,
        queue=settings.hook_queue_max,
        pending=settings.hook_pending_max,
        drain_per_s=settings.drain_per_s,
        park_ms=round(settings.park_after_s * 1000),
        age_ms=round(settings.pending_age_max_s * 1000),
    )


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
