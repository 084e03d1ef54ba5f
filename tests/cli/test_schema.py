"""`hookline schema list|export|check`."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from streams.cli import cli, schema, schema_check, schema_examples
from streams.cli.schema_documents import documents
from streams.core.errors import HooklineError, InvalidInput
from streams.settings import Settings

CLUSTER = {"HOOKLINE_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
"""Never asked; but without brokers configured, loopback is open to hooks."""

HOOK = msgspec.to_builtins(schema_examples.HOOK)


def hookline(*arguments: str, stdin: Any = None, env: dict[str, str] | None = None) -> Result:
    text = stdin if isinstance(stdin, str) else json.dumps(stdin)
    return CliRunner().invoke(cli, ["schema", *arguments], input=text, env=CLUSTER | (env or {}))


def judged(result: Result) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads(result.stdout)
    return verdict


def test_list_names_every_schema_and_its_file() -> None:
    rows = [json.loads(line) for line in hookline("list", "-o", "jsonl").stdout.splitlines()]
    assert [row["name"] for row in rows] == [*documents(), "asyncapi"]
    assert {row["file"] for row in rows} == set(schema.files())


def test_list_is_a_table_for_people() -> None:
    assert "identity-event.schema.json" in hookline("list", "-o", "table").stdout


def test_export_writes_every_file_says_so_and_leaves_others_alone(tmp_path: Path) -> None:
    target = tmp_path / "made" / "on the way"
    target.mkdir(parents=True)
    (target / "README.md").write_text("mine")
    result = hookline("export", str(target))
    assert result.exit_code == 0
    assert {path.name: path.read_bytes() for path in target.glob("*.json")} == schema.files()
    assert (target / "README.md").read_text() == "mine"
    assert "asyncapi.json" in result.stderr
    assert result.stdout == ""


def test_export_makes_the_directory_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        assert hookline("export", str(tmp_path / "new" / "schemas")).exit_code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "schemas").iterdir()} == schema.files()


def test_export_says_why_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = hookline("export", str(tmp_path / "file" / "schemas"))
    assert isinstance(result.exception, HooklineError)
    assert "Not a directory" in str(result.exception)


@pytest.mark.parametrize("name", documents())
def test_check_takes_every_published_example(name: str) -> None:
    for example in documents()[name]["examples"]:
        result = hookline("check", name, stdin=example)
        assert result.exit_code == 0
        assert judged(result) == {"schema": name, "valid": True, "reason": None, "detail": ""}


@pytest.mark.parametrize(
    ("name", "record", "reason", "detail"),
    [
        ("identity-event", {"event": "User.Vanished"}, "unknown-event", "User.Vanished"),
        ("identity-event", {"createdAt": "today"}, "missing-event", "event"),
        ("identity-event", {"event": "User.Created", "hookId": None}, "reserved-field", "hookId"),
        ("identity-event", [], "not-an-object", "object"),
        ("identity-event", "", "not-json", ""),
        ("hook", HOOK | {"id": "short"}, "bad-hook", "$.id"),
        ("hook", HOOK | {"events": ["User.Vanished"]}, "bad-hook", "User.Vanished"),
        ("hook", HOOK | {"config": {"url": "https://127.0.0.1/in"}}, "bad-hook", "url"),
        ("hook", HOOK | {"config": HOOK["config"] | {"headers": {"host": "x"}}}, "bad-hook", "host"),
        ("hook", HOOK | {"delivery": {"filter": {"$xor": []}}}, "bad-hook", "$xor"),
        ("hook", "{", "bad-hook", "truncated"),
        ("job", schema_examples.job_headers() | {"source": "nowhere"}, "bad-job", ""),
        ("job", {}, "bad-job", "delivery-id"),
        ("job", [], "bad-job", "object"),
        ("outcome", {"id": 1}, "invalid", "$.id"),
        ("report", "nothing", "not-json", ""),
        ("request-body", {"event": "User.Created", "createdAt": ""}, "invalid", "hookId"),
        ("dead-letter", schema_examples.dead_letter_headers() | {"reason": "boredom"}, "invalid", "boredom"),
    ],
)
def test_check_refuses_with_exit_4_and_the_reason_that_a_role_would_give(
    name: str, record: Any, reason: str, detail: str
) -> None:
    result = hookline("check", name, stdin=record)
    assert result.exit_code == 4
    verdict = judged(result)
    assert (verdict["valid"], verdict["reason"]) == (False, reason)
    assert detail in verdict["detail"]


def test_check_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"event":"User.Created"}\n')
    assert hookline("check", "identity-event", str(tmp_path / "event.json")).exit_code == 0


def test_check_knows_the_operators_own_events_and_networks() -> None:
    hook = HOOK | {"events": ["Parcel.Sent"], "config": {"url": "http://127.0.0.1:9000/in"}}
    env = {"HOOKLINE_EXTRA_EVENTS": "Parcel.Sent=identity.user", "HOOKLINE_ALLOW_NETWORKS": "127.0.0.0/8"}
    assert hookline("check", "hook", stdin=hook).exit_code == 4
    assert hookline("check", "hook", stdin=hook, env=env).exit_code == 0
    assert hookline("check", "identity-event", stdin={"event": "Parcel.Sent"}, env=env).exit_code == 0


def test_check_never_shows_a_secret() -> None:
    secret = "bearer-of-a-secret"
    hook = HOOK | {"signingKey": secret, "config": HOOK["config"] | {"headers": {"host": secret}}}
    assert secret not in hookline("check", "hook", stdin=hook).output


def test_check_of_a_name_that_does_not_exist_lists_the_names() -> None:
    result = hookline("check", "hooks")
    assert isinstance(result.exception, InvalidInput)
    assert "identity-event, hook, report, operational-event" in str(result.exception)


def test_a_verdict_does_not_depend_on_space_around_the_record() -> None:
    for text in (b'{"event":"User.Created"}', b'\n {"event":"User.Created"}\r\n'):
        assert schema_check.verdict("identity-event", text, Settings()) == schema_check.VALID
