"""Which identity events exist, the topic each belongs to, and their CloudEvents spelling.

The names and their order are Logto's `hookEvents`. An event on a topic that it does not
belong to is refused: topic ACLs are how upstream services are kept apart.
"""

import re
from collections.abc import Mapping

USER = "identity.user"
ROLE = "identity.role"
PERMISSION = "identity.permission"
ORGANIZATION = "identity.organization"
INTERACTION = "identity.interaction"
TOPICS = (USER, ROLE, PERMISSION, ORGANIZATION, INTERACTION)

EVENTS: dict[str, str] = {
    "PostRegister": INTERACTION,
    "PostSignIn": INTERACTION,
    "PostSignInAdaptiveMfaTriggered": INTERACTION,
    "PostResetPassword": INTERACTION,
    "User.Created": USER,
    "User.Deleted": USER,
    "User.Data.Updated": USER,
    "User.SuspensionStatus.Updated": USER,
    "TrustedDevice.Created": USER,
    "TrustedDevice.Deleted": USER,
    "Role.Created": ROLE,
    "Role.Deleted": ROLE,
    "Role.Data.Updated": ROLE,
    "Role.Scopes.Updated": ROLE,
    "Scope.Created": PERMISSION,
    "Scope.Deleted": PERMISSION,
    "Scope.Data.Updated": PERMISSION,
    "Organization.Created": ORGANIZATION,
    "Organization.Deleted": ORGANIZATION,
    "Organization.Data.Updated": ORGANIZATION,
    "Organization.Membership.Updated": ORGANIZATION,
    "OrganizationRole.Created": ORGANIZATION,
    "OrganizationRole.Deleted": ORGANIZATION,
    "OrganizationRole.Data.Updated": ORGANIZATION,
    "OrganizationRole.Scopes.Updated": ORGANIZATION,
    "OrganizationScope.Created": ORGANIZATION,
    "OrganizationScope.Deleted": ORGANIZATION,
    "OrganizationScope.Data.Updated": ORGANIZATION,
    "Identifier.Lockout": INTERACTION,
    "Message.RateLimited": INTERACTION,
    "Grant.LimitExceeded": INTERACTION,
}
"""Event name to the topic it belongs to, in Logto's order."""


class Catalogue:
    """The events let through: those above and the operator's own (`HOOKLINE_EXTRA_EVENTS`)."""

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        self.topics: dict[str, str] = EVENTS | dict(extra or {})
        self._spellings: dict[str, str] = {}
        for name in self.topics:  # an event of the operator's never takes over the spelling of one of Logto's
            self._spellings.setdefault(_folded(cloudevents_type(name)), name)

    def topic_of(self, event: str) -> str | None:
        """The topic an event belongs to, None when there is no such event."""
        return self.topics.get(event)

    def from_cloudevents(self, type_: str) -> str | None:
        """The event that a CloudEvents type names: the event's own name, or `identity.user.created` style."""
        return type_ if type_ in self.topics else self._spellings.get(_folded(type_))

    def problem_with(self, pattern: str) -> str | None:
        """Why a hook may not ask for this: not an event, not `*`, not the prefix (`User.*`) of any event."""
        if pattern == "*" or pattern in self.topics:
            return None
        if pattern.endswith(".*") and any(name.startswith(pattern[:-1]) for name in self.topics):
            return None
        return f"{pattern!r} is no event, no prefix of one (`User.*`) and not `*`"


def cloudevents_type(event: str) -> str:
    """`User.SuspensionStatus.Updated` as `identity.user.suspension-status.updated`."""
    return "identity." + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", event).lower()


def _folded(type_: str) -> str:
    return type_.lower().replace("-", "").replace("_", "")
