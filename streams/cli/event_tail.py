"""`hookline event tail`: events as they arrive, without what is in them: payloads are about people."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from streams.cli.drawing import when
from streams.cli.output import run, settings
from streams.cli.streaming import Row, follow, printer, stream_option
from streams.core import catalogue, events
from streams.core.catalogue import Catalogue
from streams.core.records import DeadLetter, Event, Incoming

if TYPE_CHECKING:
    from streams.settings import Settings

COLUMNS = {"time": 24, "topic": 21, "partition": -9, "offset": -8, "event": 32, "refused": 14, "key": 1}


@click.command()
@click.option(
    "--topic", "names", type=click.Choice(catalogue.EVENT_TOPICS), multiple=True, help="May be repeated; else all."
)
@click.option("--from-beginning", is_flag=True, help="Begin with what the topics still hold.")
@click.option("--limit", type=click.IntRange(1), help="End after so many.")
@stream_option
def tail(names: tuple[str, ...], from_beginning: bool, limit: int | None, output: str) -> None:
    """Print identity events, and what happens to hooks, as they arrive.

    When and where each lies, its name and its key, until Ctrl-C. What the router refuses has the reason in place of
    a name.

    \b
    Example: the next ten events about users
      hookline event tail --topic identity.user --limit 10
    """
    from streams.kafka.answers import answered

    ours = settings()
    show = printer(output, COLUMNS)
    run(answered(ours, _tail(ours, names or catalogue.EVENT_TOPICS, show, from_beginning=from_beginning, limit=limit)))


async def _tail(
    ours: "Settings", names: Sequence[str], show: Callable[[Row], None], *, from_beginning: bool, limit: int | None
) -> None:
    from streams.kafka import following

    known, topics = Catalogue(ours.extra_events), {ours.topic_prefix + name: name for name in names}
    begin = following.from_beginning if from_beginning else following.from_now

    def shown(record: Incoming) -> bool:
        show(_row(record, events.read(record, known, "", topics)))
        return True

    await follow(ours, begin(ours, *topics), shown, limit)


def _row(record: Incoming, found: Event | DeadLetter) -> dict[str, Any]:
    """`event` is null, and `refused` says why, where the router makes a dead letter of it."""
    row = {
        "time": when(record.timestamp),
        "topic": record.at.topic,
        "partition": record.at.partition,
        "offset": record.at.offset,
        "key": None if record.key is None else record.key.decode("utf-8", "replace"),
    }
    if isinstance(found, DeadLetter):
        return row | {"event": None, "tenant": None, "refused": found.reason}
    return row | {"event": found.name, "tenant": found.tenant, "refused": None}
