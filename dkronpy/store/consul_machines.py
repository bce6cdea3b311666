"""Calls to the machines of a Consul cluster: one at a time is used, and left for the next one when it fails."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec
from aiohttp.payload import BytesPayload

from dkronpy.store.addresses import until_usable
from dkronpy.store.contract import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence, Set
    from types import SimpleNamespace

log = logging.getLogger(__name__)

PORT: Final = 8500
MAX_CONNECTIONS: Final = 20
"""Calls under way at once. Consul closes connections beyond 100 from one address (`http_max_conns_per_client`), where
several servers may be."""
_PROBES: Final = 5
_READING: Final = 5
"""By how much longer an answer may take that has begun: it may hold very many keys."""

_REFUSED: Final = frozenset({400, 403, 404, 405, 413})
_NOTHING_DONE: Final = ("No cluster leader", "node is not the leader", "No known Consul servers")
"""In the text of an internal error; of others it isn't known how far the call came."""
_FULL: Final = "no space left on device"
OLDEST: Final = (1, 0)
"""The first version of Consul that will do."""


class Failure(Enum):
    """What a failed call means."""

    AGAIN = "again"
    """Nothing was done; on another machine it may be."""
    REFUSED = "refused"
    """Nothing was done, and asking again would not help."""
    FULL = "full"
    """There is no room on the leader's disk: nothing was done."""
    UNKNOWN = "unknown"
    """Whether it was done is unknown."""


