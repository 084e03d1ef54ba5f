"""`hookline request list|tail`: how deliveries ended, from the outcomes on `hooks.log`; `replay` joins the group."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
import msgspec

from streams.cli.output import output_option, run, settings, show, tell
from streams.cli.request_replay import replay
from streams.cli.request_rows import COLUMNS, Duration, Wanted, filter_options, for_people
from streams.cli.streaming import follow, printer, stream_option
from streams.core.records import Incoming, Outcome

if TYPE_CHECKING:
    from streams.settings import Settings

LIMIT_MAX = 10_000
"""Most outcomes listed at once; they are held in memory to be sorted."""


@click.group()
def command() -> None:
    """Look at the outcomes of deliveries, the last ones or live; send some again.

    \b
    Example:
      hookline request list --status exhausted --since 1h
    """


command.add_command(replay)


@command.command("list")
@filter_options
@click.option("--since", type=Duration(), default="24h", show_default=True, metavar="TIME", help="How far back.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="At most so many.")
@output_option
def list_requests(hook: str | None, event: str | None, status: str | None, since: int, limit: int, output: str) -> None:
    """List the latest outcomes.

    Newest first. Where nobody answered, the code is the class of the error.

    \b
    Example: why did this hook fail?
      hookline request list --hook 21characters0to9andaz --status exhausted -o json
    """
    from streams.kafka.answers import answered

    ours = settings()
    since_ms = max(time.time_ns() // 1_000_000 - since, 0)
    wanted = Wanted(hook, event, status, since_ms)
    outcomes = run(answered(ours, _newest(ours, wanted, since_ms, limit)))
    if output == "table":
        _draw(outcomes)
    else:
        show([msgspec.to_builtins(outcome) for outcome in outcomes], output, COLUMNS)
    if wanted.unreadable:
        tell(f"records of hooks.log that are no outcomes, which the health role buries: {wanted.unreadable}")
    if not outcomes and ours.log_level != "error":
        tell("no outcome fits")


@command.command()
@filter_options
@stream_option
def tail(hook: str | None, event: str | None, status: str | None, output: str) -> None:
    """Print outcomes as they arrive.

    Until Ctrl-C; in columns on a terminal, else as JSON.

    \b
    Example: follow what goes wrong
      hookline request tail | jq -c 'select(.result == "Error") | {event, hookId, error}'
    """
    from streams.kafka.answers import answered

    ours = settings()
    run(answered(ours, _tail(ours, Wanted(hook, event, status), output)))


async def _newest(ours: "Settings", wanted: Wanted, since_ms: int, limit: int) -> list[Outcome]:
    from streams.kafka import topics
    from streams.kafka.newest import newest

    found = await newest(ours, ours.topic_prefix + topics.LOG, since_ms, limit, wanted.outcome)
    return sorted(found, key=lambda outcome: outcome.created_at)[: -limit - 1 : -1]


async def _tail(ours: "Settings", wanted: Wanted, output: str) -> None:
    from streams.kafka import following, topics

    show_row = printer(output, COLUMNS)

    def shown(record: Incoming) -> bool:
        outcome = wanted.outcome(record)
        if outcome is not None:
            show_row(for_people(outcome) if output == "table" else msgspec.to_builtins(outcome))
        return outcome is not None

    await follow(ours, following.from_now(ours, ours.topic_prefix + topics.LOG), shown, None)


def _draw(outcomes: Iterable[Outcome]) -> None:
    from streams.cli.drawing import console, table

    rows = [for_people(outcome) for outcome in outcomes]
    console().print(table(rows, COLUMNS, lambda row, name: row[name] if name == "result" else None))
