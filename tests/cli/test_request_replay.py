"""`hookline request replay`, run as people run it: the same ids and bytes again, resumable, and never silently less."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import structs

from streams.core import jobs
from streams.core.errors import InvalidInput
from streams.core.ids import delivery_id
from streams.core.records import Coordinates, Incoming, Job, Outcome, Outgoing
from streams.core.replaying import Bookmark, Selection
from streams.kafka import bookmarks, committed, originals, reader, topics
from streams.kafka import clients as kafka_clients
from streams.kafka.clients import TopicPartition
from streams.kafka.newest import FETCH_WAIT_MS
from streams.settings import Settings
from streams.web.receiver import Receiver, misbehaving
from tests.cli.commands import Ran, going, hookline, nobody, publish, published, read, rows
from tests.cli.test_request import failed, logged
from tests.line import Line, attempts_by_id, hook, hook_id, line

URL = "http://127.0.0.1:9/hooks"
MANY = 120

PATIENCE_S = 60
"""How long roles that are just starting may take, on a machine that does other things too."""


async def command(settings: Settings, *words: str) -> Ran:
    """A command's run, beside a line in this loop."""
    return await asyncio.to_thread(hookline, settings, "request", "replay", *words)


def summary(ran: Ran) -> dict[str, Any]:
    """What a successful replay printed."""
    (row,) = rows(ran)
    return row


def jobs_of(settings: Settings, hook: int) -> list[Incoming]:
    """The records of `hooks.deliveries` for a hook."""
    return [record for record in read(settings, topics.DELIVERIES) if record.key == hook_id(hook).encode()]


async def publish_many(the: Line, count: int) -> None:
    for number in range(count):
        value = orjson.dumps({"event": "User.Created", "createdAt": "x", "data": {"n": number}})
        await the.publish("identity.user", value, key=f"u{number}".encode(), event_id=f"e{number}")


# On the whole line


async def test_a_failed_delivery_goes_again_with_the_same_id_and_bytes_and_ends_in_a_second_outcome(
    settings: Settings, tmp_path: Path
) -> None:
    async with Receiver(misbehaving(fail=1, status=400)) as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url))
        await publish_many(the, 2)
        failures = await the.ended(hook_id(1), 2, PATIENCE_S)
        ran = await command(settings, failures[0].id, "--yes")
        assert summary(ran)["sent"] == 1
        *firsts, again = await receiver.arrived(3, within_s=PATIENCE_S)
        (first,) = [request for request in firsts if request.header("webhook-id") == failures[0].id]
        assert (again.header("webhook-id"), again.body) == (failures[0].id, first.body)
        *_, outcome = await the.ended(hook_id(1), 3, PATIENCE_S)
        assert (outcome.id, outcome.status, outcome.replay) == (failures[0].id, "delivered", True)
        assert outcome.job.partition == failures[0].job.partition
        ran = await command(settings, "--hook", hook_id(1), "--since", "1h", "--yes", "-o", "json")
        assert orjson.loads(ran.stdout)["byStatus"] == {"rejected": 1}
        assert {outcome.id for outcome in await the.ended(hook_id(1), 4, PATIENCE_S)} == {
            failure.id for failure in failures
        }
        assert summary(await command(settings, "--hook", hook_id(1), "--yes"))["chosen"] == 0


async def test_a_hook_made_later_gets_what_happened_before_once(settings: Settings, tmp_path: Path) -> None:
    async with Receiver() as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url + "/first"))
        await publish_many(the, 5)
        first = await receiver.arrived(5, within_s=PATIENCE_S)
        later = hook(2, receiver.url + "/later", delivery={"filter": {"data.n": {"$gte": 2}}})
        await the.took(await the.put(later))
        travel = ("--hook", hook_id(2), "--from-events", "--since", "1h", "--yes")
        assert summary(await command(settings, *travel, "--dry-run"))["byEvent"] == {"User.Created": 3}
        assert summary(await command(settings, *travel))["sent"] == 3
        found = [request for request in await receiver.arrived(8, within_s=PATIENCE_S) if request.path == "/later"]
        bodies = {request.body.replace(hook_id(1).encode(), hook_id(2).encode()) for request in first}
        assert len({request.body for request in found} & bodies) == 3
        assert {request.header("webhook-id") for request in found} == {
            delivery_id(f"e{number}", hook_id(2)) for number in (2, 3, 4)
        }
        assert all(outcome.replay for outcome in await the.ended(hook_id(2), 3, PATIENCE_S))
        assert summary(await command(settings, *travel))["chosen"] == 0
        assert summary(await command(settings, *travel, "--all"))["sent"] == 3
        await receiver.arrived(11, within_s=PATIENCE_S)


