"""What all records share: names on the wire, tolerance for what is new, and secrets that do not show (I7)."""

from typing import Any

import msgspec
import pytest

from streams.core.records import (
    ATTEMPTS_MAX,
    Answer,
    Attempt,
    Coordinates,
    Event,
    Hook,
    HookConfig,
    Incoming,
    Outcome,
    Outgoing,
    Pending,
    RateLimit,
    RetiredKey,
)
from tests.core.building import KEY, NOW, hook, hook_fields, incoming, job, outcome


def test_a_hook_printed_shows_neither_its_key_nor_its_headers_values_nor_its_path() -> None:
    config = {"url": "https://crm.example.com/hooks/T0KEN?k=T0KEN", "headers": {"authorization": "T0KEN"}}
    for shown in (repr(hook(config=config)), str(hook(config=config)), f"{[hook(config=config)]}"):
        assert "T0KEN" not in shown
        assert KEY not in shown
        assert "crm.example.com" in shown
        assert "authorization" in shown


def test_a_retired_key_printed_does_not_show_the_key() -> None:
    assert KEY not in f"{[RetiredKey(signing_key=KEY, until=1)]} {hook(retiredKeys=[{'signingKey': KEY, 'until': 1}])}"


def test_what_travels_shows_nothing_of_what_it_holds_when_printed() -> None:
    at = Coordinates("t", 0, 1)
    shown = [
        incoming(b"T0KEN", headers={"a": b"T0KEN"}),
        Outgoing(topic="t", key=b"k", value=b"T0KEN", headers=(("a", b"T0KEN"),)),
        Event(name="User.Created", id="e", tenant="default", payload=b"T0KEN", at=0, source=at),
        job(body=b"T0KEN"),
        Answer(status=200, body=b"T0KEN"),
        Pending(
            **{name: getattr(job(), name) for name in ("hook_id", "event", "event_id", "event_at", "source")},
            id="msg_1",
            tenant_id="default",
            due_at=0,
            job=at,
            hook_version=(0, 1),
            body="T0KEN",
        ),
    ]
    assert "T0KEN" not in f"{shown}"


@pytest.mark.parametrize("url", ["", "x", "//", "https:", "https://", "a//b", "https://a.example"])
def test_a_config_with_any_url_can_be_printed(url: str) -> None:
    assert repr(HookConfig(url=url)).startswith("HookConfig(host=")


@pytest.mark.parametrize(
    ("headers", "value"),
    [((), None), ((("a", b"1"),), b"1"), ((("a", b"1"), ("b", b"2"), ("a", b"3")), b"3"), ((("A", b"1"),), None)],
)
def test_the_last_header_of_a_name_counts(headers: Any, value: bytes | None) -> None:
    record = Incoming(at=incoming(b"").at, key=None, value=None, headers=headers)
    assert record.header("a") == value


def test_a_record_does_not_change_after_birth() -> None:
    one: Any = hook()
    with pytest.raises(AttributeError):
        one.enabled = False


def test_names_on_the_wire_are_those_of_the_contract() -> None:
    encoded = msgspec.to_builtins(hook())
    assert list(encoded) == [
        *("id", "config", "signingKey", "tenantId", "name", "event", "events", "enabled", "keepPending"),
        *("retiredKeys", "createdAt", "delivery"),
    ]
    assert list(encoded["delivery"]) == [
        *("timeoutMs", "retry", "signature", "ordering", "maxInFlight", "rateLimit", "filter", "traceparent"),
    ]


def test_a_hook_written_and_read_back_is_the_same() -> None:
    one = hook(
        keepPending=True,
        retiredKeys=[{"signingKey": KEY, "until": 1}],
        delivery={
            "timeoutMs": 30_000,
            "retry": {"scheduleSeconds": [0.5, 86_400], "on": ["5xx"]},
            "signature": "standard",
            "ordering": "key",
            "maxInFlight": 64,
            "rateLimit": {"limit": 100},
            "filter": {"data.id": {"$in": ["u1"]}},
            "traceparent": True,
        },
    )
    assert msgspec.json.decode(msgspec.json.encode(one), type=Hook) == one


def test_readers_ignore_fields_they_do_not_know() -> None:
    fields = msgspec.to_builtins(outcome()) | {"future": 1}
    assert msgspec.convert(fields, Outcome) == outcome()
    assert msgspec.convert(hook_fields(config={"url": "https://a.example", "future": 1}), Hook).config.retries is None


def test_an_unknown_delivery_option_is_refused_because_ignoring_it_would_break_a_promise() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `orderring`"):
        msgspec.convert(hook_fields(delivery={"orderring": "key"}), Hook)


@pytest.mark.parametrize(
    ("limit", "good"),
    [
        ({"limit": 0}, False),
        ({"limit": 1}, True),
        ({"limit": 100_000}, True),
        ({"limit": 100_001}, False),
        ({"limit": 1, "periodMs": 9}, False),
        ({"limit": 1, "periodMs": 10}, True),
        ({"limit": 1, "periodMs": 3_600_000}, True),
        ({"limit": 1, "periodMs": 3_600_001}, False),
        ({"limit": 1, "perMinute": 1}, False),
    ],
)
def test_a_rate_limit_is_1_to_100000_in_10_ms_to_an_hour(limit: dict[str, int], good: bool) -> None:
    try:
        msgspec.convert(limit, RateLimit)
    except msgspec.ValidationError:
        assert not good
    else:
        assert good


@pytest.mark.parametrize("count", [0, 1, ATTEMPTS_MAX, ATTEMPTS_MAX + 1])
def test_an_outcome_has_at_most_21_attempts(count: int) -> None:
    one = outcome(attempts=[Attempt(at=NOW, ms=1, status=500)] * count)
    encoded = msgspec.json.encode(one)
    if count <= 21:
        assert msgspec.json.decode(encoded, type=Outcome) == one
    else:
        with pytest.raises(msgspec.ValidationError, match="attempts"):
            msgspec.json.decode(encoded, type=Outcome)


def test_coordinates_read_back_from_an_outcome_are_coordinates() -> None:
    found = msgspec.json.decode(msgspec.json.encode(outcome()), type=Outcome)
    assert isinstance(found.source, Coordinates)
    assert found.job.offset == 99


def test_what_an_outcome_has_nothing_to_say_about_is_absent_from_it() -> None:
    assert {"replay", "error", "response", "keyIds", "host"}.isdisjoint(msgspec.to_builtins(outcome()))
