"""What a scenario notes, as plain values: `checking` needs nothing else. Times are seconds of `time.monotonic`."""

from typing import Any

from msgspec import Struct, field

from streams.core import ids
from streams.core.records import Outcome
from tests.line import hook, hook_id

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0)
"""Short waits, so that retries are pending most of the time; long enough in all to outlast every fault but one."""

SECRET = "Bearer sesame-open"
"""A header value of every hook, which may stand in no log line and no outcome (I7)."""


class Watched(Struct, frozen=True, kw_only=True):
    """A hook of a scenario. Hooks of one tenant get the same events; `healthy` ones are those whose latency counts."""

    number: int
    tenant: str = ""
    waits: tuple[float, ...] = WAITS
    healthy: bool = False
    delivery: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The hook's id."""
        return hook_id(self.number)

    @property
    def path(self) -> str:
        """Where its requests arrive."""
        return f"/h/{self.number}"

    @property
    def of(self) -> str:
        """Its tenant: one of its own unless it shares."""
        return self.tenant or f"t{self.number}"

    @property
    def ordered(self) -> bool:
        """Whether it asked for the order of keys."""
        return self.delivery.get("ordering") == "key"

    def record(self, url: str, **fields: Any) -> dict[str, Any]:
        """The hook record for a receiver at `url`."""
        delivery = {"retry": {"scheduleSeconds": list(self.waits)}, "timeoutMs": 2000} | self.delivery
        config = {"headers": {"authorization": SECRET}}
        merged = {"tenantId": self.of, "delivery": delivery, "config": config} | fields
        return hook(self.number, url + self.path, ["User.Created"], **merged)


class Wanted(Struct, frozen=True, kw_only=True):
    """A job that has to end: an event that a hook wanted, and when it was handed to the broker."""

    id: str
    hook: str
    key: str
    published: float


def wanted(event_id: str, watched: Watched, key: str, published: float) -> Wanted:
    """The job of an event and a hook."""
    return Wanted(id=ids.delivery_id(event_id, watched.id), hook=watched.id, key=key, published=published)


class Arrival(Struct, kw_only=True):
    """One request at the receiver. `answered` is when the answer, or what was made of it, went out; None: never.

    `reused` tells that its connection had carried another one before. `asked_s` is what the answer's `Retry-After`
    asked for.
    """

    id: str
    path: str
    body: bytes
    at: float
    signature: str = ""
    reused: bool = False
    answered: float | None = None
    status: int | None = None
    asked_s: float = 0.0


class Ended(Struct, frozen=True, kw_only=True):
    """A record of `hooks.log`, and when it was read there."""

    outcome: Outcome
    seen: float


class Span(Struct, frozen=True):
    """A stretch of time."""

    begin: float = 0.0
    end: float = 0.0


class Facts(Struct, kw_only=True):
    """All that was noted. `unsafe` are moments at which a process died, or had no broker: only a job then in flight may
    be POSTed again. `compare` asks for the healthy hooks' latency to stay what it was (I4). `problems` are broken
    invariants that the scenario itself saw.
    """

    fault: str
    hooks: list[Watched]
    wanted: list[Wanted] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    undisturbed: Span = Span()
    disturbed: Span = Span()
    unsafe: list[Span] = field(default_factory=list)
    compare: bool = False
    problems: list[str] = field(default_factory=list)
