"""What travels in headers, and the request body, as types: the records whose own type is not JSON.

The roles read headers one by one (`core/events.py`, `core/jobs.py`) and write them so (`core/deadletters.py`,
`core/signing.py`); `tests/test_schemas.py` holds what they write against these types.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from streams.core.jobs import OFFSET
from streams.core.records import HookId, Reason

Tenant = Annotated[str, Meta(description="Whose event it is; `default` when absent.", max_length=128)]
EventId = Annotated[
    str, Meta(pattern=r"^[!-~]{1,128}\Z", description="The event's id, the same on every re-read; duplicates share it.")
]
TraceParent = Annotated[str, Meta(description="W3C trace context, passed on to hooks that ask for it.")]
DeliveryId = Annotated[
    str,
    Meta(
        pattern=r"^msg_[a-z2-7]{24}\Z",
        description="A hash of event id and hook id: the same for every attempt and every replay.",
    ),
]
Digits = Annotated[str, Meta(pattern=r"^[0-9]{1,19}\Z")]


class EventHeaders(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Headers of an identity event that are understood, all optional; `ce_*` are CloudEvents 1.0, binary mode."""

    event_id: EventId | UnsetType = UNSET
    tenant_id: Tenant | UnsetType = UNSET
    traceparent: TraceParent | UnsetType = UNSET
    content_type: (
        Annotated[
            str,
            Meta(
                description="`application/cloudevents+json`: a CloudEvent in structured mode, its `data` the payload."
            ),
        ]
        | UnsetType
    ) = UNSET
    ce_specversion: Literal["1.0"] | UnsetType = field(default=UNSET, name="ce_specversion")
    ce_id: Annotated[str, Meta(description="Stands for `event-id`.")] | UnsetType = field(default=UNSET, name="ce_id")
    ce_source: str | UnsetType = field(default=UNSET, name="ce_source")
    ce_type: Annotated[str, Meta(description="The event's name, or `identity.user.created` style.")] | UnsetType = (
        field(default=UNSET, name="ce_type")
    )
    ce_time: Annotated[str, Meta(description="Stands for `createdAt` when the payload has none.")] | UnsetType = field(
        default=UNSET, name="ce_time"
    )


class HookHeaders(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Headers of a hook record, all optional. Without `replaces` a record always counts."""

    replaces: (
        Annotated[
            Digits,
            Meta(
                description="Offset of the version that this one was made from: every reader passes over the record "
                "when there is a newer one before it. Send it when you change a hook that you have read."
            ),
        ]
        | UnsetType
    ) = UNSET
    why: (
        Annotated[
            Literal["sealed", "restored"],
            Meta(description="The router wrote the version in force once more, and nothing of its meaning changed."),
        ]
        | UnsetType
    ) = UNSET
    event_id: Annotated[str, Meta(description="The `Hook.Disabled` that says why it is off.")] | UnsetType = UNSET


class JobHeaders(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Headers of a delivery job; its value is the exact request body, its key the hook's id."""

    delivery_id: DeliveryId
    tenant_id: Tenant
    event: Annotated[str, Meta(min_length=1, description="The event's name.")]
    event_id: EventId
    event_at: Annotated[Digits, Meta(description="Timestamp of the event's record, Unix milliseconds.")]
    source: Annotated[
        str, Meta(pattern=r"^[^/]+/[0-9]+/[0-9]+\Z", description="Where the event lies: topic/partition/offset.")
    ]
    hook_version: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]+/[0-9]+\Z",
            description="The hook record that the join saw, partition/offset; the job is never sent with an older one.",
        ),
    ]
    event_key: Annotated[str, Meta(description="Key of the event's record, where it had one.")] | UnsetType = UNSET
    traceparent: TraceParent | UnsetType = UNSET
    replay: (
        Annotated[str, Meta(pattern=r"^[!-~]{1,64}\Z", description="The replay run that asked for it again.")]
        | UnsetType
    ) = UNSET
    sequence: (
        Annotated[
            str,
            Meta(pattern=rf"^{OFFSET}\Z", description="Offset of the first job, which a replay keeps; its order."),
        ]
        | UnsetType
    ) = UNSET


class DeadLetterHeaders(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Headers of a record nobody could read, after those it came with; key and value are the original bytes."""

    reason: Annotated[Reason, Meta(description="Why, as a fixed word.")]
    detail: Annotated[str, Meta(max_length=500, description="Why, for people.")]
    source_topic: Annotated[str, Meta(min_length=1)]
    source_partition: Digits
    source_offset: Digits
    failed_at: Annotated[Digits, Meta(description="When it was refused, Unix milliseconds.")]
    truncated_from: (
        Annotated[Digits, Meta(description="The original's bytes, where its value had to be cut.")] | UnsetType
    ) = UNSET


class RequestBody(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a receiver gets, and the value of a delivery job: the event's own bytes with `hookId` as the last member."""

    event: Annotated[str, Meta(min_length=1, description="The event's name; all other members depend on it.")]
    created_at: Annotated[
        Any, Meta(description="When it happened, ISO 8601; upstream's own, or the time of the event's record.")
    ]
    hook_id: HookId


class RequestHeaders(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Headers of the POST, besides the hook's own. Which signatures there are is the hook's choice."""

    content_type: Literal["application/json"]
    user_agent: Annotated[str, Meta(description="`Hookline/<version>`, or what the hook sets.")]
    webhook_id: DeliveryId
    webhook_timestamp: Annotated[Digits, Meta(description="Time of this attempt, Unix seconds.")]
    webhook_signature: (
        Annotated[
            str,
            Meta(
                pattern=r"^v1,[0-9A-Za-z+/]{43}=( v1,[0-9A-Za-z+/]{43}=)*\Z",
                description="Standard Webhooks: base64 HMAC-SHA256 of `id.timestamp.body`, one for each key in force.",
            ),
        ]
        | UnsetType
    ) = UNSET
    logto_signature_sha_256: (
        Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="Logto: hex HMAC-SHA256 of the body.")] | UnsetType
    ) = field(default=UNSET, name="logto-signature-sha-256")
    webhook_sequence: (
        Annotated[
            Digits,
            Meta(description="Only where the hook asks for an order: drop what is not above the last of its key."),
        ]
        | UnsetType
    ) = UNSET
    webhook_key: (
        Annotated[
            str,
            Meta(
                pattern=r"^[!-~]([ -~]{0,126}[!-~])?\Z",
                description="Only where the hook asks for an order: the key of the event's record, or `sha256:` and "
                "the digest of one that fits into no header.",
            ),
        ]
        | UnsetType
    ) = UNSET
    traceparent: TraceParent | UnsetType = UNSET
