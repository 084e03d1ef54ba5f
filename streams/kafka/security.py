"""How clients come into the cluster: TLS and SASL, the same for aiokafka's clients and for Faust's.

Certificates and host names are always verified; there is no setting that turns that off.
"""

import contextlib
import errno
import ssl
from pathlib import Path
from typing import Any

from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import SaslAuthenticationFailed

from streams.core.errors import InvalidInput
from streams.settings import Settings


def options(settings: Settings) -> dict[str, Any]:
    """What an aiokafka client needs besides the addresses. Raises InvalidInput for what is no certificate or token."""
    found: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        found["ssl_context"] = ssl_context(settings)
    if not settings.kafka_security_protocol.startswith("SASL"):
        return found
    found["sasl_mechanism"] = settings.sasl_mechanism
    if settings.sasl_mechanism == "OAUTHBEARER":
        return found | {"sasl_oauth_token_provider": _token_file(settings.sasl_oauth_token_file)}
    return found | {"sasl_plain_username": settings.sasl_username, "sasl_plain_password": settings.sasl_password}


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The TLS context for Kafka: the system's authorities or the configured bundle, a client certificate if any."""
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslobject_class = _Leaving
        if settings.ssl_certfile:
            # Always a password, if only an empty one: OpenSSL would ask for it on the terminal.
            context.load_cert_chain(
                settings.ssl_certfile, settings.ssl_keyfile or None, lambda: settings.ssl_keyfile_password
            )
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; a password may be too long
        raise InvalidInput(
            f"cannot use the certificates of HOOKLINE_SSL_CAFILE, _CERTFILE and _KEYFILE ({error}): they have to be "
            "PEM files that this process may read, and an encrypted key needs HOOKLINE_SSL_KEYFILE_PASSWORD"
        ) from error
    return context


class _Leaving(ssl.SSLObject):
    """Says goodbye without waiting for the other side's, as TLS allows (RFC 8446, 6.1).

    A broker that holds a fetch does not read ours, and what it fetched comes after it. uvloop then waits half a minute
    for a connection that nobody needs, and every command and every restart with it.
    """

    def unwrap(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            super().unwrap()


class TokenFile(AbstractTokenProvider):
    """The token in a file, read anew for every connection: whoever renews it writes it there."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    async def token(self) -> str:
        """The token. Raises OSError with the file's name when there is none."""
        return self.read()

    def read(self) -> str:
        """As `token`, outside of a loop: a file of a kilobyte may block."""
        text = self._path.read_bytes().decode("ascii", "replace").strip()
        if not text.isascii() or not text.isprintable() or not text:
            raise OSError(errno.EINVAL, "it holds no token", str(self._path))
        return text


def _token_file(path: str) -> TokenFile:
    found = TokenFile(path)
    try:
        found.read()
    except OSError as error:
        raise InvalidInput(f"HOOKLINE_SASL_OAUTH_TOKEN_FILE={path} gives no token: {error.strerror}") from error
    return found


class _Heard(conn.OAuthAuthenticator):
    """Reads what the broker answers to a token: nothing when it is taken, else why it is not (RFC 7628, 3.2.2).

    aiokafka 0.14 does not, and takes itself for in: the broker then answers every request with next to nothing, and a
    producer asks for ever, thirty times a second.
    """

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload:
            raise SaslAuthenticationFailed(payload.decode(errors="replace"))
        found: tuple[bytes, bool] | None = await super().step(payload)
        return found


conn.OAuthAuthenticator = _Heard  # type: ignore[misc]
