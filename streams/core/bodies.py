"""The request body: the event's bytes with `"hookId"` as the last member, frozen when the job is made.

Spliced, never re-encoded: re-encoding changes numbers (2^64, 1.0), order and duplicate keys, and every attempt
must carry the same bytes that were signed (CONTRACT 5).
"""


def splice(payload: bytes, hook_id: str) -> bytes:
    """The body for one hook. `payload` is an accepted event's: a trimmed JSON object with at least one member."""
    return payload[:-1] + b',"hookId":"' + hook_id.encode("ascii") + b'"}'
