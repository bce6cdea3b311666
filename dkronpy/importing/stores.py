"""The keys of a Dkron 1.x in the store that it used, read in place: as libkv (its library for stores) lays them out.

Each reader gives keys and values; it only reads. The packages that some need are those of this server's own stores.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from dkronpy.client.errors import NotFound, Refused
from dkronpy.client.transport import Transport
from dkronpy.importing.dump import Dump, DumpError, from_pairs

TIMEOUT: Final = 30.0
"""Seconds that a store may take to answer."""
_CONNECT: Final = 10.0
"""Seconds within which it must be reached."""
_AT_ONCE: Final = 500
_WHO: Final = "--username and DKRON_BACKEND_PASSWORD say who asks"
Pairs = Iterable[tuple[str, bytes]]


class Access(NamedTuple):
    """Where a store is, and who asks. `machines` are mostly HOST:PORT."""

    machines: tuple[str, ...]
    user: str
    password: str
    keyspace: str


def read_store(name: str, access: Access) -> Dump:
    """What a Dkron keeps in a store of this kind, one of `KINDS`. Raises DumpError and ClientError."""
    kind = KINDS[name]
    if len(access.machines) > 1 and not kind.several:
        raise DumpError(f"{name}: name one machine, that which the Dkron used")
    failures = [getattr(_package(name, module), error) for module, error in kind.errors]
    try:
        return from_pairs(kind.read(access), access.keyspace)
    except DumpError:
        raise
    except (*failures, msgspec.MsgspecError, ValueError) as error:
        place = f"{access.keyspace!r} in {name} at {', '.join(access.machines)}"
        who = f" ({_WHO})" if isinstance(error, tuple(failures)) else ""
        raise DumpError(f"{place} can't be read: {error}{who}") from error


def _package(kind: str, module: str) -> Any:
    """A module of the packages that a kind of store needs."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DumpError(f"{kind} needs a package that is missing ({error}): pip install 'dkronpy[{kind}]'") from error


def _etcd(access: Access) -> Pairs:
    """etcd 3: values as they are."""
    make = _package("etcd", "dkronpy.store.etcd").EtcdStore

    async def read() -> list[tuple[str, bytes]]:
        store = make(access.machines, user=access.user, password=access.password, timeout=TIMEOUT)
        await store.open()
        try:
            found: list[tuple[str, bytes]] = []
            after, more = "", True
            while more:
                page = await store.list(f"{access.keyspace}/", after=after, limit=_AT_ONCE)
                found += [(entry.key, entry.value) for entry in page.entries]
                after, more = page.entries[-1].key if page.entries else after, page.more
            return found
        finally:
            await store.close()

    return asyncio.run(read())


