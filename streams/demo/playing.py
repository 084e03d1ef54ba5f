"""What happens in the demo: a few identity events a second, what becomes of each, and the end of it all."""

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import orjson

from streams import settings as settings_module
from streams.core import stories
from streams.core.catalogue import EVENTS
from streams.core.records import Outcome, Outgoing, Report
from streams.demo.line import Line, hook_ids, line
from streams.demo.screen import Screen
from streams.demo.tally import Sight, Tally
from streams.kafka import reader, topics
from streams.kafka.answers import answered
from streams.kafka.publisher import Publisher
from streams.settings import PREFIX, Settings
from streams.supervisor import first, told, why

EVENTS_PER_S = 4

SETTLE_S = 30.0
"""How long the end waits for deliveries under way; the hooks' schedule takes 2.5 s, a busy machine its time."""

PATIENCE_S = 2.0
"""How long the end waits for retries that are due soon; what waits for an endpoint that only fails, waits on."""

SETTLE_TOLD_S = 4.5
"""The same after Ctrl-C, which ends everything within ten seconds; a second Ctrl-C ends the wait."""


async def play(seconds: float, began: float) -> Tally:
    """Play the demo for so many seconds of events (0: until Ctrl-C); `began` is when the command started."""
    tally, playing, over = Tally(hook_ids()), asyncio.Event(), asyncio.Event()
    demo = Demo(tally, began)
    await first(_cut_short(playing, over), demo.run(seconds, playing, over))
    return tally


async def _cut_short(playing: asyncio.Event, over: asyncio.Event) -> None:
    """Return when the demo has to end at once: at Ctrl-C before it plays; else at a second one, or some time later."""
    await told().wait()
    over.set()
    if playing.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told().wait(), SETTLE_TOLD_S)


class Demo:
    """One run of the demo, with what it has seen and how it looks."""

    def __init__(self, tally: Tally, began: float) -> None:
        self._tally = tally
        self._began = began
        self._screen = Screen(tally)

    async def run(self, seconds: float, playing: asyncio.Event, over: asyncio.Event) -> None:
        """Start the line, set `playing`, publish until `over` is set or the time is up, and see every delivery end."""
        configured = settings_module.load(os.environ)
        async with line(configured, self._tally.hooks, self._screen.say, self._watch) as ours:
            playing.set()
            if seconds:
                asyncio.get_running_loop().call_later(seconds, over.set)
            self._screen.hints = _hints(ours.settings)
            with self._screen.live():
                await answered(
                    ours.settings,
                    first(ours.broken(), self._follow(ours.settings), self._screen.redraw(), self._events(ours, over)),
                )
            self._screen.say("stopping")

    async def _events(self, ours: Line, over: asyncio.Event) -> None:
        """Stories of sign-ups, roles, organizations and sign-ins, a few events a second; then what is under way."""
        self._screen.phase = "running for {} s; Ctrl-C ends it"
        for event, key, payload in stories.stories(_now_ms(), _now_ms):
            await self._publish(ours.publisher, event, key, payload)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 1 / EVENTS_PER_S)
                break
        self._screen.phase = "waiting for the last deliveries; Ctrl-C ends it at once"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled(), SETTLE_S)

    async def _publish(self, out: Publisher, event: str, key: str, payload: bytes) -> None:
        event_id = f"demo-{self._tally.events.total()}"
        headers = (("event-id", event_id.encode()),)
        await out.publish([Outgoing(topic=EVENTS[event], key=key.encode(), value=payload, headers=headers)])
        self._tally.published(event, event_id)

    async def _settled(self) -> None:
        patience = time.monotonic() + PATIENCE_S
        while (
            self._tally.unexplained or not self._tally.reported or (self._tally.waiting and time.monotonic() < patience)
        ):
            await asyncio.sleep(0.1)

    async def _follow(self, settings: Settings) -> None:
        """Read outcomes, reports and what waits as they come."""
        names = [settings.topic_prefix + name for name in (topics.LOG, topics.RETRIES, topics.HEALTH)]
        async for record in reader.tail(settings, *names, from_beginning=True):
            if record.at.topic == names[0]:
                outcome = msgspec.json.decode(record.value or b"", type=Outcome)
                if not self._tally.ended:
                    self._screen.say(f"first delivery {time.monotonic() - self._began:.1f} s after the start")
                self._tally.outcome(outcome)
                self._screen.tell(_ended(outcome, self._tally.hooks[outcome.hook_id]))
            elif record.at.topic == names[1]:
                self._tally.waits((record.key or b"").decode(), settled=record.value is None)
            elif record.value:
                report = msgspec.json.decode(record.value, type=Report)
                self._tally.reports[report.hook_id] = report

    def _watch(self, line: bytes) -> None:
        """Show an attempt that will be repeated, from the sender's own log line; and what a role complains of."""
        entry = orjson.loads(line)
        if entry["event"] == "attempt" and entry["retry_in_s"] is not None:
            self._screen.tell(_retry(entry, self._tally.hooks[entry["hook"]]))
        elif entry.get("level") == "error" and entry["event"] in COMPLAINTS:
            self._screen.say(f"{entry['role']}: {entry['event']}: {why(entry)}")


COMPLAINTS = ("role.crashed", "sender.publish_failed", "role.stop_timed_out")
"""What a role logs as an error and lives on; how it died is told by the supervisor."""


def _ended(outcome: Outcome, hook: str) -> Sight:
    count = len(outcome.attempts)
    tries = f"{count} attempt{'s' if count > 1 else ''}"
    if outcome.error:
        answer = outcome.response.status if outcome.response else outcome.error.class_
        return Sight(_clock(), outcome.status, outcome.event, hook, f"{tries}, last {answer}")
    return Sight(_clock(), outcome.status, outcome.event, hook, f"{tries}, {_duration(outcome.duration_ms)}")


def _retry(entry: dict[str, Any], hook: str) -> Sight:
    detail = f"in {entry['retry_in_s']:.1f} s, after {entry['status'] or entry['answer']}"
    return Sight(_clock(), f"retry {entry['attempt']}", entry["identity_event"], hook, detail)


def _duration(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _hints(settings: Settings) -> tuple[str, ...]:
    """How to look closer from another terminal; short enough for 80 columns with one broker."""
    command = Path(sys.executable).with_name("hookline")
    shown = command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command
    return (
        "Look closer, in another terminal:",
        f"  export {PREFIX}BOOTSTRAP_SERVERS={settings.bootstrap}",
        f"  export {PREFIX}TOPIC_PREFIX={settings.topic_prefix}",
        f"  export {PREFIX}ALLOW_NETWORKS={','.join(settings.allow_networks)}",
        f"  {shown} health --watch",
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _clock() -> str:
    return time.strftime("%H:%M:%S")
