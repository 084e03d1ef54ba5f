"""Custom headers: what a hook may set, and every limit just below, at and just above."""

import pytest

from streams.core.headers import (
    HEADERS_MAX,
    NAME_CHARS_MAX,
    RESERVED,
    TOTAL_CHARS_MAX,
    VALUE_CHARS_MAX,
    problems_with,
)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-team": "identity"},
        {"Authorization": "Bearer abc.def"},
        {"user-agent": "Acme/1.0"},
        {"!#$%&'*+.^_`|~-9A": "every character a name may have"},
        {"x-empty": "", "x-spaces": " ~ "},
        {"accept": "application/json", "x-content-type": "x", "my-webhook-id": "x", "x_team": "x", "webhooks": "x"},
    ],
)
def test_these_headers_may_be_set(headers: dict[str, str]) -> None:
    assert problems_with(headers) == []


@pytest.mark.parametrize(
    "name",
    [
        *sorted(RESERVED),
        *("Host", "CONTENT-LENGTH", "content-type", "content-encoding", "Content-Anything", "Transfer-Encoding"),
        *("proxy-authorization", "proxy-connection", "webhook-id", "Webhook-Signature", "webhook-x"),
        *("logto-signature-sha-256", "Logto-Signature-X"),
        # what CGI and its heirs take for the same
        *("webhook_signature", "Webhook.Id", "LOGTO_SIGNATURE_SHA_256", "Transfer_Encoding", "content~length"),
    ],
)
def test_reserved_headers_are_refused_in_any_spelling(name: str) -> None:
    assert [problem for problem in problems_with({name: "x"}) if "reserved" in problem]


@pytest.mark.parametrize("name", ["", "X A", "X-A:", "x\r\ny", "x\n", "é", "x\x00", "(x)", "x/y", "x@y", "\udcff"])
def test_a_name_must_be_an_http_token(name: str) -> None:
    assert [problem for problem in problems_with({name: "x"}) if "no header name" in problem]


@pytest.mark.parametrize("value", ["a\r\nb", "a\n", "\x00", "\x0b", "\t", "\x7f", "€", "é", "\udcff"])
def test_a_value_must_be_printable_ascii(value: str) -> None:
    assert [problem for problem in problems_with({"x-a": value}) if "printable ASCII" in problem]


@pytest.mark.parametrize(("extra", "refused"), [(-1, False), (0, False), (1, True)])
def test_limits_hold_exactly(extra: int, refused: bool) -> None:
    """Number of headers, length of a name, of a value, and of all together."""
    each = TOTAL_CHARS_MAX // 8
    full = {f"x-{n}": "v" * (each - 3) for n in range(7)}
    assert bool(problems_with({f"x-{n}": "v" for n in range(HEADERS_MAX + extra)})) is refused
    assert bool(problems_with({"x" * (NAME_CHARS_MAX + extra): "v"})) is refused
    assert bool(problems_with({"x-a": "v" * (VALUE_CHARS_MAX + extra)})) is refused
    assert bool(problems_with(full | {"x-7": "v" * (each - 3 + extra)})) is refused


def test_one_name_in_two_spellings_is_refused() -> None:
    assert problems_with({"X-A": "1", "x-a": "2"}) == ["the header 'x-a' is there 2 times"]


def test_a_header_that_was_written_as_a_name_is_not_repeated() -> None:
    (problem,) = problems_with({"Authorization: Bearer T0KEN": "x"})
    assert problem.startswith("'Authorization'... is no header name")


def test_every_problem_is_told_and_none_tells_a_value() -> None:
    problems = problems_with({"Host": "secret-1\n", "x y": "secret-2" * 200, "X-A": "secret-3", "x-a": "secret-4"})
    assert len(problems) == 5
    assert "secret" not in " ".join(problems)
