"""CloudEvents 1.0 as identity events, in binary and structured mode, made by the CloudEvents SDK (CONTRACT 3)."""

import datetime
import json
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from streams.core import catalogue
from streams.core.catalogue import cloudevents_type
from streams.core.records import Event
from tests.core.building import NOW, NOW_TEXT, accepted, incoming, refused


def cloud_event(type_: str = "User.Created", data: Any = None, **attributes: Any) -> CloudEvent:
    base = {"id": "ce-1", "source": "/identity", "type": type_, "datacontenttype": "application/json"}
    return CloudEvent(attributes=base | attributes, data={"data": {"id": "u1"}} if data is None else data)


def sent(message: KafkaMessage, topic: str = catalogue.USER, **headers: bytes) -> Event:
    ours = {name.replace("_", "-"): value for name, value in headers.items()}
    return accepted(incoming(message.value, topic, headers=message.headers | ours))


@pytest.mark.parametrize("mode", [to_binary, to_structured])
@pytest.mark.parametrize("spelling", [str, cloudevents_type])
@pytest.mark.parametrize("name", catalogue.EVENTS)
def test_a_cloud_event_of_every_type_is_read_in_both_modes_and_spellings(name: str, spelling: Any, mode: Any) -> None:
    event = sent(mode(cloud_event(spelling(name)), JSONFormat()), catalogue.EVENTS[name])
    assert (event.name, event.id) == (name, "ce-1")
    assert json.loads(event.payload) | {"createdAt": ""} == {"event": name, "data": {"id": "u1"}, "createdAt": ""}


@pytest.mark.parametrize("mode", [to_binary, to_structured])
def test_the_time_of_a_cloud_event_becomes_created_at(mode: Any) -> None:
    time = datetime.datetime(2026, 8, 21, 8, tzinfo=datetime.UTC)
    event = sent(mode(cloud_event(time=time), JSONFormat()))
    assert json.loads(event.payload)["createdAt"] == "2026-08-21T08:00:00Z"
    assert event.at == NOW


@pytest.mark.parametrize("mode", [to_binary, to_structured])
def test_data_that_says_event_and_created_at_itself_is_passed_through(mode: Any) -> None:
    event = sent(mode(cloud_event(data={"event": "User.Created", "createdAt": "x", "n": 1}), JSONFormat()))
    assert json.loads(event.payload) == {"event": "User.Created", "createdAt": "x", "n": 1}


@pytest.mark.parametrize("mode", [to_binary, to_structured])
def test_an_event_id_header_goes_before_the_cloud_events_id(mode: Any) -> None:
    assert sent(mode(cloud_event(), JSONFormat()), event_id=b"mine").id == "mine"


@pytest.mark.parametrize("mode", [to_binary, to_structured])
def test_extensions_and_the_tenant_header_are_understood(mode: Any) -> None:
    message = mode(cloud_event(partitionkey="u1", traceid="t"), JSONFormat())
    assert sent(message, tenant_id=b"acme").tenant == "acme"


def test_the_data_of_a_structured_cloud_event_keeps_its_bytes() -> None:
    data = '{ "n": 1.0, "m": 18446744073709551616, "o": "\\u00e9", "o": 1e2 }'
    value = f'{{"data" : {data} , "specversion":"1.0","id":"i","source":"s","type":"User.Created"}}'
    event = accepted(incoming(value.encode(), headers={"content-type": b"application/cloudevents+json; charset=utf-8"}))
    assert event.payload == f'{{"event":"User.Created",{data[2:-2]},"createdAt":"{NOW_TEXT}"}}'.encode()


@pytest.mark.parametrize("data", [b"{}", b"{ }", b" {\n} "])
def test_empty_data_becomes_the_event_alone(data: bytes) -> None:
    headers = {"ce_specversion": b"1.0", "ce_id": b"i", "ce_source": b"s", "ce_type": b"User.Created"}
    assert accepted(incoming(data, headers=headers)).payload == (
        f'{{"event":"User.Created","createdAt":"{NOW_TEXT}"}}'.encode()
    )


BINARY = {"ce_specversion": b"1.0", "ce_id": b"i", "ce_source": b"s", "ce_type": b"User.Created"}


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"ce_specversion": b"0.3"}, "specversion '0.3' is not 1.0"),
        ({"ce_specversion": b""}, "header ce_specversion is missing, empty or not UTF-8"),
        ({"ce_id": b""}, "header ce_id is missing, empty or not UTF-8"),
        ({"ce_source": b"\xff"}, "header ce_source is missing, empty or not UTF-8"),
        ({"ce_type": b""}, "header ce_type is missing, empty or not UTF-8"),
    ],
)
def test_a_binary_cloud_event_without_its_attributes_is_refused(headers: dict[str, bytes], detail: str) -> None:
    letter = refused(incoming(b"{}", headers=BINARY | headers))
    assert (letter.reason, letter.detail) == ("bad-cloudevent", detail)


@pytest.mark.parametrize("type_", ["Role.Created", "identity.role.created"])
def test_a_type_and_an_event_that_differ_are_refused(type_: str) -> None:
    record = incoming(b'{"event":"User.Created"}', catalogue.ROLE, headers=BINARY | {"ce_type": type_.encode()})
    letter = refused(record)
    assert (letter.reason, letter.detail) == ("bad-cloudevent", "type says Role.Created, `event` says 'User.Created'")


def test_a_type_that_is_no_event_is_refused() -> None:
    letter = refused(incoming(b"{}", headers=BINARY | {"ce_type": b"com.example.thing"}))
    assert (letter.reason, letter.detail) == (
        "unknown-event",
        "CloudEvents type 'com.example.thing' is not in the catalogue",
    )


def structured(**changes: Any) -> bytes:
    members = {"specversion": "1.0", "id": "i", "source": "s", "type": "User.Created", "data": {}} | changes
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"[]", "structured mode: Expected `object`, got `array`"),
        (b"{", "structured mode: Input data was truncated"),
        (structured(id=...), "structured mode: Object missing required field `id`"),
        (structured(data=...), "structured mode: Object missing required field `data`"),
        (structured(data=..., data_base64="e30="), "structured mode: Object missing required field `data`"),
        (structured(type=1), "structured mode: Expected `str`, got `int` - at `$.type`"),
        (structured(specversion="2.0"), "specversion '2.0' is not 1.0"),
        (structured(id=""), "id and source must not be empty"),
        (structured(source=""), "id and source must not be empty"),
        (structured(datacontenttype="application/xml"), "datacontenttype must be JSON"),
    ],
)
def test_a_structured_cloud_event_that_breaks_its_own_rules_is_refused(value: bytes, detail: str) -> None:
    letter = refused(incoming(value, headers={"content-type": b"application/cloudevents+json"}))
    assert (letter.reason, letter.detail) == ("bad-cloudevent", detail)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (structured(data=[1]), "not-an-object"),
        (structured(data="{}"), "not-an-object"),
        (structured(data={"hookId": 1}), "reserved-field"),
        (structured(type="Role.Created"), "wrong-topic"),
        (structured(source="\xff").decode().replace("\\u00ff", "\xff").encode("latin-1"), "not-json"),
        (structured(data=...)[:-1] + b',"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad-cloudevent"),
    ],
)
def test_the_data_of_a_cloud_event_obeys_the_rules_for_payloads(value: bytes, reason: str) -> None:
    letter = refused(incoming(value, headers={"content-type": b"application/cloudevents+json"}))
    assert letter.reason == reason
