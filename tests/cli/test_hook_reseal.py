"""`hookline hook reseal`, and what the other commands do about sealed secrets, run against a real broker."""

import asyncio
import base64

import orjson
import pytest
from msgspec import structs

from streams.core.records import Outgoing
from streams.kafka import admin, hook_records, topics
from streams.settings import Settings
from tests.cli.commands import hookline, publish, read, rows
from tests.conftest import PREFIXES
from tests.line import KEY, hook, hook_id

URL = "http://127.0.0.1:9000/hooks"
OLD, NEW = (f"{name}:{base64.b64encode(byte * 32).decode()}" for name, byte in (("k1", b"1"), ("k2", b"2")))


@pytest.fixture
def own(applied: Settings) -> Settings:
    """Topics of the test's own: how many hooks there are is part of what is said."""
    settings = structs.replace(applied, topic_prefix=next(PREFIXES))
    asyncio.run(admin.apply(settings))
    return settings


def keyed(settings: Settings, *keys: str) -> Settings:
    return structs.replace(settings, master_keys=",".join(keys))


def put(settings: Settings, *numbers: int) -> None:
    """Plain hooks, as an operator's own tooling writes them."""
    hooks = [hook(number, URL, config={"headers": {"x-a": "T0KEN"}}) for number in numbers]
    publish(settings, *(Outgoing(topic=topics.CONFIG, key=h["id"].encode(), value=orjson.dumps(h)) for h in hooks))


def values(settings: Settings) -> dict[bytes | None, bytes | None]:
    return {record.key: record.value for record in read(settings, topics.CONFIG)}


def test_plain_hooks_are_sealed_and_a_second_run_finds_nothing_to_do(own: Settings) -> None:
    put(own, 1, 2)
    ours = keyed(own, OLD)
    row = {"dryRun": False, "hooks": 2, "resealed": 2, "changedMeanwhile": 0, "locked": []}
    assert rows(hookline(ours, "hook", "reseal")) == [row]
    assert all(b"sealed:k1:" in (value or b"") for value in values(own).values())
    assert all(KEY.encode() not in (value or b"") for value in values(own).values())
    count = len(read(own, topics.CONFIG))
    assert rows(hookline(ours, "hook", "reseal"))[0]["resealed"] == 0
    assert len(read(own, topics.CONFIG)) == count


def test_after_a_change_of_keys_everything_is_under_the_new_one_and_opens_without_the_old(own: Settings) -> None:
    put(own, 1)
    hookline(keyed(own, OLD), "hook", "reseal")
    ran = hookline(keyed(own, NEW, OLD), "hook", "reseal")
    assert rows(ran)[0]["resealed"] == 1
    assert "resealed 1 of 1 hooks" in ran.stderr
    (shown,) = rows(hookline(keyed(own, NEW), "hook", "get", hook_id(1), "--reveal"))
    assert (shown["signingKey"], shown["config"]["headers"]) == (KEY, {"x-a": "T0KEN"})


def test_a_run_that_was_stopped_goes_on_with_the_rest(own: Settings) -> None:
    put(own, 1, 2, 3)
    found = asyncio.run(hook_records.read(own)).in_force[hook_id(2)]
    asyncio.run(hook_records.write(keyed(own, OLD), [(hook_id(2), found.value)]))
    assert rows(hookline(keyed(own, OLD), "hook", "reseal"))[0]["resealed"] == 2


def test_on_trial_nothing_is_written(own: Settings) -> None:
    put(own, 1)
    ran = hookline(keyed(own, OLD), "hook", "reseal", "--dry-run")
    assert "would reseal 1 of 1 hooks" in ran.stderr
    assert len(read(own, topics.CONFIG)) == 1


def test_without_a_key_it_says_how_to_make_one(own: Settings) -> None:
    ran = hookline(own, "hook", "reseal")
    assert ran.returncode == 4
    assert "set HOOKLINE_MASTER_KEYS" in ran.stderr
    assert "openssl rand" in hookline(own, "hook", "reseal", "--help").stdout


def test_what_cannot_be_opened_is_named_and_left_alone(own: Settings) -> None:
    put(own, 1, 2)
    hookline(keyed(own, OLD), "hook", "reseal")
    before = values(own)
    for command in (("hook", "reseal"), ("hook", "list"), ("hook", "get", hook_id(1))):
        ran = hookline(keyed(own, NEW), *command)
        assert "under the key 'k1', which HOOKLINE_MASTER_KEYS does not have" in ran.stderr
        assert ran.returncode == (1 if "reseal" in command else 0)
    assert values(own) == before


def test_commands_write_sealed_what_they_print_plain(own: Settings) -> None:
    ours = keyed(own, OLD)
    created = rows(hookline(ours, "hook", "create", "--url", URL, "--events", "User.*"))[0]
    rotated = rows(hookline(ours, "hook", "rotate-key", created["id"], "--yes"))[0]
    (value,) = values(own).values()
    for key in (created["signingKey"], rotated["signingKey"]):
        assert len(key) == 32
        assert key.encode() not in (value or b"")
    hooks = asyncio.run(hook_records.read(ours)).in_force
    known = hooks[created["id"]].hook
    assert (known.signing_key, known.retired_keys[0].signing_key) == (rotated["signingKey"], created["signingKey"])


def test_of_two_who_change_one_version_the_second_is_told_and_changes_nothing(own: Settings) -> None:
    put(own, 1)
    found = asyncio.run(hook_records.read(own)).in_force[hook_id(1)]
    stale = {hook_id(1): found.version[1]}
    hookline(own, "hook", "disable", "--yes", hook_id(1))
    with pytest.raises(hook_records.Overtaken, match=f"somebody else changed {hook_id(1)} at the same moment"):
        asyncio.run(hook_records.write(own, [(hook_id(1), found.value)], stale))
    assert not asyncio.run(hook_records.read(own)).in_force[hook_id(1)].hook.enabled
