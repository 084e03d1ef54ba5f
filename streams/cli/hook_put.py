"""`hookline hook put`: whole hook records as an operator's own tooling writes them, checked before any is written."""

from collections.abc import Sequence
from typing import BinaryIO

import click
import msgspec

from streams.cli import hook_urls, inputs
from streams.cli.output import output_option, run, settings, show, tell
from streams.core.errors import UNREADABLE

COLUMNS = ("id", "action", "topic", "partition", "offset")


class _Config(msgspec.Struct):
    url: str


class _Named(msgspec.Struct):
    id: str = ""


class _Placed(msgspec.Struct):
    config: _Config


@click.command()
@click.argument("source", metavar="[FILE|-]", type=click.File("rb"), default="-")
@click.option("--dry-run", is_flag=True, help="Check, write nothing.")
@output_option
def put(source: BinaryIO, dry_run: bool, output: str) -> None:
    """Write whole hook records.

    FILE, or stdin, holds one JSON object, or one a line. Each is checked as every role checks it; if any is refused,
    all reasons are told and none is written. A record takes the place of the one with its id.

    \b
    Example:
      hookline hook put --dry-run hooks.jsonl && hookline hook put hooks.jsonl
    """
    from streams.kafka import hook_records
    from streams.kafka.answers import answered

    ours = settings()
    records = [(_id(text), text) for text in inputs.objects(source)]
    rules = hook_records.rules(ours)
    _refuse([hook_records.refusal(rules, hook_id, text) for hook_id, text in records])
    _refuse(hook_urls.refusals(ours, [msgspec.json.decode(text, type=_Placed).config.url for _, text in records]))
    if dry_run:
        rows = [{"id": hook_id, "action": "would put"} for hook_id, _ in records]
    else:
        places = run(answered(ours, hook_records.write(ours, records)))
        rows = [{"id": key, "action": "put", **at._asdict()} for (key, _), at in zip(records, places, strict=True)]
    show(rows, output, COLUMNS)
    if ours.log_level != "error":
        tell(f"{'would put' if dry_run else 'put'} {len(rows)} hooks")


def _refuse(refusals: Sequence[str | None]) -> None:
    problems = [f"hook {number}: {problem}" for number, problem in enumerate(refusals, 1) if problem]
    inputs.refuse(problems, len(refusals), "nothing was written")


def _id(text: bytes) -> str:
    """The record's id; whatever is wrong with a record that has none is told by the rules."""
    try:
        return msgspec.json.decode(text, type=_Named).id
    except UNREADABLE:
        return ""
