"""Custom headers as they travel: what the rules pass is sent exactly, and what is ours is ours on the wire too."""

import asyncio
import re
import string
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert

from streams.core import headers, signing
from streams.core.records import Hook
from streams.settings import Settings
from streams.web.attempting import Attempting
from streams.web.transport import Transport, tls_context
from tests.core.building import job

KEY = "0123456789abcdefghijABCDEFGHIJ01"
NOW_S = 1_790_000_000
JOB = job(body=b'{"event":"User.Created","hookId":"h"}')

TOKEN = "!#$%&'*+.^_`|~-" + string.digits + string.ascii_letters
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
names = st.text(TOKEN, min_size=1, max_size=headers.NAME_CHARS_MAX)
values = st.text(PRINTABLE, max_size=200)
OURS = (
    *sorted(headers.RESERVED),
    *(signing.LOGTO_SIGNATURE, signing.WEBHOOK_ID, signing.WEBHOOK_TIMESTAMP, signing.WEBHOOK_SIGNATURE),
    *("content-type", "content-length", "content-encoding", "proxy-authorization", "webhook-x", "logto-signature-x"),
)


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A name of ours in letters of either case, with other marks for its hyphens."""
    name = draw(st.sampled_from(OURS))
    marks = draw(st.lists(st.sampled_from("-_.~!|"), min_size=len(name), max_size=len(name)))
    cases = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    letters = zip(name, marks, cases, strict=True)
    return "".join(mark if letter == "-" else letter.upper() if up else letter for letter, mark, up in letters)


Send = Callable[[dict[str, str]], tuple[list[tuple[str, str]], bytes]]


@pytest.fixture(scope="module")
def send() -> Iterator[Send]:
    """Send the job to a hook with these headers; the fields and the body as they came, in a loop of this file's own."""
    came: list[tuple[bytes, bytes]] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
            came.append((head, await reader.readexactly(int(length[1])) if length else b""))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()

        async def start() -> tuple[Attempting, str]:
            server = await stack.enter_async_context(await asyncio.start_server(take, "127.0.0.1", 0))
            opened = Settings(allow_networks=("127.0.0.0/8",))
            transport = await stack.enter_async_context(Transport(opened, tls=tls_context()))
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            return Attempting(transport, lambda: NOW_S * 1000, "1.2.3"), url

        attempting, url = runner.run(start())

        def sent(custom: dict[str, str]) -> tuple[list[tuple[str, str]], bytes]:
            came.clear()
            hook = {"id": JOB.hook_id, "signingKey": KEY, "config": {"url": url, "headers": custom}}
            answer = runner.run(attempting(JOB, convert(hook, Hook)))
            assert answer.status == 200, answer.detail
            ((head, body),) = came
            fields = [line.partition(": ") for line in head.decode("ascii").split("\r\n")[1:-2]]
            return [(name, value) for name, _, value in fields], body

        yield sent
        runner.run(stack.aclose())


def check_ours(fields: list[tuple[str, str]], body: bytes) -> None:
    """Whatever a receiver takes a name for, each of ours is there once, and the signatures are genuine."""
    assert body == JOB.body
    plain = [re.sub(r"[^a-z0-9]", "-", name.lower()) for name, _ in fields]
    ours = [name for name in plain if headers.is_reserved(name)]
    signatures = [signing.LOGTO_SIGNATURE, "webhook-id", "webhook-signature", "webhook-timestamp"]
    assert sorted(ours) == ["content-length", "content-type", "host", *signatures]
    found = dict(zip(plain, (value for _, value in fields), strict=True))
    assert found["content-length"] == str(len(body))
    assert signing.verify_logto((KEY,), found[signing.LOGTO_SIGNATURE], body).word == "valid"
    given_ = (found["webhook-id"], found["webhook-timestamp"], found["webhook-signature"])
    assert signing.verify_standard((KEY,), *given_, body, NOW_S).word == "valid"


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(names | st.sampled_from(["Authorization", "User-Agent", "accept"]), values, max_size=20))
def test_what_the_rules_pass_is_sent_exactly_and_takes_the_place_of_nothing_else(
    send: Send, custom: dict[str, str]
) -> None:
    custom = {name: value for name, value in custom.items() if not headers.problems_with({name: value})}
    if headers.problems_with(custom):
        return
    fields, body = send(custom)
    check_ours(fields, body)
    lower = {name.lower(): value for name, value in custom.items()}
    assert {name: value for name, value in fields if name in lower} == lower
    defaults = {"user-agent", "accept"} - lower.keys()
    assert len(fields) == 7 + len(lower) + len(defaults)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(disguised() | names, values, min_size=1, max_size=20))
def test_no_custom_header_wins_over_ours_even_if_a_record_with_it_were_in_force(
    send: Send, custom: dict[str, str]
) -> None:
    """Past the rules for records, which refuse it: the second lock on that door."""
    spellings = {name.lower(): name for name in custom}
    fields, body = send({name: custom[name] for name in spellings.values()})
    check_ours(fields, body)


@given(st.dictionaries(disguised(), values, min_size=1, max_size=5))
def test_every_disguise_of_a_reserved_name_is_refused_when_the_hook_is_written(custom: dict[str, str]) -> None:
    told = headers.problems_with(custom)
    assert len([problem for problem in told if "is reserved" in problem]) == len(custom)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=3))
def test_of_any_text_at_all_only_what_is_a_header_passes(send: Send, custom: dict[str, str]) -> None:
    if headers.problems_with(custom):
        return
    fields, body = send(custom)
    check_ours(fields, body)
    assert {(name.lower(), value) for name, value in custom.items()} <= set(fields)
