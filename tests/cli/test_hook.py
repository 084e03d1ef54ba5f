"""`hookline hook`, run as people run it against a real broker: who may write what, and what is shown of it."""

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from msgspec.structs import replace

from streams.cli import hook_urls
from streams.core import health
from streams.core.records import Hook, Outgoing
from streams.kafka import admin, hook_records, topics
from streams.settings import Settings
from tests.cli.commands import Ran, hookline, nobody, publish, read, rows
from tests.line import KEY, hook, hook_id

URL = "http://127.0.0.1:9000/hooks?token=t0ken"
TOKEN = "Bearer s3cret:with-colon"
UNKNOWN = "z" * 21


def put(settings: Settings, *hooks: dict[str, Any]) -> None:
    """Write hook records as an operator's own tooling would, past all checks."""
    publish(settings, *(Outgoing(topic=topics.CONFIG, key=h["id"].encode(), value=orjson.dumps(h)) for h in hooks))


def records(settings: Settings) -> list[tuple[str, Any]]:
    """Key and value of all that was ever written to `hooks.config`."""
    found = read(settings, topics.CONFIG)
    return [((r.key or b"").decode(), None if r.value is None else orjson.loads(r.value)) for r in found]


def latest(settings: Settings, hook: str) -> Any:
    return dict(records(settings))[hook]


def test_create_writes_a_hook_that_the_roles_take_and_prints_it_once_with_its_key(applied: Settings) -> None:
    ran = hookline(
        applied,
        *("hook", "create", "--url", URL, "--events", "User.Created, Role.*", "--events", "User.Created"),
        *("--name", "CRM", "--header-file", "-", "--retry", "logto", "--signature", "both", "--tenant", "acme"),
        given=f"authorization: {TOKEN}\n\nx-team: identity\n",
    )
    (shown,) = rows(ran)
    written = latest(applied, shown["id"])
    assert re.fullmatch("[0-9a-z]{21}", written["id"])
    assert re.fullmatch("[0-9a-zA-Z]{32}", written["signingKey"])
    assert written | {"createdAt": 0} == {
        "id": shown["id"],
        "tenantId": "acme",
        "name": "CRM",
        "events": ["User.Created", "Role.*"],
        "config": {"url": URL, "headers": {"authorization": TOKEN, "x-team": "identity"}},
        "signingKey": shown["signingKey"],
        "enabled": True,
        "createdAt": 0,
        "delivery": {"retry": "logto", "signature": "both"},
    }
    assert "s3cret" not in ran.stdout + ran.stderr
    assert f"created {shown['id']}" in ran.stderr
    assert hook_records.refusal(hook_records.rules(applied), shown["id"], orjson.dumps(written)) is None


def test_create_takes_the_order_the_rate_and_the_requests_at_once(applied: Settings) -> None:
    policy = ("--ordering", "key", "--rate-limit", "100/1s", "--max-in-flight", "4")
    (shown,) = rows(hookline(applied, "hook", "create", "--url", URL, "--events", "*", *policy))
    rate = {"limit": 100, "periodMs": 1000}
    assert shown["delivery"] == {"ordering": "key", "rateLimit": rate, "maxInFlight": 4}
    assert latest(applied, shown["id"])["delivery"] == shown["delivery"]


@pytest.mark.parametrize(
    ("given", "period_ms"), [("7/10ms", 10), ("7/2m", 120_000), ("7/1h", 3_600_000), ("0/1s", None), ("7/2h", None)]
)
def test_a_rate_is_requests_in_a_time_within_the_limits_of_the_record(
    applied: Settings, given: str, period_ms: int | None
) -> None:
    ran = hookline(applied, "hook", "create", "--dry-run", "--url", URL, "--events", "*", "--rate-limit", given)
    if period_ms is None:
        assert ran.returncode == 4
        assert "$.delivery.rateLimit" in ran.stderr
    else:
        assert rows(ran)[0]["delivery"] == {"rateLimit": {"limit": 7, "periodMs": period_ms}}