def _etcd2(access: Access) -> Pairs:
    """The keys that etcd 2 had, and that etcd 3 serves with --enable-v2: values as they are, directories in between."""
    if access.password and not access.user:
        raise DumpError("etcd2: DKRON_BACKEND_PASSWORD is a user's password: add --username")
    basic = base64.b64encode(f"{access.user}:{access.password}".encode()).decode()
    who = {"Authorization": f"Basic {basic}"} if access.user else {}
    answer = _asked(access, f"/v2/keys/{quote(access.keyspace)}", {"recursive": "true", "quorum": "true"}, who)
    waiting = [answer["node"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("nodes") or ()
        if "value" in node:
            yield node["key"], node["value"].encode()


def _consul(access: Access) -> Pairs:
    """Consul: values as they are, in base64 by its API; a password is its token."""
    if access.user:
        raise DumpError("consul: it knows tokens, no users: DKRON_BACKEND_PASSWORD holds the token, no --username")
    who = {"X-Consul-Token": access.password} if access.password else {}
    for entry in _asked(access, f"/v1/kv/{quote(access.keyspace)}/", {"recurse": "true", "consistent": "true"}, who):
        yield entry["Key"], base64.b64decode(entry["Value"] or "")


def _asked(access: Access, path: str, query: Mapping[str, str], who: Mapping[str, str]) -> Any:
    """What the HTTP API of the first machine answers; `who` are the headers that say who asks."""
    machine = access.machines[0]
    transport = Transport(machine if "://" in machine else f"http://{machine}", "", TIMEOUT)
    try:
        return transport.request("GET", path, query=query, headers=who)[0]
    except NotFound as error:
        raise DumpError(f"there is nothing under {access.keyspace!r}; --keyspace names another place") from error
    except Refused as error:
        if error.status not in (401, 403):
            raise
        raise DumpError(f"{machine} does not let {access.keyspace!r} be read: {error} ({_WHO})") from error
    finally:
        transport.close()


class _Pair(msgspec.Struct):
    """A value as libkv writes it to Redis."""

    Key: str
    Value: bytes | None = None


def _redis(access: Access) -> Pairs:
    """Redis: JSON with the key, and the value in base64."""
    host, _, port = access.machines[0].rpartition(":")
    client = _package("redis", "redis").Redis(
        host or port,
        int(port) if host else 6379,
        username=access.user or None,
        password=access.password or None,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=_CONNECT,
    )
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", access.keyspace) + "/*"
    try:
        keys = sorted(set(client.scan_iter(match=pattern, count=_AT_ONCE)))
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            for key, value in zip(part, client.mget(part), strict=True):
                if value is not None:  # deleted meanwhile
                    yield key.decode(), msgspec.json.decode(value, type=_Pair).Value or b""
    finally:
        client.close()


def _zookeeper(access: Access) -> Pairs:
    """ZooKeeper: a node for each part of a key, values as they are."""
    missing = _package("zookeeper", "kazoo.exceptions").NoNodeError
    client = _package("zookeeper", "kazoo.client").KazooClient(
        ",".join(access.machines),
        timeout=TIMEOUT,
        read_only=True,
        auth_data=[("digest", f"{access.user}:{access.password}")] if access.user else None,
    )
    try:
        client.start(timeout=_CONNECT)
        waiting = [f"/{access.keyspace}"]
        while waiting:
            path = waiting.pop()
            try:
                value, _ = client.get(path)
                waiting += [f"{path}/{child}" for child in client.get_children(path)]
            except missing:  # deleted meanwhile
                continue
            yield path, value
    finally:
        client.stop()
        client.close()


def _dynamodb(access: Access) -> Pairs:
    """DynamoDB: a table with the keyspace's name, values in base64. A machine is its URL, or a region."""
    place = access.machines[0]
    is_url = ":" in place
    client = (
        _package("dynamodb", "botocore.session")
        .get_session()
        .create_client(
            "dynamodb",
            endpoint_url=(place if "://" in place else f"http://{place}") if is_url else None,
            region_name=place if not is_url else "us-east-1",
            aws_access_key_id=access.user or None,
            aws_secret_access_key=access.password or None,
            config=_package("dynamodb", "botocore.config").Config(
                connect_timeout=_CONNECT, read_timeout=TIMEOUT, retries={"total_max_attempts": 3}
            ),
        )
    )
    try:
        for page in client.get_paginator("scan").paginate(TableName=access.keyspace, ConsistentRead=True):
            for item in page["Items"]:
                if "id" not in item:
                    raise DumpError(f"the table {access.keyspace!r} is no Dkron's; --keyspace names another one")
                yield item["id"]["S"], base64.b64decode(item.get("encoded_value", {}).get("S", ""))
    finally:
        client.close()


class _Kind(NamedTuple):
    """How a kind of store is read, the errors that its library raises (module and name), and whether several machines
    of it are one store."""

    read: Callable[[Access], Pairs]
    errors: tuple[tuple[str, str], ...] = ()
    several: bool = False


KINDS: Final = {
    "etcd": _Kind(_etcd, (("dkronpy.store.contract", "StoreError"),), several=True),
    "etcd2": _Kind(_etcd2),
    "consul": _Kind(_consul),
    "zookeeper": _Kind(
        _zookeeper,
        (("kazoo.exceptions", "KazooException"), ("kazoo.handlers.threading", "KazooTimeoutError")),
        several=True,
    ),
    "redis": _Kind(_redis, (("redis.exceptions", "RedisError"),)),
    "dynamodb": _Kind(_dynamodb, (("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError"))),
}
