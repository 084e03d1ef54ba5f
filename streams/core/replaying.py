"""Replay: which deliveries a selection takes, in which order they go again, and how far a run has come.

A run sends every chosen delivery once more, under the id and with the bytes that it had. What was chosen follows from
the selection and the records below fixed offsets, so a run that was killed chooses the same when it goes on.
"""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct, field

from streams.core import ids, jobs
from streams.core.errors import InvalidInput
from streams.core.events import read as read_event
from streams.core.hooks import Known
from streams.core.joining import Join
from streams.core.records import Coordinates, Event, Incoming, Job, Ms, Outcome, Outgoing, Status, Wire

CHOSEN_MAX = 100_000
"""Most deliveries of one run: they are held in memory, at about 1 KiB each."""


class Selection(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody asked to have sent again. An empty list lets everything through; `until` itself is not included."""

    ids: list[str] = field(default_factory=list)
    hook: str | None = None
    since: Ms = 0
    until: Ms | None = None
    statuses: list[Status] = field(default_factory=list)
    events: Annotated[list[str], Meta(description="Names, or prefixes of them (`User.*`).")] = field(
        default_factory=list
    )
    from_events: Annotated[bool, Meta(description="From what was published, not from what was delivered.")] = False
    delivered_too: Annotated[bool, Meta(description="With `fromEvents`: also what arrived already.")] = False
    log_end: Annotated[int, Meta(description="With `fromEvents`: where the hook's log ended when the run began.")] = 0

    def fits(self, outcome: Outcome) -> bool:
        """Whether this outcome is of a delivery that was asked for."""
        return (
            (not self.ids or outcome.id in self.ids)
            and self.hook in (None, outcome.hook_id)
            and (not self.statuses or outcome.status in self.statuses)
            and self.covers(outcome.created_at)
            and self.names(outcome.event)
        )

    def covers(self, at_ms: int) -> bool:
        """Whether a time lies in it."""
        return self.since <= at_ms and (self.until is None or at_ms < self.until)

    def names(self, event: str) -> bool:
        """Whether the event was asked for, by its name or a prefix of it."""
        return not self.events or any(
            event.startswith(name[:-1]) if name.endswith("*") else event == name for name in self.events
        )


class Chosen(Struct, frozen=True, kw_only=True):
    """A delivery that goes again. `at` is the record it was chosen by: its outcome, or the event itself (no `job`)."""

    id: str
    hook_id: str
    event: str
    at: Coordinates
    at_ms: int
    source: Coordinates
    job: Coordinates | None = None
    status: Status | None = None
    replayed: bool = False


class Choice:
    """Takes the records of each partition in order, and keeps what the selection wants: every delivery once."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._chosen: dict[str, Chosen] = {}
        self._undelivered_only = bool(selection.statuses) and "delivered" not in selection.statuses

    def outcome(self, outcome: Outcome, at: Coordinates) -> None:
        """Of several outcomes that fit, the newest counts; what was delivered since is left out unless asked for."""
        if self._selection.fits(outcome):
            self._keep(
                Chosen(
                    id=outcome.id,
                    hook_id=outcome.hook_id,
                    event=outcome.event,
                    at=at,
                    at_ms=outcome.created_at,
                    source=outcome.source,
                    job=outcome.job,
                    status=outcome.status,
                    replayed=outcome.replay,
                )
            )
        elif self._undelivered_only and outcome.status == "delivered":
            self.drop(outcome.id)

    def event(self, record: Incoming, made: Outgoing) -> None:
        """The job that a join made of an event; of two events with one id the first counts, as in the line."""
        headers = dict(made.headers)
        chosen = Chosen(
            id=headers["delivery-id"].decode(),
            hook_id=(made.key or b"").decode(),
            event=headers["event"].decode(),
            at=record.at,
            at_ms=record.timestamp,
            source=record.at,
        )
        if chosen.id not in self._chosen and self._selection.names(chosen.event):
            self._keep(chosen)

    def drop(self, delivery_id: str) -> None:
        """Leave a delivery out."""
        self._chosen.pop(delivery_id, None)

    def ordered(self) -> list[Chosen]:
        """All that is kept, by time as far as every partition's own order allows."""
        latest: dict[tuple[str, int], int] = {}
        timed = []
        for chosen in sorted(self._chosen.values(), key=lambda one: one.at):
            partition = chosen.at[:2]
            latest[partition] = max(chosen.at_ms, latest.get(partition, 0))
            timed.append((latest[partition], chosen.at, chosen))
        return [chosen for _, _, chosen in sorted(timed, key=lambda one: one[:2])]

    def _keep(self, chosen: Chosen) -> None:
        self._chosen[chosen.id] = chosen
        if len(self._chosen) > CHOSEN_MAX:
            raise InvalidInput(
                f"these are more than {CHOSEN_MAX} deliveries: take them in parts, by --since and --until"
            )


class Bookmark(Wire, frozen=True, kw_only=True):
    """How far a run has come in one partition, beside the offset to go on from: `done` of `total` are sent."""

    selection: Selection
    end: Annotated[int, Meta(description="Offset where the partition ended when the run began.")]
    total: int
    done: int = 0


def original(chosen: Chosen, record: Incoming | None, run: str) -> Outgoing | None:
    """The chosen delivery's own job once more; None when the record is gone, or is not that job."""
    job = jobs.read(record) if record is not None else None
    if record is None or not isinstance(job, Job) or job.delivery_id != chosen.id:
        return None
    return jobs.again(record, run)


def remade(chosen: Chosen, record: Incoming, run: str, join: Join, known: Known) -> Outgoing | None:
    """The job made anew from its event, byte for byte; None when the record is not the event it was made from."""
    event = read_event(record, join.catalogue, join.cluster, join.topics)
    if not isinstance(event, Event) or ids.delivery_id(event.id, known.hook.id) != chosen.id:
        return None
    first = None if chosen.job is None or chosen.replayed else str(chosen.job.offset).encode()
    return jobs.marked(jobs.make(event, known), run, first)


def tally(chosen: Iterable[Chosen]) -> dict[str, dict[str, int]]:
    """How many there are of each status and each event, the most first; no statuses where events were chosen."""
    counts: dict[str, dict[str, int]] = {"status": {}, "event": {}}
    for one in chosen:
        for name, word in (("status", one.status), ("event", one.event)):
            if word is not None:
                counts[name][word] = counts[name].get(word, 0) + 1
    return {name: dict(sorted(words.items(), key=lambda pair: (-pair[1], pair[0]))) for name, words in counts.items()}
