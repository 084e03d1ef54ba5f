"""The receiver that tests, demo and `hookline listen` stand on: what it remembers, answers, and forgets."""

import asyncio
import math
import time

import pytest

from streams.settings import Settings
from streams.web import receiver as receiver_module
from streams.web.receiver import BODY_BYTES_MAX, Received, Receiver, Reply, misbehaving
from streams.web.transport import Transport, tls_context

TLS = tls_context()
SETTINGS = Settings(allow_networks=("127.0.0.0/8", "::1/128"))


async def statuses(receiver: Receiver, *ids: str) -> list[int | None]:
    """Post once for each id, in order."""
    async with Transport(SETTINGS, tls=TLS) as transport:
        return [(await transport.post(receiver.url, {"webhook-id": id_}, b"{}", 5)).status for id_ in ids]


async def test_a_request_is_remembered_as_it_arrived() -> None:
    before_ms = time.time_ns() // 1_000_000
    async with Receiver() as receiver, Transport(SETTINGS, tls=TLS) as transport:
        answer = await transport.post(receiver.url + "/a?b=%2F", {"X-Team": "id", "webhook-id": "msg_1"}, b"\xff", 5)
        (request,) = await receiver.arrived(1)
    assert answer.status == 200
    assert (request.method, request.path, request.body, request.attempt) == ("POST", "/a?b=%2F", b"\xff", 1)
    assert ("X-Team", "id") in request.headers
    assert (request.header("x-TEAM"), request.header("x-other")) == ("id", None)
    assert before_ms <= request.at_ms <= time.time_ns() // 1_000_000


async def test_attempts_are_counted_for_each_id() -> None:
    async with Receiver() as receiver:
        await statuses(receiver, "a", "b", "a", "a")
        assert [request.attempt for request in receiver.requests] == [1, 1, 2, 3]


@pytest.mark.parametrize(
    ("fail", "expected"), [(0, [200, 200, 200]), (1, [503, 200, 200]), (2, [503, 503, 200]), (math.inf, [503] * 3)]
)
async def test_it_fails_the_first_attempts_of_every_id(fail: float, expected: list[int]) -> None:
    async with Receiver(misbehaving(fail, 503)) as receiver:
        assert await statuses(receiver, "a", "a", "a") == expected
        assert await statuses(receiver, "b") == expected[:1]


async def test_an_answer_may_have_headers_and_a_body() -> None:
    async def behave(request: Received) -> Reply:
        return Reply(status=429, headers={"retry-after": "7"}, body=request.body)

    async with Receiver(behave) as receiver, Transport(SETTINGS, tls=TLS) as transport:
        answer = await transport.post(receiver.url, {}, b"echo", 5)
    assert (answer.status, answer.retry_after, answer.body) == (429, "7", b"echo")


async def test_waiting_ends_when_enough_have_arrived_and_fails_when_they_do_not() -> None:
    async with Receiver() as receiver:
        waiting = asyncio.create_task(receiver.arrived(3))
        await statuses(receiver, "a", "b", "c")
        assert len(await waiting) == 3
        with pytest.raises(TimeoutError):
            await receiver.arrived(4, within_s=0.01)


async def test_it_stops_while_an_answer_is_slow_on_purpose() -> None:
    async with Transport(SETTINGS, tls=TLS) as transport:
        async with Receiver(misbehaving(delay_s=3600)) as receiver:
            attempt = asyncio.create_task(transport.post(receiver.url, {}, b"{}", 30))
            await receiver.arrived(1)
        assert (await attempt).error == "reset"


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind() -> None:
    async with Receiver() as receiver:
        port = int(receiver.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="address"):
            await Receiver(port=port).start()


async def test_it_listens_on_ipv6_too() -> None:
    async with Receiver(host="::1") as receiver:
        assert receiver.url.startswith("http://[::1]:")
        assert await statuses(receiver, "a") == [200]


@pytest.mark.parametrize(("extra", "status", "kept"), [(-1, 200, 1), (0, 200, 1), (1, 413, 0)])
async def test_a_body_that_is_too_large_is_refused_and_not_remembered(extra: int, status: int, kept: int) -> None:
    async with Receiver() as receiver:
        reader, writer = await asyncio.open_connection(*receiver.url.removeprefix("http://").split(":"))
        size = BODY_BYTES_MAX + extra
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert (await reader.readline()).split()[1] == str(status).encode()
        writer.close()
        assert len(receiver.requests) == kept


async def test_only_the_last_requests_and_ids_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "REQUESTS_MAX", 3)
    async with Receiver() as receiver:
        await statuses(receiver, "a", "b", "c", "d", "d", "a")
        assert [request.header("webhook-id") for request in receiver.requests] == ["d", "d", "a"]
        assert receiver.requests[-1].attempt == 1  # `a` was forgotten
        assert receiver.total == 6


async def test_only_so_many_bytes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "KEPT_BYTES_MAX", 10)
    async with Receiver() as receiver, Transport(SETTINGS, tls=TLS) as transport:
        for body in (b"1" * 5, b"2" * 5, b"3", b"4" * 9):
            await transport.post(receiver.url, {}, body, 5)
        assert [request.body for request in receiver.requests] == [b"3", b"4" * 9]


async def test_strange_bytes_in_headers_do_no_harm() -> None:
    async with Receiver() as receiver:
        _, writer = await asyncio.open_connection(*receiver.url.removeprefix("http://").split(":"))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nx-a: \xfe\r\nwebhook-id: \xfd\r\n\r\n")
        (request,) = await receiver.arrived(1)
        writer.close()
    assert (request.method, request.header("x-a"), request.header("webhook-id")) == ("GET", "\xfe", "\xfd")