class CallFailed(Exception):
    """A call was not answered with what was asked for. `why` in words."""

    def __init__(self, failure: Failure, why: str) -> None:
        super().__init__(why)
        self.failure = failure
        self.why = why


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is 200 or another that the caller has asked for."""

    status: int
    body: bytes


class _Once(BytesPayload):
    """A body that must not be sent again: aiohttp would, over a new connection, if the kept one that it chose breaks,
    whatever was already done with it."""

    @property
    def consumed(self) -> bool:
        return True


class _Config(msgspec.Struct, rename="pascal"):
    version: str = ""


class _Self(msgspec.Struct, rename="pascal"):
    """What an agent tells of itself; much more than this."""

    config: _Config


class _NewConnection(Exception):
    """A connection would have to be made."""


class Machines:
    """The way to Consul by whichever of `addresses` (`host:port`) answers. A try takes at most `seconds`."""

    def __init__(self, addresses: Sequence[str], *, tls: ssl.SSLContext | None, token: str, seconds: float) -> None:
        self._urls = [f"{'https' if tls else 'http'}://{address}/v1/" for address in addresses]
        self._addresses = addresses
        self._turn = 0
        self._answers = True
        """Whether the machine whose turn it is has answered, or none was tried yet."""
        self._seconds = seconds
        self._until_usable = until_usable(seconds, len(addresses))
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_start.append(_connecting)
        self._session = aiohttp.ClientSession(
            trace_configs=[tracing],
            connector=aiohttp.TCPConnector(limit=0, ssl=tls or True),
            headers={"Accept-Encoding": "identity", **({"X-Consul-Token": token} if token else {})},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close everything, at once."""
        await self._session.close()

    async def write(self, path: str, body: bytes, *, fine: Set[int] = frozenset({200})) -> Answer:
        """PUT, once. Raises CallFailed, or Unavailable when no machine was reached."""
        return await self._call("PUT", path, body, fine, again=False)

    async def read(self, path: str, body: bytes, *, fine: Set[int] = frozenset({200})) -> Answer:
        """PUT of what changes nothing. Raises CallFailed, or Unavailable when no machine answers."""
        return await self._call("PUT", path, body, fine, again=True)

    async def check_version(self) -> None:
        """Raises Unavailable when Consul is too old, or no machine answers. One that does not tell its version, as to
        tokens without `agent:read`, is taken as it is."""
        try:
            answer = await self._call("GET", "agent/self", None, {200}, again=True)
            version = msgspec.json.decode(answer.body, type=_Self).config.version
        except (CallFailed, msgspec.DecodeError) as error:
            log.debug("Consul at %s does not tell its version: %s", self._address, error)
            return
        numbers = version.partition("-")[0].partition("+")[0].split(".")
        if all(map(str.isdecimal, numbers)) and tuple(map(int, numbers)) < OLDEST:
            needed = ".".join(map(str, OLDEST))
            raise Unavailable(f"Consul at {self._address} is version {version}: {needed} or later is needed")

    async def wait(self, path: str, seconds: float) -> Answer:
        """GET what may be answered after `seconds` only; 404 is an answer. Raises CallFailed."""
        return await self._try("GET", path, None, {200, 404}, seconds + self._seconds)

    @property
    def _address(self) -> str:
        return self._addresses[self._turn % len(self._addresses)]

    async def _call(self, method: str, path: str, body: bytes | None, fine: Set[int], *, again: bool) -> Answer:
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable(f"Consul at {self._address} is behind by more than {self._seconds:g} s") from None
        try:
            reasons: list[str] = []
            for _ in self._addresses:
                address = self._address
                try:
                    if again or body is None:
                        return await self._try(method, path, body, fine, self._seconds)
                    return await self._try_once(path, body, fine)
                except CallFailed as error:
                    if error.failure is not Failure.AGAIN and not (again and error.failure is Failure.UNKNOWN):
                        raise
                    reasons.append(f"{address}: {error.why}")
            raise Unavailable(f"Consul can't be reached: {'; '.join(reasons)}")
        finally:
            self._free.release()

    async def _try_once(self, path: str, body: bytes, fine: Set[int]) -> Answer:
        """PUT over a connection that has answered before: a machine, or a proxy before it, may accept connections and
        then refuse them. Raises CallFailed."""
        for _ in range(_PROBES):
            try:
                return await self._try("PUT", path, _Once(body), fine, self._seconds)
            except _NewConnection:
                await self._probe()
        return await self._try("PUT", path, _Once(body), fine, self._seconds, over_any=True)  # it keeps no connections

    async def _probe(self) -> None:
        """Raises CallFailed when the machine whose turn it is can't be used; nothing was done then."""
        turn = self._turn
        try:
            answer = await self._try("GET", "status/leader", None, {200}, self._until_usable)
        except CallFailed as error:
            raise CallFailed(Failure.AGAIN, error.why) from error
        if answer.body.strip() == b'""':
            failed = CallFailed(Failure.AGAIN, "No cluster leader")
            self._leave(turn, failed)
            raise failed

    async def _try(
        self,
        method: str,
        path: str,
        body: bytes | _Once | None,
        fine: Set[int],
        seconds: float,
        *,
        over_any: bool = False,
    ) -> Answer:
        """By the machine whose turn it is, which another one gets if it fails."""
        turn = self._turn
        url = self._urls[turn % len(self._urls)] + path
        limit = aiohttp.ClientTimeout(
            total=seconds if body is None or isinstance(body, _Once) else seconds * _READING,
            sock_connect=self._until_usable,
            sock_read=seconds,
        )
        kept_only = isinstance(body, _Once) and not over_any
        try:
            async with self._session.request(
                method, url, data=body, timeout=limit, allow_redirects=False, trace_request_ctx=kept_only
            ) as response:
                answer = Answer(response.status, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            failed = CallFailed(Failure.AGAIN, str(error) or "it does not let anyone connect")
        except TimeoutError:
            failed = CallFailed(Failure.UNKNOWN, f"it does not answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError) as error:
            failed = CallFailed(Failure.UNKNOWN, str(error) or "it dropped the connection")
        else:
            if answer.status in fine:
                if turn == self._turn and not self._answers:
                    log.info("Consul at %s answers", self._address)
                    self._answers = True
                return answer
            failed = _meant(answer)
        if failed.failure is not Failure.REFUSED:
            self._leave(turn, failed)
        raise failed

    def _leave(self, turn: int, failed: CallFailed) -> None:
        """Use the next machine from now on, unless that is done already."""
        if turn == self._turn:
            level = logging.WARNING if self._answers else logging.DEBUG  # not at each try while none answers
            log.log(level, "Consul at %s is given up: %s", self._address, failed.why)
            self._turn += 1
            self._answers = False


async def _connecting(
    _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceConnectionCreateStartParams
) -> None:
    """Called by aiohttp before it makes a connection."""
    if context.trace_request_ctx:
        raise _NewConnection


def _meant(answer: Answer) -> CallFailed:
    """What an answer means that is none of those asked for. Consul tells more in words than in codes."""
    text = answer.body.decode(errors="replace").strip()[:300] or f"status {answer.status}"
    if answer.status in _REFUSED:
        if answer.status in (404, 405):
            text = f"status {answer.status}: is it Consul 1.0 or later?"
        return CallFailed(Failure.REFUSED, text)
    if _FULL in text:
        return CallFailed(Failure.FULL, text)
    done_nothing = answer.status == 429 or any(words in text for words in _NOTHING_DONE)
    return CallFailed(Failure.AGAIN if done_nothing else Failure.UNKNOWN, text)


def kv_path(key: str) -> str:
    """The path of a key that has no odd characters."""
    return f"kv/{key}"
