"""Reading events: a record in, an `Event` or a `DeadLetter` with a fixed reason out.

Three spellings are read: the payload as Logto sends it, and CloudEvents 1.0 in binary and structured mode
(CONTRACT 3). The payload is never re-encoded, since that would change numbers and order: fields that are
missing are spliced into its text. Duplicate keys pass through; the last one counts, as in JSON.parse.
Operational events are read by the same rules, and belong to a topic of their own.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from streams.core import ids
from streams.core.catalogue import OPERATIONAL, Catalogue
from streams.core.moments import iso
from streams.core.nesting import TOO_DEEP, is_too_deep
from streams.core.records import BODY_BYTES_MAX, Coordinates, DeadLetter, Event, Incoming, Reason

DEFAULT_TENANT = "default"
TENANT_CHARACTERS_MAX = 21

HOOK_ID_MEMBER_BYTES = len(b',"hookId":"012345678901234567890"')
"""What `bodies.splice` adds to a payload; counted here so that every accepted event fits every hook."""

CLOUDEVENTS_JSON = b"application/cloudevents"

LAST_MS = 253_402_300_799_999
"""The end of the year 9999. A record's timestamp is whatever its producer wrote."""

_SPACE = b" \t\r\n"
_NAME_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9._:/-]*\Z")


class _Envelope(Struct):
    """The members of a payload that decide anything; all others are passed over unread."""

    event: Raw | UnsetType = UNSET
    hookId: Raw | UnsetType = UNSET  # noqa: N815 - the name on the wire
    createdAt: Raw | UnsetType = UNSET  # noqa: N815 - the name on the wire


class _CloudEvent(Struct):
    """A structured CloudEvent's envelope."""

    specversion: str
    id: str
    source: str
    type: str
    data: Raw
    time: str | None = None
    datacontenttype: str | None = None


