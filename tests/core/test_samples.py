"""Samples look like what an identity service publishes, and depend on nothing but event, time and seed."""

import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core import events
from streams.core.catalogue import EVENTS, INTERACTION, OPERATIONAL, Catalogue
from streams.core.errors import InvalidInput
from streams.core.payloads import Payload
from streams.core.records import Coordinates, Event, Incoming
from streams.core.samples import entity_key, sample

GOLDEN = Path(__file__).parents[1] / "golden" / "samples"
NOW_MS = 1_790_000_000_123
DOCUMENTATION = [
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]

INTERACTION_ORDER = (
    "adaptiveMfaResult event interactionEvent createdAt sessionId userAgent userId userIp user application"
)
MANAGEMENT_ORDER = (
    "event createdAt userAgent ip path method status params matchedRoute data organizationId addedUserIds"
)
EXPERIENCE_ORDER = (
    "event createdAt interactionEvent userAgent applicationId sessionId ip application "
    "data organizationId addedUserIds type value action recipient"
)
DELETED_USER_ORDER = "event createdAt userAgent ip data path method status params matchedRoute"
GRANT_ORDER = (
    "event createdAt ip userAgent application userId applicationId "
    "revokedGrantIds maxAllowedGrants preRevocationActiveGrantCount"
)
USER_ORDER = (
    "id username primaryEmail primaryPhone name avatar customData identities lastSignInAt createdAt updatedAt profile "
    "applicationId cimdClientId isSuspended"
)

any_event = st.sampled_from(list(EVENTS))
seeds = st.integers(0, 2**64)
unhurried = settings(deadline=None)


def order_of(payload: Payload) -> str:
    event = payload["event"]
    if event.startswith("Post"):
        return INTERACTION_ORDER
    if event == "User.Deleted":
        return DELETED_USER_ORDER
    if event == "Grant.LimitExceeded":
        return GRANT_ORDER
    return MANAGEMENT_ORDER if "path" in payload else EXPERIENCE_ORDER


def read(event: str, value: bytes) -> object:
    topic = EVENTS[event]
    record = Incoming(at=Coordinates(topic, 0, 0), key=None, value=value, timestamp=NOW_MS)
    return events.read(record, Catalogue(), "cluster", {topic: topic})


@pytest.mark.parametrize("event", EVENTS)
def test_the_router_takes_a_sample_of_every_event_and_need_not_add_to_it(event: str) -> None:
    value = msgspec.json.encode(sample(event, now_ms=NOW_MS))
    found = read(event, value)
    assert isinstance(found, Event)
    assert (found.name, found.payload) == (event, value)


@pytest.mark.parametrize("event", OPERATIONAL)
def test_there_is_a_sample_of_what_happens_to_hooks_as_the_router_reads_it(event: str) -> None:
    payload = sample(event, now_ms=NOW_MS, seed=3)
    value, topic = msgspec.json.encode(payload), OPERATIONAL[event]
    record = Incoming(at=Coordinates(topic, 0, 0), key=None, value=value, timestamp=NOW_MS)
    found = events.read(record, Catalogue(), "cluster", {topic: topic})
    assert isinstance(found, Event)
    assert (found.name, found.payload) == (event, value)
    assert entity_key(payload, event) == payload["data"]["hookId"]
    assert sample(event, now_ms=NOW_MS, seed=3) == payload
    assert len({msgspec.json.encode(sample(event, now_ms=NOW_MS, seed=seed)) for seed in range(20)}) > 10


@unhurried
@given(st.sampled_from(list(OPERATIONAL)), seeds, st.integers(0, 4_102_444_800_000))
def test_a_sample_of_any_seed_and_time_says_which_hook_and_when(event: str, seed: int, now_ms: int) -> None:
    payload = sample(event, now_ms=now_ms, seed=seed)
    assert list(payload) == ["event", "createdAt", "data"]
    assert re.fullmatch("[0-9a-z]{21}", payload["data"]["hookId"])


@unhurried
@given(any_event, seeds)
def test_a_sample_never_has_a_hook_id(event: str, seed: int) -> None:
    assert "hookId" not in sample(event, now_ms=NOW_MS, seed=seed)


@unhurried
@given(any_event, seeds)
def test_the_keys_of_a_sample_come_in_logtos_order(event: str, seed: int) -> None:
    payload = sample(event, now_ms=NOW_MS, seed=seed)
    assert list(payload) == [name for name in order_of(payload).split() if name in payload]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_sample_is_byte_for_byte_what_it_was(path: Path) -> None:
    event, seed = path.stem.rsplit("-", 1)
    assert json.dumps(sample(event, now_ms=NOW_MS, seed=int(seed)), indent=2) + "\n" == path.read_text("utf-8")


