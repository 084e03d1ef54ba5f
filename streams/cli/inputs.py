"""What people pipe in: one JSON object, or one a line, byte for byte; and what is told when some are refused."""

from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from streams.core.errors import UNREADABLE, InvalidInput

SHOWN_MAX = 20
"""Most problems told at once; who made more mistakes made one many times."""


def objects(source: BinaryIO) -> list[bytes]:
    """The texts in `source`: its lines when these are JSON objects, else the whole of it, whatever it may be.

    Everything is read before anything is done, because nothing is done unless all of it is good. Raises InvalidInput
    when there is nothing.
    """
    text = source.read().strip()
    if not text:
        raise InvalidInput(f"there is nothing in {source.name}: give one JSON object, or one a line")
    lines = [line.strip() for line in text.split(b"\n") if line.strip()]
    if _is_object(text) or not any(map(_is_object, lines)):
        return [text]
    return lines


def refuse(problems: Sequence[str], count: int, consequence: str) -> None:
    """Raise InvalidInput with every problem, one a line, if there are any; `count` is how many texts were read."""
    if not problems:
        return
    shown = list(problems[:SHOWN_MAX])
    if len(problems) > SHOWN_MAX:
        shown.append(f"and {len(problems) - SHOWN_MAX} more")
    raise InvalidInput(f"{len(problems)} of {count} refused, {consequence}:\n  " + "\n  ".join(shown))


def _is_object(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return False
    return True
