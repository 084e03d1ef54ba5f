"""`hookline signature sign|verify` as a person or a script sees them."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from streams.cli import cli
from streams.core import signing
from streams.core.errors import InvalidInput

KEY = "k" * 32
OTHER = "o" * 32
BODY = b'{"event":"User.Created"}'
NOW = 1_790_000_000
LOGTO = signing.logto_signature(KEY, BODY)
STANDARD = signing.standard_signature((KEY,), "msg_1", NOW, BODY)
WHOLE = ("--signature", STANDARD, "--id", "msg_1", "--timestamp", str(NOW))


def signature(*arguments: str | Path, body: bytes = BODY, key: str = KEY) -> Result:
    environ = {"HOOKLINE_SIGNING_KEY": key}
    return CliRunner().invoke(cli, ["signature", *map(str, arguments)], input=body, env=environ)


def refused(result: Result) -> str:
    """The sentence of an exit with code 4."""
    assert isinstance(result.exception, InvalidInput)
    assert result.exception.exit_code == 4
    return str(result.exception)


def test_sign_prints_headers_that_curl_takes() -> None:
    result = signature("sign", "--id", "msg_1", "--timestamp", str(NOW))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"logto-signature-sha-256: {LOGTO}",
        "webhook-id: msg_1",
        f"webhook-timestamp: {NOW}",
        f"webhook-signature: {STANDARD}",
    ]


def test_sign_prints_one_json_object_on_request() -> None:
    assert orjson.loads(signature("sign", "-o", "json").stdout) == {"logto-signature-sha-256": LOGTO}


def test_what_sign_made_now_is_accepted_now() -> None:
    headers = orjson.loads(signature("sign", "--id", "msg_1", "-o", "json").stdout)
    pieces = ("--signature", headers["webhook-signature"], "--timestamp", headers["webhook-timestamp"])
    assert signature("verify", "--id", "msg_1", *pieces).exit_code == 0


def test_the_body_may_be_a_file_and_the_keys_another_with_one_for_each_line_in_either_form(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "keys").write_text(f"{OTHER}\n{signing.whsec(KEY)}\n\n")
    result = signature(
        "verify", tmp_path / "body", "--signing-key-file", tmp_path / "keys", "--signature", LOGTO, body=b"", key=""
    )
    assert result.exit_code == 0
    assert result.stderr == "valid: the Logto signature fits the body and the key\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--signature", LOGTO[:-1]), "malformed"),
        (("--signature", "0" * 64), "mismatch"),
        (("--signature", STANDARD), "missing"),
        (("--signature", STANDARD, "--id", "msg_2", "--timestamp", str(NOW), "--now", str(NOW)), "mismatch"),
        ((*WHOLE, "--now", str(NOW + 301)), "too-old"),
        ((*WHOLE, "--now", str(NOW - 301)), "too-new"),
    ],
)
def test_verify_says_what_is_wrong_and_exits_with_4(arguments: tuple[str, ...], word: str) -> None:
    assert refused(signature("verify", *arguments)).startswith(word + ": ")


@pytest.mark.parametrize("offset_s", [-300, 0, 300])
def test_verify_judges_the_age_as_of_the_time_it_is_given(offset_s: int) -> None:
    assert signature("verify", *WHOLE, "--now", str(NOW + offset_s)).exit_code == 0


def test_a_changed_body_is_refused() -> None:
    assert refused(signature("verify", "--signature", LOGTO, body=BODY + b"\n")).startswith("mismatch")


@pytest.mark.parametrize("command", [("sign",), ("verify", "--signature", LOGTO)])
def test_without_a_key_it_says_how_to_give_one(command: tuple[str, ...], tmp_path: Path) -> None:
    assert "HOOKLINE_SIGNING_KEY" in refused(signature(*command, key=""))
    assert "cannot be read" in refused(signature(*command, "--signing-key-file", tmp_path / "nowhere"))


def test_no_option_takes_a_key_itself() -> None:
    for command in ("sign", "verify"):
        assert "--signing-key " not in signature(command, "--help").stdout
        assert signature(command, "--signing-key", KEY).exit_code != 0
