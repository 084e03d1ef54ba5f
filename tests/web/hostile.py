"""Receivers that mean harm, each with a port of its own, in a process of its own: what they hold is not what we hold.

`python -m tests.web.hostile DIRECTORY` prints their URLs as JSON and serves until its standard input ends; the
directory has the certificates of `tests.web.certificates`.
"""

import asyncio
import gzip
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
import warnings
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from tests.web import certificates

Talk = Callable[[StreamReader, StreamWriter], Awaitable[None]]

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
METADATA = b"Location: http://169.254.169.254/latest/meta-data/\r\n"
BOMB = gzip.compress(b"x" * 10_000_000)
DRIP_S = 0.02

MALFORMED = "the answer is not HTTP, or its headers are malformed or too many"
TOO_LARGE = "the answer's headers are too large"
BROKE_OFF = "the answer broke off, or its body is malformed"
LATE = "no complete answer within"
REFUSED = "the host's certificate is not accepted: "


class Receiver(Struct, frozen=True):
    """How it answers, what becomes of the attempt (status, or error class and words of its sentence), and its TLS."""

    talk: Talk
    status: int | None = None
    error: str | None = None
    words: str = ""
    tls: str = ""


def saying(answer: bytes, again: bytes = b"", drip_s: float = 0.0) -> Talk:
    """Read a request, answer, and go on with `again` for ever, as fast as the wire takes it or slower; then close."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        writer.write(answer)
        await writer.drain()
        while again:
            await asyncio.sleep(drip_s)
            writer.write(again)
            await writer.drain()

    return talk


def stalling(answer: bytes) -> Talk:
    """Read a request, answer so much, and say nothing more."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        await saying(answer)(reader, writer)
        await reader.read()

    return talk


def first(words: bytes) -> Talk:
    """Speak before anything is asked."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(words)
        await writer.drain()
        await reader.read()

    return talk


async def hanging_up(reader: StreamReader, writer: StreamWriter) -> None:
    """Reset the connection instead of answering."""
    await reader.readuntil(b"\r\n\r\n")
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: on, 0 s
    writer.transport.abort()


async def turning_away(reader: StreamReader, _writer: StreamWriter) -> None:
    """Close as soon as anything is said."""
    await reader.readexactly(2)


async def baking(reader: StreamReader, writer: StreamWriter) -> None:
    """Give cookies, and take offence at a request that brings one back."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        await reader.readexactly(2)
        status = b"418 X" if b"cookie" in head.lower() else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + b"Set-Cookie: a=b; Path=/\r\n" * 50 + EMPTY)


def many(count: int, size: int) -> bytes:
    """So many headers of so many bytes."""
    return b"".join(b"x-%d: " % n + b"v" * size + b"\r\n" for n in range(count))


def redirecting(status: int) -> Receiver:
    return Receiver(saying(b"HTTP/1.1 %d X\r\n" % status + METADATA + EMPTY), status)


def malformed(answer: bytes, words: str = MALFORMED, again: bytes = b"") -> Receiver:
    return Receiver(saying(answer, again), error="protocol", words=words)


