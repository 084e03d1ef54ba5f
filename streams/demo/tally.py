"""What the demo has seen: events published, deliveries expected, outcomes told; and what nobody can explain."""

from collections import Counter, deque

from msgspec import Struct

from streams.core import ids
from streams.core.records import Outcome, Report

LINES_MAX = 20
"""Lines remembered for the live view; a terminal shows as many as it has room for."""


class Sight(Struct, frozen=True):
    """One line of the live view: an attempt that will be repeated, or an outcome. `time` is the wall clock's."""

    time: str
    word: str
    event: str
    hook: str
    detail: str


class Tally:
    """Counts that end in one question: does every (event, hook) have its outcome? `hooks` are names by id."""

    def __init__(self, hooks: dict[str, str]) -> None:
        self.hooks = hooks
        self.events: Counter[str] = Counter()
        self.expected: set[str] = set()
        self.ended: dict[str, str] = {}
        self.waiting: set[str] = set()
        self.retries = 0
        self.reports: dict[str, Report] = {}
        self.lines: deque[Sight] = deque(maxlen=LINES_MAX)

    def published(self, event: str, event_id: str) -> None:
        """An event was acknowledged by the broker; every hook of the demo wants every event."""
        self.events[event] += 1
        self.expected |= {ids.delivery_id(event_id, hook) for hook in self.hooks}

    def outcome(self, outcome: Outcome) -> None:
        """An outcome was read from `hooks.log`; one that was read before counts once."""
        if outcome.id not in self.ended:
            self.ended[outcome.id] = outcome.status
            self.retries += max(len(outcome.attempts) - 1, 0)

    def waits(self, delivery_id: str, settled: bool) -> None:
        """A record of `hooks.retries` was read: a delivery waits there, or does no more."""
        if settled:
            self.waiting.discard(delivery_id)
        else:
            self.waiting.add(delivery_id)

    @property
    def unexplained(self) -> int:
        """Expected deliveries that neither have an outcome nor wait, and outcomes nobody expected."""
        return len((self.expected - self.waiting) - self.ended.keys()) + len(self.ended.keys() - self.expected)

    @property
    def reported(self) -> bool:
        """Whether the health reports count every outcome."""
        return sum(report.request_count for report in self.reports.values()) >= len(self.ended)

    def summary(self) -> dict[str, int]:
        """The figures of the last line."""
        statuses = Counter(self.ended.values())
        return {
            "events": self.events.total(),
            "deliveries": len(self.ended),
            "delivered": statuses["delivered"],
            "retries": self.retries,
            "exhausted": statuses["exhausted"],
            "waiting": len(self.waiting - self.ended.keys()),
            "unexplained": self.unexplained,
        }
