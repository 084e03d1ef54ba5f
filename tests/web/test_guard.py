"""The guard refuses before any packet: a name server that is told what to say, and a record of every socket made."""

import asyncio
import errno
import socket
import threading
from typing import Any

import pytest
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from streams.core.egress import Networks, networks
from streams.settings import Settings
from streams.web.guard import (
    ADDRESSES_MAX,
    BUDGET_S,
    FLIGHTS_MAX,
    NAMES_MAX,
    NEGATIVE_TTL_S,
    POSITIVE_TTL_S,
    SILENT_FLIGHTS_MAX,
    Blocked,
    GuardResolver,
    ThreadResolver,
    guarded_sockets,
)
from streams.web.transport import Transport, tls_context

TLS = tls_context()
PUBLIC = ("93.184.216.34", "2606:4700::1111")
LOOPBACK = networks(["127.0.0.0/8", "::1/128"])


class Names(AbstractResolver):
    """A name server by hand: `answers` by name, `asked` in order, silent while `speaks` is not set."""

    def __init__(self, **answers: tuple[str, ...] | OSError) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        self.asked.append(host)
        await self.speaks.wait()
        answer = self.answers.get(host.split(".")[0], socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(answer, OSError):
            raise answer
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in answer
        ]

    async def close(self) -> None:
        self.closed = True


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def addresses(found: list[ResolveResult]) -> list[str]:
    return [result["host"] for result in found]


async def test_a_public_answer_is_returned_whole_with_the_port_that_was_asked() -> None:
    found = await GuardResolver((), Names(crm=PUBLIC)).resolve("crm.example.com", 443)
    assert [(result["host"], result["port"], result["family"]) for result in found] == [
        (PUBLIC[0], 443, socket.AF_INET),
        (PUBLIC[1], 443, socket.AF_INET6),
    ]


@pytest.mark.parametrize(
    "forbidden", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1"]
)
async def test_an_answer_with_one_forbidden_address_is_refused_whole(forbidden: str) -> None:
    resolver = GuardResolver((), Names(crm=(*PUBLIC, forbidden)))
    with pytest.raises(Blocked) as refused:
        await resolver.resolve("crm.example.com", 443)
    assert refused.value.errno == errno.EPERM
    assert refused.value.strerror == refused.value.verdict.sentence
    assert not refused.value.verdict.ok
    assert forbidden not in refused.value.verdict.sentence  # the owner of a hook learns no address of the inside


@pytest.mark.parametrize(
    ("answer", "port", "passes"),
    [
        (("127.0.0.1",), 9000, True),
        (("127.0.0.1", "::1"), 80, True),
        (("127.0.0.1",), 443, True),
        ((PUBLIC[0],), 443, True),
        ((PUBLIC[0], "127.0.0.1"), 443, True),
        ((PUBLIC[0],), 80, False),
        (("127.0.0.1", PUBLIC[0]), 9000, False),
        (("10.0.0.1",), 443, False),
    ],
)
async def test_on_other_ports_every_address_must_lie_in_the_opened_networks(
    answer: tuple[str, ...], port: int, passes: bool
) -> None:
    resolver = GuardResolver(LOOPBACK, Names(kafka=answer))
    if passes:
        assert addresses(await resolver.resolve("kafka", port)) == list(answer)
    else:
        with pytest.raises(Blocked):
            await resolver.resolve("kafka", port)


async def test_one_answer_is_judged_anew_for_every_port() -> None:
    names = Names(crm=(PUBLIC[0],))
    resolver = GuardResolver(LOOPBACK, names)
    assert await resolver.resolve("crm.example.com", 443)
    with pytest.raises(Blocked):
        await resolver.resolve("crm.example.com", 9092)
    assert len(names.asked) == 1


