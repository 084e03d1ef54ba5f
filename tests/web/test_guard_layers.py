"""The guard's layers, each switched off in turn: the others still stop the literal, the rebinding and the mixed answer.

Nothing of the network is played here but the name server. What this process does to sockets is told by the
interpreter itself (audit events), which also keeps every connection from being made: no test sends a packet.
"""

import errno
import socket
import sys
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
from aiohttp import AddrInfoType
from aiohttp.abc import ResolveResult

from streams.core import egress
from streams.core.egress import Networks, Target
from streams.core.records import Answer
from streams.settings import Settings
from streams.web import resolving
from streams.web.guard import POSITIVE_TTL_S, GuardResolver
from streams.web.transport import Transport, tls_context
from tests.web.test_guard import PUBLIC, Clock, Names, addresses

TLS = tls_context()
NAMED = "https://crm.example.com/"
LITERALS = [
    *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/"),
    *("https://10.0.0.1:8443/", "https://[fd00:ec2::254]/", "https://[64:ff9b::7f00:1]/", "https://[fec0::1]/"),
    *("https://8.8.8.8:22/", "https://[2002:7f00:1::]/", "https://[2001:0:1:2:3:4:5:6]/", "https://0.0.0.0/"),
]
SPELLINGS = ["https://127.1/", "https://2130706433/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://0/"]
FORBIDDEN = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00:ec2::254", "64:ff9b::7f00:1"]


