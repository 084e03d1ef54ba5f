"""What counts as an identity event, and why a record is refused (CONTRACT 3)."""

import datetime
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core import catalogue, events
from streams.core.bodies import splice
from streams.core.records import BODY_BYTES_MAX, Coordinates, DeadLetter, Event
from tests.core.building import HOOK_ID, NOW, NOW_TEXT, accepted, incoming, read, refused

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text().filter(lambda name: name != "hookId"), JSON_VALUES, max_size=6)
LAYOUTS = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 0, 2, "\t"])})


def text_of(**members: Any) -> bytes:
    """A `User.Created` with these members besides."""
    return json.dumps({"event": "User.Created", "createdAt": NOW_TEXT} | members).encode()


# Accepted: passed through byte for byte


@pytest.mark.parametrize(
    "payload",
    [
        b'{"event":"User.Created","createdAt":"x","data":18446744073709551616}',
        b'{"event":"User.Created","createdAt":"x","data":[1.0,1e2,1E+2,-0,-0.0,1e400,0.10]}',
        b'{"event":"User.Created","createdAt":"x","data":' + b"9" * 10_000 + b"}",
        b'{"event":"User.Created","createdAt":"x","data":1,"data":2}',
        b'{"event":"Role.Deleted","createdAt":"x","event":"User.Created"}',
        b'{"\\u0065vent":"User\\u002eCreated","createdAt":"x","n":"\\u00e9\\ud83d\\ude00\\/"}',
        '{"event":"User.Created","createdAt":"x","n":"é😀\u2028\x7f"}'.encode(),
        b'{"z":1,"createdAt":"x","event":"User.Created","a":2}',
        b'{ "event" :\t"User.Created" ,\r\n "createdAt" : null ,  "a" : [ ] }',
        b'{"event":"User.Created","createdAt":"x","data":{"hookId":"inside is nobody\'s business"}}',
    ],
    ids=["2^64", "numbers", "long", "twice", "last", "escapes", "utf-8", "order", "space", "inner-hookId"],
)
def test_the_payload_is_the_records_own_bytes(payload: bytes) -> None:
    event = accepted(incoming(payload))
    assert event.payload == payload
    assert event.name == "User.Created"


@pytest.mark.parametrize("around", [b"", b" ", b"\r\n\t ", b"\n" * 1000])
def test_whitespace_around_the_object_is_left_out(around: bytes) -> None:
    payload = text_of()
    assert accepted(incoming(around + payload + around)).payload == payload


def test_created_at_is_added_from_the_records_timestamp_when_absent() -> None:
    event = accepted(incoming(b'{"event":"User.Created", "data":1.0 }', timestamp=NOW + 1))
    assert event.payload == b'{"event":"User.Created", "data":1.0,"createdAt":"2026-09-21T14:13:20.001Z"}'
    assert event.at == NOW + 1


@pytest.mark.parametrize("stated", [b"null", b'""', b"17", b'{"createdAt":1}'])
def test_created_at_is_left_alone_when_it_is_there(stated: bytes) -> None:
    payload = b'{"event":"User.Created","createdAt":' + stated + b"}"
    assert accepted(incoming(payload)).payload == payload


@given(st.integers(-(2**63), 2**63 - 1))
@example(-1)
@example(events.LAST_MS)
@example(events.LAST_MS + 1)
@example(1_790_000_000_999)
def test_any_timestamp_that_kafka_can_hold_becomes_a_moment_to_the_millisecond(timestamp: int) -> None:
    event = accepted(incoming(b'{"event":"User.Created"}', timestamp=timestamp))
    moment = datetime.datetime.fromisoformat(json.loads(event.payload)["createdAt"])
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert since // datetime.timedelta(milliseconds=1) == event.at == min(max(timestamp, 0), events.LAST_MS)


def test_an_event_knows_where_it_lay_and_under_which_key() -> None:
    event = accepted(incoming(text_of(), key=b"u9", partition=4, offset=11))
    assert (event.source, event.key) == (Coordinates("identity.user", 4, 11), b"u9")


@pytest.mark.parametrize("name", catalogue.EVENTS)
def test_every_event_of_the_catalogue_is_read_on_its_own_topic(name: str) -> None:
    payload = json.dumps({"event": name}).encode()
    assert accepted(incoming(payload, catalogue.EVENTS[name])).name == name


