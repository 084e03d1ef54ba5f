"""A line with a receiver and a load on it, and the notes that are taken while a scenario breaks things."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from aiokafka.errors import KafkaError
from msgspec import Struct

from streams.core.errors import HooklineError
from streams.core.records import Outcome
from streams.kafka import reader, topics
from streams.supervisor import Supervisor
from tests.faults.commits import past_unfinished
from tests.faults.facts import SECRET, Ended, Facts, Span, Watched
from tests.faults.load import PER_S, PER_S_QUICK, Load, among
from tests.faults.receiver import Receiving
from tests.line import KEY, ROLES, Line, Role, apart, environment, line

SETTLED_S = 45.0
"""No outcome for so long, and what is missing is lost; a machine that is slow is another matter."""

LINGER_S = 1.0
"""A repeat that nobody asked for comes at once or never; there is no condition to wait for."""

ARRIVED_S = 10.0
"""The longest wait for what was published before the fault; what comes later was slow without it."""

MASTER_KEYS = "faults:" + "QUFB" * 10 + "QUE="
"""The line seals its hooks while things break."""

POLL_S = 0.05
WARM_S = 1.0
RSS_MIB_MAX = 600
"""I10: what a role may hold after all that, in MiB; the sender's target with a million waiting jobs."""


class Place(Struct, frozen=True, kw_only=True):
    """Where scenarios run: a broker that none of them kills, a directory, the jars for brokers of their own."""

    bootstrap: str
    directory: Path
    jars: Path
    quick: bool = False

    @property
    def per_s(self) -> int:
        """Events a second; the tests that run beside it want some of the machine too."""
        return PER_S_QUICK if self.quick else PER_S

    def seconds(self, whole: float, quick: float) -> float:
        """How long something takes in this run."""
        return quick if self.quick else whole


