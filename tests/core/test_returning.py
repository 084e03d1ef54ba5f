"""Which originals may go back to their topics, and which would only become dead letters again."""

from typing import Any

import orjson
import pytest
from msgspec import structs

from streams.core import egress, jobs
from streams.core.deadletters import Buried
from streams.core.hooks import HookRules
from streams.core.records import Coordinates, Incoming, Outgoing
from streams.core.returning import Desk
from tests.core.building import CATALOGUE, HOOK_ID, NOW, TOPICS, accepted, hook_fields, incoming, known

PREFIXED = {f"p.{name}": name for name in (*TOPICS, "hooks.config", "hooks.deliveries", "hooks.log")}


def desk(allowed: str = "", last: int | None = None) -> Desk:
    """The rules with these networks open, and the offset of the hook's last record."""
    latest = {} if last is None else {HOOK_ID: Coordinates("p.hooks.config", 0, last)}
    return Desk(PREFIXED, HookRules(CATALOGUE, egress.networks([allowed] if allowed else [])), latest)


def letter(original: Incoming, **changes: Any) -> Buried:
    at = Coordinates("p.hooks.dead-letters", 0, 3)
    return structs.replace(Buried(reason="r", detail="d", failed_at=NOW, at=at, original=original), **changes)


def event(value: bytes, topic: str = "p.identity.user") -> Buried:
    return letter(incoming(value, topic, headers={"event-id": b"e1"}))


def config(offset: int = 5, **changes: Any) -> Buried:
    """A hook record that was refused at this offset of `hooks.config`."""
    record = incoming(orjson.dumps(hook_fields(**changes)), "p.hooks.config", key=HOOK_ID.encode(), offset=offset)
    return letter(structs.replace(record, at=record.at._replace(partition=0)))


def test_an_original_goes_back_as_it_was_to_the_partition_it_was_in() -> None:
    assert desk().original(event(b"{}")) == Outgoing(
        topic="identity.user", key=b"u1", value=b"{}", headers=(("event-id", b"e1"),), partition=3
    )


def test_an_event_may_go_back_even_if_it_would_be_refused_here_which_is_told() -> None:
    """The router's settings count, and they may differ from those of whoever runs the command."""
    bad, good = event(b'{"event":"Parcel.Sent"}'), event(b'{"event":"User.Created"}')
    assert (desk().obstacle(bad), desk().obstacle(good)) == (None, None)
    assert desk().refusal(bad) == "unknown-event: 'Parcel.Sent' is not in the catalogue"
    assert desk().refusal(good) is None


def test_a_job_that_is_none_would_be_refused_again() -> None:
    made = jobs.make(accepted(incoming(b'{"event":"User.Created"}')), known())
    good = Incoming(at=Coordinates("p.hooks.deliveries", 1, 2), key=made.key, value=made.value, headers=made.headers)
    assert desk().refusal(letter(good)) is None
    assert desk().refusal(letter(structs.replace(good, headers=()))) == "bad-job: delivery-id is missing"


def test_what_nobody_here_can_judge_is_not_judged() -> None:
    assert desk().refusal(event(b"{", "p.hooks.log")) is None


URL = {"url": "http://127.0.0.1:9/hooks"}


def test_a_hook_record_goes_back_only_if_it_validates_now() -> None:
    assert "config.url" in (desk(last=5).obstacle(config(config=URL)) or "")
    assert desk("127.0.0.0/8", last=5).obstacle(config(config=URL)) is None


def test_a_hook_that_was_deleted_and_forgotten_since_does_not_come_back() -> None:
    """What was refused stays on the topic as the last of its hook; it went because something came behind it."""
    assert "so it was deleted" in (desk(last=None).obstacle(config()) or "")


def test_a_hook_record_goes_back_without_the_version_that_it_was_to_replace() -> None:
    one = config()
    one = letter(structs.replace(one.original, headers=(("replaces", b"4"), ("why", b"sealed"), ("mine", b"x"))))
    assert desk(last=5).original(one).headers == (("mine", b"x"),)


@pytest.mark.parametrize(("last", "goes"), [(4, True), (5, True), (6, False)])
def test_a_hook_record_never_takes_the_place_of_a_later_one(last: int | None, goes: bool) -> None:
    assert (desk(last=last).obstacle(config(offset=5)) is None) is goes


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (letter(incoming(b"{", "elsewhere")), "is no topic of this line"),
        (letter(incoming(b"{", "identity.user")), "is no topic of this line"),
        (letter(incoming(b"{", "p.identity.user"), truncated_from=9), "only a part of it was kept"),
    ],
)
def test_what_was_cut_or_came_from_elsewhere_stays(one: Buried, why: str) -> None:
    assert why in (desk().obstacle(one) or "")
