"""Connections to the machines of Redis: to the one that is master, or that Sentinels name."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import ssl
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from dkronpy.store.addresses import split_machine, until_usable
from dkronpy.store.contract import OutcomeUnknown, StoreError, Unavailable
from dkronpy.store.redis_data import COMMIT, PAGE, STATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkronpy.store.redis_data import Command

log = logging.getLogger(__name__)

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
OLDEST: Final = (6, 2)

_UNBOUNDED: Final[Mapping[str, Any]] = {"socket_timeout": None, "socket_connect_timeout": None}
_REPLIES: Final = (ResponseError, AuthenticationError, BusyLoadingError)
"""Errors that Redis answers; its connection lives on. Other errors of redis-py are those of the connection."""
_IN_SCRIPT: Final = re.compile(r"@user_script: ?\d+: -([A-Z]+) ")
"""The error's code in what Redis 6.2 says of a script."""
_AGAIN: Final = frozenset(
    {"ASK", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED", "NOAUTH", "NOSCRIPT", "READONLY", "TRYAGAIN"}
)


class Failure(Enum):
    """What an error that Redis answered means."""

    AGAIN = "again"
    """Nothing was done; over a new connection it may be."""
    REFUSED = "refused"
    """Nothing was done, and asking again would not help."""
    FULL = "full"
    """There is no room; nothing was done."""


class Refused(Exception):
    """Redis answered a call with an error. Scripts meet theirs before they write anything."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        within = _IN_SCRIPT.search(words)
        code = within[1] if within else words.partition(" ")[0]
        if code == "OOM" or (code == "MISCONF" and "No space left" in words):
            self.failure = Failure.FULL
        else:
            self.failure = Failure.AGAIN if code in _AGAIN else Failure.REFUSED


@dataclass(frozen=True, slots=True)
class Machine:
    """A server of Redis, or a Sentinel that knows which server is `master`."""

    host: str
    port: int
    tls: bool = False
    master: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Wire:
    """A connection to one machine. Calls are sent at once, and answered in their order."""

    def __init__(self, machine: Machine, connection: Connection) -> None:
        """`connection` is connected to `machine`, and used by nobody else."""
        self.machine = machine
        self.broken: str | None = None
        """Why it takes no calls any more."""
        self._connection = connection
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._reading = asyncio.create_task(self._read())

    @property
    def closed(self) -> bool:
        return self._reading.done()

    async def call(self, *command: str | bytes | int, seconds: float) -> Any:
        """Redis' answer. Raises Refused, Unavailable (it was not sent), or OutcomeUnknown: it was, but not answered
        within `seconds`, after which the connection is given up."""
        packed = self._connection.pack_command(*command)
        if self.broken is not None:
            raise Unavailable(f"no connection to redis at {self.machine}: {self.broken}")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        try:
            async with asyncio.timeout(seconds):
                await self._connection.send_packed_command(packed, check_health=False)
                return await answer
        except (TimeoutError, RedisError, OSError) as error:
            why = f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else str(error)
            answer.cancel()
            self.give_up(why)
            raise OutcomeUnknown(_lost(self.machine, why)) from error
        finally:
            answer.cancel()

    def retire(self, why: str) -> None:
        """Take no more calls; those under way may still be answered."""
        self.broken = self.broken or why
        if not self._waiting:
            self._reading.cancel()

    def give_up(self, why: str) -> None:
        """Close it; calls under way get no answer."""
        self._fail(why)
        self._reading.cancel()

    async def close(self) -> None:
        """Return when it is closed."""
        self.give_up("the store is closed")
        await asyncio.gather(self._reading, return_exceptions=True)

    def _fail(self, why: str) -> None:
        self.broken = self.broken or why
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(OutcomeUnknown(_lost(self.machine, why)))
        self._waiting.clear()

    async def _read(self) -> None:
        try:
            while self.broken is None or self._waiting:
                reply = await self._reply()
                answer = self._waiting.popleft()
                if answer.done():  # nobody waits any more
                    continue
                if isinstance(reply, Refused):
                    answer.set_exception(reply)
                else:
                    answer.set_result(reply)
        except (RedisError, OSError, EOFError, IndexError) as error:
            self._fail(str(error))
        finally:
            await self._connection.disconnect(nowait=True)

    async def _reply(self) -> Any:
        try:
            return cast("Any", await self._connection.read_response(disconnect_on_error=False))
        except _REPLIES as error:
            return Refused(told(error))


class Machines:
    """Gives out connections. `seconds` is what connecting to the only machine may take; one of several has half."""

    def __init__(
        self, machines: Sequence[Machine], *, tls: ssl.SSLContext | None, user: str, password: str, seconds: float
    ) -> None:
        self._machines = machines
        self._tls = tls
        self._login: Mapping[str, Any] = {"username": user or None, "password": password or None}
        self._seconds = seconds
        self._until_usable = until_usable(seconds, len(machines))
        self._turn = 0
        self._current: Wire | None = None
        self._connecting: asyncio.Task[Wire | Unavailable] | None = None
        self._wires: set[Wire] = set()
        """All that were not seen to be closed."""
        self._closed = False

    async def wire(self) -> Wire:
        """The connection that all calls share. Raises Unavailable, after every machine was tried."""
        if self._current is not None and self._current.broken is None:
            return self._current
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._renew())
        found = await asyncio.shield(self._connecting)
        if isinstance(found, Unavailable):
            raise Unavailable(str(found))  # each is raised in its own task
        return found

    async def beside(self) -> Wire:
        """A connection of the caller's own, to the same machine; it ends when another is used. Raises Unavailable."""
        shared = await self.wire()
        try:
            async with asyncio.timeout(self._until_usable):
                return await self._reach(shared.machine)
        except (TimeoutError, RedisError, OSError, StoreError, Refused) as error:
            why = f"it takes no other connection: {told(error) or 'no answer'}"
            self.leave(shared, why)
            raise Unavailable(f"redis at {shared.machine}: {why}") from error

    def leave(self, wire: Wire, why: str) -> None:
        """Use the next machine from now on. Calls under way may still be answered."""
        if wire is not self._current:
            return
        log.warning("the connection to redis at %s is given up: %s", wire.machine, why)
        wire.retire(why)
        self._current = None
        self._turn += 1

    async def close(self) -> None:
        """Close everything, at once."""
        self._closed = True
        if self._connecting is not None:
            await self._connecting
        for wire in tuple(self._wires):
            await wire.close()

    async def _renew(self) -> Wire | Unavailable:
        """Connect to the first machine that can be used, from the one whose turn it is."""
        try:
            self._current = current = await self._connect()
        except Unavailable as error:
            return error
        finally:
            self._connecting = None
        log.info("connected to redis at %s", current.machine)
        for wire in self._wires:
            if wire.broken is None and wire.machine != current.machine:
                wire.give_up(f"{current.machine} is used now")
        return current

    async def _connect(self) -> Wire:
        reasons: list[str] = []
        for turn in range(self._turn, self._turn + len(self._machines)):
            if self._closed:
                raise Unavailable("the store is closed")
            machine = self._machines[turn % len(self._machines)]
            try:
                async with asyncio.timeout(self._until_usable):
                    wire = await self._reach(machine)
            except TimeoutError:
                reasons.append(f"{machine}: no answer within {self._until_usable:g} s")
            except (RedisError, OSError, StoreError, Refused) as error:
                reasons.append(f"{machine}: {told(error)}")
            else:
                self._turn = turn
                return wire
        raise Unavailable(f"redis can't be reached: {'; '.join(reasons)}")

    async def _reach(self, machine: Machine) -> Wire:
        """Raises RedisError, OSError, Unavailable, Refused."""
        if machine.master:
            machine = await self._named(machine)
        wire = await self._open(machine, self._login)
        try:
            why = unusable(await information(wire, self._seconds))
            if why is not None:
                raise Unavailable(why)
            for script in (COMMIT, PAGE):
                await wire.call("SCRIPT LOAD", script, seconds=self._seconds)
            await wire.call("HGET", STATE, "revision", seconds=self._seconds)
        except BaseException as error:
            await wire.close()
            if isinstance(error, OutcomeUnknown):
                raise Unavailable(str(error)) from error
            raise
        return wire

    async def _named(self, sentinel: Machine) -> Machine:
        """The master that a Sentinel names. It is asked without a password."""
        wire = await self._open(sentinel, {})
        try:
            found = await wire.call("SENTINEL GET-MASTER-ADDR-BY-NAME", sentinel.master, seconds=self._seconds)
        finally:
            await wire.close()
        if found is None:
            raise Unavailable(f"Sentinel knows no master named {sentinel.master}")
        return Machine(found[0].decode(), int(found[1]), sentinel.tls)

    async def _open(self, machine: Machine, login: Mapping[str, Any]) -> Wire:
        kind = SSLConnection if machine.tls or self._tls is not None else Connection
        # Waits are bounded here; and nothing may be sent twice without asking, so that redis-py never retries.
        connection = kind(host=machine.host, port=machine.port, protocol=2, **_UNBOUNDED, **login)
        if isinstance(connection, SSLConnection):
            connection.ssl_context.context = self._tls
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        wire = Wire(machine, connection)
        self._wires = {wire for wire in self._wires if not wire.closed} | {wire}
        return wire


def script_call(script: str, arguments: Command) -> Command:
    """The command that runs a script which is loaded."""
    return ["EVALSHA", hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest(), *arguments]


async def information(wire: Wire, seconds: float) -> dict[str, str]:
    """What the server tells of itself."""
    return parsed((await wire.call("INFO", seconds=seconds)).decode(errors="replace"))


def parsed(info: str) -> dict[str, str]:
    """The answer to INFO by name."""
    return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


def unusable(info: dict[str, str]) -> str | None:
    """Why a server of Redis can't be used, None if it can."""
    version = info.get("redis_version", "0.0")
    if tuple(int(number) for number in version.split(".")[:2]) < OLDEST:
        return f"its version is {version}, at least {'.'.join(map(str, OLDEST))} is needed"
    if info.get("loading", "0") != "0":
        return "it is still loading its data"
    if info.get("role") != "master":
        return f"it is a {info.get('role')}, not the master"
    policy = info.get("maxmemory_policy", "")
    if policy.startswith("allkeys"):
        return f"its maxmemory-policy is {policy}, which deletes keys when memory is short: set it to noeviction"
    return None


def machine_at(text: str) -> Machine:
    """`host:port`, `redis://host:port`, `rediss://host:port` for TLS, or `sentinel://host:port/master`. Raises
    ValueError."""
    scheme, separator, rest = text.rpartition("://")
    address, _, master = rest.partition("/")
    sentinel = scheme == "sentinel"
    if (separator and scheme not in ("redis", "rediss", "sentinel")) or not address or (master and not sentinel):
        raise ValueError(
            f"not a machine of redis: {text!r}; give it as host:port, rediss://host:port for TLS, or "
            "sentinel://host:port/master"
        )
    if sentinel and not master:
        raise ValueError(f"not a machine of redis: {text!r}; add the master's name: {text.rstrip('/')}/mymaster")
    found, _ = split_machine(address, "redis", SENTINEL_PORT if sentinel else PORT)
    host, _, port = found.rpartition(":")
    return Machine(host.strip("[]"), int(port), scheme == "rediss", master)


def told(error: Exception) -> str:
    """The error in Redis' words: redis-py takes the code off them."""
    code = getattr(error, "status_code", None)
    return f"{code} {error}" if code else str(error)


def _lost(machine: Machine, why: str) -> str:
    return f"the connection to redis at {machine} was lost: {why}"
