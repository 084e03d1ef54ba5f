"""Signatures: golden values, the laws of signing and verifying, and an independent verifier as the oracle."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert
from standardwebhooks.webhooks import Webhook

from streams.core import signing
from streams.core.records import Hook, Job
from tests.core import building

KEY = "k" * 32
OTHER = "o" * 32
NOW = 1_790_000_000
BODY = b'{"event":"User.Created","hookId":"h"}'
TRACE = "00-a-b-01"

# Made with `openssl dgst -sha256 -hmac`, not with this code.
LOGTO_GOLDEN = "747029c862f597489c005b171d03cc9be1801a86a8f1511e287c5f1f5235ff33"
STANDARD_GOLDEN = "v1,E4A69kuQlvfqkcupg9znZP2an3ui9i/59C/nYPwXT7Y="

keys = st.text("0123456789abcdefghijABCDEFGHIJ", min_size=32, max_size=64)
ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)
times = st.integers(0, 10**12)
bodies = st.binary(max_size=200)


def hook(headers: dict[str, str] | None = None, **delivery: Any) -> Hook:
    config = {"url": "https://crm.example.com/hooks", "headers": headers or {}}
    return convert({"id": "h" * 21, "signingKey": KEY, "config": config, "delivery": delivery}, Hook)


def job(**changes: Any) -> Job:
    return building.job(**{"delivery_id": "msg_abc", "body": BODY} | changes)


def rotated(*untils_s: int, **delivery: Any) -> Hook:
    """A hook with a current key, and retired ones (OTHER, then digits) that sign until then."""
    retired = [
        {"signingKey": key, "until": s * 1000} for key, s in zip((OTHER, "1" * 32, "2" * 32), untils_s, strict=False)
    ]
    config = {"url": "https://crm.example.com/hooks"}
    fields = {"id": "h" * 21, "signingKey": KEY, "retiredKeys": retired, "config": config, "delivery": delivery}
    return convert(fields, Hook)


def standard(signature: str | None, at: str | None = str(NOW), now_s: float = NOW, body: bytes = BODY) -> signing.Word:
    return signing.verify_standard((KEY,), "msg_abc", at, signature, body, now_s).word


def test_a_body_has_the_signatures_that_openssl_computes() -> None:
    assert signing.logto_signature(KEY, BODY) == LOGTO_GOLDEN
    assert signing.standard_signature((KEY,), "msg_abc", NOW, BODY) == STANDARD_GOLDEN


def test_the_logto_signature_is_hmac_sha256_as_rfc_4231_has_it() -> None:
    signature = signing.logto_signature("Jefe", b"what do ya want for nothing?")
    assert signature == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_during_a_rotation_there_is_one_signature_for_each_key() -> None:
    both = signing.standard_signature((KEY, OTHER), "msg_abc", NOW, BODY)
    assert both.split(" ")[0] == STANDARD_GOLDEN
    assert both.split(" ")[1] == signing.standard_signature((OTHER,), "msg_abc", NOW, BODY)
    for key in (KEY, OTHER):
        assert signing.verify_standard((key,), "msg_abc", str(NOW), both, BODY, NOW).word == "valid"


@given(keys, ids, times, bodies)
def test_what_was_signed_verifies(key: str, message_id: str, at: int, body: bytes) -> None:
    assert signing.verify_logto((key,), signing.logto_signature(key, body), body).word == "valid"
    signature = signing.standard_signature((key,), message_id, at, body)
    assert signing.verify_standard((key,), message_id, str(at), signature, body, at).word == "valid"


@given(keys, ids, times, st.binary(min_size=1, max_size=200), st.data())
def test_any_change_of_one_byte_fails(key: str, message_id: str, at: int, body: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(body) - 1))
    changed = bytearray(body)
    changed[place] ^= data.draw(st.integers(1, 255))
    assert signing.verify_logto((key,), signing.logto_signature(key, body), bytes(changed)).word == "mismatch"
    signature = signing.standard_signature((key,), message_id, at, body)
    for other_id, other_at, other_body in (
        (message_id, str(at), bytes(changed)),
        (message_id + "x", str(at), body),
        (message_id, str(at + 1), body),
    ):
        assert signing.verify_standard((key,), other_id, other_at, signature, other_body, at).word == "mismatch"


@given(keys, ids, times, st.text("abc{}:,é€", max_size=50))
def test_an_independent_implementation_signs_alike(key: str, message_id: str, at: int, text: str) -> None:
    at %= 4_000_000_000  # what a datetime can hold
    oracle = Webhook(signing.whsec(key)).sign(message_id, datetime.fromtimestamp(at, UTC), text)
    assert signing.standard_signature((key,), message_id, at, text.encode()) == oracle


def test_an_independent_implementation_accepts_the_headers_of_a_delivery() -> None:
    now_s = int(datetime.now(UTC).timestamp())
    headers = signing.headers(hook(), job(), now_s, "1.2.3")
    assert Webhook(signing.whsec(KEY)).verify(BODY, headers) == {"event": "User.Created", "hookId": "h"}


@pytest.mark.parametrize(
    ("age_s", "word"),
    [(299, "valid"), (300, "valid"), (301, "too-old"), (-300, "valid"), (-301, "too-new")],
)
def test_a_genuine_signature_is_accepted_for_five_minutes_either_way(age_s: int, word: str) -> None:
    assert standard(STANDARD_GOLDEN, now_s=NOW + age_s) == word


def test_a_forged_signature_is_a_mismatch_however_old_it_is() -> None:
    assert standard(STANDARD_GOLDEN, body=b"{}", now_s=NOW + 10_000) == "mismatch"


@pytest.mark.parametrize("missing", [None, ""])
def test_an_absent_signature_is_missing(missing: str | None) -> None:
    assert signing.verify_logto((KEY,), missing, BODY).word == "missing"
    assert standard(missing) == "missing"
    assert standard(STANDARD_GOLDEN, at=missing) == "missing"


@pytest.mark.parametrize("signature", ["x", LOGTO_GOLDEN.upper(), LOGTO_GOLDEN[:-1], LOGTO_GOLDEN + "\n", "é" * 64])
def test_a_logto_signature_that_is_not_64_lower_case_hex_digits_is_malformed(signature: str) -> None:
    assert signing.verify_logto((KEY,), signature, BODY).word == "malformed"


@pytest.mark.parametrize("timestamp", ["now", "1.5", "-1", " 1", "1\n", "01790000000", "9" * 16, "\u0661"])
def test_a_timestamp_in_any_other_spelling_is_malformed(timestamp: str) -> None:
    assert standard(STANDARD_GOLDEN, at=timestamp) == "malformed"


def test_signatures_of_other_versions_are_passed_over() -> None:
    assert standard("v1a,abc " + STANDARD_GOLDEN) == "valid"
    assert standard("v1a,abc") == "malformed"


@pytest.mark.parametrize("signature", ["v1,", "v1,é", "v1,\udcff", "v1," + "A" * 44])
def test_a_strange_signature_is_a_mismatch_and_no_crash(signature: str) -> None:
    assert standard(signature) == "mismatch"


def test_a_key_may_be_pasted_in_either_form() -> None:
    assert signing.whsec(KEY) == "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    assert signing.key_from(KEY + "\n") == signing.key_from(f" {signing.whsec(KEY)}\n") == KEY
    assert signing.key_from("whsec_!") == "whsec_!"


def test_both_families_of_headers_are_sent_by_default() -> None:
    assert signing.headers(hook(), job(), NOW, "1.2.3") == {
        "content-type": "application/json",
        "user-agent": "Hookline/1.2.3",
        "webhook-id": "msg_abc",
        "webhook-timestamp": "1790000000",
        "webhook-signature": STANDARD_GOLDEN,
        "logto-signature-sha-256": LOGTO_GOLDEN,
    }


@pytest.mark.parametrize(
    ("mode", "absent"), [("logto", "webhook-signature"), ("standard", "logto-signature-sha-256"), ("both", None)]
)
def test_a_hook_may_ask_for_one_family_and_always_gets_the_id_and_the_time(mode: str, absent: str | None) -> None:
    both = signing.headers(hook(), job(), NOW, "1")
    expected = {name: value for name, value in both.items() if name != absent}
    assert signing.headers(hook(signature=mode), job(), NOW, "1") == expected


def test_a_custom_user_agent_takes_the_place_of_ours_and_others_are_added() -> None:
    headers = signing.headers(hook({"User-Agent": "Acme", "X-Team": "id"}), job(), NOW, "1")
    assert headers["user-agent"] == "Acme"
    assert headers["x-team"] == "id"
    assert "User-Agent" not in headers


@pytest.mark.parametrize(
    "name", ["logto-signature-sha-256", "Logto-Signature-SHA-256", "WEBHOOK-ID", "Content-Type", "Host", "Cookie"]
)
def test_a_custom_header_never_takes_the_place_of_a_signature_however_it_is_spelled(name: str) -> None:
    plain = signing.headers(hook(), job(), NOW, "1")
    assert signing.headers(hook({name: "evil"}), job(), NOW, "1") == plain


def test_the_trace_is_sent_only_to_hooks_that_opt_in() -> None:
    assert "traceparent" not in signing.headers(hook(), job(traceparent=TRACE), NOW, "1")
    opted = signing.headers(hook(traceparent=True), job(traceparent=TRACE), NOW, "1")
    assert opted["traceparent"] == TRACE
    assert "traceparent" not in signing.headers(hook(traceparent=True), job(), NOW, "1")


# Two keys


@given(st.lists(st.integers(NOW - 100, NOW + 100), max_size=3), st.sampled_from(["both", "standard", "logto"]))
def test_the_current_key_signs_first_and_a_retired_one_as_long_as_its_time_is_not_over(
    untils_s: list[int], signature: str
) -> None:
    hook = rotated(*untils_s, signature=signature)
    headers = signing.headers(hook, job(), NOW, "1")
    signers = [KEY, *(key.signing_key for key in hook.retired_keys if key.until >= NOW * 1000)]
    if signature == "logto":
        signers = [KEY]
    else:
        assert headers["webhook-signature"] == signing.standard_signature(signers, "msg_abc", NOW, BODY)
    assert headers.get("logto-signature-sha-256", LOGTO_GOLDEN) == LOGTO_GOLDEN
    assert signing.key_ids(hook, NOW * 1000) == tuple(map(signing.key_id, signers))


def test_a_retired_key_signs_to_the_last_millisecond_of_its_time() -> None:
    hook = rotated(NOW)
    assert len(signing.key_ids(hook, NOW * 1000)) == 2
    assert len(signing.key_ids(hook, NOW * 1000 + 1)) == 1


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_an_independent_implementation_accepts_either_key_during_a_rotation(key: str) -> None:
    now_s = int(datetime.now(UTC).timestamp())
    assert Webhook(signing.whsec(key)).verify(BODY, signing.headers(rotated(now_s + 60), job(), now_s, "1"))


def test_a_key_id_is_the_first_8_hex_digits_that_sha256sum_computes() -> None:
    assert signing.key_id(KEY) == "5e318f8c"


# The place of an event


def place(**changes: Any) -> tuple[str | None, str | None]:
    """Sequence and key on the request of a job for a hook that asks for an order."""
    headers = signing.headers(hook(ordering="key"), job(**changes), NOW, "1")
    return headers.get("webhook-sequence"), headers.get("webhook-key")


def test_a_hook_that_asks_for_no_order_gets_no_place() -> None:
    headers = signing.headers(hook(), job(event_key=b"u1", sequence=3), NOW, "1")
    assert not {"webhook-sequence", "webhook-key"} & set(headers)


@pytest.mark.parametrize("ordering", ["key", "strict"])
def test_a_hook_that_asks_for_an_order_gets_the_sequence_and_the_key_of_each_event(ordering: str) -> None:
    headers = signing.headers(hook(ordering=ordering), job(event_key=b"u1"), NOW, "1")
    assert (headers["webhook-sequence"], headers["webhook-key"]) == ("99", "u1")


@pytest.mark.parametrize(
    ("changes", "sequence"),
    [
        ({}, "99"),
        ({"sequence": 7}, "7"),
        ({"sequence": 0}, "0"),
        ({"sequence": 7, "replay": "r1"}, "7"),
        ({"replay": "r1"}, None),
    ],
)
def test_a_replayed_event_keeps_its_first_place_and_has_none_when_nobody_knows_it(
    changes: dict[str, Any], sequence: str | None
) -> None:
    assert place(**changes) == (sequence, None)


@pytest.mark.parametrize("key", [b"u", b"u 1", b"~" * 128, b"a" + b" " * 126 + b"b"])
def test_a_key_that_fits_into_a_header_stands_there_as_it_is(key: bytes) -> None:
    assert place(event_key=key) == ("99", key.decode())


@pytest.mark.parametrize(
    "key", [b"", b" ", b" u", b"u ", b"u\n", b"u\r\nx: 1", b"\x7f", b"\x00", "é".encode(), b"u" * 129]
)
def test_any_other_key_stands_there_as_its_digest(key: bytes) -> None:
    assert place(event_key=key) == ("99", f"sha256:{hashlib.sha256(key).hexdigest()}")


@given(st.binary(max_size=300))
def test_the_place_is_always_a_header_that_a_receiver_reads_as_it_was_sent(key: bytes) -> None:
    found = place(event_key=key)[1] or ""
    assert found == found.strip()
    assert 1 <= len(found) <= 128
    assert all(" " <= character <= "~" for character in found)
