"""A million jobs that wait: how long a sender takes to know them all again, and what it then holds.

`python -m tests.bench.restore [count]`, and at the end of `make bench`. The targets are 60 s and 600 MB.
"""

import asyncio
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop
from msgspec import structs

from streams.core import ids
from streams.core.records import Coordinates, Pending
from streams.kafka import admin, clients, topics
from streams.kafka.broker import LocalBroker
from streams.kafka.broker_jars import jars_path
from streams.kafka.broker_ready import free_port
from streams.settings import LOOPBACK, Settings
from tests.line import Line, Role, hook, hook_id, line

COUNT = 1_000_000
HOOKS = 100
PARTITIONS = 12
DUE_MS = 6 * 3_600_000
CHUNK = 10_000
LINGER_MS = 20
RESTORED_S = 600
NOBODY = "http://127.0.0.1:9/"
BODY = f'{{"event":"User.Created","createdAt":"2026","data":{{"pad":"{"x" * 900}"}},"hookId":"{hook_id(0)}"}}'


async def main(count: int) -> None:
    """Fill `hooks.retries`, start a sender, print what it took."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports each retry of a topic that is being made
    with tempfile.TemporaryDirectory(prefix="hookline-restore-") as directory:
        jars = jars_path(Settings(data_dir=os.environ.get("HOOKLINE_DATA_DIR", "")).data_path)
        async with LocalBroker(Path(directory, "broker"), jars=jars, port=free_port()) as broker:
            settings = Settings(
                bootstrap_servers=broker.bootstrap,
                topic_prefix="restore.",
                topic_partitions=PARTITIONS,
                allow_networks=LOOPBACK,
                data_dir=directory,
            )
            async with line(settings, Path(directory), names=()) as the:
                await measure(the, Path(directory), count)


async def measure(the: Line, directory: Path, count: int) -> None:
    """Two figures of one restore, on one line."""
    await admin.apply(the.settings)
    await the.put(*(hook(number, NOBODY) for number in range(HOOKS)))
    began = time.perf_counter()
    await fill(the.settings, count)
    filled, sender = time.perf_counter() - began, Role("sender", the.settings, directory, "restore")
    began = time.perf_counter()
    await sender.start()
    try:
        found = await _restored(sender, count)
        took, mib = time.perf_counter() - began, _memory(sender)
    finally:
        await sender.stop()
    print(
        f"restore of {found:,} waiting jobs of 1 KB: {took:.1f} s from the start of the process, "
        f"{mib} MiB (written in {filled:.0f} s)"
    )


async def fill(settings: Settings, count: int) -> None:
    """Write that many jobs that wait for hours."""
    due, encode = time.time_ns() // 1_000_000 + DUE_MS, msgspec.json.Encoder().encode
    name = settings.topic_prefix + topics.RETRIES
    pattern = Pending(
        id="",
        hook_id="",
        tenant_id="default",
        event="User.Created",
        event_id="",
        event_at=0,
        due_at=due,
        wait_ms=DUE_MS,
        source=Coordinates("identity.user", 0, 0),
        job=Coordinates(settings.topic_prefix + topics.DELIVERIES, 0, 0),
        hook_version=(0, 0),
        body=BODY,
    )
    async with clients.producer(settings, linger_ms=LINGER_MS) as producer:
        for start in range(0, count, CHUNK):
            sent = []
            for number in range(start, min(start + CHUNK, count)):
                record = _pending(pattern, number)
                at = record.job.partition
                sent.append(await producer.send(name, encode(record), record.id.encode(), partition=at))
            await asyncio.gather(*sent)


def _pending(pattern: Pending, number: int) -> Pending:
    """The job of a number; a hook's jobs lie in one partition."""
    event, of = f"e{number}", number % HOOKS
    return structs.replace(
        pattern,
        id=ids.delivery_id(event, hook_id(of)),
        hook_id=hook_id(of),
        event_id=event,
        job=Coordinates(pattern.job.topic, of % PARTITIONS, number // HOOKS),
    )


async def _restored(sender: Role, count: int) -> int:
    """Wait until it says how many it knows; answers that."""
    async with asyncio.timeout(RESTORED_S):
        while True:
            known: int = sum(line["pending"] for line in sender.events("sender.assigned"))
            if known >= count:
                return known
            await asyncio.sleep(0.1)


def _memory(role: Role) -> int:
    return int(Path(f"/proc/{role.pid}/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT))
