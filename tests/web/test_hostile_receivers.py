"""Every receiver of `tests.web.hostile`, met by the transport: how the attempt ends, and what it costs."""

import asyncio
import gc
import ssl
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.core.records import Answer
from streams.settings import Settings
from streams.web.transport import Transport, tls_context
from tests.web.hostile import HOSTILE, WELL, receivers

DEADLINE_S = 0.15
PATIENCE_S = 20
GROWTH_BYTES_MAX = 1_000_000
PATH = "?token=secret-token"
SETTINGS = Settings(allow_networks=("127.0.0.0/8",), connect_timeout_s=PATIENCE_S)
DIALLED: list[object] = []


def _note_dials(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        DIALLED.append(arguments[1])


@pytest.fixture(scope="module", autouse=True)
def _noted() -> None:
    """Every address that this process connects to from now on, by the interpreter's own word; it cannot be undone."""
    sys.addaudithook(_note_dials)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def urls(directory: Path) -> Iterator[dict[str, str]]:
    with receivers(directory) as found:
        yield found


@pytest.fixture(scope="module")
def trusting(urls: dict[str, str], directory: Path) -> ssl.SSLContext:
    """What the transport uses, and the authority of the test: so that only what is wrong is refused."""
    assert urls
    context = tls_context()
    context.load_verify_locations(directory / "authority.pem")
    return context


def deadline_s(name: str) -> float:
    """Short where the deadline is what ends it; where not, long enough for a machine that has much to do."""
    return DEADLINE_S if HOSTILE[name].error == "timeout" else PATIENCE_S


def check(name: str, answer: Answer) -> None:
    """The attempt ended as the table has it, and its sentence tells nothing that is nobody's business."""
    expected = HOSTILE[name]
    assert (answer.status, answer.error) == (expected.status, expected.error), answer.detail
    assert expected.words in answer.detail
    assert "secret" not in answer.detail
    assert bool(answer.detail) == (answer.status is None)
    assert len(answer.body) <= SETTINGS.response_bytes_max


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_receiver_ends_in_its_own_class_and_costs_less_than_a_megabyte(
    name: str, urls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    """While it goes on, another hook is served by the same transport; what came too much spoils no second answer."""
    async with Transport(SETTINGS, tls=trusting) as transport, asyncio.timeout(PATIENCE_S):
        await transport.post(urls[WELL], {}, b"{}", PATIENCE_S)  # so that nothing is made for the first time below
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            hostile = asyncio.create_task(transport.post(urls[name] + PATH, {}, b"{}", deadline_s(name)))
            well = await transport.post(urls[WELL], {}, b"{}", PATIENCE_S)
            answer = await hostile
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert well.status == 200
        check(name, answer)
        if answer.status:
            check(name, await transport.post(urls[name] + PATH, {}, b"{}", PATIENCE_S))
    assert peak - before < GROWTH_BYTES_MAX


async def test_all_hostile_receivers_at_once_hold_up_no_other_hook(
    urls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    """The well one is asked again and again, one after the other, until the last of the others has ended."""
    async with Transport(SETTINGS, tls=trusting) as transport, asyncio.timeout(PATIENCE_S):
        others = {
            name: asyncio.create_task(transport.post(urls[name] + PATH, {}, b"{}", deadline_s(name)))
            for name in HOSTILE
            for _ in range(3)
        }
        served = 0
        while not all(task.done() for task in others.values()):
            assert (await transport.post(urls[WELL], {}, b"{}", PATIENCE_S)).status == 200
            served += 1
        for name, task in others.items():
            check(name, await task)
    assert served > 1


async def test_no_redirect_leads_anywhere(urls: dict[str, str], trusting: ssl.SSLContext) -> None:
    leading = [name for name in HOSTILE if "metadata" in name]
    async with Transport(SETTINGS, tls=trusting) as transport:
        DIALLED.clear()
        for name in leading:
            check(name, await transport.post(urls[name], {}, b"{}", PATIENCE_S))
    assert len(leading) == 6
    assert [str(address) for address in DIALLED] == [
        str(("127.0.0.1", int(urls[name].rstrip("/").rsplit(":", 1)[1]))) for name in leading
    ]


async def test_a_receiver_with_a_certificate_of_a_trusted_authority_is_met(
    urls: dict[str, str], trusting: ssl.SSLContext
) -> None:
    """So what is refused above is refused for what is wrong with it."""
    async with Transport(SETTINGS, tls=trusting) as transport:
        assert (await transport.post(urls["TLS and an endless body"], {}, b"{}", PATIENCE_S)).status == 200
