"""One delivery from end to end, as the examples of the published schemas.

Every record is made by the code that makes it in earnest, so an example cannot differ from what a role writes.
"""

from typing import Any, cast

import msgspec
from msgspec.structs import replace

from streams.core import attempts, catalogue, deadletters, events, filters, health, jobs, samples, signing
from streams.core import pending as waiting
from streams.core.hooks import Known
from streams.core.ids import delivery_id
from streams.core.pending import Item
from streams.core.records import (
    Answer,
    Attempt,
    Coordinates,
    DeadLetter,
    DeliveryPolicy,
    Event,
    Hook,
    HookConfig,
    Incoming,
    Job,
    OperationalEvent,
    Outcome,
    OutcomeError,
    Pending,
    Report,
    RetryPolicy,
)

NOW_MS = 1_790_000_000_000
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

HOOK = Hook(
    id="crmsync0hookline00001",
    tenant_id="default",
    name="CRM sync",
    events=["User.Created", "User.Data.Updated"],
    config=HookConfig(url="https://crm.example.com/hooks", headers={"x-team": "identity"}, retries=3),
    signing_key="exampleKeyThatSignsNothingAtAll1",
    created_at=NOW_MS - 86_400_000,
)
CHOOSY_HOOK = Hook(
    id="audit0trail0hook00002",
    name="Audit trail",
    events=["Organization.*", "PostSignIn"],
    config=HookConfig(url="https://audit.example.org:8443/in"),
    signing_key="exampleKeyThatSignsNothingAtAll2",
    created_at=NOW_MS - 3_600_000,
    delivery=DeliveryPolicy(
        timeout_ms=5000,
        retry=RetryPolicy(schedule_seconds=[5, 60, 600, 3600], on=["5xx", "timeout"]),
        signature="standard",
        max_in_flight=4,
        filter={"data.name": {"$startsWith": "Harbour"}},
    ),
)


def event_examples() -> dict[str, dict[str, Any]]:
    """One payload of every event of the catalogue, as upstream publishes it."""
    return {name: samples.sample(name, now_ms=NOW_MS, seed=seed) for seed, name in enumerate(catalogue.EVENTS)}


def event_headers() -> dict[str, str]:
    """The headers upstream may put on such a record."""
    return {"event-id": "evt-7f3a9c", "tenant-id": "default", "traceparent": TRACEPARENT}


def request() -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of the POST."""
    job = _job()
    headers = signing.headers(HOOK, job, NOW_MS // 1000, "0.1.0")
    return headers, msgspec.json.decode(job.body)


def job_headers() -> dict[str, str]:
    """The headers of the job."""
    return {name: value.decode() for name, value in jobs.make(_event(), _known()).headers}


def outcomes() -> list[Outcome]:
    """How the job ended: delivered at the second try, and how another was given up."""
    job, first = _job(), Attempt(at=NOW_MS, ms=41, status=503)
    delivered = attempts.outcome(
        job,
        HOOK,
        attempts.End("delivered"),
        [first, Attempt(at=NOW_MS + 5_000, ms=38, status=200)],
        Answer(status=200, body=b"thank you", key_ids=signing.key_ids(HOOK, NOW_MS)),
        NOW_MS + 5_038,
    )
    refused = attempts.outcome(
        replace(
            job,
            delivery_id=delivery_id("evt-7f3a9d", HOOK.id),
            event_id="evt-7f3a9d",
            source=Coordinates(catalogue.USER, 5, 1044),
            at=Coordinates(jobs.TOPIC, 9, 231),
        ),
        HOOK,
        attempts.End("exhausted", OutcomeError(class_="timeout", message="No answer within 10 s.")),
        [first, Attempt(at=NOW_MS + 5_000, ms=10_000, error="timeout")],
        Answer(error="timeout", detail="No answer within 10 s.", key_ids=signing.key_ids(HOOK, NOW_MS)),
        NOW_MS + 15_000,
    )
    return [delivered, refused]


def pending() -> Pending:
    """The first job after its first attempt, as it waits for the second."""
    job, answered_ms = _job(), NOW_MS + 41
    item = Item(id=job.delivery_id, hook_id=job.hook_id, partition=0, offset=0, since=NOW_MS, due=answered_ms + 5_000)
    history = [Attempt(at=NOW_MS, ms=41, status=503)]
    return msgspec.json.decode(waiting.put(job, item, history, answered_ms).value or b"", type=Pending)


def operational_events() -> list[OperationalEvent]:
    """One of each."""
    found = (samples.sample(name, now_ms=NOW_MS, seed=seed) for seed, name in enumerate(catalogue.OPERATIONAL))
    return [msgspec.convert(payload, OperationalEvent) for payload in found]


def report() -> Report:
    """The hook's health after both outcomes."""
    window = health.Window()
    for offset, outcome in enumerate(outcomes()):
        window.take(outcome, offset)
    return health.report(HOOK, window, NOW_MS + 20_000)


def dead_letter_headers() -> dict[str, str]:
    """The headers on a record that could not be read."""
    original = Incoming(at=Coordinates("identity.user", 5, 1042), key=b"u758hu661ovk", value=b"{")
    letter = DeadLetter(reason="not-json", detail="Input data was truncated", original=original)
    return {name: value.decode() for name, value in deadletters.bury(letter, NOW_MS).headers}


def _known() -> Known:
    return Known(HOOK, (0, 17), filters.compile_filter(HOOK.delivery.filter))


def _event() -> Event:
    """The event as the router reads it."""
    payload = event_examples()["User.Created"]
    record = Incoming(
        at=Coordinates(catalogue.USER, 5, 1041),
        key=(samples.entity_key(payload, "User.Created") or "").encode(),
        value=msgspec.json.encode(payload),
        headers=tuple((name, value.encode()) for name, value in event_headers().items()),
        timestamp=NOW_MS,
    )
    topics = {name: name for name in catalogue.TOPICS}
    return cast("Event", events.read(record, catalogue.Catalogue(), "an example's cluster", topics))


def _job() -> Job:
    """The job as the sender reads it."""
    made = jobs.make(_event(), _known())
    at = Coordinates(jobs.TOPIC, 9, 230)
    record = Incoming(at=at, key=made.key, value=made.value, headers=made.headers, timestamp=NOW_MS)
    return cast("Job", jobs.read(record))
