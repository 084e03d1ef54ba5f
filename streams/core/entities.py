"""Invented people, roles and organizations in Logto's shapes, keys in Logto's order.

Everything is made up: addresses at example.com and example.org, phone numbers and networks set aside for
documentation. A `Scene` is what one payload, or one story, is about.
"""

from typing import Any

from msgspec import Struct

from streams.core.picks import Pick

LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"
LETTERS = LOWER + "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
DAY_MS = 86_400_000

GIVEN = ("Ines", "Tomas", "Mira", "Jonas", "Aiko", "Farid", "Lena", "Kofi", "Sanna", "Ravi", "Noor", "Emil")
FAMILY = ("Okafor", "Lindqvist", "Moreau", "Tanaka", "Haddad", "Novak", "Rossi", "Petrov", "Silva", "Brandt")
GUILDS = ("Harbour Lights", "Paper Kites", "Quiet Orchard", "Copper Kettle", "Night Ferry", "Tall Pines")
TRADES = ("editor", "librarian", "gardener", "pilot", "archivist", "cook")
DEEDS = ("read:recipes", "write:recipes", "read:invoices", "pay:invoices", "read:maps", "draw:maps")
DUTIES = ("invite:members", "remove:members", "read:books", "ring:bells", "open:gates")
SHOPS = (("Teapot Shop", "SPA"), ("Field Notes", "Native"), ("Lantern Desk", "Traditional"))
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/138.0.0.0 Mobile Safari/537.36",
)
NETWORKS = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8::")

Entity = dict[str, Any]


class Scene(Struct, frozen=True):
    """Who and what an event is about. `interaction` is what the person does; None when an administrator acts."""

    user: Entity
    trusted_device: Entity
    role: Entity
    scope: Entity
    organization: Entity
    organization_role: Entity
    organization_scope: Entity
    application: Entity
    session: str
    browser: str
    address: str
    interaction: str | None = None


def scene(pick: Pick, since_ms: int) -> Scene:
    """A whole cast that has existed since `since_ms` (Unix milliseconds)."""
    name, kind = pick.one(SHOPS)
    application: Entity = {"id": pick.text(LOWER, 21), "type": kind, "name": name, "description": None}
    user = _person(pick, since_ms) | {"applicationId": application["id"]}
    return Scene(
        user=user,
        trusted_device={"id": pick.text(LOWER, 21), "userId": user["id"], "expiresAt": since_ms + 60 * DAY_MS},
        role=_role(pick) | {"isDefault": False},
        scope=_scope(pick, since_ms),
        organization=_organization(pick, since_ms),
        organization_role=_role(pick),
        organization_scope=_duty(pick),
        application=application,
        session=pick.text(LETTERS, 21),
        browser=pick.one(BROWSERS),
        address=f"{pick.one(NETWORKS)}{1 + pick.below(98)}",
    )


def _person(pick: Pick, since_ms: int) -> Entity:
    """A user: the fifteen keys of Logto's projection, times in epoch milliseconds."""
    given, family, number = pick.one(GIVEN), pick.one(FAMILY), 10 + pick.below(90)
    handle = f"{given}.{family}{number}".lower()
    return {
        "id": pick.text(LOWER, 12),
        "username": handle.replace(".", "_"),
        "primaryEmail": f"{handle}@example.{pick.one(('com', 'org'))}",
        "primaryPhone": pick.one((None, f"120255501{number}")),
        "name": f"{given} {family}",
        "avatar": pick.one((None, f"https://images.example.com/{handle}.png")),
        "customData": {"theme": "light"},
        "identities": {},
        "lastSignInAt": since_ms,
        "createdAt": since_ms,
        "updatedAt": since_ms,
        "profile": {"givenName": given, "familyName": family},
        "applicationId": None,
        "cimdClientId": None,
        "isSuspended": False,
    }


def _role(pick: Pick) -> Entity:
    trade = pick.one(TRADES)
    return {
        "tenantId": "default",
        "id": pick.text(LOWER, 21),
        "name": trade,
        "description": f"The {trade} of the house.",
        "type": "User",
    }


def _duty(pick: Pick) -> Entity:
    """A permission inside organizations."""
    duty = pick.one(DUTIES)
    return {"tenantId": "default", "id": pick.text(LOWER, 21), "name": duty, "description": _may(duty)}


def _scope(pick: Pick, since_ms: int) -> Entity:
    name = pick.one(DEEDS)
    return {
        "tenantId": "default",
        "id": pick.text(LOWER, 21),
        "resourceId": pick.text(LOWER, 21),
        "name": name,
        "description": _may(name),
        "createdAt": since_ms,
    }


def _organization(pick: Pick, since_ms: int) -> Entity:
    return {
        "tenantId": "default",
        "id": pick.text(LOWER, 12),
        "name": pick.one(GUILDS),
        "description": None,
        "customData": {},
        "isMfaRequired": False,
        "color": {},
        "branding": {},
        "customCss": None,
        "createdAt": since_ms,
    }


def _may(permission: str) -> str:
    return f"May {permission.replace(':', ' ')}."
