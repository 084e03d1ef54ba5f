"""The AsyncAPI 3.0.0 document: every topic of the one table as a channel, and the POST to a hook's endpoint.

Generated from `kafka/topics.py`, the catalogue and the record types. Which role reads and writes what stands in
`topics.READS` and `WRITES`; nothing else here is a decision of its own.
"""

from typing import Any

import msgspec

from streams.cli import schema_messages as messages
from streams.cli.schema_documents import Schema
from streams.kafka import topics
from streams.kafka.topics import Topic
from streams.settings import Settings

WRITES = {
    "router": (topics.DELIVERIES, topics.CONFIG, topics.DEAD_LETTERS),
    "sender": (topics.RETRIES, topics.LOG, topics.DEAD_LETTERS),
    "health": (topics.HEALTH, topics.OPERATIONS, topics.CONFIG, topics.DEAD_LETTERS),
}

DESCRIPTION = """Identity events come in on Kafka; hooks, also on Kafka, say which of them they want and where.
Hookline sends each event to each hook that wants it as a signed HTTP POST, writes one outcome per delivery, and keeps
a 24-hour health report for every hook.

Topic names may have a prefix (`HOOKLINE_TOPIC_PREFIX`). Partition counts are those that `hookline topic apply` creates
unless told otherwise; all topics keyed by a hook's id must have equal counts, except `hooks.config` and
`hooks.operations`. Records only grow: readers ignore members that they do not know, and a breaking change gets a new
topic name."""

ANSWERS = """2xx: delivered. 3xx: rejected, never followed. 408, 425, 429, 5xx and failures of the network: tried again
by the hook's retry profile, with the same body and the same `webhook-id`. 410 and other 4xx: rejected. `Retry-After`
may lengthen a wait."""


def document() -> Schema:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hookline",
            "version": "1.0.0",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "The operator's cluster: HOOKLINE_BOOTSTRAP_SERVERS.",
            },
            "endpoint": {
                "host": "{host}",
                "protocol": "https",
                "description": "Wherever a hook's `config.url` points: public addresses, ports 443 and 8443.",
                "variables": {"host": {"description": "Of the hook's URL.", "examples": ["crm.example.com"]}},
            },
        },
        "channels": {topic.name: _channel(topic) for topic in topics.TOPICS} | {"endpoint": _endpoint()},
        "operations": _operations(),
        "components": {
            "schemas": messages.schemas(),
            "messageTraits": messages.traits(),
            "messages": messages.messages(),
        },
    }


def _channel(topic: Topic) -> Schema:
    partitions = topic.partitions or Settings().topic_partitions
    configuration: dict[str, Any] = {name: _number(text) for name, text in topics.configuration(topic).items()}
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}. Value: {topic.value}.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages.of_topic(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": partitions,
                "topicConfiguration": configuration | {"cleanup.policy": [topic.cleanup]},
                "bindingVersion": messages.BINDING,
            }
        },
    }


def _endpoint() -> Schema:
    return {
        "address": None,
        "description": "The URL of a hook. Known only at run time, since hooks come and go.",
        "servers": [{"$ref": "#/servers/endpoint"}],
        "messages": {"request": {"$ref": "#/components/messages/request"}},
    }


def _operations() -> Schema:
    reads = {f"{role}-reads-{name}": _read(role, name) for role, names in topics.READS.items() for name in names}
    writes = {f"{role}-writes-{name}": _operation("send", name) for role, names in WRITES.items() for name in names}
    view = {"roles-view-hooks.config": _operation("receive", topics.CONFIG)}
    post = _operation("send", "endpoint") | {
        "description": ANSWERS,
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    }
    return reads | view | writes | {"sender-posts-to-endpoint": post}


def _read(role: str, name: str) -> Schema:
    group = {"type": "string", "enum": [f"hookline-{role}"]}
    return _operation("receive", name) | {"bindings": {"kafka": {"groupId": group, "bindingVersion": messages.BINDING}}}


def _operation(action: str, channel: str) -> Schema:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _number(text: str) -> Any:
    """A topic setting as a number where it is one, as the binding wants it."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
