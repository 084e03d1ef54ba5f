"""The safe subset of Faust, in one place for the two roles that are built on it.

Raw bytes topics, one `take_events` agent, concurrency 1, nothing ever raised out of an agent: an exception
that left it would be acknowledged as if the records had been handled. A failure crashes the app instead, and
the agent then never returns, so nothing of the batch is acknowledged.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import faust

from streams.core.records import Coordinates, Incoming
from streams.kafka import header_names, refusals, security
from streams.kafka.clients import TopicPartition
from streams.settings import Settings
from streams.telemetry import log

STOP_S = 8.0
"""Without a broker an app waits for ever in its own stop; a batch takes far less."""

Handler = Callable[[list[Incoming]], Awaitable[None]]


def app(settings: Settings, name: str) -> faust.App:
    """A Faust app (group `<prefix>hookline-<name>`) without Tables, web server or topic creation."""
    header_names.tolerate()
    return _App(
        group(settings, name),
        broker=[f"kafka://{address.strip()}" for address in settings.bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        broker_commit_interval=0.3,
        broker_commit_every=2000,
        broker_session_timeout=20,
        broker_heartbeat_interval=3,
        consumer_group_instance_id=f"{settings.instance}-{name}" if settings.instance else None,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=4_096,
        producer_request_timeout=30,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
    )


def group(settings: Settings, name: str) -> str:
    """The consumer group of a role."""
    return f"{settings.topic_prefix}hookline-{name}"


def consume(app: faust.App, names: Sequence[str], batch_max: int, wait_s: float, handle: Handler) -> None:
    """Give `handle` the records of the topics in batches; a batch is acknowledged when `handle` returns."""
    topic = app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:
        async for events in stream.take_events(batch_max, within=wait_s):
            try:
                await handle([_incoming(event.message) for event in events])
            except Exception as error:  # noqa: BLE001 - whatever it was, the batch must not be acknowledged
                if not refusals.denied(error):  # the role's last line says that in one sentence
                    log("role.crashed", logging.ERROR, error=error, topics=list(names))
                await app.crash(error)
                await asyncio.Event().wait()

    app.agent(topic, name=f"hookline.{names[0]}", concurrency=1)(agent)


def on_assignment(app: faust.App, changed: Callable[[set[TopicPartition]], None]) -> None:
    """Call `changed` with the partitions this process owns, at every rebalance; with none when they are revoked."""

    async def assigned(_app: Any, assigned: set[TopicPartition], **_: Any) -> None:
        log("partitions.assigned", count=len(assigned))
        changed(assigned)

    async def revoked(_app: Any, _revoked: set[TopicPartition], **_: Any) -> None:
        changed(set())

    signals: Any = app
    signals.on_partitions_assigned.connect(assigned)
    signals.on_partitions_revoked.connect(revoked)


async def play(app: faust.App, stop: asyncio.Event) -> None:
    """Run the app until `stop` is set; raises what crashed it.

    A crashed app cannot be stopped: it waits for the batch that was never acknowledged, and its tasks do not let
    themselves be cancelled. The process has to end, which is what its supervisor expects.
    """
    await app.start()
    await app.wait(stop.wait())
    if app.crashed:
        raise app.crash_reason or RuntimeError("the Faust app crashed without saying why")
    stopping = asyncio.ensure_future(app.stop())
    await asyncio.wait([stopping], timeout=STOP_S)  # not `wait_for`, which would wait for its cancellation too
    if not stopping.done():
        log("role.stop_timed_out", logging.ERROR, seconds=STOP_S)


class _App(faust.App):
    def _create_directories(self) -> None:
        """Make none: only Tables would keep files there. Not public in Faust, hence the exact pin."""


def _incoming(message: Any) -> Incoming:
    headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    return Incoming(
        at=Coordinates(message.topic, message.partition, message.offset),
        key=message.key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in headers),  # Kafka knows null values; we need none
        timestamp=round(message.timestamp * 1000) if message.timestamp else 0,
    )


def _credentials(settings: Settings) -> Any:
    """The same door as every other client's; None means PLAINTEXT to Faust."""
    options = security.options(settings)
    context = options.get("ssl_context")
    if not settings.kafka_security_protocol.startswith("SASL"):
        return faust.SSLCredentials(context=context) if context else None
    if settings.sasl_mechanism == "OAUTHBEARER":
        return faust.OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    return faust.SASLCredentials(
        username=settings.sasl_username,
        password=settings.sasl_password,
        mechanism=settings.sasl_mechanism,
        ssl_context=context,
    )
