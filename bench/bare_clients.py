"""What a shared store's bare client does for one guard and one put: the measure for `bench.stores_bench`."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

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
async def dynamodb(address: str) -> AsyncGenerator[Write]:
    """aiobotocore's client, and items as the store has them, but without its head and its log."""
    from aiobotocore.session import AioSession

    from dkronpy.store.dynamodb_batch import item_key
    from tests.support.dynamodb import PASSWORD, TABLE, USER

    made = AioSession().create_client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=f"http://{address}",
        aws_access_key_id=USER,
        aws_secret_access_key=PASSWORD,
    )
    revisions = itertools.count(1)
    async with made as client:

        async def write(key: str, revision: int, value: bytes) -> int:
            written = next(revisions)
            put = {
                "TableName": TABLE,
                "Item": {**item_key(key), "v": {"B": value}, "r": {"N": str(written)}},
                "ConditionExpression": "r = :r" if revision else "attribute_not_exists(r)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **({"ExpressionAttributeValues": {":r": {"N": str(revision)}}} if revision else {}),
            }
            await client.transact_write_items(TransactItems=[{"Put": put}])
            return written

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


@asynccontextmanager
async def zookeeper(address: str) -> AsyncGenerator[Write]:
    """Transactions of kazoo's client, its threads bridged to futures; a guard on an absent key is its creation."""
    from kazoo.client import KazooClient

    loop = asyncio.get_running_loop()
    client: Any = KazooClient(address)
    client.start()
    client.ensure_path("/bare")

    async def write(key: str, revision: int, value: bytes) -> int:
        answer: asyncio.Future[Any] = loop.create_future()
        path = f"/bare/{key.replace('/', '-')}"
        transaction = client.transaction()
        if revision:
            transaction.check(path, revision - 1)
            transaction.set_data(path, value)
        else:
            transaction.create(path, value)
        result = transaction.commit_async()
        result.rawlink(lambda done: loop.call_soon_threadsafe(answer.set_result, done.value))
        assert not any(isinstance(each, Exception) for each in await answer)
        return revision + 1

    try:
        yield write
    finally:
        client.stop()
        client.close()


BARE: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Write]]]] = {
    "consul": consul,
    "dynamodb": dynamodb,
    "etcd": etcd,
    "redis": redis,
    "zookeeper": zookeeper,
}
"""By backend: given a server's address, its bare client."""