@given(OBJECTS, LAYOUTS)
def test_spliced_and_parsed_a_body_is_the_original_plus_what_was_added(
    members: dict[str, Any], layout: dict[str, Any]
) -> None:
    original = members | {"event": "User.Created"}
    event = accepted(incoming(json.dumps(original, **layout).encode("utf-8", "surrogatepass")))
    body = json.loads(splice(event.payload, HOOK_ID))
    assert body == {"createdAt": NOW_TEXT} | original | {"hookId": HOOK_ID}
    assert list(body)[: len(original)] == list(original)
    assert list(body)[-1] == "hookId"


# Who it is, and for whom


@pytest.mark.parametrize("header", ["event-id", "ce_id"])
def test_the_event_id_is_the_upstreams(header: str) -> None:
    assert accepted(incoming(text_of(), headers={header: b"evt-42"})).id == "evt-42"


def test_event_id_goes_before_ce_id() -> None:
    assert accepted(incoming(text_of(), headers={"event-id": b"a", "ce_id": b"b"})).id == "a"


def test_a_derived_event_id_is_stable_and_differs_by_place_but_not_by_prefix() -> None:
    here = accepted(incoming(text_of()))
    again = accepted(incoming(text_of(data="another payload"), key=b"another key", timestamp=NOW + 5))
    prefixed = read(incoming(text_of(), "p.identity.user"), {"p.identity.user": "identity.user"})
    assert isinstance(prefixed, Event)
    assert here.id == again.id == prefixed.id
    assert here.id != accepted(incoming(text_of(), offset=8)).id
    assert prefixed.source.topic == "p.identity.user"


def test_the_tenant_and_the_trace_come_from_headers() -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = accepted(incoming(text_of(), headers={"tenant-id": b"acme", "traceparent": trace}))
    assert (event.tenant, event.traceparent) == ("acme", trace.decode())


def test_without_headers_the_tenant_is_default_and_there_is_no_trace() -> None:
    event = accepted(incoming(text_of()))
    assert (event.tenant, event.traceparent) == ("default", None)


@pytest.mark.parametrize("header", [b"", b"x" * 129, "zürich".encode(), b"a\r\nb: c", b"\xff"])
def test_a_trace_that_could_not_be_a_header_of_a_request_is_left_out(header: bytes) -> None:
    assert accepted(incoming(text_of(), headers={"traceparent": header})).traceparent is None


# Refused, each with its fixed reason and a sentence


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "the record has no value"),
        (b"", "Input data was truncated"),
        (b" \n", "Input data was truncated"),
        (b'{"event":"User.Created"', "Input data was truncated"),
        (b'{"event":"User.Created","x":"\xff"}', "byte 29 is not UTF-8"),
        (b'{"event":"User.Created","x":"\xed\xa0\x80"}', "byte 29 is not UTF-8"),
        (b'{"event":"User.Created","x":{"y":["\xc0\xaf"]}}', "byte 35 is not UTF-8"),
        (b'{"event":"User.Created","x":NaN}', "JSON is malformed: invalid character"),
        (b'{"event":"User.Created","x":-Infinity}', "JSON is malformed: invalid character"),
        (b'\xef\xbb\xbf{"event":"User.Created"}', "JSON is malformed: invalid character"),
        (b'{"event":"User.Created"}{}', "JSON is malformed: trailing characters"),
        (b'{"event":"User.Created"}\x00', "JSON is malformed: trailing characters"),
        (b'{"event":"User.Created",}', "JSON is malformed: trailing comma in object"),
        (b'\x0b{"event":"User.Created"}', "JSON is malformed: invalid character"),
        (b'{"event":"User.Created"}\x0c', "JSON is malformed: trailing characters"),
        (b"{'event':'User.Created'}", "JSON is malformed: object keys must be strings"),
        (b'{"event":"User.Created","x":"a\nb"}', "JSON is malformed: invalid character"),
        (b'{"event":"User.Created","x":01}', "JSON is malformed: invalid number"),
        ('{"event":"User.Created"}'.encode("utf-16"), "byte 0 is not UTF-8"),
        (b"\x80\x04\x95pickle", "byte 0 is not UTF-8"),
    ],
)
def test_what_is_not_json_is_refused(value: bytes | None, detail: str) -> None:
    letter = refused(incoming(value))
    assert letter.reason == "not-json"
    assert letter.detail.startswith(detail)


