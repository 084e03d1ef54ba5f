"""A Faust role that loses records 100 to 149 between Faust's consumer and its agent, as a real one was seen to.

A process of its own, because a Faust app that crashed cannot be stopped. Run by `test_continuity`.
"""

import asyncio
import os
import sys
from typing import Any

from streams.core.records import Incoming
from streams.kafka import agents
from streams.kafka.continuity import Continuity
from streams.settings import Settings


async def main(bootstrap: str, prefix: str) -> None:
    """Play until the guard notices; says what it raised and the last offset that was handled, and exits with 1."""
    settings = Settings(bootstrap_servers=bootstrap, topic_prefix=prefix)
    app = agents.app(settings, "router")
    continuity, handled = Continuity(settings, agents.group(settings, "router")), list[int]()

    async def handle(records: list[Incoming]) -> None:
        await continuity.check(records)
        handled.extend(record.at.offset for record in records)

    agents.consume(app, [prefix + "identity.user"], 20, 0.003, handle)
    _lose_a_run(app)
    try:
        await agents.play(app, asyncio.Event())
    except Exception as error:
        print(type(error).__name__, "after", max(handled), flush=True)
        os._exit(1)


def _lose_a_run(app: Any) -> None:
    deliver = app.topics.on_message

    async def on_message(message: Any) -> None:
        if not 100 <= message.offset < 150:
            await deliver(message)

    app.topics.on_message = on_message


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
