"""The published JSON Schemas (2020-12), generated from the types that the code itself reads and writes.

One document a record; `asyncapi.json` beside them says which topic carries which. Keys keep the order of the types
and examples that of the wire, which is why the files are deterministic but not sorted.
"""

import re
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from streams.cli import schema_examples as examples
from streams.cli.schema_headers import DeadLetterHeaders, JobHeaders, RequestBody
from streams.core import records
from streams.core.catalogue import EVENTS
from streams.kafka.topics import TOPICS

Schema = dict[str, Any]

BASE = "https://hookline.invalid/schemas/"
"""A name, not an address: `.invalid` never resolves, so nothing can be tempted to fetch a schema."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

EVENT_MEMBERS = {
    "interactionEvent": "`SignIn`, `Register` or `ForgotPassword`; events caused at the sign-in page.",
    "createdAt": "When it happened, ISO 8601; taken from the record's timestamp when absent.",
    "sessionId": "The sign-in session.",
    "userAgent": "Of whoever caused it.",
    "userId": "Whose interaction it was; interactions only.",
    "userIp": "Address of that person; interactions only.",
    "ip": "Address of whoever caused it; all other events, except those of devices.",
    "user": "The person, fifteen members; interactions only.",
    "applicationId": "Where the person was signing in.",
    "application": "`id`, `type`, `name` and `description` of it.",
    "path": "Of the Management API call that caused it, as are `method`, `status`, `params` and `matchedRoute`.",
    "data": "The entity as it is now; absent from most deletions.",
    "hookId": "Hookline's to add: an event that has it is refused.",
}
"""What the known members mean. They are described and not constrained: unknown or odd ones pass through untouched."""


class Entry(Struct, frozen=True, kw_only=True):
    """One published record: the type it is generated from, and real ones of it; `what` says where it stands."""

    type: type[Struct]
    title: str
    what: str
    examples: list[Any]


@cache
def entries() -> dict[str, Entry]:
    """Everything published that has a type, by name; `identity-event` has none and is described apart."""
    return _of_hooks() | _of_deliveries() | _headers()


def documents() -> dict[str, Schema]:
    """Every JSON Schema by its name."""
    events: Schema = {"$schema": DIALECT, "$id": f"{BASE}identity-event.schema.json", **identity_event()}
    return {"identity-event": events} | {name: _document(name, entry) for name, entry in entries().items()}


def identity_event() -> Schema:
    """The schema of upstream's events: what the router insists on, and what everything else means."""
    homes = ", ".join(f"`{topic.name}`" for topic in TOPICS if topic.value == "IdentityEvent")
    return {
        "title": "Identity event",
        "description": f"Value of {homes}, whose key is the entity's id; each event has one topic that it belongs to. "
        "`event` decides what else there is: see the examples. Operators may declare further events.",
        "type": "object",
        "properties": {
            "event": {"description": "What happened.", "enum": list(EVENTS)},
            **{name: {"description": meaning} for name, meaning in EVENT_MEMBERS.items() if name != "hookId"},
            "hookId": False,
        },
        "required": ["event"],
        "examples": list(examples.event_examples().values()),
    }


def components(types: list[type[Struct]], place: str) -> Schema:
    """The types and all they are made of, by name; references point to `place`."""
    found = msgspec.json.schema_components(types, ref_template=place + "{name}")[1]
    return {name: _published(schema) for name, schema in found.items()}


def builtins(example: Any) -> Any:
    """An example as JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(example))


def _of_hooks() -> dict[str, Entry]:
    """What is said of hooks."""
    return {
        "hook": Entry(
            type=records.Hook,
            title="Hook",
            what="Value of `hooks.config`, whose key is the hook's id. A null value deletes the hook.",
            examples=[examples.HOOK, examples.CHOOSY_HOOK],
        ),
        "report": Entry(
            type=records.Report,
            title="Health report",
            what="Value of `hooks.health`, whose key is the hook's id: the last 24 hours. Null when the hook is gone.",
            examples=[examples.report()],
        ),
        "operational-event": Entry(
            type=records.OperationalEvent,
            title="Operational event",
            what="Value of `hooks.operations`, whose key is the id of the hook that it is about; Hookline alone writes "
            "it. Hooks get it that name it, or `Hook.*`; `*` does not include it.",
            examples=examples.operational_events(),
        ),
    }


def _of_deliveries() -> dict[str, Entry]:
    """What becomes of one delivery."""
    return {
        "request-body": Entry(
            type=RequestBody,
            title="Request body",
            what="What a receiver gets by POST, and the value of `hooks.deliveries`: the same bytes on every attempt.",
            examples=[examples.request()[1]],
        ),
        "pending": Entry(
            type=records.Pending,
            title="Pending delivery",
            what="Value of `hooks.retries`, whose key is the delivery's id: a job that waits. Null when it has ended.",
            examples=[examples.pending()],
        ),
        "outcome": Entry(
            type=records.Outcome,
            title="Outcome",
            what="Value of `hooks.log`, whose key is the hook's id: the end of a job, one however many attempts.",
            examples=examples.outcomes(),
        ),
    }


def _headers() -> dict[str, Entry]:
    return {
        "job": Entry(
            type=JobHeaders,
            title="Delivery job",
            what="Headers of `hooks.deliveries`, as text. The value is the exact request body, the key the hook's id.",
            examples=[examples.job_headers()],
        ),
        "dead-letter": Entry(
            type=DeadLetterHeaders,
            title="Dead letter",
            what="Headers of `hooks.dead-letters`, as text, after the original's own; key and value go on unchanged.",
            examples=[examples.dead_letter_headers()],
        ),
    }


def _document(name: str, entry: Entry) -> Schema:
    parts = components([entry.type], "#/$defs/")
    own = parts.pop(entry.type.__name__)
    head = {"$schema": DIALECT, "$id": f"{BASE}{name}.schema.json", "title": entry.title, "description": entry.what}
    defs = {"$defs": parts} if parts else {}
    return head | {k: v for k, v in own.items() if k not in head} | defs | {"examples": builtins(entry.examples)}


def _published(node: Any) -> Any:
    """A generated schema in the words of those who read it: ECMA patterns, and no talk of the project's own papers.

    `\\Z` is Python's end of text; in JSON Schema `$` means just that. Docstrings cite the contract by section.
    """
    if isinstance(node, list):
        return [_published(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _published(value) for key, value in node.items()}
    if isinstance(node.get("pattern"), str):
        node["pattern"] = node["pattern"].replace(r"\Z", "$")
    if isinstance(node.get("description"), str):
        node["description"] = " ".join(re.sub(r" \((CONTRACT|research)\b[^)]*\)", "", node["description"]).split())
    return node