def test_half_a_surrogate_pair_is_refused_though_some_parsers_take_it() -> None:
    """It has no UTF-8 form, so receivers disagree about what it is (RFC 7493 forbids it)."""
    assert refused(incoming(rb'{"event":"User.Created","x":"\ud83d"}')).reason == "not-json"
    assert refused(incoming(rb'{"event":"User.Created","x":"\ude00 \ud83d!"}')).reason == "not-json"


@pytest.mark.parametrize("value", [b"[]", b"1", b'"User.Created"', b"null", b"true", b"1e400", b'[{"event":"x"}]'])
def test_json_that_is_no_object_is_refused(value: bytes) -> None:
    letter = refused(incoming(value))
    assert (letter.reason, letter.detail) == ("not-an-object", "the value is JSON, but not an object")


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"{}", "the object has no member `event`"),
        (b'{"Event":"User.Created","data":{"event":"User.Created"}}', "the object has no member `event`"),
        (b'{"event":null}', "`event` is not a string"),
        (b'{"event":1}', "`event` is not a string"),
        (b'{"event":1e400}', "`event` is not a string"),
        (b'{"event":["User.Created"]}', "`event` is not a string"),
        (b'{"event":"User.Created","event":{}}', "`event` is not a string"),
    ],
)
def test_an_object_that_names_no_event_is_refused(value: bytes, detail: str) -> None:
    letter = refused(incoming(value))
    assert (letter.reason, letter.detail) == ("missing-event", detail)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("User.created", "'User.created'"),
        ("", "a name of 0 characters that looks like none"),
        ("alice@acme.com signed in", "a name of 24 characters that looks like none"),
        ("Role.Scope.Updated", "'Role.Scope.Updated'"),
        ("identity.user.created", "'identity.user.created'"),
        ("x" * 1000, repr("x" * 80)),
        ("a\nb", "a name of 3 characters that looks like none"),
    ],
)
def test_an_event_that_is_not_in_the_catalogue_is_refused(name: str, shown: str) -> None:
    letter = refused(incoming(json.dumps({"event": name}).encode()))
    assert (letter.reason, letter.detail) == ("unknown-event", f"{shown} is not in the catalogue")


@pytest.mark.parametrize("name", catalogue.EVENTS)
def test_an_event_is_refused_on_every_topic_but_its_own(name: str) -> None:
    for topic in set(catalogue.TOPICS) - {catalogue.EVENTS[name]}:
        letter = refused(incoming(json.dumps({"event": name}).encode(), topic))
        assert (letter.reason, letter.detail) == ("wrong-topic", f"{name} belongs to {catalogue.EVENTS[name]}")


@pytest.mark.parametrize("name", ["hookId", "hook\\u0049d", "\\u0068\\u006fokId"])
@pytest.mark.parametrize("value", ["null", '"x"', "1e400", "{}"])
def test_an_upstream_may_not_set_hook_id_however_it_spells_it(name: str, value: str) -> None:
    letter = refused(incoming(f'{{"event":"User.Created","{name}":{value}}}'.encode()))
    assert (letter.reason, letter.detail) == ("reserved-field", "`hookId` is Hookline's to add")


# Too large: the request body, with hookId and createdAt, has at most 1 MiB


CREATED_AT_BYTES = len(f',"createdAt":"{NOW_TEXT}"')


def sized(total: int, created_at: str = f'"createdAt":"{NOW_TEXT}",') -> bytes:
    head = f'{{"event":"User.Created",{created_at}"x":"'.encode()
    return head + b"x" * (total - len(head) - 2) + b'"}'


@pytest.mark.parametrize("created_at", [f'"createdAt":"{NOW_TEXT}",', ""])
@pytest.mark.parametrize("under", [0, 1])
def test_a_body_of_at_most_1_mib_is_accepted(created_at: str, under: int) -> None:
    room = events.HOOK_ID_MEMBER_BYTES + (0 if created_at else CREATED_AT_BYTES)
    event = accepted(incoming(sized(BODY_BYTES_MAX - room - under, created_at)))
    assert len(splice(event.payload, HOOK_ID)) == BODY_BYTES_MAX - under


@pytest.mark.parametrize("created_at", [f'"createdAt":"{NOW_TEXT}",', ""])
def test_a_body_of_one_byte_more_is_refused(created_at: str) -> None:
    room = events.HOOK_ID_MEMBER_BYTES + (0 if created_at else CREATED_AT_BYTES)
    letter = refused(incoming(sized(BODY_BYTES_MAX - room + 1, created_at)))
    assert letter.reason == "too-large"
    assert letter.detail == "the request body would have more than 1048576 bytes"