OK = saying(HEAD + EMPTY)
HOSTILE = {
    "silence": Receiver(stalling(b""), error="timeout", words=LATE),
    "slow headers": Receiver(saying(HEAD + b"x: ", b"a", DRIP_S), error="timeout", words=LATE),
    "slow body": Receiver(saying(HEAD + b"Content-Length: 9999\r\n\r\n", b"x", DRIP_S), error="timeout", words=LATE),
    "slow chunks": Receiver(saying(CHUNKED, b"1\r\nx\r\n", DRIP_S), error="timeout", words=LATE),
    "stalled body": Receiver(stalling(HEAD + b"Content-Length: 9999\r\n\r\nx"), error="timeout", words=LATE),
    "slow 1xx": Receiver(saying(b"", b"HTTP/1.1 100 Continue\r\n\r\n", DRIP_S), error="timeout", words=LATE),
    "endless body": Receiver(saying(HEAD + b"\r\n", b"x" * 65536), 200),
    "endless tiny chunks": Receiver(saying(CHUNKED, b"1\r\nx\r\n" * 10_000), 200),
    "endless chunk extension": Receiver(saying(CHUNKED + b"1;", b"x" * 65536), error="timeout", words=LATE),
    "endless trailers": malformed(CHUNKED + b"1\r\nx\r\n0\r\n", "", b"a: b\r\n" * 1000),
    "gzip bomb": Receiver(
        saying(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB), 200
    ),
    "header line of 300 KB": malformed(HEAD + b"a: " + b"v" * 300_000 + b"\r\n" + EMPTY),
    "header name of 300 KB": malformed(HEAD + b"a" * 300_000 + b": v\r\n" + EMPTY),
    "reason of 300 KB": malformed(b"HTTP/1.1 200 " + b"O" * 300_000 + b"\r\n" + EMPTY),
    "200,000 headers": malformed(HEAD + b"a: b\r\n" * 200_000 + EMPTY),
    "1 MB of permitted headers": malformed(HEAD + many(127, 8100) + EMPTY, TOO_LARGE),
    "endless line ends": malformed(b"", TOO_LARGE, b"\r\n" * 30_000),
    "endless 100": malformed(b"", TOO_LARGE, b"HTTP/1.1 100 C\r\n\r\n" * 3000),
    "endless 103": malformed(b"", TOO_LARGE, b"HTTP/1.1 103 E\r\n" + many(100, 4) + b"\r\n"),
    "endless 103 with large headers": malformed(b"", TOO_LARGE, b"HTTP/1.1 103 E\r\n" + many(120, 8100) + b"\r\n"),
    "answers that nobody asked for": Receiver(saying(b"", (HEAD + EMPTY) * 3000), 200),
    "garbage": malformed(bytes(range(256)) * 100),
    "HTTP/0.9": malformed(b"<html>hello</html>\r\n"),
    "another protocol, first": Receiver(first(b"SSH-2.0-OpenSSH_9.9\r\n"), error="protocol", words=MALFORMED),
    "no version": malformed(b"HTTP 200 OK\r\n" + EMPTY),
    "two content lengths": malformed(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok"),
    "one content length twice": malformed(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    "a list of content lengths": malformed(HEAD + b"Content-Length: 2, 2\r\n\r\nok"),
    "length and chunks": malformed(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a length of no number": malformed(HEAD + b"Content-Length: 0x10\r\n\r\nok"),
    "a length without end": malformed(HEAD + b"Content-Length: " + b"9" * 100 + b"\r\n\r\nok"),
    "a chunk size of no number": malformed(CHUNKED + b"zz\r\n", ""),
    "a chunk size without end": malformed(CHUNKED + b"f" * 100 + b"\r\n", ""),
    "a NUL in a header": malformed(HEAD + b"a: b\x00c\r\n" + EMPTY),
    "closing at once": Receiver(saying(b""), error="reset", words="closed before an answer came"),
    "closing in the head": Receiver(saying(HEAD + b"a: "), error="reset", words="closed before an answer came"),
    "closing in the body": malformed(HEAD + b"Content-Length: 9999\r\n\r\nx", BROKE_OFF),
    "closing in a chunk": malformed(CHUNKED + b"5\r\nx", BROKE_OFF),
    "resetting": Receiver(hanging_up, error="reset", words="closed before an answer came"),
    "redirect 301 to metadata": redirecting(301),
    "redirect 302 to metadata": redirecting(302),
    "redirect 303 to metadata": redirecting(303),
    "redirect 307 to metadata": redirecting(307),
    "redirect 308 to metadata": redirecting(308),
    "refresh to metadata": Receiver(saying(HEAD + b"Refresh: 0; url=http://169.254.169.254/\r\n" + EMPTY), 200),
    "switching protocols": Receiver(
        saying(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"x" * 65536), 101
    ),
    "cookies": Receiver(baking, 200),
    "TLS expired": Receiver(OK, error="tls", words=REFUSED + "certificate has expired", tls="expired"),
    "TLS self-signed": Receiver(OK, error="tls", words=REFUSED + "self-signed certificate", tls="self-signed"),
    "TLS of another name": Receiver(OK, error="tls", words=REFUSED + "IP address mismatch", tls="wrong-name"),
    "TLS 1.0": Receiver(OK, error="tls", words="TLS failed: tlsv1 alert protocol version", tls="TLSv1"),
    "TLS 1.1": Receiver(OK, error="tls", words="TLS failed: tlsv1 alert protocol version", tls="TLSv1_1"),
    "TLS asking for a certificate": Receiver(OK, error="tls", words="TLS failed: ", tls="mutual"),
    "TLS closing in the handshake": Receiver(turning_away, error="tls", words="closed in the handshake", tls="none"),
    "TLS and no TLS": Receiver(
        first(b"HTTP/1.1 400 X\r\n\r\n"), error="tls", words="TLS failed: wrong version number", tls="none"
    ),
    "TLS silence": Receiver(first(b""), error="timeout", words=LATE, tls="none"),
    "TLS and an endless body": Receiver(saying(HEAD + b"\r\n", b"x" * 65536), 200, tls="good"),
    "TLS and endless 100": Receiver(
        saying(b"", b"HTTP/1.1 100 C\r\n\r\n" * 3000), error="protocol", words=TOO_LARGE, tls="good"
    ),
}
"""What each is called, how it answers, and what must come of it."""

ALERTING = ("TLSv1", "TLSv1_1", "mutual")

WELL = "well"
"""The one that means no harm."""


@contextmanager
def receivers(directory: Path) -> Iterator[dict[str, str]]:
    """All of them, and one that is well, in a process: their URLs by name."""
    certificates.make(directory)
    command = [sys.executable, "-m", __name__, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


def _tls(directory: Path, kind: str) -> ssl.SSLContext | None:
    if kind in ("", "none"):
        return None
    made = certificates.context(directory, kind if kind in certificates.KINDS else "good")
    if kind.startswith("TLSv1"):
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.minimum_version = ssl.TLSVersion.TLSv1
        made.maximum_version = ssl.TLSVersion[kind]
    if kind == "mutual":
        made.maximum_version = ssl.TLSVersion.TLSv1_2  # refused in the handshake, not by a race after it
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(directory / "authority.pem")
    return made


async def _serve(directory: Path) -> None:
    async def well(reader: StreamReader, writer: StreamWriter) -> None:
        while True:
            await OK(reader, writer)

    urls = {}
    for name, receiver in {**HOSTILE, WELL: Receiver(well)}.items():
        if receiver.tls in ALERTING:
            urls[name] = f"https://127.0.0.1:{_shaking_hands(_tls(directory, receiver.tls))}/"
            continue
        server = await asyncio.start_server(_closing(receiver.talk), "127.0.0.1", 0, ssl=_tls(directory, receiver.tls))
        scheme = "https" if receiver.tls else "http"
        urls[name] = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    sys.stdout.write(json.dumps(urls) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


def _shaking_hands(context: ssl.SSLContext | None) -> int:
    """The port of a server that refuses in the handshake, and says why with an alert, which asyncio's does not."""
    assert context
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with suppress(OSError), connection, context.wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(65536)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def _closing(talk: Talk) -> Talk:
    async def talked(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return talked


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 is deprecated, which is what is tested
    asyncio.run(_serve(Path(sys.argv[1])))
