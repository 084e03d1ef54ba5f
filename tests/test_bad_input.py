"""Input nobody can read: one dead letter that says why and where from, and the line moves on (CONTRACT 3, DESIGN I11).

One line serves the whole file. `found` writes every row of the tables below once, lets the roles deal with all of it,
restarts them, and reads back what became of it; each row is then a test of its own. Hooks may reach 127.0.0.2 alone,
so that an address of this machine can be the forbidden one.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any

import orjson
import pytest
import pytest_asyncio
from msgspec import Struct, field, structs

from streams.core.records import Coordinates, Incoming, Outgoing
from streams.kafka import topics
from streams.kafka.health_state import partition_of
from streams.web.receiver import Received, Receiver
from tests import odd_names
from tests.line import Line, apart, hook, hook_id, line, logs_of_a_failure
from tests.odd_names import OddName

HOST = "127.0.0.2"
PARTITIONS = 3
HOOK = hook_id(1)
HOOK_MEMBER = b',"hookId":"' + HOOK.encode() + b'"'
ROOM = 1024 * 1024 - len(HOOK_MEMBER)
ODD_HEADERS = (("x-bytes", b"\x00\xff"), ("x-twice", b"1"), ("x-twice", b"2"), ("x-empty", b""))
ODD_NAME = ((OddName(), b"1"), ("x-empty", b""))
OURS = ["reason", "detail", "source-topic", "source-partition", "source-offset", "failed-at"]
WAIT_S = 20


class Row(Struct, frozen=True):
    """A record that must be refused: with which reason, and how the detail begins. `<url>` is the receiver's."""

    name: str
    reason: str
    detail: str
    record: Outgoing


class Good(Struct, frozen=True):
    """A record that must be accepted, and the payload that the request's body is made from."""

    name: str
    record: Outgoing
    payload: bytes


class Found(Struct):
    """What became of everything: where each row lies, the dead letters by origin, the requests."""

    began_ms: int
    places: dict[str, Coordinates] = field(default_factory=dict)
    letters: dict[Coordinates, list[Incoming]] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)

    def letter(self, row: Row) -> Incoming:
        """The row's dead letter; there is exactly one, though the roles were restarted since."""
        assert row.name in self.places, "it was never written: the stage before it failed"
        letters = self.letters.get(self.places[row.name], [])
        assert len(letters) == 1, f"{len(letters)} dead letters of {row.name}"
        return letters[0]

    def paths(self, body: bytes) -> list[str]:
        """Where a body arrived, once for each time that it did."""
        return [request.path for request in self.requests if request.body == body]


# Identity events


def event(
    name: str, reason: str, detail: str, value: bytes | None, topic: str = "identity.user", headers: Any = ODD_HEADERS,
    key: bytes | None = b"u1",
) -> Row:  # fmt: skip
    return Row(name, reason, detail, Outgoing(topic=topic, key=key, value=value, headers=headers))


def text(*members: str, event: str = "User.Created") -> bytes:
    return ",".join((f'{{"event":"{event}","createdAt":"x"', *members)).encode() + b"}"


def sized(total: int) -> bytes:
    """An event of exactly so many bytes."""
    empty = text('"x":""')
    return empty[:-2] + b"x" * (total - len(empty)) + empty[-2:]


def nested(levels: int) -> bytes:
    return text(f'"x":{"[" * (levels - 1)}{"]" * (levels - 1)}')


BINARY = {"ce_specversion": b"1.0", "ce_id": b"ce-1", "ce_source": b"/tests", "ce_type": b"identity.user.created"}
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


def binary(**changes: bytes) -> tuple[tuple[str, bytes], ...]:
    """The headers of a CloudEvent in binary mode; an empty value takes one away."""
    return tuple((name, value) for name, value in (BINARY | changes).items() if value)


def structured(**changes: Any) -> bytes:
    members = {"specversion": "1.0", "id": "ce-2", "source": "/tests", "type": "User.Created", "data": {"n": 1}}
    return orjson.dumps({name: value for name, value in (members | changes).items() if value is not ...})


