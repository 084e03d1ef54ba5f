"""Hooks as scenarios need them, and how their endpoints behave."""

from collections.abc import Callable
from zlib import crc32

from tests.faults.facts import Watched
from tests.faults.receiver import Behaviour, Manner, Receiving, always

FLAKY, ORDERED = 7, 8
SLOW = Manner(delay_s=0.005)


def mixture() -> list[Watched]:
    """Two that share a tenant, four by themselves, one that fails now and then, and one in the order of keys."""
    waits = (0.5, 1.0, 1.0, 2.0, 2.0)
    return [
        *(Watched(number=number, tenant="both", healthy=True) for number in (1, 2)),
        *(Watched(number=number, healthy=True) for number in (3, 4, 5, 6)),
        Watched(number=FLAKY, waits=waits),
        Watched(number=ORDERED, waits=waits, delivery={"ordering": "key"}),
    ]


def behave(receiver: Receiving, hooks: list[Watched]) -> None:
    """All take their 5 ms; the flaky one and the ordered one refuse some at first."""
    for watched in hooks:
        receiver.behaviours[watched.path] = always(SLOW)
    for number in (FLAKY, ORDERED):
        receiver.behaviours[Watched(number=number).path] = some(5, 1)


def some(every: int, times: int) -> Behaviour:
    """Answer 500 to the first attempts of every so manieth delivery; far too few to open a breaker."""
    refused = Manner(status=500, delay_s=0.005)
    return lambda id_, number: refused if number <= times and crc32(id_.encode()) % every == 0 else SLOW


def counted(count: int, manner: Callable[[], Manner]) -> Behaviour:
    """So for the first requests of the hook, whatever their ids; well for the others."""
    left = count

    def behaviour(_: str, __: int) -> Manner:
        nonlocal left
        left -= 1
        return manner() if left >= 0 else SLOW

    return behaviour
