"""Content filters of hooks: `{"data.primaryEmail": {"$endsWith": "@acme.com"}}` compiled once into closures.

Operators: $eq $ne $in $nin $gt $gte $lt $lte $exists $startsWith $endsWith, combined by $and $or $not; paths
by dots; refused when unknown or deeper than 8 (CONTRACT 4). A path that leads nowhere matches only `$ne`,
`$nin` and `{"$exists": false}`. Values of different types are never equal and never ordered.
"""

from collections.abc import Callable
from typing import Any

Predicate = Callable[[Any], bool]

DEPTH_MAX = 8
TERMS_MAX = 100
"""Most objects, lists and values in one filter, so that one hook cannot make every join slow."""

NESTING_MAX = 3 * DEPTH_MAX
"""Room for DEPTH_MAX combinators, each a list and an object, around an operand of that depth again."""

_MISSING = object()


class BadFilter(ValueError):
    """The filter uses something that does not exist; the text says what and where."""


def compile_filter(filter_: Any) -> Predicate:
    """A predicate over a decoded event; the empty filter accepts everything. Raises BadFilter."""
    if _terms(filter_, 0) > TERMS_MAX:
        raise BadFilter(f"more than {TERMS_MAX} terms")
    return _group(filter_, 1)


def _terms(node: Any, depth: int) -> int:
    if depth > NESTING_MAX:
        raise BadFilter(f"deeper than {DEPTH_MAX}")
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return 1 + sum(_terms(child, depth + 1) for child in children)


def _group(node: Any, depth: int) -> Predicate:
    """All members of an object must hold; a member is a combinator or a path."""
    if depth > DEPTH_MAX:
        raise BadFilter(f"deeper than {DEPTH_MAX}")
    if not isinstance(node, dict):
        raise BadFilter("a filter is an object")
    return _all([_member(name, value, depth) for name, value in node.items()])


def _member(name: str, value: Any, depth: int) -> Predicate:
    if name in ("$and", "$or"):
        if not isinstance(value, list) or not value:
            raise BadFilter(f"{name} takes a list that is not empty")
        parts = [_group(part, depth + 1) for part in value]
        return _all(parts) if name == "$and" else lambda event: any(part(event) for part in parts)
    if name == "$not":
        inner = _group(value, depth + 1)
        return lambda event: not inner(event)
    if name.startswith("$"):
        raise BadFilter(f"unknown combinator {name!r}")
    tests = _tests(value, name)
    path = name.split(".")
    if len(path) > DEPTH_MAX:
        raise BadFilter(f"path {name!r} is deeper than {DEPTH_MAX}")
    return lambda event: tests(_at(event, path))


def _tests(value: Any, path: str) -> Predicate:
    """The operators at one path; a bare value means $eq."""
    if not isinstance(value, dict) or not any(name.startswith("$") for name in value):
        return lambda found: _equal(found, value)
    checks = []
    for operator, operand in value.items():
        make = _OPERATORS.get(operator)
        if make is None:
            raise BadFilter(f"unknown operator {operator!r} at {path!r}")
        checks.append(make(operand, f"{operator} at {path!r}"))
    return _all(checks)


def _all(parts: list[Predicate]) -> Predicate:
    return lambda value: all(part(value) for part in parts)


def _at(event: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(event, dict) or name not in event:
            return _MISSING
        event = event[name]
    return event


def _equal(found: Any, operand: Any) -> bool:
    """JSON equality, at every depth: true is not 1, and 1 is 1.0."""
    if isinstance(operand, dict):
        return (
            isinstance(found, dict)
            and found.keys() == operand.keys()
            and all(_equal(found[name], item) for name, item in operand.items())
        )
    if isinstance(operand, list):
        return isinstance(found, list) and len(found) == len(operand) and all(map(_equal, found, operand))
    return isinstance(found, bool) == isinstance(operand, bool) and bool(found == operand)


def _member_of(operand: Any, where: str) -> Predicate:
    if not isinstance(operand, list):
        raise BadFilter(f"{where} takes a list")
    return lambda found: any(_equal(found, item) for item in operand)


def _none_of(operand: Any, where: str) -> Predicate:
    inside = _member_of(operand, where)
    return lambda found: not inside(found)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, str], Predicate]:
    def make(operand: Any, where: str) -> Predicate:
        if isinstance(operand, bool) or not isinstance(operand, int | float | str):
            raise BadFilter(f"{where} takes a number or a string")
        kind = str if isinstance(operand, str) else (int, float)
        return lambda found: isinstance(found, kind) and not isinstance(found, bool) and compare(found, operand)

    return make


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, str], Predicate]:
    def make(operand: Any, where: str) -> Predicate:
        if not isinstance(operand, str):
            raise BadFilter(f"{where} takes a string")
        return lambda found: isinstance(found, str) and test(found, operand)

    return make


def _exists(operand: Any, where: str) -> Predicate:
    if not isinstance(operand, bool):
        raise BadFilter(f"{where} takes true or false")
    return lambda found: (found is not _MISSING) == operand


_OPERATORS: dict[str, Callable[[Any, str], Predicate]] = {
    "$eq": lambda operand, _: lambda found: _equal(found, operand),
    "$ne": lambda operand, _: lambda found: not _equal(found, operand),
    "$in": _member_of,
    "$nin": _none_of,
    "$gt": _ordered(lambda found, operand: found > operand),
    "$gte": _ordered(lambda found, operand: found >= operand),
    "$lt": _ordered(lambda found, operand: found < operand),
    "$lte": _ordered(lambda found, operand: found <= operand),
    "$exists": _exists,
    "$startsWith": _text(str.startswith),
    "$endsWith": _text(str.endswith),
}
