"""Runs the demo: broker, topics, roles, receivers, three hooks, and a few identity events a second.

Everything it starts ends with it, by itself after `--seconds` or on Ctrl-C. Exit code 0 when every delivery has
its outcome, 1 when one has not.
"""

import asyncio
import contextlib
import logging
import math
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson
from msgspec import structs

from streams import settings as settings_module
from streams.cli.up import role_environ
from streams.core import stories
from streams.core.catalogue import EVENTS
from streams.core.errors import HooklineError
from streams.core.records import Outcome, Outgoing, Report
from streams.demo.screen import Screen
from streams.demo.tally import Sight, Tally
from streams.kafka import admin, clients, reader, topics
from streams.kafka.broker import LocalBroker
from streams.kafka.broker_jars import jars_path
from streams.kafka.broker_ready import free_port
from streams.kafka.publisher import Publisher, publisher
from streams.settings import PREFIX, Settings
from streams.supervisor import Supervisor
from streams.web.receiver import Receiver, misbehaving
from streams.wiring import ROLES, now_ms

EVENTS_PER_S = 4
SETTLE_S = 8.0
"""How long the end waits for deliveries under way: the longest retry schedule of the demo's hooks, and some."""

HURRY_S = 4.0
"""The same after Ctrl-C, where all has to be over in 10 s."""

QUICK = {"scheduleSeconds": [0.4, 0.8, 1.6]}
"""The hooks' retry schedule: short enough to be watched."""


@click.command(help=__doc__)
@click.option("--seconds", default=0.0, help="End after so many seconds of events; 0 means on Ctrl-C.")
def main(seconds: float) -> None:
    """Run the demo and exit."""
    began = time.monotonic()
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries think is for the roles' logs
    try:
        tally = asyncio.run(_demo(seconds or math.inf, began))
    except HooklineError as error:
        click.echo(f"hookline: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(", ".join(f"{name} {count}" for name, count in tally.summary().items()))
    sys.exit(1 if tally.unexplained else 0)


async def _demo(seconds: float, began: float) -> Tally:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _ground() as settings, _receivers() as receivers, publisher(settings) as out:
        hooks = list(_hooks(receivers))
        await out.publish(Outgoing(topic=topics.CONFIG, key=h["id"].encode(), value=orjson.dumps(h)) for h in hooks)
        tally = Tally({hook["id"]: hook["name"] for hook in hooks})
        screen = Screen(tally, lambda: _title(settings, tally))
        supervisor = Supervisor(
            lambda role: role_environ(role, settings, os.environ) | {PREFIX + "TOPIC_PREFIX": settings.topic_prefix},
            _say,
            lambda line: _watch_attempt(line, tally, screen),
        )
        following = asyncio.create_task(_follow(settings, tally, screen, began))
        try:
            await _until(stop, supervisor.start(*ROLES), math.inf)
            screen.open()
            await _until(stop, _publish(out, tally), seconds)
            await _until(asyncio.Event(), _settled(tally), HURRY_S if stop.is_set() else SETTLE_S)
        finally:
            await supervisor.stop()
            following.cancel()
            await asyncio.wait([following])
            screen.close()
    return tally


@asynccontextmanager
async def _ground() -> AsyncIterator[Settings]:
    """The configured cluster under a prefix of the demo's own, or a broker that lives and is forgotten with it."""
    configured = settings_module.load(os.environ)
    prefix, networks = f"demo-{secrets.token_hex(3)}.", settings_module.LOOPBACK
    if configured.bootstrap_servers:
        settings = structs.replace(configured, topic_prefix=prefix, allow_networks=networks)
        await admin.apply(settings)
        try:
            yield settings
        finally:
            async with clients.admin(settings) as client:
                await client.delete_topics([settings.topic_prefix + topic.name for topic in topics.TOPICS])
        return
    with tempfile.TemporaryDirectory(prefix="hookline-demo-") as directory:
        jars = jars_path(configured.data_path)
        async with LocalBroker(Path(directory), jars=jars, port=free_port(), tell=_say) as broker:
            settings = structs.replace(
                configured, bootstrap_servers=broker.bootstrap, topic_prefix=prefix, allow_networks=networks
            )
            await admin.apply(settings)
            yield settings


@asynccontextmanager
async def _receivers() -> AsyncIterator[dict[str, Receiver]]:
    """Three endpoints on loopback: one healthy, one that fails twice first, one that always fails."""
    behaviours = {"healthy": misbehaving(), "fails twice": misbehaving(fail=2), "always fails": misbehaving(math.inf)}
    async with contextlib.AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(Receiver(b)) for name, b in behaviours.items()}


