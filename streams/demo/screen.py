"""How the demo looks: a live view on a terminal, plain lines in a pipe and on a terminal that cannot move its cursor.

Every colour stands beside a word. What the terminal has no room for is left out in a fixed order, and nothing wraps.
"""

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streams.cli.drawing import COLOURS, percent
from streams.core.records import Report
from streams.demo.tally import Sight, Tally

WORDS = {"delivered": "green", "retry": "yellow", "exhausted": "red"}
"""Colours of the first word of a line."""

REDRAW_S = 0.25
PLAIN_WIDTH = 160

ERROR_FROM = 102
CLOCK_FROM = 100
"""Columns from which on there is room for a hook's last error, and for the time of a line."""

LINES_MAX = 18
"""More lines than these are read by nobody while they pass."""

RECENT_WIDTHS = (8, 9, 31, 12, 20)
"""Least widths of time, word, event, hook and detail: the longest of each, so that nothing moves sideways."""

SPARE_ROWS = 6
"""Rows of the view besides hooks, lines and hints, and one for the cursor."""

AFTERWARDS = 3
"""Rows that are left free for what is said after the last picture."""

HEADINGS = ("hook", "health (24 h)", "success", "requests", "retries", "p50", "p99", "last error")


class Screen:
    """`say` tells progress, `tell` adds a line, and inside `live` the view is redrawn until it is left standing.

    `phase` is the view's first line, with `{}` for the seconds it has run; `hints` are its last lines.
    """

    def __init__(self, tally: Tally, console: Console | None = None) -> None:
        self.phase = ""
        self.hints: tuple[str, ...] = ()
        self._tally = tally
        self._began = time.monotonic()
        self._console = console or Console(highlight=False)
        self._moves = sys.stdout.isatty() and not self._console.is_dumb_terminal
        self._live: Live | None = None

    def say(self, words: str) -> None:
        """Words for people: above the live view, else on stderr."""
        if self._live:
            self._live.console.print(Text(words))
        else:
            click.echo(words, err=True)

    def tell(self, sight: Sight) -> None:
        """One attempt or outcome."""
        self._tally.lines.append(sight)
        if not self._moves:
            click.echo(f"{sight.time}  {sight.word:<9}  {sight.event:<31}  {sight.hook:<12}  {sight.detail}")

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the view; its last picture stays, without what is over by then. In a pipe only the hooks are shown."""
        if not self._moves:
            yield
            plain = Console(file=sys.stdout, width=PLAIN_WIDTH, color_system=None, force_terminal=False)
            plain.print(_hooks(self._tally, HEADINGS))
            return
        self._began = time.monotonic()
        live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        with live:
            self._live = live
            try:
                yield
            finally:
                self._live = None
                self.phase, self.hints = "ended after {} s", ()
                live.update(self.view(), refresh=True)

    async def redraw(self) -> None:
        """Redraw the view until cancelled; does nothing in a pipe."""
        while True:
            if self._live:
                self._live.update(self.view(), refresh=True)
            await asyncio.sleep(REDRAW_S)

    def view(self) -> RenderableType:
        """The picture as it is now, for the console's size."""
        width, height = self._console.size
        phase = self.phase.format(int(time.monotonic() - self._began))
        headings = HEADINGS if width >= ERROR_FROM else HEADINGS[:-1]
        hints = ("", *self.hints) if self.hints else ()
        room = height - SPARE_ROWS - len(self._tally.hooks) - (len(hints) or AFTERWARDS)
        lines = list(self._tally.lines)[-max(min(room, LINES_MAX), 1) :]
        return Group(
            Text.assemble(("Hookline demo", "bold"), f"  {phase}"),
            _line(self._counts()),
            "",
            _hooks(self._tally, headings),
            "",
            _recent(lines, clock=width >= CLOCK_FROM) if lines else Text("waiting for the first delivery"),
            *hints,
        )

    def _counts(self) -> str:
        tally = self._tally
        counts = tally.summary()
        shown = ("events", "delivered", "retries", "exhausted")
        return "  ".join(f"{name} {counts[name]:,}" for name in shown) + f"  under way {tally.unexplained:,}"


def _line(words: str) -> Text:
    return Text(words, no_wrap=True, overflow="ellipsis")


def _hooks(tally: Tally, headings: Sequence[str]) -> Table:
    """A row for every hook: its report, as the health role published it."""
    table = _table(show_header=True)
    for name in headings:
        right = name in ("success", "requests", "retries", "p50", "p99")
        table.add_column(name, justify="right" if right else "left", no_wrap=True, min_width=7)
    for hook_id, name in tally.hooks.items():
        report = tally.reports.get(hook_id)
        cells = _cells(report) if report else ("-",) * (len(HEADINGS) - 1)
        table.add_row(name, *cells[: len(headings) - 1])
    return table


def _cells(report: Report) -> tuple[str | Text, ...]:
    latency, error = report.latency_ms, report.last_error
    return (
        Text(report.status, style=COLOURS[report.status]),
        percent(report.success_count, report.request_count) or "-",
        f"{report.request_count:,}",
        f"{report.retries:,}",
        "-" if latency.p50 is None else f"{latency.p50:.0f} ms",
        "-" if latency.p99 is None else f"{latency.p99:.0f} ms",
        error.message if error else "-",
    )


def _recent(lines: Iterable[Sight], *, clock: bool) -> Table:
    """The last lines, the newest below; with or without their time."""
    table = _table(show_header=False)
    for sight in lines:
        word = Text(sight.word, style=WORDS.get(sight.word.split()[0], "magenta"))
        cells = (word, sight.event, sight.hook, sight.detail)
        table.add_row(*((Text(sight.time, style="dim"), *cells) if clock else cells))
    for column, width in zip(reversed(table.columns), reversed(RECENT_WIDTHS), strict=False):
        column.no_wrap, column.min_width = True, width
    return table


def _table(*, show_header: bool) -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=show_header, header_style="bold")
