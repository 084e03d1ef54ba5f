"""A fast receiver that notes every request and misbehaves by path, as the scenario tells it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from tests.faults.facts import Arrival

HOST = "127.0.0.1"


class Manner(Struct, frozen=True, kw_only=True):
    """How to answer one request.

    `ending`: answer; answer and close the connection without a word; never answer; a byte a second; cut the
    connection. `asked_s` is what `retry_after` means in seconds from now, for the checks.
    """

    status: int = 200
    ending: Literal["answer", "close", "hang", "drip", "reset"] = "answer"
    delay_s: float = 0.0
    retry_after: str = ""
    asked_s: float = 0.0


WELL = Manner()

Behaviour = Callable[[str, int], Manner]
"""Given a delivery id, and how many requests of it have come, this one included."""


def always(manner: Manner) -> Behaviour:
    """The same for every request."""
    return lambda _, __: manner


def first(count: int, manner: Manner) -> Behaviour:
    """So for the first requests of every id, well for the others."""
    return lambda _, number: manner if number <= count else WELL


class Receiving:
    """`async with Receiving() as receiver`; `behaviours` by path, well where none is given."""

    def __init__(self, host: str = HOST) -> None:
        self.arrivals: list[Arrival] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.url = ""
        self._host = host
        self._numbers: Counter[str] = Counter()
        self._connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Receiving":
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), self._host, 0)
        self.url = f"http://{self._host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        for transport in list(self._connections):
            transport.abort()

    def take(self, head: bytes, body: bytes, reused: bool) -> tuple[Arrival, Manner]:
        """Note a request; answers how to treat it."""
        path = head.split(b" ", 2)[1].decode()
        arrival = Arrival(
            id=_header(head, b"webhook-id"),
            path=path,
            body=body,
            at=time.monotonic(),
            signature=_header(head, b"logto-signature-sha-256"),
            reused=reused,
        )
        self.arrivals.append(arrival)
        self._numbers[arrival.id] += 1
        behaviour = self.behaviours.get(path)
        return arrival, behaviour(arrival.id, self._numbers[arrival.id]) if behaviour else WELL

    def opened(self, transport: asyncio.Transport) -> None:
        """A connection is there."""
        self._connections.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        """A connection is gone."""
        self._connections.discard(transport)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time, as the senders' client does it."""

    def __init__(self, receiver: Receiving) -> None:
        self._receiver = receiver
        self._data = b""
        self._served = 0
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a server's is always a full one
        self._receiver.opened(self._transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._gone = True
        self._receiver.closed(self._transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head, size = self._data[:end], int(_header(self._data[:end], b"content-length") or "0")
        if len(self._data) < end + 4 + size:
            return
        body, self._data = self._data[end + 4 : end + 4 + size], self._data[end + 4 + size :]
        arrival, manner = self._receiver.take(head, body, self._served > 0)
        self._served += 1
        if manner.delay_s:
            asyncio.get_running_loop().call_later(manner.delay_s, self._treat, arrival, manner)
        else:
            self._treat(arrival, manner)

    def _treat(self, arrival: Arrival, manner: Manner) -> None:
        if self._gone or manner.ending == "hang":
            return
        if manner.ending == "drip":
            self._drip(_answer(manner))
            return
        arrival.answered = time.monotonic()  # before: who answers may be put to sleep right after
        if manner.ending == "reset":
            self._transport.abort()
        else:
            arrival.status, arrival.asked_s = manner.status, manner.asked_s
            self._transport.write(_answer(manner))
        if manner.ending == "close":
            self._transport.close()

    def _drip(self, left: bytes) -> None:
        if left and not self._gone:
            self._transport.write(left[:1])
            asyncio.get_running_loop().call_later(1.0, self._drip, left[1:])


def _answer(manner: Manner) -> bytes:
    extra = f"retry-after: {manner.retry_after}\r\n" if manner.retry_after else ""
    return f"HTTP/1.1 {manner.status} As Told\r\n{extra}content-length: 2\r\n\r\nok".encode()


def _header(head: bytes, name: bytes) -> str:
    start = head.lower().find(b"\r\n" + name + b":")
    if start < 0:
        return ""
    return head[start + len(name) + 3 :].split(b"\r\n", 1)[0].strip().decode()
