"""Which hook records are in force, and which hooks want an event (CONTRACT 4)."""

import json
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.catalogue import EVENTS, OPERATIONAL, Catalogue
from streams.core.hooks import EVENTS_MAX, RECORD_BYTES_MAX, HookIndex, HookRules, Known
from streams.core.records import DeadLetter, Incoming
from tests.core.building import CATALOGUE, HOOK_ID, KEY, hook, hook_fields, hook_id, incoming, known

RULES = HookRules(CATALOGUE)


def record(value: Any = None, key: bytes | None = HOOK_ID.encode(), **changes: Any) -> Incoming:
    value = json.dumps(hook_fields(**changes)).encode() if value is None else value
    return incoming(value, "hooks.config", key=key, partition=0, offset=5)


def in_force(**changes: Any) -> Known:
    found = RULES.read(record(**changes))
    assert isinstance(found, Known), found
    return found


def problem(**changes: Any) -> str:
    found = RULES.read(record(**changes))
    assert isinstance(found, DeadLetter), found
    assert found.reason == "bad-hook"
    return found.detail


# Reading


def test_a_good_record_is_a_hook_in_force_that_knows_its_version() -> None:
    found = in_force()
    assert (found.hook, found.version) == (hook(), (0, 5))
    assert found.accepts({"event": "User.Created"})


def test_a_null_deletes() -> None:
    assert RULES.read(incoming(None, "hooks.config", key=HOOK_ID.encode())) is None


def test_only_id_key_and_url_are_needed() -> None:
    value = json.dumps({"id": HOOK_ID, "signingKey": KEY, "config": {"url": "https://crm.example.com"}}).encode()
    found = RULES.read(record(value))
    assert isinstance(found, Known)
    assert (found.hook.tenant_id, found.hook.enabled, found.hook.wants) == ("default", True, [])
    policy = found.hook.delivery
    assert (policy.timeout_ms, policy.retry, policy.signature, policy.ordering) == (10_000, None, "both", "none")
    assert (policy.max_in_flight, policy.rate_limit, policy.filter) == (8, None, {})


@pytest.mark.parametrize(
    ("fields", "wants"),
    [
        ({"events": ["User.Created"], "event": "PostSignIn"}, ["User.Created"]),
        ({"events": [], "event": "PostSignIn"}, ["PostSignIn"]),
        ({"events": [], "event": None}, []),
        ({"events": []}, []),
    ],
)
def test_logtos_single_event_counts_only_without_a_list(fields: dict[str, Any], wants: list[str]) -> None:
    assert in_force(**fields).hook.wants == wants


