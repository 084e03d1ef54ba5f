"""The table of rights is exactly what each role needs: with it the whole line works, and every row of it was used.

The authorizer's own log is the witness: it names the ACL by which it allowed a thing, and a right that it never named
is one too many. A right that is missing keeps a role from starting, and is named. So no row can be left out.
"""

import asyncio
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAuthorizationFailedError
from msgspec import structs

from streams.cli import doctor
from streams.core import catalogue
from streams.core.errors import BrokerRefuses
from streams.core.records import Outgoing
from streams.core.replaying import Selection
from streams.kafka import (
    admin,
    clients,
    dead_letters,
    hook_records,
    permitted,
    reader,
    replaying,
    reports,
    rights,
    topics,
)
from streams.kafka.dead_letters import Wanted
from streams.kafka.publisher import publisher
from streams.kafka.rights import Right
from streams.settings import Settings
from streams.supervisor import Supervisor
from streams.web.receiver import Receiver, misbehaving
from tests.cli.commands import hookline
from tests.kafka.secured import Secured, token_file
from tests.line import POLL_S, ROLES, TOOK_S, Line, Role, environment, hook, hook_id

EVENT = b'{"event":"User.Created","data":{}}'

FIRST = {"router": "OAUTHBEARER", "sender": "PLAIN", "health": "SCRAM-SHA-512"}
SECOND = {"router": "SCRAM-SHA-256", "sender": "OAUTHBEARER", "health": "PLAIN"}
"""Ways in. Between them every mechanism reaches Faust, whose two roles are made alike."""


async def test_the_line_works_with_exactly_the_rights_of_the_table(
    secured: Secured, plain: Settings, tmp_path: Path
) -> None:
    prefix = plain.topic_prefix
    await admin.apply(plain)
    writes = Right(role="upstream", resource="topic", name=prefix + catalogue.USER, operation="Write")
    granted = {*rights.of(plain, *ROLES, "operator"), writes}
    await secured.grant(*granted)
    async with Receiver() as well, Receiver(misbehaving(math.inf, 410)) as gone, publisher(plain) as out:
        roles: dict[str, Role] = {}
        the = Line(plain, out, roles)
        try:
            await come_in(secured, plain, roles, FIRST, tmp_path)
            await the.took(await the.put(hook(1, well.url, ["User.*"]), hook(2, gone.url, ["User.*"])))
            await an_upstream_service_writes_its_topic_and_no_other(secured, plain)
            await well.arrived(1, within_s=30)
            await every_role_writes_wherever_it_may(the)
            await an_operator_does_what_the_commands_do(secured.settings(plain, "operator"))
            await asyncio.gather(*(roles[name].stop() for name in SECOND))
            await come_in(secured, plain, roles, SECOND, tmp_path)
            await the.publish(catalogue.USER, EVENT, event_id="last")
            await the.report(hook_id(1), 4)
            assert granted - secured.exercised(prefix) == set()
            assert denied(secured, prefix) == {("upstream", "Describe", prefix + catalogue.ROLE)}
            for name, topic, operation in TAKEN:
                right = Right(role=name, resource="topic", name=prefix + topic, operation=operation)
                await a_right_is_taken_from_a_role_at_work(secured, the, right)
        finally:
            await asyncio.gather(*(role.stop() for role in roles.values()))


TAKEN = (
    ("health", topics.LOG, "Read"),
    ("sender", topics.LOG, "Write"),
    ("router", topics.DELIVERIES, "Write"),
)


async def come_in(
    secured: Secured, settings: Settings, roles: dict[str, Role], mechanisms: dict[str, str], directory: Path
) -> None:
    """Start every role as a user of its name, and wait until it is at work."""
    for name, mechanism in mechanisms.items():
        roles[name] = Role(name, secured.settings(settings, name, mechanism), directory, "a")
        await roles[name].start()
    await asyncio.gather(*(role.ready() for role in roles.values()))


async def an_upstream_service_writes_its_topic_and_no_other(secured: Secured, plain: Settings) -> None:
    settings = secured.settings(plain, "upstream")
    async with publisher(settings) as out:
        await out.publish([Outgoing(topic=catalogue.USER, key=b"u1", value=EVENT)])
    with pytest.raises(TopicAuthorizationFailedError):
        async with publisher(settings) as out:
            await out.publish([Outgoing(topic=catalogue.ROLE, key=b"r1", value=EVENT)])