class _Refused(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason: Reason = reason
        self.detail = detail


class _Text(Struct, frozen=True):
    """What a record said, whichever spelling it used: event name if stated outside the payload, payload, id, time."""

    payload: bytes
    name: str | None = None
    id: bytes | None = None
    time: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_cloudevent = msgspec.json.Decoder(_CloudEvent)
_string = msgspec.json.Decoder(str)


def read(record: Incoming, catalogue: Catalogue, cluster: str, topics: Mapping[str, str]) -> Event | DeadLetter:
    """The event in a record, or why there is none.

    `topics` maps a topic's name on the cluster to its name in the catalogue (they differ by the prefix).
    """
    at = min(max(record.timestamp, 0), LAST_MS)
    try:
        text = _text(record, catalogue)
        payload = text.payload.strip(_SPACE)
        envelope = _decoded(payload)
        name = _name(envelope, text, catalogue, topics[record.at.topic])
        payload = _completed(payload, envelope, name, text.time or iso(at))
        tenant = _tenant(record.header("tenant-id"))
        _require_room(payload)
    except _Refused as refused:
        return DeadLetter(reason=refused.reason, detail=refused.detail, original=record)
    return Event(
        name=name,
        id=ids.event_id(text.id, cluster, Coordinates(topics[record.at.topic], *record.at[1:])),
        tenant=tenant,
        payload=payload,
        at=at,
        source=record.at,
        key=record.key,
        traceparent=_ascii(record.header("traceparent")),
    )


def _text(record: Incoming, catalogue: Catalogue) -> _Text:
    value = record.value
    if value is None:
        raise _Refused("not-json", "the record has no value")
    if len(value) > BODY_BYTES_MAX:
        raise _Refused("too-large", f"the value has {len(value)} bytes, {BODY_BYTES_MAX} are the most")
    content_type = (record.header("content-type") or b"").lower()
    if content_type.startswith(CLOUDEVENTS_JSON):
        return _structured(record, value, catalogue)
    if record.header("ce_specversion") is not None:
        return _binary(record, value, catalogue)
    return _Text(payload=value, id=record.header("event-id") or record.header("ce_id"))


def _binary(record: Incoming, value: bytes, catalogue: Catalogue) -> _Text:
    """CloudEvents Kafka binding 3.2: attributes in `ce_*` headers, the data is the value."""
    attributes = {name: _utf8(record.header(f"ce_{name}")) for name in ("specversion", "id", "source", "type", "time")}
    missing = [name for name in ("specversion", "id", "source", "type") if not attributes[name]]
    if missing:
        raise _Refused("bad-cloudevent", f"header ce_{missing[0]} is missing, empty or not UTF-8")
    _require_version(attributes["specversion"])
    return _Text(
        payload=value,
        name=_typed(attributes["type"] or "", catalogue),
        id=record.header("event-id") or record.header("ce_id"),
        time=attributes["time"],
    )


def _structured(record: Incoming, value: bytes, catalogue: Catalogue) -> _Text:
    """CloudEvents Kafka binding 3.3: the value is the envelope, its `data` the payload."""
    try:
        _require_utf8(value)
        envelope = _cloudevent.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _Refused("bad-cloudevent", f"structured mode: {error}") from None
    _require_version(envelope.specversion)
    if not envelope.id or not envelope.source:
        raise _Refused("bad-cloudevent", "id and source must not be empty")
    if envelope.datacontenttype and "json" not in envelope.datacontenttype.lower():
        raise _Refused("bad-cloudevent", "datacontenttype must be JSON")
    name = _typed(envelope.type, catalogue)
    given = record.header("event-id") or envelope.id.encode()
    return _Text(payload=bytes(envelope.data), name=name, id=given, time=envelope.time)


def _require_version(version: str | None) -> None:
    if version != "1.0":
        raise _Refused("bad-cloudevent", f"specversion {version!r} is not 1.0")


def _typed(type_: str, catalogue: Catalogue) -> str:
    name = catalogue.from_cloudevents(type_)
    if name is None:
        raise _Refused("unknown-event", f"CloudEvents type {_shown(type_)} is not in the catalogue")
    return name


def _require_utf8(payload: bytes) -> None:
    """msgspec does not look into the strings it passes over; a receiver's JSON parser would."""
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused("not-json", f"byte {error.start} is not UTF-8") from None


def _decoded(payload: bytes) -> _Envelope:
    _require_utf8(payload)
    try:
        envelope = _envelope.decode(payload)
    except msgspec.ValidationError:
        raise _Refused("not-an-object", "the value is JSON, but not an object") from None
    except msgspec.DecodeError as error:
        raise _Refused("not-json", str(error)) from None
    except RecursionError:
        raise _Refused("not-json", TOO_DEEP) from None
    if is_too_deep(payload):
        raise _Refused("not-json", TOO_DEEP)
    return envelope


def _shown(name: str) -> str:
    """A name that nobody knows, for the detail of a dead letter; what looks like none may be a payload's and is not."""
    return repr(name[:80]) if _NAME_LIKE.match(name) else f"a name of {len(name)} characters that looks like none"


def _name(envelope: _Envelope, text: _Text, catalogue: Catalogue, topic: str) -> str:
    """The event's name: as the payload says, or as CloudEvents says; refused when they differ."""
    stated = text.name if envelope.event is UNSET else _stated(envelope.event)
    if stated is None:
        raise _Refused("missing-event", "the object has no member `event`")
    if text.name is not None and stated != text.name:
        raise _Refused("bad-cloudevent", f"type says {text.name}, `event` says {stated[:80]!r}")
    if envelope.hookId is not UNSET:
        raise _Refused("reserved-field", "`hookId` is Hookline's to add")
    home = catalogue.topic_of(stated)
    if home is None:
        raise _Refused("unknown-event", f"{_shown(stated)} is not in the catalogue")
    if home != topic:
        ours = ", which Hookline alone writes" if stated in OPERATIONAL else ""
        raise _Refused("wrong-topic", f"{stated} belongs to {home}{ours}")
    return stated


def _stated(event: Raw) -> str:
    try:
        return _string.decode(event)
    except msgspec.MsgspecError:
        raise _Refused("missing-event", "`event` is not a string") from None


def _completed(payload: bytes, envelope: _Envelope, name: str, time: str) -> bytes:
    """The payload with `event` in front and `createdAt` behind, where it had none."""
    if envelope.event is UNSET:
        rest = payload[1:].lstrip(_SPACE)
        payload = b'{"event":' + msgspec.json.encode(name) + (b"" if rest == b"}" else b",") + rest
    if envelope.createdAt is UNSET:
        payload = payload[:-1].rstrip(_SPACE) + b',"createdAt":' + msgspec.json.encode(time) + b"}"
    return payload


def _require_room(payload: bytes) -> None:
    if len(payload) + HOOK_ID_MEMBER_BYTES > BODY_BYTES_MAX:
        raise _Refused("too-large", f"the request body would have more than {BODY_BYTES_MAX} bytes")


def _tenant(header: bytes | None) -> str:
    """Whose event it is. One that nobody can read must not become the default tenant's."""
    if header is None:
        return DEFAULT_TENANT
    tenant = _ascii(header)
    if tenant is None or len(tenant) > TENANT_CHARACTERS_MAX:
        raise _Refused("bad-tenant", f"header tenant-id is not 1 to {TENANT_CHARACTERS_MAX} printable ASCII characters")
    return tenant


def _ascii(value: bytes | None) -> str | None:
    """A header as text if it is 1 to 128 printable ASCII characters; otherwise as if it were absent."""
    if value and len(value) <= 128 and value.isascii() and value.decode("ascii").isprintable():
        return value.decode("ascii")
    return None


def _utf8(value: bytes | None) -> str | None:
    try:
        return value.decode("utf-8") if value else None
    except UnicodeDecodeError:
        return None
