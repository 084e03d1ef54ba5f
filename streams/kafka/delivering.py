"""One job from its hook to its outcome: attempt, wait, attempt again, and write the one record that ends it.

Knows nothing of offsets and partitions' owners; the sender does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiokafka.errors import KafkaError

from streams.core import attempts, deadletters, retry
from streams.core.attempts import End, Wait
from streams.core.hooks import Known
from streams.core.records import Answer, Attempt, Coordinates, DeadLetter, Hook, Job, OutcomeError, Outgoing
from streams.kafka import topics
from streams.kafka.lanes import Lanes
from streams.kafka.publisher import Publisher
from streams.kafka.router import tell_dead_letter
from streams.kafka.view import HookView
from streams.settings import Settings
from streams.telemetry import Metrics, log

REPUBLISH_S = 1.0
"""Pause before a record is tried again that the broker did not take; it is tried until it is durable."""

VERSION_TRIES = 12
"""Times `config_wait_s`. A view that cannot read ends its role, so a view that runs is up to date by then."""

Post = Callable[[Job, Hook], Awaitable[Answer]]
"""One attempt: never raises, has its own deadline. Given by the wiring, so that this ring knows no HTTP."""

CANCELLED = End("cancelled", OutcomeError(class_="cancelled", message="The hook was disabled or deleted."))

_encoder = msgspec.json.Encoder()


class Delivery(msgspec.Struct, eq=False):
    """A job in work.

    `posting` tells a job on the wire, which must end, from one that waits, which may be dropped; `released` means
    that its partition went to another owner, who will begin it again unless it ends with this attempt.
    """

    job: Job
    posting: bool = False
    released: bool = False
    task: asyncio.Task[None] | None = None


class Delivering:
    """What deliveries share: the hooks, the slots, the way out to HTTP and the way back to Kafka."""

    def __init__(
        self,
        settings: Settings,
        view: HookView,
        post: Post,
        publisher: Publisher,
        metrics: Metrics,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._view = view
        self._post = post
        self._publisher = publisher
        self._metrics = metrics
        self._clock = clock
        self._lanes = Lanes(settings.in_flight_max)

    async def deliver(self, delivery: Delivery) -> Coordinates:
        """See a job to its end; answers where its outcome lies. Cancelled when another owner has to go on."""
        self._metrics.unfinished.inc()
        try:
            return await self.publish(await self._outcome(delivery))
        finally:
            self._metrics.unfinished.dec()

    async def bury(self, letter: DeadLetter) -> None:
        """Write a dead letter."""
        record = deadletters.bury(letter, self._clock())
        await self.publish(record)
        tell_dead_letter(self._metrics, record)

    async def publish(self, record: Outgoing) -> Coordinates:
        """Write a record, however long the broker takes: nothing may be committed before it is durable."""
        while True:
            try:
                return (await self._publisher.publish([record]))[0]
            except KafkaError as error:
                log("sender.publish_failed", logging.ERROR, topic=record.topic, reason=repr(error))
                await asyncio.sleep(REPUBLISH_S)

    async def _outcome(self, delivery: Delivery) -> Outgoing:
        job, history = delivery.job, list[Attempt]()
        while True:
            known = await self._hook(job)
            if known is None or not known.hook.enabled:
                return self._ended(job, known, CANCELLED, history, None)
            answer = await self._attempt(delivery, known.hook, history)
            plan = retry.schedule(known.hook, self._settings.retry_profile)
            draw = retry.draw(job.delivery_id, len(history))
            decision = attempts.decide(plan, answer, len(history), draw, self._clock())
            self._tell(job, len(history), answer, decision)
            if isinstance(decision, End):
                return self._ended(job, known, decision, history, answer)
            if delivery.released:
                raise asyncio.CancelledError
            delivery.posting = False
            await asyncio.sleep(decision.seconds)

    async def _attempt(self, delivery: Delivery, hook: Hook, history: list[Attempt]) -> Answer:
        """One POST in one of the hook's slots; it is added to the history. `posting` stays set for its outcome."""
        async with self._lanes.slot(hook):
            delivery.posting = True
            began = self._clock()
            with self._metrics.in_flight.track_inprogress():
                answer = await self._post(delivery.job, hook)
        history.append(attempts.record_of(answer, began))
        return answer

    async def _hook(self, job: Job) -> Known | None:
        """The hook as it is now, never older than the join saw; None when it was deleted.

        A version that does not come within a minute never will: `hooks.config` was made anew, and what is in it counts.
        """
        for _ in range(VERSION_TRIES):
            if await self._view.reached(job.hook_version, self._settings.config_wait_s):
                break
            log("hook.awaited", logging.WARNING, hook=job.hook_id, delivery=job.delivery_id)
        return self._view.hooks.by_id.get(job.hook_id)

    def _ended(
        self, job: Job, known: Known | None, end: End, history: list[Attempt], answer: Answer | None
    ) -> Outgoing:
        """The record for `hooks.log`, in the partition the job came from."""
        outcome = attempts.outcome(job, known.hook if known else None, end, history, answer, self._clock())
        self._metrics.outcomes.labels(outcome.status).inc()
        self._metrics.event_to_outcome_seconds.observe(max(outcome.created_at - job.event_at, 0) / 1000)
        value = _encoder.encode(outcome)
        return Outgoing(topic=topics.LOG, key=job.hook_id.encode(), value=value, partition=job.at.partition)

    def _tell(self, job: Job, attempt: int, answer: Answer, decision: Wait | End) -> None:
        """The one wide line of an attempt."""
        class_ = attempts.class_of(answer)
        self._metrics.attempts.labels(class_).inc()
        self._metrics.attempt_seconds.observe(answer.duration_ms / 1000)
        log(
            "attempt",
            delivery=job.delivery_id,
            hook=job.hook_id,
            tenant=job.tenant,
            identity_event=job.event,
            attempt=attempt,
            answer=class_,
            status=answer.status,
            ms=round(answer.duration_ms, 1),
            end=decision.status if isinstance(decision, End) else None,
            retry_in_s=round(decision.seconds, 3) if isinstance(decision, Wait) else None,
        )