async def every_role_writes_wherever_it_may(the: Line) -> None:
    """Three answers of 410 switch a hook off, which is told; and each role meets what it cannot read.

    Behind an unreadable record of a hook the router writes the version in force once more.
    """
    await the.ended(hook_id(2), 1)
    for number in (2, 3):
        await the.publish(catalogue.USER, EVENT, event_id=f"gone{number}")
        await the.ended(hook_id(2), number)
    await the.operations(1)
    await the.publisher.publish(
        Outgoing(topic=topic, key=hook_id(1).encode(), value=b"nonsense")
        for topic in (catalogue.USER, topics.DELIVERIES, topics.LOG, topics.CONFIG)
    )
    await the.dead_letters(4)
    async with asyncio.timeout(TOOK_S):
        while not the.roles["router"].events("hook.restored"):
            await asyncio.sleep(POLL_S)


async def an_operator_does_what_the_commands_do(settings: Settings) -> None:
    await hook_records.write(settings, [(hook_id(3), orjson.dumps(hook(3, "http://127.0.0.1:1", [])))])
    names = {topic: name for name, topic in catalogue.EVENTS.items()}
    async with publisher(settings) as out:
        await out.publish(
            Outgoing(topic=topic, key=b"e", value=orjson.dumps({"event": names[topic]})) for topic in catalogue.TOPICS
        )
    for topic in catalogue.EVENT_TOPICS:
        places = await reader.partitions(settings, [settings.topic_prefix + topic])
        assert [record async for record in reader.to_end(settings, dict.fromkeys(places, -1))]
    plan = await replaying.plan(settings, Selection(hook=hook_id(1)))
    assert (await replaying.send(plan, "run", 100, lambda _: None)).count == len(plan.chosen) > 0
    assert await reports.read(settings)
    for ask in doctor.questions().values():
        assert (await ask(settings)).result != "skipped"
    letters = await dead_letters.chosen(settings, Wanted())
    async with dead_letters.returning(settings) as returning:
        assert len((await returning.tried(letters)).refused_again) == 2


def denied(secured: Secured, prefix: str) -> set[tuple[str, str, str]]:
    """What was refused to whom."""
    found = {(one.user, one.operation, one.name) for one in secured.decisions() if one.right is None}
    return {one for one in found if one[2].startswith(prefix)}


async def a_right_is_taken_from_a_role_at_work(secured: Secured, the: Line, right: Right) -> None:
    """It ends by itself with one sentence and exit code 3, and has said next to nothing else."""
    role = the.roles[right.role]
    before = len(role.log.read_text().splitlines())
    await secured.revoke(right)
    await the.publish(catalogue.USER, EVENT)
    assert await role.died() == 3
    said = [orjson.loads(line) for line in role.log.read_text().splitlines()[before:]]
    assert said[-1]["event"] == "role.failed"
    assert right.name in said[-1]["reason"]
    assert len([line for line in said if line["level"] in ("warning", "error")]) == 1


@pytest.mark.parametrize("role", ROLES)
async def test_each_right_that_a_role_lacks_is_named_before_it_starts(
    secured: Secured, plain: Settings, role: str
) -> None:
    """Every row of the table in turn: without it, and nothing else, the role refuses to begin."""
    wanted = rights.of(plain, role)
    settings = secured.settings(plain, role)
    await admin.apply(plain)
    await secured.grant(*wanted)
    for right in wanted:
        await secured.revoke(right)
        await until(settings, role, partial(lacks_nothing_but, right))
        await secured.grant(right)
    await until(settings, role, lambda missing: missing == [])
    await permitted.check(settings, role)


def lacks_nothing_but(right: Right, missing: list[Right]) -> bool:
    """Who may not see a topic learns nothing more of it, so all that is wanted of that one may be missing."""
    return right in missing and {one.name for one in missing} == {right.name}


async def test_a_role_without_rights_is_started_again_ever_more_slowly_and_lists_them_all_each_time(
    secured: Secured, plain: Settings
) -> None:
    await admin.apply(plain)
    said, lines = asyncio.Queue[str](), list[bytes]()
    environ = environment(secured.settings(plain, "router"))
    supervisor = Supervisor(lambda _: environ, said.put_nowait, lines.append)
    starting = asyncio.create_task(supervisor.start("router"))
    try:
        for wait in ("0.5", "1"):
            words = await asyncio.wait_for(said.get(), 30)
            assert words.startswith("router died with exit code 3 (the broker at ")
            assert all(right.name in words for right in rights.of(plain, "router"))
            assert f"; starting it again in {wait} s (restart " in words
    finally:
        supervisor.kill()
        starting.cancel()
        await asyncio.wait([starting])
        await supervisor.stop()
    assert {orjson.loads(line)["event"] for line in lines} == {"role.failed"}


