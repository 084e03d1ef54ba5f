"""The request as a receiver sees it, from event to outcome (CONTRACT 5): head, bytes, signatures, retries, and whom.

One line serves the whole file; every test has hooks in a tenant of its own. Hooks may reach 127.0.0.2 alone, so that
127.0.0.1 can be the forbidden address.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from standardwebhooks import Webhook, WebhookVerificationError

from streams.kafka import topics
from streams.web.receiver import Received, Receiver, Reply
from tests.cli.commands import hookline, rows
from tests.line import KEY, Line, apart, hook, hook_id, line, logs_of_a_failure

HOST = "127.0.0.2"
GOLDEN = Path(__file__).parent / "golden" / "request"
EVENT = (
    b'{"event":"User.Created","createdAt":"2026-08-21T08:00:00.000Z","data":{"id":"u1","n":1.0,"name":"J\xc3\xb6rg"}}'
)
SOON = {"retry": {"scheduleSeconds": [0.05] * 5}}
NEW_KEY = KEY[::-1]

one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def the(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    directory = tmp_path_factory.mktemp("line")
    async with line(apart(bootstrap, directory, allow_networks=(f"{HOST}/32",)), directory) as the:
        await the.ready()
        yield the


@pytest.fixture(autouse=True)
def logs(request: pytest.FixtureRequest) -> Iterator[None]:
    yield from logs_of_a_failure(request.getfixturevalue("the"), request)


async def put(the: Line, *hooks: dict[str, Any]) -> None:
    """Write hooks and wait until every role goes by them."""
    await the.took(await the.put(*hooks))


def body_for(number: int, event: bytes = EVENT) -> bytes:
    return event[:-1] + b',"hookId":"' + hook_id(number).encode() + b'"}'


def logto_signature(key: str, body: bytes) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def verify_standard(key: str, request: Received) -> None:
    """By a library that is not ours; raises when the signature, the id or the time is wrong."""
    Webhook("whsec_" + base64.b64encode(key.encode()).decode()).verify(request.body, dict(request.headers))


# The head, byte for byte


HEADS: dict[str, dict[str, Any]] = {
    "plain": {},
    "custom": {"config": {"headers": {"X-Team": "identity", "authorization": "Bearer t", "User-Agent": "crm/1"}}},
    "logto": {"delivery": {"signature": "logto"}},
    "standard": {"delivery": {"signature": "standard"}},
    "traceparent": {"delivery": {"traceparent": True}},
    "ordered": {"delivery": {"ordering": "key"}},
    "rotated": {"retiredKeys": [{"signingKey": NEW_KEY, "until": 4_000_000_000_000}]},
}
VARIABLE = {
    rf"(?m)^Host: {re.escape(HOST)}:\d+$": f"Host: {HOST}:<port>",
    rf"Hookline/{re.escape(version('hookline'))}\b": "Hookline/<version>",
    r"(?m)^webhook-timestamp: \d{10}$": "webhook-timestamp: <unix seconds>",
    r"(?m)(?<= )v1,[A-Za-z0-9+/]{43}=(?=$| v1,)": "v1,<base64>",
    r"(?m)^webhook-sequence: \d+$": "webhook-sequence: <offset>",
}


@asynccontextmanager
async def raw_receiver() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[bytes, bytes]]]]:
    """A server that knows nothing but HTTP/1.1's frame: its URL, and the heads and bodies exactly as they came."""
    came: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await came.put((head, body))

    server = await asyncio.start_server(answer, HOST, 0)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}", came


@one_loop
@pytest.mark.parametrize(("number", "name"), list(enumerate(HEADS, start=10)))
async def test_the_head_of_a_request_is_byte_for_byte_what_it_was(the: Line, number: int, name: str) -> None:
    """Ids and Logto's signature stand in the golden files as they are: they depend on event, hook and body alone."""
    async with raw_receiver() as (url, came):
        await put(the, hook(number, f"{url}/hooks/a%2Fb?x=%20&y", tenantId=name, **HEADS[name]))
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        await the.publish("identity.user", EVENT, event_id="golden", tenant_id=name, traceparent=trace)
        head, body = await asyncio.wait_for(came.get(), 20)
    assert body == body_for(number)
    text = head.decode("ascii").removesuffix("\r\n\r\n").replace("\r\n", "\n") + "\n"
    for pattern, stands_for in VARIABLE.items():
        text = re.sub(pattern, stands_for, text)
    assert text == (GOLDEN / f"{name}.txt").read_text("ascii")