@pytest.mark.parametrize(
    "words",
    [
        ("--rate-limit", "100"),
        ("--rate-limit", "100/s"),
        ("--rate-limit", "1.5/1s"),
        ("--rate-limit", "100/1d"),
        ("--ordering", "strictly"),
        ("--max-in-flight", "65"),
    ],
)
def test_a_policy_that_is_none_is_exit_code_2(applied: Settings, words: tuple[str, ...]) -> None:
    ran = hookline(applied, "hook", "create", "--url", URL, "--events", "*", *words)
    assert (ran.returncode, ran.stdout) == (2, "")


def test_create_refuses_what_the_roles_would_with_every_reason_and_exit_code_4(applied: Settings) -> None:
    before = len(records(applied))
    ran = hookline(
        applied,
        *("hook", "create", "--url", "ftp://127.0.0.1/", "--events", "User.Nope", "--header-file", "-"),
        given="host: s3cret\n",
    )
    assert (ran.returncode, ran.stdout) == (4, "")
    for word in ("User.Nope", "'host' is reserved", "config.url (scheme)"):
        assert word in ran.stderr
    assert "s3cret" not in ran.stderr
    assert len(records(applied)) == before


def test_a_header_file_that_is_none_is_told_by_line_and_never_repeated(applied: Settings, tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("x-a: 1\nBearer s3cret\n")
    ran = hookline(applied, "hook", "create", "--url", URL, "--events", "*", "--header-file", str(path))
    assert (ran.returncode, ran.stdout) == (4, "")
    assert f"line 2 of {path}" in ran.stderr
    assert "s3cret" not in ran.stderr


def test_create_on_trial_shows_the_hook_without_a_key_and_writes_nothing(applied: Settings) -> None:
    before = len(records(applied))
    ran, again = (hookline(applied, "hook", "create", "--url", URL, "--events", "*", "--dry-run") for _ in "ab")
    assert rows(ran)[0]["signingKey"] == "set"
    assert rows(ran)[0]["id"] != rows(again)[0]["id"]
    assert "nothing was written" in ran.stderr
    assert len(records(applied)) == before


def test_a_header_value_cannot_be_given_on_the_command_line(applied: Settings) -> None:
    ran = hookline(applied, "hook", "create", "--url", URL, "--events", "*", "--header", "a: b")
    assert ran.returncode == 2


def test_get_shows_secrets_only_as_set(applied: Settings) -> None:
    retired = [{"signingKey": KEY[::-1], "until": 1_790_000_000_000}]
    put(applied, hook(1, URL, config={"headers": {"authorization": TOKEN}}, team={"size": 3}, retiredKeys=retired))
    for output in ("json", "table"):
        ran = hookline(applied, "hook", "get", hook_id(1), "-o", output)
        assert ran.returncode == 0
        assert "s3cret" not in ran.stdout + ran.stderr
        assert KEY not in ran.stdout + ran.stderr
        assert KEY[::-1] not in ran.stdout + ran.stderr
        assert "1790000000000" in ran.stdout
        assert hook_id(1) in ran.stdout
    assert re.search(r"config.headers.authorization +set", ran.stdout)
    assert re.search(r"team.size +3", ran.stdout)


def test_what_get_reveals_can_be_put_back_unchanged(applied: Settings) -> None:
    more: dict[str, Any] = {"retiredKeys": [{"signingKey": KEY[::-1], "until": 1}], "keepPending": True}
    given = hook(2, URL, config={"headers": {"authorization": TOKEN}}, ours={"big": 2**70, "list": [1, {}]}, **more)
    text = orjson.dumps(given | {"ours": None}).replace(b"null", b'{"big":1180591620717411303424,"one":1.0}')
    publish(applied, Outgoing(topic=topics.CONFIG, key=given["id"].encode(), value=text))
    shown = hookline(applied, "hook", "get", hook_id(2), "--reveal", "-o", "json")
    assert TOKEN in shown.stdout
    assert hookline(applied, "hook", "put", given=shown.stdout).returncode == 0
    values = [record.value for record in read(applied, topics.CONFIG) if record.key == hook_id(2).encode()]
    assert re.sub(rb"\s", b"", values[-1] or b"") == re.sub(rb"\s", b"", text)


@pytest.mark.parametrize("words", [("get", UNKNOWN), ("delete", "--yes", UNKNOWN), ("rotate-key", UNKNOWN)])
def test_an_unknown_hook_is_exit_code_4_and_one_sentence(applied: Settings, words: tuple[str, ...]) -> None:
    ran = hookline(applied, "hook", *words)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr == f"hookline: there is no hook {UNKNOWN}: `hookline hook list` has them all\n"


def test_put_writes_every_line_and_says_where(applied: Settings) -> None:
    text = b"\n".join(orjson.dumps(hook(n, URL)) for n in (10, 11)).decode()
    ran = hookline(applied, "hook", "put", given=text)
    assert [(row["id"], row["action"]) for row in rows(ran)] == [(hook_id(10), "put"), (hook_id(11), "put")]
    assert rows(ran)[1]["offset"] == rows(ran)[0]["offset"] + 1
    assert latest(applied, hook_id(11)) == hook(11, URL)
    assert "put 2 hooks" in ran.stderr


def test_put_writes_none_when_one_is_refused_and_tells_all_reasons(applied: Settings) -> None:
    before = len(records(applied))
    good, bad = orjson.dumps(hook(12, URL)).decode(), orjson.dumps(hook(13, URL, ["Nope"])).decode()
    ran = hookline(applied, "hook", "put", given=f'{good}\n{bad}\n{{"id": "{hook_id(14)}"}}\n')
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "2 of 3 refused, nothing was written" in ran.stderr
    assert "hook 2: events: 'Nope' is no event" in ran.stderr
    assert "hook 3: Object missing required field" in ran.stderr
    assert len(records(applied)) == before


def test_put_refuses_a_retired_key_that_is_none_and_does_not_repeat_it(applied: Settings) -> None:
    given = hook(16, URL, retiredKeys=[{"signingKey": "s3cret", "until": 1}])
    ran = hookline(applied, "hook", "put", given=orjson.dumps(given).decode())
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "$.retiredKeys[0].signingKey" in ran.stderr
    assert "s3cret" not in ran.stderr


@pytest.mark.parametrize("given", ["", "[]"])
def test_put_of_what_is_no_hook_is_exit_code_4(applied: Settings, given: str) -> None:
    ran = hookline(applied, "hook", "put", given=given)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "Traceback" not in ran.stderr


ELSEWHERE = ("10.0.0.0/8",)
LOCALHOST = "http://localhost:9000/hooks?token=t0ken"


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_a_name_that_leads_to_a_forbidden_address_is_refused_when_the_hook_is_created(
    applied: Settings, words: tuple[str, ...]
) -> None:
    """`localhost` is the one name that every machine knows without asking anybody."""
    before = len(records(applied))
    settings = replace(applied, allow_networks=ELSEWHERE)
    ran = hookline(settings, "hook", "create", "--url", LOCALHOST, "--events", "*", *words)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "this hook is refused: config.url (loopback): the host's name has an address that is not" in ran.stderr
    assert "t0ken" not in ran.stderr
    assert len(records(applied)) == before


def test_a_name_that_leads_to_an_opened_network_is_taken_without_a_word(applied: Settings) -> None:
    ran = hookline(applied, "hook", "create", "--url", LOCALHOST, "--events", "*", "--dry-run")
    assert ran.returncode == 0
    assert "note:" not in ran.stderr


def test_put_refuses_all_when_one_name_leads_to_a_forbidden_address(applied: Settings) -> None:
    before = len(records(applied))
    settings = replace(applied, allow_networks=ELSEWHERE)
    given = [hook(17, "http://10.0.0.1:9000/"), hook(18, LOCALHOST), hook(19, "http://10.0.0.1:9000/")]
    ran = hookline(settings, "hook", "put", given="\n".join(orjson.dumps(one).decode() for one in given))
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "1 of 3 refused, nothing was written" in ran.stderr
    assert "hook 2: config.url (loopback)" in ran.stderr
    assert len(records(applied)) == before


def test_a_name_that_does_not_resolve_is_told_and_no_reason_to_refuse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where the system's resolver can be made to know nothing; so nothing is asked outside."""

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    urls = [f"https://crm.example.com/{n}?t0ken" for n in "ab"]
    assert hook_urls.refusals(Settings(), urls) == ["", ""]
    told = capsys.readouterr().err
    assert told.count("crm.example.com cannot be resolved now: Name or service not known") == 1
    assert "`hookline hook put`" in told
    assert "t0ken" not in told
    assert hook_urls.refusals(Settings(log_level="error"), urls) == ["", ""]
    assert capsys.readouterr().err == ""


def test_put_on_trial_writes_nothing(applied: Settings) -> None:
    ran = hookline(applied, "hook", "put", "--dry-run", given=orjson.dumps(hook(15, URL)).decode())
    assert rows(ran) == [{"id": hook_id(15), "action": "would put"}]
    assert hook_id(15) not in dict(records(applied))


def test_disable_changes_enabled_and_keeps_every_other_byte_of_the_record(applied: Settings) -> None:
    text = orjson.dumps(hook(20, URL, ours=0)).replace(b'"ours":0', b'"ours":{"n":1.10,"big":1180591620717411303424}')
    publish(applied, Outgoing(topic=topics.CONFIG, key=hook_id(20).encode(), value=text))
    ran = hookline(applied, "hook", "disable", hook_id(20))
    assert [row["action"] for row in rows(ran)] == ["disabled"]
    values = [record.value for record in read(applied, topics.CONFIG) if record.key == hook_id(20).encode()]
    assert values[-1] == text.replace(b'"enabled":true', b'"enabled":false')
    again = hookline(applied, "hook", "disable", hook_id(20))
    assert rows(again) == [{"id": hook_id(20), "action": "unchanged"}]


def test_disable_says_that_deliveries_that_wait_are_cancelled_or_kept_and_the_record_says_so_too(
    applied: Settings,
) -> None:
    put(applied, hook(27, URL))
    said = {}
    for words in (("disable", "--keep-pending"), ("disable",), ("disable", "--keep-pending"), ("enable",)):
        ran = hookline(applied, "hook", words[0], hook_id(27), *words[1:])
        assert [row["action"] for row in rows(ran)] == [words[0] + "d"]
        said[words] = (latest(applied, hook_id(27)), ran.stderr)
    kept, cancelled, enabled = said["disable", "--keep-pending"], said[("disable",)], said[("enable",)]
    assert kept[0] == hook(27, URL, enabled=False, keepPending=True)
    assert "deliveries that wait: kept until the hook is enabled again" in kept[1]
    assert cancelled[0] == hook(27, URL, enabled=False)
    assert "deliveries that wait: ended as cancelled" in cancelled[1]
    assert enabled[0] == hook(27, URL)
    assert "deliveries that were kept: sent" in enabled[1]


def test_to_disable_twice_alike_changes_nothing_and_get_shows_that_deliveries_are_kept(applied: Settings) -> None:
    put(applied, hook(28, URL))
    for action in ("disabled", "unchanged"):
        ran = hookline(applied, "hook", "disable", "--keep-pending", hook_id(28))
        assert [row["action"] for row in rows(ran)] == [action]
    assert "deliveries" not in ran.stderr
    assert rows(hookline(applied, "hook", "get", hook_id(28)))[0]["keepPending"] is True
    assert re.search(r"keepPending +yes", hookline(applied, "hook", "get", hook_id(28), "-o", "table").stdout)


def test_enable_builds_on_the_latest_version_that_is_valid(applied: Settings) -> None:
    put(applied, hook(21, URL, enabled=False), hook(21, URL, ["Nope"], enabled=False))
    assert rows(hookline(applied, "hook", "enable", hook_id(21)))[0]["action"] == "enabled"
    assert latest(applied, hook_id(21)) == hook(21, URL)


def test_disable_on_trial_writes_nothing(applied: Settings) -> None:
    put(applied, hook(22, URL))
    ran = hookline(applied, "hook", "disable", "--dry-run", hook_id(22))
    assert rows(ran) == [{"id": hook_id(22), "action": "would disable"}]
    assert "would disable 1 of 1 hooks" in ran.stderr
    assert latest(applied, hook_id(22))["enabled"] is True


def test_delete_needs_a_yes_where_nobody_can_be_asked(applied: Settings) -> None:
    put(applied, hook(23, URL))
    ran = hookline(applied, "hook", "delete", hook_id(23))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--yes" in ran.stderr
    assert latest(applied, hook_id(23))


@pytest.mark.parametrize("verb", ["delete", "disable"])
def test_delete_and_disable_ask_on_a_terminal_and_a_no_changes_nothing(applied: Settings, verb: str) -> None:
    put(applied, hook(24, URL))
    ran = hookline(applied, "hook", verb, hook_id(24), typed="n\n")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{hook_id(24)}  hook 24  127.0.0.1" in ran.stderr
    assert "deliveries that wait: ended as cancelled" in ran.stderr
    assert f"{verb.capitalize()} them? [y/N]" in ran.stderr
    assert latest(applied, hook_id(24)) == hook(24, URL)


def test_delete_writes_a_null_for_every_hook_and_then_they_are_unknown(applied: Settings) -> None:
    put(applied, hook(25, URL), hook(26, URL))
    ran = hookline(applied, "hook", "delete", hook_id(25), hook_id(26), typed="y\n")
    assert ran.returncode == 0
    assert ran.stdout.count('"deleted"') == 2
    assert (latest(applied, hook_id(25)), latest(applied, hook_id(26))) == (None, None)
    assert hookline(applied, "hook", "get", hook_id(25)).returncode == 4


def test_list_has_the_newest_first_with_the_figures_of_the_latest_report(settings: Settings) -> None:
    asyncio.run(admin.apply(settings))
    hooks = [
        hook(1, URL, ["User.*", "Role.Created"], createdAt=1, name="old [red]"),
        hook(2, URL, ["*"], createdAt=3, name="new\x1b[2J", tenantId="acme"),
        hook(3, URL, ["Role.Deleted"], createdAt=2, enabled=False),
    ]
    put(settings, hook(1, URL, ["Nope"]), *hooks, hook(3, URL, ["Nope"]))
    publish(settings, *(report(h) for h in hooks))
    found = rows(hookline(settings, "hook", "list"))
    assert [row["id"] for row in found] == [hook_id(2), hook_id(3), hook_id(1)]
    assert found[0] == {
        "id": hook_id(2),
        "tenantId": "acme",
        "name": "new\x1b[2J",
        "events": ["*"],
        "host": "127.0.0.1",
        "enabled": True,
        "keepPending": False,
        "retiredKeysUntil": [],
        "status": "idle",
        "requestCount": 0,
        "successCount": 0,
        "successRate": None,
        "createdAt": 3,
    }
    assert chosen(hookline(settings, "hook", "list", "--event", "Role.Deleted")) == [2, 3]
    assert chosen(hookline(settings, "hook", "list", "--tenant", "default")) == [3, 1]
    assert hookline(settings, "hook", "list", "--event", "Role.Nope").returncode == 4
    shown = hookline(settings, "hook", "list", "-o", "table")
    assert "User.* / Role.Created" in shown.stdout
    assert "old [red]" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert f"the latest record of '{hook_id(3)}' is refused" in shown.stderr
    assert shown.stderr.count("is refused") == 1


def chosen(ran: Ran) -> list[int]:
    return [int(row["id"][4:]) for row in rows(ran)]


def report(fields: dict[str, Any]) -> Outgoing:
    """The health role's report of a hook without deliveries."""
    made = health.report(msgspec.convert(fields, Hook), health.Window(), 1_790_000_000_000)
    return Outgoing(topic=topics.HEALTH, key=made.hook_id.encode(), value=msgspec.json.encode(made))


@pytest.mark.parametrize("words", [("list",), ("create", "--url", URL, "--events", "*")])
def test_without_topics_the_exit_code_is_1_with_the_command_that_mends_it(
    settings: Settings, words: tuple[str, ...]
) -> None:
    ran = hookline(settings, "hook", *words)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "`hookline topic apply`" in ran.stderr


@pytest.mark.parametrize("words", [("list",), ("put",)])
def test_without_a_broker_the_exit_code_is_3(words: tuple[str, ...]) -> None:
    with nobody() as settings:
        settings = replace(settings, allow_networks=("127.0.0.0/8",))
        ran = hookline(settings, "hook", *words, given=orjson.dumps(hook(1, URL)).decode())
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("hookline: no Kafka broker answers at 127.0.0.1:")
