"""How a request is signed and how a receiver verifies it, in Logto's scheme and in Standard Webhooks.

Decides the exact header values from a key, bytes and a time that are given. Does not know where keys are kept or
what time it is. Both schemes sign the bytes that travel, never a value that is serialised again.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from streams.core.headers import OVERRIDABLE, is_reserved
from streams.core.records import Hook, Job

LOGTO_SIGNATURE = "logto-signature-sha-256"
WEBHOOK_ID = "webhook-id"
WEBHOOK_TIMESTAMP = "webhook-timestamp"
WEBHOOK_SIGNATURE = "webhook-signature"
WEBHOOK_SEQUENCE = "webhook-sequence"
WEBHOOK_KEY = "webhook-key"
USER_AGENT = OVERRIDABLE

TOLERANCE_S = 300
"""How far a timestamp may lie from the verifier's clock: five minutes, as Standard Webhooks has it."""

_PREFIX = "whsec_"
_TIMESTAMP = re.compile(r"(0|[1-9][0-9]{0,14})\Z")  # one spelling for each second, as it was signed

_PLAIN_KEY = re.compile(rb"[!-~](?:[ -~]{0,126}[!-~])?\Z")  # blanks at its ends would not survive a header

KEY_ID_CHARS = 8
"""Enough to tell the keys of one hook apart; a random key of 32 characters cannot be found from it."""

Word = Literal["valid", "missing", "malformed", "mismatch", "too-old", "too-new"]
"""What a verifier found: fixed words that commands, tests and people share."""


class Verdict(Struct, frozen=True):
    """A fixed word, and one plain sentence for people."""

    word: Word
    sentence: str


def logto_signature(key: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256 of the body; the key is the UTF-8 text of the signing key."""
    return hmac.digest(key.encode(), body, "sha256").hex()


def standard_signature(keys: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,<base64>` for each key, separated by spaces; signed is `id.timestamp.body`, time in Unix seconds."""
    signed = b"%s.%d.%s" % (message_id.encode("utf-8", "surrogateescape"), timestamp_s, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key.encode(), signed, "sha256")).decode() for key in keys)


def whsec(key: str) -> str:
    """The signing key as Standard Webhooks libraries want it: `whsec_` and base64 of the key's bytes."""
    return _PREFIX + base64.b64encode(key.encode()).decode()


def key_from(text: str) -> str:
    """The signing key from what a person pasted: the key itself or its `whsec_` form, white space around it dropped.

    A text that only looks like `whsec_` is taken as it is, so that it fails to verify rather than to load.
    """
    text = text.strip()
    if not text.startswith(_PREFIX):
        return text
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text


