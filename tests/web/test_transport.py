"""One POST against real servers on loopback, well-behaved and hostile, on both event loops."""

import asyncio
import gzip
import ssl
import struct
import subprocess
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.core.records import BODY_BYTES_MAX, Answer
from streams.settings import Settings
from streams.web.bounded import HEADER_BYTES_MAX, HEADERS_MAX
from streams.web.receiver import Received, Receiver, Reply
from streams.web.transport import Transport, tls_context

SETTINGS = Settings(allow_networks=("127.0.0.0/8",), response_bytes_max=64)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TLS = tls_context()
PATH = "/secret-path?token=secret-token"
HEADERS = {"content-type": "application/json", "user-agent": "Hookline/1.2.3", "authorization": "secret-bearer"}

Talk = Callable[["Wire", StreamReader, StreamWriter], Awaitable[None]]


class Wire:
    """A server that speaks bytes: `talk` is called for every connection, `requests` holds what it read."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = asyncio.Event()
        self.resumed = asyncio.Event()
        self.drained = asyncio.Event()
        self.bytes_late = 0
        self._open: set[asyncio.Task[None]] = set()

    async def read(self, reader: StreamReader) -> bytes:
        """The next request, head and body, also noted; empty when the other side closed."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        request = head + await reader.readexactly(int(length.split(b":")[1]))
        self.requests.append(request)
        return request

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        self.connections += 1
        try:
            await self.talk(self, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()
            self.ended.set()

    async def stop(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@asynccontextmanager
async def wire(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Wire, str]]:
    """A running server and the address of it."""
    server = Wire(talk)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield server, f"http{'s' if tls else ''}://127.0.0.1:{port}"
    finally:
        listener.close()
        await server.stop()
        await listener.wait_closed()


def saying(*answers: bytes) -> Talk:
    """Answer the requests of every connection with these bytes, one each, then close."""

    async def talk(server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        for answer in answers:
            if not await server.read(reader):
                return
            writer.write(answer)
            await writer.drain()

    return talk


def dying(*, last_words: bytes = b"", reset: bool = False, deaths: int = 1) -> Talk:
    """Answer the first request; then read one request on each of `deaths` connections and drop it unanswered."""

    async def talk(server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        if server.connections == 1:
            await server.read(reader)
            writer.write(OK)
        while await server.read(reader):
            if server.connections <= deaths:
                writer.write(last_words)
                await writer.drain()
                if reset:
                    abort(writer)
                return
            writer.write(OK)

    return talk


def abort(writer: StreamWriter) -> None:
    """Close with a reset instead of an orderly end."""
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: on, 0 s
    writer.transport.abort()


async def post(
    url: str, body: bytes = b"{}", timeout_s: float = 5, tls: ssl.SSLContext = TLS, **settings: Any
) -> Answer:
    """One POST by a transport of its own. No sentence of any failure may tell the path, the query or a header."""
    changed = {name: getattr(SETTINGS, name) for name in SETTINGS.__struct_fields__} | settings
    async with Transport(Settings(**changed), tls=tls) as transport:
        answer = await transport.post(url + PATH, HEADERS, body, timeout_s)
    assert "secret" not in answer.detail
    assert (answer.status is None) == bool(answer.error) == bool(answer.detail)
    return answer


async def test_the_request_on_the_wire_is_exactly_this() -> None:
    async with wire(saying(OK)) as (server, url):
        answer = await post(url, b'{"event":"User.Created"}')
    assert server.requests == [
        b"POST /secret-path?token=secret-token HTTP/1.1\r\n"
        b"Host: " + url.removeprefix("http://").encode() + b"\r\n"
        b"content-type: application/json\r\n"
        b"user-agent: Hookline/1.2.3\r\n"
        b"authorization: secret-bearer\r\n"
        b"Accept: */*\r\n"
        b"Content-Length: 24\r\n"
        b"\r\n"
        b'{"event":"User.Created"}'
    ]
    assert (answer.status, answer.body, answer.error, answer.detail) == (200, b"ok", None, "")
    assert answer.duration_ms > 0


@pytest.mark.parametrize(
    ("url_path", "request_line"),
    [
        ("", b"POST / HTTP/1.1"),
        ("?a=1", b"POST /?a=1 HTTP/1.1"),
        ("/a/../b//c%2Fd%zz?x=a+b&y=%41'", b"POST /a/../b//c%2Fd%zz?x=a+b&y=%41' HTTP/1.1"),
    ],
)
async def test_path_and_query_are_sent_as_the_hook_has_them(url_path: str, request_line: bytes) -> None:
    async with wire(saying(OK)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        assert (await transport.post(url + url_path, {}, b"{}", 5)).status == 200
    assert server.requests[0].split(b"\r\n")[0] == request_line


@pytest.mark.parametrize("size", [0, 1, 100_000, BODY_BYTES_MAX])
async def test_the_body_arrives_byte_for_byte(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with wire(saying(OK)) as (server, url):
        assert (await post(url, body)).status == 200
    assert server.requests[0].split(b"\r\n\r\n", 1)[1] == body


@pytest.mark.parametrize("status", [200, 204, 299, 300, 304, 400, 404, 408, 410, 425, 429, 500, 503, 599])
async def test_every_http_status_is_an_answer_and_no_error(status: int) -> None:
    async with wire(saying(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)) as (_, url):
        answer = await post(url)
    assert (answer.status, answer.error, answer.body) == (status, None, b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with wire(saying(OK)) as (elsewhere, target):
        redirect = f"HTTP/1.1 {status} X\r\nLocation: {target}/\r\nContent-Length: 0\r\n\r\n".encode()
        async with wire(saying(redirect, redirect)) as (server, url):
            assert (await post(url)).status == status
    assert (len(server.requests), elsewhere.connections) == (1, 0)


async def test_retry_after_is_passed_on_as_it_came() -> None:
    head = b"HTTP/1.1 429 X\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n"
    async with wire(saying(head)) as (_, url):
        assert (await post(url)).retry_after == "Fri, 31 Dec 1999 23:59:59 GMT"


async def test_cookies_are_not_sent_back() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with wire(saying(cookie, OK)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        for _ in range(2):
            assert (await transport.post(url, {}, b"{}", 5)).status == 200
    assert b"cookie" not in server.requests[1].lower()


async def test_a_compressed_body_is_not_unpacked() -> None:
    packed = gzip.compress(b"x" * 10_000_000)[:60]
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 60\r\n\r\n"
    async with wire(saying(head + packed)) as (_, url):
        assert (await post(url)).body == packed


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(saying(OK)) as (proxy, proxy_url), wire(saying(OK)) as (server, url):
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy_url)
        assert (await post(url)).status == 200
    assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize(
    ("promised", "sent", "connections"), [(0, 0, 1), (63, 63, 1), (64, 64, 1), (65, 65, 1), (65, 64, 2), (10**9, 64, 2)]
)
async def test_a_body_is_read_up_to_its_limit_and_one_that_goes_on_costs_the_connection(
    promised: int, sent: int, connections: int
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % promised + b"x" * sent
    async with wire(saying(answer, answer)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        for _ in range(2):
            assert (await transport.post(url, {}, b"{}", 5)).body == b"x" * min(sent, 64)
    assert server.connections == connections


async def test_no_body_is_read_when_the_limit_is_zero() -> None:
    async with wire(saying(OK)) as (_, url):
        answer = await post(url, response_bytes_max=0)
    assert (answer.status, answer.body) == (200, b"")


async def test_an_endless_body_ends_with_the_limit() -> None:
    async def talk(server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with wire(talk) as (server, url):
        answer = await post(url)
        await asyncio.wait_for(server.ended.wait(), 5)
    assert (answer.status, answer.body) == (200, b"x" * 64)


async def test_connections_are_kept_and_used_again() -> None:
    async with wire(saying(OK, OK, OK)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        for _ in range(3):
            assert (await transport.post(url, {}, b"{}", 5)).status == 200
    assert server.connections == 1


@pytest.mark.parametrize("reset", [False, True])
async def test_a_reused_connection_that_dies_before_any_byte_is_tried_once_more_as_the_same_attempt(
    reset: bool,
) -> None:
    async with wire(dying(reset=reset)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        assert (await transport.post(url, {}, b"first", 5)).status == 200
        second = await transport.post(url, {}, b"second", 5)
    assert (second.status, second.error) == (200, None)
    assert [request[-6:] for request in server.requests[1:]] == [b"second", b"second"]
    assert server.connections == 2


async def test_it_is_tried_once_more_and_not_twice() -> None:
    async with wire(dying(deaths=9)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        await transport.post(url, {}, b"{}", 5)
        second = await transport.post(url, {}, b"{}", 5)
    assert (second.status, second.error) == (None, "reset")
    assert len(server.requests) == 3


async def test_it_is_not_tried_again_when_a_byte_of_an_answer_came() -> None:
    async with wire(dying(last_words=b"H")) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        await transport.post(url, {}, b"{}", 5)
        second = await transport.post(url, {}, b"{}", 5)
    assert second.error == "reset"
    assert len(server.requests) == 2


async def test_it_is_not_tried_again_when_it_took_long_to_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.web.transport.RESEND_WITHIN_S", 0.0)
    async with wire(dying()) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        await transport.post(url, {}, b"{}", 5)
        second = await transport.post(url, {}, b"{}", 5)
    assert second.error == "reset"
    assert len(server.requests) == 2


@pytest.mark.parametrize("reset", [False, True])
async def test_a_new_connection_that_dies_is_a_reset_and_not_tried_again(reset: bool) -> None:
    async def talk(server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        await server.read(reader)
        if reset:
            abort(writer)

    async with wire(talk) as (server, url):
        assert (await post(url)).error == "reset"
    assert len(server.requests) == 1


LARGE = b"x" * (16 << 20)  # more than the kernel's buffers between two sockets hold


def unread(answer: bytes) -> Talk:
    """On the first connection read the head only, answer, and read the rest when told to; count what came."""

    async def talk(server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        if server.connections > 1:
            return await saying(OK)(server, reader, writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await server.resumed.wait()
        while chunk := await reader.read(1 << 20):
            server.bytes_late += len(chunk)
        return server.drained.set()

    return talk


@pytest.mark.filterwarnings("ignore:Sending a large body")
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(b"", (None, "timeout")), (b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n", (413, None))],
)
async def test_a_body_that_is_not_taken_is_given_up_with_its_connection(
    answer: bytes, outcome: tuple[int | None, str | None]
) -> None:
    """Neither held in memory for whoever does not read, nor left over to begin the next request with."""
    async with wire(unread(answer)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        first = await transport.post(url, {}, LARGE, 0.3)
        assert (first.status, first.error) == outcome
        assert (await transport.post(url, {}, b"second", 5)).status == 200
        assert server.requests[0].endswith(b"\r\n\r\nsecond")
        server.resumed.set()
        await asyncio.wait_for(server.drained.wait(), 5)
    assert server.bytes_late < len(LARGE)


def slowly(first: bytes, again: bytes) -> Talk:
    """Say something, then the same thing for ever."""

    async def talk(server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        await server.read(reader)
        writer.write(first)
        while True:
            await asyncio.sleep(0.01)
            writer.write(again)
            await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nx: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    ],
    ids=["silence", "head", "stalled body", "body", "chunks", "100", "103"],
)
async def test_an_answer_that_is_not_complete_in_time_is_a_timeout(first: bytes, again: bytes) -> None:
    async with wire(slowly(first, again)) as (_, url):
        answer = await post(url, timeout_s=0.2, response_bytes_max=1000)
    assert (answer.error, answer.detail) == ("timeout", "no complete answer within 0.2 s")


async def test_a_tls_handshake_that_does_not_end_is_a_timeout() -> None:
    async def talk(_server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        await asyncio.Event().wait()

    async with wire(talk) as (_, url):
        answer = await post(url.replace("http:", "https:"), connect_timeout_s=0.2)
    assert (answer.error, answer.detail) == ("timeout", "no connection came about in time")


async def test_nobody_listening_is_a_connect_error() -> None:
    async with wire(saying()) as (_, url):
        pass
    answer = await post(url)
    assert (answer.error, answer.detail) == ("connect", "the host cannot be reached: connection refused")


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\r\n\r\n",
        b"\x00\xff\xfe" * 100,
        b"<html>HTTP/0.9</html>\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 10_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"x" * 10_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (HEADERS_MAX + 1) + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
    ],
)
async def test_an_answer_that_is_not_http_is_a_protocol_error(garbage: bytes) -> None:
    async with wire(saying(garbage)) as (server, url):
        assert (await post(url)).error == "protocol"
    assert len(server.requests) == 1


@pytest.mark.parametrize(("extra", "status"), [(-1, 200), (0, 200), (1, None)])
async def test_the_headers_of_an_answer_may_have_64_kib_in_all(extra: int, status: int | None) -> None:
    fields = [b"x-%d: " % n + b"v" * 8000 for n in range(8)]
    used = 8 * 8003 + len(b"Content-Length0")
    fields += [b"y: " + b"v" * (HEADER_BYTES_MAX - used - 1 + extra), b"Content-Length: 0"]
    async with wire(saying(b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(fields) + b"\r\n\r\n")) as (_, url):
        answer = await post(url)
    assert (answer.status, answer.error) == (status, None if status else "protocol")


async def test_a_header_that_cannot_be_sent_is_an_answer_too() -> None:
    async with wire(saying(OK)) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        answer = await transport.post(url, {"x-a": "a\r\nb"}, b"{}", 5)
    assert answer.error == "protocol"
    assert server.requests == []


async def test_a_url_that_the_rules_refuse_is_blocked_without_a_connection() -> None:
    async with wire(saying(OK)) as (server, url):
        answer = await post(url.replace("http://", "http://user:secret@"))
        assert answer.error == "blocked"
        assert (await post(url, allow_networks=())).error == "blocked"
    assert server.connections == 0


async def test_cancellation_passes_through() -> None:
    async with wire(slowly(b"", b"")) as (server, url), Transport(SETTINGS, tls=TLS) as transport:
        attempt = asyncio.create_task(transport.post(url, {}, b"{}", 5))
        while not server.requests:
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_attempts_at_once_do_not_wait_for_each_other() -> None:
    """The first request is answered only when the last has arrived: there is no limit of the pool's own."""
    count = 150  # aiohttp's own limit is 100
    gate = asyncio.Event()

    async def behave(_request: Received) -> Reply:
        await gate.wait()
        return Reply()

    async with Receiver(behave) as receiver, Transport(SETTINGS, tls=TLS) as transport:
        attempts = [asyncio.create_task(transport.post(receiver.url, {}, b"{}", 10)) for _ in range(count)]
        await receiver.arrived(count)
        gate.set()
        assert [answer.status for answer in await asyncio.gather(*attempts)] == [200] * count


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for `localhost` alone, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *files], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """The server's side of that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_a_certificate_that_no_authority_signed_is_a_tls_error(server_tls: ssl.SSLContext) -> None:
    async with wire(saying(OK), server_tls) as (server, url):
        answer = await post(url.replace("127.0.0.1", "localhost"))
    assert (answer.error, answer.detail) == ("tls", "the host's certificate is not accepted: self-signed certificate")
    assert server.requests == []


async def test_a_trusted_certificate_is_accepted_for_its_name_and_no_other(
    server_tls: ssl.SSLContext, certificate: tuple[Path, Path]
) -> None:
    trusting = tls_context()
    trusting.load_verify_locations(certificate[0])
    async with wire(saying(OK), server_tls) as (server, url):
        assert (await post(url.replace("127.0.0.1", "localhost"), tls=trusting)).status == 200
        answer = await post(url, tls=trusting)
    assert answer.error == "tls"
    assert "127.0.0.1" in answer.detail
    assert len(server.requests) == 1


async def test_a_server_without_tls_is_a_tls_error() -> None:
    async def talk(_server: Wire, reader: StreamReader, writer: StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with wire(talk) as (_, url):
        answer = await post(url.replace("http:", "https:"))
    assert (answer.error, answer.detail) == ("tls", "TLS failed: wrong version number")


def test_tls_is_at_least_1_2_and_verified() -> None:
    context = tls_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
