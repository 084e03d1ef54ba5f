"""`hookline broker run|status`: a local Apache Kafka broker in the foreground, and where it is."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import click

from streams.cli.output import output_option, run, settings, show, tell
from streams.kafka import broker_files
from streams.kafka.broker import LocalBroker, silent
from streams.kafka.broker_jars import jars_path
from streams.settings import LOCAL_BROKER

EXIT_NOT_RUNNING = 3
COLUMNS = ("running", "bootstrap", "pid", "clusterId", "directory", "bytes")

data_dir_option = click.option(
    "--data-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where this broker keeps its records.  [default: HOOKLINE_DATA_DIR]",
)


@click.group()
def command() -> None:
    """Run a local Apache Kafka broker for development, or say where it is.

    It needs Java 17 and, once, Maven, which fetches Kafka (44 MB). It listens on 127.0.0.1 alone and keeps its records.
    """


@command.command("run")
@click.option(
    "--port",
    type=click.IntRange(1, 65534),
    default=int(LOCAL_BROKER.rpartition(":")[2]),
    show_default=True,
    help="Port for clients; the one after it is the controller's.",
)
@data_dir_option
def run_broker(port: int, data_dir: Path | None) -> None:
    """Run the broker until Ctrl-C; its address goes to stdout once it answers."""
    ours = settings()
    quiet = ours.log_level == "error"
    broker = LocalBroker(
        data_dir or ours.data_path, jars=jars_path(ours.data_path), port=port, tell=silent if quiet else tell
    )
    run(_until_told(broker))


@command.command()
@data_dir_option
@output_option
def status(data_dir: Path | None, output: str) -> None:
    """Say whether the broker runs, and where; exit code 0 when it does, 3 when not."""
    directory = (data_dir or settings().data_path).absolute()
    running = broker_files.find(directory)
    row = {
        "running": running is not None,
        "bootstrap": running and running.bootstrap,
        "pid": running and running.pid,
        "clusterId": running and running.cluster_id,
        "directory": str(directory),
        "bytes": broker_files.size(directory),
    }
    show([row], output, COLUMNS)
    if not running:
        sys.exit(EXIT_NOT_RUNNING)


async def _until_told(broker: LocalBroker) -> None:
    """Run the broker until SIGINT or SIGTERM, which also end a start or a download; or until it fails."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    serving = asyncio.create_task(_serve(broker))
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if not told.is_set():
            await serving
    finally:
        serving.cancel()
        waiting.cancel()
        await asyncio.gather(serving, waiting, return_exceptions=True)
        await broker.stop()


async def _serve(broker: LocalBroker) -> None:
    began = time.monotonic()
    await broker.start()
    click.echo(broker.bootstrap)
    broker.tell(f"ready after {time.monotonic() - began:.1f} s (pid {broker.pid}); Ctrl-C stops it")
    await broker.ended()
