"""No secret leaks: marked ones go through the whole line, then all that it wrote is searched for them (I7)."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from msgspec import structs

from streams.core import signing
from streams.core.versions import WHY
from streams.kafka import admin, hook_records, topics
from streams.kafka.broker_ready import free_port
from streams.settings import Settings
from streams.web.receiver import Received, Receiver, Reply
from tests.cli.commands import hookline, rows
from tests.line import KEY, ROLES, Line, Role, apart, hook, hook_id, line

MASTER_KEYS = "k2:TUFSS0VELW1hc3Rlci1rZXktb2YtdGhlLWxpbmUtISE=,k1:" + "QUFB" * 10 + "QUE="
PLAIN, RETIRED, REFUSED = "MARKEDsigningkey" + "0" * 16, "MARKEDretiredkey" + "0" * 16, "MARKEDrefusedkey" + "0" * 16
TOKEN, QUERY = "MARKED-header-token", "MARKED-query-code"
MARK = re.compile(rb"MARKED[-a-z]+[0-9]*|TUFSS0VE[-A-Za-z0-9]*")


async def echo(request: Received) -> Reply:
    """Send back all that was sent, as a careless endpoint does in its error page."""
    text = "\n".join(f"{name}: {value}" for name, value in request.headers) + f"\n{request.path}"
    body = orjson.dumps({"headers": dict(request.headers), "password": "MARKED-password", "text": text})
    return Reply(status=500 if "/fails" in request.path else 200, body=body)


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {role: free_port() for role in ROLES}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def the(
    bootstrap: str, tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]
) -> AsyncIterator[tuple[Line, Receiver, Path]]:
    """A line that has had plain, sealed, refused and replaced secrets, deliveries that worked and such that did not."""
    directory = tmp_path_factory.mktemp("secrets")
    settings = apart(bootstrap, directory, allow_networks=("127.0.0.0/8",), master_keys=MASTER_KEYS)
    async with Receiver(echo) as receiver, line(settings, directory, metrics_ports=ports) as found:
        await found.ready()
        config = {"headers": {"authorization": f"Bearer {TOKEN}", "x-team": f"{TOKEN}-2"}, "retries": 0}
        retired = [{"signingKey": RETIRED, "until": 4_000_000_000_000}]
        for number, path in ((1, "/works"), (2, "/fails")):
            url = f"{receiver.url}{path}?code={QUERY}"
            await found.put(hook(number, url, config=config, signingKey=PLAIN, retiredKeys=retired))
        async with asyncio.timeout(20):
            while len(found.roles["router"].events("hook.sealed")) < 2:
                await asyncio.sleep(0.02)
        last = await found.put(hook(1, receiver.url, ["No.Such.Event"], config=config, signingKey=REFUSED))
        await found.took(last)
        await found.dead_letters(1)
        await found.publish("identity.user", b'{"event":"User.Created","data":{"id":"u1"}}')
        await found.outcomes(2)
        await found.report(hook_id(2), 1)
        yield found, receiver, directory


def marks(text: bytes) -> set[bytes]:
    return set(MARK.findall(text))


def of(record: Any) -> bytes:
    """All bytes of a record."""
    return b"\n".join(
        [record.key or b"", record.value or b"", *(f"{name}".encode() + value for name, value in record.headers)]
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_requests_were_signed_with_the_plain_keys_and_carried_the_plain_headers(
    the: tuple[Line, Receiver, Path],
) -> None:
    _, receiver, _ = the
    assert {request.header("authorization") for request in receiver.requests} == {f"Bearer {TOKEN}"}
    assert all(len((request.header("webhook-signature") or "").split()) == 2 for request in receiver.requests)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_topic_holds_a_secret_but_where_its_operator_wrote_it_plain(the: tuple[Line, Receiver, Path]) -> None:
    found, _, _ = the
    for topic in topics.TOPICS:
        for record in await found.read(topic.name):
            if topic.name == topics.CONFIG and record.header(WHY) is None:
                continue
            url = QUERY.encode() if topic.name == topics.CONFIG else b""  # a URL is no secret field of a hook
            assert marks(of(record)) - {url} == set(), f"{topic.name} at {record.at}"


@pytest.mark.asyncio(loop_scope="module")
async def test_every_plain_hook_was_written_again_sealed_by_one_process(the: tuple[Line, Receiver, Path]) -> None:
    found, _, _ = the
    config = await found.read(topics.CONFIG)
    why = [(record.key.decode(), record.header(WHY)) for record in config if record.header(WHY)]
    assert sorted(why) == [(hook_id(1), b"restored"), (hook_id(1), b"sealed"), (hook_id(2), b"sealed")]
    assert sum(len(role.events("hook.sealed")) for role in found.roles.values()) == 2
    assert all(b'"sealed:k2:' in record.value for record in config if record.header(WHY))


@pytest.mark.asyncio(loop_scope="module")
async def test_outcomes_show_answers_with_the_secrets_masked(the: tuple[Line, Receiver, Path]) -> None:
    found, _, _ = the
    for outcome in await found.outcomes(2):
        assert outcome.response is not None
        assert "******" in outcome.response.body
        assert "content-type" in outcome.response.body


@pytest.mark.asyncio(loop_scope="module")
async def test_no_log_and_no_metric_tells_a_secret(the: tuple[Line, Receiver, Path], ports: dict[str, int]) -> None:
    found, _, _ = the
    for name, role in found.roles.items():
        text = role.log.read_bytes()
        assert text.count(b"\n") > 3
        assert marks(text) == set(), name
        for page in ("metrics", "ready", "live"):
            async with ClientSession() as session, session.get(f"http://127.0.0.1:{ports[name]}/{page}") as answer:
                assert marks(await answer.read()) == set(), f"{name} {page}"


@pytest.mark.asyncio(loop_scope="module")
async def test_no_file_holds_a_secret(the: tuple[Line, Receiver, Path]) -> None:
    _, _, directory = the
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    assert {path.name: marks(path.read_bytes()) for path in files if marks(path.read_bytes())} == {}


@pytest.mark.parametrize(
    "command",
    [
        *(
            "config show",
            "hook list",
            f"hook get {hook_id(1)}",
            f"hook get {hook_id(2)} -o table",
            "hook list -o table",
        ),
        *("request list", "dlq list", "dlq get 0/0", "dlq get 0/0 -o table", "dlq replay 0/0 --dry-run", "health"),
        *("event tail --from-beginning --limit 1", "hook reseal --dry-run", f"hook disable {hook_id(2)} --dry-run"),
        f"hook rotate-key {hook_id(1)} --dry-run",
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_no_command_tells_a_secret_unasked(the: tuple[Line, Receiver, Path], command: str) -> None:
    found, _, _ = the
    ran = hookline(found.settings, *command.split())
    assert ran.returncode in (0, 1, 4), ran.stderr
    shown = {mark for mark in marks(f"{ran.stdout}{ran.stderr}".encode()) if not mark.startswith(b"MARKED-query")}
    assert shown == set()
    assert ran.stdout or ran.stderr


@pytest.mark.asyncio(loop_scope="module")
async def test_whoever_asks_for_them_is_shown_the_secrets(the: tuple[Line, Receiver, Path]) -> None:
    found, _, _ = the
    (shown,) = rows(hookline(found.settings, "hook", "get", hook_id(1), "--reveal"))
    assert shown["signingKey"] == PLAIN
    assert shown["config"]["headers"]["authorization"] == f"Bearer {TOKEN}"
    (letter,) = rows(hookline(found.settings, "dlq", "get", "0/0", "--reveal"))
    assert REFUSED in letter["value"]
    assert KEY not in letter["value"]


async def test_deliveries_of_a_hook_that_no_key_opens_wait_until_the_key_is_back(
    settings: Settings, tmp_path: Path
) -> None:
    await admin.apply(settings)
    own = structs.replace(settings, master_keys=MASTER_KEYS)
    lacking = structs.replace(settings, master_keys=MASTER_KEYS.split(",")[1])
    async with Receiver() as receiver, line(lacking, tmp_path, ("router", "sender")) as found:
        await found.ready()
        value = orjson.dumps(hook(1, f"{receiver.url}/locked", signingKey=PLAIN))
        await found.took(await hook_records.write(own, [(hook_id(1), value)]))
        await found.took(await found.put(hook(2, f"{receiver.url}/open")))
        await found.publish("identity.user", b'{"event":"User.Created","data":{"id":"u1"}}')
        (outcome,) = await found.outcomes(1)
        assert outcome.hook_id == hook_id(2)
        assert found.roles["sender"].events("hook.locked")[0]["hook"] == hook_id(1)
        await found.roles["sender"].stop()
        sender = Role("sender", own, tmp_path, "a")
        await sender.start()
        try:
            assert {outcome.status for outcome in await found.outcomes(2)} == {"delivered"}
        finally:
            await sender.stop()
        late = receiver.requests[-1]
        assert late.path == "/locked"
        signature = signing.logto_signature(PLAIN, late.body)
        assert late.header("logto-signature-sha-256") == signature
