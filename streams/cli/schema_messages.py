"""The messages of the AsyncAPI document: one for each event and each other record, with real examples.

A message says what its key, headers and value are; the schemas are the published ones, in AsyncAPI's dialect.
"""

from typing import Any

from msgspec import Struct

from streams.cli import schema_examples as examples
from streams.cli.schema_documents import Schema, builtins, components, entries, identity_event
from streams.cli.schema_headers import EventHeaders, HookHeaders, RequestHeaders
from streams.core import catalogue
from streams.kafka.topics import Topic

BINDING = "0.5.0"
"""Version of the Kafka bindings."""

MESSAGES = {
    "Hook": ("hook", "hook-deleted"),
    "body": ("job",),
    "Pending": ("pending", "pending-settled"),
    "Outcome": ("outcome",),
    "OperationalEvent": ("operational-event",),
    "Report": ("report", "report-deleted"),
    "the original bytes": ("dead-letter",),
}
"""The messages of a topic by what the table says of its value; identity topics have one for each of their events."""


def of_topic(topic: Topic) -> tuple[str, ...]:
    """The names of a topic's messages."""
    if topic.value == "IdentityEvent":
        return tuple(event for event, home in catalogue.EVENTS.items() if home == topic.name)
    return MESSAGES[topic.value]


def messages() -> Schema:
    """Every message by name."""
    return _events() | _records() | _deletions() | _others()


def traits() -> Schema:
    """What all identity events share."""
    shared = {"headers": _schema(EventHeaders), "contentType": "application/json"}
    return {"identity-event": shared | _keyed("The entity's id; order holds for each key.")}


def schemas() -> Schema:
    """Every schema that a message refers to, by the name of its type."""
    types = [entry.type for entry in entries().values()]
    event = {name: part for name, part in identity_event().items() if name != "examples"}
    found = components([*types, EventHeaders, HookHeaders, RequestHeaders], "#/components/schemas/")
    return {"IdentityEvent": event} | {name: _draft_07(found[name]) for name in sorted(found)}


def _events() -> Schema:
    headers = examples.event_headers()
    return {
        event: {
            "name": event,
            "title": event,
            "payload": {
                "allOf": [{"$ref": "#/components/schemas/IdentityEvent"}, {"properties": {"event": {"const": event}}}]
            },
            "traits": [{"$ref": "#/components/messageTraits/identity-event"}],
            "examples": [{"name": event, "headers": headers, "payload": payload}],
        }
        for event, payload in examples.event_examples().items()
    }


def _records() -> Schema:
    """Those whose value is one of the published records."""
    found = entries()
    return {
        name: _message(found[name].title, found[name].what)
        | {"payload": _schema(found[name].type), "examples": [{"payload": builtins(e)} for e in found[name].examples]}
        | ({"headers": _schema(HookHeaders)} if name == "hook" else {})
        | _keyed("The delivery's id." if name == "pending" else "The hook's id.")
        for name in ("hook", "outcome", "report", "pending")
    }


def _deletions() -> Schema:
    """Null values: the compacted topic forgets the key."""
    null = {"payload": {"type": "null"}, "examples": [{"payload": None}]}
    of_hook, of_delivery = _keyed("The hook's id."), _keyed("The delivery's id.")
    deleted = _message("Hook deleted", "Deletes the hook; what was pending for it is cancelled.")
    return {
        "hook-deleted": deleted | null | of_hook,
        "report-deleted": _message("Report deleted", "The hook is gone.") | null | of_hook,
        "pending-settled": _message("Delivery settled", "Its outcome is on `hooks.log`.") | null | of_delivery,
    }


def _others() -> Schema:
    """Those whose data are in headers."""
    job, dead, body, told = (entries()[name] for name in ("job", "dead-letter", "request-body", "operational-event"))
    headers, payload = examples.request()
    return {
        "job": _message(job.title, job.what)
        | {"headers": _schema(job.type), "payload": _schema(body.type)}
        | {"examples": [{"headers": examples.job_headers(), "payload": payload}]}
        | _keyed("The hook's id."),
        "operational-event": _message(told.title, told.what)
        | {"headers": _schema(EventHeaders), "payload": _schema(told.type)}
        | {"examples": [{"headers": examples.event_headers(), "payload": builtins(e)} for e in told.examples]}
        | _keyed("The id of the hook that it is about."),
        "dead-letter": _message(dead.title, dead.what)
        | {"headers": _schema(dead.type), "contentType": "application/octet-stream"}
        | {"examples": [{"headers": examples.dead_letter_headers()}]}
        | _keyed("The original's key."),
        "request": _message("Delivery", "The signed POST; the hook's own headers come on top of these.")
        | {"headers": _schema(RequestHeaders), "payload": _schema(body.type)}
        | {"examples": [{"headers": headers, "payload": payload}]},
    }


def _message(title: str, summary: str) -> Schema:
    return {"title": title, "summary": summary}


def _keyed(description: str) -> Schema:
    return {"bindings": {"kafka": {"key": {"type": "string", "description": description}, "bindingVersion": BINDING}}}


def _schema(type_: type[Struct]) -> Schema:
    return {"$ref": f"#/components/schemas/{type_.__name__}"}


def _draft_07(node: Any) -> Any:
    """AsyncAPI's own schemas are draft 07 and more: there, a tuple has `items` and what follows `additionalItems`."""
    if isinstance(node, list):
        return [_draft_07(item) for item in node]
    if not isinstance(node, dict):
        return node
    names = {"prefixItems": "items", "items": "additionalItems"} if "prefixItems" in node else {}
    return {names.get(key, key): _draft_07(value) for key, value in node.items()}
