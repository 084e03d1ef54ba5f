"""Reading hook records, and the index that says which hooks want an event.

A record that does not validate becomes a dead letter and the hook's previous version stays in force; a null
deletes (CONTRACT 4). The index is by (tenant, event) with prefixes and `*` expanded when a hook arrives, so
the cost of a join does not grow with the number of hooks.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from streams.core import egress, filters, headers, hook_secrets
from streams.core.catalogue import Catalogue
from streams.core.nesting import TOO_DEEP, is_too_deep
from streams.core.records import DeadLetter, Hook, Incoming
from streams.core.sealing import KeyRing, is_sealed

RECORD_BYTES_MAX = 64 * 1024
"""A hook record of more is a mistake: its largest parts are 8 KiB of headers and a filter of 100 terms."""

SEALED_BYTES_MAX = RECORD_BYTES_MAX + 8 * 1024
"""What it may grow to by being sealed: 60 bytes and a third for each of 24 secrets, 8 KiB in all at most."""

EVENTS_MAX = 100
"""More names than there are events is a mistake, and every name costs an index entry."""

_decoder = msgspec.json.Decoder(Hook)


class Known(Struct, frozen=True):
    """A hook in force: its record with its secrets plain, where that lies in `hooks.config`, and its compiled filter.

    `locked` says why a secret of it cannot be opened. Such a hook gets its events, and they wait: the master key that
    is missing here may come back, and then nothing was lost. `plain` tells whether the record holds a secret that is
    not sealed although it could be.
    """

    hook: Hook
    version: tuple[int, int]
    accepts: filters.Predicate
    locked: str | None = None
    plain: bool = False

    @property
    def sends(self) -> bool:
        """Whether requests may be made for it now."""
        return self.hook.enabled and self.locked is None

    @property
    def keeps(self) -> bool:
        """Whether its jobs may wait, for as long as it does not send."""
        return self.hook.enabled or self.hook.keep_pending


class HookRules(Struct, frozen=True):
    """What a hook is held against: the events there are, the networks opened by the operator, the master keys."""

    catalogue: Catalogue
    allowed: egress.Networks = ()
    ring: KeyRing = KeyRing()

    def read(self, record: Incoming) -> Known | DeadLetter | None:
        """The hook in a record of `hooks.config`; None when the record deletes it."""
        if record.value is None:
            return None
        try:
            written = _decoded(record.value)
            hook, locked = hook_secrets.opened(written, self.ring)
        except (UnicodeDecodeError, RecursionError, msgspec.MsgspecError) as error:
            return DeadLetter(reason="bad-hook", detail=str(error), original=record)
        problems = self._problems_with(hook)
        if record.key != hook.id.encode():
            problems.insert(0, f"the record's key is {(record.key or b'')[:40]!r}, its id {hook.id!r}")
        if problems:
            return DeadLetter(reason="bad-hook", detail="; ".join(problems), original=record)
        version = (record.at.partition, record.at.offset)
        doubled = record.value.count(b'"signingKey"') > 1 + len(written.retired_keys)  # decoders take the last of them
        plain = self.ring.current is not None and (doubled or hook_secrets.is_plain(written))
        return Known(hook, version, filters.compile_filter(hook.delivery.filter), locked, plain)

    def _problems_with(self, hook: Hook) -> list[str]:
        """Every rule a decoded hook breaks, one sentence each; empty when it may be written."""
        # What cannot be opened was judged when it was sealed, and a sealed text is longer than what it holds.
        values = {name: "" if is_sealed(value) else value for name, value in hook.config.headers.items()}
        problems = [*self._event_problems(hook), *headers.problems_with(values)]
        verdict = egress.url_verdict(hook.config.url, self.allowed)
        if not verdict.ok:
            problems.append(f"config.url ({verdict.reason}): {verdict.sentence}")
        try:
            filters.compile_filter(hook.delivery.filter)
        except filters.BadFilter as error:
            problems.append(f"delivery.filter: {error}")
        return problems

    def _event_problems(self, hook: Hook) -> Iterator[str]:
        if len(hook.wants) > EVENTS_MAX:
            yield f"events: more than {EVENTS_MAX} names"
            return
        for pattern in hook.wants:
            problem = self.catalogue.problem_with(pattern)
            if problem:
                yield f"events: {problem}"


def _decoded(value: bytes) -> Hook:
    most = SEALED_BYTES_MAX if b'"sealed:' in value else RECORD_BYTES_MAX
    if len(value) > most:
        raise msgspec.ValidationError(f"the record has {len(value)} bytes, {most} are the most")
    hook = _decoder.decode(value.decode("utf-8"))
    if is_too_deep(value):
        raise msgspec.ValidationError(TOO_DEEP)
    return hook


class HookIndex:
    """The hooks in force, by id and by what they want. Small, mutable, owned by one view.

    `last_off` has the offset of the latest record that had a hook disabled, if the hook ever was and still exists.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.by_id: dict[str, Known] = {}
        self.last_off: dict[str, int] = {}
        self._catalogue = catalogue
        self._wanting: dict[tuple[str, str], dict[str, Known]] = {}

    def put(self, known: Known) -> None:
        """Take a hook's new version in place of its old one."""
        self._forget(known.hook.id)
        self.by_id[known.hook.id] = known
        if known.hook.enabled:
            for event in self._events(known.hook.wants):
                self._wanting.setdefault((known.hook.tenant_id, event), {})[known.hook.id] = known
        else:
            self.last_off[known.hook.id] = known.version[1]

    def remove(self, hook_id: str) -> Known | None:
        """Forget a hook; answers what it was."""
        self.last_off.pop(hook_id, None)
        return self._forget(hook_id)

    def wanting(self, tenant: str, event: str) -> Iterable[Known]:
        """Enabled hooks of the tenant that named the event, before their filters."""
        return self._wanting.get((tenant, event), {}).values()

    def _forget(self, hook_id: str) -> Known | None:
        old = self.by_id.pop(hook_id, None)
        if old is not None and old.hook.enabled:
            for event in self._events(old.hook.wants):
                self._wanting[old.hook.tenant_id, event].pop(hook_id, None)
        return old

    def _events(self, patterns: list[str]) -> set[str]:
        return {event for pattern in patterns for event in self._catalogue.named_by(pattern)}
