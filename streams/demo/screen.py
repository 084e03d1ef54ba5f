"""How the demo looks: a live view on a terminal, plain lines in a pipe."""

import sys
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streams.core.records import Report
from streams.demo.tally import Sight, Tally

COLOURS = {"ok": "green", "alert": "yellow", "error": "red", "idle": "dim", "disabled": "dim"}
WORDS = {"delivered": "green", "retrying": "yellow", "exhausted": "red"}


class Screen:
    """`show` redraws, `tell` adds one line, `close` leaves the last picture standing."""

    def __init__(self, tally: Tally, title: Callable[[], str]) -> None:
        self._tally = tally
        self._title = title
        self._console = Console(stderr=False)
        self._live = Live(console=self._console, refresh_per_second=8) if self._console.is_terminal else None

    def open(self) -> None:
        """Begin the live view; does nothing in a pipe."""
        if self._live:
            self._live.start()

    def tell(self, sight: Sight) -> None:
        """One attempt or outcome."""
        self._tally.lines.append(sight)
        if not self._live:
            sys.stdout.write(f"{sight.time}  {sight.word:<9} {sight.event:<32} {sight.hook:<14} {sight.detail}\n")
            sys.stdout.flush()

    def show(self) -> None:
        """Redraw."""
        if self._live:
            self._live.update(Group(Text(self._title(), style="bold"), "", self._hooks(), "", self._recent()))

    def close(self) -> None:
        """End the live view."""
        if self._live:
            self.show()
            self._live.stop()
        else:
            self._console.print(self._hooks())

    def _hooks(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("hook", "24 h", "success", "requests", "retries", "p50", "p99"):
            table.add_column(name, no_wrap=True)
        table.add_column("last error", no_wrap=True, overflow="ellipsis")
        for hook_id, name in self._tally.hooks.items():
            report = self._tally.reports.get(hook_id)
            table.add_row(name, *(_row(report) if report else ("-",) * 7))
        return table

    def _recent(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for width in (8, 9, None, 12, None):  # time, word, event, hook, detail: the long ones give way
            table.add_column(no_wrap=True, overflow="ellipsis", min_width=width)
        for sight in self._tally.lines:
            word = Text(sight.word, style=WORDS.get(sight.word, ""))
            table.add_row(sight.time, word, sight.event, sight.hook, sight.detail)
        return table


def _row(report: Report) -> tuple[str | Text, ...]:
    rate = "-" if report.success_rate is None else f"{report.success_rate:.2%}"
    latency = report.latency_ms
    return (
        Text(report.status, style=COLOURS[report.status]),
        rate,
        f"{report.request_count:,}",
        f"{report.retries:,}",
        "-" if latency.p50 is None else f"{latency.p50:g} ms",
        "-" if latency.p99 is None else f"{latency.p99:g} ms",
        report.last_error.message if report.last_error else "",
    )
