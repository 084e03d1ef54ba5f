"""`hookline event sample`, and the group that `publish` and `tail` join."""

import secrets
import time

import click

from streams.cli.event_publish import publish
from streams.cli.event_tail import tail
from streams.cli.output import line, output_option, settings, show
from streams.core import samples
from streams.core.catalogue import Catalogue

SEED_MAX = 1 << 31


@click.group()
def command() -> None:
    """Publish identity events, print samples, follow the topics.

    \b
    Example:
      hookline event sample User.Created | hookline event publish
    """


command.add_command(publish)
command.add_command(tail)


@command.command()
@click.argument("event", required=False)
@click.option("--seed", type=click.IntRange(0, SEED_MAX), help="The same number, the same people.  [default: random]")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many, all different.")
@click.option("--list", "listed", is_flag=True, help="List the events and their topics instead.")
@output_option
def sample(event: str | None, seed: int | None, count: int, listed: bool, output: str) -> None:
    """Print a realistic payload of EVENT.

    One line of JSON, ready for `hookline event publish`. Everybody in it is invented. -o is for --list.

    \b
    Example:
      hookline event sample User.Created --count 100 | hookline event publish
    """
    if listed:
        topics = Catalogue(settings().extra_events).topics
        show([{"event": name, "topic": topic} for name, topic in topics.items()], output, ("event", "topic"))
        return
    if event is None:
        raise click.UsageError("name an event; `hookline event sample --list` has them all")
    first = secrets.randbelow(SEED_MAX) if seed is None else seed
    for number in range(first, first + count):
        line(samples.sample(event, now_ms=time.time_ns() // 1_000_000, seed=number))
