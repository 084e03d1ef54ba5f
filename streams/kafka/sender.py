"""The sender: takes delivery jobs, has them delivered, and commits what is done.

The poll loop never waits for a POST: it hands every job to its hook's lane and pauses a partition that holds too much.
A job's offset may be committed when its outcome or its record on `hooks.retries` is durable, and only the contiguous
prefix of such offsets ever is (DESIGN 6-9). What waits survives: it is read back before the first job is taken.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from streams.core import jobs
from streams.core.dispatch import Dispatch
from streams.core.errors import HooklineError, TopicsUnfit
from streams.core.pending import Item
from streams.core.records import DeadLetter, Job
from streams.kafka import ended, reader, retries, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.delivering import Delivering
from streams.kafka.flights import Flights
from streams.kafka.partition import Partition
from streams.kafka.retries import Bodies
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import Metrics, log

NAME = "sender"

REVOKE_DRAIN_S = 3.0
"""How long a rebalance waits for POSTs on the wire; what is left ends without an owner (DESIGN 9)."""

RECONNECT_S = 1.0
COMMIT_S = 3.0
"""Without a broker a commit waits for ever; what was not committed is re-read, and known from the log."""

TEND_S = 0.25
"""How often hooks that changed and jobs that did not go are looked for; changes take effect within a second."""

POLL_MS = 50
RECORDS_MAX = 500


class _Stopped(Exception):
    pass


class Sender:
    """One member of the sender group, with the partitions it owns. `consumer` is the group's, not yet subscribed.

    `changed` is filled by the view with the ids of hooks whose records changed.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: Any,
        group: str,
        view: HookView,
        dispatch: Dispatch,
        delivering: Delivering,
        bodies: Bodies,
        metrics: Metrics,
        changed: set[str],
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._group = group
        self._view = view
        self._dispatch = dispatch
        self._delivering = delivering
        self._bodies = bodies
        self._metrics = metrics
        self._changed = changed
        self._topic = settings.topic_prefix + topics.DELIVERIES
        self._partitions: dict[int, Partition] = {}
        self._tasks = asyncio.TaskGroup()
        self._flights = Flights(dispatch, delivering, bodies, metrics, self._tasks)
        self._parking: set[asyncio.Task[None]] = set()
        self._epoch = 0
        self._count: int | None = None

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Take jobs until `stop` is set, then drain; raises what a job's task raised, which is a bug.

        `ready` is called when partitions were assigned.
        """
        listener = _Listener(lambda: self._release(REVOKE_DRAIN_S), ready)
        self._consumer.subscribe([self._topic], listener=listener)
        try:
            async with self._tasks:
                for work in (self._commit_often(), self._tend(), self._bodies.run()):
                    self._tasks.create_task(work)
                # In a task of its own, since a poll waits for ever while the group has no assignment to give.
                polling = self._tasks.create_task(self._poll_on())
                self._tasks.create_task(self._flights.run(lambda: self._partitions))
                await stop.wait()
                polling.cancel()
                await asyncio.wait([polling])
                await self._release(self._settings.drain_s)
                raise _Stopped
        except* _Stopped:
            log("sender.stopped")
        except* HooklineError as group:
            raise group.exceptions[0] from None

    async def _poll_on(self) -> None:
        while True:
            await self._poll()

    async def _poll(self) -> None:
        try:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
        except KafkaError as error:
            if not error.retriable:
                raise  # this client will not recover; the supervisor starts a new one
            log("sender.poll_failed", logging.WARNING, reason=repr(error))
            await asyncio.sleep(RECONNECT_S)
            return
        if any(partition.released for partition in self._partitions.values()):
            return  # a rebalance is letting go of them: their next owner is given these records
        missing = {at.partition for at in self._consumer.assignment()} - self._partitions.keys()
        if missing and not await self._restore(missing):
            return
        for at, messages in batches.items():
            partition = self._partitions[at.partition]
            crowded = [item for message in messages if (item := self._take(partition, reader.incoming(message)))]
            self._park(crowded)
        self._balance()
        self._flights.look()

    async def _restore(self, numbers: set[int]) -> bool:
        """Learn what ended and what waits in newly assigned partitions; False when they were revoked meanwhile."""
        epoch, now = self._epoch, self._delivering.clock()
        histories = await ended.read(self._settings, self._group, numbers)
        found = await retries.restore(self._settings, histories, self._ordered, now)
        if epoch != self._epoch:
            return False
        self._bodies.own(numbers | self._partitions.keys())
        count = self._counted()
        for number, waiting in found.items():
            partition = self._partitions[number] = Partition(number, count, histories[number], waiting)
            self._tasks.create_task(self._tidy(partition, waiting))
            self._dispatch.restore(self._not_under_way(partition, partition.restored()), waiting.holds)
        log(
            "sender.assigned",
            partitions=sorted(numbers),
            ended=sum(len(history.by_job_offset) for history in histories.values()),
            pending=sum(len(waiting.items) for waiting in found.values()),
        )
        return True

    def _counted(self) -> int:
        """How many partitions the topic has; raises TopicsUnfit when it grew under a running sender."""
        count = len(self._consumer.partitions_for_topic(self._topic))
        if self._count not in (None, count):
            raise TopicsUnfit(f"{self._topic} had {self._count} partitions when this sender began and has {count} now")
        self._count = count
        return count

    async def _tidy(self, partition: Partition, waiting: retries.Waiting) -> None:
        """Write what the last owner could not: the nulls of ended jobs; and bury what nobody can read."""
        for item in waiting.ended:
            partition.keep(item)
        for letter in waiting.letters.values():
            await self._delivering.bury(letter)
        if nulls := waiting.nulls(partition.number):
            await self._delivering.publish(nulls)
        for item in waiting.ended:
            partition.settled(item)

    def _ordered(self, hook_id: str) -> bool:
        known = self._view.hooks.by_id.get(hook_id)
        return known is not None and known.hook.delivery.ordering != "none"

    def _take(self, partition: Partition, record: Any) -> Item | None:
        """Begin whatever a record asks for; its offset is open until that is durable. Answers a job to be parked."""
        offset = record.at.offset
        if again := partition.reached(offset):
            self._dispatch.restore(self._not_under_way(partition, again), {})
        job = jobs.read(record)
        if isinstance(job, DeadLetter):
            partition.begin(offset, 0)
            self._tasks.create_task(self._bury(partition, job))
            return None
        if not partition.begin(offset, len(job.body)):
            return None
        if partition.knows(job):
            # No outcome: that of its delivery id stands for both. What it waits for, if anything, has a lower offset.
            self._metrics.duplicates.labels("sender").inc()
            partition.finish(offset, len(job.body))
            return None
        return self._begin(partition, job)

    def _begin(self, partition: Partition, job: Job) -> Item | None:
        item = Item(
            id=job.delivery_id,
            hook_id=job.hook_id,
            partition=partition.number,
            offset=job.at.offset,
            since=self._delivering.clock(),
            line=job.event_key,
            job=job,
        )
        partition.items[item.id] = item
        partition.keep(item)
        if item.id in self._flights.under_way:
            self._dispatch.follow(item)
            self._tasks.create_task(self._follow(partition, item, job))
            return None
        return None if self._dispatch.take(item, job.hook_version, item.since) else item

    def _not_under_way(self, partition: Partition, items: Iterable[Item]) -> list[Item]:
        """Without those that this process still has on the wire from before a rebalance; they are seen to."""
        free = []
        for item in items:
            if item.id in self._flights.under_way:
                self._dispatch.follow(item)
                self._tasks.create_task(self._follow(partition, item, None))
            else:
                free.append(item)
        return free

    async def _follow(self, partition: Partition, item: Item, job: Job | None) -> None:
        """A job that is on the wire, left over from before a rebalance, ends with that attempt or begins again.

        So does a replay that comes while its original's end is being written down; but that is not its own end.
        """
        flight = self._flights.under_way[item.id]
        if flight.task:
            await asyncio.wait([flight.task])
        if partition.released:
            return
        ended = flight.ended and not (job and job.replay)
        self._dispatch.followed(item, ended)
        if ended:
            partition.items.pop(item.id, None)
            partition.settled(item)
            if job is not None:
                partition.finish(item.offset, len(job.body))
        self._flights.look()

    async def _bury(self, partition: Partition, letter: DeadLetter) -> None:
        await self._delivering.bury(letter)
        partition.finish(letter.original.at.offset, 0)

    async def _tend(self) -> None:
        """Look after what no event tells: hooks that changed, jobs that did not go in time, the gauges."""
        while True:
            await asyncio.sleep(TEND_S)
            while self._changed:
                self._dispatch.changed(self._changed.pop())
            self._park(self._dispatch.overdue(self._delivering.clock()))
            self._flights.look()
            states = self._dispatch.states()
            self._metrics.pending.set(states.pop("waiting"))
            for state, count in states.items():
                self._metrics.breakers.labels(state).set(count)
            self._metrics.unfinished.set(sum(len(partition.items) for partition in self._partitions.values()))

    def _park(self, items: list[Item]) -> None:
        """Put jobs on `hooks.retries`, each partition's together."""
        by_partition: dict[int, list[Item]] = {}
        for item in items:
            by_partition.setdefault(item.partition, []).append(item)
        for number, some in by_partition.items():
            task = self._tasks.create_task(self._flights.park(self._partitions[number], some))
            self._parking.add(task)
            task.add_done_callback(self._parking.discard)

    def _balance(self) -> None:
        """Pause partitions that hold too much, resume them at half: the loop goes on polling either way.

        Whatever has not gone in a paused partition is parked, so that it is paused for as long as that takes.
        """
        jobs_max, bytes_max = self._settings.partition_jobs_max, self._settings.partition_bytes_max
        for number, partition in self._partitions.items():
            count, at = len(partition.offsets), TopicPartition(self._topic, number)
            if not partition.paused and (count >= jobs_max or partition.bytes >= bytes_max):
                self._consumer.pause(at)
                partition.paused = True
                self._park(self._dispatch.unstarted(number, self._delivering.clock()))
            elif partition.paused and count <= jobs_max // 2 and partition.bytes <= bytes_max // 2:
                self._consumer.resume(at)
                partition.paused = False

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_ms / 1000)
            await self._commit()

    async def _commit(self) -> None:
        """Commit what is safe. A commit that fails is not repeated: the next one, or the next owner, covers it."""
        safe = {TopicPartition(self._topic, n): at for n, p in self._partitions.items() if (at := p.commit())}
        try:
            async with asyncio.timeout(COMMIT_S):
                if safe:
                    await self._consumer.commit(safe)
        except (KafkaError, TimeoutError) as error:
            log("sender.commit_failed", logging.WARNING, reason=repr(error))

    async def _release(self, drain_s: float) -> None:
        """Let go of every partition: drop what waits, give POSTs on the wire `drain_s` to end, commit, forget."""
        self._dispatch.clear()
        for partition in self._partitions.values():
            partition.released = True
        try:
            await self._flights.clear(drain_s)
            if self._parking:
                await asyncio.wait(self._parking, timeout=drain_s)
            await self._commit()
        finally:  # aiokafka goes on whatever a listener raises; jobs dropped above must not count as known
            for partition in self._partitions.values():
                partition.lost = True
            self._dispatch.clear()
            self._partitions, self._epoch = {}, self._epoch + 1


class _Listener(ConsumerRebalanceListener):
    def __init__(self, release: Callable[[], Awaitable[None]], ready: Callable[[], None]) -> None:
        self._release = release
        self._ready = ready

    async def on_partitions_revoked(self, _: Any) -> None:
        await self._release()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Only say so: the poll loop restores the partitions before it takes anything."""
        log("partitions.assigned", count=len(assigned))
        self._ready()