async def test_a_run_that_is_killed_goes_on_where_it_was_and_every_delivery_arrives(
    settings: Settings, tmp_path: Path
) -> None:
    async with Receiver(misbehaving(fail=1, status=400)) as receiver, line(settings, tmp_path) as the:
        await the.put(hook(1, receiver.url))
        await publish_many(the, MANY)
        chosen = {outcome.id for outcome in await the.ended(hook_id(1), MANY, PATIENCE_S)}
        async with going(settings, "request", "replay", "--hook", hook_id(1), "--rate", "50", "--yes") as replay:
            run = await name_of(replay)
            await receiver.arrived(MANY + 20, within_s=PATIENCE_S)
            replay.process.kill()
            await replay.process.wait()
        left = summary(await command(settings, "--resume", run, "--dry-run"))["chosen"]
        assert 0 < left < MANY
        assert summary(await command(settings, "--resume", run, "--rate", "1000"))["sent"] == left
        outcomes = await the.ended(hook_id(1), 2 * MANY, PATIENCE_S)
        assert {outcome.id for outcome in outcomes if outcome.replay} == chosen
        counts = attempts_by_id(list(receiver.requests))
        assert counts.keys() == chosen
        assert set(counts.values()) == {2}
        assert not await committed.offsets(settings, f"{settings.topic_prefix}hookline-replay-{run}")
        ended = await command(settings, "--resume", run)
        assert (ended.returncode, "there is no run" in ended.stderr) == (4, True)


async def name_of(replay: Any) -> str:
    """The run's id, which is told before anything is sent."""
    while line := await replay.said():
        if found := re.search(r"hookline request replay --resume (\S+)", line):
            return found[1]
    raise AssertionError("it ended without naming its run")


# On topics alone, which show what is sent


def kept(settings: Settings, number: int, event: str = "e") -> tuple[Incoming, Outcome]:
    """A hook with one job whose delivery was rejected: the job's record and the outcome."""
    value = b'{"event":"User.Created","createdAt":"x"}'
    publish(
        settings,
        Outgoing(topic=topics.CONFIG, key=hook_id(number).encode(), value=orjson.dumps(hook(number, URL))),
        Outgoing(topic="identity.user", key=b"u", value=value, headers=(("event-id", f"{event}{number}".encode()),)),
    )
    source = [record.at for record in read(settings, "identity.user")][-1]
    job = Outgoing(
        topic=topics.DELIVERIES,
        key=hook_id(number).encode(),
        value=value[:-1] + f',"hookId":"{hook_id(number)}"}}'.encode(),
        headers=(
            ("delivery-id", delivery_id(f"{event}{number}", hook_id(number)).encode()),
            ("tenant-id", b"default"),
            ("event", b"User.Created"),
            ("event-id", f"{event}{number}".encode()),
            ("event-at", b"1790000000000"),
            ("source", "/".join(map(str, source)).encode()),
            ("hook-version", b"0/0"),
            ("event-key", b"u"),
        ),
    )
    publish(settings, job)
    (record,) = jobs_of(settings, number)
    found = jobs.read(record)
    assert isinstance(found, Job)
    outcome = failed(0, number, id=found.delivery_id, status="rejected", job=record.at, source=found.source)
    publish(settings, *logged(outcome))
    return record, outcome


def headers(record: Incoming, *without: str) -> dict[str, bytes]:
    return {name: value for name, value in record.headers if name not in without}


