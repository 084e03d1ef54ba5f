"""The whole line for tests: the real entry points as subprocesses, a real receiver, and the topics read back."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from streams.core.records import Coordinates, Incoming, OperationalEvent, Outcome, Outgoing, Report
from streams.kafka import admin, reader, topics
from streams.kafka.broker import die_with
from streams.kafka.clients import TopicPartition
from streams.kafka.publisher import Publisher, publisher
from streams.settings import Settings
from tests.conftest import PREFIXES

ROOT = Path(__file__).parents[1]
KEY = "0123456789abcdefghijABCDEFGHIJ01"
ROLES = ("router", "sender", "health")
STOP_S = 15
READY_S = 40
TOOK_S = 20
POLL_S = 0.02
SECURITY = ("kafka_security_", "sasl_", "ssl_")


def apart(bootstrap: str, directory: Path, **fields: Any) -> Settings:
    """Settings of a line that a whole module of tests shares: topics of its own, three partitions each."""
    return Settings(
        bootstrap_servers=bootstrap,
        topic_prefix=next(PREFIXES),
        topic_partitions=3,
        data_dir=str(directory / "data"),
        **fields,
    )


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
        "events": ["*"] if events is None else events,
        "config": config,
        "signingKey": KEY,
        "enabled": True,
        "createdAt": 1_790_000_000_000,
    } | fields


class Role:
    """One role as a process of its own; its log lines go to a file that a failing test may show.

    `program` is what Python runs instead of the role's own command: an entry module of the test's own wiring.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        directory: Path,
        instance: str,
        program: tuple[str, ...] = (),
        metrics_port: int = 0,
    ) -> None:
        self.name = name
        self.log = directory / f"{name}-{instance}.log"
        self._program = program or ("-m", "streams", "run", name)
        self._environ = environment(settings) | {
            "HOOKLINE_INSTANCE": instance,
            "HOOKLINE_METRICS_PORT": str(metrics_port),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._began = 0

    async def start(self) -> None:
        """Start, or start again after a kill."""
        with self.log.open("ab") as out:
            self._began = out.tell()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._program),
                cwd=ROOT,
                env=self._environ,
                stdout=out,
                stderr=out,
                preexec_fn=partial(die_with, os.getpid(), signal.SIGKILL),
            )

    async def ready(self) -> None:
        """Wait until it has said that it is at work, since it was last started."""
        async with asyncio.timeout(READY_S):
            while not self.events("role.ready", self._began):
                assert self._process is not None, f"{self.name} was not started"
                assert self._process.returncode is None, f"{self.name} ended:\n{self.tail()}"
                await asyncio.sleep(POLL_S)

    async def took(self, offset: int) -> None:
        """Wait until it has read `hooks.config` up to this offset, whether it accepted the record or not."""
        async with asyncio.timeout(TOOK_S):
            while not any(
                line["offset"] >= offset for name in ("hook.changed", "hook.refused") for line in self.events(name)
            ):
                await asyncio.sleep(POLL_S)

    @property
    def pid(self) -> int:
        """Its process id; it must have been started."""
        assert self._process is not None
        return self._process.pid

    async def died(self, within_s: float = TOOK_S) -> int:
        """Wait until it ends by itself; answers the exit code."""
        assert self._process is not None, f"{self.name} was not started"
        return await asyncio.wait_for(self._process.wait(), within_s)

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

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text().splitlines()[-lines:])

    def events(self, name: str, start: int = 0) -> list[dict[str, Any]]:
        """Its log lines of one kind from a byte of the log on; the last line may still be being written."""
        with self.log.open("rb") as log:
            log.seek(start)
            whole = [line for line in log if line.endswith(b"\n") and line.startswith(b"{") and name.encode() in line]
        return [line for line in map(orjson.loads, whole) if line["event"] == name]


