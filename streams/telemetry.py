"""What the roles tell: JSON log lines, one a fact, and the whole metric vocabulary in one place.

A failure has one name, and the log, the metric and the tests share it. No payload, header value, secret, URL
path or query string is ever logged.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

QUIET = ("aiokafka", "faust", "mode", "asyncio")
"""Libraries that report normal rebalances as warnings; their lines are kept, from `error` on."""

SAME_S = 5.0
SAME_CHARACTERS = 60
"""A library's message that begins like another of its own within so many seconds is not passed on."""


class JsonLines(logging.Handler):
    """One JSON object a line: `time level role event`, then what the caller gave; flushed at once.

    Our own facts come by `tell`, without a LogRecord each: the line of an attempt is on the sender's hot path.
    """

    def __init__(self, role: str, level: int, left_out: Callable[[logging.LogRecord], bool]) -> None:
        super().__init__()
        self.role = role
        self.least = level
        self.left_out = left_out
        self.said: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """A library's message, unless it is left out, or said again: without a broker some come ten a second."""
        what, now = (record.name, str(record.msg)[:SAME_CHARACTERS]), time.monotonic()
        if self.left_out(record) or now - self.said.get(what, -SAME_S) < SAME_S:
            return
        self.said = {key: at for key, at in self.said.items() if now - at < SAME_S} | {what: now}
        error = record.exc_info[1] if record.exc_info else None
        self.tell("library.message", record.levelno, error, {"logger": record.name, "message": record.getMessage()})

    def tell(self, event: str, level: int, error: BaseException | None, fields: dict[str, Any]) -> None:
        """One line, unless its level is below the least."""
        if level < self.least:
            return
        line = {"time": _now(), "level": LEVELS[level], "role": self.role, "event": event, **fields}
        if error:
            line["error"] = "".join(traceback.format_exception(error)).strip()
        sys.stdout.buffer.write(orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()


LEVELS = {number: name.lower() for name, number in logging.getLevelNamesMapping().items() if number}

_lines: list[JsonLines] = []


def configure(role: str, level: str, left_out: Callable[[logging.LogRecord], bool] = lambda _: False) -> None:
    """Send every log line of this process to stdout as JSON. Called once, by the process that plays a role.

    `left_out` says of a library's line that it is better not passed on.
    """
    lines = JsonLines(role, logging.getLevelNamesMapping()[level.upper()], left_out)
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    _lines[:] = [lines]


def log(event: str, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """One fact: a dotted name and its fields. Said to nobody in a process that plays no role."""
    for lines in _lines:
        lines.tell(event, level, error, fields)


def _now() -> str:
    moment = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03d}Z"


class Metrics:
    """Every metric Hookline has, on a registry of its own; names follow Prometheus' conventions."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = self._counter("events", "Identity events read by the router.", "topic")
        self.dead_letters = self._counter("dead_letters", "Records nobody could read, by fixed reason.", "reason")
        self.jobs = self._counter("jobs", "Delivery jobs produced by the router.")
        self.duplicates = self._counter("duplicates", "Records dropped because their delivery id was known.", "where")
        self.attempts = self._counter("attempts", "POSTs by how they were answered.", "class")
        self.outcomes = self._counter("outcomes", "Jobs by how they ended.", "status")
        self.puts = self._counter("retry_puts", "Jobs put on hooks.retries, by why they wait.", "why")
        self.operations = self._counter("operations", "What happened to hooks, by operational event.", "event")
        self.reports = self._counter("reports", "Health reports published.")
        self.hooks = Gauge("hookline_hooks", "Hooks in this process's view.", registry=self.registry)
        self.unfinished = Gauge("hookline_unfinished_jobs", "Jobs held in memory.", registry=self.registry)
        self.pending = Gauge("hookline_pending_jobs", "Jobs that wait on hooks.retries.", registry=self.registry)
        self.breakers = Gauge("hookline_breakers", "Hooks by their breaker's state.", ["state"], registry=self.registry)
        self.in_flight = Gauge("hookline_in_flight_requests", "POSTs under way.", registry=self.registry)
        self.attempt_seconds = self._histogram("attempt_seconds", "Duration of one POST.")
        self.event_to_outcome_seconds = self._histogram("event_to_outcome_seconds", "Event time to outcome.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"hookline_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        buckets = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600, 3600)
        return Histogram(f"hookline_{name}", text, buckets=buckets, registry=self.registry)
