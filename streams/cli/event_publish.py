"""`hookline event publish`: identity events from a pipe onto their topics, checked as the router would check them."""

import time
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import msgspec

from streams.cli import inputs
from streams.cli.output import output_option, run, settings, show, tell
from streams.cli.progress import progress
from streams.core import catalogue, events, ids, samples
from streams.core.catalogue import Catalogue
from streams.core.errors import InvalidInput
from streams.core.records import Coordinates, DeadLetter, Incoming, Outgoing

if TYPE_CHECKING:
    from streams.settings import Settings

COLUMNS = ("topic", "partition", "offset", "event", "key")

CHUNK = 500
"""Events sent before the next are: progress is told, and a failure says how many were acknowledged, in these steps."""


@click.command()
@click.argument("source", metavar="[FILE|-]", type=click.File("rb"), default="-")
@click.option("--topic", type=click.Choice(catalogue.TOPICS), help="Where to.  [default: where the event belongs]")
@click.option("--key", help="Record key; order holds per key.  [default: the id of whom the event is about]")
@click.option("--event-id", help="Id of a single event; what has the same id is delivered once.")
@click.option("--tenant", metavar="ID", help="Whose hooks hear of it.  [default: default]")
@click.option("--force", is_flag=True, help="Send what the router will refuse too; it becomes a dead letter.")
@output_option
def publish(
    source: BinaryIO,
    topic: str | None,
    key: str | None,
    event_id: str | None,
    tenant: str | None,
    force: bool,
    output: str,
) -> None:
    """Publish identity events.

    FILE, or stdin, holds one JSON object, or one a line. Each is checked as the router will check it; if any is
    refused, all reasons are told and none is sent. Prints where each lies once the broker has acknowledged it.
    Events about hooks (`Hook.*`) are refused: Hookline alone writes them.

    \b
    Example:
      echo '{"event": "User.Deleted", "data": {"id": "u1"}}' | hookline event publish
    """
    ours, texts = settings(), inputs.objects(source)
    known = Catalogue(ours.extra_events)
    headers = _headers(event_id, tenant, len(texts))
    records = [_record(text, topic, key, headers, known) for text in texts]
    refusals = [(number, _refusal(record, known)) for number, record in enumerate(records, 1)]
    problems = [f"event {number}: {problem}" for number, problem in refusals if problem]
    if not force:
        inputs.refuse(problems, len(records), "nothing was sent (--force sends it anyway)")
    homeless = [number for number, record in enumerate(records, 1) if not record.topic]
    if homeless:
        raise InvalidInput(f"event {homeless[0]} names no topic that may be written to: name one with --topic")
    for problem in problems[: inputs.SHOWN_MAX]:
        tell(f"the router will refuse {problem}")
    _publish(ours, records, output)


def _headers(event_id: str | None, tenant: str | None, count: int) -> tuple[tuple[str, bytes], ...]:
    """The record headers; raises InvalidInput for an id or a tenant that the router would not take as it is."""
    if event_id is not None and count > 1:
        raise InvalidInput(f"--event-id is the id of one event, and these are {count}: all but one would be dropped")
    if event_id is not None and ids.event_id(event_id.encode(), "", Coordinates("", 0, 0)) != event_id:
        raise InvalidInput("--event-id must be 1 to 128 printable ASCII characters without spaces")
    if tenant is not None and not (0 < len(tenant) <= 128 and tenant.isascii() and tenant.isprintable()):
        raise InvalidInput("--tenant must be 1 to 128 printable ASCII characters")
    given = (("event-id", event_id), ("tenant-id", tenant))
    return tuple((name, text.encode()) for name, text in given if text is not None)


def _record(
    text: bytes, topic: str | None, key: str | None, headers: tuple[tuple[str, bytes], ...], known: Catalogue
) -> Outgoing:
    """The record of one event; `topic` is empty where neither the option nor the event says it."""
    payload = _payload(text)
    name = _event(payload)
    if key is None and name:
        key = samples.entity_key(payload, name)
    home = topic or known.topic_of(name) or ""
    if home == catalogue.OPERATIONS:
        home = ""  # never written by hand, not even with --force
    return Outgoing(topic=home, key=None if key is None else key.encode(), value=text, headers=headers)


def _payload(text: bytes) -> dict[str, Any]:
    """The object in a text; empty when there is none, of which the rules tell."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def _event(payload: dict[str, Any]) -> str:
    name = payload.get("event")
    return name if isinstance(name, str) else ""


def _refusal(record: Outgoing, known: Catalogue) -> str | None:
    """The reason that the dead letter of this event would have; None when the router will take it."""
    topic = record.topic or catalogue.TOPICS[0]
    incoming = Incoming(
        at=Coordinates(topic, 0, 0),
        key=record.key,
        value=record.value,
        headers=record.headers,
        timestamp=time.time_ns() // 1_000_000,
    )
    found = events.read(incoming, known, "", {topic: topic})
    return f"{found.reason}: {found.detail}" if isinstance(found, DeadLetter) else None


def _publish(ours: "Settings", records: list[Outgoing], output: str) -> None:
    """Send all, and print where each lies; those acknowledged before a failure are printed too."""
    from streams.kafka.answers import answered

    rows: list[dict[str, Any]] = []
    try:
        run(answered(ours, _send(ours, records, rows)))
    finally:
        if rows:
            show(rows, output, COLUMNS)
        if ours.log_level != "error":
            tell(f"{len(rows)} of {len(records)} events are acknowledged")


async def _send(ours: "Settings", records: list[Outgoing], rows: list[dict[str, Any]]) -> None:
    """Send in chunks and add a row for every record once its chunk is acknowledged."""
    from streams.kafka import reader
    from streams.kafka.publisher import publisher

    # First of all, because some brokers make a topic that does not exist when somebody writes to it.
    await reader.partitions(ours, sorted({ours.topic_prefix + record.topic for record in records}))
    with progress(len(records), CHUNK, ours) as advance:
        async with publisher(ours) as out:
            for start in range(0, len(records), CHUNK):
                chunk = records[start : start + CHUNK]
                for record, at in zip(chunk, await out.publish(chunk), strict=True):
                    key = None if record.key is None else record.key.decode()
                    rows.append(at._asdict() | {"event": _event(_payload(record.value or b"")), "key": key})
                advance(len(chunk))
