"""Why the cluster does not let this client in, or not do what it wants to: one plain sentence that names the setting.

aiokafka tells its log why a broker could not be reached, and its caller only that. So after such a failure the broker
is asked once more, by the same connection that every client makes, and what is raised then is put into words.
"""

import logging
import ssl
from collections.abc import Iterator

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.core.errors import BrokerRefuses, BrokerUnreachable
from streams.kafka import security
from streams.settings import Settings

PATIENCE_MS = 5_000
"""How long a broker may take to answer; one that expects another protocol may never do so."""

OTHER_NAME = (62, 64)
"""OpenSSL's verify codes for a certificate of another host name and of another IP address (x509_vfy.h)."""

REMEDY = "`hookline topic rights` lists what each role needs"

_DENIALS = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)
_REFUSALS = (*_DENIALS, SaslAuthenticationFailed, UnsupportedSaslMechanismError, ssl.SSLError)


async def unreached(settings: Settings) -> BrokerUnreachable:
    """Why no client can be started. Asks every address that is configured, until one says more than nothing."""
    options = security.options(settings)
    for host, port, _ in collect_hosts(settings.bootstrap):
        connection = AIOKafkaConnection(host, port, request_timeout_ms=PATIENCE_MS, **options)
        try:
            await connection.connect()
            await connection.send(MetadataRequest([]))
        except (OSError, KafkaError) as error:
            if found := _why(settings, host, f"{host}:{port}", error):
                return found
        finally:
            if connection.connected():
                await connection.close()
    return BrokerUnreachable(
        f"no Kafka broker answers at {settings.bootstrap}: start one with `hookline broker run`, "
        f"or name yours with -b or HOOKLINE_BOOTSTRAP_SERVERS"
    )


def forbidden(settings: Settings, error: BaseException) -> BrokerRefuses | None:
    """What a broker that denies a right says, wherever in `error` it says so; None when it is about something else."""
    found, what = _denial(error), "the cluster"
    if isinstance(found, TopicAuthorizationFailedError):
        what = f"the topic {_names(found)}"
    elif isinstance(found, GroupAuthorizationFailedError):
        what = f"the group {_names(found)}"
    return denial(settings, what) if found else None


def denial(settings: Settings, what: str) -> BrokerRefuses:
    """The error for a client that has no right on `what`."""
    return BrokerRefuses(
        f"the broker at {settings.bootstrap} denies {who(settings)} a right on {what}: grant it; {REMEDY}"
    )


def denied(error: BaseException) -> bool:
    """Whether a right was missing, wherever in `error` that is said."""
    return _denial(error) is not None


def repeated(record: logging.LogRecord) -> bool:
    """Whether a library's log line says, in its words and again and again, what a role's last sentence will say."""
    args = record.args if isinstance(record.args, tuple) else ()
    found = [*args, record.exc_info[1] if record.exc_info else None]
    if any(isinstance(one, _REFUSALS) for error in found if isinstance(error, BaseException) for one in _within(error)):
        return True
    words = record.getMessage()
    return any(word in words for word in ("AuthorizationFailed", "unauthorized topics", "is not authorized"))


def who(settings: Settings) -> str:
    """The client as its operator knows it."""
    if not settings.kafka_security_protocol.startswith("SASL"):
        return f"the owner of {settings.ssl_certfile}" if settings.ssl_certfile else "this client, who gives no name,"
    if settings.sasl_mechanism == "OAUTHBEARER":
        return f"the owner of the token in {settings.sasl_oauth_token_file}"
    return f"the user {settings.sasl_username!r}"


def _why(settings: Settings, host: str, address: str, error: Exception) -> BrokerUnreachable | None:
    """What an error on the way in means; None when nobody listens there."""
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLError):
        return _untrusted(host, address, cause)
    if isinstance(error, SaslAuthenticationFailed):
        return BrokerRefuses(_unauthenticated(settings, address, error))
    if isinstance(error, OSError) and error.filename:
        return BrokerRefuses(f"HOOKLINE_SASL_OAUTH_TOKEN_FILE={error.filename} gives no token: {error.strerror}")
    protocol = f"HOOKLINE_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}"
    if isinstance(error, UnsupportedSaslMechanismError):
        return BrokerRefuses(
            f"the broker at {address} does not take HOOKLINE_SASL_MECHANISM={settings.sasl_mechanism}: "
            "name one that its listener has"
        )
    if isinstance(error, OSError) and not isinstance(error, ConnectionResetError):
        return None
    if isinstance(error, (IllegalSaslStateError, KafkaError, ConnectionResetError)):
        # Also said by a broker that goes down in this moment, so it is no refusal that ends a role.
        return BrokerUnreachable(
            f"what listens at {address} closes the connection: see that {protocol} is what this listener speaks"
        )
    return None


def _untrusted(host: str, address: str, error: ssl.SSLError) -> BrokerUnreachable:
    if not isinstance(error, ssl.SSLCertVerificationError):
        if "ALERT" in str(error.reason):
            return BrokerRefuses(
                f"the broker at {address} refuses this client's certificate, or wants one ({error.reason}): "
                "see HOOKLINE_SSL_CERTFILE and HOOKLINE_SSL_KEYFILE"
            )
        return BrokerUnreachable(
            f"no TLS with what listens at {address} ({error.reason}): see HOOKLINE_KAFKA_SECURITY_PROTOCOL"
        )
    if error.verify_code in OTHER_NAME:
        return BrokerRefuses(
            f"the certificate of the broker at {address} is not for {host}: name the broker in "
            "HOOKLINE_BOOTSTRAP_SERVERS as its certificate does, or give it one for this name"
        )
    return BrokerRefuses(
        f"the certificate of the broker at {address} is not trusted ({error.verify_message}): "
        "name the file with its authority in HOOKLINE_SSL_CAFILE"
    )


def _unauthenticated(settings: Settings, address: str, error: Exception) -> str:
    remedy = "see HOOKLINE_SASL_USERNAME, HOOKLINE_SASL_PASSWORD and HOOKLINE_SASL_MECHANISM"
    if settings.sasl_mechanism == "OAUTHBEARER":
        remedy = "see that HOOKLINE_SASL_OAUTH_TOKEN_FILE holds a token that has not expired"
    return f"the broker at {address} does not let {who(settings)} in: {remedy} (it says: {error.args[0]})"


def _denial(error: BaseException) -> BaseException | None:
    return next((one for one in _within(error) if isinstance(one, _DENIALS)), None)


def _within(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what is grouped in it, and what caused it."""
    while error:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _within(one)
        error = error.__cause__


def _names(error: Exception) -> str:
    """The names that a library's error carries, as one or as a set."""
    found = error.args[0] if error.args else "?"
    return ", ".join(sorted(found)) if isinstance(found, (set, frozenset, list, tuple)) else str(found)
