"""Printing records as they arrive: one flushed line each, a heading where a person looks, until Ctrl-C."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import click

from streams.cli.drawing import COLOURS, console, printable
from streams.cli.output import line, tell
from streams.core.records import Incoming
from streams.settings import Settings

Row = Mapping[str, Any]

Columns = Mapping[str, int]
"""Names of columns with their least width; below zero they are aligned to the right."""

COLOURED = "result"
"""The column whose words have colours."""

stream_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "jsonl"]),
    default="table" if sys.stdout.isatty() else "jsonl",
    show_default="table on a terminal, else jsonl",
    help="How to print.",
)


async def follow(
    settings: Settings, batches: AsyncIterator[list[Incoming]], show: Callable[[Incoming], bool], limit: int | None
) -> None:
    """Hand every record to `show`, which says whether it printed it; end after `limit` printed ones."""
    printed = 0
    async for batch in batches:
        if not batch and settings.log_level != "error":
            tell("following; Ctrl-C ends it")
        for record in batch:
            printed += show(record)
            if printed == limit:
                return


def printer(output: str, columns: Columns) -> Callable[[Row], None]:
    """What prints one row: as a line of JSON, or in columns under a heading, which is printed now."""
    if output == "jsonl":
        return line
    colours = {} if console().no_color else COLOURS
    click.echo(_padded(columns, {name: name for name in columns}, colours))
    return lambda row: click.echo(_padded(columns, row, colours))


def _padded(columns: Columns, row: Row, colours: Mapping[str, str]) -> str:
    cells = []
    for name, width in columns.items():
        text = printable(row[name])
        cell = text.ljust(width) if width > 0 else text.rjust(-width)
        cells.append(click.style(cell, fg=colours.get(text)) if name == COLOURED else cell)
    return "  ".join(cells).rstrip()
