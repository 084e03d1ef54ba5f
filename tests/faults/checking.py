"""Turns what a scenario noted into its row and the list of invariants it breaks. Pure: no clock, no I/O.

I1 one outcome per job. I3 more POSTs than attempts only for jobs in flight at a crash, never after the outcome.
I4 healthy latency. I6 the same bytes. I8 no retry before its time. I9 order of keys. The others are looked at where
they can be seen, by the scenarios.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from msgspec import Struct, field

from tests.faults.facts import Arrival, Ended, Facts, Span, Wanted, Watched

EARLIEST = 0.8
"""The shortest wait there may be, as a share of the schedule's: jitter is ±20 %."""

CLOCK_S = 0.03
"""Two processes look at the clock at different moments of the same answer, and due times have whole milliseconds."""

OUTCOME_S = 3.0
"""Between an answer and its outcome, or its retry record, being durable on a busy machine."""

ON_THE_WIRE_S = 0.5
"""Between an answer going out here and the sender having stopped sending to its hook."""

NOTED_S = 0.5
"""A request that was on the wire when its sender died is read, and noted, a little later."""

RESENT_S = 1.0
"""A reused connection that dies within this time is tried once more at once, as the same attempt (CONTRACT 5)."""

NO_ANSWER_S = 30.0
"""The longest a request without an answer can be in flight."""

HELD_BACK_S = 60.0
"""How long a failing event holds back its key (CONTRACT 4)."""

SLOWER, SLOWER_MS = 1.5, 50.0
"""A healthy p99 may be this many times the undisturbed one, or so many milliseconds more: machines have noise."""

SHOWN = 3
"""Ids that a complaint names."""

NEVER_ARRIVED = {"dns", "connect", "tls", "blocked"}
"""Attempts with these errors never reached the receiver."""


class Latency(Struct, frozen=True):
    """Publish to arrival at the healthy hooks, in milliseconds."""

    p50: float
    p99: float


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table. `recovery_s` is from the end of the fault until all published before had its outcome."""

    fault: str
    events: int = 0
    outcomes: int = 0
    records: int = 0
    lost: int = 0
    duplicated: int = 0
    early: int = 0
    out_of_order: int = 0
    undisturbed: Latency | None = None
    disturbed: Latency | None = None
    recovery_s: float = 0.0
    broken: list[str] = field(default_factory=list)


def check(facts: Facts) -> Row:
    """The row of a scenario."""
    expected = {job.id: job for job in facts.wanted}
    arrivals, outcomes = _by_id(facts.arrivals), _first(facts.ended)
    lost = sorted(expected.keys() - outcomes.keys())
    extra = _repeated(arrivals, outcomes)
    early = _early(facts, expected, arrivals, extra)
    crossed = _out_of_order(facts, expected, arrivals, outcomes)
    before, during = _latency(facts, arrivals, facts.undisturbed), _latency(facts, arrivals, facts.disturbed)
    broken = [
        *_said("I1", lost, "without an outcome"),
        *_said("I1", sorted(outcomes.keys() - expected.keys()), "with an outcome that nobody asked for"),
        *_said("I1", _more_than_one(facts.ended), "with more than one outcome"),
        *_said("I3", _never_posted(arrivals, outcomes), "delivered without an arrival"),
        *_said("I3", _unexcused(facts, arrivals, extra), "POSTed again though not in flight at a crash"),
        *_said("I3", _after_end(arrivals, outcomes), "POSTed after the outcome was durable"),
        *_said("I6", [id_ for id_, all_ in arrivals.items() if len({a.body for a in all_}) > 1], "of unequal bytes"),
        *_said("I8", early, "retried before the time"),
        *_said("I8", _not_held(arrivals), "POSTed while Retry-After held the hook"),
        *_said("I9", crossed, "arrived before the event before it in its key had ended"),
        *(_slower(before, during) if facts.compare else ()),
        *facts.problems,
    ]
    return Row(
        fault=facts.fault,
        events=len(expected),
        outcomes=len(outcomes),
        records=len(facts.ended),
        lost=len(lost),
        duplicated=sum(extra.values()),
        early=len(early),
        out_of_order=len(crossed),
        undisturbed=before,
        disturbed=during,
        recovery_s=_recovery(facts, outcomes),
        broken=broken,
    )


def _said(invariant: str, found: list[str], words: str) -> Iterable[str]:
    if found:
        names = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        yield f"{invariant}: {len(found)} {words} ({names})"


def _by_id(arrivals: list[Arrival]) -> dict[str, list[Arrival]]:
    found: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in sorted(arrivals, key=lambda arrival: arrival.at):
        found[arrival.id].append(arrival)
    return found


def _first(ended: list[Ended]) -> dict[str, Ended]:
    found: dict[str, Ended] = {}
    for one in ended:
        found.setdefault(one.outcome.id, one)
    return found


def _more_than_one(ended: list[Ended]) -> list[str]:
    counts: dict[str, int] = defaultdict(int)
    for one in ended:
        counts[one.outcome.id] += 1
    return sorted(id_ for id_, count in counts.items() if count > 1)


def _never_posted(arrivals: dict[str, list[Arrival]], outcomes: dict[str, Ended]) -> list[str]:
    return sorted(id_ for id_, one in outcomes.items() if one.outcome.status == "delivered" and id_ not in arrivals)


def _repeated(arrivals: dict[str, list[Arrival]], outcomes: dict[str, Ended]) -> dict[str, int]:
    """POSTs beyond those that the outcome's attempts explain, by id; what has no outcome is lost, not repeated."""
    found = {}
    for id_, one in outcomes.items():
        explained = sum(attempt.error not in NEVER_ARRIVED for attempt in one.outcome.attempts)
        came = arrivals.get(id_, [])
        resent = sum(_resent(*pair) for pair in pairwise(came))
        if len(came) - resent > explained:
            found[id_] = len(came) - resent - explained
    return found


