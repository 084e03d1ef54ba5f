"""A dead letter as the `dlq` commands print it, and what people can do about each reason."""

import base64
import re
from typing import Any

import click

from streams.core.deadletters import Buried
from streams.core.records import Coordinates

ADVICE: dict[str, str] = {
    "not-json": "Upstream must send UTF-8 JSON, nested no deeper than 500 levels; it will be refused again as it is.",
    "not-an-object": "Upstream must send a JSON object; it will be refused again as it is.",
    "missing-event": "Upstream must name the event, in `event` or in ce_type; it will be refused again as it is.",
    "unknown-event": "Declare the event in HOOKLINE_EXTRA_EVENTS for every role, restart the router, then put it back.",
    "wrong-topic": "Upstream must publish the event on its own topic: `hookline event sample --list` has them all.",
    "reserved-field": "Upstream must leave out `hookId`, which Hookline adds.",
    "too-large": "Upstream must send less: a request body has at most 1 MiB.",
    "bad-cloudevent": "Upstream must mend the CloudEvents attributes that the detail names.",
    "bad-tenant": "Upstream must send a tenant-id of 1 to 21 printable ASCII characters, or none.",
    "bad-hook": "The hook's version before it stays in force. Mend the record and write it with `hookline hook put`, "
    "or put this one back once the rules allow it (HOOKLINE_ALLOW_NETWORKS, HOOKLINE_EXTRA_EVENTS).",
    "bad-job": "Something besides the router writes to hooks.deliveries, or an older version does: see who may. The "
    "event is on its own topic; `hookline request replay --from-events` makes its jobs anew.",
    "internal-error": "Please report it, with the detail. Put it back once a version that mends it is running.",
}
"""What to do next, one answer for each reason."""


class Place(click.ParamType):
    """`partition/offset`, or an offset of partition 0, as (partition, offset)."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The two numbers; a usage error for anything else."""
        found = re.fullmatch(r"(?:([0-9]{1,9})/)?([0-9]{1,18})", str(value))
        if found is None:
            self.fail(f"{value!r} is no place: write partition/offset, as `hookline dlq list` does", param, ctx)
        return int(found[1] or 0), int(found[2])


def place(at: Coordinates) -> str:
    """A place on `hooks.dead-letters` as people write it."""
    return f"{at.partition}/{at.offset}"


def summary(letter: Buried) -> dict[str, Any]:
    """A row of `dlq list`, without what was in the record: payloads are about people, hook records hold secrets."""
    return {
        "place": place(letter.at),
        "failedAt": letter.failed_at,
        "reason": letter.reason,
        "source": "/".join(map(str, letter.original.at)),
        "bytes": len(letter.original.value or b""),
        "detail": letter.detail,
    }


def whole(letter: Buried, *, withheld: bool) -> dict[str, Any]:
    """All of a dead letter; without the original's bytes where they are withheld."""
    value = {"withheld": True} if withheld else _text("value", letter.original.value)
    cut = {} if letter.truncated_from is None else {"truncatedFrom": letter.truncated_from}
    return {
        **summary(letter),
        **cut,
        "next": ADVICE.get(letter.reason, "Look at the detail."),
        **_text("key", letter.original.key),
        "headers": [{"name": name, **_text("value", header)} for name, header in letter.original.headers],
        **value,
    }


def _text(name: str, value: bytes | None) -> dict[str, str | None]:
    """Bytes as text under their name if they are UTF-8, else as base64 under a name that says so."""
    try:
        return {name: None if value is None else value.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}Base64": base64.b64encode(value or b"").decode()}
