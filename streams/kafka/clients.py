"""The typed door to aiokafka, which ships no types: every client of every role is made here.

Clients are started and closed by `async with`; a broker that does not answer is one plain sentence.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.core.errors import BrokerUnreachable
from streams.kafka import header_names, refusals, security
from streams.kafka.topics import DEAD_LETTER_BYTES_MAX
from streams.settings import Settings
from streams.telemetry import log

__all__ = ["TopicPartition", "admin", "connection", "consumer", "producer"]


CLOSE_S = 5.0
"""A producer that holds records the broker never took would close for ever; they were not acknowledged to anybody."""


def connection(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client needs to reach the cluster."""
    return {"bootstrap_servers": settings.bootstrap, "client_id": "hookline", **security.options(settings)}


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
        raise await refusals.unreached(settings) from error
    except KafkaError as error:
        await close()
        raise refusals.forbidden(settings, error) or BrokerUnreachable(
            f"the broker at {settings.bootstrap} refuses this client: {error!r}"
        ) from error
    try:
        yield
    finally:
        await close()
