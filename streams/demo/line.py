"""What the demo starts and ends: a broker or a prefix on yours, three receivers with a hook each, and the roles."""

import asyncio
import math
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
from msgspec import Struct, structs

from streams.cli.up import ROLES, Say, Watch, role_environ
from streams.core.errors import BrokerUnreachable, LocalBrokerFailed
from streams.core.records import Outgoing
from streams.core.signing import WEBHOOK_ID
from streams.kafka import admin, clients, topics
from streams.kafka.answers import answered
from streams.kafka.broker import LocalBroker
from streams.kafka.broker_jars import jars_path
from streams.kafka.broker_ready import free_port
from streams.kafka.publisher import Publisher, publisher
from streams.settings import LOOPBACK, PREFIX, Settings
from streams.supervisor import Supervisor, first
from streams.web.receiver import Behaviour, Received, Receiver, Reply, misbehaving

ROLES_STOP_S = 3.0
"""A stop takes half a second; nothing of the demo is worth a longer wait."""

FORGET_S = 5.0
"""How long the demo tries to delete its topics from a cluster that is not its own."""

ID = "0123456789abcdefghijklmnopqrstuvwxyz"


class Line(Struct):
    """A line at work; `broken` waits until it is none any more, and raises why."""

    settings: Settings
    publisher: Publisher
    broken: Watch


def behaviours() -> dict[str, Behaviour]:
    """The receivers, by the names of their hooks."""
    return {"healthy": misbehaving(), "fails at times": _at_times, "always fails": misbehaving(math.inf)}


async def _at_times(request: Received) -> Reply:
    """Answer 500 to the first two attempts of every third delivery; more, and its breaker would open."""
    unlucky = crc32((request.header(WEBHOOK_ID) or "").encode()) % 3 == 0
    return Reply(status=500 if unlucky and request.attempt <= 2 else 200)


def hook_ids() -> dict[str, str]:
    """New ids for the hooks, and their names."""
    return {"demo" + "".join(secrets.choice(ID) for _ in range(17)): name for name in behaviours()}


@asynccontextmanager
async def line(
    configured: Settings, hooks: Mapping[str, str], say: Say, log_line: Callable[[bytes], None]
) -> AsyncIterator[Line]:
    """The line with these hooks, for the life of the block."""
    async with _ground(configured, say) as (settings, broken), publisher(settings) as out, AsyncExitStack() as stack:
        for hook, (name, behaviour) in zip(hooks, behaviours().items(), strict=True):
            receiver = await stack.enter_async_context(Receiver(behaviour))
            record = _hook(hook, name, receiver.url + "/")
            await out.publish([Outgoing(topic=topics.CONFIG, key=hook.encode(), value=orjson.dumps(record))])
        roles = Supervisor(lambda role: _environ(role, settings), say, log_line, progress=say)
        try:
            say("starting router, sender and health")
            await first(broken(), roles.start(*ROLES))
            yield Line(settings, out, lambda: first(broken(), roles.failed()))
        except LocalBrokerFailed:
            roles.kill()  # without their broker they could do nothing but wait for it
            raise
        finally:
            await roles.stop(ROLES_STOP_S)


@asynccontextmanager
async def _ground(configured: Settings, say: Say) -> AsyncIterator[tuple[Settings, Watch]]:
    """Topics under a prefix of the demo's own: on the configured cluster, or on a broker that is forgotten with it."""
    async with _broker(configured, say) as (bootstrap, broken):
        prefix = f"{configured.topic_prefix}demo-{secrets.token_hex(3)}."
        settings = structs.replace(
            configured, bootstrap_servers=bootstrap, topic_prefix=prefix, allow_networks=LOOPBACK
        )
        try:
            say(f"making {len(topics.TOPICS)} topics, {prefix}*")
            await admin.apply(settings)
            yield settings, broken
        finally:
            if configured.bootstrap_servers:
                await _forget(settings, say)


@asynccontextmanager
async def _broker(configured: Settings, say: Say) -> AsyncIterator[tuple[str, Watch]]:
    if configured.bootstrap_servers:
        yield configured.bootstrap_servers, asyncio.Event().wait
        return
    with tempfile.TemporaryDirectory(prefix="hookline-demo-") as directory:
        jars = jars_path(configured.data_path)
        async with LocalBroker(Path(directory), jars=jars, port=free_port(), tell=say) as broker:
            yield broker.bootstrap, broker.ended


async def _forget(settings: Settings, say: Say) -> None:
    """Delete the demo's topics. Groups without topics Kafka forgets by itself, after ten minutes by its default."""
    try:
        await answered(settings, asyncio.wait_for(_delete(settings), FORGET_S))
    except BrokerUnreachable:
        say(f"the topics {settings.topic_prefix}* may still be on {settings.bootstrap}: delete them when it answers")


async def _delete(settings: Settings) -> None:
    async with clients.admin(settings) as client:
        while ours := [name for name in await admin.topic_names(settings) if name.startswith(settings.topic_prefix)]:
            await client.delete_topics(ours)


def _hook(hook: str, name: str, url: str) -> dict[str, Any]:
    return {
        "id": hook,
        "tenantId": "default",
        "name": name,
        "events": ["*"],
        "config": {"url": url},
        "signingKey": secrets.token_hex(16),
        "enabled": True,
        "createdAt": 0,
        # Short enough to be watched; the one that always fails is given up before its breaker opens.
        "delivery": {"retry": {"scheduleSeconds": [0.3] if name == "always fails" else [0.3, 0.6, 1.2]}},
    }


def _environ(role: str, settings: Settings) -> dict[str, str]:
    ours = {PREFIX + "TOPIC_PREFIX": settings.topic_prefix, PREFIX + "PARK_AFTER_S": "1"}
    return role_environ(role, settings, os.environ) | ours
