"""One hook's lane: its unfinished jobs, and which of them may go now (CONTRACT 4, 5).

One hook's trouble stays in its lane: its own cap on requests under way, breaker, rate, hold and order. Times are given,
in Unix milliseconds on the brokers' clock.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from streams.core.breaker import Breaker
from streams.core.hooks import Known
from streams.core.lines import Lines
from streams.core.pending import Item
from streams.core.rates import Rate
from streams.core.records import RateLimit

WINDOW_FIRST = 2
"""Requests at once that a lane begins with: many endpoints that hang from the start must not fill all slots."""

WINDOW_MAX = 64
"""Each success doubles the window up to the hook's own cap, a failure makes it one."""

OVERDUE_MS = 1000
"""A retry that is later than this has waited for something; with others like it, it drains at a bounded rate."""

STRICT = b""
"""The name of the one line of a `strict` hook."""


class Limits(Struct, frozen=True):
    """What the settings bound; see there for the reasons. Times in milliseconds."""

    in_flight: int
    retries: int
    queue: int
    pending: int
    drain_per_s: int
    park_ms: int
    age_ms: int


class Lane:
    """`fresh` are jobs in memory by arrival, `waiting` those on `hooks.retries` by due time; both may go by themselves.

    Jobs of an ordered hook that must not go yet stand in a line alone; `away` are those that went or are being parked,
    until they come back or have ended. `_standing` are those in line that only memory holds, `_behind` counts all that
    stand behind another; `_flying` has the requests under way, each with the breaker that let it go. `wake` and
    `starved` say, after `pick` found nothing, what to wait for; `alarm` is a wake that somebody has seen to.
    """

    def __init__(self, hook_id: str, partition: int, limits: Limits) -> None:
        self.hook_id = hook_id
        self.partition = partition
        self.waiting: list[Item] = []
        self.in_memory = 0
        self.breaker = Breaker()
        self.troubled = False
        self.wake: int | None = None
        self.alarm: int | None = None
        self.starved = False
        self.needs: tuple[int, int] | None = None
        self.needs_until = 0
        self._limits = limits
        self._fresh: deque[Item] = deque()
        self._doomed: deque[Item] = deque()
        self._lines: Lines | None = None
        self._standing: dict[Item, None] = {}
        self._behind = 0
        self._away: set[Item] = set()
        self._flying: dict[Item, Breaker] = {}
        self._window = WINDOW_FIRST
        self._rate: Rate | None = None
        self._drain = Rate(limits.drain_per_s, 1000)
        self._hold_until = 0
        self._recovering = False
        self._policy: tuple[str, RateLimit | None, str] = ("none", None, "")

    @property
    def pending(self) -> int:
        """How many jobs wait, for their time or behind others."""
        return len(self.waiting) + self._behind

    @property
    def empty(self) -> bool:
        """Whether it has no unfinished job."""
        return not (self._fresh or self._doomed or self.waiting or self._away or self.in_memory or self._lines)

    def quiet(self, now: int) -> bool:
        """Whether forgetting the lane would change nothing."""
        if not self.empty:
            return False
        return self._hold_until <= now and self.breaker.quiet(now) and (not self._rate or self._rate.quiet(now))

    def adapt(self, known: Known | None) -> None:
        """Take up the hook's policy; a new URL closes the breaker and ends a hold, a new order lines all up anew."""
        if known is None:
            return
        delivery, old = known.hook.delivery, self._policy
        if (new := (delivery.ordering, delivery.rate_limit, known.hook.config.url)) == old:
            return
        self._policy = new
        if new[1] != old[1]:
            self._rate = Rate(new[1].limit, new[1].period_ms) if new[1] else None
        if old[2] and new[2] != old[2]:
            self.breaker, self._hold_until, self._window, self.troubled = Breaker(), 0, WINDOW_FIRST, False
        if new[0] != old[0]:
            self._line_up()

    def add(self, item: Item, parking: bool = False) -> None:
        """An unfinished job comes in: new, or restored from `hooks.retries`; `parking` if it must not go yet."""
        if item.place < 0:
            self.in_memory += 1
        if parking:
            self._away.add(item)
        self._stand(item)

    def restored(self, hold_until: int) -> None:
        """What another process left waiting drains at a bounded rate, and the hook stays held as it was."""
        self._recovering = True
        self._hold_until = max(self._hold_until, hold_until)

    def again(self, item: Item) -> None:
        """A job of this lane waits for its next attempt; it keeps its place in line."""
        name = self._line_of(item)
        if self._lines is not None and name is not None and item.attempts == 1:
            self._lines.failed(item, name)
        self.back(item)

    def end(self, item: Item) -> None:
        """A job's outcome is durable."""
        self._away.discard(item)
        self._behind -= item.held
        if item.expired and item.place < 0:
            return  # it never stood in line
        name = self._line_of(item)
        if self._lines is not None and name is not None:
            self._admit([self._lines.end(item, name)])

    def overtook(self, item: Item) -> bool:
        """Whether a job, ending now, has overtaken an earlier one of its line."""
        name = self._line_of(item)
        return self._lines is not None and name is not None and self._lines.overtook(item, name)

    def pick(self, now: int, known: Known | None, retries: bool) -> Item | None:
        """The job that goes now, None when there is none.

        `retries` tells whether a slot for other than a healthy hook's first attempts is free.
        """
        self.wake, self.starved = None, False
        if self._lines is not None:
            self._admit(self._lines.passed(now))
            self._wake(self._lines.next_pass())
        if self._doomed or known is None or not known.keeps:
            return self._untried(retries)
        if not known.sends:
            return None
        gate = self._gate(now)
        if gate is None or gate > now:
            self._wake(gate)
            return self._expired(now, retries)
        if len(self._flying) >= min(known.hook.delivery.max_in_flight, self._window):
            return None
        return self._ready(now, retries)

    def begin(self, item: Item, now: int, sends: bool) -> None:
        """The job goes: to its endpoint, or to end untried."""
        item.posts = sends and not item.expired
        self._away.add(item)
        self._flying[item] = self.breaker
        self.in_memory -= item.place < 0
        if item.place >= 0 and self._bounded(item, now):
            self._drain.take(now)
        item.second = bool(item.attempts) or self.troubled or not item.posts
        item.probe = False
        if not item.posts:
            return
        if self._rate:
            self._rate.take(now)
        item.probe = self.breaker.begin()

    def answered(self, item: Item, now: int, failed: bool | None, hold_until: int = 0) -> None:
        """The request is over; `failed` None when there was none. Its job's end is another matter."""
        if self._flying.pop(item) is not self.breaker:
            return  # it speaks of the URL that the hook had
        if failed is None:
            if item.probe:
                self.breaker.forsake()
            return
        self.troubled = failed
        self._window = 1 if failed else min(self._window * 2, WINDOW_MAX)
        if self.breaker.answer(failed, now, item.probe):
            self._recovering = True
        if hold_until > now:
            self._hold_until, self._recovering = max(self._hold_until, hold_until), True

    def unstarted(self, oldest: int) -> list[Item]:
        """Jobs that only memory holds, that came at `oldest` or before and did not go; they are to be parked."""
        if not self.in_memory:
            return []
        late = []
        while self._fresh and self._fresh[0].since <= oldest:
            late.append(self._fresh.popleft())
        late += itertools.takewhile(lambda item: item.since <= oldest, self._standing)
        for item in late:
            self._standing.pop(item, None)
        self._away.update(late)
        return late

    def parked(self, item: Item) -> None:
        """A job is on `hooks.retries` now; if it may go, it waits there."""
        self.in_memory -= 1
        self.back(item)

    def drop(self, item: Item) -> None:
        """A job that was added as parking has ended."""
        self.in_memory -= item.place < 0
        self.end(item)

    def back(self, item: Item) -> None:
        """It may go again, unless an order came meanwhile and it stands behind another."""
        self._away.discard(item)
        if not item.held:
            self._admit([item])

    def _stand(self, item: Item) -> None:
        name = self._line_of(item)
        if self._lines is None or name is None or item.expired:
            self._admit([item])
            return
        item.held = True
        self._behind += 1
        if item.place < 0 and item not in self._away:
            self._standing[item] = None
        self._admit([self._lines.add(item, name)])
        if item.attempts:
            self._lines.failed(item, name)

    def _admit(self, items: Iterable[Item | None]) -> None:
        for item in items:
            if item is None:
                continue
            self._behind -= item.held
            item.held = False
            self._standing.pop(item, None)
            if item in self._away:
                continue
            if item.expired:
                self._doomed.append(item)
            elif item.place >= 0:
                heapq.heappush(self.waiting, item)
            else:
                self._fresh.append(item)

    def _line_of(self, item: Item) -> bytes | None:
        return item.line if self._policy[0] == "key" else STRICT

    def _line_up(self) -> None:
        """Every unfinished job lines up anew, those that are away too: they went first."""
        ordering, old = self._policy[0], self._lines
        self._lines = Lines(ordering == "key") if ordering != "none" else None
        unfinished = {*self._fresh, *self.waiting, *(old.items() if old else ()), *self._away}
        self._fresh, self.waiting, self._standing, self._behind = deque(), [], {}, 0
        for item in sorted(unfinished, key=lambda item: item.offset):
            item.held = False
            self._stand(item)

    def _gate(self, now: int) -> int | None:
        """When the next request may go; None while a probe decides."""
        free = self.breaker.free_at(now)
        if free is None:
            return None
        return max(free, self._hold_until, self._rate.free_at(now) if self._rate else now)

    def _ready(self, now: int, retries: bool) -> Item | None:
        """A retry that is due, else the first fresh job, within the slots there are."""
        if self.troubled and not retries:
            self.starved = True
            return None
        if not self.waiting:
            self._recovering = False
            return self._fresh.popleft() if self._fresh else None
        item = self.waiting[0]
        free = max(item.due, self._drain.free_at(now) if self._bounded(item, now) else now)
        if free <= now and (retries or not item.attempts):
            return heapq.heappop(self.waiting)
        if free > now:
            self._wake(free)
        else:
            self.starved = True
        return self._fresh.popleft() if self._fresh else None

    def _bounded(self, item: Item, now: int) -> bool:
        """Whether it is one of many that wait for an outage to end; a busy hook's own overflow is not."""
        return item.due < now - OVERDUE_MS and (item.attempts > 0 or self._recovering)

    def _expired(self, now: int, retries: bool) -> Item | None:
        """A job that its hook has not let go for too long."""
        if not self.waiting:
            return None
        moment = self.waiting[0].due + self._limits.age_ms
        if moment > now:
            self._wake(moment)
            return None
        if not retries:
            self.starved = True
            return None
        self.waiting[0].expired = True
        return heapq.heappop(self.waiting)

    def _untried(self, retries: bool) -> Item | None:
        """A job that ends without a request; slots for first attempts of healthy hooks are not for it."""
        if not retries:
            self.starved = bool(self._doomed or self.waiting or self._fresh)
            return None
        if self._doomed:
            return self._doomed.popleft()
        if self.waiting:
            return heapq.heappop(self.waiting)
        return self._fresh.popleft() if self._fresh else None

    def _wake(self, at: int | None) -> None:
        if at is not None:
            self.wake = at if self.wake is None else min(self.wake, at)
