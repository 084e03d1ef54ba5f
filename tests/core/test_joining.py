"""The router's rule: the same record against the same hooks gives the same bytes, whoever computes them.

`tests/golden/join.jsonl` has records in and records out. Rewrite it with `REWRITE_GOLDEN=1 pytest <this file>`, and
read the difference: other processes, and receivers, remember what they were sent.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.catalogue import EVENTS
from streams.core.hooks import HookIndex, Known
from streams.core.joining import Join
from streams.core.records import Incoming, Outgoing
from tests.core.building import CATALOGUE, CLUSTER, HOOK_ID, NOW, TOPICS, hook_id, incoming, known

GOLDEN = Path(__file__).parents[1] / "golden" / "join.jsonl"


def join(*hooks: Known) -> Join:
    index = HookIndex(CATALOGUE)
    for one in hooks:
        index.put(one)
    return Join(catalogue=CATALOGUE, cluster=CLUSTER, topics=TOPICS, hooks=index)


def receivers(records: Iterable[Outgoing]) -> list[str]:
    return [(record.key or b"").decode() for record in records if record.topic == "hooks.deliveries"]


def filtered(filter_: Mapping[str, Any], number: int = 1) -> Known:
    return known(id=hook_id(number), delivery={"filter": filter_})


def test_there_is_one_job_for_each_hook_that_wants_the_event() -> None:
    hooks = [
        known(id=hook_id(1), events=["User.Created"]),
        known(id=hook_id(2), events=["User.*"]),
        known(id=hook_id(3), events=["*"]),
        known(id=hook_id(4), events=["Role.Created"]),
        known(id=hook_id(5), events=["*"], enabled=False),
        known(id=hook_id(6), events=["*"], tenantId="acme"),
    ]
    found = join(*hooks).records(incoming(b'{"event":"User.Created"}'), NOW)
    assert receivers(found) == [hook_id(1), hook_id(2), hook_id(3)]


def about(hook: str, key: bytes | None = None) -> Incoming:
    value = json.dumps({"event": "Hook.Failing", "createdAt": "x", "data": {"hookId": hook}}).encode()
    return incoming(value, "hooks.operations", key=hook.encode() if key is None else key)


def test_news_about_a_hook_goes_to_those_that_asked_for_it_in_its_tenant_and_never_to_itself() -> None:
    hooks = [
        known(id=hook_id(1), events=["Hook.*"]),
        known(id=hook_id(2), events=["Hook.Failing"]),
        known(id=hook_id(3), events=["Hook.*", "User.Created"]),
        known(id=hook_id(4), events=["*"]),
        known(id=hook_id(5), events=["Hook.Recovered"]),
        known(id=hook_id(6), events=["Hook.*"], tenantId="acme"),
    ]
    assert receivers(join(*hooks).records(about(hook_id(1)), NOW)) == [hook_id(2), hook_id(3)]
    assert receivers(join(*hooks).records(about(hook_id(9)), NOW)) == [hook_id(1), hook_id(2), hook_id(3)]


def test_a_hook_is_known_by_the_key_of_its_news_and_by_what_they_say() -> None:
    hooks = [known(id=hook_id(number), events=["Hook.*"]) for number in (1, 2, 3)]
    found = join(*hooks).records(about(hook_id(1), key=hook_id(2).encode()), NOW)
    assert receivers(found) == [hook_id(3)]


@pytest.mark.parametrize("value", [b'{"event":"Hook.Failing","data":7}', b'{"event":"Hook.Failing"}'])
def test_news_of_another_shape_stop_nothing(value: bytes) -> None:
    found = join(known(events=["Hook.*"])).records(incoming(value, "hooks.operations", key=None), NOW)
    assert receivers(found) == [HOOK_ID]


@pytest.mark.parametrize("topic", sorted(set(TOPICS) - {"hooks.operations"}))
def test_upstream_cannot_write_news_about_hooks(topic: str) -> None:
    [letter] = join(known(events=["Hook.*"])).records(incoming(b'{"event":"Hook.Failing"}', topic), NOW)
    assert dict(letter.headers)["reason"] == b"wrong-topic"
    assert b"Hookline alone writes" in dict(letter.headers)["detail"]


def test_an_identity_event_among_the_news_is_refused() -> None:
    [letter] = join(known(events=["*"])).records(incoming(b'{"event":"User.Created"}', "hooks.operations"), NOW)
    assert dict(letter.headers)["reason"] == b"wrong-topic"


def test_an_event_that_nobody_wants_leaves_nothing() -> None:
    assert join(known(events=["Role.Created"])).records(incoming(b'{"event":"User.Created"}'), NOW) == []


def test_an_unreadable_record_leaves_one_dead_letter_whatever_hooks_there_are() -> None:
    [letter] = join(known(events=["*"])).records(incoming(b"{", headers={"event-id": b"e1"}), NOW)
    assert (letter.topic, letter.key, letter.value) == ("hooks.dead-letters", b"u1", b"{")
    assert dict(letter.headers)["reason"] == b"not-json"


def test_a_filter_decides_by_what_the_event_says() -> None:
    hooks = [
        known(id=hook_id(1)),
        filtered({"data.primaryEmail": {"$endsWith": "@acme.com"}}, 2),
        filtered({"data.primaryEmail": {"$endsWith": "@example.com"}}, 3),
        filtered({"createdAt": {"$exists": True}}, 4),
    ]
    value = b'{"event":"User.Created","data":{"primaryEmail":"ada@acme.com"}}'
    assert receivers(join(*hooks).records(incoming(value), NOW)) == [hook_id(1), hook_id(2), hook_id(4)]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5_000, "1" + "0" * 400, "18446744073709551616"])
def test_a_number_beyond_pythons_range_does_not_stop_filters_or_change_the_body(number: str) -> None:
    hooks = [known(id=hook_id(1)), filtered({"n": {"$exists": True}, "one": 1}, 2), filtered({"n": 1}, 3)]
    value = f'{{"event":"User.Created","createdAt":"x","one":1,"n":{number}}}'.encode()
    found = join(*hooks).records(incoming(value), NOW)
    assert receivers(found) == [hook_id(1), hook_id(2)]
    assert all(value[:-1] in (record.value or b"") for record in found)


@pytest.mark.parametrize("number", ["1", "1e400"])
def test_the_deepest_event_that_is_accepted_can_be_filtered(number: str) -> None:
    value = b'{"event":"User.Created","x":' + b"[" * 499 + number.encode() + b"]" * 499 + b"}"
    found = join(filtered({"x": {"$exists": True}})).records(incoming(value), NOW)
    assert receivers(found) == [hook_id(1)]


def test_every_hook_gets_its_own_id_in_the_body_and_the_rest_is_the_same() -> None:
    value = b'{"event":"User.Created","createdAt":"x"}'
    found = join(known(id=hook_id(1)), known(id=hook_id(2))).records(incoming(value), NOW)
    assert [record.value for record in found] == [
        value[:-1] + f',"hookId":"{hook_id(number)}"}}'.encode() for number in (1, 2)
    ]


@given(
    st.binary() | st.sampled_from([json.dumps({"event": name, "n": [1.0, None]}).encode() for name in EVENTS]),
    st.sampled_from(sorted(TOPICS)),
    st.lists(st.sampled_from(["*", "User.*", "Role.Created"]), max_size=3),
    st.integers(0, 10**13),
)
def test_joined_again_the_bytes_are_the_same_and_only_a_dead_letters_date_may_differ(
    value: bytes, topic: str, wanted: list[str], later: int
) -> None:
    hooks = [known((0, n), id=hook_id(n), events=[pattern]) for n, pattern in enumerate(wanted)]
    record = incoming(value, topic)
    first = join(*hooks).records(record, NOW)
    assert join(*hooks).records(record, NOW) == first
    again = join(*hooks).records(record, later)
    assert [undated(one) for one in again] == [undated(one) for one in first]


def undated(record: Outgoing) -> Outgoing:
    headers = tuple(header for header in record.headers if header[0] != "failed-at")
    return Outgoing(topic=record.topic, key=record.key, value=record.value, headers=headers)


# Golden records

HOOKS = (
    known((0, 11), id=HOOK_ID, events=["User.*", "Organization.Membership.Updated"]),
    known((0, 12), id=hook_id(2), events=["*"], tenantId="acme"),
    known((0, 13), id=hook_id(3), events=["*"], delivery={"filter": {"data.isSuspended": True}}),
    known((0, 14), id=hook_id(4), events=["Role.Created"]),
)


def shown(text: bytes | None) -> str | dict[str, str] | None:
    """Bytes as a person can read them: as text, or as hex where they are none."""
    try:
        return None if text is None else text.decode()
    except UnicodeDecodeError:
        return {"hex": text.hex() if text else ""}


def hidden(text: str | dict[str, str] | None) -> bytes | None:
    return None if text is None else text.encode() if isinstance(text, str) else bytes.fromhex(text["hex"])


def record_of(line: dict[str, Any]) -> Incoming:
    return Incoming(
        at=incoming(b"", line["topic"], partition=line["partition"], offset=line["offset"]).at,
        key=hidden(line["key"]),
        value=hidden(line["value"]),
        headers=tuple((name, hidden(value) or b"") for name, value in line["headers"]),
        timestamp=line["timestamp"],
    )


def line_of(record: Outgoing) -> dict[str, Any]:
    headers = [[name, shown(value)] for name, value in record.headers]
    return {"topic": record.topic, "key": shown(record.key), "value": shown(record.value), "headers": headers}


def test_the_golden_records_are_joined_byte_for_byte() -> None:
    cases = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]
    found = [[line_of(out) for out in join(*HOOKS).records(record_of(case["in"]), NOW)] for case in cases]
    if os.environ.get("REWRITE_GOLDEN"):
        lines = [json.dumps(case | {"out": out}, ensure_ascii=False) for case, out in zip(cases, found, strict=True)]
        GOLDEN.write_text("\n".join(lines) + "\n", "utf-8")
    assert found == [case["out"] for case in cases]
