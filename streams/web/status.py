"""`/live`, `/ready` and `/metrics` of a role, on loopback (CONTRACT 8)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

HOST = "127.0.0.1"


@asynccontextmanager
async def serve(port: int, registry: CollectorRegistry, ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer for the life of the block; port 0 answers nothing. Raises OSError when the port is taken."""
    if port == 0:
        yield
        return
    runner = web.AppRunner(_app(registry, ready), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield
    finally:
        await runner.cleanup()


def _app(registry: CollectorRegistry, ready: Callable[[], bool]) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def readiness(_: web.Request) -> web.Response:
        return web.Response(text="ready\n") if ready() else web.Response(text="not ready\n", status=503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/live", live), web.get("/ready", readiness), web.get("/metrics", metrics)])
    return app
