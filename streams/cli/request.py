"""`hookline request list|tail`: how deliveries ended, from the outcomes on `hooks.log`."""

import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
import msgspec

from streams.cli.output import output_option, run, settings, show, tell
from streams.cli.streaming import follow, printer, stream_option
from streams.core.payloads import iso
from streams.core.records import Incoming, Outcome, Status

if TYPE_CHECKING:
    from streams.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

COLUMNS = {
    "time": 24, "event": 32, "hook": 21, "result": 7, "status": 9, "code": -8, "attempts": -8, "ms": -7, "id": 28
}  # fmt: skip
"""Of a table and of live lines; JSON is the outcome itself (CONTRACT 6)."""

UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
LIMIT_MAX = 10_000

_decoder = msgspec.json.Decoder(Outcome)


class Wanted:
    """What somebody asked to see; counts the records that are no outcomes at all."""

    def __init__(self, hook: str | None, event: str | None, status: str | None, since_ms: int = 0) -> None:
        self.unreadable = 0
        self._hook = hook
        self._event = event
        self._status = status
        self._since_ms = since_ms

    def outcome(self, record: Incoming) -> Outcome | None:
        """The outcome in a record if it is wanted."""
        try:
            found = _decoder.decode(record.value or b"")
        except (msgspec.MsgspecError, RecursionError):
            self.unreadable += 1
            return None
        fits = (
            self._hook in (None, found.hook_id)
            and self._event in (None, found.event)
            and self._status in (None, found.status)
            and found.created_at >= self._since_ms
        )
        return found if fits else None


class Duration(click.ParamType):
    """`90s`, `30m`, `24h` or `7d` as milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The milliseconds; a usage error for anything else."""
        found = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: write 90s, 30m, 24h or 7d", param, ctx)
        return int(found[1]) * UNIT_MS[found[2]]


def filter_options(function: F) -> F:
    """`--hook --event --status`, which all must hold."""
    for option in (
        click.option("--status", type=click.Choice(get_args(Status)), help="Only what ended so."),
        click.option("--event", metavar="NAME", help="Only deliveries of this event."),
        click.option("--hook", metavar="ID", help="Only deliveries to this hook."),
    ):
        function = option(function)
    return function


@click.group()
def command() -> None:
    """Look at the outcomes of deliveries: the last ones, or live.

    \b
    Example:
      hookline request list --status exhausted --since 1h
    """


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
        tell(f"{wanted.unreadable} records of hooks.log are no outcomes; the health role makes dead letters of such")
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
            show_row(_for_people(outcome) if output == "table" else msgspec.to_builtins(outcome))
        return outcome is not None

    await follow(ours, following.from_now(ours, ours.topic_prefix + topics.LOG), shown, None)


def _draw(outcomes: Iterable[Outcome]) -> None:
    from streams.cli.drawing import console, table

    rows = [_for_people(outcome) for outcome in outcomes]
    console().print(table(rows, COLUMNS, lambda row, name: row[name] if name == "result" else None))


def _for_people(outcome: Outcome) -> dict[str, Any]:
    """A row of COLUMNS; where nobody answered, `code` is the class of the error."""
    answered = outcome.response.status if outcome.response else None
    return {
        "time": iso(outcome.created_at),
        "event": outcome.event,
        "hook": outcome.hook_id,
        "result": outcome.result,
        "status": outcome.status,
        "code": answered or (outcome.error and outcome.error.class_),
        "attempts": len(outcome.attempts),
        "ms": outcome.duration_ms,
        "id": outcome.id,
    }
