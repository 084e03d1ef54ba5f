"""Who goes next, of all the lanes of a process: round-robin between hooks that can go, within the slots there are.

A process never waits on one hook: a lane that cannot go now is not asked again before something changed or its time
came. Some slots are kept for first attempts of hooks that are well (DESIGN 8).
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from streams.core.hooks import Known
from streams.core.lane import Lane, Limits
from streams.core.pending import Item

NEEDS_RETRY_MS = 20
"""How soon a lane is asked again whose hook the view does not know yet."""

TIMERS_MIN = 64
"""Alarms that were overtaken by earlier ones are thrown out when they outnumber the lanes by this."""

Version = tuple[int, int]


class Dispatch:
    """All unfinished jobs of a process by hook. `reached` tells whether the view has read a version of a hook."""

    def __init__(
        self, limits: Limits, needs_ms: int, hooks: Mapping[str, Known], reached: Callable[[Version], bool]
    ) -> None:
        self.flying = 0
        self.retries = 0
        self._limits = limits
        self._needs_ms = needs_ms
        self._hooks = hooks
        self._reached = reached
        self._lanes: dict[str, Lane] = {}
        self._ring: deque[str] = deque()
        self._ringing: set[str] = set()
        self._starved: dict[str, None] = {}
        self._timers: list[tuple[int, str]] = []
        self._returning: set[Item] = set()

    def take(self, item: Item, version: Version, now: int) -> bool:
        """A job came; False when it has to be parked now, because its lane holds enough."""
        lane = self._lane(item)
        if not self._reached(version) and (lane.needs is None or version > lane.needs):
            lane.needs, lane.needs_until = version, now + self._needs_ms
        item.expired = lane.pending >= self._limits.pending
        parking = not item.expired and lane.in_memory >= self._limits.queue
        lane.add(item, parking)
        self._call(item.hook_id)
        return not parking

    def restore(self, items: Iterable[Item], holds: Mapping[str, int]) -> None:
        """Jobs that wait on `hooks.retries`, and until when hooks were asked to be left alone."""
        for item in sorted(items, key=lambda item: item.offset):
            lane = self._lane(item)
            lane.add(item)
            lane.restored(holds.get(item.hook_id, 0))
            self._call(item.hook_id)

    def follow(self, item: Item) -> None:
        """A job that another flight of this process still has on the wire: it takes its place in line and waits."""
        self._lane(item).add(item, parking=True)

    def followed(self, item: Item, ended: bool) -> None:
        """That flight is over: the job has ended with it, or may go."""
        lane = self._lane(item)
        if ended:
            lane.drop(item)
        else:
            lane.back(item)
        self._call(item.hook_id)

    def start(self, now: int) -> Item | None:
        """The next job that goes, None when none may. Its slot is taken until `landed`."""
        while self._timers and self._timers[0][0] <= now:
            self._rung(*heapq.heappop(self._timers))
        while self._ring and self.flying < self._limits.in_flight:
            hook_id = self._ring.popleft()
            self._ringing.discard(hook_id)
            item = self._from(hook_id, now)
            if item is not None:
                self._call(hook_id)  # behind all others
                self.flying += 1
                self.retries += item.second
                return item
            self._feed()
        return None

    def next_at(self) -> int | None:
        """When `start` may have something that it has not now, if nothing else happens."""
        return self._timers[0][0] if self._timers else None

    def answered(self, item: Item, now: int, failed: bool | None, hold_until: int = 0) -> bool:
        """A request is over; True when it overtook an earlier job of its line, should it end now."""
        lane = self._lane(item)
        lane.answered(item, now, failed, hold_until)
        self._call(item.hook_id)
        return lane.overtook(item)

    def landed(self, item: Item) -> None:
        """What a job's attempt led to is durable: its slot is free."""
        self.flying -= 1
        self.retries -= item.second
        self._feed()
        if item in self._returning:
            self._returning.discard(item)
            self._lane(item).again(item)
            self._call(item.hook_id)

    def again(self, item: Item) -> None:
        """It waits on `hooks.retries` for its next attempt; it may go when it has landed, however soon that is due."""
        self._returning.add(item)

    def parked(self, item: Item) -> None:
        """It waits on `hooks.retries` for its hook."""
        self._lane(item).parked(item)
        self._call(item.hook_id)

    def ended(self, item: Item) -> None:
        """Its outcome is durable."""
        self._lane(item).end(item)
        self._call(item.hook_id)

    def changed(self, hook_id: str) -> None:
        """The hook's record changed."""
        if hook_id in self._lanes:
            self._call(hook_id)

    def overdue(self, now: int) -> list[Item]:
        """Jobs that did not go in time and have to be parked. Lanes that nothing depends on are dropped."""
        late = [item for lane in self._lanes.values() for item in lane.unstarted(now - self._limits.park_ms)]
        for hook_id, lane in list(self._lanes.items()):
            if lane.quiet(now) or (lane.empty and hook_id not in self._hooks):
                del self._lanes[hook_id]
        return late

    def unstarted(self, partition: int, now: int) -> list[Item]:
        """All jobs of a partition that only memory holds and that did not go; they have to be parked."""
        mine = [lane for lane in self._lanes.values() if lane.partition == partition]
        return [item for lane in mine for item in lane.unstarted(now)]

    def states(self) -> dict[str, int]:
        """How many lanes have their breaker closed, open and half-open, and how many jobs wait."""
        found = {"closed": 0, "open": 0, "half-open": 0, "waiting": 0}
        for lane in self._lanes.values():
            found[lane.breaker.state] += 1
            found["waiting"] += lane.pending
        return found

    def clear(self) -> None:
        """Forget all lanes, for others own the partitions. Slots of jobs under way stay taken until they land."""
        self._lanes, self._ring, self._timers, self._starved = {}, deque(), [], {}
        self._ringing, self._returning = set(), set()

    def _from(self, hook_id: str, now: int) -> Item | None:
        lane = self._lanes.get(hook_id)
        if lane is None:
            return None
        if lane.needs and not self._reached(lane.needs) and now < lane.needs_until:
            self._alarm(lane, min(now + NEEDS_RETRY_MS, lane.needs_until))
            return None
        lane.needs, known = None, self._hooks.get(hook_id)
        lane.adapt(known)
        item = lane.pick(now, known, self.retries < self._limits.retries)
        if item is not None:
            lane.begin(item, now, known is not None and known.sends)
        elif lane.starved:
            self._starved[hook_id] = None
        if item is None and lane.wake is not None:
            self._alarm(lane, lane.wake)
        return item

    def _feed(self) -> None:
        """Call the lane that has waited longest for a retry's slot, if there is one; it need not take it."""
        if self._starved and self.retries < self._limits.retries:
            hook_id = next(iter(self._starved))
            del self._starved[hook_id]
            self._call(hook_id)

    def _alarm(self, lane: Lane, at: int) -> None:
        """Ask a lane again at a time; once, however often it says so.

        Only the earliest alarm of a lane counts: when it rings, the lane says what it waits for then.
        """
        if lane.alarm is not None and lane.alarm <= at:
            return
        lane.alarm = at
        heapq.heappush(self._timers, (at, lane.hook_id))
        if len(self._timers) > 2 * len(self._lanes) + TIMERS_MIN:
            self._timers = [(lane.alarm, name) for name, lane in self._lanes.items() if lane.alarm is not None]
            heapq.heapify(self._timers)

    def _rung(self, at: int, hook_id: str) -> None:
        lane = self._lanes.get(hook_id)
        if lane is not None and lane.alarm == at:
            lane.alarm = None
            self._call(hook_id)

    def _lane(self, item: Item) -> Lane:
        lane = self._lanes.get(item.hook_id)
        if lane is None:
            lane = self._lanes[item.hook_id] = Lane(item.hook_id, item.partition, self._limits)
            lane.adapt(self._hooks.get(item.hook_id))
        return lane

    def _call(self, hook_id: str) -> None:
        if hook_id not in self._ringing:
            self._ringing.add(hook_id)
            self._ring.append(hook_id)