async def test_a_name_that_turns_to_a_forbidden_address_is_refused_at_its_next_lookup() -> None:
    names, clock = Names(crm=(PUBLIC[0],)), Clock()
    resolver = GuardResolver((), names, clock)
    await resolver.resolve("crm.example.com", 443)
    names.answers["crm"] = ("127.0.0.1",)
    clock.now_s += POSITIVE_TTL_S
    with pytest.raises(Blocked):
        await resolver.resolve("crm.example.com", 443)


async def test_an_answer_is_used_for_thirty_seconds() -> None:
    names, clock = Names(crm=PUBLIC), Clock()
    resolver = GuardResolver((), names, clock)
    for step_s, asked in ((0, 1), (POSITIVE_TTL_S - 0.001, 1), (0.001, 2)):
        clock.now_s += step_s
        await resolver.resolve("crm.example.com", 443)
        assert len(names.asked) == asked


async def test_a_failure_is_remembered_for_ten_seconds() -> None:
    names, clock = Names(), Clock()
    resolver = GuardResolver((), names, clock)
    for step_s, asked in ((0, 1), (NEGATIVE_TTL_S - 0.001, 1), (0.001, 2)):
        clock.now_s += step_s
        with pytest.raises(socket.gaierror, match="not known"):
            await resolver.resolve("dead.example.com", 443)
        assert len(names.asked) == asked


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((), "no address"),
        (OSError(), "cannot be resolved"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "Temporary failure"),
    ],
)
async def test_a_name_without_an_address_is_an_error_with_number_and_text(
    answer: tuple[str, ...] | OSError, sentence: str
) -> None:
    with pytest.raises(OSError, match=sentence) as error:
        await GuardResolver((), Names(crm=answer)).resolve("crm.example.com", 443)
    assert error.value.errno is not None
    assert not isinstance(error.value, Blocked | TimeoutError)


async def test_those_who_ask_for_one_name_at_once_share_one_lookup() -> None:
    names = Names(crm=PUBLIC)
    names.speaks.clear()
    resolver = GuardResolver((), names)
    waiting = [asyncio.create_task(resolver.resolve("crm.example.com", 443)) for _ in range(10)]
    while not names.asked:
        await asyncio.sleep(0)
    waiting[0].cancel()  # one who gives up takes the lookup from nobody
    names.speaks.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [addresses(found) for found in results[1:] if isinstance(found, list)] == [list(PUBLIC)] * 9
    assert names.asked == ["crm.example.com"]


async def test_a_silent_name_server_is_given_up_and_not_asked_again_for_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.web.guard.BUDGET_S", 0.01)
    names, clock = Names(crm=PUBLIC), Clock()
    names.speaks.clear()
    resolver = GuardResolver((), names, clock)
    for _ in range(3):
        with pytest.raises(socket.gaierror, match="no answer"):
            await resolver.resolve("crm.example.com", 443)
        clock.now_s += NEGATIVE_TTL_S
    assert names.asked == ["crm.example.com"]  # its thread is still parked: no second one for it
    names.speaks.set()
    assert addresses(await resolver.resolve("crm.example.com", 443)) == list(PUBLIC)
    await resolver.close()
    assert BUDGET_S == 3.0


async def test_the_number_of_lookups_under_way_is_bounded() -> None:
    names = Names()
    names.speaks.clear()
    resolver = GuardResolver((), names)
    waiting = [asyncio.create_task(resolver.resolve(f"n{n}.example.com", 443)) for n in range(FLIGHTS_MAX)]
    while len(names.asked) < FLIGHTS_MAX:
        await asyncio.sleep(0)
    with pytest.raises(socket.gaierror, match="too many"):
        await resolver.resolve("one.too.many.example.com", 443)
    names.speaks.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    names.answers["now"] = PUBLIC
    assert await resolver.resolve("now.example.com", 443)


