"""Input that costs the most for its size, of any size: what makes a parser, a pattern or an index work."""

import json
from collections.abc import Callable

from tests.fuzz.door import SEPARATOR

Shape = Callable[[bytes, int], bytes]
"""A door's seed and a number of bytes to the input, about as large."""


def deep(_: bytes, size: int) -> bytes:
    """Levels and levels."""
    return b'{"event":"User.Created","x":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}"


def nests(_: bytes, size: int) -> bytes:
    """Many lists of just fewer levels than are too many."""
    one = b"[" * 490 + b"]" * 490
    return b'{"event":"User.Created","x":[' + b",".join([one] * max(size // 981, 1)) + b"]}"


def braces(_: bytes, size: int) -> bytes:
    """Brackets inside strings and escapes, which are none."""
    return b'{"event":"User.Created","x":"' + b'[\\"{\\\\' * (size // 6) + b'"}'


def keys(_: bytes, size: int) -> bytes:
    """As many keys as there is room for: 100,000 of them in 1 MiB."""
    return ("{" + ",".join(f'"k{number}":0' for number in range(size // 10)) + "}").encode()


def texts(_: bytes, size: int) -> bytes:
    """As many texts by name, like a hook's headers."""
    return ("{" + ",".join(f'"k{number}":"v"' for number in range(size // 12)) + "}").encode()


def same_keys(_: bytes, size: int) -> bytes:
    """One key, again and again."""
    return b'{"event":"User.Created"' + b',"event":"User.Created"' * (size // 23) + b"}"


def number(_: bytes, size: int) -> bytes:
    """A number of that many digits."""
    return b'{"event":"User.Created","createdAt":' + b"9" * size + b"}"


def digits(_: bytes, size: int) -> bytes:
    """Digits alone."""
    return b"9" * size


def longer(seed: bytes, size: int) -> bytes:
    """The seed, its strings made longer."""
    text = seed.decode("utf-8", "replace")
    return text.replace('"', '"' + "a" * (size // (text.count('"') + 1)), 3).encode()


def tail(seed: bytes, size: int) -> bytes:
    """The seed, and more of its last byte."""
    return seed + seed[-1:] * size


def members(seed: bytes, size: int) -> bytes:
    """The seed with each of its lists filled with what stands in it."""
    try:
        tree = json.loads(seed.split(SEPARATOR)[0])
    except ValueError:
        return longer(seed, size)
    for value in list(tree.values()) if isinstance(tree, dict) else []:
        if isinstance(value, list) and value:
            value.extend(value * (size // (len(json.dumps(value)) + 1)))
    return json.dumps(tree).encode() + seed[len(seed.split(SEPARATOR)[0]) :]


def pieces(_: bytes, size: int) -> bytes:
    """Separators of every kind: parts, labels, lines, members."""
    return (SEPARATOR + b"a.,;/=:\n ") * (size // 10)


def headers(seed: bytes, size: int) -> bytes:
    """The seed with as many headers as fit."""
    return seed.split(SEPARATOR)[0] + SEPARATOR + b"k" + (SEPARATOR + b"n" + SEPARATOR + b"v") * (size // 4)


def foreign(_: bytes, size: int) -> bytes:
    """A name in another alphabet, of one label."""
    return b"https://" + "ü".encode() * (size // 2) + b"/"


def labels(_: bytes, size: int) -> bytes:
    """A name in other alphabets, of many labels."""
    return b"https://" + "\u05d0\u0660.ü\u200d。".encode() * (size // 12) + b"/"


def commas(_: bytes, size: int) -> bytes:
    """What the parser of dates splits at."""
    return b"Wed, " + b"21-Oct " * (size // 7)


SHAPES: tuple[Shape, ...] = (
    *(deep, nests, braces, keys, texts, same_keys, number, digits),
    *(longer, tail, members, pieces, headers, foreign, labels, commas),
)
