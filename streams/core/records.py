"""Everything that travels between the stages, as frozen structs; the one source of `schemas/`.

Words, one each: an *event* arrives; a *hook* wants it; a *job* asks for one delivery of one event to one hook;
an *attempt* is one POST; an *outcome* is the end of a job; a *report* is a hook's health; a *dead letter* is
input nobody could read. Wire names are camelCase; readers ignore fields they do not know. Times are Unix
milliseconds unless a name says otherwise.
"""

from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct, field

from streams.core.sealing import SEALED

BODY_BYTES_MAX = 1024 * 1024
"""Largest request body: 1 MiB (CONTRACT 5). An event is refused when its body would be larger."""

ATTEMPTS_MAX = 21
"""A schedule has at most 20 steps, so a job has at most 21 attempts (CONTRACT 4, 6)."""

RETIRED_KEYS_MAX = 3
"""Each adds a signature of 48 bytes to every request; whoever rotates more often has no overlap left to wait for."""

MS_MAX = 999_999_999_999_999
"""Fifteen digits, as a job's headers have them; later moments than these no clock will tell."""

COUNT_MAX = 2**63 - 1
"""The largest offset. JSON knows no largest number, but what is reckoned with and written again must stay small."""

WORD_MAX = 256
SENTENCE_MAX = 1024
"""Longest ids, names and sentences: what is told of a hook, and its report, are made of them and must fit a record."""

Reason = Literal[
    "not-json",
    "not-an-object",
    "missing-event",
    "unknown-event",
    "wrong-topic",
    "reserved-field",
    "too-large",
    "bad-cloudevent",
    "bad-hook",
    "bad-job",
    "bad-tenant",
    "internal-error",
]
"""Why a record became a dead letter: fixed words that the header, the metric, the log and the tests share."""

ErrorClass = Literal[
    "1xx",
    "3xx",
    "4xx",
    "410",
    "429",
    "5xx",
    "timeout",
    "dns",
    "connect",
    "tls",
    "reset",
    "protocol",
    "blocked",
]
"""What went wrong with one attempt; `2xx` is not an error and stands only in `byClass`."""

Status = Literal["delivered", "exhausted", "rejected", "blocked", "cancelled", "expired"]
"""How a job ended (CONTRACT 6)."""

HookId = Annotated[str, Meta(pattern=r"^[0-9a-z]{21}\Z", description="21 characters 0-9a-z.")]
BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z"
"""How bytes are written in JSON."""

SIGNING_KEY = rf"^([0-9a-zA-Z]{{32,64}}|{SEALED})\Z"
"""A signing key as its record may hold it: plain, or sealed."""

Ms = Annotated[int, Meta(ge=0, le=MS_MAX, description="Unix milliseconds.")]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Word = Annotated[str, Meta(max_length=WORD_MAX)]
"""Of ids and names that an outcome hands on."""


class Coordinates(NamedTuple):
    """Where a record lies in Kafka; enough to read the original again."""

    topic: Annotated[str, Meta(max_length=249)]
    partition: Annotated[int, Meta(le=COUNT_MAX)]
    offset: Annotated[int, Meta(le=COUNT_MAX)]


class Incoming(Struct, frozen=True, kw_only=True):
    """A record as it came off a topic: bytes, headers and where it lay. `timestamp` in Unix milliseconds."""

    at: Coordinates
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 0

    def __repr__(self) -> str:
        """Leave out what it holds: people's data, and hooks' secrets."""
        return f"Incoming({'/'.join(map(str, self.at))})"

    def header(self, name: str) -> bytes | None:
        """The last header of that name, as Kafka's own convention has it; None when there is none."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


class Outgoing(Struct, frozen=True, kw_only=True):
    """A record to be produced. `topic` is the name without prefix; `partition` None means chosen by key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None

    def __repr__(self) -> str:
        """Leave out what it holds."""
        return f"Outgoing({self.topic!r}, {len(self.value or b'')} bytes)"


