"""`hooks.health` for commands: the latest report of every hook."""

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from streams.core.errors import UNREADABLE
from streams.core.records import Incoming, Report
from streams.kafka import reader, topics
from streams.settings import Settings

_decoder = msgspec.json.Decoder(Report)


def take(reports: dict[str, Report], records: Iterable[Incoming]) -> None:
    """Apply records in order to the reports by hook id; a null removes.

    A report that nobody can read leaves the one before it in place: the health role tells of it and writes another.
    """
    for record in records:
        hook_id = (record.key or b"").decode("utf-8", "replace")
        if record.value is None:
            reports.pop(hook_id, None)
            continue
        with suppress(*UNREADABLE):
            reports[hook_id] = _decoder.decode(record.value)


async def read(settings: Settings) -> dict[str, Report]:
    """The reports as they are now, by hook id. Raises TopicsUnfit when the topic does not exist."""
    partitions = await reader.partitions(settings, [settings.topic_prefix + topics.HEALTH])
    reports: dict[str, Report] = {}
    take(reports, [record async for record in reader.to_end(settings, dict.fromkeys(partitions, -1))])
    return reports
