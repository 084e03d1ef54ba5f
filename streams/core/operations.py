"""What happens to a hook, found where it happens: at one of its outcomes, and nowhere else.

A hook is *failing* from the failure on that finds it below 90 % of its last 24 hours, and has *recovered* with the
success that finds it at 90 % or above; a delivery was *exhausted*; a hook is to be *disabled* after five days of
nothing but failures, or three answers 410 within an hour (CONTRACT 5). All of it follows from the log alone: time that
passes without an outcome says nothing, and whoever reads the log again finds the same, under the same ids.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from streams.core import health, ids
from streams.core.catalogue import OPERATIONAL, OPERATIONS
from streams.core.events import LAST_MS
from streams.core.moments import iso
from streams.core.records import Ms, OperationalEvent, Outcome, Outgoing

FAILING_MAX_MS = 5 * 24 * 3600 * 1000
"""Nothing but failures for five days: nobody is there to be told."""

GONE_WITHIN_MS = 3600 * 1000
"""Three answers 410 in this time: the endpoint says itself that it is gone."""

Name = Literal["Hook.Failing", "Hook.Recovered", "Hook.Disabled", "Hook.Exhausted"]


class Happening(Struct, frozen=True, kw_only=True):
    """Something that happened to a hook. `id` is the event's id, `at` the time of the outcome that shows it."""

    name: Name
    id: str
    hook_id: str
    tenant: str
    at: Ms
    data: dict[str, Any]


def found(window: health.Window, outcome: Outcome, offset: int) -> list[Happening]:
    """What the outcome at `offset` of its log partition shows, once the window took it; call it for no other.

    A hook that is to be disabled is so at every further failure, until the window has it as switched off.
    """
    if outcome.status == "cancelled":
        return []
    happened = [_exhausted(outcome)] if _tells_of_its_end(outcome) else []
    good = outcome.result == "Success"
    if good == window.failing and health.is_failing(*window.rate()) != good:  # asked only where the answer may be news
        window.failing = not good
        happened.append(_crossing(window, outcome, offset))
    reason = None if good or window.switched_off is not None else _reason(window, outcome)
    return happened + ([_disabling(window, outcome, offset, reason)] if reason else [])


def record(happening: Happening, hook_name: str) -> Outgoing:
    """The event on `hooks.operations`: its key is the hook that it is about."""
    event = OperationalEvent(
        event=happening.name,
        created_at=iso(min(happening.at, LAST_MS)),
        data={"hookId": happening.hook_id, "name": hook_name} | happening.data,
    )
    return Outgoing(
        topic=OPERATIONS,
        key=happening.hook_id.encode(),
        value=msgspec.json.encode(event),
        headers=(("tenant-id", happening.tenant.encode()), ("event-id", happening.id.encode())),
    )


def _tells_of_its_end(outcome: Outcome) -> bool:
    """Not of an operational event's own: two failing hooks that watch each other would tell of it for ever."""
    return outcome.status == "exhausted" and outcome.event not in OPERATIONAL


def _reason(window: health.Window, outcome: Outcome) -> Literal["failures", "gone"] | None:
    gone = window.gone
    if len(gone) == health.GONE_KEPT and max(gone) - min(gone) <= GONE_WITHIN_MS:
        return "gone"
    since = window.failing_since
    return "failures" if since is not None and outcome.created_at - since >= FAILING_MAX_MS else None


def _exhausted(outcome: Outcome) -> Happening:
    """Known by its job: an outcome that a crash wrote twice tells of one end."""
    data = {
        "deliveryId": outcome.id,
        "event": outcome.event,
        "eventId": outcome.event_id,
        "attempts": len(outcome.attempts),
        "error": msgspec.to_builtins(outcome.error),
    }
    return _happening("Hook.Exhausted", outcome, "/".join(map(str, outcome.job)), data)


def _crossing(window: health.Window, outcome: Outcome, offset: int) -> Happening:
    success, total = window.rate()
    data: dict[str, Any] = {"successRate": round(success / total, 4), "successCount": success, "requestCount": total}
    if not window.failing:
        return _happening("Hook.Recovered", outcome, str(offset), data)
    return _happening("Hook.Failing", outcome, str(offset), data | {"lastError": _last_error(window)})


def _disabling(window: health.Window, outcome: Outcome, offset: int, reason: Literal["failures", "gone"]) -> Happening:
    since = window.gone[0] if reason == "gone" else window.failing_since
    data = {"reason": reason, "since": since, "lastError": _last_error(window)}
    return _happening("Hook.Disabled", outcome, str(offset), data)


def _last_error(window: health.Window) -> Any:
    return msgspec.to_builtins(window.last_error)


def _happening(name: Name, outcome: Outcome, where: str, data: dict[str, Any]) -> Happening:
    return Happening(
        name=name,
        id=ids.operation_id(name, outcome.hook_id, where),
        hook_id=outcome.hook_id,
        tenant=outcome.tenant_id,
        at=outcome.created_at,
        data=data,
    )
