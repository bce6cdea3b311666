"""A reverse proxy that serves a node under a path of its own, as people put one before several services."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager

from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, web

from tests.support.processes import HOST, free_port

_HOP: frozenset[str] = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


@contextmanager
def prefix_proxy(port: int, prefix: str) -> Generator[str]:
    """Serves what is on `port` under `prefix`, such as `/cron`; its address, with the prefix."""
    here = free_port()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_serve(here, port, prefix), loop).result(10)
    try:
        yield f"http://{HOST}:{here}{prefix}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(here: int, port: int, prefix: str) -> web.AppRunner:
    session = ClientSession(auto_decompress=False, timeout=ClientTimeout(total=None))

    async def forward(request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix(prefix)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url, body = f"http://{HOST}:{port}{path}", await request.read()
        try:
            answer = await session.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        except ClientConnectionError:
            return web.Response(status=502)
        async with answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    app = web.Application()
    app.router.add_route("*", prefix + "/{path:.*}", forward)

    async def close(_: web.Application) -> None:
        await session.close()

    app.on_cleanup.append(close)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, HOST, here).start()
    return runner