async def test_names_that_never_answer_leave_half_of_the_lookups_to_those_that_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.web.guard.BUDGET_S", 0.01)
    names, clock = Names(crm=PUBLIC), Clock()
    names.speaks.clear()
    resolver = GuardResolver((), names, clock)
    dead = [f"dead{n}.example.com" for n in range(SILENT_FLIGHTS_MAX)]
    await asyncio.gather(*(resolver.resolve(name, 443) for name in dead), return_exceptions=True)
    await resolver.close()
    names.asked.clear()

    waiting = [asyncio.create_task(resolver.resolve(f"new{n}.example.com", 443)) for n in range(SILENT_FLIGHTS_MAX)]
    while len(names.asked) < SILENT_FLIGHTS_MAX:
        await asyncio.sleep(0)
    clock.now_s += NEGATIVE_TTL_S
    for name in dead:
        with pytest.raises(socket.gaierror, match="too many"):
            await resolver.resolve(name, 443)
    names.speaks.set()
    assert addresses(await resolver.resolve("crm.example.com", 443)) == list(PUBLIC)
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize(("count", "passes"), [(ADDRESSES_MAX, True), (ADDRESSES_MAX + 1, False)])
async def test_a_name_may_have_64_addresses(count: int, passes: bool) -> None:
    resolver = GuardResolver((), Names(crm=tuple(f"93.184.{n // 256}.{n % 256}" for n in range(count))))
    if passes:
        assert len(await resolver.resolve("crm.example.com", 443)) == count
    else:
        with pytest.raises(socket.gaierror, match="65 addresses"):
            await resolver.resolve("crm.example.com", 443)


async def test_lookups_that_hang_hold_up_no_other_name_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own call, which cannot be cancelled: far more of them hang than a pool would have threads."""
    hang, hanging = threading.Event(), threading.Semaphore(0)
    ask = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **more: Any) -> Any:
        if host.startswith("dead"):
            hanging.release()
            hang.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "nobody said anything")
        return ask(host, *rest, **more)

    monkeypatch.setattr("streams.web.guard.socket.getaddrinfo", getaddrinfo)
    resolver = GuardResolver(LOOPBACK, ThreadResolver())
    dead = [asyncio.create_task(resolver.resolve(f"dead{n}.example.com", 80)) for n in range(100)]
    for _ in dead:
        await asyncio.to_thread(hanging.acquire)
    try:
        assert "127.0.0.1" in addresses(await resolver.resolve("localhost", 80))
        await resolver.close()
        await asyncio.gather(*dead, return_exceptions=True)
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "hookline-dns")
    finally:
        hang.set()


async def test_the_number_of_names_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    names = Names(**{f"n{n}": PUBLIC for n in range(NAMES_MAX + 1)})
    resolver = GuardResolver((), names)
    for n in [*range(NAMES_MAX), 1, NAMES_MAX, 1]:
        await resolver.resolve(f"n{n}.example.com", 443)
    assert len(names.asked) == NAMES_MAX + 1
    await resolver.resolve("n0.example.com", 443)
    assert names.asked[-1] == "n0.example.com"


async def test_closing_gives_up_what_is_under_way_and_closes_the_inner_resolver() -> None:
    names = Names()
    names.speaks.clear()
    resolver = GuardResolver((), names)
    waiting = asyncio.create_task(resolver.resolve("crm.example.com", 443))
    while not names.asked:
        await asyncio.sleep(0)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert names.closed


async def test_the_system_resolver_finds_this_machine_and_survives_a_name_it_cannot_encode() -> None:
    resolver = GuardResolver(LOOPBACK, ThreadResolver())
    assert "127.0.0.1" in addresses(await resolver.resolve("localhost", 80))
    with pytest.raises(socket.gaierror, match="cannot be resolved"):
        await resolver.resolve("a" * 64, 80)
    await resolver.close()


def info(address: str, port: int = 443) -> AddrInfoType:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sockaddr = (address, port, 0, 0) if ":" in address else (address, port)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", sockaddr)


class Sockets:
    """A record of every socket that was asked for; `make` fails, so that nothing is ever dialled."""

    def __init__(self) -> None:
        self.made: list[tuple[int, int, int]] = []

    def make(self, family: int, kind: int, protocol: int) -> socket.socket:
        self.made.append((family, kind, protocol))
        raise OSError(errno.ENETDOWN, "no network in this test")


@pytest.mark.parametrize(
    ("address", "port", "allowed"),
    [
        ("127.0.0.1", 443, ()),
        ("::1", 443, ()),
        ("::ffff:127.0.0.1", 443, ()),
        ("169.254.169.254", 443, ()),
        ("10.0.0.1", 443, LOOPBACK),
        (PUBLIC[0], 80, ()),
        (PUBLIC[0], 9092, LOOPBACK),
        ("localhost", 443, LOOPBACK),
    ],
)
def test_a_forbidden_address_gets_no_socket(address: str, port: int, allowed: Networks) -> None:
    sockets = Sockets()
    with pytest.raises(Blocked):
        guarded_sockets(allowed, sockets.make)(info(address, port))
    assert sockets.made == []


@pytest.mark.parametrize(("address", "port"), [(PUBLIC[0], 443), (PUBLIC[1], 8443), ("127.0.0.1", 9000), ("::1", 1)])
def test_a_permitted_address_gets_the_socket_it_needs(address: str, port: int) -> None:
    sockets = Sockets()
    with pytest.raises(OSError, match="no network in this test"):
        guarded_sockets(LOOPBACK, sockets.make)(info(address, port))
    assert sockets.made == [info(address)[:3]]


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that this process tries to connect to; the attempt itself is refused."""
    attempts: list[object] = []

    async def connect(_loop: object, _sock: socket.socket, address: object) -> None:
        attempts.append(address)
        raise OSError(errno.ENETDOWN, "no network in this test")

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", connect)
    return attempts


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("https://127.0.0.1/", ()),
        ("https://[::ffff:127.0.0.1]/", ()),
        ("https://0x7f.1/", ()),
        ("https://8.8.8.8/", ()),
        ("http://crm.example.com/", PUBLIC),
        ("https://localhost/", ("127.0.0.1",)),
        ("https://crm.example.com/", ("127.0.0.1",)),
        ("https://crm.example.com/", (*PUBLIC, "10.0.0.1")),
        ("https://crm.example.com/", ("::ffff:127.0.0.1",)),
    ],
)
async def test_a_transport_blocks_before_any_packet(url: str, answer: tuple[str, ...], dialled: list[object]) -> None:
    async with Transport(Settings(), tls=TLS, resolver=Names(crm=answer, localhost=answer)) as transport:
        found = await transport.post(url, {}, b"{}", 5)
    assert found.error == "blocked"
    assert found.status is None
    assert dialled == []


