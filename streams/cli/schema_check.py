"""Would Hookline take this record? Asked of the very functions that read it in earnest, so the verdicts cannot differ.

They know more than a JSON Schema can say: where a URL may point, which headers a hook may set, how large a body is.
"""

import msgspec
from msgspec import Struct

from streams.cli.schema_documents import entries
from streams.core import egress, events, jobs
from streams.core.catalogue import OPERATIONS, Catalogue
from streams.core.errors import UNREADABLE
from streams.core.hooks import HookRules
from streams.core.records import Coordinates, DeadLetter, Incoming
from streams.settings import Settings

NOWHERE = Coordinates("stdin", 0, 0)


class Verdict(Struct, frozen=True):
    """Nothing when the record would be taken; else the fixed reason it would be refused for, and one sentence."""

    reason: str | None = None
    detail: str = ""


VALID = Verdict()


def verdict(name: str, text: bytes, settings: Settings) -> Verdict:
    """The verdict on a record's JSON text; `name` is one of `streams.cli.schema_documents.documents()`."""
    match name:
        case "identity-event":
            return _event(text, Catalogue(settings.extra_events))
        case "hook":
            return _hook(text, HookRules(Catalogue(settings.extra_events), egress.networks(settings.allow_networks)))
        case "job":
            return _job(text)
        case _:
            return _typed(entries()[name].type, text)


def _event(text: bytes, catalogue: Catalogue) -> Verdict:
    """As on the topic that the event belongs to; which topic it came from is not known here."""
    found = [
        _judged(events.read(_record(text, topic=topic), catalogue, "", {topic: topic}))
        for topic in sorted({*catalogue.topics.values()} - {OPERATIONS})
    ]
    return min(found, key=lambda one: (one.reason is not None, one.reason == "wrong-topic"))


def _hook(text: bytes, rules: HookRules) -> Verdict:
    """As under the key that its own id gives it."""
    try:
        key = msgspec.json.decode(text, type=_WithId).id.encode()
    except UNREADABLE:
        key = b""
    return _judged(rules.read(_record(text, key=key)))


def _job(text: bytes) -> Verdict:
    try:
        headers = msgspec.json.decode(text, type=dict[str, str])
    except UNREADABLE as error:
        return Verdict("bad-job", str(error))
    named = tuple((name, value.encode()) for name, value in headers.items())
    return _judged(jobs.read(Incoming(at=NOWHERE, key=b"0" * 21, value=b"{}", headers=named)))


def _typed(type_: type[Struct], text: bytes) -> Verdict:
    try:
        msgspec.json.decode(text, type=type_)
    except msgspec.ValidationError as error:
        return Verdict("invalid", str(error))
    except UNREADABLE as error:
        return Verdict("not-json", str(error))
    return VALID


class _WithId(Struct):
    id: str


def _record(text: bytes, topic: str = "", key: bytes = b"") -> Incoming:
    return Incoming(at=Coordinates(topic, 0, 0), key=key, value=text.strip())


def _judged(found: object) -> Verdict:
    return Verdict(found.reason, found.detail) if isinstance(found, DeadLetter) else VALID
