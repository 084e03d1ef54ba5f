"""One POST and what came back, whatever happens on the way (CONTRACT 5).

Decides how a request travels and what every failure is called. Does not know hooks, retries or what a status means:
any HTTP status is an answer here. One aiohttp session per process, so that connections are reused across attempts.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import AddrInfoType, ClientTimeout
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from msgspec import Struct, structs
from yarl import URL

from streams.core import egress
from streams.core.records import Answer
from streams.settings import Settings
from streams.web.bounded import FIELD_BYTES_MAX, HEADER_BYTES_MAX, HEADERS_MAX, BoundedConnector, bounded
from streams.web.failures import HeadTooLarge, died_silently, failure
from streams.web.guard import GuardResolver, ThreadResolver, guarded_sockets

KEEP_ALIVE_S = 4.0
"""An idle connection is closed before the 5 s at which Node, the commonest receiver, closes it under our feet."""

RESEND_WITHIN_S = 1.0
"""A reused connection that dies within this time, before any byte of an answer, is worth one more try at once."""

_SKIPPED = ("Accept-Encoding", "Content-Type", "User-Agent")
"""Headers aiohttp would add by itself; ours come from `core.signing`, and we do not decompress."""


class Note(Struct):
    """What is noted of the request that the current task is making: was a connection dialled, and which carries it."""

    dialled: bool = False
    connection: asyncio.Transport | None = None


_NOTE: ContextVar[Note] = ContextVar("hookline_note")
"""Aiohttp's own way to learn of a reused connection, tracing, costs 15 % of a request; this costs nothing."""


class NotedRequest(aiohttp.ClientRequest):
    """A request that notes the connection it goes over, so that it can be cut off."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Note, then send."""
        _NOTE.get().connection = conn.transport
        return await super().send(conn)


class Transport:
    """`async with Transport(settings) as transport: answer = await transport.post(...)`.

    `resolver` asks for names instead of the system's; `tls` verifies instead of `tls_context()`.
    """

    def __init__(
        self, settings: Settings, resolver: AbstractResolver | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._allowed = egress.networks(settings.allow_networks)
        self._inner = resolver
        self._guarded = guarded_sockets(self._allowed)

    async def __aenter__(self) -> Self:
        """Make the session; nothing is connected yet."""
        self._resolver = GuardResolver(self._allowed, self._inner or ThreadResolver())
        connector = BoundedConnector(
            resolver=self._resolver,
            use_dns_cache=False,  # the guard keeps its own, and judges again at every use
            socket_factory=self._open_socket,
            ssl=self._tls or tls_context(),
            keepalive_timeout=KEEP_ALIVE_S,
            limit=0,  # the sender bounds what is in flight; waiting here would eat the attempt's time
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=NotedRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_SKIPPED,
            read_bufsize=max(4096, self._settings.response_bytes_max),
            max_line_size=FIELD_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, then the resolver: aiohttp closes only one that it made itself."""
        await self._session.close()
        await self._resolver.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """Send one POST and tell what came back within `timeout_s` seconds in all; raises nothing but cancellation.

        `headers` are sent as they are, besides `host`, `accept` and `content-length`. The answer has a status with
        the first bytes of its body, or an error class with one sentence that holds no secret, path or query.
        """
        began = time.perf_counter()
        target = egress.target(url, self._allowed)
        if isinstance(target, egress.Verdict):
            return Answer(error="blocked", detail=target.sentence)
        answer, again = await self._attempt(target, headers, body, timeout_s)
        rest_s = timeout_s - (time.perf_counter() - began)
        if again and rest_s > 0:  # to aiohttp no time left would mean all the time in the world
            answer, _ = await self._attempt(target, headers, body, rest_s)
        return structs.replace(answer, duration_ms=(time.perf_counter() - began) * 1000)

    async def _attempt(
        self, target: egress.Target, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[Answer, bool]:
        """What came back, and whether it was a reused connection's death that is worth one more try at once."""
        began = time.perf_counter()
        note = Note()
        _NOTE.set(note)
        try:
            return await self._exchange(target, headers, body, timeout_s), False
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server provokes in a library is an answer
            quick = time.perf_counter() - began < RESEND_WITHIN_S
            return failure(error, timeout_s), quick and not note.dialled and died_silently(error)
        finally:
            if note.connection and note.connection.is_closing():
                # Closing alone waits until the other side has read all that we wrote: for ever, if it does not read.
                note.connection.abort()

    async def _exchange(
        self, target: egress.Target, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Answer:
        connect_s = min(self._settings.connect_timeout_s, timeout_s)
        async with self._session.post(
            _url(target),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=ClientTimeout(
                total=timeout_s, connect=connect_s, sock_connect=connect_s, ceil_threshold=timeout_s + 1
            ),
        ) as response:
            if sum(len(name) + len(value) for name, value in response.raw_headers) > HEADER_BYTES_MAX:
                response.close()
                raise HeadTooLarge
            excerpt = await _first_bytes(response.content, self._settings.response_bytes_max)
            if not response.content.at_eof():
                response.close()  # said outright: a connection with an unread rest is never kept
            return Answer(status=response.status, body=excerpt, retry_after=response.headers.get("Retry-After"))

    def _open_socket(self, info: AddrInfoType) -> socket.socket:
        _NOTE.get().dialled = True
        return bounded(self._guarded(info))


def tls_context() -> ssl.SSLContext:
    """TLS 1.2 or newer, certificates and names verified by the system's authorities. Costs 47 ms: one per process."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _first_bytes(content: aiohttp.StreamReader, bytes_max: int) -> bytes:
    """The first `bytes_max` bytes of a body, or all of it if it is shorter."""
    excerpt = b""
    while len(excerpt) < bytes_max and (chunk := await content.read(bytes_max - len(excerpt))):
        excerpt += chunk
    return excerpt


def _url(target: egress.Target) -> URL:
    """The URL for aiohttp, already encoded: nothing is decoded, normalised or encoded again on the way."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return URL(f"{target.scheme}://{host}:{target.port}{target.path}", encoded=True)
