"""The sender: takes delivery jobs, has them delivered, and commits what is done.

The poll loop never waits for a POST: it hands every job to a task of its own and pauses a partition that
holds too much. An outcome is durable before its job's offset may be committed, and only the contiguous prefix
of finished offsets ever is (DESIGN 6-9). Waits between attempts stay in memory here: a restart begins such a
job again, with the same id and the same bytes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from streams.core import jobs
from streams.core.errors import HooklineError
from streams.core.records import DeadLetter, Job
from streams.kafka import ended, reader, topics
from streams.kafka.clients import TopicPartition
from streams.kafka.delivering import Delivering, Delivery
from streams.kafka.partition import Partition
from streams.settings import Settings
from streams.telemetry import Metrics, log

NAME = "sender"

REVOKE_DRAIN_S = 3.0
"""How long a rebalance waits for POSTs on the wire; what is left ends without an owner (DESIGN 9)."""

RECONNECT_S = 1.0
COMMIT_S = 3.0
"""Without a broker a commit waits for ever; what was not committed is re-read, and known from the log."""

POLL_MS = 50
RECORDS_MAX = 500


class _Stopped(Exception):
    pass


class Sender:
    """One member of the sender group, with the partitions it owns. `consumer` is the group's, not yet subscribed."""

    def __init__(self, settings: Settings, consumer: Any, group: str, delivering: Delivering, metrics: Metrics) -> None:
        self._settings = settings
        self._consumer = consumer
        self._group = group
        self._delivering = delivering
        self._metrics = metrics
        self._topic = settings.topic_prefix + topics.DELIVERIES
        self._partitions: dict[int, Partition] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks = asyncio.TaskGroup()
        self._epoch = 0

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Take jobs until `stop` is set, then drain; raises what a job's task raised, which is a bug.

        `ready` is called when partitions were assigned.
        """
        listener = _Listener(lambda: self._release(REVOKE_DRAIN_S), ready)
        self._consumer.subscribe([self._topic], listener=listener)
        try:
            async with self._tasks:
                self._tasks.create_task(self._commit_often())
                # In a task of its own, since a poll waits for ever while the group has no assignment to give.
                polling = self._tasks.create_task(self._poll_on())
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
        if any(at.partition not in self._partitions for at in batches) and not await self._restore():
            return
        for at, messages in batches.items():
            for message in messages:
                self._take(self._partitions[at.partition], jobs.read(reader.incoming(message)))
        self._balance()

    async def _restore(self) -> bool:
        """Learn what ended in newly assigned partitions; False when they were revoked meanwhile."""
        epoch, numbers = self._epoch, {at.partition for at in self._consumer.assignment()} - self._partitions.keys()
        histories = await ended.read(self._settings, self._group, numbers)
        if epoch != self._epoch:
            return False
        for number, history in histories.items():
            self._partitions[number] = Partition(number, history)
        log("sender.assigned", partitions=sorted(numbers), ended=sum(len(h.by_job_offset) for h in histories.values()))
        return True

    def _take(self, partition: Partition, job: Job | DeadLetter) -> None:
        """Start whatever a record asks for; its offset is open until that is durable."""
        if isinstance(job, DeadLetter):
            partition.begin(job.original.at.offset, 0)
            self._tasks.create_task(self._bury(partition, job))
            return
        if not partition.begin(job.at.offset, len(job.body)):
            return
        new = partition.recent.add(job.delivery_id)
        if job.delivery_id in self._running:
            self._tasks.create_task(self._follow(partition, job, self._running[job.delivery_id]))
        elif new:
            self._start(partition, job)
        else:
            self._drop(partition, job)

    def _start(self, partition: Partition, job: Job) -> None:
        delivery = Delivery(job)
        partition.deliveries.add(delivery)
        task = self._tasks.create_task(self._deliver(partition, delivery))
        delivery.task = self._running[job.delivery_id] = task
        # Not in a `finally`: a task that is cancelled before its first step never gets there.
        task.add_done_callback(lambda _: self._forget(partition, delivery))

    def _forget(self, partition: Partition, delivery: Delivery) -> None:
        partition.deliveries.discard(delivery)
        del self._running[delivery.job.delivery_id]

    async def _deliver(self, partition: Partition, delivery: Delivery) -> None:
        job = delivery.job
        at = await self._delivering.deliver(delivery)
        partition.finish(job.at.offset, len(job.body), at.offset)

    async def _bury(self, partition: Partition, letter: DeadLetter) -> None:
        await self._delivering.bury(letter)
        partition.finish(letter.original.at.offset, 0)

    async def _follow(self, partition: Partition, job: Job, running: asyncio.Task[None]) -> None:
        """A job that is in work already (a duplicate, or left over from before a rebalance) ends with that one."""
        await asyncio.wait([running])
        again = self._running.get(job.delivery_id)
        if partition.released:
            return
        if not running.cancelled():
            self._drop(partition, job)
        elif again is not None:
            await self._follow(partition, job, again)
        else:
            self._start(partition, job)

    def _drop(self, partition: Partition, job: Job) -> None:
        """A duplicate needs no outcome: the one of its delivery id stands for both."""
        self._metrics.duplicates.labels("sender").inc()
        partition.finish(job.at.offset, len(job.body))

    def _balance(self) -> None:
        """Pause partitions that hold too much, resume them at half: the loop goes on polling either way."""
        jobs_max, bytes_max = self._settings.partition_jobs_max, self._settings.partition_bytes_max
        for number, partition in self._partitions.items():
            count, at = len(partition.offsets), TopicPartition(self._topic, number)
            if not partition.paused and (count >= jobs_max or partition.bytes >= bytes_max):
                self._consumer.pause(at)
                partition.paused = True
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
        posting, released = [], self._partitions
        for partition in released.values():
            partition.released = True
        for delivery in [d for partition in released.values() for d in partition.deliveries]:
            if delivery.task and delivery.posting:
                delivery.released = True
                posting.append(delivery.task)
            elif delivery.task:
                delivery.task.cancel()
        try:
            if posting:
                await asyncio.wait(posting, timeout=drain_s)
            await self._commit()
        finally:  # aiokafka goes on whatever a listener raises; jobs dropped above must not count as known
            self._partitions, self._epoch = {}, self._epoch + 1


class _Listener(ConsumerRebalanceListener):
    def __init__(self, release: Callable[[], Awaitable[None]], ready: Callable[[], None]) -> None:
        self._release = release
        self._ready = ready

    async def on_partitions_revoked(self, _: Any) -> None:
        await self._release()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Only say so: the poll loop restores a partition when its first records come."""
        log("partitions.assigned", count=len(assigned))
        self._ready()