def test_fields_nobody_knows_yet_are_ignored() -> None:
    assert in_force(future={"a": 1}).hook == hook()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"id": "short"}, "$.id"),
        ({"id": "A" * 21}, "$.id"),
        ({"id": HOOK_ID + "\n"}, "$.id"),
        ({"signingKey": "0" * 31}, "$.signingKey"),
        ({"signingKey": "0" * 65}, "$.signingKey"),
        ({"signingKey": "-" * 32}, "$.signingKey"),
        ({"tenantId": ""}, "$.tenantId"),
        ({"tenantId": "t" * 22}, "$.tenantId"),
        ({"name": "n" * 257}, "$.name"),
        ({"events": "User.Created"}, "$.events"),
        ({"enabled": 1}, "$.enabled"),
        ({"createdAt": -1}, "$.createdAt"),
        ({"config": {}}, "$.config"),
        ({"config": {"url": ""}}, "$.config.url"),
        ({"config": {"url": "https://a.example/" + "x" * 2048}}, "$.config.url"),
        ({"config": {"url": "https://a.example", "retries": 4}}, "$.config.retries"),
        ({"config": {"url": "https://a.example", "retries": -1}}, "$.config.retries"),
        ({"config": {"url": "https://a.example", "headers": {"a": 1}}}, "$.config.headers"),
        ({"delivery": {"timeoutMs": 999}}, "$.delivery.timeoutMs"),
        ({"delivery": {"timeoutMs": 30_001}}, "$.delivery.timeoutMs"),
        ({"delivery": {"retry": "never"}}, "$.delivery.retry"),
        ({"delivery": {"maxInFlight": 0}}, "$.delivery.maxInFlight"),
        ({"delivery": {"maxInFlight": 65}}, "$.delivery.maxInFlight"),
        ({"delivery": {"rateLimit": {"limit": 0}}}, "$.delivery.rateLimit.limit"),
        ({"delivery": {"filter": []}}, "$.delivery.filter"),
        ({"delivery": {"filters": {}}}, "unknown field `filters`"),
        ({"delivery": {"rateLimit": {"limit": 1, "periodMs": 9}}}, "$.delivery.rateLimit.periodMs"),
        ({"delivery": {"rateLimit": {"limit": 1, "per": 1}}}, "unknown field `per`"),
        ({"delivery": {"ordering": "keys"}}, "$.delivery.ordering"),
        ({"keepPending": "yes"}, "$.keepPending"),
        ({"retiredKeys": [{"signingKey": KEY}]}, "required field `until`"),
        ({"retiredKeys": [{"signingKey": "0" * 31, "until": 0}]}, "$.retiredKeys[0].signingKey"),
        ({"retiredKeys": [{"signingKey": KEY, "until": 0}] * 4}, "$.retiredKeys"),
        ({"events": ["User.Created", "User.Exploded"]}, "events: 'User.Exploded' is no event"),
        ({"events": [], "event": "User.Exploded"}, "events: 'User.Exploded' is no event"),
        ({"config": {"url": "https://a.example.com", "headers": {"Host": "b"}}}, "'Host' is reserved"),
        ({"config": {"url": "http://a.example.com"}}, "config.url (scheme): "),
        ({"config": {"url": "https://127.0.0.1"}}, "config.url ("),
        ({"delivery": {"filter": {"a": {"$regex": "x"}}}}, "delivery.filter: unknown operator '$regex' at 'a'"),
    ],
    ids=str,
)
def test_a_record_that_does_not_validate_is_refused_with_the_part_that_is_wrong(
    changes: dict[str, Any], part: str
) -> None:
    key = changes.get("id", HOOK_ID).encode()
    assert part in problem(key=key, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"signingKey": "0" * 64},
        {"tenantId": "t" * 21},
        {"name": "n" * 256},
        {"delivery": {"timeoutMs": 1000, "maxInFlight": 64}},
        {"delivery": {"timeoutMs": 30_000, "maxInFlight": 1}},
        {"delivery": {"ordering": "key", "rateLimit": {"limit": 1, "periodMs": 10}}},
        {"delivery": {"ordering": "strict", "rateLimit": {"limit": 100_000, "periodMs": 3_600_000}}},
        {"enabled": False, "keepPending": True},
        {"retiredKeys": [{"signingKey": "0" * 32, "until": 0}] * 3},
        {"config": {"url": "https://crm.example.com", "retries": 0}},
        {"config": {"url": "https://crm.example.com", "retries": 3}},
        {"events": ["*"]},
        {"events": ["User.*", "PostSignIn"]},
    ],
    ids=str,
)
def test_a_record_at_its_limits_is_in_force(changes: dict[str, Any]) -> None:
    assert in_force(**changes).hook == hook(**changes)


def test_all_problems_are_told_at_once() -> None:
    found = problem(events=["Nope"], config={"url": "ftp://a.example.com", "headers": {"host": "x"}})
    assert [part in found for part in ("events: 'Nope'", "'host' is reserved", "config.url (scheme)")] == [True] * 3


