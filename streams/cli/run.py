"""`hookline run router|sender|health`: play one role until SIGTERM or Ctrl-C."""

import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

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
    from streams.kafka import refusals  # here, because it imports aiokafka and `--help` should not

    settings = output.settings()
    telemetry.configure(role, settings.log_level, refusals.repeated)
    uvloop.run(_play_and_end(role, settings))


async def _play_and_end(role: str, settings: Settings) -> NoReturn:
    """Play the role and end the process, not just the event loop.

    A crashed Faust app leaves tasks and a thread behind that nobody can end, and that would keep this process; also
    when it was the log that failed, because whoever read it is gone.
    """
    code = 1
    try:
        code = await _play(role, settings)
        sys.stdout.flush()
    finally:
        os._exit(code)


async def _play(role: str, settings: Settings) -> int:
    """The exit code: 0 when told to stop, else that of the error."""
    from streams import wiring  # here, because it imports everything and `--help` should not
    from streams.kafka import refusals

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await wiring.ROLES[role](settings, stop)
    except HooklineError as error:
        telemetry.log("role.failed", logging.ERROR, reason=str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost place: whatever it was is logged and ends the process
        if refusal := refusals.forbidden(settings, error):
            telemetry.log("role.failed", logging.ERROR, reason=str(refusal))
            return refusal.exit_code
        telemetry.log("role.failed", logging.ERROR, error=error)
        return 1
    return 0
