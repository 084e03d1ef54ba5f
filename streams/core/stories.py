"""Stories: an endless stream of events that belong together, for the demonstration.

Somebody registers, founds an organization and gives it roles; others join, forget their password, travel, are
suspended; in the end everything closes, and somebody else begins.
"""

from collections.abc import Callable, Generator, Iterator

import msgspec
from msgspec.structs import replace

from streams.core.entities import LETTERS, Scene, scene
from streams.core.payloads import payload
from streams.core.picks import Pick
from streams.core.samples import entity_key, lived

Step = tuple[str, str, bytes]
"""Event, record key, payload."""

Story = tuple[tuple[str | None, str], ...]
"""Acts: what a person does (`Register`, `SignIn`, `ForgotPassword`; None: an administrator), and the events of it."""

FOUNDER: Story = (
    ("Register", "PostRegister User.Created"),
    ("SignIn", "PostSignIn"),
    (None, "OrganizationScope.Created OrganizationRole.Created OrganizationRole.Scopes.Updated"),
    (None, "Organization.Created Organization.Membership.Updated"),
    (None, "Scope.Created Role.Created Role.Scopes.Updated"),
)
REGULAR: Story = (
    ("Register", "PostRegister User.Created Organization.Membership.Updated"),
    ("SignIn", "PostSignIn"),
    ("SignIn", "PostSignIn User.Data.Updated"),
    ("SignIn", "PostSignIn"),
)
FORGETFUL: Story = (
    ("Register", "PostRegister User.Created"),
    ("SignIn", "Identifier.Lockout"),
    ("ForgotPassword", "Message.RateLimited"),
    ("ForgotPassword", "PostResetPassword User.Data.Updated"),
    ("SignIn", "PostSignIn"),
)
TRAVELLER: Story = (
    ("Register", "PostRegister User.Created Organization.Membership.Updated"),
    ("SignIn", "PostSignInAdaptiveMfaTriggered PostSignIn TrustedDevice.Created"),
    ("SignIn", "PostSignIn Grant.LimitExceeded"),
    (None, "TrustedDevice.Deleted"),
)
SUSPECT: Story = (
    ("Register", "PostRegister User.Created"),
    ("SignIn", "PostSignIn"),
    (None, "User.SuspensionStatus.Updated"),
    (None, "User.SuspensionStatus.Updated"),
    ("SignIn", "PostSignIn"),
    (None, "User.Deleted"),
)
HOUSEKEEPING: Story = (
    (None, "Organization.Data.Updated Role.Data.Updated Scope.Data.Updated"),
    (None, "OrganizationRole.Data.Updated OrganizationScope.Data.Updated"),
)
FAREWELL: Story = (
    (None, "OrganizationRole.Deleted OrganizationScope.Deleted Organization.Deleted"),
    (None, "Role.Deleted Scope.Deleted"),
)


def stories(seed: int, now_ms: Callable[[], int]) -> Iterator[Step]:
    """Events without end: somebody founds an organization, four people come and go, everything closes, and again.

    `now_ms` is asked at every step for its time, in Unix milliseconds. All seven categories come within 20 steps,
    every event of the catalogue within 60.
    """
    pick = Pick(seed)
    while True:
        cast = yield from _told(FOUNDER, scene(pick, now_ms()), pick, now_ms)
        lives = [_told(life, _newcomer(cast, pick), pick, now_ms) for life in (REGULAR, FORGETFUL, TRAVELLER, SUSPECT)]
        lives.append(_told(HOUSEKEEPING, cast, pick, now_ms))
        while lives:
            life = pick.one(lives)
            try:
                yield next(life)
            except StopIteration:
                lives.remove(life)
        yield from _told(FAREWELL, cast, pick, now_ms)


def _told(story: Story, cast: Scene, pick: Pick, now_ms: Callable[[], int]) -> Generator[Step, None, Scene]:
    """One story step by step; every act is a session of its own. Returns the cast as it is afterwards."""
    for interaction, events in story:
        cast = replace(cast, interaction=interaction, session=pick.text(LETTERS, 21))
        for event in events.split():
            moment = now_ms()
            # PostRegister already made the user that the User.Created next to it tells of.
            cast = cast if interaction == "Register" and event == "User.Created" else lived(event, cast, moment)
            told = payload(event, cast, moment)
            yield event, entity_key(told, event) or "", msgspec.json.encode(told)
    return cast


def _newcomer(cast: Scene, pick: Pick) -> Scene:
    """The same house with another person at another place."""
    other = scene(pick, 0)
    user = other.user | {"applicationId": cast.application["id"]}
    return replace(cast, user=user, trusted_device=other.trusted_device, browser=other.browser, address=other.address)