def test_on_trial_everything_is_counted_and_nothing_is_sent(applied: Settings) -> None:
    record, outcome = kept(applied, 1)
    ran = hookline(applied, "request", "replay", "--hook", hook_id(1), "--dry-run", "-o", "json")
    found = orjson.loads(ran.stdout)
    assert (found["dryRun"], found["chosen"], found["sent"], found["run"]) == (True, 1, 0, None)
    assert (found["byStatus"], found["byEvent"]) == ({"rejected": 1}, {"User.Created": 1})
    assert "by status: rejected 1" in ran.stderr
    assert [one.at for one in jobs_of(applied, 1)] == [record.at]
    assert outcome.id not in ran.stdout


def test_the_job_goes_to_the_same_partition_marked_with_the_run_and_its_own_place(applied: Settings) -> None:
    record, outcome = kept(applied, 2)
    found = summary(hookline(applied, "request", "replay", "--hook", hook_id(2), outcome.id, "--yes"))
    _, again = jobs_of(applied, 2)
    assert (again.key, again.value, again.at.partition) == (record.key, record.value, record.at.partition)
    marks = {"replay": found["run"].encode(), "sequence": str(record.at.offset).encode()}
    assert headers(again) == headers(record) | marks


def test_a_job_that_is_gone_is_made_anew_from_its_event_byte_for_byte(applied: Settings) -> None:
    record, outcome = kept(applied, 3)
    publish(applied, *logged(structs.replace(outcome, job=gone(record.at))))
    found = summary(hookline(applied, "request", "replay", "--hook", hook_id(3), "--yes"))
    assert (found["sent"], found["remade"], found["gone"]) == (1, 1, [])
    _, again = jobs_of(applied, 3)
    assert (again.key, again.value, again.at.partition) == (record.key, record.value, record.at.partition)
    own = ("replay", "sequence", "hook-version", "event-at")
    assert headers(again, *own) == headers(record, *own)


def test_what_is_gone_altogether_is_counted_and_named_and_the_rest_is_sent(applied: Settings) -> None:
    record, outcome = kept(applied, 4)
    lost = structs.replace(outcome, id="msg_lost", job=gone(record.at), source=gone(outcome.source))
    another = structs.replace(lost, id="msg_another", source=outcome.source)
    publish(applied, *logged(lost, another))
    ran = hookline(applied, "request", "replay", "--hook", hook_id(4), "--yes")
    found = orjson.loads(ran.stdout)
    assert (ran.returncode, found["chosen"], found["sent"]) == (1, 3, 1)
    assert found["gone"] == ["msg_lost", "msg_another"]
    assert "2 were not sent" in ran.stderr
    assert "  msg_lost\n" in ran.stderr
    assert len(jobs_of(applied, 4)) == 2


def gone(at: Coordinates) -> Coordinates:
    """A place behind the end of a partition, as what retention took is before its beginning."""
    return at._replace(offset=1_000_000)


async def test_a_run_that_finds_less_than_it_had_chosen_says_how_much_less(applied: Settings) -> None:
    """As when the log's retention takes outcomes between a kill and --resume."""
    record, outcome = await asyncio.to_thread(kept, applied, 7)
    at = TopicPartition(applied.topic_prefix + topics.LOG, record.at.partition)
    mark = Bookmark(selection=Selection(hook=outcome.hook_id, statuses=["rejected"]), end=1_000, total=3)
    async with bookmarks.bookmarks(applied, "r7", {at: structs.replace(mark, end=await end(applied, at))}) as marks:
        await marks.begin({at: 0})
    ran = await command(applied, "--resume", "r7")
    found = orjson.loads(ran.stdout)
    assert (ran.returncode, found["sent"], found["lost"]) == (1, 1, 2)
    assert "2 that were chosen then" in ran.stderr


async def end(settings: Settings, partition: TopicPartition) -> int:
    async with kafka_clients.consumer(settings) as consumer:
        return int((await consumer.end_offsets([partition]))[partition])


