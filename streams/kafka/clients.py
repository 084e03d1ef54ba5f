"""The typed door to aiokafka, which ships no types: every client of every role is made here.

Clients are started and closed by `async with`; a broker that does not answer is one plain sentence.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.core.errors import BrokerUnreachable, InvalidInput
from streams.kafka import header_names
from streams.kafka.topics import DEAD_LETTER_BYTES_MAX
from streams.settings import Settings
from streams.telemetry import log

__all__ = ["TopicPartition", "admin", "connection", "consumer", "producer", "ssl_context"]


CLOSE_S = 5.0
"""A producer that holds records the broker never took would close for ever; they were not acknowledged to anybody."""


def connection(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client needs to reach the cluster."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.kafka_security_protocol,
        "client_id": "hookline",
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(settings)
    return options


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The TLS context for Kafka: the system's authorities or the configured bundle, a client certificate if any."""
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile or None)
        if settings.ssl_certfile:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile or None)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidInput(f"cannot read the certificates of HOOKLINE_SSL_*FILE: {error}") from error
    return context


@asynccontextmanager
async def producer(settings: Settings, linger_ms: int = 0) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer that waits for all replicas. A full batch makes `send` wait: that is back-pressure."""
    client = AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=linger_ms,
        max_request_size=DEAD_LETTER_BYTES_MAX,
        max_batch_size=256 * 1024,
        request_timeout_ms=15_000,
    )
    async with _started(client, settings):
        yield client


@asynccontextmanager
async def consumer(
    settings: Settings,
    *topics: str,
    group: str | None = None,
    chunk_bytes: int = DEAD_LETTER_BYTES_MAX,
    **options: Any,
) -> AsyncIterator[Any]:
    """A consumer that never commits by itself and starts at the earliest record; without a group it only reads.

    `chunk_bytes` is fetched at once from each partition; a larger record comes all the same.
    """
    header_names.tolerate()
    client = AIOKafkaConsumer(
        *topics,
        **connection(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=chunk_bytes,
        **options,
    )
    async with _started(client, settings):
        yield client


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client."""
    client = AIOKafkaAdminClient(**connection(settings))
    async with _started(client, settings, stop="close"):
        yield client


@asynccontextmanager
async def _started(client: Any, settings: Settings, stop: str = "stop") -> AsyncIterator[None]:
    async def close() -> None:
        try:
            await asyncio.wait_for(getattr(client, stop)(), CLOSE_S)
        except TimeoutError:
            log("kafka.close_timed_out", logging.WARNING, client=type(client).__name__, seconds=CLOSE_S)

    try:
        await client.start()
    except KafkaConnectionError as error:
        await close()
        raise BrokerUnreachable(
            f"no Kafka broker answers at {settings.bootstrap}: start one with `hookline broker run`, "
            f"or name yours with -b or HOOKLINE_BOOTSTRAP_SERVERS"
        ) from error
    except KafkaError as error:
        await close()
        raise BrokerUnreachable(f"the broker at {settings.bootstrap} refuses this client: {error!r}") from error
    try:
        yield
    finally:
        await close()