class Stage:
    """One scenario's line. `choose` says whose the next event is; a scenario may change it."""

    def __init__(self, the: Line, receiver: Receiving, load: Load, facts: Facts, directory: Path, per_s: int) -> None:
        self.line = the
        self.receiver = receiver
        self.load = load
        self.facts = facts
        self.directory = directory
        self.per_s = per_s
        self.choose: Callable[[int], str] = among(facts.hooks)
        self._logged: dict[tuple[int, int], Ended] = {}

    async def add(self, hooks: Iterable[Watched]) -> None:
        """Write hooks and wait until every role knows them."""
        hooks = list(hooks)
        self.load.knows(hooks)
        self.facts.hooks += [watched for watched in hooks if watched not in self.facts.hooks]
        places = await self.line.put(*(watched.record(self.receiver.url) for watched in hooks))
        if self.line.roles:
            await self.line.took(places)

    async def undisturbed(self, seconds: float) -> None:
        """Load with nothing else, until it has arrived; the first second warms up and does not count."""
        await self.load.steady(WARM_S, self.choose, self.per_s)
        begin = time.monotonic()
        await self.load.steady(seconds, self.choose, self.per_s)
        self.facts.undisturbed = Span(begin, time.monotonic())
        healthy = {watched.id for watched in self.facts.hooks if watched.healthy}
        with suppress(TimeoutError):
            async with asyncio.timeout(ARRIVED_S):
                await self.load.sent()
                sent = {job.id for job in self.load.wanted if job.hook in healthy}
                while not sent <= {arrival.id for arrival in self.receiver.arrivals}:
                    await asyncio.sleep(POLL_S)

    @asynccontextmanager
    async def disturbed(self) -> AsyncIterator[None]:
        """Load that goes on for the life of the block, which is the fault."""
        begin = time.monotonic()
        loading = asyncio.create_task(self.load.steady(3600, lambda number: self.choose(number), self.per_s))
        try:
            yield
        finally:
            self.facts.disturbed = Span(begin, time.monotonic())
            loading.cancel()
            await asyncio.wait([loading])

    async def kill(self, role: Role) -> None:
        """SIGKILL; only what a sender had in flight may be repeated."""
        begin = time.monotonic()
        await role.stop(signal.SIGKILL)
        if role.name == "sender":
            self.facts.unsafe.append(Span(begin, time.monotonic()))

    async def arrived(self, path: str, count: int, within_s: float = 30) -> None:
        """Wait until so many requests came for a hook."""
        async with asyncio.timeout(within_s):
            while sum(arrival.path == path for arrival in self.receiver.arrivals) < count:
                await asyncio.sleep(POLL_S)

    async def settled(self, within_s: float = SETTLED_S) -> Facts:
        """Wait until every job has its outcome, or none came for so long, and answer all that was noted."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.load.sent(), within_s)
        count, since = 0, time.monotonic()
        while self._missing() and time.monotonic() - since < within_s:
            if len(self._logged) > count:
                count, since = len(self._logged), time.monotonic()
            await asyncio.sleep(POLL_S)
        await asyncio.sleep(LINGER_S)
        facts = self.facts
        facts.wanted, facts.arrivals = self.load.wanted, self.receiver.arrivals
        facts.ended = list(self._logged.values())
        facts.problems += await past_unfinished(self.line.settings)
        facts.problems += [*self._told_secrets(), *self._too_large()]
        return facts

    def _missing(self) -> bool:
        return not {job.id for job in self.load.wanted} <= {one.outcome.id for one in self._logged.values()}

    async def follow(self) -> None:
        """Note every outcome once, for ever, also across a broker that dies."""
        name = self.line.settings.topic_prefix + topics.LOG
        while True:
            with suppress(KafkaError, HooklineError):
                async for record in reader.tail(self.line.settings, name, from_beginning=True):
                    at = (record.at.partition, record.at.offset)
                    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                        if at not in self._logged:
                            outcome = msgspec.json.decode(record.value or b"", type=Outcome)
                            self._logged[at] = Ended(outcome=outcome, seen=time.monotonic())
            await asyncio.sleep(POLL_S)

    def _told_secrets(self) -> Iterable[str]:
        outcomes = msgspec.json.encode([one.outcome for one in self._logged.values()])
        logs = {path.name: path.read_bytes() for path in self.directory.rglob("*.log") if "broker" not in path.parts}
        for where, text in {"an outcome": outcomes, **logs}.items():
            if KEY.encode() in text or SECRET.encode() in text:
                yield f"I7: a secret stands in {where}"

    def _too_large(self) -> Iterable[str]:
        for role in self.line.roles.values():
            with suppress(OSError, AssertionError):
                kib = Path(f"/proc/{role.pid}/status").read_text().partition("VmRSS:")[2].split()[0]
                if int(kib) // 1024 > RSS_MIB_MAX:
                    yield f"I10: the {role.name} holds {int(kib) // 1024} MiB"


@asynccontextmanager
async def stage(
    place: Place,
    fault: str,
    hooks: list[Watched],
    *,
    names: tuple[str, ...] = ROLES,
    supervised: bool = False,
    bootstrap: str = "",
    static: bool = True,
) -> AsyncIterator[Stage]:
    """A line of its own on the broker, at work, with its hooks known.

    `supervised` roles are started again when they die, as by `hookline up`; the others are the scenario's to kill.
    """
    directory = place.directory / "line"
    directory.mkdir()
    settings = apart(bootstrap or place.bootstrap, directory, allow_networks=("127.0.0.1/32",), master_keys=MASTER_KEYS)
    async with (
        Receiving() as receiver,
        line(settings, directory, names=() if supervised else names, static=static) as the,
        _supervising(the, directory, names if supervised else ()),
    ):
        it = Stage(the, receiver, Load(settings), Facts(fault=fault, hooks=list(hooks)), directory, place.per_s)
        await the.ready()
        await it.add(hooks)
        beside = [asyncio.create_task(it.load.run()), asyncio.create_task(it.follow())]
        try:
            yield it
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


@asynccontextmanager
async def _supervising(the: Line, directory: Path, names: tuple[str, ...]) -> AsyncIterator[None]:
    if not names:
        yield
        return
    with (directory / "supervised.log").open("ab") as log:

        def say(words: str) -> None:
            log.write(words.encode() + b"\n")

        def write(line: bytes) -> None:
            log.write(line)

        environ = environment(the.settings) | {"HOOKLINE_INSTANCE": "supervised"}
        supervisor = Supervisor(lambda _: environ, say, write)
        try:
            await supervisor.start(*names)
            yield
        finally:
            await asyncio.shield(supervisor.stop())
