"""`hookline request replay`: deliveries once more, under their own ids; and time travel for a hook made later."""

import re
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any, get_args

import click
import orjson

from streams.cli import confirming, hook_shown
from streams.cli.drawing import printable
from streams.cli.output import output_option, run, settings, tell
from streams.cli.progress import progress
from streams.cli.times import Moment
from streams.core.catalogue import Catalogue
from streams.core.errors import InvalidInput
from streams.core.records import Status
from streams.core.replaying import Selection, tally

if TYPE_CHECKING:
    from streams.kafka.replaying import Plan, Sent
    from streams.settings import Settings

STATUSES = get_args(Status)

FAILED = [status for status in STATUSES if status != "delivered"]
"""What is sent again unless somebody says otherwise."""

IDS_MAX = 100
"""Delivery ids of one run: Kafka keeps the selection beside its offsets, in 4 KiB."""

RATE_MAX = 10_000

FEW = 100
"""Deliveries that need no progress bar."""

NAMED_MAX = 20
"""Of what is gone, so many are named to people; JSON names all."""


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--hook", metavar="ID", help="Of this hook; with delivery ids, only where to look for them.")
@click.option("--since", type=Moment(), metavar="TIME", help="From then on: 2h or 3d (ago), or ISO 8601.")
@click.option("--until", type=Moment(), metavar="TIME", help="Before then.  [default: now]")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(["failed", *STATUSES]),
    multiple=True,
    help="What ended so; may be repeated.  [default: failed, which is all but delivered]",
)
@click.option("--event", "events", metavar="NAME", multiple=True, help="Only this event, or User.*; may be repeated.")
@click.option("--from-events", is_flag=True, help="From the identity topics: what the hook would have got.")
@click.option("--all", "delivered_too", is_flag=True, help="With --from-events: also what arrived already.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was interrupted.")
@click.option("--rate", type=click.IntRange(1, RATE_MAX), default=50, show_default=True, help="Most in a second.")
@confirming.dry_run_option
@confirming.yes_option
@output_option
def replay(resume: str | None, rate: int, dry_run: bool, yes: bool, output: str, **asked: Any) -> None:
    """Send deliveries again.

    Delivery ids, or all of a hook that did not end well; each goes to the hook as it is now, with the same webhook-id
    and the same bytes, so that receivers drop what they know. What was delivered since is left out. The count is shown
    and confirmed first.

    \b
    Examples: one delivery; what failed in the night; last week's users for a hook made today
      hookline request replay msg_24charactersof0base320aa
      hookline request replay --hook 21characters0to9andaz --since 12h
      hookline request replay --hook 21characters0to9andaz --from-events --since 7d --event 'User.*'
    """
    from streams.kafka import replaying
    from streams.kafka.answers import answered

    ours = settings()
    if resume is not None:
        _require_alone(resume, asked)
        plan, name = run(answered(ours, replaying.resume(ours, resume))), resume
    else:
        confirming.require_somebody(yes=yes, dry_run=dry_run)
        plan, name = run(answered(ours, replaying.plan(ours, _selection(ours, **asked)))), _new_run()
    _tell_choice(plan)
    if dry_run or not (plan.chosen or plan.began):
        _show(plan, None if dry_run else name, None, output)
        return
    if not (yes or plan.began):
        confirming.confirm("Send them again?")
    sent = _send(ours, plan, name, rate)
    _show(plan, name, sent, output)
    if sent.gone or plan.lost:
        sys.exit(1)


def _require_alone(resume: str, asked: dict[str, Any]) -> None:
    if any(asked.values()):
        raise click.UsageError("--resume goes on with what was chosen then: choose nothing beside it")
    if not re.fullmatch("[!-.0-~]{1,64}", resume):
        raise InvalidInput(f"{resume!r} is no run: the interrupted command has named it")


def _selection(
    ours: "Settings", ids: tuple[str, ...], hook: str | None, since: int | None, until: int | None,
    statuses: tuple[str, ...], events: tuple[str, ...], from_events: bool, delivered_too: bool,
) -> Selection:  # fmt: skip
    """What was asked for; a usage error where the options do not go together."""
    if ids and (since or until or statuses or events or from_events):
        raise click.UsageError("delivery ids are what is sent: only --hook goes with them")
    if not ids and hook is None:
        raise click.UsageError("say what to send again: delivery ids, or --hook")
    if from_events and (since is None or statuses):
        raise click.UsageError("--from-events takes --since, and no --status: an event has none")
    if delivered_too and not from_events:
        raise click.UsageError("--all goes with --from-events; else say --status")
    if len(ids) > IDS_MAX:
        raise click.UsageError(f"{IDS_MAX} delivery ids are the most at a time")
    problems = [problem for name in events if (problem := Catalogue(ours.extra_events).problem_with(name))]
    if problems:
        raise InvalidInput("; ".join(problems))
    return Selection(
        ids=list(dict.fromkeys(ids)),
        hook=hook,
        since=since or 0,
        until=until,
        statuses=[] if ids or from_events else _statuses(statuses),
        events=list(events),
        from_events=from_events,
        delivered_too=delivered_too,
    )


def _statuses(asked: tuple[str, ...]) -> list[Status]:
    wanted = {*asked} - {"failed"} | ({*FAILED} if "failed" in asked or not asked else set())
    return [status for status in STATUSES if status in wanted]


def _new_run() -> str:
    """An id that says when it began."""
    return time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + secrets.token_hex(3)


def _send(ours: "Settings", plan: "Plan", name: str, rate: int) -> "Sent":
    """Send, and say first how to go on if this is interrupted."""
    from streams.kafka import replaying
    from streams.kafka.answers import answered

    tell(f"to go on after an interruption: hookline request replay --resume {name}")
    with progress(len(plan.chosen), FEW, ours) as advance:
        return run(answered(ours, replaying.send(plan, name, rate, advance)))


def _tell_choice(plan: "Plan") -> None:
    tell(f"{len(plan.chosen)} deliveries {'are left to send' if plan.began else 'to send again'}")
    for name, counts in tally(plan.chosen).items():
        if counts:
            tell(f"  by {name}: " + ", ".join(f"{printable(word)} {count}" for word, count in counts.items()))
    if plan.lost:
        tell(
            f"{plan.lost} that were chosen then can not be chosen any more: their records are gone, or the hook changed"
        )


def _show(plan: "Plan", name: str | None, sent: "Sent | None", output: str) -> None:
    """Print the summary, and tell what is gone; `sent` is None when nothing was."""
    counts = tally(plan.chosen)
    gone = [one.id for one in sent.gone] if sent else []
    row = {
        "run": name,
        "dryRun": name is None,
        "chosen": len(plan.chosen),
        "sent": sent.count if sent else 0,
        "remade": sent.remade if sent else 0,
        "lost": plan.lost,
        "gone": gone,
        "byStatus": counts["status"],
        "byEvent": counts["event"],
    }
    hook_shown.show_record(orjson.dumps(row), output)
    if gone:
        tell(f"{len(gone)} were not sent, for neither their job nor their event can be read any more:")
        for delivery_id in gone[:NAMED_MAX]:
            tell(f"  {printable(delivery_id)}")
        if len(gone) > NAMED_MAX:
            tell(f"  and {len(gone) - NAMED_MAX} more, which -o json names")
