"""The options that say how a hook's deliveries are made, and the `delivery` object they stand for (CONTRACT 4)."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from streams.core.retry import PROFILES

F = TypeVar("F", bound=Callable[..., Any])

UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}

_RATE = re.compile(r"([0-9]{1,9})/([0-9]{1,9})(ms|s|m|h)", re.ASCII)
_MEMBERS = {"max_in_flight": "maxInFlight", "rate_limit": "rateLimit"}


def delivery_options(function: F) -> F:
    """Add them; their values go to `policy`. What is not given is left to the record's defaults."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def policy(given: Mapping[str, Any]) -> dict[str, Any]:
    """The `delivery` object of a hook record, with what was given and nothing else."""
    return {_MEMBERS.get(name, name): value for name, value in given.items() if value is not None}


def _rate(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, int] | None:
    if text is None:
        return None
    found = _RATE.fullmatch(text)
    if not found:
        raise click.BadParameter(f"{text!r} is not like 100/1s: requests, and a time in ms, s, m or h")
    return {"limit": int(found[1]), "periodMs": int(found[2]) * UNIT_MS[found[3]]}


_OPTIONS = (
    click.option("--retry", type=click.Choice(list(PROFILES)), help="Retry profile.  [else HOOKLINE_RETRY_PROFILE]"),
    click.option("--signature", type=click.Choice(["logto", "standard", "both"]), help="Which signatures to send."),
    click.option(
        "--ordering",
        type=click.Choice(["none", "key", "strict"]),
        help="Order of its events: none, of those with one key, or one at a time.  [none]",
    ),
    click.option("--rate-limit", metavar="N/TIME", callback=_rate, help="At most so many requests, like 100/1s."),
    click.option("--max-in-flight", type=click.IntRange(1, 64), help="Requests under way at once.  [8]"),
)
