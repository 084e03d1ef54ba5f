"""What one check of `hookline doctor` found: a word for how it stands, what was seen, and what to do next."""

from typing import Literal

from msgspec import Struct

Result = Literal["ok", "warning", "problem", "skipped"]
"""`skipped`: what it needs is not there, or it does not matter as things are set up."""


class Finding(Struct, frozen=True):
    """One finding; `advice` is empty when there is nothing to do."""

    result: Result
    seen: str
    advice: str = ""


def ok(seen: str) -> Finding:
    """As it should be."""
    return Finding("ok", seen)


def warning(seen: str, advice: str) -> Finding:
    """It works, and somebody should know."""
    return Finding("warning", seen, advice)


def problem(seen: str, advice: str = "") -> Finding:
    """It does not work; no advice when what was seen says it already."""
    return Finding("problem", seen, advice)


def skipped(seen: str) -> Finding:
    """It was not looked at; `seen` says why."""
    return Finding("skipped", seen)


def counted(count: int, noun: str) -> str:
    """`1 hook`, `2 hooks`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
