"""`hookline dlq list|get`: what nobody could read, and why; `replay` joins the group."""

from typing import get_args

import click
import orjson

from streams.cli import hook_shown
from streams.cli.dlq_replay import replay
from streams.cli.dlq_rows import Place, summary, whole
from streams.cli.drawing import when
from streams.cli.output import output_option, run, settings, show, tell
from streams.cli.times import Moment
from streams.core.records import Reason
from streams.kafka import topics

COLUMNS = ("place", "failed", "reason", "bytes", "source", "detail")

LIMIT_MAX = 10_000
"""Most listed at once; they are held in memory, with their bytes, to be sorted."""


@click.group()
def command() -> None:
    """Look at dead letters, which are records nobody could read, and put them back once the cause is mended.

    \b
    Example:
      hookline dlq list --reason unknown-event --since 1d
    """


command.add_command(replay)


@command.command("list")
@click.option("--reason", type=click.Choice(get_args(Reason)), help="Only what was refused for this.")
@click.option("--topic", metavar="NAME", help="Only what came from this topic, named without prefix.")
@click.option("--since", type=Moment(), metavar="TIME", help="From then on: 2h or 3d (ago), or ISO 8601.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="At most so many.")
@output_option
def list_letters(reason: str | None, topic: str | None, since: int | None, limit: int, output: str) -> None:
    """List the newest dead letters.

    Newest first, without what was in the records.

    \b
    Example: what do publishers get wrong?
      hookline dlq list --limit 1000 -o jsonl | jq -r .reason | sort | uniq -c
    """
    from streams.kafka import dead_letters
    from streams.kafka.answers import answered

    ours = settings()
    wanted = dead_letters.Wanted(reason, topic and ours.topic_prefix + topic, since or 0)
    rows = [summary(letter) for letter in run(answered(ours, dead_letters.latest(ours, wanted, limit)))]
    shown = [row | {"failed": when(row["failedAt"])} for row in rows] if output == "table" else rows
    show(shown, output, COLUMNS)
    if wanted.foreign:
        tell(f"records of hooks.dead-letters that are no dead letters: {wanted.foreign}")
    if not rows and ours.log_level != "error":
        tell("no dead letter fits")


@command.command()
@click.argument("place", type=Place())
@click.option("--reveal", is_flag=True, help="Print the bytes of a hook record too, which hold its secrets.")
@output_option
def get(place: tuple[int, int], reveal: bool, output: str) -> None:
    """Print one dead letter: why it is one, what to do next, and the original.

    Bytes that are not UTF-8 are printed as base64. PLACE is partition/offset, or an offset alone.

    \b
    Example: get the original out
      hookline dlq get 0/12 -o json | jq -r .value
    """
    from streams.kafka import dead_letters
    from streams.kafka.answers import answered

    ours = settings()
    (letter,) = run(answered(ours, dead_letters.read(ours, [place])))
    withheld = letter.original.at.topic == ours.topic_prefix + topics.CONFIG and not reveal
    row = whole(letter, withheld=withheld)
    if output == "table":
        named = [f"{header['name']}: {header.get('value', '(base64)')}" for header in row["headers"]]
        row |= {"failedAt": when(letter.failed_at), "headers": named}
    hook_shown.show_record(orjson.dumps(row), output)
    if withheld:
        tell("the bytes of a hook record hold its secrets: --reveal prints them")