def _resent(earlier: Arrival, later: Arrival) -> bool:
    died = earlier.reused and earlier.status is None and earlier.answered is not None
    return died and later.at - (earlier.answered or 0) <= RESENT_S


def _excused(facts: Facts, earlier: Arrival, later: Arrival) -> bool:
    """Whether the earlier one may have been in flight at a crash that the later one followed."""
    end = earlier.at + NO_ANSWER_S if earlier.answered is None else earlier.answered + OUTCOME_S
    return any(
        earlier.at - NOTED_S <= span.end and end >= span.begin and later.at >= span.begin for span in facts.unsafe
    )


def _unexcused(facts: Facts, arrivals: dict[str, list[Arrival]], extra: dict[str, int]) -> list[str]:
    return [
        id_ for id_, count in extra.items() if sum(_excused(facts, *pair) for pair in pairwise(arrivals[id_])) < count
    ]


def _after_end(arrivals: dict[str, list[Arrival]], outcomes: dict[str, Ended]) -> list[str]:
    return [id_ for id_, one in outcomes.items() if id_ in arrivals and arrivals[id_][-1].at > one.seen]


def _early(
    facts: Facts, expected: dict[str, Wanted], arrivals: dict[str, list[Arrival]], extra: dict[str, int]
) -> list[str]:
    """Ids of which an attempt came too soon after the answer to the one before."""
    hooks = {watched.id: watched for watched in facts.hooks}
    return [
        id_
        for id_, all_ in arrivals.items()
        if id_ in expected and _any_early(facts, hooks[expected[id_].hook], all_, id_ in extra)
    ]


def _any_early(facts: Facts, watched: Watched, all_: list[Arrival], repeated: bool) -> bool:
    """A repeat after a crash makes it unknown which attempt a later one is: then the first wait is the least."""
    attempt = 0
    for earlier, later in pairwise(all_):
        if _resent(earlier, later) or (repeated and _excused(facts, earlier, later)):
            continue
        wait = watched.waits[0 if repeated else min(attempt, len(watched.waits) - 1)] if watched.waits else 0.0
        attempt += 1
        if later.at - (earlier.answered or earlier.at) < max(EARLIEST * wait, earlier.asked_s) - CLOCK_S:
            return True
    return False


def _not_held(arrivals: dict[str, list[Arrival]]) -> list[str]:
    """Ids that came after an answer with `Retry-After` had asked their hook to wait; some were on the wire by then."""
    by_path: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in sorted((one for all_ in arrivals.values() for one in all_), key=lambda one: one.at):
        by_path[arrival.path].append(arrival)
    found, heard_s = [], ON_THE_WIRE_S
    for all_ in by_path.values():
        holds = [(a.answered + heard_s, a.answered + a.asked_s - CLOCK_S) for a in all_ if a.asked_s and a.answered]
        found += [one.id for one in all_ if any(begin < one.at < end for begin, end in holds)]
    return found


def _out_of_order(
    facts: Facts, expected: dict[str, Wanted], arrivals: dict[str, list[Arrival]], outcomes: dict[str, Ended]
) -> list[str]:
    """Ids of ordered hooks that arrived before the one before them in their key had ended; the source has the order."""
    ordered = {watched.id for watched in facts.hooks if watched.ordered}
    queues: dict[tuple[str, str], list[str]] = defaultdict(list)
    for id_, job in expected.items():
        if job.hook in ordered and id_ in outcomes and id_ in arrivals:
            queues[job.hook, job.key].append(id_)
    found = []
    for queue in queues.values():
        queue.sort(key=lambda id_: outcomes[id_].outcome.source)
        found += [later for earlier, later in pairwise(queue) if _crossed(arrivals[earlier], arrivals[later])]
    return found


def _crossed(earlier: list[Arrival], later: list[Arrival]) -> bool:
    end = max(arrival.answered or arrival.at for arrival in earlier)
    return later[0].at < min(end, earlier[0].at + HELD_BACK_S)


def _latency(facts: Facts, arrivals: dict[str, list[Arrival]], span: Span) -> Latency | None:
    healthy = {watched.id for watched in facts.hooks if watched.healthy}
    took = sorted(
        1000 * (arrivals[job.id][0].at - job.published)
        for job in facts.wanted
        if job.hook in healthy and job.id in arrivals and span.begin <= job.published < span.end
    )
    return Latency(took[len(took) // 2], took[int(len(took) * 0.99)]) if took else None


def _slower(before: Latency | None, during: Latency | None) -> Iterable[str]:
    if before is None or during is None:
        yield "I4: no healthy traffic to compare"
    elif during.p99 > max(SLOWER * before.p99, before.p99 + SLOWER_MS):
        yield f"I4: healthy p99 went from {before.p99:.0f} to {during.p99:.0f} ms"


def _recovery(facts: Facts, outcomes: dict[str, Ended]) -> float:
    end = facts.disturbed.end
    seen = [outcomes[job.id].seen for job in facts.wanted if job.published < end and job.id in outcomes]
    return max(0.0, max(seen, default=end) - end)
