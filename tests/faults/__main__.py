"""`python -m tests.faults [--quick] [name...]`: the table of all faults, or of those whose names hold such a word."""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from rich.console import Console

from streams.kafka.broker import LocalBroker
from streams.kafka.broker_jars import jars_path
from streams.kafka.broker_ready import free_port
from streams.settings import Settings
from tests.faults import table
from tests.faults.running import run_all
from tests.faults.scenarios import FAULTS, Fault
from tests.faults.stage import Place


async def main(faults: list[Fault], quick: bool, keep: str) -> int:
    """Run them on a broker of their own; answers the exit code. What the roles logged is kept if a place is named."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports every broker that we take away
    console, began = Console(width=max(Console().width, 160)), time.monotonic()

    def tell(words: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {words}", markup=False, highlight=False, soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="hookline-faults-") as directory:
        kept = Path(keep or directory, "logs").absolute()
        kept.mkdir(parents=True, exist_ok=True)
        jars = jars_path(Settings(data_dir=os.environ.get("HOOKLINE_DATA_DIR", "")).data_path)
        async with LocalBroker(Path(directory, "broker"), jars=jars, port=free_port(), tell=tell) as broker:
            place = Place(bootstrap=broker.bootstrap, directory=kept, jars=jars, quick=quick)
            rows = await run_all(place, faults, tell)
    table.tell(console, rows)
    return 1 if any(row.broken for row in rows) else 0


def _chosen(words: list[str], quick: bool) -> list[Fault]:
    part = [fault for fault in FAULTS if (fault.quick if quick else fault.whole)]
    return [fault for fault in part if not words or any(word in fault.name for word in words)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="only faults whose names hold one of these")
    parser.add_argument("--quick", action="store_true", help="the part that runs inside `make test`, made shorter")
    parser.add_argument("--keep", default="", metavar="DIRECTORY", help="leave what the roles logged there")
    given = parser.parse_args()
    chosen = _chosen(given.names, given.quick)
    if not chosen:
        parser.error("no such fault; there are: " + ", ".join(fault.name for fault in FAULTS))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(chosen, given.quick, given.keep)))
