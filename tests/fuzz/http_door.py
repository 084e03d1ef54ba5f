"""HTTP answers: bytes that a receiver sends back, over a real connection on loopback, to what the job becomes.

One loop serves every input of a process; it is left when the process ends.
"""

import asyncio
from functools import cache

import msgspec

from streams.core import attempts, retry
from streams.core.records import Answer, Outcome
from streams.settings import LOOPBACK, Settings
from streams.web.transport import Transport
from tests.core.building import NOW, hook, job
from tests.fuzz.door import KIB, Door

TIMEOUT_S = 20.0
HEAD = b"HTTP/1.1 200 OK\r\n"


class _Line:
    """A receiver that answers as it is told, and the transport that asks it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.answer = b""
        self.url = ""
        self.transport = Transport(Settings(allow_networks=LOOPBACK))
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"
        await self.transport.__aenter__()

    async def close(self) -> None:
        """Close both ends."""
        await self.transport.__aexit__(None, None, None)
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def ask(self, answer: bytes) -> Answer:
        """What the transport makes of an answer."""
        self.answer = answer
        return self.loop.run_until_complete(self.transport.post(self.url, {"content-type": "x"}, b"{}", TIMEOUT_S))


@cache
def _line() -> _Line:
    return _Line()


def close() -> None:
    """End the line, if there is one."""
    if _line.cache_info().currsize:
        _line().loop.run_until_complete(_line().close())
        _line().loop.close()
        _line.cache_clear()


def answer(data: bytes) -> bool:
    """What one attempt leads to, up to the outcome's record."""
    found = _line().ask(data)
    assert found.error != "timeout"
    plan = retry.schedule(hook(), "default")
    decisions = [attempts.decide(plan, found, number, 0.5, NOW) for number in (1, 9)]
    assert 0 <= attempts.hold_s(found, NOW) <= retry.RETRY_AFTER_MAX_S
    assert isinstance(decisions[1], attempts.End)
    history = [attempts.record_of(found, NOW)]
    outcome = attempts.outcome(job(), hook(), decisions[1], history, found, NOW)
    msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome)
    return found.status is not None


SEEDS = (
    HEAD + b"Content-Length: 2\r\nRetry-After: 120\r\n\r\nok",
    b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nRetry-After: 1\r\n\r\n4\r\nbusy\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Encoding: gzip\r\n\r\nx",
    b"HTTP/1.0 204 No\r\nSet-Cookie: a=b\r\nConnection: keep-alive\r\n\r\n",
)
DOOR = Door("HTTP answer", answer, SEEDS, 256 * KIB)
