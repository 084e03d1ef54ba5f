"""`hookline listen` as a person or a script sees it: the real command in a process of its own."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from msgspec import convert

from streams.cli import cli
from streams.cli.listen import describe
from streams.core import signing
from streams.core.records import Hook
from streams.settings import Settings
from streams.web.receiver import Received
from streams.web.transport import Transport, tls_context
from tests.core.building import job

KEY = "k" * 32
BODY = b'{"event":"User.Created","hookId":"h"}'
HOOK = convert({"id": "h" * 21, "signingKey": KEY, "config": {"url": "https://crm.example.com/"}}, Hook)
TLS = tls_context()

Listen = Callable[..., Awaitable[tuple[Process, str]]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Starts `hookline listen` on a free port; returns the process and its address. Ends it with the test."""
    started: list[Process] = []

    async def start(*arguments: str, key: str = KEY) -> tuple[Process, str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
        environ["HOOKLINE_SIGNING_KEY"] = key
        words = ("-m", "streams", "listen", "--port", "0", *arguments)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, env=environ, stdout=PIPE, stderr=PIPE, preexec_fn=mind_interrupts
        )
        started.append(process)
        assert process.stderr
        async with asyncio.timeout(30):
            said = (await process.stderr.readline()).decode()
        return process, said.removeprefix("listening on ").split(";")[0].strip()

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def told(process: Process) -> str:
    assert process.stdout
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode()


async def send(url: str, *delivery_ids: str) -> list[int | None]:
    """Signed posts as the sender makes them, one for each id."""
    async with Transport(Settings(allow_networks=("127.0.0.0/8",)), tls=TLS) as transport:
        statuses = []
        for delivery_id in delivery_ids:
            headers = signing.headers(HOOK, job(delivery_id=delivery_id, body=BODY), int(time.time()), "1")
            statuses.append((await transport.post(url, headers, BODY, 10)).status)
    return statuses


def mind_interrupts() -> None:
    """A shell gives what it starts in the background deaf ears for Ctrl-C, and children inherit them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def request(**headers: str) -> Received:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Received(method="POST", path="/", headers=pairs, body=BODY, at_ms=0)


async def test_it_tells_each_request_with_the_verdict_on_both_signatures(listen: Listen) -> None:
    process, url = await listen("-o", "jsonl")
    assert await send(url, "msg_1") == [200]
    row = orjson.loads(await told(process))
    assert row == {
        "event": "User.Created",
        "id": "msg_1",
        "attempt": 1,
        "logto": "valid",
        "standard": "valid",
        "status": 200,
        "method": "POST",
        "path": "/",
        "bytes": len(BODY),
    }
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 130


async def test_it_fails_the_first_attempts_of_every_id_with_the_status_that_was_asked(listen: Listen) -> None:
    process, url = await listen("--fail", "2", "--fail-status", "503")
    assert await send(url, "msg_1", "msg_1", "msg_2", "msg_1") == [503, 503, 503, 200]
    lines = [await told(process) for _ in range(4)]
    assert [line.split()[1:4] for line in lines] == [
        ["msg_1", "try", "1"], ["msg_1", "try", "2"], ["msg_2", "try", "1"], ["msg_1", "try", "3"],
    ]  # fmt: skip
    assert [line.split()[-1] for line in lines] == ["503", "503", "503", "200"]


async def test_it_can_fail_always_and_late_and_works_without_a_key(listen: Listen) -> None:
    process, url = await listen("--fail", "always", "--delay", "0.01", "-o", "jsonl", key="")
    assert await send(url, "msg_1", "msg_1") == [500, 500]
    row: dict[str, Any] = orjson.loads(await told(process))
    assert (row["logto"], row["standard"], row["status"]) == ("unchecked", "unchecked", 500)


async def test_a_port_that_is_taken_is_one_sentence_and_exit_code_4(listen: Listen) -> None:
    _, url = await listen()
    second, said = await listen("--port", url.rsplit(":", 1)[1])
    assert said.startswith("hookline: cannot listen there")
    assert await asyncio.wait_for(second.wait(), 30) == 4


@pytest.mark.parametrize("fail", ["x", "1.5", ""])
def test_a_number_of_failures_that_is_none_is_a_usage_error(fail: str) -> None:
    assert CliRunner().invoke(cli, ["listen", "--fail", fail]).exit_code == 2


def test_a_forged_or_missing_signature_is_named() -> None:
    row = describe(request(webhook_id="msg_1", logto_signature_sha_256="0" * 64), 200, [KEY])
    assert (row["logto"], row["standard"]) == ("mismatch", "missing")
