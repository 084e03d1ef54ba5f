"""The table at the end, and the lines before it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.faults.checking import SLOWER, SLOWER_MS, Latency, Row

COLUMNS = (
    *("events in", "outcomes", "lost", "dup.", "early", "out of order"),
    *("undisturbed p50/p99", "disturbed p50/p99", "recovery"),
)

FOOTNOTE = (
    "events in: events times the hooks that wanted them. outcomes: different ids on hooks.log. dup.: POSTs beyond the "
    "attempts of the outcomes; allowed only for jobs in flight when a sender died or lost its broker, with the same "
    "id and bytes. early: attempts before the wait or Retry-After was over. out of order: of hooks ordered by key. "
    "Latencies: milliseconds from publish to arrival at healthy hooks; where only endpoints are in trouble the p99 "
    f"must stay within the larger of {SLOWER} times the undisturbed one and {SLOWER_MS:.0f} ms more, and is measured "
    "once more when it does not, for the machine is shared. recovery: from the end of the fault until all published "
    "before had its outcome."
)


def table(rows: Sequence[Row]) -> Table:
    """All rows; a broken one is red."""
    drawn = Table(title="Faults", show_lines=False)
    drawn.add_column("fault", no_wrap=True)
    for name in COLUMNS:
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        drawn.add_row(*_cells(row), style="red" if row.broken else None)
    return drawn


def tell(console: Console, rows: Sequence[Row]) -> None:
    """The table, what is broken, and what the columns mean."""
    console.print(table(rows))
    for row in rows:
        for words in row.broken:
            console.print(f"{row.fault}: {words}", style="red", markup=False, highlight=False)
    console.print(FOOTNOTE, style="dim", highlight=False)


def _cells(row: Row) -> list[str]:
    outcomes = str(row.outcomes) if row.records == row.outcomes else f"{row.outcomes} ({row.records} records)"
    counts = (row.lost, row.duplicated, row.early, row.out_of_order)
    latencies = (_milliseconds(row.undisturbed), _milliseconds(row.disturbed))
    return [row.fault, str(row.events), outcomes, *map(str, counts), *latencies, f"{row.recovery_s:.1f} s"]


def _milliseconds(latency: Latency | None) -> str:
    return f"{latency.p50:.0f} / {latency.p99:.0f}" if latency else "-"
