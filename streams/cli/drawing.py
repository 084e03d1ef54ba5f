"""Tables for people: text that no terminal obeys, colour only beside a word, ids never broken unless they must be.

Hook names, keys and error sentences come from strangers, so nothing here is read as markup or as control characters.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from streams.core.events import LAST_MS
from streams.core.moments import iso

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLOURS = {
    "error": "red",
    "alert": "yellow",
    "ok": "green",
    "idle": "bright_black",
    "disabled": "bright_black",
    "Error": "red",
    "Success": "green",
    "problem": "red",
    "warning": "yellow",
    "skipped": "bright_black",
}
"""Colours of words: Logto's thresholds, how an outcome ended, and what `doctor` found."""

ENDLESS = 10_000
"""Characters in a line of a table: a narrow terminal wraps it and loses nothing; rich would leave out columns."""

NARROW = 24
"""Longest heading or word that is kept on one line: a hook id has 21 characters."""


def printable(value: object) -> str:
    """A value as text without what a terminal would obey; `-` when there is nothing to say."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = " / ".join(map(str, value))
    text = "" if value is None else str(value)
    return harmless(text) or "-"


def harmless(text: str) -> str:
    """A line of text without what a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)


def percent(successes: int, requests: int) -> str | None:
    """A success rate as Logto's console prints it: two decimals; None when there were no requests."""
    return f"{100 * successes / requests:.2f} %" if requests else None


def when(at_ms: int) -> str:
    """A time in Unix milliseconds as people and JSON are shown it; what a record says may lie beyond all calendars."""
    return iso(min(max(at_ms, 0), LAST_MS))


def console(width: int | None = ENDLESS) -> "Console":
    """Where tables are printed; `width` None is the terminal's own. `--color` and NO_COLOR are obeyed."""
    from rich.console import Console

    colour = click.get_current_context().color
    return Console(force_terminal=colour or None, no_color=True if colour is False else None, width=width)


def table(
    rows: Iterable[Mapping[str, Any]], columns: Iterable[str], word: Callable[[Mapping[str, Any], str], str | None]
) -> "Table":
    """A table of `columns`; `word` names, for a row and a column, the word whose colour the cell takes, if any."""
    from rich.table import Table
    from rich.text import Text

    drawn, names = Table(box=None, pad_edge=False, header_style="bold"), list(columns)
    cells = [[Text(printable(row[name]), COLOURS.get(word(row, name) or "", "")) for name in names] for row in rows]
    for number, name in enumerate(names):
        short = all(len(line[number].plain) <= NARROW for line in cells)
        drawn.add_column(name, no_wrap=short, overflow="fold")
    for line in cells:
        drawn.add_row(*line)
    return drawn