async def test_a_transport_calls_a_name_without_an_address_a_dns_error(dialled: list[object]) -> None:
    async with Transport(Settings(), tls=TLS, resolver=Names()) as transport:
        found = await transport.post("https://dead.example.com/secret", {}, b"{}", 5)
    assert (found.error, found.detail) == ("dns", "the host's name cannot be resolved: Name or service not known")
    assert dialled == []


async def test_a_transport_dials_exactly_the_addresses_that_were_judged(dialled: list[object]) -> None:
    async with Transport(Settings(), tls=TLS, resolver=Names(crm=(PUBLIC[0],))) as transport:
        found = await transport.post("https://crm.example.com/", {}, b"{}", 5)
    assert found.error == "connect"
    assert dialled == [(PUBLIC[0], 443)]


async def test_the_socket_is_judged_even_if_the_resolver_was_not_asked(
    dialled: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A literal that slipped through the grammar: aiohttp never asks the resolver about literals."""
    monkeypatch.setattr("streams.core.egress._literal", lambda text, _allowed: text)
    names = Names()
    async with Transport(Settings(), tls=TLS, resolver=names) as transport:
        found = await transport.post("https://127.0.0.1/", {}, b"{}", 5)
    assert found.error == "blocked"
    assert "127.0.0.1" in found.detail
    assert (names.asked, dialled) == ([], [])
