"""Samples of operational events: an invented hook has its outcomes, and the rules say what they say in earnest."""

from typing import Any

import msgspec
from msgspec.structs import replace

from streams.core import ids, jobs, operations
from streams.core.catalogue import USER
from streams.core.entities import LOWER
from streams.core.health import Window
from streams.core.picks import Pick
from streams.core.records import Attempt, Coordinates, Outcome, OutcomeError

NAMES = ("CRM sync", "Audit trail", "Welcome mails", "Badge printer", "Parcel desk", "Member search")

GONE = OutcomeError(class_="410", message="The endpoint answered 410 Gone.")
BROKEN = OutcomeError(class_="5xx", message="The endpoint answered 503.")


def hook_sample(event: str, pick: Pick, now_ms: int) -> dict[str, Any]:
    """A payload of one of the four, as it stands on `hooks.operations`, built at `now_ms` (Unix milliseconds)."""
    name, recovered, disabled = pick.one(NAMES), event == "Hook.Recovered", event == "Hook.Disabled"
    last = _delivered(pick, now_ms) if recovered else _failed(pick, now_ms, GONE if disabled else BROKEN)
    window, count = Window(failing=recovered), 3 + pick.below(400)
    for offset in range(count):
        window.take(last, offset)
    [happening] = [one for one in operations.found(window, last, count) if one.name == event]
    payload: dict[str, Any] = msgspec.json.decode(operations.record(happening, name).value or b"")
    return payload


def _delivered(pick: Pick, now_ms: int) -> Outcome:
    event_id = f"evt-{pick.text(LOWER, 6)}"
    hook_id = pick.text(LOWER, 21)
    return Outcome(
        id=ids.delivery_id(event_id, hook_id),
        hook_id=hook_id,
        tenant_id="default",
        event="User.Created",
        event_id=event_id,
        result="Success",
        status="delivered",
        created_at=now_ms,
        event_at=now_ms,
        duration_ms=38,
        attempts=[Attempt(at=now_ms, ms=38, status=200)],
        source=Coordinates(USER, pick.below(12), pick.below(9999)),
        job=Coordinates(jobs.TOPIC, pick.below(12), pick.below(9999)),
    )


def _failed(pick: Pick, now_ms: int, error: OutcomeError) -> Outcome:
    status = 410 if error is GONE else 503
    attempts = [Attempt(at=now_ms, ms=41, status=status)] * (1 if error is GONE else 4)
    ended = replace(_delivered(pick, now_ms), result="Error", attempts=attempts, error=error)
    return replace(ended, status="rejected" if error is GONE else "exhausted")
