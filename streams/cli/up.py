"""`hookline up`: the whole line on this machine, until Ctrl-C."""

import asyncio
import hashlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from streams.cli import output
from streams.core.errors import InvalidInput, LocalBrokerFailed
from streams.settings import LOCAL_BROKER, PREFIX, Settings

if TYPE_CHECKING:
    from streams.supervisor import Supervisor

ROLES = ("router", "sender", "health")

Say = Callable[[str], None]

Watch = Callable[[], Coroutine[Any, Any, object]]
"""Waits for what the line stands on to fail, and raises why."""


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
    output.run(_until_told(settings, environ, _silent if settings.log_level == "error" else output.tell))


async def _until_told(settings: Settings, environ: Mapping[str, str], say: Say) -> None:
    from streams.supervisor import first, told

    async def end() -> None:
        await told().wait()
        say("stopping")

    await first(end(), _line(settings, environ, say))


async def _line(configured: Settings, environ: Mapping[str, str], say: Say) -> None:
    """Everything, until it is cancelled or fails for good."""
    from streams.supervisor import Supervisor, first

    async with _ground(configured, say) as (settings, broken):
        with _alone(settings):
            roles = Supervisor(lambda role: role_environ(role, settings, environ), output.tell, _pass_on, progress=say)
            try:
                await first(broken(), _stay(roles, settings, say))
            except LocalBrokerFailed:
                roles.kill()  # without their broker they could do nothing but wait for it
                raise
            finally:
                await roles.stop()


async def _stay(roles: "Supervisor", settings: Settings, say: Say) -> None:
    say("starting router, sender and health")
    await roles.start(*ROLES)
    say(f"the line is up on {settings.bootstrap}; Ctrl-C ends it")
    await roles.failed()


@asynccontextmanager
async def _ground(settings: Settings, say: Say) -> AsyncIterator[tuple[Settings, Watch]]:
    """Topics on a broker: the one configured, the one that runs in the data directory, or one for this block's life.

    Answers the settings that name it, and what waits for it to break.
    """
    from streams.kafka import admin

    async with _broker(settings, say) as (found, broken):
        say(f"looking after the topics on {found.bootstrap}")
        await admin.apply(found)
        yield found, broken


@asynccontextmanager
async def _broker(settings: Settings, say: Say) -> AsyncIterator[tuple[Settings, Watch]]:
    from streams.kafka import broker_files
    from streams.kafka.broker import LocalBroker
    from streams.kafka.broker_jars import jars_path

    if settings.bootstrap_servers:
        yield settings, asyncio.Event().wait
    elif running := broker_files.find(settings.data_path):
        say(f"using the broker that runs in {settings.data_path} (pid {running.pid}, {running.bootstrap})")
        if running.bootstrap != LOCAL_BROKER:
            say(f"in other terminals:  export {PREFIX}BOOTSTRAP_SERVERS={running.bootstrap}{_networks(settings)}")
        yield structs.replace(settings, bootstrap_servers=running.bootstrap), asyncio.Event().wait
    else:
        port, jars = int(LOCAL_BROKER.rpartition(":")[2]), jars_path(settings.data_path)
        async with LocalBroker(settings.data_path, jars=jars, port=port, tell=say) as broker:
            yield structs.replace(settings, bootstrap_servers=broker.bootstrap), broker.ended


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Refuse to run beside another `up` of the same name on the same topics.

    Two static members of one name take the group from each other every three seconds, for ever and without a word.
    The guard is a socket that nobody connects to: the kernel frees its name however this process ends.
    """
    name = f"{settings.bootstrap} {settings.topic_prefix} {_instance(settings)}"
    with socket.socket(socket.AF_UNIX) as guard:
        try:
            guard.bind("\0hookline up " + hashlib.sha256(name.encode()).hexdigest())
        except OSError as error:
            raise InvalidInput(
                f"another `hookline up` named {_instance(settings)} runs on {settings.bootstrap} already: "
                "stop it, or give this one a name with HOOKLINE_INSTANCE"
            ) from error
        yield


def _networks(settings: Settings) -> str:
    """What a terminal has to export besides, for the brokers that it names are no longer the local one."""
    return f" {PREFIX}ALLOW_NETWORKS={','.join(settings.allow_networks)}" if settings.allow_networks else ""


def _instance(settings: Settings) -> str:
    return settings.instance or f"{socket.gethostname()}-up"


def role_environ(role: str, settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """A role's environment: the caller's, what options changed, a static name, and a metrics port of its own."""
    return dict(environ) | {
        PREFIX + "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        PREFIX + "ALLOW_NETWORKS": ",".join(settings.allow_networks),
        PREFIX + "LOG_LEVEL": settings.log_level,
        PREFIX + "INSTANCE": _instance(settings),
        PREFIX + "METRICS_PORT": str(settings.metrics_port and settings.metrics_port + ROLES.index(role)),
    }


def _pass_on(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _silent(_words: str) -> None:
    """Tell nobody."""
