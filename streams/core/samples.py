"""A sample of every event, the key its record would have, and what an event leaves behind in its scene.

The same seed and the same time give the same bytes, so samples can stand in tests and in the published schemas.
"""

from typing import Any

from msgspec.structs import replace

from streams.core.catalogue import EVENTS, OPERATIONAL
from streams.core.entities import DAY_MS, Entity, Scene, scene
from streams.core.errors import InvalidInput
from streams.core.hook_samples import hook_sample
from streams.core.payloads import Payload, payload, subject
from streams.core.picks import Pick

BY_A_PERSON = {
    "User.Created": "Register",
    "User.Data.Updated": "ForgotPassword",
    "Organization.Membership.Updated": "Register",
}
"""Events that an administrator and a person at the sign-in page can both cause: what the person then does."""

KEYS: dict[str, tuple[str, ...]] = {
    "User": ("params.userId", "data.id"),
    "TrustedDevice": ("data.userId",),
    "Role": ("roleId", "params.id", "data.id"),
    "Scope": ("params.scopeId", "data.id"),
    "Organization": ("organizationId", "params.id", "data.id"),
    "OrganizationRole": ("organizationRoleId", "params.id", "data.id"),
    "OrganizationScope": ("params.id", "data.id"),
    "Identifier": ("value",),
    "Message": ("recipient",),
    "Hook": ("data.hookId",),
}
"""Where a payload names its entity, by the first word of the event; the first path that leads somewhere counts."""


def sample(event: str, *, now_ms: int, seed: int = 0) -> Payload:
    """A payload of the event, without `hookId`, built at `now_ms` (Unix milliseconds) and else decided by `seed`.

    Raises InvalidInput when there is no such event in the catalogue.
    """
    pick = Pick(seed)
    if event in OPERATIONAL:
        return hook_sample(event, pick, now_ms)
    if event not in EVENTS:
        names = ", ".join((*EVENTS, *OPERATIONAL))
        raise InvalidInput(f"there is no sample of {event!r}; there is one of each of {names}")
    cast = scene(pick, now_ms - DAY_MS * (1 + pick.below(50)))
    if event in BY_A_PERSON and pick.below(2):
        cast = replace(cast, interaction=BY_A_PERSON[event])
    cause = "PostRegister" if cast.interaction == "Register" else event
    return payload(event, lived(cause, cast, now_ms), now_ms)


def entity_key(payload: Payload, event: str) -> str | None:
    """The record key a publisher would choose: the id of the user, role, organization, ... that it is about.

    A lockout or a refused message is keyed by the address it concerns; None when the payload names nothing.
    """
    for path in KEYS.get(event.split(".")[0], ("userId", "data.id")):
        found: object = payload
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str) and found:
            return found
    return None


def lived(event: str, cast: Scene, now_ms: int) -> Scene:
    """The cast once the event has happened to it at `now_ms`: what is born or changed carries that time."""
    name = subject(event)
    entity: Entity = getattr(cast, name)
    change: dict[str, Any]
    match event.split("."):
        case ["PostRegister"]:
            change = dict.fromkeys(("lastSignInAt", "createdAt", "updatedAt"), now_ms)
        case ["PostSignIn"]:
            change = {"lastSignInAt": now_ms, "updatedAt": now_ms}
        case ["TrustedDevice", "Created"]:
            change = {"expiresAt": now_ms + 30 * DAY_MS}
        case ["User", "SuspensionStatus", _]:
            change = {"updatedAt": now_ms, "isSuspended": not entity["isSuspended"]}
        case ["User", "Data", _]:
            change = {"updatedAt": now_ms}
        case ["User", "Created"]:
            change = {"lastSignInAt": None, "createdAt": now_ms, "updatedAt": now_ms}
        case [_, "Created"] if "createdAt" in entity:
            change = {"createdAt": now_ms}
        case [_, "Data", _]:
            change = {"description": "Tidied by the housekeeper."}
        case _:
            return cast
    return replace(cast, **{name: entity | change})