async def test_what_kafka_would_not_keep_of_a_run_is_refused_before_anything_is_sent(settings: Settings) -> None:
    at = TopicPartition("t", 0)
    wanted = Selection(ids=["x" * 128] * 40)
    async with bookmarks.bookmarks(settings, "r8", {at: Bookmark(selection=wanted, end=1, total=1)}) as marks:
        with pytest.raises(InvalidInput, match="fewer"):
            await marks.begin({at: 0})


def test_it_asks_on_a_terminal_and_a_no_sends_nothing(applied: Settings) -> None:
    kept(applied, 5)
    ran = hookline(applied, "request", "replay", "--hook", hook_id(5), typed="n\n")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Send them again? [y/N]" in ran.stderr
    assert len(jobs_of(applied, 5)) == 1
    assert hookline(applied, "request", "replay", "--hook", hook_id(5), typed="y\n").returncode == 0
    assert len(jobs_of(applied, 5)) == 2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--hook", hook_id(1)),
        ("--hook", hook_id(1), "--yes", "--since", "soon"),
        ("--hook", hook_id(1), "--yes", "--from-events"),
        ("--hook", hook_id(1), "--yes", "--all"),
        ("--hook", hook_id(1), "--yes", "--from-events", "--since", "1h", "--status", "failed"),
        ("msg_1", "--yes", "--since", "1h"),
        ("--resume", "r1", "--hook", hook_id(1)),
        ("--from-events", "--since", "1h", "--yes"),
    ],
)
def test_options_that_do_not_go_together_are_exit_code_2(words: Sequence[str]) -> None:
    with nobody() as settings:
        ran = hookline(settings, "request", "replay", *words)
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("msg_nowhere",), "hooks.log holds no outcome of msg_nowhere"),
        (("--hook", hook_id(99)), "deleted or disabled"),
        (("--hook", hook_id(6)), "deleted or disabled"),
        (("--hook", hook_id(1), "--event", "User.Nope"), "is no event"),
        (("--resume", "nowhere"), "there is no run nowhere"),
        (("--resume", "two words"), "is no run"),
    ],
)
def test_what_cannot_be_sent_again_is_exit_code_4_and_one_sentence(
    applied: Settings, words: Sequence[str], reason: str
) -> None:
    off = orjson.dumps(hook(6, URL, enabled=False))
    publish(applied, Outgoing(topic=topics.CONFIG, key=hook_id(6).encode(), value=off))
    ran = hookline(applied, "request", "replay", *words, *(() if "--resume" in words else ("--yes",)))
    assert (ran.returncode, ran.stdout) == (4, "")
    assert reason in ran.stderr


def test_without_topics_the_exit_code_is_1_and_without_a_broker_3(settings: Settings) -> None:
    assert hookline(settings, "request", "replay", "msg_1", "--yes").returncode == 1
    with nobody() as nowhere:
        assert hookline(nowhere, "request", "replay", "msg_1", "--yes").returncode == 3


async def test_reading_originals_finds_each_record_wherever_it_lies_and_leaves_out_what_is_not_there(
    applied: Settings,
) -> None:
    """Near ones in one stretch, far ones by a seek; offsets and partitions that do not exist are no reason to wait."""
    name = applied.topic_prefix + topics.OPERATIONS
    values = [str(number).encode() for number in range(1300)]
    await published(applied, *(Outgoing(topic=topics.OPERATIONS, key=None, value=v, partition=0) for v in values))
    known = frozenset(await reader.partitions(applied, [name]))
    wanted = [Coordinates(name, 0, offset) for offset in (0, 3, 4, 700, 1299, 1300, 5000)]
    elsewhere = [Coordinates(name, 999, 0), Coordinates(applied.topic_prefix + "nowhere", 0, 0)]
    async with kafka_clients.consumer(applied, fetch_max_wait_ms=FETCH_WAIT_MS) as consumer:
        for _ in range(2):
            found = await originals.read(consumer, known, [*reversed(wanted), *elsewhere])
            assert {at.offset: record.value for at, record in found.items()} == {
                offset: values[offset] for offset in (0, 3, 4, 700, 1299)
            }
