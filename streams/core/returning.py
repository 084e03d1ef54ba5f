"""Putting a dead letter's original back on its topic: what may go back, and whether it would be refused again."""

from collections.abc import Mapping

from msgspec import Struct

from streams.core import catalogue, events, jobs, sealed_letters
from streams.core.deadletters import Buried
from streams.core.hooks import HookRules
from streams.core.records import Coordinates, DeadLetter, Outgoing
from streams.core.versions import REPLACES, WHY

CONFIG = "hooks.config"


class Desk(Struct, frozen=True):
    """What an original is held against.

    `topics` by their names on the cluster; `latest` says where the last record of each hook lies.
    """

    topics: Mapping[str, str]
    rules: HookRules
    latest: Mapping[str, Coordinates]

    def obstacle(self, letter: Buried) -> str | None:
        """Why the original must not go back; None when it may."""
        original = letter.original
        if letter.truncated_from is not None:
            return f"only a part of it was kept: it had {letter.truncated_from} bytes"
        if original.at.topic not in self.topics:
            return f"{original.at.topic!r} is no topic of this line"
        if self.topics[original.at.topic] != CONFIG:
            return None
        if sealed_letters.is_closed(letter):
            return "it is sealed under a master key that HOOKLINE_MASTER_KEYS does not have"
        last = self.latest.get((original.key or b"").decode("utf-8", "replace"))
        if last is None:
            return (
                "hooks.config holds nothing of this hook any more, so it was deleted: `hookline hook put` makes it anew"
            )
        if last.offset > original.at.offset:
            return "the hook has a later record, which this would replace"
        return self.refusal(letter)

    def refusal(self, letter: Buried) -> str | None:
        """Why the original would become a dead letter again, by the settings here; None when it would not."""
        original = letter.original
        name = self.topics[original.at.topic]
        found: object = None
        if name == CONFIG:
            found = self.rules.read(original)
        elif name in catalogue.TOPICS:
            found = events.read(original, self.rules.catalogue, "", self.topics)
        elif name == jobs.TOPIC:
            found = jobs.read(original)
        return f"{found.reason}: {found.detail}" if isinstance(found, DeadLetter) else None

    def original(self, letter: Buried) -> Outgoing:
        """The record as it was, for the partition that it was in."""
        one = letter.original
        name = self.topics[one.at.topic]
        # What it was to replace may have been written again since: with that header it would not count.
        ours = (REPLACES, WHY) if name == CONFIG else ()
        return Outgoing(
            topic=name,
            key=one.key,
            value=one.value,
            headers=tuple(header for header in one.headers if header[0] not in ours),
            partition=one.at.partition,
        )