_EVENTS = (
    event("null-value", "not-json", "the record has no value", None),
    event("empty-value", "not-json", "Input data was truncated", b""),
    event("null-key", "not-json", "Input data was truncated", b"{", key=None),
    event("null-key-and-value", "not-json", "the record has no value", None, key=None),
    event("empty-key", "not-json", "Input data was truncated", b"", key=b""),
    event("binary-key", "not-json", "Input data was truncated", b"{", key=b"\xff\x00"),
    event("null-header", "not-json", "Input data was truncated", b"{", headers=(("x-null", None),)),
    event("odd-header-name", "not-json", "Input data was truncated", b"{", headers=ODD_NAME),
    event("forged-headers", "not-json", "Input data was truncated", b"{", headers=tuple((n, b"forged") for n in OURS)),
    event("not-utf-8", "not-json", "byte 0 is not UTF-8", b"\xff\xfe\x00"),
    event("not-utf-8-within", "not-json", "byte 53 is not UTF-8", text('"data":{"x":"?"}').replace(b"?", b"\xff")),
    event("cut-short", "not-json", "Input data was truncated", text()[:-1]),
    event("nan", "not-json", "JSON is malformed: invalid character", text('"x":NaN')),
    event("two-values", "not-json", "JSON is malformed: trailing characters", text() + b"{}"),
    event("501-levels", "not-json", "nested deeper than 500 levels", nested(501)),
    event("100000-levels", "not-json", "nested deeper than 500 levels", nested(100_000)),
    event("array", "not-an-object", "the value is JSON, but not an object", b"[" + text() + b"]"),
    event("string", "not-an-object", "the value is JSON, but not an object", b'"User.Created"'),
    event("no-event", "missing-event", "the object has no member `event`", b'{"Event":"User.Created"}'),
    event("event-is-a-number", "missing-event", "`event` is not a string", b'{"event":1}'),
    event("unknown-event", "unknown-event", "'User.Vanished' is not in the catalogue", text(event="User.Vanished")),
    event("misspelt-event", "unknown-event", "'user.created' is not in the catalogue", text(event="user.created")),
    event("foreign-topic", "wrong-topic", "Role.Created belongs to identity.role", text(event="Role.Created")),
    event("own-topic", "wrong-topic", "User.Created belongs to identity.user", text(), topic="identity.interaction"),
    event("hook-id", "reserved-field", "`hookId` is Hookline's to add", text('"hookId":"x"')),
    event("hook-id-escaped", "reserved-field", "`hookId` is Hookline's to add", text('"\\u0068ookId":null')),
    event("body-1-byte-over", "too-large", "the request body would have more than 1048576 bytes", sized(ROOM + 1)),
    event("value-1-byte-over", "too-large", "the value has 1048577 bytes, 1048576 are the most", sized(2**20 + 1)),
    event("binary-ce-no-source", "bad-cloudevent", "header ce_source is missing", b"{}", headers=binary(ce_source=b"")),
    event("binary-ce-0.3", "bad-cloudevent", "specversion '0.3' is not", b"{}", headers=binary(ce_specversion=b"0.3")),
    event("binary-ce-other-event", "bad-cloudevent", "type says User.Created, `event` says 'User.Deleted'",
          text(event="User.Deleted"), headers=binary()),
    event("binary-ce-unknown", "unknown-event", "CloudEvents type 'a.b'", b"{}", headers=binary(ce_type=b"a.b")),
    event("null-tenant", "bad-tenant", "header tenant-id is not 1 to 21", text(), headers=(("tenant-id", None),)),
    event("empty-tenant", "bad-tenant", "header tenant-id is not 1 to 21", text(), headers=(("tenant-id", b""),)),
    event("long-tenant", "bad-tenant", "header tenant-id is not 1", text(), headers=(("tenant-id", b"t" * 22),)),
    event("odd-tenant", "bad-tenant", "header tenant-id is not 1 to 21", text(), headers=(("tenant-id", b"\xff"),)),
    event("structured-ce-no-data", "bad-cloudevent", "structured mode: Object missing required field `data`",
          structured(data=...), headers=STRUCTURED),
    event("structured-ce-cut", "bad-cloudevent", "structured mode: Input data", structured()[:-1], headers=STRUCTURED),
    event("structured-ce-xml", "bad-cloudevent", "datacontenttype must be JSON",
          structured(datacontenttype="text/xml"), headers=STRUCTURED),
    event("structured-ce-array", "not-an-object", "the value is", structured(data=[1]), headers=STRUCTURED),
    event("structured-ce-foreign", "wrong-topic", "Role.Created belongs to identity.role",
          structured(type="identity.role.created"), headers=STRUCTURED),
)  # fmt: skip
EVENTS = tuple(
    structs.replace(row, record=structs.replace(row.record, partition=number % PARTITIONS))
    for number, row in enumerate(_EVENTS)
)


