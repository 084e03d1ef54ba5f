"""Which outcomes somebody asked for, by `--hook --event --status --since`, and their row in a table."""

import re
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click
import msgspec

from streams.cli.drawing import when
from streams.core.errors import UNREADABLE
from streams.core.records import Incoming, Outcome, Status

F = TypeVar("F", bound=Callable[..., Any])

COLUMNS = {
    "time": 24, "event": 32, "hook": 21, "result": 7, "status": 9, "code": -8, "attempts": -8, "ms": -7, "id": 28
}  # fmt: skip
"""Of a table and of live lines; JSON is the outcome itself (CONTRACT 6)."""

UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

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
        except UNREADABLE:
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


def for_people(outcome: Outcome) -> dict[str, Any]:
    """A row of COLUMNS; where nobody answered, `code` is the class of the error."""
    answered = outcome.response.status if outcome.response else None
    return {
        "time": when(outcome.created_at),
        "event": outcome.event,
        "hook": outcome.hook_id,
        "result": outcome.result,
        "status": outcome.status,
        "code": answered or (outcome.error and outcome.error.class_),
        "attempts": len(outcome.attempts),
        "ms": outcome.duration_ms,
        "id": outcome.id,
    }
