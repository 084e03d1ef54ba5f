"""What every failure of a request is called: the one place that reads aiohttp's and Python's errors.

Decides an error class (CONTRACT 5) and one plain sentence for the owner of the hook. The sentence is made here and
never copied from an exception: aiohttp's texts hold whole URLs, and a receiver's bytes hold whatever it likes.
"""

import os
import ssl
from collections.abc import Iterator

import aiohttp

from streams.core.records import Answer
from streams.web.guard import Blocked


class HeadTooLarge(aiohttp.ClientError):
    """The answer's headers are larger than we take; raised by the transport itself."""


def failure(error: Exception, timeout_s: float) -> Answer:
    """The answer that stands for an error; `timeout_s` is the time that the whole attempt had."""
    chain = [cause for cause in _chain(error) if not isinstance(cause, aiohttp.ClientError)]
    blocked = next((cause for cause in chain if isinstance(cause, Blocked)), None)
    tls = next((cause for cause in chain if isinstance(cause, ssl.SSLError)), None)
    if blocked:
        return Answer(error="blocked", detail=blocked.verdict.sentence)
    if tls:
        return Answer(error="tls", detail=_tls(tls))
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Answer(error="timeout", detail="no connection came about in time")
    if isinstance(error, TimeoutError):
        return Answer(error="timeout", detail=f"no complete answer within {timeout_s:.3g} s")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Answer(error="dns", detail=f"the host's name cannot be resolved: {error.os_error.strerror}")
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionResetError):
        # A connection that is refused is refused; one that is closed before it is made was closed over TLS.
        return Answer(error="tls", detail="TLS failed: the connection was closed in the handshake")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Answer(error="connect", detail=f"the host cannot be reached: {_system(error.os_error)}")
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return Answer(error="reset", detail="the connection was closed before an answer came")
    return Answer(error="protocol", detail=_protocol(error))


def died_silently(error: Exception) -> bool:
    """Whether a connection went away without a byte of an answer, as an idle one does that the other side closed.

    A reset (RST) hides whether bytes came before it: aiohttp does not say. We take it for silence. The price is one
    more POST of the same id to a receiver that answered in part and then reset a reused connection within a second.
    """
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # else it holds the part of the head that did arrive
    return isinstance(error, (aiohttp.ClientOSError, ConnectionError)) and not isinstance(
        error, aiohttp.ClientConnectorError
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it, nearest first."""
    while error is not None:
        yield error
        error = error.__cause__ or (error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None)


def _system(error: OSError) -> str:
    """The system's own words for an error number; no address, which `strerror` of a failed connect holds."""
    return os.strerror(error.errno).lower() if error.errno else "no connection to any of its addresses"


def _tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the host's certificate is not accepted: {getattr(error, 'verify_message', 'no reason given')}"
    reason = getattr(error, "reason", None) or "no reason given"  # only OpenSSL's own errors have one
    return f"TLS failed: {reason.lower().replace('_', ' ')}"


def _protocol(error: Exception) -> str:
    if isinstance(error, HeadTooLarge):
        return "the answer's headers are too large"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off, or its body is malformed"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP, or its headers are malformed or too many"
    return f"the request could not be sent as it is ({type(error).__name__})"
