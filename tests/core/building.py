"""Records, hooks, jobs and outcomes for the tests of the core: good ones, in which a test changes what it is about."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from streams.core import catalogue, events, filters
from streams.core.catalogue import Catalogue
from streams.core.hooks import Known
from streams.core.records import Attempt, Coordinates, DeadLetter, Event, Hook, Incoming, Job, Outcome, OutcomeError

NOW = 1_790_000_000_000
NOW_TEXT = "2026-09-21T14:13:20.000Z"
HOOK_ID = "abcdefghijklmnopqrstu"
KEY = "0123456789abcdefghijABCDEFGHIJ01"
CLUSTER = "cluster-1"
CATALOGUE = Catalogue()
TOPICS = {name: name for name in catalogue.EVENT_TOPICS}


def hook_id(number: int) -> str:
    """A hook id of the right alphabet and length."""
    return f"{number:021d}"


def incoming(
    value: bytes | None,
    topic: str = catalogue.USER,
    *,
    headers: Mapping[str, bytes] | None = None,
    key: bytes | None = b"u1",
    partition: int = 3,
    offset: int = 7,
    timestamp: int = NOW,
) -> Incoming:
    """A record as it came off a topic."""
    return Incoming(
        at=Coordinates(topic, partition, offset),
        key=key,
        value=value,
        headers=tuple((headers or {}).items()),
        timestamp=timestamp,
    )


def read(record: Incoming, topics: Mapping[str, str] | None = None) -> Event | DeadLetter:
    """What `events.read` makes of it, on a cluster without prefix."""
    return events.read(record, CATALOGUE, CLUSTER, topics or TOPICS)


def accepted(record: Incoming) -> Event:
    """The event in a record that must have one."""
    found = read(record)
    assert isinstance(found, Event), found
    return found


def refused(record: Incoming) -> DeadLetter:
    """The dead letter of a record that must become one."""
    found = read(record)
    assert isinstance(found, DeadLetter), found
    return found


def hook_fields(**changes: Any) -> dict[str, Any]:
    """A hook record's members as an operator would write them."""
    return {
        "id": HOOK_ID,
        "tenantId": "default",
        "name": "CRM sync",
        "events": ["User.Created"],
        "config": {"url": "https://crm.example.com/hooks", "headers": {"x-team": "identity"}},
        "signingKey": KEY,
        "enabled": True,
        "createdAt": NOW,
    } | changes


def hook(**changes: Any) -> Hook:
    """A decoded hook; members under their names on the wire."""
    return msgspec.convert(hook_fields(**changes), Hook)


def known(version: tuple[int, int] = (0, 5), locked: str | None = None, **changes: Any) -> Known:
    """A hook in force."""
    made = hook(**changes)
    return Known(made, version, filters.compile_filter(made.delivery.filter), locked)


def job(**changes: Any) -> Job:
    """A job for the hook above."""
    fields: dict[str, Any] = {
        "delivery_id": "msg_1",
        "hook_id": HOOK_ID,
        "tenant": "default",
        "event": "User.Created",
        "event_id": "e1",
        "event_at": NOW - 500,
        "body": b'{"event":"User.Created"}',
        "source": Coordinates("identity.user", 3, 7),
        "hook_version": (0, 5),
        "at": Coordinates("hooks.deliveries", 1, 99),
    }
    return Job(**(fields | changes))


def outcome(created_at: int = NOW, attempts: Sequence[Attempt] | None = None, error: str | None = None) -> Outcome:
    """An outcome of one attempt in 12 ms; with `error` (a class) it ended badly."""
    return Outcome(
        id="msg_1",
        hook_id=HOOK_ID,
        tenant_id="default",
        event="User.Created",
        event_id="e1",
        result="Error" if error else "Success",
        status="rejected" if error else "delivered",
        created_at=created_at,
        event_at=created_at,
        duration_ms=12,
        attempts=list(attempts) if attempts is not None else [Attempt(at=created_at, ms=12, status=200)],
        source=Coordinates("identity.user", 3, 7),
        job=Coordinates("hooks.deliveries", 1, 99),
        error=OutcomeError(class_=error, message="It failed.") if error else None,
    )
