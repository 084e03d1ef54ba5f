"""What an identity service says when something happens: every event's payload, in Logto's shapes and key order.

The rules were read in Logto's source. An event is caused by an administrator's call to the Management API or by
a person at the sign-in page, and each says where it happened in its own way. `hookId` is not here: Hookline adds it.
"""

import re
from typing import Any

from streams.core.catalogue import EVENTS, INTERACTION
from streams.core.entities import LETTERS, Entity, Scene
from streams.core.moments import iso
from streams.core.picks import Pick

Payload = dict[str, Any]

INTERACTIONS = {"PostRegister": "Register", "PostResetPassword": "ForgotPassword"}
"""What a person does, where the event itself says it; every other interaction is a `SignIn`."""

ROUTES: dict[str, tuple[str, str, int]] = {
    "User.Created": ("POST", "/users", 200),
    "User.Deleted": ("DELETE", "/users/:userId", 204),
    "User.Data.Updated": ("PATCH", "/users/:userId", 200),
    "User.SuspensionStatus.Updated": ("PATCH", "/users/:userId/is-suspended", 200),
    "TrustedDevice.Deleted": ("DELETE", "/users/:userId/trusted-devices/:trustedDeviceId", 204),
    "Role.Created": ("POST", "/roles", 200),
    "Role.Deleted": ("DELETE", "/roles/:id", 204),
    "Role.Data.Updated": ("PATCH", "/roles/:id", 200),
    "Role.Scopes.Updated": ("POST", "/roles/:id/scopes", 201),
    "Scope.Created": ("POST", "/resources/:resourceId/scopes", 201),
    "Scope.Deleted": ("DELETE", "/resources/:resourceId/scopes/:scopeId", 204),
    "Scope.Data.Updated": ("PATCH", "/resources/:resourceId/scopes/:scopeId", 200),
    "Organization.Created": ("POST", "/organizations", 201),
    "Organization.Deleted": ("DELETE", "/organizations/:id", 204),
    "Organization.Data.Updated": ("PATCH", "/organizations/:id", 200),
    "Organization.Membership.Updated": ("POST", "/organizations/:id/users", 201),
    "OrganizationRole.Created": ("POST", "/organization-roles", 201),
    "OrganizationRole.Deleted": ("DELETE", "/organization-roles/:id", 204),
    "OrganizationRole.Data.Updated": ("PATCH", "/organization-roles/:id", 200),
    "OrganizationRole.Scopes.Updated": ("POST", "/organization-roles/:id/scopes", 201),
    "OrganizationScope.Created": ("POST", "/organization-scopes", 201),
    "OrganizationScope.Deleted": ("DELETE", "/organization-scopes/:id", 204),
    "OrganizationScope.Data.Updated": ("PATCH", "/organization-scopes/:id", 200),
}
"""Method, route and status of the Management API call behind an event."""


def payload(event: str, cast: Scene, now_ms: int) -> Payload:
    """The payload of an event of the catalogue that happens to the scene's cast at `now_ms` (Unix milliseconds)."""
    created_at = iso(now_ms)
    if event.startswith("Post"):
        return _interaction(event, cast, created_at)
    head = {"event": event, "createdAt": created_at}
    if event == "Grant.LimitExceeded":
        return head | _grants(cast)
    if cast.interaction or event not in ROUTES:
        return head | _experience(event, cast) | _matter(event, cast)
    return head | _management(event, cast)


def subject(event: str) -> str:
    """The member of the scene that an event is about; for whatever a person does, the user."""
    first = event.split(".")[0]
    return "user" if EVENTS[event] == INTERACTION else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", first).lower()


def _interaction(event: str, cast: Scene, created_at: str) -> Payload:
    signals = {"signals": {"botScore": 10}, "matchedSignals": ["botScore<30"]}
    result = {"requiresMfa": True, "triggeredRules": [{"rule": "untrusted_ip", "details": signals}]}
    first = {"adaptiveMfaResult": result} if event == "PostSignInAdaptiveMfaTriggered" else {}
    return first | {
        "event": event,
        "interactionEvent": INTERACTIONS.get(event, "SignIn"),
        "createdAt": created_at,
        "sessionId": cast.session,
        "userAgent": cast.browser,
        "userId": cast.user["id"],
        "userIp": cast.address,
        "user": cast.user,
        "application": cast.application,
    }


def _experience(event: str, cast: Scene) -> Payload:
    """Where it happened, when a person at the sign-in page caused it."""
    return {
        "interactionEvent": cast.interaction or "SignIn",
        "userAgent": cast.browser,
        "applicationId": cast.application["id"],
        "sessionId": cast.session,
        **_address(event, cast),
        "application": cast.application,
    }


def _management(event: str, cast: Scene) -> Payload:
    """Where it happened, when an administrator's call caused it, and the matter: before the call for `User.Deleted`."""
    method, route, status = ROUTES[event]
    ids = {
        "userId": cast.user["id"],
        "trustedDeviceId": cast.trusted_device["id"],
        "resourceId": cast.scope["resourceId"],
        "scopeId": cast.scope["id"],
        "id": getattr(cast, subject(event))["id"],
    }
    call = {
        "path": re.sub(r":(\w+)", lambda match: ids[match[1]], route),
        "method": method,
        "status": status,
        "params": {name: ids[name] for name in re.findall(r":(\w+)", route)},
        "matchedRoute": route,
    }
    caller, matter = {"userAgent": "node", **_address(event, cast)}, _matter(event, cast)
    return caller | (matter | call if event == "User.Deleted" else call | matter)


def _address(event: str, cast: Scene) -> Payload:
    """The caller's address, which Logto leaves out of device events on purpose."""
    return {} if event.startswith("TrustedDevice.") else {"ip": cast.address}


def _matter(event: str, cast: Scene) -> Payload:
    """`data`, or the members an event has in its place; most deletions have neither."""
    if event == "Organization.Membership.Updated":
        return {"organizationId": cast.organization["id"], "addedUserIds": [cast.user["id"]]}
    if event == "Role.Scopes.Updated":
        return {"data": [cast.scope]}
    if event == "Identifier.Lockout":
        return {"type": "email", "value": cast.user["primaryEmail"]}
    if event == "Message.RateLimited":
        return {"action": "VerificationCodeSend", "recipient": cast.user["primaryEmail"]}
    silent = event.endswith(".Deleted") and event not in ("User.Deleted", "TrustedDevice.Deleted")
    return {} if silent or event == "OrganizationRole.Scopes.Updated" else {"data": _entity(event, cast)}


def _entity(event: str, cast: Scene) -> Entity:
    """What the event is about; the Management API says of a user, unless deleted, whether there is a password."""
    found: Entity = getattr(cast, subject(event))
    answered = subject(event) == "user" and cast.interaction is None and event != "User.Deleted"
    return found | {"hasPassword": True} if answered else found


def _grants(cast: Scene) -> Payload:
    pick = Pick(int.from_bytes(cast.session.encode(), "big"))
    return {
        "ip": cast.address,
        "userAgent": cast.browser,
        "application": cast.application,
        "userId": cast.user["id"],
        "applicationId": cast.application["id"],
        "revokedGrantIds": [pick.text(LETTERS, 43), pick.text(LETTERS, 43)],
        "maxAllowedGrants": 1,
        "preRevocationActiveGrantCount": 3,
    }
