"""Executor `http`: a request to a server, judged by what it answers."""

from __future__ import annotations

import logging
import re
import signal
import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from dkronpy.model.duration import format_duration
from dkronpy.model.execution import State
from dkronpy.model.executors import HttpConfig

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

_SEARCHED: Final = 4 << 20  # bytes of a body that are kept for the pattern
_PATIENCE: Final = 0.5  # seconds a pattern may take


class HttpClient:
    """Sends requests over one pool of connections, which is made for the first."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def run(self, config: HttpConfig, write: Callable[[bytes], None]) -> tuple[State, str]:
        """Send the request; `write` gets the body of the answer. Returns how the run ended, and why where it failed.

        A pattern is looked for in the first 4 MiB of the body.
        """
        import aiohttp  # most runners never need it, and it doubles their memory

        body = bytearray()
        try:
            async with self._open().request(
                config.method,
                config.url,
                headers=config.headers,
                data=config.body.encode() or None,
                timeout=aiohttp.ClientTimeout(total=config.timeout / 1e9 or None),
                ssl=_tls(config),
            ) as response:
                if config.debug:
                    headers = dict(response.headers)
                    log.info("%s %s answered %d: %s", config.method, config.url, response.status, headers)
                async for chunk in response.content.iter_any():
                    write(chunk)
                    if config.pattern is not None and len(body) < _SEARCHED:
                        body += chunk
        except TimeoutError:
            return State.TIMED_OUT, f"no complete answer within {format_duration(config.timeout)}"
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            return State.FAILED, f"{config.method} {config.url}: {str(error) or type(error).__name__}"
        return _judge(config, response.status, body)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _judge(config: HttpConfig, status: int, body: bytearray) -> tuple[State, str]:
    if not (status in config.codes if config.codes else 200 <= status <= 299):
        wanted = ", ".join(map(str, config.codes)) or "2xx"
        return State.FAILED, f"the server answered {status}, expected {wanted}"
    if config.pattern is not None:
        found = _search(config.pattern, body.decode(errors="replace"))
        if found is None:
            return State.FAILED, f"expectBody took longer than {_PATIENCE} s to match: write a simpler pattern"
        if not found:
            return State.FAILED, f"the body does not match {config.pattern.pattern!r}"
    return State.SUCCESS, ""


def _search(pattern: re.Pattern[str], text: str) -> bool | None:
    """Whether it is found; None if that takes too long: some patterns take for ever, and all else waits meanwhile."""

    def give_up(_signum: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)  # the matcher looks for signals now and then
    try:
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
        found = pattern.search(text) is not None
        signal.setitimer(signal.ITIMER_REAL, 0)
        return found
    except TimeoutError:
        return None
    finally:
        signal.signal(signal.SIGALRM, before)


def _tls(config: HttpConfig) -> ssl.SSLContext | bool:
    """How the server's certificate is checked, and which one we show. Raises: OSError, ssl.SSLError."""
    paths = (config.certificate, config.key, config.authorities)
    if config.verify and not any(paths):
        return True
    changed = tuple(Path(path).stat().st_mtime_ns if path else 0 for path in paths)
    return _tls_context(config.verify, *paths, changed)


@lru_cache(maxsize=64)
def _tls_context(
    verify: bool, certificate: str, key: str, authorities: str, _changed: tuple[int, ...]
) -> ssl.SSLContext:
    """One context for all runs with these files, for connections are pooled by it."""
    context = ssl.create_default_context(cafile=authorities or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key or None)
    return context