class Event(Struct, frozen=True, kw_only=True):
    """An identity event that was read and accepted; `payload` is the JSON text that every body starts with."""

    name: str
    id: str
    tenant: str
    payload: bytes
    at: Ms
    source: Coordinates
    key: bytes | None = None
    traceparent: str | None = None

    def __repr__(self) -> str:
        """Leave out the payload."""
        return f"Event({self.name!r}, {self.id!r})"


class Wire(Struct, frozen=True, kw_only=True, rename="camel"):
    """What all JSON records share: camelCase names, keyword arguments, no change after birth."""


class RetryPolicy(Wire, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hook's own retry schedule: waits in seconds, and which failures are retried."""

    schedule_seconds: Annotated[
        list[Annotated[float, Meta(ge=0, le=86_400)]],
        Meta(max_length=20, description="At most 20 waits of 24 h."),
    ]
    on: list[Literal["5xx", "timeout", "network", "429"]] = field(
        default_factory=lambda: ["5xx", "timeout", "network", "429"]
    )


class RateLimit(Wire, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most `limit` requests in any `periodMs` milliseconds."""

    limit: Annotated[int, Meta(ge=1, le=100_000)]
    period_ms: Annotated[int, Meta(ge=10, le=3_600_000)] = 1000


class DeliveryPolicy(Wire, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a hook wants its deliveries made; all of it optional (CONTRACT 4)."""

    timeout_ms: Annotated[int, Meta(ge=1000, le=30_000, description="For the whole request.")] = 10_000
    retry: Literal["logto", "default", "standard"] | RetryPolicy | None = None
    signature: Annotated[
        Literal["logto", "standard", "both"], Meta(description="Which signature headers a request has.")
    ] = "both"
    ordering: Annotated[
        Literal["none", "key", "strict"],
        Meta(description="`key`: events of one record key in order; `strict`: all of the hook's, one at a time."),
    ] = "none"
    max_in_flight: Annotated[int, Meta(ge=1, le=64, description="Requests under way at once.")] = 8
    rate_limit: RateLimit | None = None
    filter: Annotated[
        dict[str, Any],
        Meta(description="Conditions on the event by dotted path; only events that meet all of them are sent."),
    ] = field(default_factory=dict)
    traceparent: Annotated[bool, Meta(description="Whether requests carry the event's trace context.")] = False


class HookConfig(Wire, frozen=True, kw_only=True):
    """Logto's `config` object: where to POST, with which headers, and how often to try again (0..3)."""

    url: Annotated[str, Meta(min_length=1, max_length=2048, description="https, ports 443 and 8443, public addresses.")]
    headers: Annotated[
        dict[str, str],
        Meta(description="Sent with every request, values plain or sealed; names that Hookline sets are refused."),
    ] = field(default_factory=dict)
    retries: Annotated[int, Meta(ge=0, le=3, description="Cuts the retry schedule short.")] | None = None

    def __repr__(self) -> str:
        """Leave out header values, which hold bearer tokens, and all of the URL but its host."""
        host = self.url.split("/")[2].rpartition("@")[2] if "//" in self.url else "?"
        return f"HookConfig(host={host!r}, headers={list(self.headers)})"


class RetiredKey(Wire, frozen=True, kw_only=True):
    """A signing key that was rotated out: requests are still signed with it too, until its time is over."""

    signing_key: Annotated[str, Meta(pattern=SIGNING_KEY, description="Secret; plain or sealed.")]
    until: Annotated[Ms, Meta(description="Unix milliseconds after which it signs nothing more.")]

    def __repr__(self) -> str:
        """Leave out the key."""
        return f"RetiredKey(until={self.until})"


class Hook(Wire, frozen=True, kw_only=True):
    """A hook record on `hooks.config`: what Logto's hooks have, plus `delivery`."""

    id: HookId
    config: HookConfig
    signing_key: Annotated[
        str, Meta(pattern=SIGNING_KEY, description="Secret; plain or sealed. Its plain UTF-8 bytes are the HMAC key.")
    ]
    tenant_id: Annotated[str, Meta(min_length=1, max_length=21, description="Whose events it gets.")] = "default"
    name: Annotated[str, Meta(max_length=256)] = ""
    event: Annotated[str | None, Meta(description="Logto's old single event; counts while `events` is empty.")] = None
    events: Annotated[
        list[str], Meta(description="Event names, a prefix of them (`User.*`), or `*`; an empty list wants nothing.")
    ] = field(default_factory=list)
    enabled: Annotated[bool, Meta(description="A disabled hook gets nothing.")] = True
    keep_pending: Annotated[
        bool, Meta(description="While the hook is disabled its deliveries wait, instead of ending as cancelled.")
    ] = False
    retired_keys: Annotated[
        list[RetiredKey],
        Meta(max_length=RETIRED_KEYS_MAX, description="Keys that still sign beside the current one, newest first."),
    ] = field(default_factory=list)
    created_at: Ms = 0
    delivery: DeliveryPolicy = field(default_factory=DeliveryPolicy)

    @property
    def wants(self) -> list[str]:
        """The events it names; Logto's old single `event` counts only while `events` is empty."""
        return self.events or ([self.event] if self.event else [])

    def __repr__(self) -> str:
        """Leave out the signing key."""
        return f"Hook(id={self.id!r}, name={self.name!r}, enabled={self.enabled}, config={self.config!r})"


class Job(Struct, frozen=True, kw_only=True):
    """One delivery of one event to one hook: the exact body, everything else from the record's headers.

    `hook_version` is the (partition, offset) of the hook record that the join saw: never send with an older one.
    `replay` names the replay run that asked for it again; `sequence` is its place among the hook's jobs, which a
    replay keeps: the offset of the first job in its partition of `hooks.deliveries`, None when nobody knows it.
    """

    delivery_id: str
    hook_id: str
    tenant: str
    event: str
    event_id: str
    event_at: Ms
    body: bytes
    source: Coordinates
    hook_version: tuple[int, int]
    at: Coordinates
    event_key: bytes | None = None
    traceparent: str | None = None
    replay: str | None = None
    sequence: int | None = None

    def __repr__(self) -> str:
        """Leave out the body."""
        return f"Job({self.delivery_id!r}, hook={self.hook_id!r})"


class Answer(Struct, frozen=True, kw_only=True):
    """What came back from one POST: a status with the first bytes of its body, or an error class with a sentence."""

    status: int | None = None
    error: ErrorClass | None = None
    detail: str = ""
    body: bytes = b""
    retry_after: str | None = None
    duration_ms: float = 0.0
    key_ids: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Leave out the body, which is a stranger's."""
        return f"Answer(status={self.status}, error={self.error!r})"


class Attempt(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """One POST inside an outcome: when it began, and the status or the error class."""

    at: Ms
    ms: Count
    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    error: Word | None = None


class Response(Wire, frozen=True, kw_only=True):
    """The last answer: status and the first KiB of its body as text."""

    status: int
    body: Annotated[str, Meta(max_length=1024)]


class OutcomeError(Wire, frozen=True, kw_only=True):
    """Why a job did not end well: a fixed class and one plain sentence."""

    class_: Word = field(name="class")
    message: Annotated[str, Meta(max_length=SENTENCE_MAX)]


class Outcome(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """The end of a job, on `hooks.log`; one per job however many attempts (CONTRACT 6)."""

    id: Annotated[str, Meta(max_length=WORD_MAX, description="Delivery id: the `webhook-id` of every attempt.")]
    hook_id: Word
    tenant_id: Word
    event: Word
    event_id: Word
    result: Literal["Success", "Error"]
    status: Status
    created_at: Ms
    event_at: Ms
    duration_ms: Annotated[int, Meta(ge=0, le=COUNT_MAX, description="From the first attempt's start to the end.")]
    attempts: Annotated[list[Attempt], Meta(max_length=ATTEMPTS_MAX)]
    source: Annotated[Coordinates, Meta(description="Where the event lies.")]
    job: Annotated[Coordinates, Meta(description="Where the job lies.")]
    host: str = ""
    key_ids: list[str] = field(default_factory=list)
    response: Response | None = None
    error: OutcomeError | None = None
    replay: bool = False
    out_of_order: Annotated[
        bool, Meta(description="It ended while an earlier event of its key had not, which failed for 60 s by then.")
    ] = False


class Pending(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """A job that waits, on `hooks.retries` under its delivery id, until its outcome makes it null.

    Times are on the brokers' clock. `waitMs` bounds what a wrong `dueAt` can do; `holdUntil` holds the whole hook.
    """

    id: Annotated[str, Meta(max_length=WORD_MAX, description="Delivery id.")]
    hook_id: Word
    tenant_id: Word
    event: Word
    event_id: Word
    event_at: Ms
    due_at: Annotated[Ms, Meta(description="Not before this.")]
    wait_ms: Annotated[int, Meta(ge=0, le=MS_MAX, description="How long `dueAt` was away when this was written.")] = 0
    hold_until: Annotated[Ms, Meta(description="The whole hook was asked to wait until then; 0 when not.")] = 0
    attempts: Annotated[list[Attempt], Meta(max_length=ATTEMPTS_MAX)] = field(default_factory=list)
    source: Coordinates
    job: Annotated[Coordinates, Meta(description="Where the job lies.")]
    hook_version: tuple[Count, Count]
    event_key: Annotated[
        Annotated[bytes, Meta(extra_json_schema={"pattern": BASE64})] | None,
        Meta(description="Base64."),
    ] = None
    traceparent: Word | None = None
    replay: Word | None = None
    sequence: Count | None = None
    body: Annotated[str, Meta(description="The exact request body.")]

    def __repr__(self) -> str:
        """Leave out the body."""
        return f"Pending({self.id!r}, hook={self.hook_id!r}, due_at={self.due_at})"


class OperationalEvent(Wire, frozen=True, kw_only=True):
    """What happened to a hook, on `hooks.operations`: an event like any other, which other hooks may ask for.

    The record's key is the id of the hook that it is about, its headers `tenant-id` and `event-id`.
    """

    event: Literal["Hook.Failing", "Hook.Recovered", "Hook.Disabled", "Hook.Exhausted"]
    created_at: Annotated[str, Meta(description="ISO 8601, as in every identity event.")]
    data: Annotated[dict[str, Any], Meta(description="`hookId`, `name` and what explains the event.")]


class Window(Wire, frozen=True, kw_only=True):
    """The time that a report counts: both ends inclusive, `from` the start of the first bucket."""

    from_: Ms = field(name="from")
    to: Ms


class Latency(Wire, frozen=True, kw_only=True):
    """Milliseconds per attempt that got an answer, from fixed buckets; null before the first."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Report(Wire, frozen=True, kw_only=True):
    """A hook's health over the last 24 hours, on `hooks.health`; `state` is what the health role folds on.

    `hourly` has (successes, errors) of each hour from `window.from` on. Latencies and `byClass` count attempts.

    `breaker`, `pending` and `oldestPendingAt` are null until the sender's durable retry store exists.
    """

    hook_id: str
    name: str
    enabled: bool
    status: Literal["idle", "ok", "alert", "error", "disabled"]
    window: Window
    request_count: Count
    success_count: Count
    success_rate: float | None
    latency_ms: Latency
    attempts: Count
    retries: Count
    by_class: dict[str, Count]
    consecutive_failures: Count
    last_success_at: Ms | None
    last_failure_at: Ms | None
    last_error: OutcomeError | None
    breaker: str | None
    pending: int | None
    oldest_pending_at: Ms | None
    updated_at: Ms
    hourly: Annotated[list[tuple[Count, Count]], Meta(min_length=24, max_length=24)]
    state: dict[str, Any]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record nobody could read, with the reason; `original` goes on unchanged."""

    reason: Reason
    detail: str
    original: Incoming