def after(row: Row) -> Outgoing:
    """The next record of the row's partition: a good event that carries the row's name."""
    name = {"identity.interaction": "PostSignIn"}.get(row.record.topic, "User.Created")
    value = text(f'"after":"{row.name}"', event=name)
    return Outgoing(topic=row.record.topic, key=b"u1", value=value, partition=row.record.partition)


def good(name: str, value: bytes, payload: bytes | None = None, headers: Any = (), key: bytes | None = b"u1") -> Good:
    return Good(name, Outgoing(topic="identity.user", key=key, value=value, headers=headers), payload or value)


CE_PAYLOAD = b'{"event":"User.Created","n":1,"createdAt":"2026-08-21T08:00:00Z"}'
GOOD = (
    good("null-key", text('"n":0'), key=None),
    good("1-mib", sized(ROOM)),
    good("duplicate-keys", b'{"event":"Role.Deleted","createdAt":"x","a":1,"a":2,"a":1,"event":"User.Created"}'),
    good("numbers", text('"n":[18446744073709551616,1.0,1e400,-0,0.10,1E+2]')),
    good("500-levels", nested(500)),
    good("text", text('"\\u0061\\/":"\\u00e9\\ud83d\\ude00 é😀\u2028"')),
    good("inner-hook-id", text('"data":{"hookId":"x"}')),
    good("white-space", b" \r\n\t" + text('"a": [ ]') + b"\n", text('"a": [ ]')),
    good("null-headers", text('"n":1'), headers=(("event-id", None), ("traceparent", None))),
    good("odd-header-name", text('"n":2'), headers=ODD_NAME),
    good("binary-ce", b'{"n":1}', CE_PAYLOAD, binary(ce_time=b"2026-08-21T08:00:00Z")),
    good("structured-ce", structured(data=..., time="2026-08-21T08:00:00Z")[:-1] + b',"data":{ "o":1.0}}',
         b'{"event":"User.Created","o":1.0,"createdAt":"2026-08-21T08:00:00Z"}', STRUCTURED),
)  # fmt: skip


def body(payload: bytes) -> bytes:
    return payload[:-1] + HOOK_MEMBER + b"}"


# Hook records: each follows a good version of its hook, which sends to /old; a bad one that counted would send to /new


def tenant(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:21]


def own_id(name: str) -> str:
    return hook_id(100 + int(sha256(name.encode()).hexdigest()[:8], 16))


def version(name: str, path: str, /, **fields: Any) -> dict[str, Any]:
    """A version of the row's own hook, in a tenant of its own."""
    url = fields.pop("url", f"<url>/{path}/{name}")
    return hook(0, url, **({"id": own_id(name), "tenantId": tenant(name)} | fields))


def bad_hook(name: str, detail: str, value: bytes | None = None, headers: Any = (), /, **fields: Any) -> Row:
    value = value or orjson.dumps(version(name, "new", **fields))
    return Row(name, "bad-hook", detail, Outgoing(topic=topics.CONFIG, key=own_id(name).encode(), value=value,
                                                  headers=headers))  # fmt: skip