@one_loop
async def test_both_signatures_are_genuine_to_those_who_know_nothing_of_us(the: Line) -> None:
    async with Receiver(host=HOST) as receiver:
        await put(the, hook(20, receiver.url, tenantId="signed"))
        await the.publish("identity.user", EVENT, tenant_id="signed")
        (request,) = await receiver.arrived(1)
    assert request.header("logto-signature-sha-256") == logto_signature(KEY, request.body)
    verify_standard(KEY, request)


@one_loop
async def test_a_rotated_hook_is_signed_with_both_keys_until_the_overlap_is_over(the: Line) -> None:
    async with Receiver(host=HOST) as receiver:
        ways: dict[str, Any] = {"tenantId": "rotating"}
        await put(the, hook(21, receiver.url, **ways))
        rotated = await asyncio.to_thread(hookline, the.settings, "hook", "rotate-key", hook_id(21), "--yes")
        (shown,) = rows(rotated)
        key = shown["signingKey"]
        await the.took([record.at for record in await the.read(topics.CONFIG) if record.key == hook_id(21).encode()])
        await the.publish("identity.user", EVENT, tenant_id="rotating")
        (during,) = await receiver.arrived(1)
        await put(the, hook(21, receiver.url, signingKey=key, retiredKeys=[{"signingKey": KEY, "until": 1}], **ways))
        await the.publish("identity.user", EVENT, tenant_id="rotating")
        _, afterwards = await receiver.arrived(2)
        outcomes = await the.ended(hook_id(21), 2)
    for good in (KEY, key):
        verify_standard(good, during)
    verify_standard(key, afterwards)
    with pytest.raises(WebhookVerificationError):
        verify_standard(KEY, afterwards)
    for request in (during, afterwards):
        assert request.header("logto-signature-sha-256") == logto_signature(key, request.body)
    ids = [hashlib.sha256(text.encode()).hexdigest()[:8] for text in (key, KEY)]
    assert [outcome.key_ids for outcome in outcomes] == [ids, ids[:1]]


@one_loop
async def test_a_hook_that_asks_for_an_order_is_told_the_place_and_the_key_of_each_event(the: Line) -> None:
    async with Receiver(host=HOST) as receiver:
        await put(the, hook(22, receiver.url, tenantId="ordered-too", delivery={"ordering": "strict"}))
        for key in (b"u1", b"u 2", "jörg".encode(), None):
            await the.publish("identity.user", EVENT, EVENT, key=key, tenant_id="ordered-too")
        requests = await receiver.arrived(8)
        outcomes = await the.ended(hook_id(22), 8)
    sequences: dict[str | None, list[int]] = {}
    for request in requests:
        sequences.setdefault(request.header("webhook-key"), []).append(int(request.header("webhook-sequence") or -1))
    digest = hashlib.sha256("jörg".encode()).hexdigest()
    assert {key: len(set(found)) for key, found in sequences.items()} == dict.fromkeys(
        ("u1", "u 2", f"sha256:{digest}", None), 2
    )
    places = {request.header("webhook-id"): int(request.header("webhook-sequence") or -1) for request in requests}
    assert places == {outcome.id: outcome.job.offset for outcome in outcomes}


# Attempts


