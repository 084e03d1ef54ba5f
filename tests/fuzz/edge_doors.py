"""Everything but records: URLs, headers, times, settings, and what people pipe into commands."""

import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import click
import msgspec
import orjson

from streams.cli import event_publish, hook_create, hook_put, inputs, listen, schema_check
from streams.cli.delivery_options import _rate
from streams.cli.dlq_rows import Place
from streams.cli.request_rows import Duration
from streams.cli.times import Moment
from streams.core import egress, headers, masking, retry, sealing, signing
from streams.core.address_table import SPECIAL_NAMES
from streams.core.errors import UNREADABLE, InvalidInput
from streams.core.events import LAST_MS
from streams.core.sealing import CannotOpen, KeyRing, MasterKey
from streams.settings import Settings, describe, load, sources
from tests.core.building import CATALOGUE, HOOK_ID, KEY, NOW, hook_fields
from tests.fuzz.door import KIB, SEPARATOR, Door, parts
from tests.fuzz.kafka_doors import RULES

ARGUMENT_BYTES_MAX = 128 * KIB
"""Longest argument of a command, by Linux."""

RING = KeyRing((MasterKey("k1", bytes(32)),))

FIELD_BYTES_MAX = 8190
"""Longest header field that aiohttp reads."""


def text(data: bytes) -> str:
    """Bytes as Python has those of a command line, of the environment and of headers."""
    return data.decode("utf-8", "surrogateescape")


def url(data: bytes) -> bool:
    """A hook's URL; one that passes names nothing private unless networks were opened."""
    given = data.decode("utf-8", "replace")
    found = egress.target(given, ())
    egress.url_verdict(given, RULES.allowed)
    if isinstance(found, egress.Verdict):
        assert found.sentence
        return False
    assert (found.scheme, found.port in egress.HTTPS_PORTS) == ("https", True)
    assert found.host.isascii()
    assert "." in found.host
    assert found.host.rpartition(".")[2] not in SPECIAL_NAMES
    assert found.path.isascii()
    assert found.path.startswith("/")
    again = egress.target(f"https://{found.host}:{found.port}{found.path}", ())
    return found == again or len(found.host) + len(found.path) > egress.URL_CHARS_MAX - 32


def address(data: bytes) -> bool:
    """An address from a resolver, and a network from the settings."""
    given = text(data)
    with suppress(ValueError):
        egress.networks([given])
    verdicts = [egress.address_verdict(given, RULES.allowed), egress.peer_verdict(given, 443, ())]
    assert all(verdict.sentence for verdict in verdicts)
    return verdicts[1].ok


def custom_headers(data: bytes) -> bool:
    """A hook's headers; no sentence holds a value."""
    try:
        given = msgspec.json.decode(data, type=dict[str, str])
    except UNREADABLE:
        return False
    return not headers.problems_with(given)


def master_keys(data: bytes) -> bool:
    """The value of `HOOKLINE_MASTER_KEYS`; no refusal repeats a key."""
    try:
        return sealing.ring(text(data)).current is not None
    except ValueError as error:
        told = str(error)
    assert "c2VjcmV0" not in told
    return False


def sealed(data: bytes) -> bool:
    """A secret as it stands in a hook's record."""
    given = text(data)
    try:
        return sealing.is_sealed(given) and bool(RING.open(given, HOOK_ID, "signingKey"))
    except CannotOpen:
        return False


def masked(data: bytes) -> bool:
    """The body of an answer, as an outcome shows it; True when something in it had to be masked."""
    found = masking.masked(data.decode("utf-8", "replace"), ["Bearer a"])
    assert "\x00" not in found
    return masking.MASK in found


def retry_after(data: bytes) -> bool:
    """The value of `Retry-After`."""
    found = retry.retry_after_s(text(data), NOW)
    assert 0 <= found <= retry.RETRY_AFTER_MAX_S
    return found > 0


def signature(data: bytes) -> bool:
    """The headers of a request that somebody else made, as `hookline listen` verifies them; and a pasted key."""
    body, *values = (data + SEPARATOR * 4).split(SEPARATOR)
    identity, timestamp, signed, logto = map(text, values[:4])
    signing.key_from(text(body))
    verdict = signing.verify_standard([KEY], identity, timestamp, signed, body, NOW / 1000)
    signing.verify_logto([KEY], logto, body)
    listen._event(body)
    assert verdict.sentence
    return verdict.word == "valid"


def environment(data: bytes) -> bool:
    """Environment variables, one a line."""
    pairs = (line.partition("=") for line in text(data).split("\n"))
    return _settings({"HOOKLINE_" + name: value for name, _, value in pairs if name != "CONFIG"})


@cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="hookline-fuzz-")


def close() -> None:
    """Remove the file."""
    _directory().cleanup()
    _directory.cache_clear()