HOOKS = (
    bad_hook("hook-empty", "Input data was truncated", b" "),
    bad_hook("hook-cut-short", "Input data was truncated", b'{"id":'),
    bad_hook("hook-null-header", "Input data was truncated", b"{", (("x-null", None),)),
    bad_hook("hook-odd-header-name", "Input data was truncated", b"{", ODD_NAME),
    bad_hook("hook-not-utf-8", "'utf-8' codec can't decode byte 0xff", b'{"name":"\xff"}'),
    bad_hook("hook-array", "Expected `object`, got `array`", b"[]"),
    bad_hook("hook-deep", "", b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
    bad_hook("hook-no-config", "Object missing required field `config`", b'{"id":"000000000000000000000"}'),
    bad_hook("hook-enabled-is-text", "Expected `bool`, got `str` - at `$.enabled`", enabled="false"),
    bad_hook("hook-short-key", "Expected `str` matching regex", signingKey="k" * 31),
    bad_hook("hook-long-name", "Expected `str` of length <= 256 - at `$.name`", name="n" * 257),
    bad_hook("hook-too-large", "the record has ", description="d" * 65_536),
    bad_hook("hook-unknown-event", "events: 'User.Vanished' is no event", events=["User.Created", "User.Vanished"]),
    bad_hook("hook-unknown-prefix", "events: 'Nobody.*' is no event", events=["Nobody.*"]),
    bad_hook("hook-101-events", "events: more than 100 names", events=["*"] * 101),
    bad_hook("hook-other-id", f"the record's key is {own_id('hook-other-id').encode()!r}", id=hook_id(99)),
    bad_hook("hook-forbidden-address", "config.url (loopback): 127.0.0.1 is not a public", url="http://127.0.0.1:9/"),
    bad_hook("hook-odd-address", "config.url (bad-address): an address is not written", url="http://127.2:9/"),
    bad_hook("hook-userinfo", "config.url (userinfo)", url=f"http://me@{HOST}:9/"),
    bad_hook("hook-scheme", "config.url (scheme): the URL must begin with https://", url=f"ftp://{HOST}/"),
    bad_hook("hook-long-url", "Expected `str` of length <= 2048 - at `$.config.url`", url="<url>/" + "p" * 2048),
    bad_hook("hook-reserved-header", "the header 'Webhook-Id' is reserved", config={"headers": {"Webhook-Id": "x"}}),
    bad_hook("hook-split-header", "the value of 'x-a' has characters", config={"headers": {"x-a": "b\r\nc: d"}}),
    bad_hook("hook-4-retries", "Expected `int` <= 3 - at `$.config.retries`", config={"retries": 4}),
    bad_hook("hook-21-waits", "Expected `array` of length <= 20", delivery={"retry": {"scheduleSeconds": [1] * 21}}),
    bad_hook("hook-unknown-policy", "Object contains unknown field `retries`", delivery={"retries": 1}),
    bad_hook("hook-bad-filter", "delivery.filter: unknown operator '$r'", delivery={"filter": {"a": {"$r": 1}}}),
)  # fmt: skip


def wanted_by(row: Row, when: str) -> Outgoing:
    """An event that only the row's own hook wants."""
    headers = (("tenant-id", tenant(row.name).encode()),)
    return Outgoing(topic="identity.user", key=b"u1", value=text(f'"{when}":"{row.name}"'), headers=headers)


# Jobs and outcomes, which nobody but Hookline should write

JOB = {
    "tenant-id": b"default", "event": b"User.Created", "event-id": b"e1", "event-at": b"1790000000000",
    "source": b"identity.user/0/0", "hook-version": b"0/0",
}  # fmt: skip


def job(
    name: str, key: bytes | None = HOOK.encode(), value: bytes | None = b"{}", more: Any = (), **changes: Any
) -> Outgoing:
    """A job of the first hook, in its partition, with `more` headers before its own."""
    fields = JOB | {"delivery-id": b"msg_" + name.encode()} | {n.replace("_", "-"): v for n, v in changes.items()}
    headers = (*more, *((n, v) for n, v in fields.items() if v is not ...))
    partition = partition_of(HOOK, PARTITIONS)
    return Outgoing(topic=topics.DELIVERIES, key=key, value=value, headers=headers, partition=partition)


def bad_job(name: str, detail: str, **changes: Any) -> Row:
    return Row(name, "bad-job", detail, job(name, **changes))


JOBS = (
    bad_job("job-null-value", "value is missing", value=None),
    bad_job("job-odd-header-name", "value is missing", value=None, more=ODD_NAME),
    bad_job("job-null-key", "key is missing", key=None),
    bad_job("job-binary-key", "key does not look like one", key=b"\xff"),
    bad_job("job-no-delivery-id", "delivery-id is missing", delivery_id=...),
    bad_job("job-split-delivery-id", "delivery-id does not look like one", delivery_id=b"msg_a\r\nx-b: c"),
    bad_job("job-odd-tenant", "tenant-id does not look like one", tenant_id=b"\xff"),
    bad_job("job-null-header", "delivery-id is missing", delivery_id=None),
    bad_job("job-no-version", "hook-version is missing", hook_version=...),
    bad_job("job-odd-version", "hook-version does not look like one", hook_version=b"0"),
    bad_job("job-odd-time", "event-at does not look like one", event_at=b"today"),
    bad_job("job-odd-source", "source does not look like one", source=b"identity.user/0/first"),
)


def bad_outcome(name: str, detail: str, value: bytes | None, headers: Any = ()) -> Row:
    partition = partition_of(HOOK, PARTITIONS)
    record = Outgoing(topic=topics.LOG, key=b"nobody", value=value, headers=headers, partition=partition)
    return Row(name, "not-json", detail, record)


OUTCOMES = (
    bad_outcome("outcome-null", "Input data was truncated", None),
    bad_outcome("outcome-binary", "JSON is malformed", b"\x00\x01"),
    bad_outcome("outcome-array", "Expected `object`, got `array`", b"[]"),
    bad_outcome("outcome-of-nothing", "Object missing required field", b'{"id":"msg_x"}'),
    bad_outcome("outcome-not-utf-8", "'utf-8' codec can't decode byte 0xff", b'{"id":"\xff"}'),
    bad_outcome("outcome-deep", "", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    bad_outcome("outcome-null-header", "Input data was truncated", b"{", (("x-null", None),)),
    bad_outcome("outcome-odd-header-name", "Input data was truncated", b"{", ODD_NAME),
)


def bad_wait(name: str, detail: str, value: bytes, headers: Any = ()) -> Row:
    partition = partition_of(HOOK, PARTITIONS)
    record = Outgoing(topic=topics.RETRIES, key=name.encode(), value=value, headers=headers, partition=partition)
    return Row(name, "bad-job", "hooks.retries: " + detail, record)


WAITS = (
    bad_wait("wait-cut-short", "Input data was truncated", b"{"),
    bad_wait("wait-deep", "", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    bad_wait("wait-not-utf-8", "'utf-8' codec can't decode byte 0xff", b'{"id":"\xff"}'),
    bad_wait("wait-odd-header-name", "Input data was truncated", b"{", ODD_NAME),
)
"""Read when a sender takes a partition over, and only then."""

REPORT = Outgoing(topic=topics.HEALTH, key=b"nobody", value=b"{", headers=ODD_NAME, partition=0)
"""A report that nobody can read is nobody's dead letter: it is Hookline's own, and its hook begins from zero."""

ROWS = (*EVENTS, *HOOKS, *JOBS, *OUTCOMES, *WAITS)


# The one run


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(host=HOST) as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def the(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    directory = tmp_path_factory.mktemp("line")
    async with line(apart(bootstrap, directory, allow_networks=(f"{HOST}/32",)), directory) as the:
        await the.ready()
        yield the


@pytest.fixture(autouse=True)
def logs(the: Line, request: pytest.FixtureRequest) -> Iterator[None]:
    yield from logs_of_a_failure(the, request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def found(the: Line, receiver: Receiver) -> Found:
    """Everything written, dealt with, and read back. What does not come in time is for the rows to miss."""
    found = Found(time.time_ns() // 1_000_000)
    for stage in (_write_events, _write_hooks, _write_jobs, _write_outcomes, _restart):
        with suppress(TimeoutError, AssertionError):
            await stage(the, receiver, found)
    for letter in await the.read(topics.DEAD_LETTERS):
        found.letters.setdefault(_origin(letter), []).append(letter)
    found.requests = list(receiver.requests)
    return found


async def _write_events(the: Line, receiver: Receiver, found: Found) -> None:
    before = receiver.total
    await the.took(await the.put(hook(1, receiver.url + "/first")))
    for count, row in enumerate(
        EVENTS, start=1
    ):  # one after the other: what stops the line is the first row that fails
        found.places[row.name] = await _write(the, row.record, after(row))
        await receiver.arrived(before + count, WAIT_S)
    await _write_all(the, [row.record for row in GOOD])
    await receiver.arrived(before + len(EVENTS) + len(GOOD), WAIT_S)


async def _write_hooks(the: Line, receiver: Receiver, found: Found) -> None:
    before = receiver.total
    put = [_at(receiver, row.record, orjson.dumps(version(row.name, "old"))) for row in HOOKS]
    await the.took(await _write_all(the, put))
    places = await _write_all(the, [_at(receiver, row.record) for row in HOOKS])
    found.places |= {row.name: at for row, at in zip(HOOKS, places, strict=True)}
    await the.took(places)
    await the.publisher.publish(wanted_by(row, "then") for row in HOOKS)
    await receiver.arrived(before + len(HOOKS), WAIT_S)


async def _write_jobs(the: Line, receiver: Receiver, found: Found) -> None:
    before = receiver.total
    for count, row in enumerate(JOBS, start=1):
        good = job(f"after-{row.name}", value=b'{"after":"%s"}' % row.name.encode())
        found.places[row.name] = await _write(the, row.record, good)
        await receiver.arrived(before + count, WAIT_S)


async def _write_outcomes(the: Line, receiver: Receiver, found: Found) -> None:
    await _count(the, found, "before")
    places = await _write_all(the, [row.record for row in OUTCOMES])
    found.places |= {row.name: at for row, at in zip(OUTCOMES, places, strict=True)}
    await the.publisher.publish([_marker("then")])
    await _count(the, found, "after")


async def _restart(the: Line, receiver: Receiver, found: Found) -> None:
    before = receiver.total
    places = await _write_all(the, [row.record for row in WAITS])
    found.places |= {row.name: at for row, at in zip(WAITS, places, strict=True)}
    await _write_all(the, [REPORT])
    await the.restart()
    await the.publisher.publish([*(wanted_by(row, "again") for row in HOOKS), _marker("again")])
    await receiver.arrived(before + len(HOOKS) + 1, WAIT_S)
    await _count(the, found, "restart")
    await the.dead_letters(len(ROWS), WAIT_S)


async def _write(the: Line, record: Outgoing, then: Outgoing) -> Coordinates:
    """Write two records; answers where the first lies."""
    return (await _write_all(the, [record, then]))[0]


async def _write_all(the: Line, records: list[Outgoing]) -> list[Coordinates]:
    """Write records, those that our own clients would not write in the way that is left open for them."""
    places = []
    for record in records:
        odd = odd_names.needed(record)
        places += [await odd_names.write(the.settings, record)] if odd else await the.publisher.publish([record])
    return places


async def _count(the: Line, found: Found, when: str) -> None:
    """What the first hook's report counts, once it counts what it should."""
    expected = len(EVENTS) + len(GOOD) + len(JOBS) + ["before", "after", "restart"].index(when)
    found.counted[when] = (await the.report(HOOK, expected, WAIT_S)).request_count - expected


def _origin(letter: Incoming) -> Coordinates:
    topic, *place = [(letter.header(f"source-{part}") or b"").decode() for part in ("topic", "partition", "offset")]
    return Coordinates(topic, *(int(number) if number.isdigit() else -1 for number in place))


def _marker(when: str) -> Outgoing:
    return Outgoing(topic="identity.user", key=b"u1", value=text(f'"marker":"{when}"'))


def _at(receiver: Receiver, record: Outgoing, value: bytes | None = None) -> Outgoing:
    """The record with the receiver's URL in its place."""
    return structs.replace(record, value=(value or record.value or b"").replace(b"<url>", receiver.url.encode()))


# What it was for


def short(value: bytes | None) -> Any:
    """A value that a failing comparison can print."""
    return value if value is None or len(value) < 500 else (len(value), sha256(value).hexdigest())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_nobody_can_read_becomes_one_dead_letter_with_its_reason(found: Found, row: Row) -> None:
    letter = found.letter(row)
    assert (letter.header("reason") or b"").decode() == row.reason
    detail = (letter.header("detail") or b"").decode()
    assert detail.startswith(row.detail)
    assert len(detail) > 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_dead_letter_holds_the_original_and_says_where_and_when(found: Found, row: Row, receiver: Receiver) -> None:
    """Two nulls do not survive, and become empty: that of a header, and that of a value without a key."""
    letter, at = found.letter(row), found.places[row.name]
    original = _at(receiver, row.record) if row in HOOKS else row.record
    value = b"" if (original.key, original.value) == (None, None) else original.value
    assert (letter.key, short(letter.value)) == (original.key, short(value))
    split = len(original.headers)
    assert letter.headers[:split] == tuple((name, given or b"") for name, given in original.headers)
    assert [name for name, _ in letter.headers[split:]] == OURS
    ours = {name: value.decode() for name, value in letter.headers[split:]}
    origin = (ours["source-topic"], int(ours["source-partition"]), int(ours["source-offset"]))
    assert origin == at
    assert found.began_ms <= int(ours["failed-at"]) <= time.time_ns() // 1_000_000


def test_nothing_else_became_a_dead_letter(found: Found) -> None:
    assert set(found.letters) == set(found.places.values())
    assert len(found.places) == len(ROWS)


@pytest.mark.parametrize("row", EVENTS, ids=lambda row: row.name)
def test_the_next_good_event_of_the_partition_is_delivered(found: Found, row: Row) -> None:
    assert found.paths(body(after(row).value or b"")) == ["/first"]


@pytest.mark.parametrize("row", GOOD, ids=lambda row: row.name)
def test_what_is_odd_but_allowed_arrives_byte_for_byte(found: Found, row: Good) -> None:
    assert len(body(row.payload)) <= 1024 * 1024
    assert found.paths(body(row.payload)) == ["/first"]


@pytest.mark.parametrize("when", ["then", "again"])
@pytest.mark.parametrize("row", HOOKS, ids=lambda row: row.name)
def test_a_bad_hook_record_leaves_the_previous_version_in_force(found: Found, row: Row, when: str) -> None:
    """For roles that saw it come (`then`) and for roles that found it when they started (`again`)."""
    payload = wanted_by(row, when).value or b""
    arrived = [request.path for request in found.requests if request.body.startswith(payload[:-1])]
    assert arrived == [f"/old/{row.name}"]


@pytest.mark.parametrize("row", JOBS, ids=lambda row: row.name)
def test_the_job_after_a_bad_one_goes_on(found: Found, row: Row) -> None:
    assert found.paths(b'{"after":"%s"}' % row.name.encode()) == ["/first"]


@pytest.mark.parametrize("when", ["before", "after", "restart"])
def test_counts_go_on_around_unreadable_outcomes_and_stay_exact(found: Found, when: str) -> None:
    assert found.counted == found.counted | {when: 0}


def test_nothing_that_was_refused_was_sent(found: Found) -> None:
    assert len(found.requests) == len(EVENTS) + len(GOOD) + 2 * len(HOOKS) + len(JOBS) + 2


# Hook records that are not bad


@pytest.mark.asyncio(loop_scope="module")
async def test_a_hook_record_written_twice_is_one_hook(the: Line) -> None:
    async with Receiver(host=HOST) as receiver:
        twice = hook(2, receiver.url, tenantId="twice")
        await the.took(await the.put(twice, twice))
        await the.publish("identity.user", text('"n":1'), text('"n":2'), tenant_id="twice")
        requests = await receiver.arrived(2)
        assert [request.body for request in requests] == [
            text(f'"n":{n}')[:-1] + b',"hookId":"' + hook_id(2).encode() + b'"}' for n in (1, 2)
        ]
        assert len(await _jobs_of(the, hook_id(2))) == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_a_deleted_hook_gets_nothing_and_may_come_back(the: Line) -> None:
    async with Receiver(host=HOST) as receiver:
        gone, other = hook(3, receiver.url + "/gone", tenantId="gone"), hook(4, receiver.url, tenantId="gone")
        await the.took(await the.put(gone, other))
        await the.took(await the.delete(hook_id(3), hook_id(3), "never-there"))
        await the.publish("identity.user", text('"n":1'), tenant_id="gone")
        (request,) = await receiver.arrived(1)
        assert request.path == "/"
        assert await _jobs_of(the, hook_id(3)) == []
        await the.took(await the.put(gone))
        await the.publish("identity.user", text('"n":2'), tenant_id="gone")
        requests = await receiver.arrived(3)
        assert sorted(request.path for request in requests) == ["/", "/", "/gone"]


async def _jobs_of(the: Line, hook: str) -> list[Incoming]:
    return [record for record in await the.read(topics.DELIVERIES) if record.key == hook.encode()]
