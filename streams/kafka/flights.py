"""Jobs under way: each goes when the dispatch says so, and what its attempt led to is durable before it counts.

Order of effects (DESIGN 7): outcome or retry record acknowledged, then the job's offset may be committed; outcome
acknowledged, then the retry record's null.
"""

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct

from streams.core import attempts, pending
from streams.core.attempts import Wait
from streams.core.dispatch import Dispatch
from streams.core.pending import Item
from streams.core.records import Answer, Attempt, Job
from streams.kafka.delivering import Delivering
from streams.kafka.partition import Partition
from streams.kafka.retries import Bodies
from streams.telemetry import Metrics, log


class Flight(Struct, eq=False):
    """A job on its way. `posting` tells one that must end from one that may be dropped and begun by another owner."""

    item: Item
    partition: Partition
    posting: bool = False
    ended: bool = False
    task: asyncio.Task[None] | None = None


class Flights:
    """Starts what may go, sees it to its durable effect. `tasks` is the sender's: a bug in a flight ends the role."""

    def __init__(
        self, dispatch: Dispatch, delivering: Delivering, bodies: Bodies, metrics: Metrics, tasks: asyncio.TaskGroup
    ) -> None:
        self.under_way: dict[str, Flight] = {}
        self._dispatch = dispatch
        self._delivering = delivering
        self._bodies = bodies
        self._metrics = metrics
        self._tasks = tasks
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Something changed that may let a job go."""
        self._changed.set()

    async def run(self, partitions: Callable[[], Mapping[int, Partition]]) -> None:
        """Start jobs as they may go, until cancelled. `partitions` answers with those that are owned."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            while item := self._dispatch.start(self._delivering.clock()):
                self._start(partitions()[item.partition], item)
            at = self._dispatch.next_at()
            alarm = None
            if at is not None:
                alarm = loop.call_later(max(at - self._delivering.clock(), 1) / 1000, self._changed.set)
            await self._changed.wait()
            if alarm:
                alarm.cancel()

    async def park(self, partition: Partition, items: list[Item]) -> None:
        """Put jobs that cannot go now on `hooks.retries`: it costs them no attempt, and memory keeps no body."""
        jobs = [item.job for item in items if item.job is not None]
        for item in items:
            item.due = item.since
        now = self._delivering.clock()
        records = [pending.put(job, item, [], now) for item, job in zip(items, jobs, strict=True)]
        places = await self._delivering.publish(records)
        self._metrics.puts.labels("parked").inc(len(records))
        for item, job, at in zip(items, jobs, places, strict=True):
            self._waits(partition, item, len(job.body), at.offset)
            if not partition.released:
                self._dispatch.parked(item)
        self.look()

    async def clear(self, drain_s: float) -> None:
        """Drop what is not on the wire, give what is `drain_s` to end."""
        posting = []
        for flight in list(self.under_way.values()):
            if flight.task and flight.posting:
                posting.append(flight.task)
            elif flight.task:
                flight.task.cancel()
        if posting:
            await asyncio.wait(posting, timeout=drain_s)

    def _start(self, partition: Partition, item: Item) -> None:
        flight = Flight(item, partition)
        partition.keep(item)
        self.under_way[item.id] = flight
        flight.task = self._tasks.create_task(self._fly(flight))
        # Not in a `finally`: a task that is cancelled before its first step never gets there.
        flight.task.add_done_callback(lambda _: self._land(flight))

    def _land(self, flight: Flight) -> None:
        del self.under_way[flight.item.id]
        self._dispatch.landed(flight.item)
        self.look()

    async def _fly(self, flight: Flight) -> None:
        item, partition = flight.item, flight.partition
        found = (item.job, list[Attempt]()) if item.job else await self._bodies.load(item)
        if found is None:
            self._vanished(flight)
            return
        job, history = found
        answer, decision = None, self._delivering.untried(item)
        flight.posting = True
        if decision is None:
            answer, decision = await self._delivering.attempt(job, history)
        overtook = self._answered(flight, answer)
        if isinstance(decision, Wait):
            await self._wait(flight, job, history, answer, decision)
            return
        record = self._delivering.outcome(job, decision, history, answer, overtook)
        at = (await self._delivering.publish([record]))[0]
        partition.wrote(at.offset)
        self._end(flight, len(job.body))
        if item.place >= 0:
            await self._delivering.publish([pending.settle(item)])
        partition.settled(item)

    def _answered(self, flight: Flight, answer: Answer | None) -> bool:
        """Tell the lane, unless it belongs to another process by now; True when the job overtook another."""
        if flight.partition.released:
            return False
        now = self._delivering.clock()
        failed = attempts.failed(answer) if answer else None
        hold_until = now + round(1000 * attempts.hold_s(answer, now)) if answer else 0
        overtook = self._dispatch.answered(flight.item, now, failed, hold_until)
        self.look()
        return overtook

    async def _wait(
        self, flight: Flight, job: Job, history: list[Attempt], answer: Answer | None, decision: Wait
    ) -> None:
        """Put the job on `hooks.retries`, unless its partition has another owner, who has begun it again."""
        item, partition = flight.item, flight.partition
        if partition.lost:
            return
        now = self._delivering.clock()
        hold_s = attempts.hold_s(answer, now) if answer else 0.0
        item.due, item.attempts = self._delivering.due(decision), len(history)
        item.began = history[0].at if history else 0
        record = pending.put(job, item, history, now, now + round(1000 * hold_s) if hold_s else 0)
        at = (await self._delivering.publish([record]))[0]
        self._metrics.puts.labels("retry").inc()
        self._waits(partition, item, len(job.body), at.offset)
        if not partition.released:
            self._dispatch.again(item)

    def _waits(self, partition: Partition, item: Item, size: int, place: int) -> None:
        """The job is on `hooks.retries` at this place: its offset may be committed, and its body forgotten."""
        if item.place < 0:
            partition.finish(item.offset, size)
        item.place, item.job = place, None
        partition.settled(item)

    def _end(self, flight: Flight, size: int) -> None:
        """The outcome is durable."""
        item, partition = flight.item, flight.partition
        flight.ended = True
        partition.items.pop(item.id, None)
        partition.recent.add(item.id)  # a restored one is not known yet
        if item.place < 0:
            partition.finish(item.offset, size)
        if not partition.released:
            self._dispatch.ended(item)
            self.look()

    def _vanished(self, flight: Flight) -> None:
        """Its record is gone: a process that owned the partition before has ended it meanwhile."""
        log("retry.vanished", delivery=flight.item.id, hook=flight.item.hook_id)
        flight.partition.items.pop(flight.item.id, None)
        flight.partition.settled(flight.item)
        if not flight.partition.released:
            self._dispatch.answered(flight.item, self._delivering.clock(), None)
            self._dispatch.ended(flight.item)
