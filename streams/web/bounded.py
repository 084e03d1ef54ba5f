"""What a receiver may make us hold: the head of an answer is counted while it comes in, not when it is complete.

aiohttp bounds the length of a field and the number of fields, which together allow a megabyte, and bounds neither the
interim answers (1xx) before the answer nor those that nobody asked for after it: a receiver that writes them as fast
as the wire takes them costs 160 MB within a second and holds up everybody else on the loop.
"""

import asyncio
import socket
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import RawResponseMessage

from streams.web.failures import HeadTooLarge

HEADER_BYTES_MAX = 64 * 1024
"""Largest head of an answer, all its headers together (CONTRACT 5)."""

HEADERS_MAX = 128
"""Most headers of an answer; aiohttp stops there."""

FIELD_BYTES_MAX = 8190
"""Longest status line, name and value; aiohttp's own, and that of common servers."""

HEAD_BYTES_MAX = HEADER_BYTES_MAX + FIELD_BYTES_MAX + HEADERS_MAX * len(": \r\n")
"""Most bytes on the wire before an answer's body: its headers, a status line, the marks between. Interim ones count."""

SLICE_BYTES = 4096
"""aiohttp parses at once what it is given at once: so many bytes hold 250 answers of the shortest kind at most."""

RECEIVE_BYTES = 16 * 1024
"""What the kernel may hold for us per connection: less than its default, and more than we ever want of an answer."""


class BoundedAnswers(ResponseHandler):
    """One connection's answers: at most one per request, its head no longer than `HEAD_BYTES_MAX`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head_bytes = 0
        self._answered = False

    def set_response_params(self, **parameters: Any) -> None:
        """Aiohttp's word that the next request begins."""
        self._head_bytes = 0
        self._answered = False
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        """Count and pass on, in slices, until the connection is given up."""
        for start in range(0, len(data) or 1, SLICE_BYTES):
            piece = data[start : start + SLICE_BYTES] if len(data) > SLICE_BYTES else data
            super().data_received(piece)
            if not self._answered:
                self._count(len(piece))
            if self.exception() is not None:
                return

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        """Take the answer; an interim one, or one that nobody asked for, goes no further."""
        code = data[0].code
        if self._answered:
            self.force_close()
        elif code >= 200 or code == 101:
            self._answered = True
            super().feed_data(data, size)

    def _count(self, received: int) -> None:
        self._head_bytes += received
        if self._head_bytes > HEAD_BYTES_MAX:
            self.set_exception(HeadTooLarge())
            if self.transport is not None:
                self.transport.abort()


class BoundedConnector(aiohttp.TCPConnector):
    """Makes connections whose answers are bounded. `_factory` is aiohttp's own, and has no public name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_answers, loop=self._loop)


def _answers(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return BoundedAnswers(loop)


def bounded(sock: socket.socket) -> socket.socket:
    """The same socket, not yet connected, with a small receive buffer: a bound on what comes in one piece, too."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return sock
