"""`hookline run router|sender|health`: play one role until SIGTERM or Ctrl-C."""

import asyncio
import logging
import signal

import click
import uvloop

from streams import telemetry
from streams.cli import output
from streams.core.errors import HooklineError
from streams.settings import Settings

ROLES = ("router", "sender", "health")


@click.command()
@click.argument("role", type=click.Choice(ROLES))
def command(role: str) -> None:
    """Play one role until SIGTERM or Ctrl-C, logging JSON lines to stdout.

    \b
    router   joins identity events with hooks and produces delivery jobs
    sender   POSTs the jobs and writes their outcomes
    health   folds outcomes into a 24-hour report per hook
    """
    settings = output.settings()
    telemetry.configure(role, settings.log_level)
    uvloop.run(_play(role, settings))


async def _play(role: str, settings: Settings) -> None:
    from streams import wiring  # here, because it imports everything and `--help` should not

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await wiring.ROLES[role](settings, stop)
    except HooklineError as error:
        telemetry.log("role.failed", logging.ERROR, reason=str(error))
        raise
    except Exception as error:
        telemetry.log("role.failed", logging.ERROR, error=error)
        raise SystemExit(1) from error
