"""Every check of the fault suite is seen to fail, on made-up notes; and what it must let through, it lets through."""

import pytest
from msgspec import structs

from streams.core.records import Attempt, Coordinates, Outcome, Status
from tests.faults.checking import Row, check
from tests.faults.facts import Arrival, Ended, Facts, Span, Wanted, Watched

HOOK = Watched(number=1, waits=(1.0, 2.0), healthy=True)
ORDERED = Watched(number=2, delivery={"ordering": "key"})


def job(id_: str, hook: Watched = HOOK, published: float = 10.0) -> Wanted:
    return Wanted(id=id_, hook=hook.id, key="u1", published=published)


def came(id_: str, at: float, status: int | None = 200, took: float = 0.01, body: bytes = b"{}") -> Arrival:
    return Arrival(id=id_, path=HOOK.path, body=body, at=at, answered=at + took, status=status)


def ended(id_: str, attempts: int = 1, seen: float = 20.0, offset: int = 0, status: Status = "delivered") -> Ended:
    outcome = Outcome(
        id=id_,
        hook_id=HOOK.id,
        tenant_id="t1",
        event="User.Created",
        event_id="e1",
        result="Success",
        status=status,
        created_at=0,
        event_at=0,
        duration_ms=0,
        attempts=[Attempt(at=0, ms=1, status=200)] * attempts,
        source=Coordinates("identity.user", 0, offset),
        job=Coordinates("hooks.deliveries", 0, offset),
    )
    return Ended(outcome=outcome, seen=seen)


def facts(
    jobs: list[Wanted], arrivals: list[Arrival], outcomes: list[Ended], unsafe: list[Span] | None = None
) -> Facts:
    return Facts(fault="x", hooks=[HOOK, ORDERED], wanted=jobs, arrivals=arrivals, ended=outcomes, unsafe=unsafe or [])


def broken(row: Row) -> set[str]:
    return {words.partition(":")[0] for words in row.broken}


def test_a_job_with_one_arrival_and_one_outcome_breaks_nothing() -> None:
    row = check(facts([job("a")], [came("a", 10.1)], [ended("a")]))
    assert (row.events, row.outcomes, row.lost, row.duplicated, row.early, row.broken) == (1, 1, 0, 0, 0, [])


def test_a_job_without_an_outcome_is_lost() -> None:
    row = check(facts([job("a"), job("b")], [came("a", 10.1), came("b", 10.1)], [ended("a")]))
    assert (row.lost, broken(row)) == (1, {"I1"})


def test_an_outcome_twice_or_unasked_is_a_breach() -> None:
    assert broken(check(facts([job("a")], [came("a", 10.1)], [ended("a"), ended("a")]))) == {"I1"}
    assert broken(check(facts([], [came("z", 10.1)], [ended("z")]))) == {"I1"}


def test_delivered_without_an_arrival_is_a_breach() -> None:
    assert broken(check(facts([job("a")], [], [ended("a")]))) == {"I3"}


def test_more_posts_than_attempts_are_a_breach_unless_the_first_was_in_flight_at_a_crash() -> None:
    notes = facts([job("a")], [came("a", 10.1), came("a", 16.0)], [ended("a")])
    row = check(notes)
    assert (row.duplicated, broken(row)) == (1, {"I3"})
    excused = check(structs.replace(notes, unsafe=[Span(10.2, 10.3)]))
    assert (excused.duplicated, excused.broken) == (1, [])
    long_after = check(structs.replace(notes, unsafe=[Span(15.9, 15.95)]))
    assert "I3" in broken(long_after)


def test_a_crash_excuses_one_repeat_not_two() -> None:
    arrivals = [came("a", 10.1), came("a", 12.0), came("a", 14.0)]
    row = check(facts([job("a")], arrivals, [ended("a")], [Span(10.2, 10.3)]))
    assert (row.duplicated, "I3" in broken(row)) == (2, True)


def test_a_post_after_the_outcome_was_durable_is_a_breach_whatever_crashed() -> None:
    row = check(facts([job("a")], [came("a", 10.1), came("a", 12.0)], [ended("a", seen=11.0)], [Span(10.2, 10.3)]))
    assert broken(row) == {"I3"}


def test_a_retry_after_an_answer_is_no_duplicate() -> None:
    row = check(facts([job("a")], [came("a", 10.1, 500), came("a", 11.1)], [ended("a", attempts=2)]))
    assert (row.duplicated, row.early, row.broken) == (0, 0, [])


def test_a_resent_request_on_a_reused_connection_that_died_is_the_same_attempt() -> None:
    dead = structs.replace(came("a", 10.1, None), reused=True)
    assert check(facts([job("a")], [dead, came("a", 10.12)], [ended("a")])).broken == []
    fresh = structs.replace(dead, reused=False)
    assert "I3" in broken(check(facts([job("a")], [fresh, came("a", 10.12)], [ended("a")])))


