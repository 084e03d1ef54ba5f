"""`hookline health`: the 24-hour report of every hook, once or as it changes."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click
import msgspec

from streams.cli.drawing import console, when
from streams.cli.health_table import COLUMNS, fitting_table, health_table, summary, worst_first
from streams.cli.output import line, output_option, run, settings, show, tell
from streams.core.errors import InvalidInput
from streams.core.records import Report, Window

if TYPE_CHECKING:
    from streams.settings import Settings

STALE_MS = 120_000
"""A report is renewed at least every minute (CONTRACT 7); when none is, nobody makes them any more."""


@click.command()
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C, and show reports as they change.")
@click.option("--hook", metavar="ID", help="Only this hook.")
@output_option
def command(watch: bool, hook: str | None, output: str) -> None:
    """Show how the deliveries of the last 24 hours went, hook by hook, the worst first.

    \b
    error     fewer than 90 % of the deliveries succeeded
    alert     fewer than 99 %
    ok        99 % or more
    idle      nothing was delivered
    disabled  the hook is off

    \b
    Example: the hooks that need somebody
      hookline health -o jsonl | jq -r 'select(.status == "error") | .name'
    """
    from streams.kafka.answers import answered

    ours = settings()
    if watch and output == "json":
        raise click.UsageError("what has no end is no JSON document: --watch prints -o table or -o jsonl")
    if not watch:
        run(answered(ours, _show(ours, hook, output)))
    elif output == "table" and sys.stdout.isatty():
        run(answered(ours, _redraw(ours, hook)))
    else:
        run(answered(ours, _lines(ours, hook)))


async def _show(ours: "Settings", hook: str | None, output: str) -> None:
    from streams.kafka import reports

    found = await reports.read(ours)
    if hook is not None and hook not in found:
        raise InvalidInput(f"there is no report of a hook {hook}: `hookline hook list` has the hooks")
    chosen = worst_first(report for report in found.values() if hook in (None, report.hook_id))
    if output == "table":
        console().print(health_table(chosen))
    else:
        show(map(_record, chosen), output, COLUMNS)
    if not chosen and ours.log_level != "error":
        tell("there are no reports yet: make a hook with `hookline hook create`, and see that `run health` runs")
    newest = max((report.updated_at for report in chosen), default=None)
    if newest is not None and time.time() * 1000 - newest > STALE_MS:
        tell(f"the newest report is of {when(newest)}: see that `hookline run health` runs")


async def _redraw(ours: "Settings", hook: str | None) -> None:
    """The table on a terminal, drawn anew whenever a report arrives."""
    from rich.live import Live

    from streams.kafka import following, reports, topics

    known: dict[str, Report] = {}
    terminal = console(width=None)
    with Live(console=terminal, auto_refresh=False) as live:
        async for batch in following.from_state(ours, ours.topic_prefix + topics.HEALTH):
            reports.take(known, batch)
            chosen = worst_first(report for report in known.values() if hook in (None, report.hook_id))
            drawn = fitting_table(chosen, terminal)
            drawn.caption, drawn.caption_justify = summary(chosen), "left"
            live.update(drawn, refresh=True)


async def _lines(ours: "Settings", hook: str | None) -> None:
    """A line of JSON for every report as it is, and for each that says something new."""
    from streams.kafka import following, reports, topics

    told: dict[str, Report] = {}
    async for batch in following.from_state(ours, ours.topic_prefix + topics.HEALTH):
        latest: dict[str, Report] = {}
        reports.take(latest, batch)
        for report in worst_first(latest.values()):
            if hook in (None, report.hook_id) and _facts(report) != told.get(report.hook_id):
                told[report.hook_id] = _facts(report)
                line(_record(report))


def _facts(report: Report) -> Report:
    """The report without what passing time alone changes: it is renewed twice a minute."""
    return msgspec.structs.replace(report, updated_at=0, window=Window(from_=0, to=0), hourly=[], state={})


def _record(report: Report) -> dict[str, Any]:
    """The report as it is on the topic, without the buckets that the health role keeps in it for itself."""
    record: dict[str, Any] = msgspec.to_builtins(report)
    del record["state"]
    return record