async def test_a_right_taken_from_a_role_that_does_not_use_it_is_noticed(
    secured: Secured, plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permitted, "WATCH_S", 0.02)
    await admin.apply(plain)
    await secured.grant(*rights.of(plain, "health"))
    watching = asyncio.create_task(permitted.watch(secured.settings(plain, "health"), "health"))
    name = f"{plain.topic_prefix}{topics.RETRIES}"
    await secured.revoke(Right(role="health", resource="topic", name=name, operation="DescribeConfigs"))
    with pytest.raises(BrokerRefuses, match=f"DescribeConfigs on topic {name}"):
        await asyncio.wait_for(watching, 20)


async def test_a_token_that_expires_under_a_role_at_work_is_noticed(
    secured: Secured, plain: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permitted, "WATCH_S", 0.02)
    await admin.apply(plain)
    await secured.grant(*rights.of(plain, "sender"))
    file = token_file(tmp_path, "sender")
    settings = secured.settings(plain, "sender", "OAUTHBEARER", sasl_oauth_token_file=str(file))
    await permitted.check(settings, "sender")
    watching = asyncio.create_task(permitted.watch(settings, "sender"))
    token_file(tmp_path, "sender", lasts_s=-60)
    with pytest.raises(BrokerRefuses, match="see that HOOKLINE_SASL_OAUTH_TOKEN_FILE holds a token that has not exp"):
        await asyncio.wait_for(watching, 20)


async def test_a_broker_that_is_away_is_no_refusal(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles live through that: their clients heal by themselves."""
    monkeypatch.setattr(permitted, "WATCH_S", 0.02)
    came: asyncio.Queue[None] = asyncio.Queue()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.put_nowait(None)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        gone = structs.replace(settings, bootstrap_servers=f"127.0.0.1:{port}")
        watching = asyncio.create_task(permitted.watch(gone, "router"))
        for _ in range(6):  # two for each check: the client's, and the one that asks why
            await asyncio.wait_for(came.get(), 20)
        assert not watching.done()
        watching.cancel()
        await asyncio.wait([watching])


async def test_a_cluster_without_an_authorizer_lacks_nothing(settings: Settings) -> None:
    await admin.apply(settings)
    assert await permitted.missing(settings, rights.of(settings, *ROLES)) == []


async def test_an_administrator_makes_and_mends_topics_with_exactly_the_rights_of_the_table(
    secured: Secured, plain: Settings
) -> None:
    await secured.grant(*rights.of(plain, "administrator"))
    settings = secured.settings(plain, "administrator")
    wrong = {"cleanup.policy": "compact,delete", "max.message.bytes": "1000"}
    async with clients.admin(plain) as client:
        made = [NewTopic(plain.topic_prefix + topic.name, 1, 1, topic_configs=wrong) for topic in topics.TOPICS]
        await client.create_topics(made)
    await admin.apply(settings)
    async with clients.admin(plain) as client:
        await client.delete_topics([topic.name for topic in made])
    await admin.apply(settings)
    await admin.check(settings)
    assert set(rights.of(plain, "administrator")) - secured.exercised(plain.topic_prefix) == set()


def test_a_command_without_a_right_says_which_in_one_sentence_and_exits_3(secured: Secured, plain: Settings) -> None:
    asyncio.run(admin.apply(plain))
    ran = hookline(secured.settings(plain, "nobody"), "hook", "list")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert re.fullmatch(
        f"hookline: the broker at {secured.sasl} denies the user 'nobody' a right on the topic "
        rf"{plain.topic_prefix}hooks\.(config|health): grant it; `hookline topic rights` lists what each role needs\n",
        ran.stderr,
    )


def test_the_rights_are_listed_with_the_prefix_for_one_role_or_for_all(plain: Settings) -> None:
    ran = hookline(plain, "topic", "rights", "router", "-o", "jsonl")
    assert [orjson.loads(line) for line in ran.stdout.splitlines()] == [
        structs.asdict(right) for right in rights.of(plain, "router")
    ]
    everybody = hookline(plain, "topic", "rights", "-o", "jsonl").stdout.splitlines()
    assert {orjson.loads(line)["role"] for line in everybody} == set(rights.RIGHTS)


async def until(settings: Settings, role: str, fits: Callable[[list[Right]], bool]) -> list[Right]:
    """What a role lacks, once the broker goes by what it was told, which takes it a moment."""
    async with asyncio.timeout(20):
        while not fits(missing := await permitted.missing(settings, rights.of(settings, role))):
            await asyncio.sleep(POLL_S)
    return missing