@unhurried
@given(any_event, seeds)
def test_the_same_seed_and_time_give_the_same_bytes(event: str, seed: int) -> None:
    first, second = (msgspec.json.encode(sample(event, now_ms=NOW_MS, seed=seed)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("event", EVENTS)
def test_other_seeds_give_other_samples(event: str) -> None:
    assert len({msgspec.json.encode(sample(event, now_ms=NOW_MS, seed=seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize("event", ["User.Created", "User.Data.Updated", "Organization.Membership.Updated"])
def test_what_both_administrators_and_people_cause_is_sampled_both_ways(event: str) -> None:
    shapes = {"path" in sample(event, now_ms=NOW_MS, seed=seed) for seed in range(20)}
    assert shapes == {True, False}


@unhurried
@given(any_event, seeds, st.integers(0, 4_102_444_800_000))
def test_a_sample_is_built_at_the_given_time(event: str, seed: int, now_ms: int) -> None:
    moment = sample(event, now_ms=now_ms, seed=seed)["createdAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert moment.endswith(f".{now_ms % 1000:03d}Z")


@unhurried
@given(any_event, seeds)
def test_addresses_belong_to_nobody(event: str, seed: int) -> None:
    """Networks are those set aside for documentation, mail is at example.com and example.org."""
    payload = sample(event, now_ms=NOW_MS, seed=seed)
    for name in ("ip", "userIp"):
        if name in payload:
            address = ipaddress.ip_address(payload[name])
            assert any(address in network for network in DOCUMENTATION)
    for mail in re.findall(r"[^\"]+@[^\"]+", json.dumps(payload)):
        assert mail.endswith(("@example.com", "@example.org"))


@unhurried
@given(st.sampled_from(["PostRegister", "PostSignIn", "User.Created", "User.Deleted"]), seeds)
def test_a_user_has_logtos_fifteen_members_in_order(event: str, seed: int) -> None:
    payload = sample(event, now_ms=NOW_MS, seed=seed)
    user: dict[str, Any] = payload.get("user") or payload["data"]
    assert [name for name in user if name != "hasPassword"] == USER_ORDER.split()
    assert re.fullmatch(r"[0-9a-z]{12}", user["id"])


@pytest.mark.parametrize("event", [name for name in EVENTS if name.endswith(".Deleted")])
def test_a_deletion_says_no_more_than_logto_says(event: str) -> None:
    payload = sample(event, now_ms=NOW_MS)
    assert payload["status"] == 204
    assert ("data" in payload) == (event in ("User.Deleted", "TrustedDevice.Deleted"))


@pytest.mark.parametrize("event", ["TrustedDevice.Created", "TrustedDevice.Deleted"])
def test_device_events_leave_the_address_out(event: str) -> None:
    assert "ip" not in sample(event, now_ms=NOW_MS)


@unhurried
@given(any_event, seeds)
def test_the_path_is_the_route_with_the_parameters_in_it(event: str, seed: int) -> None:
    payload = sample(event, now_ms=NOW_MS, seed=seed)
    if "path" in payload:
        route = payload["matchedRoute"]
        for name, value in payload["params"].items():
            route = route.replace(f":{name}", value)
        assert payload["path"] == route


@unhurried
@given(any_event, seeds)
def test_the_record_key_is_the_id_of_the_entity_that_the_event_is_about(event: str, seed: int) -> None:
    payload = sample(event, now_ms=NOW_MS, seed=seed)
    key = entity_key(payload, event)
    assert key is not None
    if event in ("Identifier.Lockout", "Message.RateLimited"):
        assert "@" in key
    elif EVENTS[event] == INTERACTION:
        assert key == payload["userId"]
    else:
        length = 12 if event.startswith(("User.", "TrustedDevice.", "Organization.")) else 21
        assert re.fullmatch(rf"[0-9a-z]{{{length}}}", key)


@pytest.mark.parametrize(
    ("event", "payload", "key"),
    [
        ("User.Data.Updated", {"params": {"userId": "u1"}, "data": {"theme": "dark"}}, "u1"),
        ("User.Data.Updated", {"data": {"id": "u1"}}, "u1"),
        ("TrustedDevice.Created", {"data": {"id": "d1", "userId": "u1"}}, "u1"),
        ("Role.Scopes.Updated", {"params": {}, "roleId": "r1", "data": [{"id": "s1"}]}, "r1"),
        ("Role.Scopes.Updated", {"params": {"id": "r1", "scopeId": "s1"}}, "r1"),
        ("Scope.Deleted", {"params": {"resourceId": "a1", "scopeId": "s1"}}, "s1"),
        ("Organization.Membership.Updated", {"organizationId": "o1", "addedUserIds": ["u1"]}, "o1"),
        ("OrganizationRole.Scopes.Updated", {"params": {}, "organizationRoleId": "or1"}, "or1"),
        ("Identifier.Lockout", {"type": "username", "value": "ada"}, "ada"),
        ("Parcel.Sent", {"data": {"id": "p1"}}, "p1"),
        ("User.Created", {}, None),
        ("User.Created", {"data": "u1"}, None),
        ("User.Created", {"data": {"id": 7}}, None),
    ],
)
def test_the_record_key_is_found_wherever_logto_puts_the_id(event: str, payload: Payload, key: str | None) -> None:
    assert entity_key(payload, event) == key


def test_there_is_no_sample_of_an_event_that_does_not_exist() -> None:
    with pytest.raises(InvalidInput, match=r"no sample of 'User\.Vanished'.*PostRegister"):
        sample("User.Vanished", now_ms=NOW_MS)
