"""Ids depend on their input alone (CONTRACT 3, 5). The golden values must never change: receivers remember them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import ids
from streams.core.records import Coordinates
from tests.core.building import hook_id

AT = Coordinates("identity.user", 3, 7)


@pytest.mark.parametrize(
    ("event", "hook", "expected"),
    [
        ("e1", "abcdefghijklmnopqrstu", "msg_34ulcy72lxxcgvjne4wauflt"),
        ("evt_lsnkjxj2x7vf4sv4jkpjjc5t", "abcdefghijklmnopqrstu", "msg_mcdntmslwmjb2fezdopma6cc"),
        ("e1", "000000000000000000000", "msg_b3obdogaa6hgddk2yugricof"),
    ],
)
def test_a_delivery_id_is_the_same_in_every_version_of_hookline(event: str, hook: str, expected: str) -> None:
    assert ids.delivery_id(event, hook) == expected


def test_a_derived_event_id_is_the_same_in_every_version_of_hookline() -> None:
    assert ids.event_id(None, "cluster-1", AT) == "evt_lsnkjxj2x7vf4sv4jkpjjc5t"


@given(st.text(), st.integers(0, 10**20))
def test_a_delivery_id_is_msg_and_24_characters_of_base32(event: str, number: int) -> None:
    assert re.fullmatch("msg_[a-z2-7]{24}", ids.delivery_id(event, hook_id(number)))


@given(st.sets(st.tuples(st.sampled_from(["e1", "e1|", "|e1", "e2"]), st.integers(0, 3)), min_size=2))
def test_different_events_and_hooks_have_different_delivery_ids(pairs: set[tuple[str, int]]) -> None:
    assert len({ids.delivery_id(event, hook_id(number)) for event, number in pairs}) == len(pairs)


@pytest.mark.parametrize("given_id", [b"a", b"7c9e6679-7425-40de-944b-e07fc1f90ae7", b"!~", b"x" * 128])
def test_the_upstreams_own_id_is_kept(given_id: bytes) -> None:
    assert ids.event_id(given_id, "c", AT) == given_id.decode()


@pytest.mark.parametrize("odd", [b"x" * 129, b"two words", b"line\nbreak", b"\x00", "naïve".encode(), b"\xff\xfe"])
def test_an_id_unfit_for_a_header_is_replaced_by_one_that_depends_on_it_alone(odd: bytes) -> None:
    """So upstream's own duplicates stay duplicates, wherever they lie."""
    elsewhere = Coordinates("identity.role", 0, 0)
    assert ids.event_id(odd, "c", AT) == ids.event_id(odd, "other cluster", elsewhere)
    assert re.fullmatch("evt_[a-z2-7]{24}", ids.event_id(odd, "c", AT))
    assert ids.event_id(odd, "c", AT) != ids.event_id(odd + b"!", "c", AT)


@pytest.mark.parametrize("absent", [None, b""])
def test_without_an_id_one_is_derived_from_cluster_topic_partition_and_offset(absent: bytes | None) -> None:
    places = [
        ("c", AT),
        ("d", AT),
        ("c", Coordinates("identity.role", 3, 7)),
        ("c", Coordinates("identity.user", 37, 7)),
        ("c", Coordinates("identity.user", 3, 77)),
    ]
    found = [ids.event_id(absent, cluster, at) for cluster, at in places]
    assert len(set(found)) == len(places)
    assert found == [ids.event_id(absent, cluster, at) for cluster, at in places]


@given(st.binary(), st.text(), st.integers(0), st.integers(0))
def test_any_id_is_1_to_128_printable_ascii_characters(given_id: bytes, cluster: str, part: int, offset: int) -> None:
    found = ids.event_id(given_id, cluster, Coordinates("identity.user", part, offset))
    assert re.fullmatch(r"[!-~]{1,128}", found)