class Sockets:
    """What this process does with sockets while it is watched."""

    def __init__(self) -> None:
        self.watched = False
        self.made = 0
        self.dialled: list[str] = []
        self.looked_up: list[object] = []

    def note(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook: note it, and let no connection be made."""
        if not self.watched:
            return
        if event == "socket.__new__":
            self.made += 1
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            self.looked_up.append(arguments[0])
        elif event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            self.dialled.append(str(address[0]) if isinstance(address, tuple) else str(address))
            raise OSError(errno.ENETDOWN, "no network in this test")


SOCKETS = Sockets()


@pytest.fixture(scope="module", autouse=True)
def _hooked() -> None:
    sys.addaudithook(SOCKETS.note)


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    """A clean record, begun when the event loop has made the sockets that it needs for itself."""
    SOCKETS.made, SOCKETS.dialled, SOCKETS.looked_up, SOCKETS.watched = 0, [], [], True
    yield SOCKETS
    SOCKETS.watched = False


class Unguarded(GuardResolver):
    """The resolver without its verdict: it returns what it was told."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return await self._inner.resolve(host, port, family)


def lenient(url: str, _allowed: Networks) -> Target:
    """The grammar of somebody in a hurry."""
    parts = urlsplit(url)
    return Target(parts.scheme, parts.hostname or "", parts.port or 443, parts.path or "/")


def any_socket(_allowed: Networks) -> Callable[[AddrInfoType], socket.socket]:
    return lambda info: socket.socket(*info[:3])


OFF: dict[str, tuple[str, object]] = {
    "grammar": ("streams.core.egress.target", lenient),
    "resolver": ("streams.web.transport.GuardResolver", Unguarded),
    "socket": ("streams.web.transport.guarded_sockets", any_socket),
}
LAYERS = ["none", *OFF]


def switch_off(monkeypatch: pytest.MonkeyPatch, *layers: str) -> None:
    for layer in layers:
        if layer != "none":
            monkeypatch.setattr(*OFF[layer])


async def post(url: str, names: Names) -> Answer:
    async with Transport(Settings(), resolver=names, tls=TLS) as transport:
        return await transport.post(url, {}, b"{}", 5)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("url", LITERALS)
async def test_a_literal_is_stopped_before_any_socket_with_any_layer_off(
    url: str, layer: str, monkeypatch: pytest.MonkeyPatch, sockets: Sockets
) -> None:
    switch_off(monkeypatch, layer)
    names = Names()
    answer = await post(url, names)
    assert (answer.status, answer.error) == (None, "blocked")
    assert (names.asked, sockets.made, sockets.dialled, sockets.looked_up) == ([], 0, [], [])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("url", SPELLINGS)
async def test_another_spelling_of_loopback_is_stopped_before_any_socket_with_any_layer_off(
    url: str, layer: str, monkeypatch: pytest.MonkeyPatch, sockets: Sockets
) -> None:
    """The name server reads it as the C library would; aiohttp itself may refuse it, which is no layer of ours."""
    switch_off(monkeypatch, layer)
    here = {text.split("/")[2].split(".")[0]: ("127.0.0.1",) for text in SPELLINGS}
    answer = await post(url, Names(**here))
    assert answer.status is None
    assert answer.error == "blocked" or layer == "grammar"
    assert (sockets.made, sockets.dialled, sockets.looked_up) == (0, [], [])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("address", FORBIDDEN)
async def test_a_name_that_was_public_when_the_hook_was_written_is_stopped_when_it_leads_inside(
    address: str, layer: str, monkeypatch: pytest.MonkeyPatch, sockets: Sockets
) -> None:
    switch_off(monkeypatch, layer)
    names = Names(crm=PUBLIC)
    assert await resolving.leads([NAMED], (), names) == [resolving.Lead()]
    names.answers["crm"] = (address,)
    answer = await post(NAMED, names)
    assert (answer.status, answer.error) == (None, "blocked")
    assert (len(names.asked), sockets.made, sockets.dialled, sockets.looked_up) == (2, 0, [], [])


class Turning(Names):
    """A name server that rebinds: public to whoever asks first, another address ever after."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        self.answers["crm"] = ("127.0.0.1",)
        return found


@pytest.mark.parametrize("layer", LAYERS)
async def test_a_name_that_turns_between_the_verdict_and_the_connection_is_dialled_as_it_was_judged(
    layer: str, monkeypatch: pytest.MonkeyPatch, sockets: Sockets
) -> None:
    """There is one lookup and no other: what was judged is what is dialled, and nobody asks the system again."""
    switch_off(monkeypatch, layer)
    names = Turning(crm=(PUBLIC[0],))
    answer = await post(NAMED, names)
    assert (answer.status, answer.error) == (None, "connect")
    assert (names.asked, sockets.dialled, sockets.looked_up) == (["crm.example.com"], [PUBLIC[0]], [])


async def test_a_name_that_turns_while_its_answer_is_remembered_is_refused_when_it_is_asked_for_again(
    sockets: Sockets,
) -> None:
    names, clock = Turning(crm=(PUBLIC[0],)), Clock()
    resolver = GuardResolver((), names, clock)
    for step_s in (0.0, POSITIVE_TTL_S - 0.001):
        clock.now_s += step_s
        assert addresses(await resolver.resolve("crm.example.com", 443)) == [PUBLIC[0]]
    clock.now_s += 0.001
    with pytest.raises(OSError, match="not public \\(loopback\\)"):
        await resolver.resolve("crm.example.com", 443)
    assert (len(names.asked), sockets.made) == (2, 0)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("address", FORBIDDEN)
async def test_of_a_mixed_answer_the_forbidden_address_is_never_dialled_with_any_layer_off(
    address: str, place: int, layer: str, monkeypatch: pytest.MonkeyPatch, sockets: Sockets
) -> None:
    """The resolver refuses it whole. Without the resolver the socket still refuses the part that is forbidden."""
    switch_off(monkeypatch, layer)
    answer = await post(NAMED, Names(crm=(*PUBLIC[:place], address, *PUBLIC[place:])))
    assert answer.status is None
    assert set(sockets.dialled) <= set(PUBLIC)
    if layer != "resolver":
        assert (answer.error, sockets.made, sockets.dialled) == ("blocked", 0, [])


@pytest.mark.parametrize(
    ("url", "layers"), [("https://127.0.0.1/", ("grammar", "socket")), (NAMED, ("resolver", "socket"))]
)
async def test_the_record_would_show_a_forbidden_connection(
    url: str, layers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, sockets: Sockets
) -> None:
    """With all layers off that stand in its way it is tried: so the tests above can fail."""
    switch_off(monkeypatch, *layers)
    answer = await post(url, Names(crm=("127.0.0.1",)))
    assert (answer.error, sockets.dialled) == ("connect", ["127.0.0.1"])


def test_the_grammar_that_is_switched_off_is_the_one_that_is_used() -> None:
    assert isinstance(egress.target("https://127.0.0.1/", ()), egress.Verdict)
    assert lenient("https://127.0.0.1/", ()) == Target("https", "127.0.0.1", 443, "/")
