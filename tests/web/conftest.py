"""The event loops of the tests at the edge to HTTP."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, LoopFactory]:
    """The transport is tried on both loops: senders run on uvloop, which words some failures differently."""
    both = item.path.name in ("test_transport.py", "test_hostile_receivers.py")
    return {"asyncio": asyncio.new_event_loop} | ({"uvloop": uvloop.new_event_loop} if both else {})
