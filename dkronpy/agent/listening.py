"""HTTP ports: an application on an address, and what is logged of clients that speak no proper HTTP."""

from __future__ import annotations

import logging
import ssl
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from dkronpy.agent.resources import StartError

log = logging.getLogger(__name__)

_CLIENTS_FAULT: Final = (HttpProcessingError, web.RequestPayloadError)


class _Malformed(logging.Filter):
    """aiohttp logs each malformed request as an error, with its traceback; here it is a line."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, _CLIENTS_FAULT):
            return True
        log.info("a malformed request was refused: %s", " ".join(str(error).split())[:200])
        return False


_server_log: Final = logging.getLogger("dkronpy.http")
_server_log.addFilter(_Malformed())


async def listen(
    stack: AsyncExitStack, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None
) -> None:
    """Serve the application until the stack ends, over TLS where that is given. Raises StartError if nothing can listen
    there."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0, logger=_server_log)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port, backlog=1024, ssl_context=tls).start()
    except OSError as error:
        raise StartError(f"can't listen on {host}:{port}: {error.strerror or error}") from error