def test_attempts_of_unequal_bytes_are_a_breach() -> None:
    row = check(facts([job("a")], [came("a", 10.1, 500), came("a", 11.2, body=b"[]")], [ended("a", attempts=2)]))
    assert broken(row) == {"I6"}


@pytest.mark.parametrize(("second", "early"), [(10.8, 1), (10.95, 0)])
def test_a_retry_before_four_fifths_of_its_wait_is_early(second: float, early: int) -> None:
    row = check(facts([job("a")], [came("a", 10.1, 500), came("a", second)], [ended("a", attempts=2)]))
    assert (row.early, broken(row)) == (early, {"I8"} if early else set())


def test_the_second_wait_is_held_against_the_second_step() -> None:
    arrivals = [came("a", 10.1, 500), came("a", 11.1, 500), came("a", 12.2)]
    assert check(facts([job("a")], arrivals, [ended("a", attempts=3)])).early == 1


def test_a_retry_before_what_retry_after_asked_for_is_early() -> None:
    asked = structs.replace(came("a", 10.1, 429), asked_s=5.0)
    assert check(facts([job("a")], [asked, came("a", 12.0)], [ended("a", attempts=2)])).early == 1
    assert check(facts([job("a")], [asked, came("a", 15.2)], [ended("a", attempts=2)])).early == 0


def test_a_request_of_a_hook_that_was_asked_to_hold_is_a_breach() -> None:
    asked = structs.replace(came("a", 10.1, 429), asked_s=5.0)
    outcomes = [ended("a", attempts=2), ended("b")]
    during = facts([job("a"), job("b")], [asked, came("b", 13.0), came("a", 15.2)], outcomes)
    assert broken(check(during)) == {"I8"}
    on_the_wire = facts([job("a"), job("b")], [asked, came("b", 10.2), came("a", 15.2)], outcomes)
    assert check(on_the_wire).broken == []


@pytest.mark.parametrize(("second", "crossed"), [(12.0, 1), (16.0, 0)])
def test_an_event_before_the_end_of_the_one_before_it_in_its_key_is_out_of_order(second: float, crossed: int) -> None:
    """The order is that of the source, not that of the ids or of the publishing."""
    jobs = [job("b", ORDERED), job("a", ORDERED)]
    arrivals = [came("b", 10.1, 500), came("b", 15.0), came("a", second)]
    row = check(facts(jobs, arrivals, [ended("a", offset=2), ended("b", attempts=2, offset=1)]))
    assert (row.out_of_order, broken(row)) == (crossed, {"I9"} if crossed else set())


def test_an_event_may_overtake_after_a_minute() -> None:
    jobs = [job("a", ORDERED), job("b", ORDERED)]
    arrivals = [came("a", 10.0, 500), came("b", 70.5), came("a", 80.0)]
    outcomes = [ended("a", attempts=2, offset=1, seen=90), ended("b", offset=2, seen=90)]
    assert check(facts(jobs, arrivals, outcomes)).out_of_order == 0


@pytest.mark.parametrize(("late_ms", "slower"), [(40, False), (300, True)])
def test_a_healthy_hook_that_gets_slower_is_a_breach_where_latencies_are_compared(late_ms: int, slower: bool) -> None:
    jobs = [job(f"{n}", published=10.0 + n) for n in range(20)]
    arrivals = [came(f"{n}", 10.0 + n + (0.01 if n < 10 else late_ms / 1000)) for n in range(20)]
    notes = facts(jobs, arrivals, [ended(f"{n}", seen=50) for n in range(20)])
    spans = structs.replace(notes, compare=True, undisturbed=Span(10, 20), disturbed=Span(20, 30))
    row = check(spans)
    assert broken(row) == ({"I4"} if slower else set())
    assert row.undisturbed is not None
    assert row.undisturbed.p99 == pytest.approx(10, abs=0.1)


def test_without_healthy_traffic_there_is_nothing_to_be_proud_of() -> None:
    assert broken(check(structs.replace(facts([], [], []), compare=True))) == {"I4"}


def test_recovery_ends_with_the_last_outcome_of_what_was_published_before_the_fault_ended() -> None:
    jobs, arrivals = [job("a"), job("b", published=13.0)], [came("a", 14.0), came("b", 30.0)]
    notes = facts(jobs, arrivals, [ended("a", seen=14.5), ended("b", seen=31.0)])
    assert check(structs.replace(notes, disturbed=Span(10, 12))).recovery_s == pytest.approx(2.5)


def test_what_a_scenario_saw_itself_is_a_breach_too() -> None:
    assert broken(check(structs.replace(facts([], [], []), problems=["I7: a secret"]))) == {"I7"}
