"""`make bench`: the whole line on this machine, broker included, beside bare aiohttp in the same run."""

import asyncio
import os
import secrets
import tempfile
import time
from pathlib import Path

import aiohttp
import uvloop
from msgspec import structs

from streams.core.records import Outgoing
from streams.kafka.broker import LocalBroker
from streams.kafka.broker_jars import jars_path
from streams.kafka.broker_ready import free_port
from streams.settings import LOOPBACK, Settings
from tests.bench import restore
from tests.bench.sink import Sink
from tests.line import Line, hook, line

PAD = "x" * 800
HZ = os.sysconf("SC_CLK_TCK")
STEADY_EVENTS, STEADY_PER_S = 3000, 100
BURST_EVENTS = 20_000
POSTS = 5000


async def main() -> None:
    """Broker, line, sink; three measurements, one line each; then a restore, on a broker of its own."""
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as directory:
        jars = jars_path(Settings(data_dir=os.environ.get("HOOKLINE_DATA_DIR", "")).data_path)
        async with LocalBroker(Path(directory, "broker"), jars=jars, port=free_port(), tell=print) as broker:
            settings = Settings(
                bootstrap_servers=broker.bootstrap, topic_prefix="bench.", allow_networks=LOOPBACK, data_dir=directory
            )
            async with Sink() as sink, line(structs.replace(settings), Path(directory)) as the:
                reference = await _bare_posts(sink)
                await _warm(the, sink)
                await _steady(the, sink)
                await _burst(the, sink, "User.Created", 1, reference)
                await _burst(the, sink, "User.Deleted", 10, reference)
    await restore.main(restore.COUNT)


async def _bare_posts(sink: Sink) -> float:
    """Deliveries per second of aiohttp alone, in this process, beside its receiver: the reference."""
    body = _event(1, "PostSignIn").value
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def post() -> None:
            for _ in range(POSTS // 16):
                async with session.post(sink.url, data=body) as answer:
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(post() for _ in range(16)))
    rate = POSTS / (time.perf_counter() - began)
    print(f"reference: aiohttp alone, one process, 16 connections: {rate:,.0f} POSTs/s")
    return rate


async def _warm(the: Line, sink: Sink) -> None:
    hooks = [hook(number, sink.url, ["User.Deleted"]) for number in range(10)]
    await the.put(hook(99, sink.url, ["User.Created"], delivery={"maxInFlight": 16}), *hooks)
    before = sink.count
    await the.publisher.publish([_event(10**9, "User.Created")])
    await sink.until(before + 1)


async def _steady(the: Line, sink: Sink) -> None:
    """Publish to arrival at a steady rate, after the first second."""
    sink.arrived.clear()
    before, began, sent = sink.count, time.perf_counter(), dict[int, float]()
    tasks = set()
    for number in range(STEADY_EVENTS):
        await asyncio.sleep(max(0.0, began + number / STEADY_PER_S - time.perf_counter()))
        sent[number] = time.perf_counter()
        tasks.add(asyncio.create_task(the.publisher.publish([_event(number, "User.Created")])))
    await asyncio.gather(*tasks)
    await sink.until(before + STEADY_EVENTS)
    took = sorted(1000 * (sink.arrived[n] - at) for n, at in sent.items() if n >= STEADY_PER_S)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"steady {STEADY_PER_S}/s: publish to arrival p50 {p50:.1f} ms, p99 {p99:.1f} ms; memory {_memory(the)}")


async def _burst(the: Line, sink: Sink, event: str, fan_out: int, reference: float) -> None:
    """Everything at once: how fast the line works when it has more than enough to do."""
    events = BURST_EVENTS // (5 if fan_out > 1 else 1)
    before, cpu, began = sink.count, _cpu(the), time.perf_counter()
    for start in range(0, events, 500):
        await the.publisher.publish(_event(start + n, event) for n in range(500))
    await sink.until(before + events * fan_out)
    rate = events * fan_out / (time.perf_counter() - began)
    costs = ", ".join(f"{name} {1000 * (s - cpu[name]) / events / fan_out:.2f}" for name, s in _cpu(the).items())
    print(
        f"burst, fan-out {fan_out}: {rate:,.0f} deliveries/s ({rate / reference:.2f} of the reference); "
        f"CPU s per 1,000: {costs}; memory {_memory(the)}"
    )


def _event(number: int, name: str) -> Outgoing:
    value = f'{{"event":"{name}","createdAt":"2026","data":{{"pad":"{PAD}"}},"z":{{"seq":{number}}}}}'
    headers = (("event-id", secrets.token_hex(8).encode()),)
    return Outgoing(topic="identity.user", key=f"u{number % 500}".encode(), value=value.encode(), headers=headers)


def _cpu(the: Line) -> dict[str, float]:
    """CPU seconds of each role so far."""
    return {name: sum(map(int, _proc(role.pid, "stat").split()[13:15])) / HZ for name, role in the.roles.items()}


def _memory(the: Line) -> str:
    sizes = {name: _proc(role.pid, "status").partition("VmRSS:")[2].split()[0] for name, role in the.roles.items()}
    return ", ".join(f"{name} {int(kib) // 1024} MiB" for name, kib in sizes.items())


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


if __name__ == "__main__":
    uvloop.run(main())
