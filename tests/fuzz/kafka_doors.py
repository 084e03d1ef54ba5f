"""Records: what anybody with access to a topic may write, followed to what the roles make of it."""

from typing import get_args

import msgspec
from msgspec import structs

from streams.cli import hook_shown
from streams.cli.dlq_rows import whole
from streams.cli.request_rows import Wanted
from streams.core import catalogue, deadletters, egress, filters, hook_edits, jobs, operations, pending, signing
from streams.core import health as rules
from streams.core.dispatch import Dispatch
from streams.core.errors import UNREADABLE, InvalidInput
from streams.core.hooks import HookIndex, HookRules, Known
from streams.core.joining import Join
from streams.core.records import Coordinates, DeadLetter, Incoming, Job, Outcome, Outgoing, Reason, Report
from streams.core.returning import Desk
from streams.kafka import bookmarks, growth, health_state, reports
from streams.kafka.retries import Waiting
from tests.core.building import CATALOGUE, CLUSTER, HOOK_ID, KEY, NOW, TOPICS, hook_fields, hook_id, known, outcome
from tests.core.building import job as a_job
from tests.core.dispatching import LIMITS
from tests.fuzz.door import KIB, MIB, Door, parts, record

REPORT_BYTES_MAX = 512 * KIB
"""What the health role says of one hook must fit into a record with room to spare, or it could never be said."""

RULES = HookRules(CATALOGUE, egress.networks(["127.0.0.0/8", "::1/128", "10.0.0.0/8"]))
FILTER = {"$or": [{"n": {"$gt": 5}}, {"data.x": {"$startsWith": "a"}}, {"data": {"$ne": {"a": [1]}}}]}


def _join() -> Join:
    hooks = HookIndex(CATALOGUE)
    for number, delivery in enumerate(({"filter": FILTER}, {"ordering": "key"})):
        hooks.put(known(id=hook_id(number), events=["*", "Hook.*"], delivery=delivery))
    return Join(CATALOGUE, CLUSTER, TOPICS, hooks)


JOIN = _join()


def buried(letter: DeadLetter) -> bool:
    """A refusal that keeps its promises: a fixed reason, a sentence, the original, all of it fit to be written."""
    assert letter.reason in get_args(Reason)
    assert letter.reason != "internal-error"
    assert letter.detail
    _written(deadletters.bury(letter, NOW))
    return False


def _written(out: Outgoing) -> Incoming:
    """The record as it comes back from Kafka."""
    for name, _ in out.headers:
        name.encode()
    return Incoming(at=Coordinates(out.topic, 0, 0), key=out.key, value=out.value, headers=out.headers, timestamp=NOW)


def _event(came: Incoming, join: Join = JOIN) -> bool:
    made = join.records(came, NOW)
    for out in made:
        if out.topic == deadletters.TOPIC:
            letter = deadletters.read(_written(out))
            assert letter is not None
            assert letter.reason in get_args(Reason)
            return False
        assert isinstance(jobs.read(_written(out)), Job)
        msgspec.json.decode(out.value or b"", type=dict[str, msgspec.Raw])
    return True


def event(data: bytes) -> bool:
    """A plain event."""
    return _event(record(data))


def binary(data: bytes) -> bool:
    """A CloudEvent in binary mode."""
    ce = {"specversion": b"1.0", "id": b"1", "source": b"/x", "type": b"identity.user.created"}
    return _event(record(data, catalogue.USER, *((f"ce_{name}", value) for name, value in ce.items())))


def structured(data: bytes) -> bool:
    """A CloudEvent in structured mode."""
    return _event(record(data, catalogue.USER, ("content-type", b"application/cloudevents+json")))


def operational(data: bytes) -> bool:
    """An event about a hook."""
    return _event(record(data, catalogue.OPERATIONS))


