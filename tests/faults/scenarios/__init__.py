"""The faults, in the order in which they run: of those side by side, no two that only start processes."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from tests.faults.facts import Facts
from tests.faults.scenarios import (
    asking,
    brokers,
    changes,
    crashes,
    endpoints,
    inputs,
    kills,
    many,
    members,
    restores,
)
from tests.faults.stage import Place


class Fault(Struct, frozen=True):
    """A scenario by its name. `alone`: it compares latencies, so nothing else may run.

    `quick`: it runs inside `make test`; `whole`: it runs in `make faults`.
    """

    name: str
    run: Callable[[Place], Awaitable[Facts]]
    alone: bool = False
    quick: bool = False
    whole: bool = True


FAULTS: tuple[Fault, ...] = (
    Fault("router killed", kills.router),
    Fault("broker down", brokers.down),
    Fault("clock moved", members.clock_moved),
    Fault("every Retry-After", asking.every_form, quick=True),
    Fault("sender killed", kills.sender, quick=True),
    Fault("broker paused", brokers.paused),
    Fault("hooks changed", changes.with_retries_pending, quick=True),
    Fault("senders join and leave", members.join_and_leave),
    Fault("health killed", kills.health),
    Fault("rolling restart", kills.rolling, quick=True),
    Fault("broker killed", brokers.killed),
    *(Fault(f"crash {words}", crashes.at(point)) for point, words in crashes.POINTS.items()),
    Fault("crash at every point", crashes.at(*crashes.POINTS), quick=True, whole=False),
    Fault("duplicate events", inputs.duplicates),
    Fault("poisoned records", inputs.poisoned),
    Fault("compaction in a restore", restores.while_compacting),
    Fault("endpoint hangs", endpoints.hanging, alone=True, quick=True),
    Fault("endpoint drips", endpoints.dripping, alone=True),
    Fault("endpoint resets", endpoints.resetting, alone=True),
    Fault("endpoint closes keep-alive", endpoints.closing, alone=True),
    Fault("endpoint answers 500", endpoints.failing, alone=True),
    Fault("10,000 hooks on one host", many.on_one_host, alone=True),
)
