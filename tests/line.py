"""The whole line for tests: the real entry points as subprocesses, a real receiver, and the topics read back."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import orjson

from streams.core.records import Outcome, Outgoing, Report
from streams.kafka import admin, reader, topics
from streams.kafka.broker import die_with
from streams.kafka.clients import TopicPartition
from streams.kafka.publisher import Publisher, publisher
from streams.settings import Settings

KEY = "0123456789abcdefghijABCDEFGHIJ01"
ROLES = ("router", "sender", "health")
STOP_S = 15


def hook_id(number: int) -> str:
    """A hook id of the right alphabet and length."""
    return f"hook{number:017d}"


def hook(number: int, url: str, events: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    """A hook record as an operator would write it."""
    config = {"url": url} | fields.pop("config", {})
    return {
        "id": hook_id(number),
        "tenantId": "default",
        "name": f"hook {number}",
        "events": events or ["*"],
        "config": config,
        "signingKey": KEY,
        "enabled": True,
        "createdAt": 1_790_000_000_000,
    } | fields


class Role:
    """One role as a process of its own; its log lines go to a file that a failing test may show."""

    def __init__(self, name: str, settings: Settings, directory: Path, instance: str = "a") -> None:
        self.name = name
        self.log = directory / f"{name}-{instance}.log"
        self._environ = environment(settings) | {"HOOKLINE_INSTANCE": f"{settings.topic_prefix}{instance}"}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, or start again after a kill."""
        with self.log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams", "run", self.name),
                env=self._environ,
                stdout=out,
                stderr=out,
                preexec_fn=partial(die_with, os.getpid(), signal.SIGKILL),
            )

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; answers the exit code."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return process.returncode if process and process.returncode is not None else 0
        process.send_signal(number)
        try:
            return await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"{self.name} did not stop within {STOP_S} s:\n{self.tail()}") from None

    async def exited(self) -> int:
        """Wait for it to end by itself; answers the exit code."""
        assert self._process is not None
        return await self._process.wait()

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text().splitlines()[-lines:])

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its log lines of one kind."""
        lines = (orjson.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]


class Line:
    """Topics, roles and a publisher under one prefix."""

    def __init__(self, settings: Settings, out: Publisher, roles: Mapping[str, Role]) -> None:
        self.settings = settings
        self.publisher = out
        self.roles = roles

    async def put(self, *hooks: Mapping[str, Any]) -> None:
        """Write hook records."""
        records = [Outgoing(topic=topics.CONFIG, key=h["id"].encode(), value=orjson.dumps(h)) for h in hooks]
        await self.publisher.publish(records)

    async def publish(self, topic: str, *values: bytes, key: bytes | None = b"u1", **headers: str) -> None:
        """Write identity events."""
        pairs = tuple((name.replace("_", "-"), text.encode()) for name, text in headers.items())
        await self.publisher.publish(Outgoing(topic=topic, key=key, value=value, headers=pairs) for value in values)

    async def read(self, topic: str) -> list[Any]:
        """Every record of a topic as it is now."""
        name = self.settings.topic_prefix + topic
        count = await reader.partition_count(self.settings, name)
        starts = {TopicPartition(name, number): -1 for number in range(count)}
        return [record async for record in reader.to_end(self.settings, starts)]

    async def outcomes(self, count: int, within_s: float = 60) -> list[Outcome]:
        """The outcomes on `hooks.log` once there are `count` different ids."""
        seen: list[Outcome] = []
        async with asyncio.timeout(within_s):
            async for record in reader.tail(
                self.settings, self.settings.topic_prefix + topics.LOG, from_beginning=True
            ):
                seen.append(msgspec.json.decode(record.value or b"", type=Outcome))
                if len({outcome.id for outcome in seen}) >= count:
                    break
        return seen

    async def dead_letters(self, count: int, within_s: float = 30) -> list[Any]:
        """The first `count` dead letters."""
        letters = []
        name = self.settings.topic_prefix + topics.DEAD_LETTERS
        async with asyncio.timeout(within_s):
            async for record in reader.tail(self.settings, name, from_beginning=True):
                letters.append(record)
                if len(letters) >= count:
                    break
        return letters

    async def settled(self, hook: str, requests: int) -> Report:
        """The hook's report once it counts `requests`; fails when it ever counts more, or is not renewed by then."""
        report = await self.report(hook, requests)
        assert report.request_count == requests, f"{report.request_count} counted, {requests} expected"
        return report

    async def report(self, hook: str, requests: int, within_s: float = 30) -> Report:
        """The first report of a hook that counts so many requests, or more."""
        name = self.settings.topic_prefix + topics.HEALTH
        async with asyncio.timeout(within_s):
            async for record in reader.tail(self.settings, name, from_beginning=True):
                if record.key == hook.encode() and record.value:
                    report = msgspec.json.decode(record.value, type=Report)
                    if report.request_count >= requests:
                        return report
        raise AssertionError("unreachable: a tail never ends by itself")


@asynccontextmanager
async def line(settings: Settings, directory: Path, names: tuple[str, ...] = ROLES) -> AsyncIterator[Line]:
    """Topics made, roles started; stopped at the end, with their logs shown when something failed."""
    await admin.apply(settings)
    roles = {name: Role(name, settings, directory) for name in names}
    async with publisher(settings) as out:
        try:
            for role in roles.values():
                await role.start()
            yield Line(settings, out, roles)
        except BaseException:
            for role in roles.values():
                print(f"--- {role.name}\n{role.tail()}")
            raise
        finally:
            await asyncio.gather(*(role.stop() for role in roles.values()))


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a subprocess these settings, and nothing of the caller's own."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    return base | {
        "HOOKLINE_BOOTSTRAP_SERVERS": settings.bootstrap,
        "HOOKLINE_TOPIC_PREFIX": settings.topic_prefix,
        "HOOKLINE_TOPIC_PARTITIONS": str(settings.topic_partitions),
        "HOOKLINE_ALLOW_NETWORKS": ",".join(settings.allow_networks),
        "HOOKLINE_DATA_DIR": settings.data_dir,
    }


def attempts_by_id(requests: list[Any]) -> Counter[str]:
    """How often each `webhook-id` arrived."""
    return Counter(request.header("webhook-id") for request in requests)
