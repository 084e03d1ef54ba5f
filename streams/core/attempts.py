"""Life of a job as one table: what an answer means, and whether the job ends or waits (CONTRACT 5).

Core decides; the sender makes the POST, waits and publishes.
"""

import base64
from urllib.parse import unquote, unquote_plus, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from streams.core import masking, retry
from streams.core.records import SENTENCE_MAX, Answer, Attempt, Hook, Job, Outcome, OutcomeError, Response, Status

EXCERPT_CHARACTERS_MAX = 1024
"""What an outcome keeps of the last answer's body."""

MASKED_BYTES_MAX = 4 * EXCERPT_CHARACTERS_MAX
"""What of it is masked before it is cut: a secret of 3 KiB may become six stars. Masking 4 KiB takes 2 ms at worst."""

TOKEN_CHARACTERS_MIN = 16
"""Parts of a URL's path from this length on may be a token; shorter ones are words."""

MESSAGES: dict[str, str] = {
    "1xx": "The endpoint answered {status}, which ends no request.",
    "3xx": "The endpoint answered {status}; redirects are never followed.",
    "4xx": "The endpoint answered {status}.",
    "410": "The endpoint answered 410 Gone.",
    "429": "The endpoint answered 429 Too Many Requests.",
    "5xx": "The endpoint answered {status}.",
}
"""One plain sentence per class of answer; failures without an answer bring their own."""

TABLE: dict[str, tuple[Status, retry.Retryable | None]] = {
    "2xx": ("delivered", None),
    "1xx": ("exhausted", "network"),
    "3xx": ("rejected", None),
    "4xx": ("rejected", None),
    "410": ("rejected", None),
    "429": ("exhausted", "429"),
    "5xx": ("exhausted", "5xx"),
    "timeout": ("exhausted", "timeout"),
    "dns": ("exhausted", "network"),
    "connect": ("exhausted", "network"),
    "tls": ("exhausted", "network"),
    "reset": ("exhausted", "network"),
    "protocol": ("exhausted", "network"),
    "blocked": ("blocked", None),
}
"""Class of an answer: how the job ends if this was the last attempt, and which retry group it belongs to."""

ASKS_FOR_RETRY = {408: "timeout", 425: "timeout"}
"""Of the 4xx, these two say that the same request may do better later."""


HOLDS = (429, 503)
"""Answers whose `Retry-After` is about the endpoint, not about one request (CONTRACT 5)."""


class Wait(Struct, frozen=True):
    """The job is not over: try again after so many seconds."""

    seconds: float


class End(Struct, frozen=True):
    """The job is over."""

    status: Status
    error: OutcomeError | None = None


def class_of(answer: Answer) -> str:
    """The answer's row in the table."""
    if answer.status is None:
        return answer.error or "protocol"
    return class_of_status(answer.status)


def class_of_status(code: int) -> str:
    """`2xx` to `5xx`, with 410 and 429 by themselves."""
    return str(code) if code in (410, 429) else f"{min(max(code // 100, 1), 5)}xx"


def decide(plan: retry.Schedule, answer: Answer, attempt: int, draw: float, now_ms: int) -> Wait | End:
    """What follows the given attempt (1 is the first). `draw` in [0, 1) picks the jitter."""
    row = class_of(answer)
    status, group = TABLE[row]
    if answer.status in ASKS_FOR_RETRY:
        status, group = "exhausted", "timeout"
    wait = retry.wait_s(plan, attempt, draw) if group in plan.on else None
    if wait is not None:
        return Wait(max(wait, retry.retry_after_s(answer.retry_after, now_ms)))
    return End(status, None if status == "delivered" else OutcomeError(class_=row, message=_sentence(row, answer)))


def failed(answer: Answer) -> bool | None:
    """Whether an answer speaks against its endpoint, for the breaker; None when nobody was asked.

    An endpoint that rejects is well; one that was not asked because its address is forbidden is neither.
    """
    if class_of(answer) == "blocked":
        return None
    _, group = TABLE[class_of(answer)]
    return group is not None or answer.status in ASKS_FOR_RETRY


def hold_s(answer: Answer, now_ms: int) -> float:
    """Seconds for which the whole hook is to be left alone: what 429 and 503 ask for with `Retry-After`."""
    return retry.retry_after_s(answer.retry_after, now_ms) if answer.status in HOLDS else 0.0


def masked(answer: Answer, hook: Hook) -> Answer:
    """The answer with what may be shown of its body: masked by the hook that the request was made with.

    An endpoint may send back what it was sent, the hook's headers too; and a hook that is changed or deleted meanwhile
    no longer says what to mask.
    """
    if not answer.body:
        return answer
    text = answer.body[:MASKED_BYTES_MAX].decode("utf-8", "replace")
    return replace(answer, body=masking.masked(text, _secrets(hook)).encode())


def record_of(answer: Answer, began_ms: int) -> Attempt:
    """One line of an outcome's history."""
    error = None if answer.status is not None else class_of(answer)
    return Attempt(at=began_ms, ms=round(answer.duration_ms), status=answer.status, error=error)


def outcome(
    job: Job,
    hook: Hook | None,
    end: End,
    attempts: list[Attempt],
    last: Answer | None,
    now_ms: int,
    *,
    out_of_order: bool = False,
) -> Outcome:
    """The one record that ends a job. `hook` is None when it was deleted meanwhile."""
    return Outcome(
        id=job.delivery_id,
        hook_id=job.hook_id,
        tenant_id=job.tenant,
        event=job.event,
        event_id=job.event_id,
        result="Success" if end.status == "delivered" else "Error",
        status=end.status,
        created_at=now_ms,
        event_at=job.event_at,
        duration_ms=max(now_ms - attempts[0].at, 0) if attempts else 0,
        attempts=attempts,
        source=job.source,
        job=job.at,
        host=(urlsplit(hook.config.url).hostname or "") if hook else "",
        key_ids=list(last.key_ids) if last else [],
        response=_response(last),
        error=end.error,
        out_of_order=out_of_order,
        replay=job.replay is not None,
    )


def _sentence(row: str, answer: Answer) -> str:
    return MESSAGES[row].format(status=answer.status) if row in MESSAGES else answer.detail[:SENTENCE_MAX]


def _response(answer: Answer | None) -> Response | None:
    if answer is None or answer.status is None:
        return None
    return Response(status=answer.status, body=answer.body.decode("utf-8", "replace")[:EXCERPT_CHARACTERS_MAX])


def _secrets(hook: Hook) -> tuple[str, ...]:
    """What the hook's requests hold that is secret or may be, in the ways in which servers send it back.

    Of `Bearer abc` the last word too, of `Basic ...` what it stands for; of the URL its query and long parts of its
    path, as chat services have them in place of a header.
    """
    url = urlsplit(hook.config.url)
    query = [text for pair in url.query.split("&") for text in (pair, pair.partition("=")[2])]
    path = [part for part in url.path.split("/") if len(part) >= TOKEN_CHARACTERS_MIN]
    values = [*hook.config.headers.values(), hook.signing_key, *(old.signing_key for old in hook.retired_keys)]
    words = [text for value in values for text in (value, value.rpartition(" ")[2], *_basic(value))]
    found = [url.query, *query, *path, *words]
    return tuple(dict.fromkeys(text for one in found for text in (one, unquote(one), unquote_plus(one))))


def _basic(value: str) -> tuple[str, ...]:
    """User and password in a header of the Basic scheme, and the password by itself."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return ()
    try:
        pair = base64.b64decode(encoded).decode("utf-8", "replace")
    except ValueError:
        return ()
    return pair, pair.partition(":")[2]