class Line:
    """Topics, roles and a publisher under one prefix."""

    def __init__(self, settings: Settings, out: Publisher, roles: Mapping[str, Role]) -> None:
        self.settings = settings
        self.publisher = out
        self.roles = roles

    async def put(self, *hooks: Mapping[str, Any]) -> list[Coordinates]:
        """Write hook records; answers where they lie."""
        records = [Outgoing(topic=topics.CONFIG, key=h["id"].encode(), value=orjson.dumps(h)) for h in hooks]
        return await self.publisher.publish(records)

    async def delete(self, *hook_ids: str) -> list[Coordinates]:
        """Write nulls for hooks; answers where they lie."""
        return await self.publisher.publish(
            Outgoing(topic=topics.CONFIG, key=hook_id.encode(), value=None) for hook_id in hook_ids
        )

    async def took(self, places: Iterable[Coordinates]) -> None:
        """Wait until every role, which must be ready, has read these records of `hooks.config`."""
        last = max(at.offset for at in places)
        await asyncio.gather(*(role.took(last) for role in self.roles.values()))

    async def ready(self) -> None:
        """Wait until every role is at work."""
        await asyncio.gather(*(role.ready() for role in self.roles.values()))

    async def restart(self) -> None:
        """End every role with SIGTERM, start it again and wait until it is at work."""
        await asyncio.gather(*(role.stop() for role in self.roles.values()))
        for role in self.roles.values():
            await role.start()
        await self.ready()

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
        async with self._following(topics.LOG, within_s) as records:
            async for record in records:
                seen.append(msgspec.json.decode(record.value or b"", type=Outcome))
                if len({outcome.id for outcome in seen}) >= count:
                    break
        return seen

    async def ended(self, hook: str, count: int, within_s: float = 30) -> list[Outcome]:
        """The outcomes of one hook once there are `count`."""
        seen: list[Outcome] = []
        async with self._following(topics.LOG, within_s) as records:
            async for record in records:
                if record.key == hook.encode():
                    seen.append(msgspec.json.decode(record.value or b"", type=Outcome))
                if len(seen) >= count:
                    break
        return seen

    async def dead_letters(self, count: int, within_s: float = 30) -> list[Any]:
        """The first `count` dead letters."""
        letters: list[Any] = []
        async with self._following(topics.DEAD_LETTERS, within_s) as records:
            async for record in records:
                letters.append(record)
                if len(letters) >= count:
                    break
        return letters

    async def operations(self, count: int, within_s: float = 30) -> list[tuple[str, OperationalEvent]]:
        """What is told on `hooks.operations`, with its event ids, once there are `count` different ids."""
        seen: list[tuple[str, OperationalEvent]] = []
        async with self._following(topics.OPERATIONS, within_s) as records:
            async for record in records:
                event_id = (record.header("event-id") or b"").decode()
                seen.append((event_id, msgspec.json.decode(record.value or b"", type=OperationalEvent)))
                if len({found for found, _ in seen}) >= count:
                    break
        return seen

    async def report(self, hook: str, requests: int, within_s: float = 30) -> Report:
        """The first report of a hook that counts so many requests, or more."""
        async with self._following(topics.HEALTH, within_s) as records:
            async for record in records:
                if record.key == hook.encode() and record.value:
                    report = msgspec.json.decode(record.value, type=Report)
                    if report.request_count >= requests:
                        return report
        raise AssertionError("unreachable: a tail never ends by itself")

    @asynccontextmanager
    async def _following(self, topic: str, within_s: float) -> AsyncIterator[AsyncIterator[Incoming]]:
        """A topic from its beginning on, for the life of the block and so many seconds at most."""
        records = reader.tail(self.settings, self.settings.topic_prefix + topic, from_beginning=True)
        async with asyncio.timeout(within_s), aclosing(records):
            yield records


@asynccontextmanager
async def line(
    settings: Settings,
    directory: Path,
    names: tuple[str, ...] = ROLES,
    static: bool = True,
    metrics_ports: Mapping[str, int] | None = None,
) -> AsyncIterator[Line]:
    """Topics made, roles started; stopped at the end, with their logs shown when something failed.

    Roles are static members of their groups, which makes restarts quick; others leave their group when they stop.
    """
    await admin.apply(settings)
    ports = metrics_ports or {}
    roles = {
        name: Role(name, settings, directory, "a" if static else "", metrics_port=ports.get(name, 0)) for name in names
    }
    async with publisher(settings) as out:
        try:
            for role in roles.values():
                await role.start()
            yield Line(settings, out, roles)
        except BaseException:
            _show_logs(roles.values())
            raise
        finally:
            await asyncio.gather(*(role.stop() for role in roles.values()))


def logs_of_a_failure(the: Line, request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests that share a line: the body of a fixture that shows the roles' logs under a test that failed."""
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        _show_logs(the.roles.values())


def _show_logs(roles: Iterable[Role]) -> None:
    for role in roles:
        sys.stdout.write(f"--- {role.name}\n{role.tail()}\n")


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a subprocess these settings, and nothing of the caller's own."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    security = {name: getattr(settings, name) for name in Settings.__struct_fields__ if name.startswith(SECURITY)}
    return (
        base
        | {f"HOOKLINE_{name.upper()}": value for name, value in security.items() if value}
        | {
            "HOOKLINE_BOOTSTRAP_SERVERS": settings.bootstrap,
            "HOOKLINE_TOPIC_PREFIX": settings.topic_prefix,
            "HOOKLINE_TOPIC_PARTITIONS": str(settings.topic_partitions),
            "HOOKLINE_ALLOW_NETWORKS": ",".join(settings.allow_networks),
            "HOOKLINE_EXTRA_EVENTS": ",".join(f"{name}={topic}" for name, topic in settings.extra_events.items()),
            "HOOKLINE_DATA_DIR": settings.data_dir,
            "HOOKLINE_MASTER_KEYS": settings.master_keys,
        }
    )


def attempts_by_id(requests: list[Any]) -> Counter[str]:
    """How often each `webhook-id` arrived."""
    return Counter(request.header("webhook-id") for request in requests)