def key_id(key: str) -> str:
    """What a key is called where the key itself must not stand: the first 8 hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:KEY_ID_CHARS]


def key_ids(hook: Hook, now_ms: int) -> tuple[str, ...]:
    """The ids of all keys that sign a request at this time (Unix milliseconds), the current one first."""
    return tuple(key_id(key) for key in _keys(hook, now_ms))


def headers(hook: Hook, job: Job, now_s: int, version: str) -> dict[str, str]:
    """Every header Hookline gives to one attempt, names in lower case (CONTRACT 5).

    `now_s` is the time of this attempt in Unix seconds, `version` Hookline's own. A custom header never takes the
    place of a reserved one, however it is spelled; hooks that try are refused when they are written
    (`headers.problems_with`), so leaving them out here is the second lock on that door.
    """
    own = {
        "content-type": "application/json",
        USER_AGENT: f"Hookline/{version}",
        WEBHOOK_ID: job.delivery_id,
        WEBHOOK_TIMESTAMP: str(now_s),
    }
    if hook.delivery.signature != "logto":
        own[WEBHOOK_SIGNATURE] = standard_signature(_keys(hook, now_s * 1000), job.delivery_id, now_s, job.body)
    if hook.delivery.signature != "standard":
        own[LOGTO_SIGNATURE] = logto_signature(hook.signing_key, job.body)
    if hook.delivery.ordering != "none":
        own |= _place(job)
    if hook.delivery.traceparent and job.traceparent:
        own["traceparent"] = job.traceparent
    return own | {name.lower(): value for name, value in hook.config.headers.items() if not is_reserved(name)}


def _keys(hook: Hook, now_ms: int) -> tuple[str, ...]:
    """The current key, then the retired ones whose time is not over, in the record's order: newest first.

    Logto's header has room for one signature, so a hook that asks for no other is signed for by the current key alone.
    """
    retired = hook.retired_keys if hook.delivery.signature != "logto" else []
    return (hook.signing_key, *(key.signing_key for key in retired if key.until >= now_ms))


def _place(job: Job) -> dict[str, str]:
    """Where the event stands among the hook's, as far as it is known: its sequence, and the key that orders it.

    The place of a job that was asked for again is that of the first one; its own would make an old event look new.
    """
    sequence = job.at.offset if job.sequence is None and job.replay is None else job.sequence
    key = job.event_key
    text = (
        None if key is None else key.decode() if _PLAIN_KEY.match(key) else f"sha256:{hashlib.sha256(key).hexdigest()}"
    )
    found = {WEBHOOK_SEQUENCE: None if sequence is None else str(sequence), WEBHOOK_KEY: text}
    return {name: value for name, value in found.items() if value is not None}


def verify_logto(keys: Sequence[str], signature: str | None, body: bytes) -> Verdict:
    """Whether the value of `logto-signature-sha-256` belongs to these bytes and any of the keys."""
    if not signature:
        return Verdict("missing", f"there is no {LOGTO_SIGNATURE} header")
    if not re.fullmatch(r"[0-9a-f]{64}", signature):
        return Verdict("malformed", f"{LOGTO_SIGNATURE} is not 64 lower-case hex digits")
    if _among(signature, [logto_signature(key, body) for key in keys]):
        return Verdict("valid", "the Logto signature fits the body and the key")
    return Verdict("mismatch", "the Logto signature does not fit: another key, or the body was changed on the way")


def verify_standard(
    keys: Sequence[str], message_id: str | None, timestamp: str | None, signature: str | None, body: bytes, now_s: float
) -> Verdict:
    """Whether the values of the three `webhook-*` headers belong to these bytes, any of the keys, and now.

    `timestamp` is the header's text; `now_s` the verifier's clock in Unix seconds. Versions other than `v1` are
    passed over. The signature is judged before the time, so that "too old" means old but genuine.
    """
    if not (message_id and timestamp and signature):
        return Verdict("missing", f"{WEBHOOK_ID}, {WEBHOOK_TIMESTAMP} and {WEBHOOK_SIGNATURE} must all be there")
    given = [part for part in signature.split(" ") if part.startswith("v1,")]
    if not _TIMESTAMP.match(timestamp) or not given:
        return Verdict("malformed", f"{WEBHOOK_TIMESTAMP} is no number of seconds, or no part of the signature is v1")
    expected = standard_signature(keys, message_id, int(timestamp), body).split(" ")
    if not any(_among(part, expected) for part in given):
        return Verdict("mismatch", "the Standard Webhooks signature does not fit: another key, id, time or body")
    age_s = now_s - int(timestamp)
    if age_s > TOLERANCE_S:
        return Verdict("too-old", f"the signature is genuine but {age_s:.0f} s old: at most {TOLERANCE_S} s")
    if age_s < -TOLERANCE_S:
        return Verdict("too-new", f"the signature is genuine but {-age_s:.0f} s in the future: a clock is wrong")
    return Verdict("valid", "the Standard Webhooks signature fits the id, the time, the body and the key")


def _among(given: str, expected: Sequence[str]) -> bool:
    """Compare in constant time, against every candidate: the time taken tells nothing about the key.

    Header values may hold surrogates: bytes of a stranger's that were not UTF-8.
    """
    found = False
    for candidate in expected:
        found |= hmac.compare_digest(given.encode("utf-8", "surrogateescape"), candidate.encode())
    return found