@one_loop
async def test_every_attempt_has_the_same_id_and_bytes_and_a_time_of_its_own(the: Line) -> None:
    """500 twice, the first asking for 2 s, then 200: three attempts, one outcome."""

    async def behave(request: Received) -> Reply:
        return [Reply(status=500, headers={"retry-after": "2"}), Reply(status=500), Reply()][request.attempt - 1]

    async with Receiver(behave, host=HOST) as receiver:
        await put(the, hook(30, receiver.url, tenantId="again", delivery=SOON))
        await the.publish("identity.user", EVENT, tenant_id="again")
        requests = await receiver.arrived(3)
        (outcome,) = await the.ended(hook_id(30), 1)
    assert [request.body for request in requests] == [body_for(30)] * 3
    assert {request.header("webhook-id") for request in requests} == {outcome.id}
    for request in requests:
        verify_standard(KEY, request)
    times = [int(request.header("webhook-timestamp") or 0) for request in requests]
    assert times[0] < times[1] <= times[2]
    for earlier, later, stamped in zip(requests, requests[1:], times[1:], strict=False):
        assert earlier.at_ms // 1000 <= stamped <= later.at_ms // 1000
    assert requests[1].at_ms - requests[0].at_ms >= 1900, "a retry before its time"
    assert [attempt.status for attempt in outcome.attempts] == [500, 500, 200]
    assert (outcome.result, outcome.status, outcome.error) == ("Success", "delivered", None)
    assert all(earlier.at <= later.at for earlier, later in pairwise(outcome.attempts))
    report = await the.report(hook_id(30), 1)
    assert (report.request_count, report.retries, report.by_class) == (1, 2, {"2xx": 1, "5xx": 2})


ANSWERS: dict[str, tuple[int, str, str | None]] = {
    "200": (1, "delivered", None),
    "204": (1, "delivered", None),
    "302": (1, "rejected", "3xx"),
    "307": (1, "rejected", "3xx"),
    "400": (1, "rejected", "4xx"),
    "401": (1, "rejected", "4xx"),
    "404": (1, "rejected", "4xx"),
    "410": (1, "rejected", "410"),
    "408": (3, "exhausted", "4xx"),
    "425": (3, "exhausted", "4xx"),
    "429": (3, "exhausted", "429"),
    "500": (3, "exhausted", "5xx"),
    "503": (3, "exhausted", "5xx"),
    "slow": (3, "exhausted", "timeout"),
    "closed": (3, "exhausted", "connect"),
}
"""What the endpoint does: POSTs, how it ends, the error's class. Every hook has `config.retries` 2."""


