"""What an answer means, as the table of CONTRACT 5 has it, and the one outcome that a job leaves (CONTRACT 6)."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import attempts, retry
from streams.core.attempts import End, Wait
from streams.core.records import ATTEMPTS_MAX, Answer, Attempt, Coordinates, ErrorClass, Outcome, OutcomeError
from tests.core.building import HOOK_ID, NOW, hook, job

ALL = frozenset({"5xx", "timeout", "network", "429"})
PLAN = retry.Schedule((5, 60), ALL)
LAST = 3
ERRORS: tuple[ErrorClass, ...] = ("timeout", "dns", "connect", "tls", "reset", "protocol", "blocked")


def decide(answer: Answer, attempt: int = LAST, on: frozenset[str] = ALL) -> Wait | End:
    return attempts.decide(retry.Schedule(PLAN.waits_s, on), answer, attempt, 0.5, NOW)


def ended(answer: Answer, attempt: int = LAST, on: frozenset[str] = ALL) -> End:
    found = decide(answer, attempt, on)
    assert isinstance(found, End)
    return found


# Ends at once


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
def test_2xx_is_delivered(status: int) -> None:
    assert decide(Answer(status=status), 1) == End("delivered")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_3xx_is_rejected_and_never_followed(status: int) -> None:
    sentence = f"The endpoint answered {status}; redirects are never followed."
    assert decide(Answer(status=status), 1) == End("rejected", OutcomeError(class_="3xx", message=sentence))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 409, 411, 413, 422, 424, 426, 451, 499])
def test_other_4xx_are_rejected(status: int) -> None:
    error = OutcomeError(class_="4xx", message=f"The endpoint answered {status}.")
    assert decide(Answer(status=status), 1) == End("rejected", error)


def test_410_is_rejected_under_its_own_class() -> None:
    error = OutcomeError(class_="410", message="The endpoint answered 410 Gone.")
    assert decide(Answer(status=410), 1) == End("rejected", error)


def test_a_forbidden_address_is_blocked_and_never_retried() -> None:
    answer = Answer(error="blocked", detail="10.0.0.1 is not a public address.")
    assert decide(answer, 1) == End("blocked", OutcomeError(class_="blocked", message=answer.detail))


@pytest.mark.parametrize("answer", [Answer(status=s) for s in (301, 404, 410)] + [Answer(error="blocked")])
def test_retry_after_does_not_bring_back_what_is_not_retried(answer: Answer) -> None:
    assert isinstance(decide(msgspec.structs.replace(answer, retry_after="5"), 1), End)


# Retried, then exhausted

RETRIED = [
    *((Answer(status=status), "timeout", "4xx") for status in (408, 425)),
    (Answer(status=429), "429", "429"),
    *((Answer(status=status), "5xx", "5xx") for status in (500, 501, 502, 503, 504, 507, 511, 599)),
    *((Answer(status=status), "network", "1xx") for status in (100, 101, 199)),
    *((Answer(status=status), "5xx", "5xx") for status in (600, 999)),
    (Answer(error="timeout", detail="It took 10 s."), "timeout", "timeout"),
    (Answer(error="dns", detail="No address."), "network", "dns"),
    (Answer(error="connect", detail="Refused."), "network", "connect"),
    (Answer(error="tls", detail="Expired."), "network", "tls"),
    (Answer(error="reset", detail="Reset."), "network", "reset"),
    (Answer(error="protocol", detail="Not HTTP."), "network", "protocol"),
]


@pytest.mark.parametrize(("answer", "group", "class_"), RETRIED)
def test_what_may_do_better_later_waits_by_the_schedule(answer: Answer, group: str, class_: str) -> None:
    assert [decide(answer, attempt) for attempt in (1, 2)] == [Wait(5), Wait(60)]


@pytest.mark.parametrize(("answer", "group", "class_"), RETRIED)
def test_after_the_last_wait_it_is_exhausted_and_says_why(answer: Answer, group: str, class_: str) -> None:
    end = ended(answer)
    assert end.status == "exhausted"
    assert end.error is not None
    assert end.error.class_ == class_
    assert end.error.message.endswith(".")
    assert end.error.message == answer.detail or str(answer.status) in end.error.message


@pytest.mark.parametrize(("answer", "group", "class_"), RETRIED)
def test_a_hook_that_does_not_retry_such_failures_is_exhausted_at_once(answer: Answer, group: str, class_: str) -> None:
    assert ended(answer, 1, ALL - {group}).status == "exhausted"
    assert decide(answer, 1, frozenset({group})) == Wait(5)


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
def test_config_retries_says_how_many_attempts_there_are(retries: int) -> None:
    plan = retry.schedule(hook(config={"url": "https://crm.example.com/", "retries": retries}), "default")
    decisions = [attempts.decide(plan, Answer(status=500), attempt, 0.5, NOW) for attempt in range(1, retries + 2)]
    assert [type(decision) for decision in decisions] == [Wait] * retries + [End]


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 5), ("5", 5), ("6", 6), ("0", 5), ("-9", 5), ("x", 5), ("1000000000", 3600)]
)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_retry_after_may_only_lengthen_a_wait(status: int, value: str, seconds: float) -> None:
    assert decide(Answer(status=status, retry_after=value), 1) == Wait(seconds)


@given(
    st.builds(Answer, status=st.integers(0, 1000), retry_after=st.none() | st.text())
    | st.builds(Answer, error=st.none() | st.sampled_from(ERRORS), detail=st.just("It failed.")),
    st.lists(st.floats(0, 86_400), max_size=20),
    st.floats(0, 1, exclude_max=True),
)
def test_every_answer_has_a_meaning_and_no_job_has_more_than_21_attempts(
    answer: Answer, waits: list[float], draw: float
) -> None:
    plan, attempt = retry.Schedule(tuple(waits), ALL), 1
    while isinstance(decision := attempts.decide(plan, answer, attempt, draw, NOW), Wait):
        assert decision.seconds >= 0.79 * waits[attempt - 1]
        attempt += 1
    assert attempt <= ATTEMPTS_MAX
    assert (decision.error is None) == (decision.status == "delivered")
    if decision.error:
        assert decision.error.class_ in get_args(ErrorClass)


def test_an_answer_with_neither_status_nor_class_is_malformed() -> None:
    assert attempts.class_of(Answer()) == "protocol"


# The record of it


def outcome(last: Answer | None, end: End, **changes: Any) -> Outcome:
    history = [Attempt(at=NOW - 300, ms=100, status=500), Attempt(at=NOW - 100, ms=99, status=200)]
    arguments: dict[str, Any] = {"job": job(), "hook": hook(), "attempts": history, "now_ms": NOW} | changes
    return attempts.outcome(end=end, last=last, **arguments)


def test_an_attempt_is_one_line_with_its_status_or_its_class() -> None:
    assert attempts.record_of(Answer(status=503, duration_ms=12.6), NOW) == Attempt(at=NOW, ms=13, status=503)
    assert attempts.record_of(Answer(error="tls", duration_ms=0.2), NOW) == Attempt(at=NOW, ms=0, error="tls")
    assert attempts.record_of(Answer(), NOW) == Attempt(at=NOW, ms=0, error="protocol")


def test_an_outcome_says_what_became_of_which_event_and_where_both_originals_lie() -> None:
    found = outcome(Answer(status=200, body=b"thanks"), End("delivered"))
    assert json.loads(msgspec.json.encode(found)) == {
        "id": "msg_1",
        "hookId": HOOK_ID,
        "tenantId": "default",
        "event": "User.Created",
        "eventId": "e1",
        "result": "Success",
        "status": "delivered",
        "createdAt": NOW,
        "eventAt": NOW - 500,
        "durationMs": 300,
        "attempts": [{"at": NOW - 300, "ms": 100, "status": 500}, {"at": NOW - 100, "ms": 99, "status": 200}],
        "source": ["identity.user", 3, 7],
        "job": ["hooks.deliveries", 1, 99],
        "host": "crm.example.com",
        "response": {"status": 200, "body": "thanks"},
    }
    assert found.source == Coordinates("identity.user", 3, 7)


@pytest.mark.parametrize("status", ["exhausted", "rejected", "blocked", "cancelled", "expired"])
def test_every_other_end_is_an_error_with_its_reason(status: Any) -> None:
    error = OutcomeError(class_="5xx", message="The endpoint answered 500.")
    found = outcome(Answer(status=500), End(status, error))
    assert (found.result, found.status, found.error) == ("Error", status, error)


def test_a_job_whose_hook_was_deleted_before_any_attempt_ends_without_host_attempts_or_duration() -> None:
    found = outcome(None, End("cancelled"), hook=None, attempts=[])
    assert (found.host, found.attempts, found.duration_ms, found.response) == ("", [], 0, None)


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    assert outcome(None, End("cancelled"), now_ms=NOW - 5_000).duration_ms == 0


@pytest.mark.parametrize("size", [1023, 1024, 1025])
def test_of_an_answer_the_first_1024_characters_are_kept(size: int) -> None:
    response = outcome(Answer(status=500, body="é".encode() * size), End("exhausted")).response
    assert response is not None
    assert response.body == "é" * min(size, 1024)


@given(st.integers(100, 599), st.binary(max_size=2000))
def test_whatever_an_endpoint_answers_its_outcome_can_be_read_back(status: int, body: bytes) -> None:
    answer = attempts.masked(Answer(status=status, body=body), hook())
    found = outcome(answer, End("rejected", OutcomeError(class_="4xx", message="No.")))
    assert found.response is not None
    assert "\x00" not in found.response.body
    assert msgspec.json.decode(msgspec.json.encode(found), type=Outcome) == found


SENT = "abc/def+ghi=="


@pytest.mark.parametrize(
    ("config", "echo"),
    [
        ({"headers": {"x-a": SENT}}, SENT),
        ({"headers": {"x-a": SENT}}, r"abc\/def+ghi=="),
        ({"headers": {"x-a": SENT}}, r"abc/def\u002Bghi\u003d\u003D"),
        ({"headers": {"x-a": f"Bearer {SENT}"}}, SENT),
        ({"headers": {"x-a": "Basic dXNlcjpwYXNzd29yZDE="}}, "user:password1"),
        ({"headers": {"x-a": "Basic dXNlcjpwYXNzd29yZDE="}}, "of user it is password1"),
        ({"url": f"https://a.example/?sig={SENT}"}, f'{{"sig":"{SENT}"}}'),
        ({"url": "https://a.example/?sig=abc%2Fdef%2Bghi"}, '{"sig":"abc/def+ghi"}'),
        ({"url": "https://a.example/hooks/T0123456789abcdef"}, "no T0123456789abcdef here"),
    ],
)
def test_however_an_endpoint_spells_what_it_was_sent_it_is_masked(config: dict[str, Any], echo: str) -> None:
    sent = hook(config={"url": "https://a.example/"} | config)
    shown = attempts.masked(Answer(status=200, body=echo.encode()), sent).body.decode()
    assert "******" in shown
    for part in (SENT, "def", "password1", "T01234"):
        assert part not in shown


def test_a_secret_that_is_cut_off_with_the_answer_is_masked_too() -> None:
    secret = "s3cret" + "x" * 1000
    answer = Answer(status=200, body=f"{secret} {secret} {secret} {secret} {secret}".encode())
    shown = attempts.masked(answer, hook(config={"url": "https://a.example/", "headers": {"x-a": secret}})).body
    assert b"s3c" not in shown
    assert b"xxx" not in shown


def test_without_an_answer_there_is_no_response() -> None:
    assert outcome(Answer(error="timeout", detail="It took 10 s."), End("exhausted")).response is None


def test_only_the_host_of_a_url_stands_in_an_outcome() -> None:
    """Paths and queries of webhook URLs hold tokens (invariant I7)."""
    secret = hook(config={"url": "https://crm.example.com:8443/hooks/T0KEN?key=T0KEN", "headers": {"x": "T0KEN"}})
    found = outcome(Answer(status=200), End("delivered"), hook=secret)
    assert found.host == "crm.example.com"
    assert b"T0KEN" not in msgspec.json.encode(found)


def test_an_outcome_names_the_keys_that_signed_the_last_attempt() -> None:
    assert outcome(Answer(status=200, key_ids=("5e318f8c", "0bee94e0")), End("delivered")).key_ids == [
        "5e318f8c",
        "0bee94e0",
    ]
    assert outcome(None, End("cancelled")).key_ids == []


@pytest.mark.parametrize(("run", "replay"), [(None, False), ("run-1", True)])
def test_an_outcome_says_whether_somebody_asked_for_the_delivery_again(run: str | None, replay: bool) -> None:
    assert outcome(None, End("cancelled"), job=job(replay=run)).replay is replay


# What an answer says of its endpoint


WELL = [Answer(status=status) for status in (200, 204, 301, 400, 401, 404, 410, 413, 499)]
UNWELL = [Answer(status=status) for status in (100, 408, 425, 429, 500, 503, 599, 600)]
NO_ANSWER = [Answer(error=error) for error in ERRORS if error != "blocked"]


@pytest.mark.parametrize("answer", WELL)
def test_an_endpoint_that_delivers_or_rejects_is_well(answer: Answer) -> None:
    assert attempts.failed(answer) is False


@pytest.mark.parametrize("answer", [*UNWELL, *NO_ANSWER, Answer()])
def test_an_endpoint_that_asks_for_a_retry_or_does_not_answer_is_not(answer: Answer) -> None:
    assert attempts.failed(answer) is True


def test_a_forbidden_address_says_nothing_of_its_endpoint_for_nobody_was_asked() -> None:
    assert attempts.failed(Answer(error="blocked")) is None


@given(st.builds(Answer, status=st.integers(100, 999)) | st.builds(Answer, error=st.sampled_from(ERRORS)))
def test_what_is_retried_and_nothing_else_speaks_against_an_endpoint(answer: Answer) -> None:
    assert bool(attempts.failed(answer)) is isinstance(decide(answer, 1), Wait)


@pytest.mark.parametrize(("status", "seconds"), [(429, 7), (503, 7), (500, 0), (502, 0), (408, 0), (200, 0), (404, 0)])
def test_retry_after_holds_the_whole_hook_on_429_and_503_only(status: int, seconds: float) -> None:
    assert attempts.hold_s(Answer(status=status, retry_after="7"), NOW) == seconds


@pytest.mark.parametrize(("value", "seconds"), [(None, 0), ("0", 0), ("3599", 3599), ("3600", 3600), ("3601", 3600)])
def test_a_hold_is_at_most_an_hour(value: str | None, seconds: float) -> None:
    assert attempts.hold_s(Answer(status=429, retry_after=value), NOW) == seconds


def test_a_hold_is_never_longer_than_the_wait_of_the_job_that_brought_it() -> None:
    """Its record on `hooks.retries` carries both, and a wrong clock can stretch neither (CONTRACT 4)."""
    for value in ("1", "7", "3600"):
        answer = Answer(status=503, retry_after=value)
        decision = decide(answer, 1)
        assert isinstance(decision, Wait)
        assert attempts.hold_s(answer, NOW) <= decision.seconds
