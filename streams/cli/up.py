"""`hookline up`: the whole line on this machine, until Ctrl-C."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager

import click

from streams.cli import output
from streams.settings import LOCAL_BROKER, PREFIX, Settings

ROLES = ("router", "sender", "health")


@click.command()
def command() -> None:
    """Run the whole line on this machine until Ctrl-C: broker, topics, router, sender, health.

    \b
    Without -b or HOOKLINE_BOOTSTRAP_SERVERS a local Apache Kafka broker is started for as long as the line runs;
    its data stays, so the next `hookline up` goes on where this one ended. A role that dies is started again.
    Log lines of all roles go to stdout as JSON, words for people to stderr.

    \b
    Then, in other terminals:
      hookline listen
      hookline hook create --url http://127.0.0.1:9000/ --events 'User.*'
      hookline event sample User.Created | hookline event publish
    """
    settings = output.settings()
    environ, _ = click.get_current_context().obj
    output.run(_up(settings, environ))


async def _up(settings: Settings, environ: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ground(settings, stop):
        from streams.supervisor import Supervisor

        supervisor = Supervisor(lambda role: role_environ(role, settings, environ), output.tell, _pass_on)
        try:
            await _unless(stop, supervisor.start(*ROLES))
            if not stop.is_set():
                output.tell(f"the line is up on {settings.bootstrap}; Ctrl-C ends it")
                await _unless(stop, supervisor.watch())
        finally:
            output.tell("stopping")
            await supervisor.stop()


@asynccontextmanager
async def ground(settings: Settings, stop: asyncio.Event) -> AsyncIterator[None]:
    """Topics on the configured cluster, or on a local broker that lives as long as the block.

    A local broker that dies by itself sets `stop` and raises LocalBrokerFailed at the end of the block.
    """
    from streams.kafka import admin, broker_files
    from streams.kafka.broker import LocalBroker
    from streams.kafka.broker_jars import jars_path

    if settings.bootstrap_servers or broker_files.find(settings.data_path):
        await admin.apply(settings)
        yield
        return
    port = int(LOCAL_BROKER.rpartition(":")[2])
    jars = jars_path(settings.data_path)
    async with LocalBroker(settings.data_path, jars=jars, port=port, tell=output.tell) as broker:
        ended = asyncio.create_task(broker.ended())
        ended.add_done_callback(lambda _: stop.set())
        try:
            await admin.apply(settings)
            yield
            if ended.done() and not ended.cancelled():
                ended.result()
        finally:
            ended.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([ended])


def role_environ(role: str, settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """A role's environment: the caller's, what options changed, a static name, and a metrics port of its own."""
    return dict(environ) | {
        PREFIX + "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        PREFIX + "ALLOW_NETWORKS": ",".join(settings.allow_networks),
        PREFIX + "LOG_LEVEL": settings.log_level,
        PREFIX + "INSTANCE": settings.instance or f"{socket.gethostname()}-up",
        PREFIX + "METRICS_PORT": str(settings.metrics_port and settings.metrics_port + ROLES.index(role)),
    }


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Wait for `work`, or for `stop` if that comes first."""
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
    task.cancel()


def _pass_on(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
