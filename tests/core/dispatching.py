"""A sender without Kafka and HTTP: jobs, requests and records as plain lists, and a clock the test moves.

Every job that the dispatch starts is held against what the specification says of it, told naively from all that
happened (CONTRACT 4, 5; DESIGN 8; invariants I4, I8, I9).
"""

import dataclasses
import math
from typing import Any

from streams.core.dispatch import Dispatch
from streams.core.hooks import Known
from streams.core.lane import Limits
from streams.core.pending import Item
from tests.core.building import NOW, hook_id, job, known

LIMITS = Limits(in_flight=6, retries=3, queue=5, pending=12, drain_per_s=3, park_ms=5000, age_ms=3_600_000)
NEEDS_MS = 500
MINUTE = 60_000


@dataclasses.dataclass
class Told:
    """What a naive reader of the specification remembers of one hook."""

    starts: list[int] = dataclasses.field(default_factory=list)
    answers: list[tuple[int, bool]] = dataclasses.field(default_factory=list)
    open_until: int | None = None
    open_ms: int = 30_000
    hold_until: int = 0
    url: str = ""
    urls: int = 0
    suspect: bool = False  # something failed, was limited or waited: no promise about its speed

    def asks(self, url: str) -> None:
        """The hook's URL; nothing that an endpoint answered speaks of another."""
        if url == self.url:
            return
        self.url, self.urls = url, self.urls + 1
        self.answers, self.open_until, self.open_ms, self.hold_until = [], None, 30_000, 0

    def answered(self, failed: bool, now: int, probe: bool, hold_until: int) -> None:
        """An answer of the endpoint that the hook has now."""
        self.hold_until = max(self.hold_until, hold_until)
        if probe:
            self.open_ms = min(2 * self.open_ms, 600_000) if failed else 30_000
            self.open_until = now + self.open_ms if failed else None
            self.answers = self.answers if failed else []
        elif self.open_until is None:
            self.answers.append((now // 1000, failed))
            late = [bad for second, bad in self.answers if second > now // 1000 - 60]
            if len(late) >= 10 and sum(late) >= 0.7 * len(late):
                self.open_until = now + self.open_ms


@dataclasses.dataclass(eq=False)
class Flight:
    """A job that was started: on the wire (`posts`) or to end untried."""

    item: Item
    posts: bool
    urls: int
    probe: bool
    second: bool
    answered: bool = False
    wait_ms: int | None = None


class World:
    """The sender around a dispatch."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.now = NOW
        self.limits = limits
        self.hooks: dict[str, Known] = {}
        self.version = 0
        self.seen = 0
        self.dispatch = self._dispatch()
        self.told: dict[str, Told] = {}
        self.unfinished: dict[int, Item] = {}
        self.flights: list[Flight] = []
        self.parking: list[Item] = []
        self.ended: list[int] = []
        self.order: list[tuple[int, str]] = []
        self._offset = 0
        self._place = 0

    def _dispatch(self) -> Dispatch:
        return Dispatch(self.limits, NEEDS_MS, self.hooks, lambda version: version[1] <= self.seen)

    # What comes in

    def put(self, number: int = 1, url: str = "https://a.example/", keep: bool = False, **delivery: Any) -> None:
        """A hook's record, new or changed; `enabled`, and `locked`, as any other member of `delivery`."""
        enabled, locked = delivery.pop("enabled", True), delivery.pop("locked", None)
        self.version += 1
        self.seen = self.version
        name, old = hook_id(number), self.hooks.get(hook_id(number))
        new = known(
            (0, self.version),
            locked,
            id=name,
            config={"url": url},
            enabled=enabled,
            keepPending=keep,
            delivery=delivery,
        )
        told = self.told.setdefault(name, Told())
        told.asks(url)
        if old is None or old.hook.delivery.rate_limit != new.hook.delivery.rate_limit:
            told.starts = []
        plain = new.sends and new.hook.delivery.ordering == "none" and not new.hook.delivery.rate_limit
        told.suspect = told.suspect or not plain
        self.hooks[name] = new
        self.dispatch.changed(name)

    def delete(self, number: int = 1) -> None:
        """The hook's null."""
        if self.hooks.pop(hook_id(number), None):
            self.told[hook_id(number)].suspect = True
        self.dispatch.changed(hook_id(number))

    def arrive(self, number: int = 1, key: bytes | None = b"u1", ahead: int = 0) -> Item:
        """A job; `ahead` of the hook records that the view has read."""
        self._offset += 1
        name = hook_id(number)
        made = job(delivery_id=f"msg_{self._offset}", hook_id=name)
        item = Item(made.delivery_id, name, 0, self._offset, self.now, line=key, job=made)
        self.unfinished[item.offset] = item
        if ahead:
            self.told.setdefault(name, Told()).suspect = True
        self._take(item, ahead)
        return item

    def _take(self, item: Item, ahead: int = 0) -> None:
        if not self.dispatch.take(item, (0, self.version + ahead), self.now):
            self.parking.append(item)
        self.told.setdefault(item.hook_id, Told())

    # What the sender does

    def run(self) -> list[Flight]:
        """Start all that may go, as the sender does."""
        begun = []
        while item := self.dispatch.start(self.now):
            begun.append(self._begin(item))
            assert len(begun) <= self.limits.in_flight
        at = self.dispatch.next_at()
        assert at is None or at > self.now, "a busy loop"
        self._check_slots()
        return begun

    def _begin(self, item: Item) -> Flight:
        assert self.unfinished.get(item.offset) is item, "it has ended"
        assert not any(flight.item is item for flight in self.flights), "started twice"
        assert item not in self.parking
        assert item.place >= 0 or item.job is not None
        current = self.hooks.get(item.hook_id)
        posts = current is not None and current.sends and not item.expired
        if current is not None and not current.sends:
            assert item.expired or not current.keeps, "a hook that keeps what is pending"
        flight = Flight(item, posts, self.told[item.hook_id].urls, item.probe, item.second)
        self.flights.append(flight)
        if posts and current is not None:
            self._check_start(flight, current)
            self.order.append((item.offset, item.hook_id))
            self.told[item.hook_id].starts.append(self.now)
        return flight

    def _check_start(self, flight: Flight, current: Known) -> None:
        item, policy, told = flight.item, current.hook.delivery, self.told[flight.item.hook_id]
        assert item.due <= self.now, "before its time (I8)"
        on_wire = [f for f in self.flights if f.posts and not f.answered and f.item.hook_id == item.hook_id]
        assert len(on_wire) <= policy.max_in_flight
        assert told.hold_until <= self.now, "the hook is held"
        if told.open_until is not None:
            assert told.open_until <= self.now, "the breaker is open"
            assert flight.probe
            assert [f for f in on_wire if f.probe and f.urls == flight.urls] == [flight]
        if policy.rate_limit:
            late = [at for at in told.starts if at > self.now - policy.rate_limit.period_ms]
            assert len(late) < policy.rate_limit.limit, "more than its rate"
        self._check_order(item, policy.ordering)

    def _check_order(self, item: Item, ordering: str) -> None:
        if ordering == "none" or (ordering == "key" and item.line is None):
            return
        for other in self.unfinished.values():
            if other.offset >= item.offset or other.hook_id != item.hook_id:
                continue
            if ordering == "strict":
                raise AssertionError("strict never passes")
            if other.line == item.line and not other.expired:
                assert other.attempts, "an earlier one of its key has not been tried (I9)"
                assert other.began + MINUTE <= self.now, "an earlier one of its key failed a moment ago (I9)"

    def _check_slots(self) -> None:
        assert self.dispatch.flying == len(self.flights) <= self.limits.in_flight
        second = sum(flight.second for flight in self.flights)
        assert self.dispatch.retries == second <= self.limits.retries
        if len(self.flights) == self.limits.in_flight:
            return
        for name, told in self.told.items():
            current = self.hooks.get(name)
            if told.suspect or current is None:
                continue
            mine = [flight for flight in self.flights if flight.item.hook_id == name and not flight.answered]
            left = [i for i in self.unfinished.values() if i.hook_id == name and self._in_lane(i)]
            assert not left or len(mine) >= min(current.hook.delivery.max_in_flight, 2), "a healthy hook waits (I4)"

    def _in_lane(self, item: Item) -> bool:
        return item not in self.parking and not any(flight.item is item for flight in self.flights)

    def answer(self, flight: Flight, failed: bool | None, wait_ms: int | None = None, hold_ms: int = 0) -> bool:
        """The endpoint answered; with `wait_ms` the job waits for another attempt, without it ends."""
        item = flight.item
        flight.answered, flight.wait_ms = True, wait_ms
        hold_until = self.now + hold_ms if hold_ms else 0
        if failed is not None:
            told = self.told[item.hook_id]
            told.suspect = told.suspect or failed or bool(hold_ms)
            if told.urls == flight.urls:
                told.answered(failed, self.now, flight.probe, hold_until)
        return self.dispatch.answered(item, self.now, failed, hold_until)

    def land(self, flight: Flight) -> None:
        """What the answer led to is durable."""
        self.flights.remove(flight)
        item = flight.item
        if flight.wait_ms is None:
            del self.unfinished[item.offset]
            self.ended.append(item.offset)
            self.dispatch.ended(item)
        else:
            item.due, item.attempts = self.now + flight.wait_ms, item.attempts + 1
            item.began = item.began or self.now
            self._waits(item)
            self.dispatch.again(item)
        self.dispatch.landed(item)

    def ends(self, flight: Flight, failed: bool | None = False) -> None:
        """Answered and over."""
        self.answer(flight, failed)
        self.land(flight)

    def fails(self, flight: Flight, wait_ms: int = 5000) -> None:
        """Answered, to be tried again."""
        self.answer(flight, True, wait_ms)
        self.land(flight)

    def untried(self) -> None:
        """See to all that was started to end without an attempt."""
        for flight in [flight for flight in self.flights if not flight.posts and not flight.answered]:
            self.ends(flight, None)

    def _waits(self, item: Item) -> None:
        self._place += 1
        item.place, item.job = self._place, None

    def park(self) -> None:
        """Records of jobs that could not go have become durable."""
        for item in self.parking:
            self.told[item.hook_id].suspect = True
            item.due = item.since
            self._waits(item)
            self.dispatch.parked(item)
        self.parking = []

    def tend(self) -> None:
        """What the sender does four times a second."""
        self.parking += self.dispatch.overdue(self.now)
        for name in self.told.keys() - self.hooks.keys() - self.dispatch._lanes.keys():
            self.told[name].url = ""  # one that is made under this id again begins anew

    def rebalance(self) -> None:
        """All is given away and comes back: what waited is restored, what only memory held is read again."""
        self.dispatch.clear()
        for flight in self.flights:
            self.dispatch.landed(flight.item)
        self.flights, self.parking = [], []
        for told in self.told.values():
            told.suspect, told.starts, told.hold_until = True, [], 0
            told.answers, told.open_until, told.open_ms = [], None, 30_000
        for offset in sorted(self.unfinished):
            old = self.unfinished[offset]
            item = Item(old.id, old.hook_id, 0, offset, self.now, old.due, old.place, old.attempts, old.began, old.line)
            self.unfinished[offset] = item
            if item.place >= 0:
                self.dispatch.restore([item], {})
            else:
                item.job = job(delivery_id=item.id, hook_id=item.hook_id)
                self._take(item)

    def in_memory(self) -> int:
        """What the lanes believe only memory holds."""
        return sum(lane.in_memory for lane in self.dispatch._lanes.values())

    def finish(self) -> None:
        """Every endpoint is well and time goes on: whatever came in has to end."""
        for name, current in self.hooks.items():
            if not current.sends:
                self.put(int(name))
        for _ in range(100 * (len(self.unfinished) + 10)):
            self.park()
            for flight in list(self.flights):
                if not flight.answered:
                    self.answer(flight, False if flight.posts else None)
                self.land(flight)
            if not self.run() and not self.parking:
                at = self.dispatch.next_at()
                if at is None:
                    break
                self.now = at
        assert not self.unfinished, f"lost: {sorted(self.unfinished)}"
        assert len(set(self.ended)) == len(self.ended)
        assert self.in_memory() == 0
        assert self.dispatch.states()["waiting"] == 0
        self.now += math.ceil(3_600_000 * 1.1)
        self.run()
        assert self.dispatch.overdue(self.now) == []
        for name, lane in self.dispatch._lanes.items():
            assert name in self.hooks, "a lane that nothing depends on"
            assert lane.breaker.state != "closed", "a lane that nothing depends on"