def test_a_value_over_1_mib_is_refused_unread() -> None:
    letter = refused(incoming(b"\xff" * (BODY_BYTES_MAX + 1)))
    assert letter.reason == "too-large"
    assert letter.detail == "the value has 1048577 bytes, 1048576 are the most"
    assert refused(incoming(b"\xff" * BODY_BYTES_MAX)).reason == "not-json"


# Shapes that cost others their stack or their afternoon


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [501, 900, 5_000, 100_000])
def test_nesting_beyond_500_levels_is_refused(opening: str, levels: int) -> None:
    closing = "]" if opening == "[" else "}"
    inner = opening * (levels - 1) + "1" + closing * (levels - 1)
    letter = refused(incoming(f'{{"event":"User.Created","x":{inner}}}'.encode()))
    assert (letter.reason, letter.detail) == ("not-json", "nested deeper than 500 levels")


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(JSON_VALUES)
@example(["x\\", "]["])
@example({"[[[": ['"]}{\\', "\\", '\\"[']})
def test_exactly_500_levels_are_accepted_whatever_stands_in_strings(value: Any) -> None:
    for levels in (500, 501):
        lists = levels - 1 - depth(value)
        inner = f"{'[' * lists}{json.dumps(value)}{']' * lists}"
        found = read(incoming(f'{{"event":"User.Created","x":{inner}}}'.encode()))
        assert isinstance(found, Event) == (levels == 500)


@pytest.mark.parametrize(
    "value",
    [
        b"{" + b",".join(b'"%d":0' % n for n in range(100_000)) + b',"event":"User.Created"}',
        b'{"event":"User.Created","x":[' + b"[],{}," * 150_000 + b"0]}",
        b'{"event":"User.Created","x":"' + b'\\"[' * 300_000 + b'"}',
        b'{"event":"User.Created","x":' + b"9" * 1_000_000 + b"}",
        b'{"event":"User.Created","x":1e' + b"9" * 1_000_000 + b"}",
        b'{"event":"User.Created","event":' * 30_000 + b'"User.Created"' + b"}" * 30_000,
    ],
    ids=["100,000 keys", "300,000 lists", "escapes", "huge integer", "huge exponent", "events in events"],
)
def test_odd_shapes_of_nearly_1_mib_have_an_answer(value: bytes) -> None:
    assert len(value) < BODY_BYTES_MAX
    assert isinstance(read(incoming(value)), Event | DeadLetter)


HEADERS = st.dictionaries(
    st.sampled_from(
        ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "event-id", "tenant-id"]
    ),
    st.binary() | st.sampled_from([b"1.0", b"application/cloudevents+json", b"User.Created", b"application/json"]),
)
ALMOST_JSON = st.builds(
    lambda value, layout, cut, junk: json.dumps(value, **layout).encode("utf-8", "replace")[cut:] + junk,
    OBJECTS.map(lambda members: members | {"event": "User.Created"}) | JSON_VALUES,
    LAYOUTS,
    st.integers(-3, 0).map(lambda n: n or None) | st.none() | st.integers(0, 3),
    st.sampled_from([b"", b"}", b"\x00", b"\xff", b" "]),
)


@given(st.none() | st.binary() | ALMOST_JSON, HEADERS, st.none() | st.binary(), st.integers(-(2**63), 2**63 - 1))
def test_no_record_makes_it_raise_and_all_it_accepts_is_json_to_others_too(
    value: bytes | None, headers: dict[str, bytes], key: bytes | None, timestamp: int
) -> None:
    found = read(incoming(value, headers=headers, key=key, timestamp=timestamp))
    if isinstance(found, Event):
        assert json.loads(found.payload)["event"] == found.name
    else:
        assert found.detail


def test_a_dead_letter_carries_the_record_as_it_was() -> None:
    record = incoming(b"\xff", headers={"x": b"\x00"})
    assert refused(record).original is record


@pytest.mark.parametrize("header", [b"", b"x" * 22, b"\xff", b"a\nb"])
def test_an_event_of_an_unreadable_tenant_is_not_given_to_the_default_one(header: bytes) -> None:
    letter = read(incoming(b'{"event":"User.Created"}', headers={"tenant-id": header}))
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "bad-tenant"


def test_a_tenant_of_21_characters_is_read() -> None:
    event = read(incoming(b'{"event":"User.Created"}', headers={"tenant-id": b"x" * 21}))
    assert isinstance(event, Event)
    assert event.tenant == "x" * 21