def hook(data: bytes) -> bool:
    """A record of `hooks.config`."""
    found = RULES.read(structs.replace(record(data, "hooks.config"), key=HOOK_ID.encode(), value=data))
    if isinstance(found, DeadLetter):
        return buried(found)
    assert found is not None
    signing.headers(found.hook, a_job(event_key=b"k"), NOW // 1000, "1.0")
    HookIndex(CATALOGUE).put(found)
    return True


def hook_edit(data: bytes) -> bool:
    """What commands do to a record in force: what validated before does so afterwards."""
    if not hook(data):
        return False
    edited = [
        hook_edits.changed(data, {"enabled": False, "name": "other", "keepPending": None}),
        hook_edits.rotated(data, KEY[::-1], NOW, 3_600_000),
    ]
    for text in edited:
        if len(text) <= len(data) + KIB <= 64 * KIB:
            assert hook(text)
        hook_shown.masked(text, "signingKey", "headers")
    return True


def job(data: bytes) -> bool:
    """A record of `hooks.deliveries`: followed to the request's headers, its wait and its outcome."""
    found = jobs.read(record(data, "hooks.deliveries"))
    if isinstance(found, DeadLetter):
        return buried(found)
    sent = signing.headers(known(delivery={"ordering": "key", "traceparent": True}).hook, found, NOW // 1000, "1.0")
    assert all(value.isprintable() and value.isascii() for value in sent.values())
    item = pending.Item(found.delivery_id, found.hook_id, 0, 0, NOW, due=NOW)
    assert pending.read(_written(pending.put(found, item, [], NOW)))[0].body == found.body
    return True


def waiting(data: bytes) -> bool:
    """A record of `hooks.retries`: followed to the alarm that is set for it."""
    came, kept = record(data, "hooks.retries"), Waiting()
    kept.take(came, NOW)
    for letter in kept.letters.values():
        return buried(letter)
    dispatch = Dispatch(LIMITS, 500, JOIN.hooks.by_id, lambda _: True)
    dispatch.restore(kept.items.values(), kept.holds)
    while item := dispatch.start(NOW):
        dispatch.answered(item, NOW, None)
        dispatch.ended(item)
        dispatch.landed(item)
    assert 0 <= ((dispatch.next_at() or NOW) - NOW) / 1000 < 1e12
    found, history = pending.read(came)
    assert len(history) < KIB
    signing.headers(known(delivery={"ordering": "strict"}).hook, found, NOW // 1000, "1.0")
    return True


def ended(data: bytes) -> bool:
    """A record of `hooks.log`: followed to what is told of its hook, and to its report."""
    came = record(data, "hooks.log")
    found = health_state.read(came)
    Wanted(None, None, None).outcome(came)
    if isinstance(found, DeadLetter):
        return buried(found)
    partition = health_state.Partition(0, 100)
    window = partition.window(found.hook_id, JOIN.hooks)
    partition.take(found, 7)
    for happening in operations.found(window, found, 7):
        assert len(_written(operations.record(happening, "name")).value or b"") < REPORT_BYTES_MAX
    return _reported(window)


def report(data: bytes) -> bool:
    """A record of `hooks.health`: what the health role goes on from, and what commands show."""
    came, partition, shown = record(data, "hooks.health"), health_state.Partition(0, 100), dict[str, object]()
    reports.take(shown, [came])  # type: ignore[arg-type]
    partition.restore(came)
    for window in partition.windows.values():
        window.take(outcome(error="5xx"), 1 << 60)
        operations.found(window, outcome(error="5xx"), 1 << 60)
        return _reported(window)
    return False


def _reported(window: rules.Window) -> bool:
    window.begin_anew(9, 8)
    window.drop_older(NOW)
    text = msgspec.json.encode(rules.report(known().hook, window, NOW))
    assert len(text) < REPORT_BYTES_MAX
    rules.window_of(msgspec.json.decode(text, type=Report))
    return True


def dead_letter(data: bytes) -> bool:
    """A record of `hooks.dead-letters`, which anybody may have written."""
    found = deadletters.read(record(data, "hooks.dead-letters"))
    if found is None:
        return False
    msgspec.json.encode(whole(found, withheld=False))
    desk = Desk({name: name for name in (*TOPICS, "hooks.config", jobs.TOPIC)}, RULES, {})
    if desk.obstacle(found) is None:
        _written(desk.original(found))
    return True


def commit(data: bytes) -> bool:
    """What stands beside a committed offset of the sender's group."""
    floor, count = growth.parse(data.decode("utf-8", "replace"))
    assert floor >= 0
    return count is not None


def bookmark(data: bytes) -> bool:
    """What stands beside a committed offset of a replay run's group."""
    try:
        mark = bookmarks.parse("r1", data.decode("utf-8", "replace"))
    except InvalidInput:
        return False
    assert mark.selection.fits(outcome()) in (True, False)
    return True


def filter_(data: bytes) -> bool:
    """A hook's filter, and an event that is held against it."""
    came = record(data)
    try:
        accepts = filters.compile_filter(msgspec.json.decode(came.value or b""))
    except (filters.BadFilter, *UNREADABLE):
        return False
    hooks = HookIndex(CATALOGUE)
    hooks.put(Known(known(delivery={"filter": {"a": 1}}).hook, (0, 1), accepts))
    _event(structs.replace(came, value=came.key), Join(CATALOGUE, CLUSTER, TOPICS, hooks))
    return True


def _hook(**changes: object) -> bytes:
    return msgspec.json.encode(hook_fields(**changes))


JOB = parts(
    b'{"event":"User.Created"}', HOOK_ID.encode(), b"delivery-id", b"msg_1", b"tenant-id", b"default", b"event",
    b"User.Created", b"event-id", b"e1", b"event-at", b"1790000000000", b"source", b"identity.user/0/0",
    b"hook-version", b"0/0", b"event-key", b"u1", b"sequence", b"7", b"traceparent", b"00-1-2-01",
)  # fmt: skip
EVENT = b'{"event":"User.Created","n":7,"data":{"id":"u1","x":"a\\u00e9\\ud83d\\ude00","y":[1.5,-0,1e400,null]}}'
OURS = [part for name in deadletters.OURS for part in (name.encode(), b"1")]
WAIT = pending.put(a_job(event_key=b"k"), pending.Item("msg_1", HOOK_ID, 0, 0, NOW, due=NOW + 5000), [], NOW).value
HOOK_SEEDS = (
    _hook(),
    _hook(events=["*", "Hook.*"], retiredKeys=[{"signingKey": KEY, "until": NOW}], enabled=False, keepPending=True),
    _hook(
        delivery={"retry": {"scheduleSeconds": [1, 2.5], "on": ["5xx"]}, "rateLimit": {"limit": 5}, "filter": FILTER}
    ),
)
OUTCOMES = tuple(msgspec.json.encode(one) for one in (outcome(), outcome(error="410"), outcome(error="5xx")))


def _report() -> bytes:
    window = rules.Window()
    for number, text in enumerate(OUTCOMES):
        window.take(msgspec.json.decode(text, type=Outcome), number)
    return msgspec.json.encode(rules.report(known().hook, window, NOW))


DOORS = (
    Door("identity event", event, (EVENT, parts(EVENT, b"u1", b"event-id", b"e1", b"tenant-id", b"t", b"x", b""))),
    Door("identity event, CloudEvent binary", binary, (b'{"n":1}', parts(b"{}", b"u", b"ce_time", b"2026-01-01"))),
    Door(
        "identity event, CloudEvent structured",
        structured,
        (b'{"specversion":"1.0","id":"1","source":"/x","type":"User.Created","time":"x","data":{"n":1}}',),
    ),
    Door("operational event", operational, (b'{"event":"Hook.Failing","createdAt":"x","data":{"hookId":"h"}}',)),
    Door("hook record", hook, HOOK_SEEDS, 64 * KIB),
    Door("hook record, edited", hook_edit, HOOK_SEEDS, 64 * KIB),
    Door("filter and event", filter_, (parts(msgspec.json.encode(FILTER), EVENT),), 64 * KIB),
    Door("job", job, (JOB,)),
    Door("pending job", waiting, (parts(WAIT or b"", b"msg_1"),), 2 * MIB),
    Door("outcome", ended, OUTCOMES),
    Door("report", report, (_report(),)),
    Door("dead letter", dead_letter, (parts(b"{", b"u1", *OURS), parts(EVENT, b"u1", *OURS)), 2 * MIB),
    Door("commit metadata", commit, (b"12/3", b"12", b"/"), 4 * KIB),
    Door("bookmark", bookmark, (b'{"selection":{"events":["User.*"]},"end":9,"total":3,"done":1}',), 4 * KIB),
)
