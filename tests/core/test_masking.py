"""What is shown of bodies: Logto's telling names masked, innocent ones kept, in whole JSON, cut JSON and no JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.masking import MASK, is_secret, masked

SECRET_NAMES = [
    *("authorization", "Authorization", "x-functions-key", "xFunctionsKey", "token", "accessToken", "refresh_token"),
    *("secret", "clientSecret", "secrets", "password", "newPassword", "password_hash", "api-key", "apiKeys"),
    *("privateKey", "private_key_pem", "credentials", "set-cookie", "cookies", "environmentVariables", "to\x00ken"),
    *("script", "customScript", "script_v2", "jwt-script"),
]
INNOCENT_NAMES = ["transcript", "description", "subscription", "manuscripts", "tokens", "tokenizer", "name", "keys", ""]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_these_names_have_their_values_masked(name: str) -> None:
    assert is_secret(name)
    assert (
        json.loads(masked(json.dumps({name: "abc", "n": 1}))) == {name.replace("\x00", ""): MASK, "n": 1}
        or "\x00" in name
    )


@pytest.mark.parametrize("name", INNOCENT_NAMES)
def test_innocent_names_are_kept_with_their_values(name: str) -> None:
    body = json.dumps({name: "abc"})
    assert masked(body) == body


@pytest.mark.parametrize(
    "value", ["x", 'with " and \\ and \u2028', 5, 1.5e300, ["a", {"b": "]}"}], {"a": {"b": ["}"]}}, ""]
)
def test_whatever_the_value_is_it_becomes_six_stars(value: Any) -> None:
    for space in (None, 2):
        body = json.dumps({"a": 1, "password": value, "z": [2]}, indent=space)
        assert json.loads(masked(body)) == {"a": 1, "password": MASK, "z": [2]}


@pytest.mark.parametrize(
    "body",
    [
        '{"hasPassword": true, "passwordVerified": false, "secret": null}',
        '{"applicationSecret": {"name": "primary"}}',
        '{"list": ["password", "secret", {"a": "token"}]}',
        "plain words about a password and a token",
        '"password"',
        "",
    ],
)
def test_what_tells_no_secret_is_shown_as_it_is(body: str) -> None:
    assert masked(body) == body


def test_an_application_secret_that_is_more_than_a_name_is_masked() -> None:
    assert masked('{"applicationSecret": {"name": "a", "value": "b"}}') == f'{{"applicationSecret": "{MASK}"}}'


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"a": {"password": "hunt', f'{{"a": {{"password": "{MASK}"'),
        ('{"token": ["a", "b', f'{{"token": "{MASK}"'),
        ('{"token"', '{"token"'),
        ("token=abc&user=u1", f"token={MASK}&user=u1"),
        ("Authorization: Bearer abc.def\nServer: x", f"Authorization: {MASK}\nServer: x"),
        ('{"message": "password=abc rest"}', f'{{"message": "password={MASK} rest"}}'),
        ('{"pass\\u0077ord": "abc"}', f'{{"pass\\u0077ord": "{MASK}"}}'),
        ('{"password":"a\x00bc","x\x00":1}', f'{{"password":"{MASK}","x":1}}'),
    ],
)
def test_bodies_that_are_cut_off_or_no_json_are_masked_too(body: str, shown: str) -> None:
    assert masked(body) == shown


def test_the_hooks_own_secrets_are_masked_wherever_they_stand() -> None:
    shown = masked('you sent x-team: se"cret1 and {"echo": "se\\"cret1"}, yes', ['se"cret1', "yes"])
    assert "cret1" not in shown
    assert shown.endswith(", yes")


leaves = st.none() | st.booleans() | st.integers() | st.text()
documents = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(SECRET_NAMES), inner)
)


def expected(value: Any, name: str = "") -> Any:
    """What a document should become, told by walking it."""
    if is_secret(name) and not (value is None or isinstance(value, bool)):
        return MASK
    if isinstance(value, dict):
        return {key: expected(member, key) for key, member in value.items()}
    return [expected(member) for member in value] if isinstance(value, list) else value


@given(documents)
def test_masked_text_is_what_walking_the_document_would_give(document: Any) -> None:
    text = json.dumps(document)
    assert MASK not in text
    kept = json.dumps(document, ensure_ascii=False)
    if any(sign in kept for sign in "=:\x00") and any(sign in leaf for leaf in texts(document) for sign in "=:\x00"):
        assert json.loads(masked(text)) is not Ellipsis
    else:
        assert json.loads(masked(text)) == expected(document)


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for member in value.values() for text in texts(member))]
    if isinstance(value, list):
        return [text for member in value for text in texts(member)]
    return [value] if isinstance(value, str) else []


@given(st.text('"\\{}[]:=, \ntokenpassword0', max_size=300))
def test_no_text_makes_it_raise(text: str) -> None:
    masked(text, ["token=", '"'])
