"""The router's rule: one record of an event's topic in, the records to produce out.

Either one job for each hook that wants the event, or one dead letter, or nothing when nobody wants it. The
same record against the same hooks gives the same bytes, whoever computes them and whenever. What happened to a
hook is told to others and never to itself: who cannot be reached need not be told so.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from streams.core import deadletters, events, jobs
from streams.core.catalogue import OPERATIONAL, Catalogue
from streams.core.hooks import HookIndex, Known
from streams.core.records import DeadLetter, Event, Incoming, Outgoing


class Join(Struct, frozen=True):
    """What a join needs besides the record: the events there are, the cluster's id, topic names, the hooks."""

    catalogue: Catalogue
    cluster: str
    topics: Mapping[str, str]
    hooks: HookIndex

    def records(self, record: Incoming, now_ms: int) -> list[Outgoing]:
        """Jobs, or a dead letter. `now_ms` dates the dead letter and nothing else."""
        event = events.read(record, self.catalogue, self.cluster, self.topics)
        if isinstance(event, DeadLetter):
            return [deadletters.bury(event, now_ms)]
        return [jobs.make(event, known) for known in self._wanted_by(event)]

    def _wanted_by(self, event: Event) -> Iterable[Known]:
        wanting = self.hooks.wanting(event.tenant, event.name)
        if event.name in OPERATIONAL:
            about = _about(event)
            wanting = [known for known in wanting if known.hook.id not in about]
        if not any(known.hook.delivery.filter for known in wanting):
            return wanting
        decoded = _decoded(event.payload)
        return [known for known in wanting if known.accepts(decoded)]


def _about(event: Event) -> set[Any]:
    """The hook that an operational event tells of: the record's key, and `data.hookId`, which should be the same."""
    data = _decoded(event.payload).get("data")
    told = data.get("hookId") if isinstance(data, dict) else None
    return {(event.key or b"").decode("utf-8", "replace"), told if isinstance(told, str) else None}


def _decoded(payload: bytes) -> Any:
    """What filters look at. In a payload with a number beyond Python's range (1e400), all numbers are doubles."""
    try:
        return msgspec.json.decode(payload)
    except msgspec.ValidationError:
        return json.loads(payload, parse_int=float)
