"""What is shown of a body that a receiver sent, or of a payload: secrets as `******`, all else as it was (CONTRACT 6).

The names are those of Logto's log (research/logto.md 5.2), compared without case, `_`, `-` and NUL. Logto drops
fields whose names begin or end with `script`, a `transcript` too; here such a value is masked where the name has the
whole word, and nothing is dropped. Works on text as it stands, so a body that was cut off or is no JSON is masked too.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache

MASK = "******"

WHOLE = frozenset({"authorization", "xfunctionskey", "token"})
PARTS = ("secret", "password", "apikey", "privatekey", "credential", "cookie", "environmentvariables")
ENDING = "token"
KEPT = re.compile(r"true|false|null")
"""Values that are never masked: no secret is a yes or a no (`hasPassword`, `passwordVerified`)."""

SECRET_CHARS_MIN = 6
"""Shorter values of a hook's headers are words that may stand anywhere, `yes` or `prod`."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]|[^"{}\[\]]++', re.DOTALL)
"""A JSON string, a bracket, or what lies between them. No backtracking: time grows with the text, whatever is in it."""

_COLON = re.compile(r"\s*+:\s*+")
_SCALAR = re.compile(r"[^\s,}\]\"]++")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NAME_ONLY = re.compile(r'\{\s*+"name"\s*+:\s*+"(?:[^"\\]++|\\.)*+"\s*+\}', re.DOTALL)
_PAIR = re.compile(
    r"(?<![A-Za-z0-9_-])(?P<name>[A-Za-z][A-Za-z0-9_-]{0,63})(?P<sign>\s?[=:]\s?)"
    r"(?P<value>(?:(?:[Bb]earer|[Bb]asic|[Tt]oken) )?[^\s&;,\"'<>{}\[\]]++)"
)
"""`name=value` of a form or a cookie, `Name: value` of a header, in text between JSON's own strings."""


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with the values of telling names masked, wherever `secrets` stand in it too, and without NULs."""
    text = text.replace("\x00", "")
    known = tuple(secret for secret in secrets if len(secret) >= SECRET_CHARS_MIN)
    if known:
        text = _spellings(known).sub(MASK, text)
        text = text[: len(text) - _cut(text, known)]
    return "".join(_pieces(text))


def is_secret(name: str) -> bool:
    """Whether the value under this name is masked."""
    plain = re.sub(r"[\x00_-]", "", name).lower()
    words = [word.lower() for word in _WORDS.findall(name)]
    return (
        plain in WHOLE
        or plain.endswith(ENDING)
        or any(part in plain for part in PARTS)
        or "script" in (words[:1] + words[-1:])
    )


@lru_cache(maxsize=1024)
def _spellings(secrets: tuple[str, ...]) -> re.Pattern[str]:
    """All secrets, the longest first, however JSON encoders write them: `/` as `\\/`, other signs as `\\u00XX`."""
    return re.compile("|".join("".join(map(_spelling, secret)) for secret in sorted(secrets, key=len, reverse=True)))


def _spelling(char: str) -> str:
    if char.isalnum() or ord(char) > 0xFF:
        return re.escape(char)
    return rf"(?:{re.escape(char)}|\\{re.escape(char)}|\\u00(?i:{ord(char):02x}))"


def _cut(text: str, secrets: Iterable[str]) -> int:
    """How many characters at a text's end are the beginning of a secret, of which the rest was cut off."""
    most = 0
    for secret in secrets:
        at = text.find(secret[:SECRET_CHARS_MIN], max(len(text) - len(secret), 0))
        while at >= 0 and not secret.startswith(text[at:]):
            at = text.find(secret[:SECRET_CHARS_MIN], at + 1)
        most = max(most, len(text) - at if at >= 0 else 0)
    return most


def _pieces(text: str) -> Iterable[str]:
    at = 0
    while token := _TOKEN.match(text, at):
        piece, at = token[0], token.end()
        if not piece.startswith('"'):
            yield _PAIR.sub(_pair, piece)
            continue
        colon = _COLON.match(text, at)
        if colon is None:
            yield f'"{_PAIR.sub(_pair, piece[1:])}'
            continue
        yield piece + colon[0]
        at = colon.end()
        if is_secret(_decoded(piece)):
            end = _value_end(text, at)
            yield text[at:end] if _is_kept(piece, text, at, end) else f'"{MASK}"'
            at = end


def _is_kept(name: str, text: str, start: int, end: int) -> bool:
    """Whether a value says nothing secret: a yes or no, or Logto's `applicationSecret` that is but a name."""
    value = text[start:end]
    return KEPT.fullmatch(value) is not None or (
        name == '"applicationSecret"' and _NAME_ONLY.fullmatch(value) is not None
    )


def _value_end(text: str, at: int) -> int:
    """Where a JSON value ends, the text's end when it was cut off."""
    scalar = _SCALAR.match(text, at)
    if scalar and text[at] not in "{[":
        return scalar.end()
    depth = 0
    while token := _TOKEN.match(text, at):
        at = token.end()
        depth += (token[0] in ("{", "[")) - (token[0] in ("}", "]"))
        if depth <= 0:
            break
    return at


def _pair(found: re.Match[str]) -> str:
    return f"{found['name']}{found['sign']}{MASK}" if is_secret(found["name"]) else found[0]


def _decoded(quoted: str) -> str:
    """The name in a JSON string, escapes undone; as it stands when it is none."""
    if "\\" not in quoted:
        return quoted.strip('"')
    try:
        return str(json.loads(quoted, strict=False))
    except ValueError:
        return quoted.strip('"')
