"""Making bad input out of good: one change at a time to members of JSON, or to bytes."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from tests.fuzz.door import SEPARATOR

TOKENS = (
    *("1e400", "-1e400", "NaN", "Infinity", "-0", "1.0", "0.1e-999", "9" * 40, "9" * 400, "9" * 10_000, "-" + "9" * 30),
    *("18446744073709551616", "9223372036854775808", "-1", "999999999999999", "1000000000000000", "253402300800000"),
    *('"\\ud800"', '"\\udc00x"', '"\\u0000"', '"\\ud83d\\ude00"', '""', '"1"', '"é"', '"' + "a" * 3000 + '"', "null"),
    *("true", "false", "[]", "{}", "[[]]", '[{"a":[]}]', '{"a":{"a":1}}', "[" * 600 + "]" * 600, '{"":[]}'),
    *('"$gt"', '"User.*"', '"*"', '{"$gt":1}', '{"$in":[1]}', '["User.Created"]', '"x\\r\\ny"'),
    *('"https://a.b/"', "[0,0,0]"),
)  # fmt: skip
"""What may stand where a member stood; some of it is no JSON."""

NAMES = ("", "event", "hookId", "a.b", "$or", "$and", "$not", "\ud800", "x" * 300, "id", "createdAt", "__proto__")

BITS = (
    *(b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\x00", b"\x7f", b"\x1b[2J", b"\r\n"),
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"=", b"/", b"//", b"@", b"%", b"#", b"?", b".", b"..", b"-"),
    *(b" ", b"\t", b"\n", b"e9", b"0x", b"9" * 5000, b"[" * 2000, b"a" * 2000, b"a." * 300, b"nan", b"inf", SEPARATOR),
    *("。".encode(), "ß".encode(), "\u200d".encode(), "\u0660".encode(), "\u05d0".encode(), b"xn--"),
)  # fmt: skip
"""What may be put between bytes."""

_HERE = "\ue000"


def mutated(data: bytes, dice: Random) -> bytes:
    """The bytes with one thing changed."""
    if dice.random() < 0.5 and (changed := mutated_json(data, dice)) is not None:
        return changed
    return _mutated_bytes(data, dice)


def mutated_json(data: bytes, dice: Random) -> bytes | None:
    """The bytes with one member of the JSON in their first part changed; None when there is none."""
    first, separator, rest = data.partition(SEPARATOR)
    try:
        tree = json.loads(first)
    except (ValueError, RecursionError):
        return None
    places = list(_places(tree))
    if not places:
        return None
    token = dice.choice(TOKENS)
    text = json.dumps(_change(tree, *dice.choice(places), dice), separators=(",", ":"))
    if len(text) > 1 << 20:
        return None
    named = text.replace(json.dumps(_HERE), token)
    return named.encode("utf-8", "surrogatepass") + separator + rest


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of the tree with each of its keys."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in list(items):
        yield node, key
        yield from _places(child)


def _change(tree: Any, node: Any, key: Any, dice: Random) -> Any:
    match dice.randrange(5):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[dice.choice(NAMES)] = node.pop(key)
        case 2 if isinstance(node, dict):
            node[dice.choice(NAMES)] = _HERE
        case 3 if isinstance(node, list):
            node.extend([node[key]] * dice.choice([1, 30, 200]))
        case _:
            node[key] = _HERE
    return tree


def _mutated_bytes(data: bytes, dice: Random) -> bytes:
    at, until = sorted((dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)))
    match dice.randrange(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[until:]
        case 2:
            return data[:until] + data[at:]
        case 3:
            return data[:at] + dice.choice(BITS) + data[at + 1 :]
        case 4:
            return data[:at] + dice.randbytes(dice.randrange(1, 5)) + data[at:]
        case _:
            return data[:at] + dice.choice(BITS) + data[at:]
