"""Whatever happens to hooks, endpoints and the clock: the laws of `World` hold at every start, and nothing is lost."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.core.dispatching import World

HOOKS = st.integers(1, 3)
URLS = st.sampled_from(["https://a.example/", "https://b.example/"])
RATES = st.none() | st.builds(
    lambda n, ms: {"limit": n, "periodMs": ms}, st.integers(1, 3), st.sampled_from([500, 5000])
)
ORDERS = st.sampled_from(["none", "none", "key", "strict"])
WAITS = st.sampled_from([0, 1, 1000, 5000, 90_000])
FIRST = 10**9


class Laws(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.put(1, maxInFlight=3)

    @rule(
        number=HOOKS,
        url=URLS,
        keep=st.booleans(),
        state=st.sampled_from([{}, {}, {}, {"enabled": False}, {"locked": "no key opens it"}]),
        ordering=ORDERS,
        most=st.integers(1, 4),
        rate=RATES,
    )
    def change(
        self, number: int, url: str, keep: bool, state: dict[str, Any], ordering: str, most: int, rate: Any
    ) -> None:
        self.world.put(number, url, keep, **state, ordering=ordering, maxInFlight=most, rateLimit=rate)
        self.run()

    @rule(number=HOOKS)
    def delete(self, number: int) -> None:
        self.world.delete(number)
        self.run()

    @rule(
        number=HOOKS,
        keys=st.lists(st.sampled_from([b"u1", b"u1", b"u2", None]), min_size=1, max_size=8),
        ahead=st.sampled_from([0, 0, 0, 0, 1]),
    )
    def arrive(self, number: int, keys: list[bytes | None], ahead: int) -> None:
        for key in keys:
            self.world.arrive(number, key, ahead)
        self.run()

    @rule(ms=st.sampled_from([1, 20, 300, 1000, 6000, 31_000, 61_000, 700_000]))
    def wait(self, ms: int) -> None:
        self.world.now += ms
        self.run()

    @rule(ms=st.sampled_from([1, 7, 100]))
    def clock_jitters(self, ms: int) -> None:
        """The brokers' clock is read off stamps that arrive more or less late."""
        self.world.now -= ms
        self.run()

    @rule()
    def wait_for_the_alarm(self) -> None:
        at = self.world.dispatch.next_at()
        if at is not None:
            self.world.now = at
        self.run()

    @precondition(lambda self: any(not flight.answered for flight in self.world.flights))
    @rule(
        number=st.integers(0, 9),
        failed=st.sampled_from([True, True, False, None]),
        wait=st.none() | WAITS,
        hold=st.sampled_from([0, 0, 10_000]),
        soon=st.booleans(),
    )
    def answer(self, number: int, failed: bool | None, wait: int | None, hold: int, soon: bool) -> None:
        under_way = [flight for flight in self.world.flights if not flight.answered]
        flight = under_way[number % len(under_way)]
        if not flight.posts:
            self.world.answer(flight, None)
        elif failed:
            self.world.answer(flight, True, None if wait is None else max(wait, hold), hold)
        else:
            self.world.answer(flight, failed)
        if soon:
            self.world.land(flight)
        self.run()

    @rule(wait=WAITS)
    def everything_fails(self, wait: int) -> None:
        for _ in range(12):
            for flight in [flight for flight in self.world.flights if flight.posts and not flight.answered]:
                self.world.fails(flight, wait)
            self.world.untried()
            self.run()

    @precondition(lambda self: any(flight.answered for flight in self.world.flights))
    @rule(number=st.integers(0, 9))
    def land(self, number: int) -> None:
        landing = [flight for flight in self.world.flights if flight.answered]
        self.world.land(landing[number % len(landing)])
        self.run()

    @rule()
    def tend(self) -> None:
        self.world.tend()
        self.run()

    @rule()
    def pause(self) -> None:
        self.world.parking += self.world.dispatch.unstarted(0, self.world.now)
        self.run()

    @rule()
    def parked(self) -> None:
        self.world.park()
        self.run()

    @rule()
    def rebalance(self) -> None:
        self.world.rebalance()
        self.run()

    def run(self) -> None:
        self.world.run()

    def teardown(self) -> None:
        self.world.finish()


Laws.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestLaws = Laws.TestCase
