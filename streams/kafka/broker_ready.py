"""Whether a broker takes requests, and whether one could listen: asked, never guessed by the clock."""

import asyncio
import contextlib
import random
import socket

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from streams.core.errors import LocalBrokerFailed

HOST = "127.0.0.1"

ASK_AGAIN_S = 0.03
"""Between two questions to a broker that is not ready yet."""


async def until_answers(bootstrap: str) -> None:
    """Return when the broker at `bootstrap` lists itself in its metadata: then it takes requests.

    aiokafka logs an error for each refused connection, so it is not asked before the port is open.
    """
    await _until_open(bootstrap)
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        while True:
            with contextlib.suppress(KafkaError):
                await client.bootstrap()
            if client.cluster.brokers():
                return
            await asyncio.sleep(ASK_AGAIN_S)


async def _until_open(bootstrap: str) -> None:
    host, _, port = bootstrap.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            writer.close()
            return


def refuse_taken(port: int) -> None:
    """Look before Java does: it would take a second to say so, and the other's answers would be taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java: closed connections do not count
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalBrokerFailed(
                f"port {port} of {HOST} cannot be used ({error.strerror}): stop what uses it, or name another port"
            ) from error


def free_port() -> int:
    """A free port on HOST whose successor, the controller's, is free too.

    Below the range that the kernel gives to outgoing connections: from that range a client that retries could connect
    to itself while the broker is down. Somebody else may take the port before it is used.
    """
    for port in random.sample(range(20_000, 30_000, 2), 100):
        try:
            for taken in (port, port + 1):
                refuse_taken(taken)
        except LocalBrokerFailed:
            continue
        return port
    raise LocalBrokerFailed(f"no free port between 20000 and 30000 on {HOST}")
