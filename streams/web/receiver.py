"""A receiver of webhooks on loopback that remembers what arrived and answers as it is told.

`hookline listen`, the demo and the tests are built on it. Decides nothing about deliveries and verifies nothing by
itself. Everything it keeps is bounded.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web
from msgspec import Struct

from streams.core.signing import WEBHOOK_ID

REQUESTS_MAX = 10_000
"""Requests remembered, and ids whose attempts are counted; the oldest are forgotten first."""

KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Bodies remembered, all together."""

BODY_BYTES_MAX = 2 * 1024 * 1024
"""Largest body taken: twice what a delivery may have. A larger one is answered 413 and not remembered."""

STOP_WITHIN_S = 0.2
"""How long a stopping receiver waits for answers that are slow on purpose before it cuts them off."""


class Received(Struct, frozen=True, kw_only=True):
    """One request as it arrived: header names as they were spelled, `at_ms` in Unix milliseconds.

    `attempt` counts the requests with the same `webhook-id`, this one included.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at_ms: int
    attempt: int = 1

    def header(self, name: str) -> str | None:
        """The first header of that name, however it is spelled; None when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Reply(Struct, frozen=True, kw_only=True):
    """What to answer."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


Behaviour = Callable[[Received], Awaitable[Reply]]
"""Decides the answer to a request; may take its time, but not the event loop's."""


async def accept(_request: Received) -> Reply:
    """Answer 200 at once."""
    return Reply()


def misbehaving(fail: float = 0, status: int = 500, delay_s: float = 0.0) -> Behaviour:
    """Answer `status` to the first `fail` attempts of every webhook-id (`math.inf`: to all), each after `delay_s`."""

    async def behave(request: Received) -> Reply:
        await asyncio.sleep(delay_s)
        return Reply(status=status if request.attempt <= fail else 200)

    return behave


class Receiver:
    """A server that runs between `start` and `stop`, or inside `async with`; port 0 means any free one."""

    def __init__(self, behave: Behaviour = accept, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: deque[Received] = deque(maxlen=REQUESTS_MAX)
        self.total = 0
        self.behave = behave
        self._address = (host, port)
        self._attempts: dict[str, int] = {}
        self._kept_bytes = 0
        self._news = asyncio.Condition()
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash; only between `start` and `stop`."""
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken or the address is not this machine's."""
        runner = web.ServerRunner(
            web.Server(self._answer, access_log=None, auto_decompress=False), shutdown_timeout=STOP_WITHIN_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._address).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._address = runner.addresses[0][:2]

    async def stop(self) -> None:
        """Close the port and every connection; answers under way get a moment."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def arrived(self, n: int, within_s: float = 10.0) -> list[Received]:
        """Wait until `n` requests have arrived since the start, then the last of them; raises TimeoutError."""
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(lambda: self.total >= n)
        return list(self.requests)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await _body(request)
        if body is None:
            return web.Response(status=413)
        received = Received(
            method=request.method,
            path=request.raw_path,
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers),
            body=body,
            at_ms=time.time_ns() // 1_000_000,
            attempt=self._count(request.headers.get(WEBHOOK_ID)),
        )
        await self._remember(received)
        reply = await self.behave(received)
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    def _count(self, delivery_id: str | None) -> int:
        if not delivery_id:
            return 1
        attempt = self._attempts.pop(delivery_id, 0) + 1
        self._attempts[delivery_id] = attempt
        if len(self._attempts) > REQUESTS_MAX:
            self._attempts.pop(next(iter(self._attempts)))
        return attempt

    async def _remember(self, received: Received) -> None:
        async with self._news:
            if len(self.requests) == REQUESTS_MAX:
                self._kept_bytes -= len(self.requests.popleft().body)
            self.requests.append(received)
            self._kept_bytes += len(received.body)
            while self._kept_bytes > KEPT_BYTES_MAX:
                self._kept_bytes -= len(self.requests.popleft().body)
            self.total += 1
            self._news.notify_all()


async def _body(request: web.BaseRequest) -> bytes | None:
    """The whole body, or None when it is larger than we take."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return bytes(body)
