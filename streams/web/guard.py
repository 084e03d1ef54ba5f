"""The egress verdict, applied where a connection is made: to every answer of DNS, and again to every socket.

aiohttp dials exactly the addresses that its resolver returns, so checking them there leaves no gap between check and
use. It never asks the resolver about literal addresses; the socket check catches those, and our own mistakes.
The rules themselves are `core.egress`; this file knows when to ask.
"""

import asyncio
import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from aiohttp import AddrInfoType, SocketFactoryType
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct

from streams.core.egress import Networks, Verdict, peer_verdict

BUDGET_S = 3.0
"""Longest wait for a name; well inside the 5 s that connecting may take in all."""

POSITIVE_TTL_S = 30.0
"""How long an answer is used: short enough to follow a failover, long enough to spare the name server."""

NEGATIVE_TTL_S = 10.0
"""How long a failure is remembered, so that a dead name does not occupy a thread for every attempt."""

NAMES_MAX = 1024
"""Names remembered, the oldest forgotten first; about 300 bytes each."""

FLIGHTS_MAX = 256
"""Lookups under way at once, a thread each; beyond, a name is refused at once instead of waiting in a growing line."""

SILENT_FLIGHTS_MAX = 128
"""Lookups under way beyond which a name that had no answer in time before is not asked for again: names that never
answer, which anybody can make, leave the other half to those that do."""

ADDRESSES_MAX = 64
"""Most addresses of a name; large hosts have about ten. Each is judged at every use, and dialled until one answers."""


class Blocked(OSError):
    """The guard refuses an address. An OSError with number and text, so that aiohttp carries it on unharmed."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(errno.EPERM, verdict.sentence)
        self.verdict = verdict


class Known(Struct, frozen=True):
    """What DNS said of a name and until when (seconds of the guard's clock) that holds; no address means it failed.

    `silent` when it failed by saying nothing in time.
    """

    until_s: float
    addresses: tuple[str, ...] = ()
    failure: str = ""
    silent: bool = False


class ThreadResolver(AbstractResolver):
    """The operating system's resolver, each lookup in a thread of its own.

    `getaddrinfo` cannot be cancelled, and takes half a minute over a name server that says nothing. In a pool of
    threads a few such names would hold up all the others, and the end of the process.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of a name; raises OSError when there are none."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        try:
            Thread(target=_look_up, args=(host, family, loop, answer), name="hookline-dns", daemon=True).start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "this machine has no thread left to look the name up") from None
        return [_result(host, address, port) for address in await answer]

    async def close(self) -> None:
        """Nothing to close: lookups under way end in their threads, and nobody waits for them."""


class GuardResolver(AbstractResolver):
    """Resolves a name once for all who ask, remembers the answer a little, and refuses it whole or returns it whole."""

    def __init__(self, allowed: Networks, inner: AbstractResolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._inner = inner
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._flights: dict[str, asyncio.Task[Known]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name, if a connection to that port may go to every one of them.

        Raises Blocked when any of them is forbidden, another OSError when there are none within the budget.
        """
        del family  # aiohttp wants both; the answer is judged as a whole whatever part of it is dialled
        known = self._known.get(host)
        if known is None or known.until_s <= self._clock():
            known = await self._asked(host)
        if not known.addresses:
            raise socket.gaierror(socket.EAI_NONAME, known.failure)
        for address in known.addresses:
            verdict = peer_verdict(address, port, self._allowed)
            if not verdict.ok:
                raise Blocked(_of_a_name(verdict))
        return [_result(host, address, port) for address in known.addresses]

    async def close(self) -> None:
        """Give up the lookups under way and close the inner resolver."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._inner.close()

    async def _asked(self, host: str) -> Known:
        """Join the lookup of this name, or begin it. It outlives whoever waits: its answer serves the next one."""
        flight = self._flights.get(host)
        if flight is None:
            before = self._known.get(host)
            if len(self._flights) >= (SILENT_FLIGHTS_MAX if before and before.silent else FLIGHTS_MAX):
                return Known(0.0, failure="too many names are being looked up")
            flight = asyncio.create_task(self._fly(host))
            self._flights[host] = flight
        try:
            async with asyncio.timeout(BUDGET_S):
                return await asyncio.shield(flight)
        except TimeoutError:
            return self._learnt(host, failure=f"the name server gave no answer within {BUDGET_S:g} s", silent=True)

    async def _fly(self, host: str) -> Known:
        try:
            found = await self._inner.resolve(host, 0, socket.AF_UNSPEC)
        except (OSError, UnicodeError) as error:  # getaddrinfo encodes names by a codec of its own
            return self._learnt(host, failure=getattr(error, "strerror", None) or "the name cannot be resolved")
        finally:
            self._flights.pop(host, None)
        addresses = tuple(dict.fromkeys(result["host"] for result in found))
        if len(addresses) > ADDRESSES_MAX:
            return self._learnt(host, failure=f"the name has {len(addresses)} addresses, more than {ADDRESSES_MAX}")
        return self._learnt(host, addresses, "" if addresses else "the name has no address")

    def _learnt(self, host: str, addresses: tuple[str, ...] = (), failure: str = "", silent: bool = False) -> Known:
        ttl_s = POSITIVE_TTL_S if addresses else NEGATIVE_TTL_S
        known = Known(self._clock() + ttl_s, addresses, failure, silent)
        self._known.pop(host, None)
        self._known[host] = known
        if len(self._known) > NAMES_MAX:
            self._known.pop(next(iter(self._known)))
        return known


def guarded_sockets(
    allowed: Networks, make: Callable[[int, int, int], socket.socket] = socket.socket
) -> SocketFactoryType:
    """A socket factory for aiohttp that asks for a verdict on the very address that is about to be dialled.

    Raises Blocked before `make` is called: a refused address gets no socket, so no packet.
    """

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        verdict = peer_verdict(address[0], address[1], allowed)
        if not verdict.ok:
            raise Blocked(verdict)
        return make(family, kind, protocol)

    return open_socket


def _look_up(host: str, family: int, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[str]]) -> None:
    """Ask the system, in a thread; whoever waited may be gone by then, and the loop too."""
    found: list[str] | OSError | UnicodeError
    try:
        infos = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = [str(address[0]) for *_, address in infos]
    except (OSError, UnicodeError) as error:
        found = error
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, answer, found)


def _settle(answer: asyncio.Future[list[str]], found: list[str] | OSError | UnicodeError) -> None:
    if answer.done():
        return
    if isinstance(found, list):
        answer.set_result(found)
    else:
        answer.set_exception(found)


def _of_a_name(verdict: Verdict) -> Verdict:
    """The verdict without the address: outcomes tell it to whoever owns the hook, and names of this network's own
    inside, asked for one after the other, would draw a map of it."""
    if verdict.reason == "port":
        return verdict
    words = f"the host's name has an address that is not public ({verdict.reason})"
    return Verdict(verdict.reason, f"{words}; HOOKLINE_ALLOW_NETWORKS can open its network")


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
