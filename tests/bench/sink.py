"""The cheapest receiver there can be, so that what is measured is Hookline: answers 200, notes when each id came."""

import asyncio
import time
from collections.abc import Iterator

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Sink:
    """Counts requests; `arrived` maps the number that a body carries in `"seq":` to when it came (perf_counter)."""

    def __init__(self) -> None:
        self.count = 0
        self.arrived: dict[int, float] = {}
        self.url = ""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Sink":
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()

    def take(self, body: bytes) -> None:
        """One request came."""
        self.count += 1
        start = body.find(b'"seq":') + 6
        if start > 5:
            self.arrived.setdefault(int(body[start : body.find(b"}", start)]), time.perf_counter())

    async def until(self, count: int) -> None:
        """Wait until so many requests came in all."""
        while self.count < count:
            await asyncio.sleep(0.01)


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        for body in self._requests():
            self._sink.take(body)
            self._transport.write(ANSWER)  # type: ignore[attr-defined]  # asyncio gives a protocol its base type

    def _requests(self) -> Iterator[bytes]:
        while (end := self._data.find(b"\r\n\r\n")) > 0:
            head = self._data[:end].lower()
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(self._data) < end + 4 + length:
                return
            yield self._data[end + 4 : end + 4 + length]
            self._data = self._data[end + 4 + length :]
