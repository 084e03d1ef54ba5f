"""The request body: the event's own bytes, and `hookId` as the last member (CONTRACT 5)."""

import json

import pytest

from streams.core.bodies import splice
from streams.core.events import HOOK_ID_MEMBER_BYTES
from tests.core.building import HOOK_ID


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        (b'{"event":"A"}', b'{"event":"A","hookId":"abcdefghijklmnopqrstu"}'),
        (b'{ "event" : "A"\n}', b'{ "event" : "A"\n,"hookId":"abcdefghijklmnopqrstu"}'),
        (b'{"event":"A","x":{"y":{}}}', b'{"event":"A","x":{"y":{}},"hookId":"abcdefghijklmnopqrstu"}'),
        (b'{"n":18446744073709551616,"m":1.0}', b'{"n":18446744073709551616,"m":1.0,"hookId":"abcdefghijklmnopqrstu"}'),
    ],
)
def test_hook_id_is_spliced_in_before_the_last_brace_and_nothing_else_moves(payload: bytes, body: bytes) -> None:
    assert splice(payload, HOOK_ID) == body
    assert json.loads(body) == json.loads(payload) | {"hookId": HOOK_ID}


def test_the_room_that_an_event_keeps_free_is_what_hook_id_takes() -> None:
    payload = b'{"event":"A"}'
    assert len(splice(payload, HOOK_ID)) - len(payload) == HOOK_ID_MEMBER_BYTES