def _hooks(receivers: dict[str, Receiver]) -> Iterator[dict[str, Any]]:
    for number, (name, receiver) in enumerate(receivers.items()):
        yield {
            "id": f"demo{number}" + "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(16)),
            "tenantId": "default",
            "name": name,
            "events": ["*"],
            "config": {"url": receiver.url + "/"},
            "signingKey": secrets.token_hex(16),
            "enabled": True,
            "createdAt": now_ms(),
            "delivery": {"retry": QUICK},
        }


async def _publish(out: Publisher, tally: Tally) -> None:
    """Stories of sign-ups, roles, organizations and sign-ins, a few events a second."""
    for event, key, payload in stories.stories(now_ms(), now_ms):
        event_id = f"demo-{tally.events.total()}"
        headers = (("event-id", event_id.encode()),)
        tally.published(event, event_id)
        # Shielded: the end may come at any moment, and an event that is on its way will be delivered.
        await asyncio.shield(
            out.publish([Outgoing(topic=EVENTS[event], key=key.encode(), value=payload, headers=headers)])
        )
        await asyncio.sleep(1 / EVENTS_PER_S)


async def _follow(settings: Settings, tally: Tally, screen: Screen, began: float) -> None:
    """Read outcomes and reports as they come."""
    names = (settings.topic_prefix + topics.LOG, settings.topic_prefix + topics.HEALTH)
    async for record in reader.tail(settings, *names, from_beginning=True):
        if record.at.topic == names[0]:
            outcome = msgspec.json.decode(record.value or b"", type=Outcome)
            if not tally.ended:
                _say(f"first delivery {time.monotonic() - began:.1f} s after the start")
            tally.outcome(outcome)
            screen.tell(_ended(outcome, tally))
        elif record.value:
            report = msgspec.json.decode(record.value, type=Report)
            tally.reports[report.hook_id] = report
        screen.show()


def _ended(outcome: Outcome, tally: Tally) -> Sight:
    tries = f"{len(outcome.attempts)} attempt{'s' if len(outcome.attempts) > 1 else ''}, {outcome.duration_ms} ms"
    error = f": {outcome.error.message}" if outcome.error else ""
    return Sight(_clock(), outcome.status, outcome.event, tally.hooks[outcome.hook_id], tries + error)


def _watch_attempt(line: bytes, tally: Tally, screen: Screen) -> None:
    """Show a failed attempt that will be repeated, from the sender's own log line; and whatever a role complains of."""
    entry = orjson.loads(line)
    if entry["event"] == "attempt" and entry["retry_in_s"] is not None:
        detail = f"attempt {entry['attempt']} answered {entry['answer']}, again in {entry['retry_in_s']:.1f} s"
        screen.tell(Sight(_clock(), "retrying", entry["identity_event"], tally.hooks[entry["hook"]], detail))
    elif entry["level"] == "error" and entry["event"] != "library.message":
        _say(line.decode().rstrip())


async def _settled(tally: Tally) -> None:
    while tally.unexplained:
        await asyncio.sleep(0.1)


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None], seconds: float) -> None:
    """Do `work` until it is done, the time is up, or somebody asked to stop."""
    if stop.is_set():
        work.close()
        return
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    timeout = None if math.isinf(seconds) else seconds
    await asyncio.wait([doing, stopping], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if doing.done():
        doing.result()
    doing.cancel()
    await asyncio.wait([doing])


def _title(settings: Settings, tally: Tally) -> str:
    counts = tally.summary()
    return (
        f"Hookline demo: {counts['events']} events, {counts['deliveries']} deliveries, {counts['retries']} retries, "
        f"{counts['exhausted']} exhausted\n"
        "Ctrl-C ends it. To look closer, in another terminal:\n"
        f"  export {PREFIX}BOOTSTRAP_SERVERS={settings.bootstrap}\n"
        f"  export {PREFIX}TOPIC_PREFIX={settings.topic_prefix}\n"
        "  hookline health --watch"
    )


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _say(words: str) -> None:
    click.echo(words, err=True)


if __name__ == "__main__":
    main()
