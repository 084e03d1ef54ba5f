"""`/live`, `/ready` and `/metrics` of a role."""

import aiohttp
import pytest

from streams.kafka.broker_ready import free_port
from streams.telemetry import Metrics
from streams.web import status


@pytest.mark.parametrize(("ready", "code"), [(True, 200), (False, 503)])
async def test_it_tells_whether_the_role_is_ready(ready: bool, code: int) -> None:
    port = free_port()
    async with status.serve(port, Metrics().registry, lambda: ready), aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
            assert answer.status == code
        async with session.get(f"http://127.0.0.1:{port}/live") as answer:
            assert answer.status == 200


async def test_it_shows_the_metrics_of_the_process() -> None:
    port, metrics = free_port(), Metrics()
    metrics.dead_letters.labels("not-json").inc()
    async with (
        status.serve(port, metrics.registry, lambda: True),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert 'hookline_dead_letters_total{reason="not-json"} 1.0' in await answer.text()


async def test_port_0_listens_nowhere() -> None:
    async with status.serve(0, Metrics().registry, lambda: True):
        pass