@pytest.mark.parametrize("key", [None, b"", b"another", HOOK_ID.encode() + b"x"])
def test_a_key_that_is_not_the_hooks_id_is_refused(key: bytes | None) -> None:
    """Compaction keeps the last record of a key: under another key a hook could not be replaced or deleted."""
    assert problem(key=key) == f"the record's key is {key or b''!r}, its id '{HOOK_ID}'"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"id":"\xff"}',
        b"[" * 60_000,
        b'{"delivery":{"filter":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_002,
        json.dumps(hook_fields()).replace('"CRM sync"', "1e999").encode(),
    ],
    ids=["empty", "cut", "list", "null", "bytes", "string", "deep", "deep filter", "number"],
)
def test_what_is_no_hook_at_all_is_refused(value: bytes) -> None:
    found = RULES.read(record(value))
    assert isinstance(found, DeadLetter)
    assert (found.reason, bool(found.detail), found.original.value) == ("bad-hook", True, value)


def test_a_record_has_at_most_64_kib_and_100_names() -> None:
    value = json.dumps(hook_fields()).encode()
    assert isinstance(RULES.read(record(value.ljust(RECORD_BYTES_MAX))), Known)
    over = RULES.read(record(value.ljust(RECORD_BYTES_MAX + 1)))
    assert isinstance(over, DeadLetter)
    assert over.detail == "the record has 65537 bytes, 65536 are the most"
    assert in_force(events=["User.Created"] * EVENTS_MAX)
    assert problem(events=["User.Created"] * (EVENTS_MAX + 1)) == "events: more than 100 names"


@pytest.mark.parametrize(("levels", "refused"), [(499, False), (500, True), (980, True), (100_000, True)])
def test_a_record_nests_at_most_500_levels_wherever_it_is_read(levels: int, refused: bool) -> None:
    value = json.dumps(hook_fields() | {"deep": 0}).replace('"deep": 0', '"deep": ' + "[" * levels + "]" * levels)
    assert isinstance(RULES.read(incoming(value.encode(), "hooks.config", key=HOOK_ID.encode())), DeadLetter) is refused


def test_http_and_private_addresses_are_for_networks_that_the_operator_opened() -> None:
    value = record(config={"url": "http://127.0.0.1:9000/hooks"})
    assert isinstance(RULES.read(value), DeadLetter)
    assert isinstance(HookRules(CATALOGUE, (ip_network("127.0.0.0/8"),)).read(value), Known)


def test_an_operators_own_event_may_be_asked_for_where_it_is_declared() -> None:
    value = record(events=["Invoice.Paid"])
    assert isinstance(RULES.read(value), DeadLetter)
    assert isinstance(HookRules(Catalogue({"Invoice.Paid": "identity.user"})).read(value), Known)


@pytest.mark.parametrize("changes", [{"signingKey": KEY + "-"}, {"events": ["Nope"]}, {"createdAt": "x"}])
def test_no_refusal_tells_a_secret(changes: dict[str, Any]) -> None:
    config = {"url": "https://crm.example.com/T0KEN", "headers": {"host": "T0KEN"}}
    found = problem(**({"config": config} | changes))
    assert "T0KEN" not in found
    assert KEY not in found


@given(st.binary() | st.builds(lambda fields: json.dumps(fields).encode(), st.dictionaries(st.text(), st.text())))
def test_no_record_makes_reading_raise(value: bytes) -> None:
    assert isinstance(RULES.read(record(value)), DeadLetter)


# The index


def index(hooks: Iterable[Known] = ()) -> HookIndex:
    made = HookIndex(CATALOGUE)
    for one in hooks:
        made.put(one)
    return made


def ids(found: Iterable[Known]) -> list[str]:
    return [one.hook.id for one in found]


