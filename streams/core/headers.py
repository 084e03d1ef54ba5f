"""May a hook set this custom header? (CONTRACT 5)

Decides by name, value and number, and says what is wrong in plain sentences that never hold a value, since values
are often bearer tokens. The reserved names are those that frame the message, those that belong to one connection,
and those that Hookline itself promises; letting a hook set one would allow request smuggling or a forged signature.
"""

import re
from collections import Counter
from collections.abc import Mapping

HEADERS_MAX = 20
"""Custom headers per hook: more than any receiver needs, few enough to read on one page."""

NAME_CHARS_MAX = 64
"""Longest name; the longest registered ones are shorter than 50."""

VALUE_CHARS_MAX = 1024
"""Longest value: room for a bearer token (JWT) of the usual size."""

TOTAL_CHARS_MAX = 8 * 1024
"""All names and values together: common servers refuse a request head of more than 8 KiB."""

OVERRIDABLE = "user-agent"
"""The only header of Hookline's own that a hook may replace."""

RESERVED = frozenset(
    {
        "accept-encoding",  # answers are not decompressed
        "baggage",  # traces of the sender's inside never leave it
        "connection",
        "cookie",
        "cookie2",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "trailers",  # as RFC 2616 spelled it
        "transfer-encoding",
        "upgrade",
    }
)
"""Names no hook may set: framing, one connection's business, tracing."""

RESERVED_PREFIXES = ("content-", "logto-signature-", "proxy-", "webhook-")
"""Families no hook may set: what describes the body, what proxies act on, and the signatures."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_MARK = re.compile(r"[^0-9a-z]")
_NO_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")


def is_reserved(name: str) -> bool:
    """Whether Hookline alone sets this header, in any spelling that a receiver may take for it.

    CGI, WSGI, PHP and Rack know headers as `HTTP_WEBHOOK_SIGNATURE`: to them `webhook_signature`, or any other mark
    in place of the hyphen, is the same header, and the later one would win.
    """
    plain = _MARK.sub("-", name.lower())
    return plain in RESERVED or plain.startswith(RESERVED_PREFIXES)


def problems_with(headers: Mapping[str, str]) -> list[str]:
    """Why a hook may not send these headers, one plain sentence each; empty when it may. No sentence holds a value."""
    problems = [problem for name, value in headers.items() for problem in _one(name, value)]
    spellings = Counter(name.lower() for name in headers)
    problems += [f"the header {name!r} is there {n} times" for name, n in spellings.items() if n > 1]
    if len(headers) > HEADERS_MAX:
        problems.append(f"{len(headers)} custom headers are too many: at most {HEADERS_MAX}")
    total = sum(len(name) + len(value) for name, value in headers.items())
    if total > TOTAL_CHARS_MAX:
        problems.append(f"the custom headers have {total} characters in all: at most {TOTAL_CHARS_MAX}")
    return problems


def _one(name: str, value: str) -> list[str]:
    shown = repr(name[:NAME_CHARS_MAX])
    problems = []
    if not _TOKEN.match(name):
        # Somebody may have written the whole header as its name: what follows the first odd sign may be a secret.
        shown = f"{_NO_TOKEN.split(name, maxsplit=1)[0][:NAME_CHARS_MAX]!r}..."
        problems.append(f"{shown} is no header name: letters, digits and !#$%&'*+.^_`|~- only")
    elif is_reserved(name):
        problems.append(f"the header {shown} is reserved: Hookline or the connection sets it")
    if len(name) > NAME_CHARS_MAX:
        problems.append(f"the header name {shown} has {len(name)} characters: at most {NAME_CHARS_MAX}")
    if len(value) > VALUE_CHARS_MAX:
        problems.append(f"the value of {shown} has {len(value)} characters: at most {VALUE_CHARS_MAX}")
    if not _PRINTABLE.match(value):
        problems.append(f"the value of {shown} has characters other than printable ASCII")
    return problems
