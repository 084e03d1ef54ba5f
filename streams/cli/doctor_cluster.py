"""What `hookline doctor` asks the brokers: topics, who works on them, hooks, their health, dead letters.

Everything is read, nothing written. That is also why the clocks are not compared: brokers tell the time only by the
stamp on a record that somebody writes, which every sender does when it starts (`clock.ahead` in its log).
"""

import time
from collections import Counter
from collections.abc import Mapping
from functools import partial

from streams.cli.drawing import when
from streams.cli.findings import Finding, counted, ok, problem, warning
from streams.cli.health import STALE_MS
from streams.core import sealing
from streams.core.errors import TopicsUnfit
from streams.kafka import admin, groups, hook_records, reports, topics
from streams.settings import PREFIX, Settings

HOUR_MS = 3_600_000
LATE_MS = 24 * HOUR_MS
NAMED_MAX = 5
"""How many hooks one line names."""

WAITING_MAX = 100_000
"""Records that wait for a role before somebody should look: about a minute of work for the line on two cores."""


async def broker(ours: Settings) -> Finding:
    """Whether brokers answer, and how many there are. Raises BrokerUnreachable when none does."""
    count, cluster = await admin.brokers(ours), await admin.cluster_id(ours)
    return ok(f"{counted(count, 'broker')} of cluster {cluster}, asked at {ours.bootstrap}")


async def fit(ours: Settings) -> Finding:
    """Whether the topics are as every role wants them, and what differs short of that."""
    try:
        await admin.check(ours)
    except TopicsUnfit as error:
        return problem(" ".join(str(error).split()))
    different = [difference.sentence for difference in await admin.plan(ours) if difference.remedy != "choice"]
    if different:
        return warning("; ".join(different), "what can be mended is mended by `hookline topic apply`")
    return ok(f"the {len(topics.TOPICS)} topics fit, and none has other partitions than before")


async def role(name: str, ours: Settings) -> Finding:
    """Whether somebody plays the role, and how many records wait for it."""
    found = await groups.look(ours, name)
    seen = f"{counted(found.members, 'member')}, {counted(found.waiting, 'record')} waiting"
    start = f"start one with `hookline run {name}`"
    if not found.members:
        return problem(seen, start) if found.waiting else warning(seen, start)
    if found.state != "Stable":
        return warning(f"{seen}; the group is {found.state}", "members are joining or leaving: look again in a minute")
    if found.waiting > WAITING_MAX:
        return warning(seen, f"if it does not fall, {start} more, up to the partition count")
    return ok(seen)


async def hooks(ours: Settings) -> Finding:
    """How many hooks are in force, whether the latest record of any is refused, and whether any cannot be opened."""
    found = await hook_records.read(ours)
    off = sum(not stored.hook.enabled for stored in found.in_force.values())
    locked = {hook_id: stored.known.locked for hook_id, stored in found.in_force.items() if stored.known.locked}
    seen = f"{counted(len(found.in_force), 'hook')} in force, {off} disabled"
    if locked:
        return problem(
            f"{seen}; {len(locked)} locked, whose deliveries wait: {_named(locked)}",
            f"give every role the master key that is missing, in {PREFIX}MASTER_KEYS",
        )
    if found.refused:
        return problem(
            f"{seen}; the latest record of {len(found.refused)} is refused: {_named(found.refused)}",
            "the version before stays in force: write a valid record with `hookline hook put`, or delete the hook",
        )
    ring = sealing.ring(ours.master_keys)
    stale = [hook_id for hook_id, stored in found.in_force.items() if not hook_records.is_sealed(stored.value, ring)]
    if stale:
        return warning(f"{seen}; {len(stale)} not sealed under the current master key", "`hookline hook reseal`")
    return ok(seen)


async def health(ours: Settings) -> Finding:
    """How the hooks fare, and whether anybody still looks."""
    found = (await reports.read(ours)).values()
    newest = max((report.updated_at for report in found), default=None)
    counts = Counter(report.status for report in found)
    seen = ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no reports yet"
    if newest is not None and _now() - newest > STALE_MS:
        return warning(f"{seen}; the newest report is of {when(newest)}", "see that `hookline run health` runs")
    if counts["error"]:
        named = ", ".join([report.name for report in found if report.status == "error"][:NAMED_MAX])
        return warning(f"{seen}; fewer than 90 % delivered in 24 hours: {named}", "`hookline health` says why")
    return ok(seen)


async def dead_letters(ours: Settings) -> Finding:
    """How many records nobody could read in the last day."""
    count = await groups.arrived_since(ours, topics.DEAD_LETTERS, _now() - LATE_MS)
    seen = f"{counted(count, 'record')} in the last 24 hours"
    return warning(seen, "`hookline dlq list` says what they were") if count else ok(seen)


ROLES = {name: partial(role, name) for name in topics.READS}
"""The check of each role's group, by the role's name."""


def _named(reasons: Mapping[str, str]) -> str:
    """The first hooks by id, each with its reason."""
    return "; ".join(f"{hook_id}: {reason}" for hook_id, reason in list(reasons.items())[:NAMED_MAX])


def _now() -> int:
    return time.time_ns() // 1_000_000