def toml(data: bytes) -> bool:
    """The settings' file."""
    file = Path(_directory().name, "hookline.toml")
    file.write_bytes(data)
    return _settings({"HOOKLINE_CONFIG": str(file)})


def _settings(environ: dict[str, str]) -> bool:
    sources(environ)
    try:
        describe(load(environ))
    except InvalidInput:
        return False
    return True


def _convert(*types: click.ParamType) -> Callable[[bytes], bool]:
    def enter(data: bytes) -> bool:
        good = False
        for type_ in types:
            with suppress(click.UsageError):
                found = type_.convert(text(data), None, None)
                assert isinstance(found, tuple) or 0 <= found <= LAST_MS
                good = True
        return good

    return enter


def rate_limit(data: bytes) -> bool:
    """The value of `--rate-limit`."""
    try:
        found = _rate(click.Context(click.Command("x")), click.Option(["--rate-limit"]), text(data))
    except click.BadParameter:
        return False
    return found is not None and found["periodMs"] >= 0


class _Piped(io.BytesIO):
    name = "stdin"


def piped(data: bytes) -> bool:
    """What is piped into `event publish`, `hook put`, `hook create --header-file` and `hook get`."""
    with suppress(InvalidInput):
        hook_create._headers(_Piped(data))
    try:
        texts = inputs.objects(_Piped(data))
    except InvalidInput:
        return False
    good = True
    for one in texts[:50]:
        made = event_publish._record(one, None, None, (), CATALOGUE)
        good &= event_publish._refusal(made, CATALOGUE) is None
        hook_put._id(one)
    return good


def checked(data: bytes) -> bool:
    """What `schema check` is given, as every kind of record."""
    names = ("identity-event", "hook", "job", "outcome", "pending", "report")
    verdicts = [schema_check.verdict(name, data, Settings()) for name in names]
    return any(verdict.reason is None for verdict in verdicts)


HOOK = orjson.dumps(hook_fields())
STANDARD = signing.standard_signature([KEY], "msg_1", NOW // 1000, b"{}").encode()
SIGNED = parts(b"{}", b"msg_1", str(NOW // 1000).encode(), STANDARD, signing.logto_signature(KEY, b"{}").encode())
TOML = b'topic_prefix = "a."\nallow_networks = ["10.0.0.0/8"]\ndrain_s = 1.5\n[extra_events]\n"A.B" = "identity.user"\n'
ENVIRONMENT = (
    b"BOOTSTRAP_SERVERS=a:9092, [::1]:9093\nTOPIC_PREFIX=a.\nALLOW_NETWORKS=10.0.0.0/8, ::1\nDRAIN_S=1.5\n"
    b"EXTRA_EVENTS=A.B=identity.user,C=identity.role"
)

DOORS = (
    Door(
        "URL",
        url,
        (b"https://crm.example.com:8443/hooks?a=%41", "https://bücher.example/".encode(), b"https://[::1]:443/"),
        64 * KIB,
    ),
    Door("address", address, (b"93.184.216.34", b"::ffff:10.0.0.1", b"fe80::1%eth0", b"10.0.0.0/8"), KIB),
    Door("custom headers", custom_headers, (b'{"x-team":"identity","authorization":"Bearer a"}',), 64 * KIB),
    Door(
        "Retry-After",
        retry_after,
        (b"120", b"Wed, 21 Oct 2026 07:28:00 GMT", b"Wednesday, 21-Oct-26 07:28:00 +0200"),
        FIELD_BYTES_MAX,
    ),
    Door("signature headers", signature, (SIGNED,), 64 * KIB),
    Door("master keys", master_keys, (b"k1:" + b"c2VjcmV0" * 5 + b"c2U=", b"k1:c2VjcmV0,k1:c2VjcmV0"), 128 * KIB),
    Door("sealed secret", sealed, (RING.seal(KEY.encode(), HOOK_ID, "signingKey", bytes).encode(),), 64 * KIB),
    Door("answer shown", masked, (b'{"token":"a","b":["password=c"]}', b"authorization: Bearer a"), 16 * KIB),
    Door("settings, environment", environment, (ENVIRONMENT,), ARGUMENT_BYTES_MAX),
    Door("settings, TOML", toml, (TOML,), 64 * KIB),
    Door("times and places of commands", _convert(Moment(), Duration(), Place()),
         (b"2h", b"2026-11-22T08:00:00+02:00", b"0/17"), ARGUMENT_BYTES_MAX),
    Door("rate limit", rate_limit, (b"100/1s", b"5/250ms"), ARGUMENT_BYTES_MAX),
    Door("piped into commands", piped, (HOOK + b"\n" + HOOK, b"x-team: identity\n", b'{"event":"User.Created"}')),
    Door("schema check", checked, (HOOK, b'{"event":"User.Created"}', b'{"delivery-id":"msg_1"}')),
)  # fmt: skip
