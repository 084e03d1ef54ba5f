"""Content filters (CONTRACT 4): what each operator means, what is refused, and that none can raise at a join."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.filters import BadFilter, compile_filter

ADA: dict[str, Any] = {
    "event": "User.Created",
    "flag": True,
    "one": 1,
    "half": 0.5,
    "nothing": None,
    "list": [1, {"a": True}],
    "data": {"primaryEmail": "ada@acme.com", "age": 36, "profile": {"givenName": "Ada"}, "empty": {}},
}


def accepts(filter_: Any) -> bool:
    return compile_filter(filter_)(ADA)


@pytest.mark.parametrize(
    "filter_",
    [
        {},
        {"event": "User.Created"},
        {"data.age": {"$eq": 36}},
        {"data.age": 36.0},
        {"data.profile": {"givenName": "Ada"}},
        {"data.profile.givenName": "Ada"},
        {"data.empty": {}},
        {"list": [1, {"a": True}]},
        {"list": {"$eq": [1.0, {"a": True}]}},
        {"nothing": None},
        {"data.age": {"$ne": 37}},
        {"event": {"$in": ["User.Deleted", "User.Created"]}},
        {"event": {"$nin": ["User.Deleted", 7, None]}},
        {"event": {"$nin": []}},
        {"data.age": {"$gt": 35}},
        {"data.age": {"$gte": 36, "$lte": 36}},
        {"data.age": {"$lt": 36.5}},
        {"data.age": {"$lt": 2**70}},
        {"half": {"$gt": 0}},
        {"event": {"$gt": "User", "$lt": "Userz"}},
        {"data.age": {"$exists": True}},
        {"nothing": {"$exists": True}},
        {"data.none": {"$exists": False}},
        {"event": {"$startsWith": "User."}},
        {"data.primaryEmail": {"$endsWith": "@acme.com"}},
        {"data.primaryEmail": {"$startsWith": ""}},
        {"$and": [{"one": 1}, {"flag": True}]},
        {"$or": [{"one": 2}, {"flag": True}]},
        {"$not": {"one": 2}},
        {"one": 1, "$or": [{"half": 1}, {"$not": {"half": 1}}]},
    ],
    ids=str,
)
def test_what_a_filter_accepts(filter_: Any) -> None:
    assert accepts(filter_)


@pytest.mark.parametrize(
    "filter_",
    [
        {"event": "User.Deleted"},
        {"event": "User.Created", "one": 2},
        {"data.age": {"$eq": 36, "$gt": 36}},
        {"data.age": {"$ne": 36.0}},
        {"event": {"$in": []}},
        {"event": {"$nin": ["User.Created"]}},
        {"data.age": {"$gt": 36}},
        {"data.age": {"$gte": 36.1}},
        {"data.age": {"$lt": 36}},
        {"nothing": {"$exists": False}},
        {"data.none": {"$exists": True}},
        {"event": {"$startsWith": "user."}},
        {"data.primaryEmail": {"$endsWith": "acme"}},
        {"$and": [{"one": 1}, {"flag": False}]},
        {"$or": [{"one": 2}, {"flag": False}]},
        {"$not": {}},
        {"$not": {"one": 1}},
    ],
    ids=str,
)
def test_what_a_filter_holds_back(filter_: Any) -> None:
    assert not accepts(filter_)


@pytest.mark.parametrize(
    ("path", "operand"),
    [
        ("flag", 1),
        ("one", True),
        ("one", "1"),
        ("nothing", 0),
        ("nothing", ""),
        ("nothing", False),
        ("list", [1, {"a": 1}]),
        ("list", {"0": 1}),
        ("list", [1]),
        ("data.profile", {"givenName": "Ada", "more": 1}),
        ("data.profile", {}),
        ("data.empty", []),
    ],
)
def test_values_of_different_types_or_shapes_are_never_equal(path: str, operand: Any) -> None:
    assert not accepts({path: {"$eq": operand}})
    assert not accepts({path: {"$in": [operand]}})
    assert accepts({path: {"$ne": operand}})
    assert accepts({path: {"$nin": [operand]}})


@pytest.mark.parametrize("operator", ["$gt", "$gte", "$lt", "$lte"])
@pytest.mark.parametrize(("path", "operand"), [("one", "0"), ("event", 0), ("flag", 0), ("nothing", 0), ("list", 0)])
def test_values_of_different_types_are_never_ordered(path: str, operand: Any, operator: str) -> None:
    assert not accepts({path: {operator: operand}})


@pytest.mark.parametrize(
    "path", ["none", "data.none", "data.age.none", "event.none", "list.0", "list.1.a", "", ".", "data.", "nothing.x"]
)
def test_a_path_that_leads_nowhere_matches_only_ne_nin_and_not_exists(path: str) -> None:
    holds = [{"$ne": None}, {"$ne": 1}, {"$nin": [None, 1]}, {"$exists": False}]
    fails = [{"$eq": None}, {"$in": [None]}, {"$gt": 0}, {"$lte": "z"}, {"$startsWith": ""}, {"$exists": True}, None]
    assert [accepts({path: test}) for test in holds] == [True] * len(holds)
    assert [accepts({path: test}) for test in fails] == [False] * len(fails)


@pytest.mark.parametrize(
    ("filter_", "sentence"),
    [
        ([], "a filter is an object"),
        ("x", "a filter is an object"),
        (None, "a filter is an object"),
        ({"a": {"$regex": "x"}}, "unknown operator '$regex' at 'a'"),
        ({"a": {"$gt": 1, "b": 2}}, "unknown operator 'b' at 'a'"),
        ({"a": {"$not": {"$eq": 1}}}, "unknown operator '$not' at 'a'"),
        ({"$nor": []}, "unknown combinator '$nor'"),
        ({"$eq": 1}, "unknown combinator '$eq'"),
        ({"$and": []}, "$and takes a list that is not empty"),
        ({"$or": {}}, "$or takes a list that is not empty"),
        ({"$or": ["x"]}, "a filter is an object"),
        ({"$not": [{}]}, "a filter is an object"),
        ({"a": {"$in": "x"}}, "$in at 'a' takes a list"),
        ({"a": {"$nin": None}}, "$nin at 'a' takes a list"),
        ({"a": {"$gt": True}}, "$gt at 'a' takes a number or a string"),
        ({"a": {"$lte": None}}, "$lte at 'a' takes a number or a string"),
        ({"a": {"$lt": []}}, "$lt at 'a' takes a number or a string"),
        ({"a": {"$exists": 1}}, "$exists at 'a' takes true or false"),
        ({"a": {"$startsWith": 1}}, "$startsWith at 'a' takes a string"),
        ({"a.b": {"$endsWith": None}}, "$endsWith at 'a.b' takes a string"),
        ({"$and": [{"a": {"$nope": 1}}]}, "unknown operator '$nope' at 'a'"),
    ],
    ids=str,
)
def test_what_is_refused_says_what_and_where(filter_: Any, sentence: str) -> None:
    with pytest.raises(BadFilter) as refusal:
        compile_filter(filter_)
    assert str(refusal.value) == sentence


# Limits


def nested(levels: int, combinator: str) -> Any:
    """`levels` objects inside each other, the innermost with the widest thing a test may have."""
    filter_: Any = {"one": {"$in": [1, [2]]}}
    for _ in range(levels - 1):
        filter_ = {combinator: filter_ if combinator == "$not" else [filter_]}
    return filter_


@pytest.mark.parametrize("combinator", ["$and", "$or", "$not"])
@pytest.mark.parametrize("levels", [7, 8])
def test_filters_may_be_8_deep(levels: int, combinator: str) -> None:
    assert accepts(nested(levels, combinator)) == (combinator != "$not" or levels % 2 == 1)


@pytest.mark.parametrize("combinator", ["$and", "$or", "$not"])
@pytest.mark.parametrize("levels", [9, 10, 40, 5_000])
def test_deeper_filters_are_refused(levels: int, combinator: str) -> None:
    with pytest.raises(BadFilter, match="deeper than 8"):
        compile_filter(nested(levels, combinator))


def test_paths_may_be_8_deep() -> None:
    event: Any = 1
    for _ in range(8):
        event = {"a": event}
    assert compile_filter({"a.a.a.a.a.a.a.a": 1})(event)
    with pytest.raises(BadFilter, match=r"path 'a\.a.*' is deeper than 8"):
        compile_filter({"a.a.a.a.a.a.a.a.a": 1})


def test_an_operand_may_be_deep_but_not_bottomless() -> None:
    operand: Any = []
    for _ in range(5_000):
        operand = [operand]
    with pytest.raises(BadFilter, match="deeper than 8"):
        compile_filter({"a": operand})


@pytest.mark.parametrize(
    ("others", "at_most"),
    [(3, lambda count: {"one": {"$in": list(range(count))}}), (1, lambda count: {f"p{n}": {} for n in range(count)})],
    ids=["values in a list", "paths"],
)
def test_a_filter_may_have_100_terms(others: int, at_most: Callable[[int], Any]) -> None:
    """Every object, list and value counts: here the `others`, and as many more as are asked for."""
    for terms in (99, 100):
        compile_filter(at_most(terms - others))
    with pytest.raises(BadFilter, match="more than 100 terms"):
        compile_filter(at_most(101 - others))


# Laws

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from(["a", "b", "a.b", "a.b.c", "c.a"])
TESTS = st.one_of(
    JSON_VALUES,
    st.fixed_dictionaries({"$eq": JSON_VALUES}),
    st.fixed_dictionaries({"$nin": st.lists(JSON_VALUES, max_size=3)}),
    st.fixed_dictionaries({"$gte": st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)}),
    st.fixed_dictionaries({"$lt": st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$startsWith": st.text(max_size=2), "$endsWith": st.text(max_size=2)}),
)
FILTERS = st.recursive(
    st.dictionaries(PATHS, TESTS, max_size=2),
    lambda inner: (
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=4,
)


def compiled(filter_: Any) -> Any:
    try:
        return compile_filter(filter_)
    except BadFilter:
        return None


@given(FILTERS | JSON_VALUES, JSON_VALUES)
def test_a_filter_is_refused_when_written_or_never_raises_at_all(filter_: Any, event: Any) -> None:
    predicate = compiled(filter_)
    if predicate is not None:
        assert predicate(event) in (True, False)


@given(FILTERS, JSON_VALUES)
def test_not_is_the_opposite_and_and_or_of_one_are_itself(filter_: Any, event: Any) -> None:
    predicate, opposite = compiled(filter_), compiled({"$not": filter_})
    if predicate is not None and opposite is not None:
        assert opposite(event) is not predicate(event)
        assert compile_filter({"$and": [filter_]})(event) is predicate(event)
        assert compile_filter({"$or": [filter_]})(event) is predicate(event)


@given(JSON_VALUES)
def test_every_value_equals_itself_and_only_values_of_its_type(value: Any) -> None:
    predicate = compiled({"a": {"$eq": value}})
    if predicate is not None:
        assert predicate({"a": value})
        assert not predicate({"a": [value]})
