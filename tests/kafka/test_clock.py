"""The brokers' clock as a sender reads it: right from the start, and without jumps."""

from hypothesis import given
from hypothesis import strategies as st

from streams.kafka import admin, topics
from streams.kafka.clock import SLEW, BrokersClock
from streams.kafka.publisher import Publisher, publisher
from streams.settings import Settings
from streams.wiring import now_ms as wall_ms

HOUR_MS = 3_600_000


async def test_a_wrong_clock_of_ones_own_is_found_out_and_not_used(settings: Settings) -> None:
    """The broker is on this machine, so its clock is ours; the given one is an hour ahead."""
    await admin.apply(settings)
    async with publisher(settings) as out:
        right = BrokersClock(out, wall_ms)
        await right.ask()
        wrong = BrokersClock(out, lambda: wall_ms() + HOUR_MS)
        ahead = await wrong.ask()
        assert HOUR_MS - 1000 < ahead < HOUR_MS + 60_000
        assert abs(wrong() - right()) < 1000


async def test_until_a_broker_has_stamped_a_record_the_given_clock_counts(settings: Settings) -> None:
    """As on a topic that stamps by the producer's clock, which `topic apply` mends."""
    assert settings.topic_prefix + topics.RETRIES
    assert BrokersClock(Publisher(None, ""), lambda: 42)() == 42


@given(st.lists(st.tuples(st.floats(0.001, 10), st.integers(-5000, 5000)), min_size=1))
def test_it_never_jumps_whatever_later_stamps_say(samples: list[tuple[float, int]]) -> None:
    """Two readings are as far apart as the time between them, but for a thousandth."""
    now, out = [100.0], Publisher(None, "")
    clock = BrokersClock(out, lambda: 0, lambda: now[0])
    clock._ahead, clock._moved = 1_790_000_000_000.0, now[0]
    before, began = clock(), now[0]
    for passed, off in samples:
        now[0] += passed
        out.stamped = (int(1_790_000_000_000 + now[0] * 1000) + off, now[0])
        after, spent_ms = clock(), (now[0] - began) * 1000
        assert abs((after - before) - spent_ms) <= spent_ms * SLEW + 2
        before, began = after, now[0]
