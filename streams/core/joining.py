"""The router's rule: one record of an identity topic in, the records to produce out.

Either one job for each hook that wants the event, or one dead letter, or nothing when nobody wants it. The
same record against the same hooks gives the same bytes, whoever computes them and whenever.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from streams.core import deadletters, events, jobs
from streams.core.catalogue import Catalogue
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
        if not any(known.hook.delivery.filter for known in wanting):
            return wanting
        decoded = _decoded(event.payload)
        return [known for known in wanting if known.accepts(decoded)]


def _decoded(payload: bytes) -> Any:
    """What filters look at. In a payload with a number beyond Python's range (1e400), all numbers are doubles."""
    try:
        return msgspec.json.decode(payload)
    except msgspec.ValidationError:
        return json.loads(payload, parse_int=float)
