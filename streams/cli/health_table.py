"""Health reports as a table for people: the worst first, every colour beside its word."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from streams.cli.drawing import ENDLESS, percent, when
from streams.core.records import Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLUMNS = (
    "name", "id", "status", "success", "requests", "p50", "p95", "p99", "attempts", "retries", "failing", "last error"
)  # fmt: skip
"""Of the table: latencies in milliseconds per attempt, `failing` is how many deliveries in a row failed."""

SPARE = ("attempts", "retries", "id", "p95", "p50", "last error", "failing", "p99")
"""What a narrow terminal does without, first things first."""

ORDER = ("error", "alert", "ok", "idle", "disabled")
"""The worst come first, where they are seen."""


def worst_first(reports: Iterable[Report]) -> list[Report]:
    """By how bad the status is, then by name."""
    return sorted(reports, key=lambda report: (ORDER.index(report.status), report.name, report.hook_id))


def summary(reports: Iterable[Report]) -> str:
    """How many there are of each status, and when the newest report was made."""
    chosen = list(reports)
    counts = Counter[str](report.status for report in chosen)
    newest = max((report.updated_at for report in chosen), default=None)
    words = ", ".join(f"{counts[status]} {status}" for status in ORDER if counts[status])
    return f"{words or 'no reports yet'}{f'; as of {when(newest)}' if newest else ''}; Ctrl-C ends it"


def fitting_table(reports: Iterable[Report], terminal: "Console") -> "Table":
    """The table with as many columns as the terminal has room for: where lines are counted, none may be wrapped."""
    columns, chosen = list(COLUMNS), list(reports)
    wide = terminal.options.update(width=ENDLESS)
    drawn = health_table(chosen, columns)
    for name in SPARE:
        if terminal.measure(drawn, options=wide).minimum <= terminal.width:
            break
        columns.remove(name)
        drawn = health_table(chosen, columns)
    return drawn


def health_table(reports: Iterable[Report], columns: Iterable[str] = COLUMNS) -> "Table":
    """The reports in the order they are given in."""
    from streams.cli.drawing import table

    def word(row: Mapping[str, Any], column: str) -> str | None:
        return row["status"] if column in ("status", "success") else None

    return table(map(_for_people, reports), columns, word)


def _for_people(report: Report) -> dict[str, Any]:
    error = report.last_error
    return {
        "name": report.name,
        "id": report.hook_id,
        "status": report.status,
        "success": percent(report.success_count, report.request_count),
        "requests": report.request_count,
        "p50": _whole(report.latency_ms.p50),
        "p95": _whole(report.latency_ms.p95),
        "p99": _whole(report.latency_ms.p99),
        "attempts": report.attempts,
        "retries": report.retries,
        "failing": report.consecutive_failures,
        "last error": error and f"{error.class_}: {error.message}",
    }


def _whole(ms: float | None) -> int | None:
    return None if ms is None else round(ms)
