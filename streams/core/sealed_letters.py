"""Dead letters of hook records: what nobody could read may hold a signing key anywhere, so it is kept sealed whole.

Bound to the place of the original, so that no dead letter can be made to open as another.
"""

from msgspec.structs import replace

from streams.core.deadletters import Buried
from streams.core.records import Coordinates, DeadLetter
from streams.core.sealing import CannotOpen, Draw, KeyRing, is_sealed

REASONS = ("bad-hook", "internal-error")
FIELD = "dead-letter"

BYTES_MAX = 1024 * 1024
"""What is kept of an original: sealed, that is a third more, and hook records of more than 64 KiB are refused."""


def sealed(letter: DeadLetter, ring: KeyRing, draw: Draw) -> DeadLetter:
    """The dead letter with the value of its original sealed; as it is when there is no key or no value."""
    original = letter.original
    if ring.current is None or original.value is None:
        return letter
    text = ring.seal(original.value[:BYTES_MAX], _place(original.at), FIELD, draw)
    cut = f"; of {len(original.value)} bytes the first {BYTES_MAX} are kept" if len(original.value) > BYTES_MAX else ""
    return replace(letter, detail=letter.detail + cut, original=replace(original, value=text.encode()))


def opened(letter: Buried, ring: KeyRing) -> Buried:
    """The dead letter with its original as it was, if that is sealed and a key of the ring opens it; else as it is."""
    if not is_closed(letter):
        return letter
    try:
        value = ring.open((letter.original.value or b"").decode(), _place(letter.original.at), FIELD)
    except CannotOpen:
        return letter
    return replace(letter, original=replace(letter.original, value=value))


def is_closed(letter: Buried) -> bool:
    """Whether its original is sealed."""
    value = letter.original.value or b""
    return letter.reason in REASONS and value.isascii() and is_sealed(value.decode())


def _place(at: Coordinates) -> str:
    return "/".join(map(str, at))
