"""What a door is, and records made from one text."""

from collections.abc import Callable

from msgspec import Struct, structs

from streams.core import catalogue
from streams.core.records import Incoming
from tests.core.building import incoming

SEPARATOR = b"\x1e"
KIB, MIB = 1024, 1024 * 1024


class Door(Struct, frozen=True):
    """A place where a stranger's bytes come in. `enter` answers True for what it lets through, False for what it
    refuses; whatever it raises is a crash. `size` is the most bytes that come in there at once.
    """

    name: str
    enter: Callable[[bytes], bool]
    seeds: tuple[bytes, ...]
    size: int = MIB


def record(data: bytes, topic: str = catalogue.USER, *more: tuple[str, bytes]) -> Incoming:
    """The record whose parts stand in a text: value, key, then names and values of headers, behind those in `more`.

    Names are text by then, whatever they were: `kafka.header_names` sees to it.
    """
    value, key, *rest = [*data.split(SEPARATOR), b"u1"] if SEPARATOR not in data else data.split(SEPARATOR)
    names = [name.decode("utf-8", "backslashreplace") for name in rest[::2]]
    return structs.replace(incoming(value, topic, key=key), headers=(*more, *zip(names, rest[1::2], strict=False)))


def parts(*texts: bytes) -> bytes:
    """The text of a record with these parts."""
    return SEPARATOR.join(texts)