@pytest.fixture
def deaf() -> Iterator[str]:
    """A URL at which nobody listens: its port is held, so that nobody else can."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield f"http://{HOST}:{held.getsockname()[1]}/"


@one_loop
async def test_an_answer_ends_a_job_or_is_retried_as_often_as_the_hook_allows(the: Line, deaf: str) -> None:
    stop = asyncio.Event()

    async def behave(request: Received) -> Reply:
        what = request.path.removeprefix("/")
        if what == "slow":
            await stop.wait()
        return Reply(status=int(what) if what.isdigit() else 200, headers={"location": "/moved"})

    async with Receiver(behave, host=HOST) as receiver:
        urls = {what: f"{receiver.url}/{what}" for what in ANSWERS} | {"closed": deaf}
        ways: dict[str, Any] = {"tenantId": "answers", "delivery": SOON | {"timeoutMs": 1000}}
        numbers = dict(zip(ANSWERS, range(40, 40 + len(ANSWERS)), strict=True))
        await put(the, *(hook(n, urls[what], config={"retries": 2}, **ways) for what, n in numbers.items()))
        await the.publish("identity.user", EVENT, tenant_id="answers")
        ends = {what: (await the.ended(hook_id(n), 1))[0] for what, n in numbers.items()}
        stop.set()
    found = {
        what: (len(end.attempts), end.status, end.error and end.error.class_)
        for what, end in ends.items()
    }  # fmt: skip
    assert found == ANSWERS
    posts = dict.fromkeys(ANSWERS, 0) | {"moved": 0}
    for request in receiver.requests:
        posts[request.path.removeprefix("/")] += 1
    assert posts == {what: attempts for what, (attempts, *_) in ANSWERS.items()} | {"closed": 0, "moved": 0}


@one_loop
async def test_a_waiting_retry_goes_by_the_hook_as_it_is_when_its_time_comes(the: Line) -> None:
    """Deleted or disabled meanwhile: cancelled. Changed meanwhile: new URL, header and key, the same id and bytes."""
    names = ("deleted", "disabled", "changed")

    async def behave(request: Received) -> Reply:
        return Reply(status=200 if request.path == "/new" else 500)

    async with Receiver(behave, host=HOST) as receiver:
        first: dict[str, Any] = {"tenantId": "waiting", "delivery": {"retry": {"scheduleSeconds": [3]}}}
        await put(the, *(hook(n, f"{receiver.url}/{name}", **first) for n, name in enumerate(names, 60)))
        await the.publish("identity.user", EVENT, tenant_id="waiting")
        await receiver.arrived(3)
        changed = hook(62, f"{receiver.url}/new", config={"headers": {"x-new": "1"}}, signingKey=NEW_KEY, **first)
        disabled = hook(61, f"{receiver.url}/disabled", enabled=False, **first)
        await the.took([*await the.delete(hook_id(60)), *await the.put(disabled, changed)])
        assert receiver.total == 3, "the retries came before the changes: this machine is too slow for this test"
        ends = [(await the.ended(hook_id(n), 1))[0] for n in (60, 61, 62)]
        requests = {request.path: request for request in await receiver.arrived(4)}
    assert [(end.status, [attempt.status for attempt in end.attempts]) for end in ends] == [
        ("cancelled", [500]),
        ("cancelled", [500]),
        ("delivered", [500, 200]),
    ]
    assert receiver.total == 4
    old, new = requests["/changed"], requests["/new"]
    assert (new.body, new.header("webhook-id")) == (old.body, old.header("webhook-id"))
    assert (old.header("x-new"), new.header("x-new")) == (None, "1")
    assert old.header("logto-signature-sha-256") == logto_signature(KEY, old.body)
    assert new.header("logto-signature-sha-256") == logto_signature(NEW_KEY, new.body)
    verify_standard(NEW_KEY, new)


# Whom


PEOPLE = {
    "created-acme": ("User.Created", "a", {"email": "ada@acme.com", "age": 36}),
    "created-other": ("User.Created", "a", {"email": "bob@other.org"}),
    "updated-acme": ("User.Data.Updated", "a", {"email": "ada@acme.com", "age": 17}),
    "created-b": ("User.Created", "b", {"email": "eve@acme.com", "age": 50}),
}
"""Events: name, tenant, data."""

AT_ACME = {"data.email": {"$endsWith": "@acme.com"}}
WANTS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "all": ("a", {}, ["created-acme", "created-other", "updated-acme"]),
    "all-too": ("a", {}, ["created-acme", "created-other", "updated-acme"]),
    "one-event": ("a", {"events": ["User.Data.Updated"]}, ["updated-acme"]),
    "prefix": ("a", {"events": ["User.*", "User.Created"]}, ["created-acme", "created-other", "updated-acme"]),
    "other-prefix": ("a", {"events": ["Role.*"]}, []),
    "single": ("a", {"event": "User.Created", "events": []}, ["created-acme", "created-other"]),
    "nothing": ("a", {"events": []}, []),
    "disabled": ("a", {"enabled": False}, []),
    "filter": ("a", {"delivery": {"filter": AT_ACME}}, ["created-acme", "updated-acme"]),
    "filters": ("a", {"delivery": {"filter": AT_ACME | {"data.age": {"$gte": 18}}}}, ["created-acme"]),
    "negated": ("a", {"delivery": {"filter": {"$not": AT_ACME}}}, ["created-other"]),
    "other-tenant": ("b", {}, ["created-b"]),
    "third-tenant": ("c", {}, []),
}
"""Hooks: tenant, fields, and the events that they get."""


@one_loop
async def test_each_hook_gets_the_events_it_wants_of_its_own_tenant_and_nothing_else(the: Line) -> None:
    numbers = dict(zip(WANTS, range(80, 80 + len(WANTS)), strict=True))
    async with Receiver(host=HOST) as receiver:
        await put(the, *(_wanting(receiver, number, name) for name, number in numbers.items()))
        for name in PEOPLE:
            await the.publish("identity.user", _person(name), event_id=name, tenant_id=PEOPLE[name][1])
        expected = {name: wanted for name, (*_, wanted) in WANTS.items()}
        await receiver.arrived(sum(map(len, expected.values())))
        # The router joins batch after batch: once it came to this, all jobs of what lay before are written.
        await the.publish("identity.user", _person("created-b"), event_id="the-end", tenant_id="b")
        await receiver.arrived(sum(map(len, expected.values())) + 1)
        jobs = await the.read(topics.DELIVERIES)
    expected["other-tenant"] = ["created-b", "the-end"]
    found = {name: [_event_id(job) for job in jobs if job.key == hook_id(n).encode()] for name, n in numbers.items()}
    assert found == expected
    ids = {request.header("webhook-id") for request in receiver.requests}
    assert len(ids) == len(receiver.requests) == receiver.total == sum(map(len, expected.values()))
    for request in receiver.requests:
        assert orjson.loads(request.body)["hookId"] == hook_id(numbers[request.path.removeprefix("/")])


def _wanting(receiver: Receiver, number: int, name: str) -> dict[str, Any]:
    tenant, fields, _ = WANTS[name]
    return hook(number, f"{receiver.url}/{name}", **({"tenantId": tenant} | fields))


def _person(name: str) -> bytes:
    event, _, data = PEOPLE[name]
    return orjson.dumps({"event": event, "createdAt": "x", "data": data})


def _event_id(job: Any) -> str:
    return str(job.header("event-id").decode())


# Where not


@one_loop
async def test_a_name_that_leads_to_a_forbidden_address_is_blocked_and_nothing_is_sent(the: Line) -> None:
    """`localhost` may be tried, as any name may; that it is 127.0.0.1, which is not open, shows when connecting."""
    async with Receiver() as receiver:
        await put(the, hook(99, receiver.url.replace("127.0.0.1", "localhost"), tenantId="blocked", delivery=SOON))
        await the.publish("identity.user", EVENT, tenant_id="blocked")
        (outcome,) = await the.ended(hook_id(99), 1)
        assert (outcome.result, outcome.status, len(outcome.attempts)) == ("Error", "blocked", 1)
        assert outcome.error is not None
        assert outcome.error.class_ == "blocked"
        assert "an address that is not public (loopback)" in outcome.error.message
        assert receiver.total == 0


FORBIDDEN = {
    "http://127.0.0.1:9/": "config.url (loopback): 127.0.0.1 is not a public address",
    "https://127.0.0.1/": "config.url (loopback): 127.0.0.1 is not a public address",
    "https://[::1]/": "config.url (loopback): ::1 is not a public address",
    "https://[::ffff:127.0.0.1]/": "config.url (loopback): ::ffff:7f00:1 is not a public address",
    "https://127.1/": "config.url (bad-address): an address is not written as one",
    "https://localhost/": "config.url (special-name): localhost is no public name",
    "https://crm.localhost/": "config.url (special-name): crm.localhost is no public name",
}


async def test_without_opened_networks_hooks_to_this_machine_are_refused(bootstrap: str, tmp_path: Path) -> None:
    """Only a router runs: whatever it thinks of them, there is nobody to send anything."""
    hooks = [hook(number, url) for number, url in enumerate(FORBIDDEN)]
    async with line(apart(bootstrap, tmp_path, allow_networks=()), tmp_path, ("router",)) as refusing:
        await refusing.put(*hooks)
        letters = {letter.key: letter for letter in await refusing.dead_letters(len(hooks))}
    for written, detail in zip(hooks, FORBIDDEN.values(), strict=True):
        letter = letters[written["id"].encode()]
        assert letter.header("reason") == b"bad-hook"
        assert letter.header("detail").decode().startswith(detail)
