"""Which events exist, the topic each belongs to, and the CloudEvents spelling of those that come from upstream.

The names and their order are Logto's `hookEvents`. An event on a topic that it does not
belong to is refused: topic ACLs are how upstream services are kept apart.

Beside them are the four operational events, which tell what happened to a hook and which Hookline alone writes.
A hook gets them when it names one, or `Hook.*`; `*` means all identity events and not these, for a hook that wants
everything about users did not ask for news about hooks.
"""

import re
from collections.abc import Iterable, Mapping

USER = "identity.user"
ROLE = "identity.role"
PERMISSION = "identity.permission"
ORGANIZATION = "identity.organization"
INTERACTION = "identity.interaction"
TOPICS = (USER, ROLE, PERMISSION, ORGANIZATION, INTERACTION)
"""Where upstream services write."""

OPERATIONS = "hooks.operations"
EVENT_TOPICS = (*TOPICS, OPERATIONS)
"""What the router joins."""

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
"""Identity event to the topic it belongs to, in Logto's order."""

OPERATIONAL: dict[str, str] = dict.fromkeys(
    ("Hook.Failing", "Hook.Recovered", "Hook.Disabled", "Hook.Exhausted"), OPERATIONS
)
"""What happened to a hook, by name, and the one topic of it."""

RESERVED = "Hook."
"""How the names of operational events begin; no event of an operator's may."""


class Catalogue:
    """The events let through: those above and the operator's own (`HOOKLINE_EXTRA_EVENTS`)."""

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        self.topics: dict[str, str] = EVENTS | dict(extra or {}) | OPERATIONAL
        self._spellings: dict[str, str] = {}
        for name in self._identity():  # an event of the operator's never takes over the spelling of one of Logto's
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

    def named_by(self, pattern: str) -> Iterable[str]:
        """The events that a hook asks for with this: an event's name, a prefix, or `*` for all but operational ones."""
        if pattern == "*":
            return self._identity()
        if pattern in self.topics:
            return (pattern,)
        return (name for name in self.topics if name.startswith(pattern.removesuffix("*")))

    def _identity(self) -> Iterable[str]:
        return (name for name in self.topics if name not in OPERATIONAL)


def cloudevents_type(event: str) -> str:
    """`User.SuspensionStatus.Updated` as `identity.user.suspension-status.updated`."""
    return "identity." + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", event).lower()


def _folded(type_: str) -> str:
    return type_.lower().replace("-", "").replace("_", "")
