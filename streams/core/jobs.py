"""Delivery jobs as records of `hooks.deliveries`: the value is the exact body, everything else is in headers."""

import hashlib
import re

from streams.core import ids
from streams.core.bodies import splice
from streams.core.hooks import Known
from streams.core.records import Coordinates, DeadLetter, Event, Incoming, Job, Outgoing

TOPIC = "hooks.deliveries"

KEY_BYTES_MAX = 256

REQUIRED = ("delivery-id", "tenant-id", "event", "event-id", "event-at", "source", "hook-version")
"""Headers every job has; `event-key` and `traceparent` only where the event had them."""

FORMS = {
    "key": "[!-~]{1,64}",
    "delivery-id": "[!-~]{1,128}",
    "tenant-id": "[ -~]{1,21}",
    "event": "[ -~]{1,128}",
    "event-id": "[!-~]{1,128}",
    "event-at": "[0-9]{1,15}",
    "source": "[^/]+/[0-9]{1,10}/[0-9]{1,19}",
    "hook-version": "[0-9]{1,10}/[0-9]{1,19}",
}
"""How the record's key (a hook's id) and the headers are written; bounded, for all of it goes on into the outcome."""


def make(event: Event, known: Known) -> Outgoing:
    """The job that asks for one delivery: the body is frozen here, so every attempt sends the same bytes."""
    hook_id = known.hook.id
    headers = [
        ("delivery-id", ids.delivery_id(event.id, hook_id).encode()),
        ("tenant-id", event.tenant.encode()),
        ("event", event.name.encode()),
        ("event-id", event.id.encode()),
        ("event-at", str(event.at).encode()),
        ("source", "/".join(map(str, event.source)).encode()),
        ("hook-version", "/".join(map(str, known.version)).encode()),
    ]
    if event.key is not None:
        headers.append(("event-key", _short(event.key)))
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent.encode()))
    body = splice(event.payload, hook_id)
    return Outgoing(topic=TOPIC, key=hook_id.encode(), value=body, headers=tuple(headers))


def _short(key: bytes) -> bytes:
    """The event's key, or its digest when it is long: it is only ever compared, and a job must stay small."""
    return key if len(key) <= KEY_BYTES_MAX else hashlib.sha256(key).digest()


def read(record: Incoming) -> Job | DeadLetter:
    """The job in a record, or a dead letter that says which part of it nobody could read."""
    headers = dict(record.headers)
    texts = {name: headers.get(name, b"").decode("utf-8", "replace") for name in REQUIRED}
    missing = [name for name, text in texts.items() if not text]
    if record.key is None or record.value is None or missing:
        absent = missing[0] if missing else "key" if record.key is None else "value"
        return DeadLetter(reason="bad-job", detail=f"{absent} is missing", original=record)
    hook_id = record.key.decode("ascii", "replace")
    garbled = [name for name, form in FORMS.items() if not re.fullmatch(form, texts.get(name, hook_id))]
    if garbled:
        return DeadLetter(reason="bad-job", detail=f"{garbled[0]} does not look like one", original=record)
    topic, partition, offset = texts["source"].rsplit("/", 2)
    version = texts["hook-version"].split("/")
    return Job(
        delivery_id=texts["delivery-id"],
        hook_id=hook_id,
        tenant=texts["tenant-id"],
        event=texts["event"],
        event_id=texts["event-id"],
        event_at=int(texts["event-at"]),
        body=record.value,
        source=Coordinates(topic, int(partition), int(offset)),
        hook_version=(int(version[0]), int(version[1])),
        at=record.at,
        event_key=headers.get("event-key"),
        traceparent=headers.get("traceparent", b"").decode("ascii", "replace") or None,
    )
