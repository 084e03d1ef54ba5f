"""How deep JSON may nest: one limit of our own.

msgspec stops where Python's stack ends, about twice as deep and at a place that depends on the caller; with a limit of
our own a record has the same answer in every process, and wherever it is decoded again.
"""

from itertools import accumulate

NESTING_MAX = 500
"""Levels of objects and arrays."""

TOO_DEEP = f"nested deeper than {NESTING_MAX} levels"

_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def is_too_deep(text: bytes) -> bool:
    """Whether valid JSON nests deeper than NESTING_MAX: take strings away, then count brackets, up and down."""
    if text.count(b"{") + text.count(b"[") <= NESTING_MAX:
        return False
    without_escapes = text.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = b"".join(without_escapes.split(b'"')[::2])
    steps = memoryview(outside_strings.translate(_STEPS, _NO_BRACKETS)).cast("b")  # 1 and -1, as signed bytes
    return max(accumulate(steps), default=0) > NESTING_MAX
