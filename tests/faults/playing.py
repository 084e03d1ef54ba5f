"""A real sender whose parts a test has wrapped, run as the command line would run it."""

import asyncio
import os
import signal
import sys

import uvloop

from streams import settings, telemetry
from streams.wiring import SenderParts, run_sender


def play(parts: SenderParts) -> None:
    """Play the sender with these parts until SIGTERM, and end the process."""
    telemetry.configure("sender", "info")
    uvloop.run(_play(parts))


async def _play(parts: SenderParts) -> None:
    stop, code = asyncio.Event(), 1
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        await run_sender(settings.load(os.environ), stop, parts)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)
