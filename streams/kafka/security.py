"""How clients come into the cluster: TLS and SASL, the same for aiokafka's clients and for Faust's.

Certificates and host names are always verified; there is no setting that turns that off.
"""

import asyncio
import errno
import ssl
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from streams.core.errors import InvalidInput
from streams.settings import Settings


def options(settings: Settings) -> dict[str, Any]:
    """What an aiokafka client needs besides the addresses. Raises InvalidInput for certificates that are none."""
    found: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        found["ssl_context"] = ssl_context(settings)
    if not settings.kafka_security_protocol.startswith("SASL"):
        return found
    found["sasl_mechanism"] = settings.sasl_mechanism
    if settings.sasl_mechanism == "OAUTHBEARER":
        return found | {"sasl_oauth_token_provider": TokenFile(settings.sasl_oauth_token_file)}
    return found | {"sasl_plain_username": settings.sasl_username, "sasl_plain_password": settings.sasl_password}


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The TLS context for Kafka: the system's authorities or the configured bundle, a client certificate if any."""
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
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


class TokenFile(AbstractTokenProvider):
    """The token in a file, read anew for every connection: whoever renews it writes it there."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    async def token(self) -> str:
        """The token. Raises OSError with the file's name when there is none."""
        text = (await asyncio.to_thread(self._path.read_text, "utf-8")).strip()
        if not text.isascii() or not text.isprintable() or not text:
            raise OSError(errno.EINVAL, "holds no token", str(self._path))
        return text
