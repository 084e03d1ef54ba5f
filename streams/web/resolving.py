"""Where the names in URLs lead at this moment: asked once when a hook is written, by the rules of every attempt.

An early answer and no wall: a name may lead elsewhere a second later, so `guard` judges it anew at every use.
"""

import asyncio
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver
from msgspec import Struct

from streams.core import egress
from streams.core.egress import Networks, Target, Verdict
from streams.web.guard import Blocked, GuardResolver, ThreadResolver

AT_ONCE = 64
"""Names looked up at once; the guard itself takes four times as many."""

ALL_S = 30.0
"""Longest wait for all names together: ten times that for one, and enough for thousands that answer."""


class Lead(Struct, frozen=True):
    """Where a URL leads: `refusal` says why nowhere it may, `doubt` why nobody can tell now; or neither."""

    refusal: str = ""
    doubt: str = ""


async def leads(urls: Iterable[str], allowed: Networks, inner: AbstractResolver | None = None) -> list[Lead]:
    """Where each of these URLs leads, in their order; `inner` is asked instead of the system's resolver.

    Asks for nothing over URLs that hold an address, or that the grammar refuses, which is told elsewhere.
    """
    guard, gate = GuardResolver(allowed, inner or ThreadResolver()), asyncio.Semaphore(AT_ONCE)
    end_s = asyncio.get_running_loop().time() + ALL_S
    targets = [egress.target(url, allowed) for url in urls]
    try:
        return await asyncio.gather(*(_lead(target, guard, gate, end_s) for target in targets))
    finally:
        await guard.close()


async def _lead(target: Target | Verdict, guard: GuardResolver, gate: asyncio.Semaphore, end_s: float) -> Lead:
    if isinstance(target, Verdict) or target.is_literal:
        return Lead()
    try:
        async with asyncio.timeout_at(end_s), gate:
            await guard.resolve(target.host, target.port)
    except TimeoutError:
        return Lead(doubt=f"not all names were looked up within {ALL_S:g} s")
    except Blocked as blocked:
        return Lead(refusal=f"config.url ({blocked.verdict.reason}): {blocked.verdict.sentence}")
    except OSError as error:
        return Lead(doubt=f"{target.host} cannot be resolved now: {error.strerror}")
    return Lead()
