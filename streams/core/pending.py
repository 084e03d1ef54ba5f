"""Jobs that wait, as records of `hooks.retries`: the whole job with its history and the moment it is due.

The record under a delivery id is the latest word: the same id again replaces it, a null says that its outcome is
durable (DESIGN 6, 7). Of a job that waits, memory holds an `Item`; its body is read back when it is due.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from streams.core.records import Attempt, Incoming, Job, Outgoing, Pending

TOPIC = "hooks.retries"


class Item(Struct, eq=False, gc=False):
    """An unfinished job in its owner's hands, small enough that a million may wait.

    `offset` is its job's place in the partition and thereby in line, `place` where it lies in `hooks.retries` (-1 when
    only memory holds it), `due` the moment before which it must not go and `since` when it came into these hands;
    `line` is its event's key. `held`: it stands behind another; `probe`: its answer decides about the breaker;
    `second`: it takes a slot of those for retries; `expired`: it ends untried;
    `posts`: it was let go to its endpoint.
    """

    id: str
    hook_id: str
    partition: int
    offset: int
    since: int
    due: int = 0
    place: int = -1
    attempts: int = 0
    began: int = 0
    line: bytes | None = None
    job: Job | None = None
    held: bool = False
    probe: bool = False
    second: bool = False
    expired: bool = False
    posts: bool = False

    def __lt__(self, other: "Item") -> bool:
        """By due time, then by place in line."""
        return (self.due, self.offset) < (other.due, other.offset)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Pending)


def put(job: Job, item: Item, history: Sequence[Attempt], now_ms: int, hold_until: int = 0) -> Outgoing:
    """The record that makes a job wait until `item.due`."""
    record = Pending(
        id=job.delivery_id,
        hook_id=job.hook_id,
        tenant_id=job.tenant,
        event=job.event,
        event_id=job.event_id,
        event_at=job.event_at,
        due_at=item.due,
        wait_ms=max(item.due - now_ms, 0),
        hold_until=hold_until,
        attempts=list(history),
        source=job.source,
        job=job.at,
        hook_version=job.hook_version,
        event_key=job.event_key,
        traceparent=job.traceparent,
        replay=job.replay,
        sequence=job.sequence,
        body=job.body.decode(),
    )
    key, partition = job.delivery_id.encode(), job.at.partition
    return Outgoing(topic=TOPIC, key=key, value=_encoder.encode(record), partition=partition)


def settle(item: Item) -> Outgoing:
    """The null that ends a wait; produced when the outcome is durable."""
    return Outgoing(topic=TOPIC, key=item.id.encode(), value=None, partition=item.partition)


def read(record: Incoming) -> tuple[Job, list[Attempt]]:
    """The job in a record, as it was, and its attempts so far; raises msgspec.MsgspecError when it is none."""
    pending = _decoder.decode(record.value or b"")
    job = Job(
        delivery_id=pending.id,
        hook_id=pending.hook_id,
        tenant=pending.tenant_id,
        event=pending.event,
        event_id=pending.event_id,
        event_at=pending.event_at,
        body=pending.body.encode(),
        source=pending.source,
        hook_version=pending.hook_version,
        at=pending.job,
        event_key=pending.event_key,
        traceparent=pending.traceparent,
        replay=pending.replay,
        sequence=pending.sequence,
    )
    return job, pending.attempts


def index(record: Incoming, now_ms: int) -> tuple[Item, int]:
    """What memory keeps of a record, and until when it holds its hook; raises msgspec.MsgspecError.

    No wait is longer than the one that was asked for: a due time written by a wrong clock must not strand a job.
    """
    found = _decoder.decode(record.value or b"")
    due = min(found.due_at, now_ms + found.wait_ms)
    item = Item(
        id=found.id,
        hook_id=found.hook_id,
        partition=record.at.partition,
        offset=found.job.offset,
        since=due,  # one number for both: there may be a million
        due=due,
        place=record.at.offset,
        attempts=len(found.attempts),
        began=found.attempts[0].at if found.attempts else 0,
        line=found.event_key,
    )
    return item, min(found.hold_until, now_ms + found.wait_ms)
