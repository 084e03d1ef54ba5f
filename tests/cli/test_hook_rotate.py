"""`hookline hook rotate-key`, run as people run it against a real broker: what is written, and what is shown of it."""

import re
import time
from typing import Any

import orjson
import pytest

from streams.core.records import Outgoing
from streams.kafka import topics
from streams.settings import Settings
from tests.cli.commands import Ran, hookline, publish, read, rows
from tests.line import KEY, hook, hook_id

URL = "http://127.0.0.1:9000/hooks"
HOUR_MS = 3_600_000


def put(settings: Settings, fields: dict[str, Any]) -> None:
    publish(settings, Outgoing(topic=topics.CONFIG, key=fields["id"].encode(), value=orjson.dumps(fields)))


def latest(settings: Settings, number: int) -> Any:
    found = {record.key: record.value for record in read(settings, topics.CONFIG)}
    return orjson.loads(found[hook_id(number).encode()] or b"null")


def rotate(settings: Settings, number: int, *words: str, typed: str | None = None) -> Ran:
    return hookline(settings, "hook", "rotate-key", hook_id(number), *words, typed=typed)


def test_the_new_key_is_shown_once_and_the_old_one_signs_for_24_hours_more(applied: Settings) -> None:
    put(applied, hook(1, URL, config={"headers": {"x-a": "s3cret"}}))
    began_ms = time.time_ns() // 1_000_000
    ran = rotate(applied, 1)
    written = latest(applied, 1)
    assert re.fullmatch("[0-9a-zA-Z]{32}", written["signingKey"])
    assert written["signingKey"] != KEY
    (old,) = written["retiredKeys"]
    assert old["signingKey"] == KEY
    assert 0 <= old["until"] - 24 * HOUR_MS - began_ms < 60_000
    (shown,) = rows(ran)
    assert shown["signingKey"] == written["signingKey"]
    assert shown["retiredKeys"] == [{"signingKey": "set", "until": old["until"]}]
    assert "s3cret" not in ran.stdout
    assert KEY not in ran.stdout
    assert written["signingKey"] not in ran.stderr
    assert f"rotated the key of {hook_id(1)}; webhook-signature carries both keys' until 20" in ran.stderr
    assert "at once if it verifies logto-signature-sha-256" in ran.stderr
    assert hookline(applied, "hook", "get", hook_id(1)).stdout.count(written["signingKey"]) == 0


def test_every_other_member_keeps_its_bytes(applied: Settings) -> None:
    text = orjson.dumps(hook(2, URL, ours=0)).replace(b'"ours":0', b'"ours":{"n":1.10,"big":1180591620717411303424}')
    publish(applied, Outgoing(topic=topics.CONFIG, key=hook_id(2).encode(), value=text))
    (shown,) = rows(rotate(applied, 2, "--overlap-hours", "0"))
    values = [record.value for record in read(applied, topics.CONFIG) if record.key == hook_id(2).encode()]
    assert values == [text, text.replace(KEY.encode(), shown["signingKey"].encode())]


@pytest.mark.parametrize(
    ("signature", "hours", "words"),
    [
        ("both", "0", "the old key signs nothing more: give the receiver the new one at once"),
        ("logto", "24", "has room for one key: give the receiver the new one at once"),
        ("standard", "1", "give the receiver the new one before that\n"),
    ],
)
def test_it_says_what_to_do_and_until_when(applied: Settings, signature: str, hours: str, words: str) -> None:
    put(applied, hook(3, URL, delivery={"signature": signature}))
    assert words in rotate(applied, 3, "--overlap-hours", hours).stderr


def test_on_trial_no_key_is_shown_and_nothing_written(applied: Settings) -> None:
    put(applied, hook(4, URL))
    ran = rotate(applied, 4, "--dry-run")
    assert rows(ran)[0]["signingKey"] == "set"
    assert f"would rotate the key of {hook_id(4)}" in ran.stderr
    assert latest(applied, 4) == hook(4, URL)


def test_on_a_terminal_it_asks_and_a_no_changes_nothing(applied: Settings) -> None:
    put(applied, hook(5, URL))
    ran = rotate(applied, 5, typed="n\n")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{hook_id(5)}  hook 5  127.0.0.1" in ran.stderr
    assert "Rotate its key? [y/N]" in ran.stderr
    assert latest(applied, 5) == hook(5, URL)
    assert rotate(applied, 5, "--yes", typed="").returncode == 0
    assert latest(applied, 5)["signingKey"] != KEY


def test_a_hook_that_was_never_valid_has_no_key_to_rotate(applied: Settings) -> None:
    put(applied, hook(6, URL, ["Nope"]))
    ran = rotate(applied, 6)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert f"hook {hook_id(6)} was never valid" in ran.stderr


@pytest.mark.parametrize("hours", ["-1", "169", "x"])
def test_an_overlap_is_at_most_a_week(applied: Settings, hours: str) -> None:
    assert rotate(applied, 7, "--overlap-hours", hours).returncode == 2