@pytest.mark.parametrize(
    ("events", "wanted", "others"),
    [
        (["User.Created"], ["User.Created"], ["User.Deleted", "PostSignIn"]),
        (["User.*"], ["User.Created", "User.Data.Updated"], ["Role.Created", "PostSignIn"]),
        (["User.Data.*"], ["User.Data.Updated"], ["User.Created"]),
        (["Organization.*"], ["Organization.Created"], ["OrganizationRole.Created"]),
        (["*"], list(EVENTS), list(OPERATIONAL)),
        (["Hook.*"], list(OPERATIONAL), list(EVENTS)),
        (["User.*", "User.Created", "*"], list(EVENTS), []),
        ([], [], list(EVENTS)),
    ],
)
def test_a_hook_is_found_under_what_it_names_and_nothing_else(
    events: list[str], wanted: list[str], others: list[str]
) -> None:
    made = index([known(events=events)])
    assert [ids(made.wanting("default", event)) for event in wanted] == [[HOOK_ID]] * len(wanted)
    assert [ids(made.wanting("default", event)) for event in others] == [[]] * len(others)


def test_tenants_do_not_see_each_others_events() -> None:
    made = index([known(id=hook_id(1), tenantId="a"), known(id=hook_id(2), tenantId="b")])
    assert ids(made.wanting("a", "User.Created")) == [hook_id(1)]
    assert ids(made.wanting("b", "User.Created")) == [hook_id(2)]
    assert ids(made.wanting("default", "User.Created")) == []


def test_a_hook_that_is_off_is_known_but_wants_nothing() -> None:
    made = index([known(enabled=False)])
    assert ids(made.wanting("default", "User.Created")) == []
    assert list(made.by_id) == [HOOK_ID]


def test_a_new_version_takes_the_old_ones_place_wherever_it_was() -> None:
    made = index([known(events=["User.*"])])
    made.put(known((0, 9), events=["Role.Created"], tenantId="b"))
    assert ids(made.wanting("default", "User.Created")) == []
    assert [one.version for one in made.wanting("b", "Role.Created")] == [(0, 9)]
    assert len(made.by_id) == 1


def test_a_deleted_hook_is_gone_and_deleting_tells_what_it_was() -> None:
    one = known()
    made = index([one])
    assert made.remove(HOOK_ID) is one
    assert made.by_id == {}
    assert ids(made.wanting("default", "User.Created")) == []
    assert made.remove(HOOK_ID) is None


def test_the_index_knows_which_record_had_a_hook_disabled_last() -> None:
    made = index([known((0, 3), enabled=False), known((0, 5)), known((0, 6))])
    assert made.last_off == {HOOK_ID: 3}
    made.put(known((0, 8), enabled=False))
    assert made.last_off == {HOOK_ID: 8}
    made.remove(HOOK_ID)
    assert made.last_off == {}


CHOICES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.none()
        | st.fixed_dictionaries(
            {
                "tenantId": st.sampled_from(["a", "b"]),
                "enabled": st.booleans(),
                "events": st.lists(
                    st.sampled_from(["*", "User.*", "User.Data.*", "Hook.*", *EVENTS, *OPERATIONAL]), max_size=3
                ),
            }
        ),
    ),
    max_size=20,
)


def wants(one: Known, tenant: str, event: str) -> bool:
    """The rule in its simplest words, as the oracle."""
    named = any(
        pattern == event
        or (pattern == "*" and event not in OPERATIONAL)
        or (pattern.endswith(".*") and event.startswith(pattern[:-1]))
        for pattern in one.hook.events
    )
    return one.hook.enabled and one.hook.tenant_id == tenant and named


@given(CHOICES)
def test_after_any_changes_the_index_answers_as_a_scan_of_all_hooks_would(
    changes: list[tuple[int, dict[str, Any] | None]],
) -> None:
    made, naive = HookIndex(CATALOGUE), dict[str, Known]()
    for offset, (number, fields) in enumerate(changes):
        naive.pop(hook_id(number), None)
        if fields is None:
            made.remove(hook_id(number))
        else:
            naive[hook_id(number)] = known((0, offset), id=hook_id(number), **fields)
            made.put(naive[hook_id(number)])
    assert made.by_id == naive
    for tenant in ("a", "b", "c"):
        for event in (*EVENTS, *OPERATIONAL):
            assert list(made.wanting(tenant, event)) == [one for one in naive.values() if wants(one, tenant, event)]
