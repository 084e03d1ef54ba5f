"""One go at a job: its hook as it is now, one attempt, and what follows from the answer.

Knows nothing of offsets and partitions' owners; `flights` does.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from aiokafka.errors import KafkaError

from streams.core import attempts, deadletters, retry
from streams.core.attempts import End, Wait
from streams.core.hooks import Known
from streams.core.pending import Item
from streams.core.records import Answer, Attempt, Coordinates, DeadLetter, Hook, Job, OutcomeError, Outgoing
from streams.kafka import refusals, topics
from streams.kafka.publisher import Publisher
from streams.kafka.router import tell_dead_letter
from streams.settings import Settings
from streams.telemetry import Metrics, log

REPUBLISH_S = 1.0
"""Pause before a record is tried again that the broker did not take; it is tried until it is durable."""

Post = Callable[[Job, Hook], Awaitable[Answer]]
"""One attempt: never raises, has its own deadline. Given by the wiring, so that this ring knows no HTTP."""

CANCELLED = End("cancelled", OutcomeError(class_="cancelled", message="The hook was disabled or deleted."))
EXPIRED = End("expired", OutcomeError(class_="expired", message="The hook's endpoint failed for too long: replay it."))

_encoder = msgspec.json.Encoder()


class Delivering:
    """What deliveries share: the hooks, the way out to HTTP and the way back to Kafka."""

    def __init__(
        self,
        settings: Settings,
        hooks: Mapping[str, Known],
        post: Post,
        publisher: Publisher,
        metrics: Metrics,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._post = post
        self._publisher = publisher
        self._metrics = metrics
        self.clock = clock

    def untried(self, item: Item) -> End | Wait | None:
        """What becomes of a job without an attempt, as its hook is now; None when one is to be made."""
        known = self._hooks.get(item.hook_id)
        if known is None or not known.keeps:
            return CANCELLED
        if item.expired:
            return EXPIRED
        # Disabled a moment ago, and pending jobs are kept; or enabled a moment ago, and it was let go to be cancelled.
        return None if known.sends and item.posts else Wait(0.0)

    async def attempt(self, job: Job, history: list[Attempt]) -> tuple[Answer, Wait | End]:
        """One POST, added to the history, and what follows from it."""
        hook = self._hooks[job.hook_id].hook
        began = self.clock()
        with self._metrics.in_flight.track_inprogress():
            answer = attempts.masked(await self._post(job, hook), hook)
        history.append(attempts.record_of(answer, began))
        plan = retry.schedule(hook, self._settings.retry_profile)
        draw = retry.draw(job.delivery_id, len(history))
        decision = attempts.decide(plan, answer, len(history), draw, self.clock())
        self._tell(job, len(history), answer, decision)
        return answer, decision

    def due(self, decision: Wait) -> int:
        """The moment before which the next attempt must not be made."""
        return self.clock() + math.ceil(decision.seconds * 1000)

    def outcome(
        self, job: Job, end: End, history: Sequence[Attempt], answer: Answer | None, out_of_order: bool
    ) -> Outgoing:
        """The record for `hooks.log`, in the partition the job came from."""
        known, now = self._hooks.get(job.hook_id), self.clock()
        hook = known.hook if known else None
        outcome = attempts.outcome(job, hook, end, list(history), answer, now, out_of_order=out_of_order)
        self._metrics.outcomes.labels(outcome.status).inc()
        self._metrics.event_to_outcome_seconds.observe(max(outcome.created_at - job.event_at, 0) / 1000)
        value = _encoder.encode(outcome)
        return Outgoing(topic=topics.LOG, key=job.hook_id.encode(), value=value, partition=job.at.partition)

    async def bury(self, letter: DeadLetter) -> None:
        """Write a dead letter."""
        record = deadletters.bury(letter, self.clock())
        await self.publish([record])
        tell_dead_letter(self._metrics, record)

    async def publish(self, records: Sequence[Outgoing]) -> list[Coordinates]:
        """Write records, however long the broker takes: nothing may be committed before they are durable.

        Raises KafkaError only when the broker denies the right to: then the role has to end.
        """
        while True:
            try:
                return await self._publisher.publish(records)
            except KafkaError as error:
                if refusals.denied(error):
                    raise
                log("sender.publish_failed", logging.ERROR, topic=records[0].topic, reason=repr(error))
                await asyncio.sleep(REPUBLISH_S)

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
