"""A table of DynamoDB, and the requests that the store makes of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

from dkronpy.store.contract import Compacted, Entry, StoreError, Unavailable
from dkronpy.store.dynamodb_access import Failed, Failure
from dkronpy.store.dynamodb_batch import FORMAT, HEAD, RING, head_item, item_key, logged, number, revision_of, slot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence
    from pathlib import Path

    from dkronpy.store.contract import Event
    from dkronpy.store.dynamodb_access import Place
    from dkronpy.store.dynamodb_batch import Attempt, Item

CREATION: Final = 60.0
"""Seconds that DynamoDB may take to make a table."""

_DELAYS: Final = (0.02, 0.1, 0.4, 0.0)
"""Seconds after each try of a read."""
_ITEMS: Final = 250
"""Read by one request: decoding more would hold up the event loop."""
_SLOTS: Final = 64
"""The same for transactions of the log."""
_UNSEEN: Final = 0.01
"""Seconds after which to look again for what a transaction is just writing."""
_CONNECTIONS: Final = 32


@cache
def _session() -> AioSession:
    """Of this process; what it knows of AWS's services is slow to read."""
    return AioSession()


class Table:
    """A connection to a table. `seconds` is how long a request may take, and a read with its further tries."""

    def __init__(
        self,
        place: Place,
        *,
        user: str,
        password: str,
        ca_file: Path | None,
        certificate: tuple[Path, Path] | None,
        seconds: float,
    ) -> None:
        self.place = place
        self._seconds = seconds
        self._login = (user or None, password or None)
        self._ca_file = ca_file
        self._certificate = certificate
        self._client: Any = None
        self._resources = AsyncExitStack()
        self._calls: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect; make what is missing. Raises Unavailable."""
        for file in (self._ca_file, *(self._certificate or ())):
            if file is not None and not file.is_file():
                raise Unavailable(f"can't read a file for TLS with DynamoDB: {file} is no file")
        config = AioConfig(
            client_cert=None if self._certificate is None else (str(self._certificate[0]), str(self._certificate[1])),
            connect_timeout=self._seconds,
            max_pool_connections=_CONNECTIONS,
            parameter_validation=False,
            read_timeout=self._seconds,
            retries={"total_max_attempts": 1},  # a transaction that was perhaps carried out is looked up first
        )
        user, password = self._login
        try:
            client = _session().create_client(
                "dynamodb",
                region_name=self.place.region or _session().get_config_variable("region") or "us-east-1",
                endpoint_url=self.place.endpoint,
                aws_access_key_id=user,
                aws_secret_access_key=password,
                verify=None if self._ca_file is None else str(self._ca_file),
                config=config,
            )
            self._client = await self._resources.enter_async_context(client)
            await self._prepare()
        except (Failed, BotoCoreError, OSError, ValueError) as error:
            await self.close()
            raise Unavailable(f"DynamoDB can't be used at {self.place}: {error}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Wait for the requests under way, then close the connections."""
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._resources.aclose()

    async def newest(self, *, at_least: int = 0) -> int:
        """The newest revision, once it is that of something that was read. Raises Unavailable."""
        while True:
            answer = await self._read("get_item", Key=HEAD, ConsistentRead=True)
            if "Item" not in answer:
                raise Unavailable(f"the table {self.place} has lost its head: restart all servers")
            if (newest := revision_of(answer["Item"])) >= at_least:
                return newest
            await asyncio.sleep(_UNSEEN)

    async def get(self, key: str) -> Entry | None:
        """The key's newest value. Raises Unavailable."""
        answer = await self._read("get_item", Key=item_key(key), ConsistentRead=True)
        return _entry(answer["Item"]) if "Item" in answer else None

    async def entries(self, first: bytes, last: bytes, limit: int) -> list[Entry]:
        """Up to `limit` entries in order, each as it is at some moment of the call. Raises Unavailable."""
        items = await self._query("keys", first, last, limit)
        return [_entry(item) for item in items]

    async def changes(self, first: int, last: int) -> AsyncGenerator[tuple[Sequence[tuple[Event, ...]], int], None]:
        """The commits of the transactions from `first` to `last`, both included, in order and in portions, each with
        the last transaction that it is of. Raises Unavailable, and Compacted when the log holds them no more."""
        patience = time.monotonic() + self._seconds
        while first <= last:
            if last - first >= RING:
                raise Compacted(f"transactions before {last - RING + 1} are no longer kept")
            commits, read = await self._log(first, last)
            if read >= first:
                yield commits, read
                first, patience = read + 1, time.monotonic() + self._seconds
            elif time.monotonic() < patience:  # what a transaction writes is not seen all at once
                await asyncio.sleep(_UNSEEN)
            else:
                raise Unavailable(f"the table {self.place} has lost transaction {first}: restart all servers")

    async def _log(self, first: int, last: int) -> tuple[list[tuple[Event, ...]], int]:
        """The first of these transactions' commits, as many as are read at once, and the last that was found."""
        last = min(last, first + _SLOTS - 1, first // RING * RING + RING - 1)  # the ring's end is the query's
        keys = [slot(transaction)["k"]["B"] for transaction in (first, last)]
        found = {item["k"]["B"]: item for item in await self._query("log", keys[0], keys[1], last - first + 1)}
        commits: list[tuple[Event, ...]] = []
        for transaction in range(first, last + 1):
            item = found.get(slot(transaction)["k"]["B"])
            holds = number(revision_of(item))
            if holds > transaction:
                raise Compacted(f"transaction {transaction} is no longer kept")
            if item is None or holds < transaction:
                return commits, transaction - 1
            commits += logged(item)
        return commits, last

    async def transact(self, attempt: Attempt) -> None:
        """Try to carry out a transaction. Raises Failed."""
        await self._call(
            "transact_write_items",
            TransactItems=attempt.items(self.place.table),
            ClientRequestToken=attempt.token,
        )

    async def wrote(self, attempt: Attempt) -> bool | None:
        """Whether a transaction was carried out, given that the head is beyond what it expected; None: it can't be
        told (yet). Raises Unavailable."""
        answer = await self._read("get_item", Key=slot(attempt.number), ConsistentRead=True)
        item = answer.get("Item")
        if item is None or number(revision_of(item)) != attempt.number:
            return None
        return item["i"]["S"] == attempt.token

    async def _query(self, partition: str, first: bytes, last: bytes, limit: int) -> list[Item]:
        found: list[Item] = []
        following: Item = {}
        while len(found) < limit:
            answer = await self._read(
                "query",
                KeyConditionExpression="p = :p AND k BETWEEN :a AND :z",
                ExpressionAttributeValues={":p": {"S": partition}, ":a": {"B": first}, ":z": {"B": last}},
                ConsistentRead=True,
                Limit=min(limit - len(found), _ITEMS),
                **following,
            )
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            following = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return found

    async def _read(self, method: str, **arguments: Any) -> Any:
        """Raises Unavailable, after several tries where that may help."""
        why = f"no answer within {self._seconds:g} s"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                for delay in _DELAYS:
                    try:
                        return await self._call(method, TableName=self.place.table, **arguments)
                    except Failed as failed:
                        why = str(failed)
                        if failed.failure is Failure.REFUSED:
                            break
                        await asyncio.sleep(delay)
        raise Unavailable(f"DynamoDB does not answer a read of {self.place}: {why}")

    async def _call(self, method: str, **arguments: Any) -> Any:
        """One request. Raises Failed."""
        if self._client is None:
            raise Unavailable("the store is closed")
        call = asyncio.ensure_future(getattr(self._client, method)(**arguments))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            return await call
        except (BotoCoreError, ClientError) as error:
            raise Failed(error) from error

    async def _prepare(self) -> None:
        """Make the table and its head where they are missing; check that they are ours. Raises Failed, StoreError."""
        deadline = time.monotonic() + CREATION
        created = False
        while True:
            try:
                answer = await self._call("get_item", TableName=self.place.table, Key=HEAD, ConsistentRead=True)
            except Failed as failed:
                if failed.code == "ValidationException":
                    raise StoreError(
                        f"the table {self.place} has other keys than dkronpy's: name another one, which will be made"
                    ) from failed
                if failed.code != "ResourceNotFoundException" or time.monotonic() > deadline:
                    raise
                if created:
                    await asyncio.sleep(0.2)
                else:
                    await self._create()
                    created = True
            else:
                if "Item" in answer:
                    break
                await self._begin()
        if (found := int(answer["Item"]["f"]["N"])) != FORMAT:
            raise StoreError(f"the table {self.place} was made by another version of dkronpy: its format is {found}")

    async def _create(self) -> None:
        with _ignoring("ResourceInUseException"):  # another server makes it just now
            await self._call(
                "create_table",
                TableName=self.place.table,
                KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "k", "KeyType": "RANGE"}],
                AttributeDefinitions=[
                    {"AttributeName": "p", "AttributeType": "S"},
                    {"AttributeName": "k", "AttributeType": "B"},
                ],
                BillingMode="PAY_PER_REQUEST",
            )

    async def _begin(self) -> None:
        """Write the head, in a transaction: a service that has none is of no use."""
        put = {"TableName": self.place.table, "Item": head_item(0), "ConditionExpression": "attribute_not_exists(r)"}
        with _ignoring("TransactionCanceledException"):  # another server was quicker
            await self._call("transact_write_items", TransactItems=[{"Put": put}])


@contextmanager
def _ignoring(code: str) -> Generator[None]:
    try:
        yield
    except Failed as failed:
        if failed.code != code:
            raise


def _entry(item: Item) -> Entry:
    return Entry(item["k"]["B"][1:].decode(), item["v"]["B"], revision_of(item))
