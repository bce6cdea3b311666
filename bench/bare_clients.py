"""What a shared store's bare client does for one guard and one put: the measure for `bench.stores_bench`."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias

import aiohttp

from dkronpy.store.contract import Guard, Put

Write: TypeAlias = Callable[[str, int, bytes], Awaitable[int]]
"""Puts a value under a key that has a revision; returns the new revision."""


@asynccontextmanager
async def consul(address: str) -> AsyncGenerator[Write]:
    """Transactions of Consul's HTTP API, by aiohttp."""
    async with aiohttp.ClientSession() as session:

        async def write(key: str, revision: int, value: bytes) -> int:
            check = {"Verb": "check-index", "Index": revision} if revision else {"Verb": "check-not-exists"}
            put = {"Verb": "set", "Key": key, "Value": base64.b64encode(value).decode(), "Flags": revision}
            operations = [{"KV": {"Key": key, **check}}, {"KV": put}]
            async with session.put(f"http://{address}/v1/txn", json=operations) as answer:
                assert answer.status == 200
                return (await answer.json())["Results"][-1]["KV"]["ModifyIndex"]

        yield write


@asynccontextmanager
async def etcd(address: str) -> AsyncGenerator[Write]:
    """Transactions of aetcd's stub."""
    from aetcd import rpc

    channel = rpc.insecure_channel(address)
    kv = rpc.KVStub(channel)

    async def write(key: str, revision: int, value: bytes) -> int:
        name = key.encode()
        compare = rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=name, mod_revision=revision)
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=value))
        get = rpc.RequestOp(request_range=rpc.RangeRequest(key=name, keys_only=True))
        answer = await kv.Txn(rpc.TxnRequest(compare=[compare], success=[put], failure=[get]), timeout=5, metadata=())
        assert answer.succeeded
        return answer.header.revision

    try:
        yield write
    finally:
        await channel.close()


@asynccontextmanager
async def redis(address: str) -> AsyncGenerator[Write]:
    """redis-py's client with its pool of connections, and the store's own script."""
    from redis.asyncio import Redis

    from dkronpy.store.redis_data import COMMIT, commit_arguments

    client = Redis.from_url(f"redis://{address}")
    script = await client.script_load(COMMIT)

    async def write(key: str, revision: int, value: bytes) -> int:
        arguments = commit_arguments([Guard(key, revision)], [Put(key, value)])
        answer = await client.execute_command("EVALSHA", script, *arguments)
        assert isinstance(answer, int)
        assert answer > 0
        return answer

    try:
        yield write
    finally:
        await client.aclose()


BARE: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Write]]]] = {
    "consul": consul,
    "etcd": etcd,
    "redis": redis,
}
"""By backend: given a server's address, its bare client."""
