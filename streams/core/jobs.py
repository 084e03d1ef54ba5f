"""Delivery jobs as records of `hooks.deliveries`: the value is the exact body, everything else is in headers."""

import hashlib
import re
from collections.abc import Mapping

from msgspec import structs

from streams.core import ids
from streams.core.bodies import splice
from streams.core.hooks import Known
from streams.core.records import Coordinates, DeadLetter, Event, Incoming, Job, Outgoing

TOPIC = "hooks.deliveries"

KEY_BYTES_MAX = 256

REQUIRED = ("delivery-id", "tenant-id", "event", "event-id", "event-at", "source", "hook-version")
"""Headers every job has; `event-key` and `traceparent` only where the event had them, `MARKS` only on a replay."""

OFFSET = "(?:[0-9]{1,18}|[1-8][0-9]{18})"
"""Nineteen digits have room for more than 63 bits, which is all that a record may say of an offset."""

FORMS = {
    "key": "[!-~]{1,64}",
    "delivery-id": "[!-~]{1,128}",
    "tenant-id": "[ -~]{1,21}",
    "event": "[ -~]{1,128}",
    "event-id": "[!-~]{1,128}",
    "event-at": "[0-9]{1,15}",
    "source": f"[^/]{{1,249}}/[0-9]{{1,10}}/{OFFSET}",
    "hook-version": f"[0-9]{{1,10}}/{OFFSET}",
}
"""How the record's key (a hook's id) and the headers are written; bounded, for all of it goes on into the outcome."""

TRACES = {"traceparent": "[ -~]{1,128}"}
"""The header that hands a trace on, and how it is written; it becomes one of the request's."""

MARKS = {"replay": "[!-~]{1,64}", "sequence": OFFSET}
"""Headers of a job that is sent again, and how they are written: the run's id, and the offset of the first job."""


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


def again(record: Incoming, run: str) -> Outgoing:
    """The job in an original record once more: same key, bytes, delivery id and partition, so its lane is the same."""
    first = record.header("sequence") or str(record.at.offset).encode()
    job = Outgoing(
        topic=TOPIC, key=record.key, value=record.value, headers=record.headers, partition=record.at.partition
    )
    return marked(job, run, first)


def marked(job: Outgoing, run: str, sequence: bytes | None) -> Outgoing:
    """A job as one of a replay run; without a sequence where nobody knows the place of the first job."""
    kept = tuple((name, value) for name, value in job.headers if name not in MARKS)
    place = () if sequence is None else (("sequence", sequence),)
    return structs.replace(job, headers=(*kept, ("replay", run.encode()), *place))


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
    texts |= {"key": record.key.decode("ascii", "replace")}
    texts |= {name: headers[name].decode("ascii", "replace") for name in (*MARKS, *TRACES) if name in headers}
    problem = _garbled(texts) or _long(headers.get("event-key", b"")) or _not_text(record.value)
    if problem:
        return DeadLetter(reason="bad-job", detail=problem, original=record)
    topic, partition, offset = texts["source"].rsplit("/", 2)
    version = texts["hook-version"].split("/")
    return Job(
        delivery_id=texts["delivery-id"],
        hook_id=texts["key"],
        tenant=texts["tenant-id"],
        event=texts["event"],
        event_id=texts["event-id"],
        event_at=int(texts["event-at"]),
        body=record.value,
        source=Coordinates(topic, int(partition), int(offset)),
        hook_version=(int(version[0]), int(version[1])),
        at=record.at,
        event_key=headers.get("event-key"),
        traceparent=texts.get("traceparent"),
        replay=texts.get("replay"),
        sequence=int(texts["sequence"]) if "sequence" in texts else None,
    )


def _garbled(texts: Mapping[str, str]) -> str | None:
    """The first part that is not written as it must be; None when all are."""
    forms = FORMS | {name: form for name, form in (MARKS | TRACES).items() if name in texts}
    return next((f"{n} does not look like one" for n, form in forms.items() if not re.fullmatch(form, texts[n])), None)


def _long(key: bytes) -> str | None:
    return f"event-key has {len(key)} bytes, {KEY_BYTES_MAX} are the most" if len(key) > KEY_BYTES_MAX else None


def _not_text(body: bytes) -> str | None:
    """Every body that a join made is JSON; `hooks.retries` carries it as text."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {error.start} of the value is not UTF-8"
    return None
