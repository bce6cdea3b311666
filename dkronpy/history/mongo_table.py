"""A history's collections in MongoDB: what `Table` asks, as calls.

There are no transactions, for a server that stands alone has none. What is written lies so that the same write, begun
again, ends well: no record takes the place of one that it may not replace, and days note which writes they counted.
"""

from __future__ import annotations

import uuid
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from dkronpy.history.contract import DayCount
from dkronpy.history.rules import IDLE, bounds, ended
from dkronpy.history.table import Counted, Extent, Key, Piece, Table
from dkronpy.model.execution import Execution, State
from dkronpy.model.figures import JobFigures

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from pymongo.asynchronous.database import AsyncDatabase

    from dkronpy.history.contract import Query
    from dkronpy.history.cursor import Position
    from dkronpy.history.work import Work

    Database = AsyncDatabase[dict[str, Any]]
    Document = dict[str, Any]

_ORDER: Final = [("grp", -1), ("attempt", -1), ("node", 1), ("job", 1)]
_KEPT_WRITES: Final = 50
"""Of so many writes a day knows that it has counted them."""
_DUPLICATE: Final = 11000

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Execution).decode
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(JobFigures).decode


class MongoTable(Table):
    """Yields functions that take the database and are awaited, and is sent what they return."""

    # ---- executions

    def records(self, keys: Collection[Key]) -> Work[dict[Key, Execution]]:
        documents = yield from _find("execution", {"_id": {"$in": [_id(key) for key in keys]}}, ["record"])
        found = [_decode(document["record"]) for document in documents]
        return {execution.key: execution for execution in found}

    def put(self, executions: Sequence[Execution], days: Sequence[Counted] = ()) -> Work[None]:
        if not executions:
            return
        write = uuid.uuid4().hex
        counted: dict[Key, list[list[Any]]] = {}
        for key, *day in days:
            counted.setdefault(key, []).append(day)
        operations: list[ReplaceOne[Document]] = []
        for execution in executions:
            document = _document(execution)
            if execution.key in counted:
                document["uncounted"] = {"write": write, "days": counted[execution.key]}
            held = {"_id": document["_id"], "weight": {"$lte": document["weight"]}}
            operations.append(ReplaceOne(held, document, upsert=True))

        async def put(database: Database) -> set[Key]:
            """The keys of those that may not replace what is there: for them the upsert finds no place."""
            try:
                await database["execution"].bulk_write(operations, ordered=False)
            except BulkWriteError as error:
                if any(one["code"] != _DUPLICATE for one in error.details["writeErrors"]):
                    raise
                return {executions[int(one["index"])].key for one in error.details["writeErrors"]}
            return set()

        refused: set[Key] = yield put
        written = {key: added for key, added in counted.items() if key not in refused}
        if written:
            yield from _count(write, written.values())
            ids = [_id(key) for key in written]
            mine = {"_id": {"$in": ids}, "uncounted.write": write}
            yield _call("execution", "update_many", mine, {"$unset": {"uncounted": 1}})

    def count_days(self) -> Work[None]:
        """Count in their days what writes that broke off have recorded."""
        documents = yield from _find("execution", {"uncounted.write": {"$exists": True}}, ["uncounted"])
        writes: dict[str, list[list[list[Any]]]] = {}
        for document in documents:
            writes.setdefault(document["uncounted"]["write"], []).append(document["uncounted"]["days"])
        for write, added in writes.items():
            yield from _count(write, added)
            yield _call("execution", "update_many", {"uncounted.write": write}, {"$unset": {"uncounted": 1}})

    def remove(self, keys: Sequence[Key]) -> Work[None]:
        ids = [_id(key) for key in keys]
        yield _call("output", "delete_many", {"run": {"$in": ids}})
        yield _call("execution", "delete_many", {"_id": {"$in": ids}})

    def page(self, query: Query, after: Position | None, limit: int) -> Work[list[Execution]]:
        found: list[Execution] = []
        for conditions in _places(query, after):
            if len(found) < limit:
                documents = yield from _find("execution", conditions, ["record"], _ORDER, limit - len(found))
                found += [_decode(document["record"]) for document in documents]
        return found

    def count(self, query: Query) -> Work[int]:
        for conditions in _places(query, None):
            return (yield _call("execution", "count_documents", conditions))
        return 0

    def neighbours(self, job: str, group: int) -> Work[list[Execution]]:
        found: list[Execution] = []
        upwards = [(name, -direction) for name, direction in _ORDER[:3]]
        for condition, order in (({"$lt": group}, _ORDER[:3]), (group, None), ({"$gt": group}, upwards)):
            documents = yield from _find("execution", {"job": job, "grp": condition}, ["record"], order, 1)
            found += [_decode(document["record"]) for document in documents]
        return found

    def before_alike(self, job: str, state: State, group: int) -> Work[Execution | None]:
        conditions = {"job": job, "state": state.value, "grp": {"$lt": group}}
        documents = yield from _find("execution", conditions, ["record"], [("grp", -1)], 1)
        return _decode(documents[0]["record"]) if documents else None

    # ---- output

    def last_pieces(self, keys: Collection[Key]) -> Work[dict[Key, Extent]]:
        held = yield from self._extents(keys)
        return {key: extents[-1] for key, extents in held.items()}

    def _extents(self, keys: Collection[Key]) -> Work[dict[Key, list[Extent]]]:
        """Of each output that there is the pieces, in order."""
        ids = {_id(key): key for key in keys}
        documents = yield from _find("output", {"run": {"$in": list(ids)}}, ["run", "start", "stop"], [("start", 1)])
        held: dict[Key, list[Extent]] = {}
        for document in documents:
            extent = Extent(document["start"], document["stop"] - document["start"])
            held.setdefault(ids[document["run"]], []).append(extent)
        return held

    def extents(self, key: Key, begin: int, end: int) -> Work[list[Extent]]:
        documents = yield from _find("output", _within(key, begin, end), ["start", "stop"], [("start", 1)])
        return [Extent(document["start"], document["stop"] - document["start"]) for document in documents]

    def pieces(self, key: Key, begin: int, end: int) -> Work[list[Piece]]:
        documents = yield from _find("output", _within(key, begin, end), ["start", "data"], [("start", 1)])
        return [(document["start"], document["data"]) for document in documents]

    def piece_after(self, key: Key, place: int) -> Work[int]:
        conditions = {"run": _id(key), "start": {"$gt": place}}
        documents = yield from _find("output", conditions, ["start"], [("start", 1)], 1)
        return documents[0]["start"]

    def append(self, key: Key, start: int, data: bytes) -> Work[None]:
        (held,) = yield from _find("output", {"_id": _piece_id(key, start)}, ["data", "stop"])
        grown = {"data": held["data"] + data, "stop": held["stop"] + len(data)}
        unchanged = {"_id": held["_id"], "stop": held["stop"]}
        yield _call("output", "update_one", unchanged, {"$set": grown})

    def insert_pieces(self, pieces: Sequence[tuple[Key, int, bytes]]) -> Work[None]:
        operations = [
            UpdateOne(
                {"_id": _piece_id(key, start)},
                {"$setOnInsert": {"run": _id(key), "start": start, "stop": start + len(data), "data": data}},
                upsert=True,
            )
            for key, start, data in pieces
        ]
        yield _call("output", "bulk_write", operations, ordered=False)

    def trim(self, key: Key, kept_from: int) -> Work[None]:
        yield _call("output", "delete_many", {"run": _id(key), "stop": {"$lte": kept_from}})

    def tails(self, keys: Collection[Key], tail: int | None) -> Work[dict[Key, tuple[int, list[Piece]]]]:
        held = yield from self._extents(keys)
        sizes = {key: sum(extents[-1]) for key, extents in held.items()}
        ids = {
            _piece_id(key, extent.start): key
            for key, extents in held.items()
            for extent in extents
            if tail is None or sum(extent) > sizes[key] - tail
        }
        documents = yield from _find("output", {"_id": {"$in": list(ids)}}, ["start", "data"], [("start", 1)])
        found: dict[Key, tuple[int, list[Piece]]] = {key: (size, []) for key, size in sizes.items()}
        for document in documents:
            found[ids[document["_id"]]][1].append((document["start"], document["data"]))
        return found

    # ---- counters and marks

    def days(self, first: str, last: str) -> Work[list[DayCount]]:
        documents = yield from _find("day", {"_id": {"$gte": first, "$lte": last}}, ["success", "failed"])
        return [DayCount(document["_id"], document["success"], document["failed"]) for document in documents]

    def folded(self, jobs: Collection[str]) -> Work[dict[str, int]]:
        documents = yield from _find("job", {"_id": {"$in": list(jobs)}}, ["folded"])
        return {document["_id"]: document["folded"] for document in documents}

    def fold(self, job: str, group: int) -> Work[None]:
        yield _call("job", "replace_one", {"_id": job}, {"_id": job, "folded": group}, upsert=True)

    def forget(self, jobs: Iterable[str]) -> Work[None]:
        for job in jobs:
            if not (yield from _find("execution", {"job": job}, ["job"], None, 1)):
                yield _call("job", "delete_one", {"_id": job})

    # ---- figures of jobs

    def figures_of(self, jobs: Collection[str]) -> Work[list[JobFigures]]:
        documents = yield from _find("figures", {"_id": {"$in": list(jobs)}}, ["record"])
        return [_unpack(document["record"]) for document in documents]

    def figures_after(self, after: str, limit: int) -> Work[list[JobFigures]]:
        documents = yield from _find("figures", {"_id": {"$gt": after}}, ["record"], [("_id", 1)], limit)
        return [_unpack(document["record"]) for document in documents]

    def put_figures(self, figures: Sequence[JobFigures]) -> Work[None]:
        operations: list[ReplaceOne[Document]] = [
            ReplaceOne({"_id": of.job}, {"_id": of.job, "record": _pack(of)}, upsert=True) for of in figures
        ]
        yield _call("figures", "bulk_write", operations, ordered=False)

    def remove_figures(self, job: str) -> Work[None]:
        yield _call("figures", "delete_one", {"_id": job})

    # ---- retention

    def next_job(self, after: str) -> Work[str | None]:
        documents = yield from _find("execution", {"job": {"$gt": after}}, ["job"], [("job", 1)], 1)
        return documents[0]["job"] if documents else None

    def nth_group(self, job: str, states: Collection[State], number: int) -> Work[int | None]:
        conditions = {"job": job, "state": {"$in": _values(states)}}

        async def walk(database: Database) -> int | None:
            seen, last = 0, None
            cursor = database["execution"].find(conditions, ["grp"]).sort([("grp", -1)])
            async for document in cursor:
                if document["grp"] != last:
                    last = document["grp"]
                    seen += 1
                    if seen > number:
                        await cursor.close()
                        return last
            return None

        return (yield walk)

    def oldest(self, job: str, states: Collection[State] | None, until: int, limit: int) -> Work[list[Key]]:
        conditions: Document = {"job": job, "grp": {"$lte": until}}
        if states is not None:
            conditions["state"] = {"$in": _values(states)}
        return (yield from _keys(conditions, "grp", limit))

    def aged(self, job: str, states: Collection[State], before: int, limit: int) -> Work[list[Key]]:
        conditions = {"job": job, "state": {"$in": _values(states)}, "ended": {"$lt": before}}
        return (yield from _keys(conditions, "ended", limit))

    def first_end(self, job: str, states: Collection[State]) -> Work[int | None]:
        conditions = {"job": job, "state": {"$in": _values(states)}, "ended": {"$ne": None}}
        documents = yield from _find("execution", conditions, ["ended"], [("ended", 1)], 1)
        return documents[0]["ended"] if documents else None

    def over_size(self, job: str, size: int, limit: int) -> Work[int | None]:
        async def walk(database: Database) -> int | None:
            total, newest = 0, None
            cursor = database["execution"].find({"job": job, "size": {"$gt": 0}}, ["grp", "size"]).sort([("grp", -1)])
            async for document in cursor:
                total += min(document["size"], limit)
                newest = document["grp"] if newest is None else newest
                if total > size and document["grp"] != newest:
                    await cursor.close()
                    return document["grp"]
            return None

        return (yield walk)

    def idle_groups(self, job: str, above: int) -> Work[list[int]]:
        conditions = {"job": job, "state": {"$in": _values(IDLE)}, "grp": {"$gt": above}}
        documents = yield from _find("execution", conditions, ["grp"])
        return sorted({document["grp"] for document in documents})


def _call(collection: str, method: str, *arguments: Any, **options: Any) -> Any:
    """A question: this method of a collection."""

    def call(database: Database) -> Any:
        return getattr(database[collection], method)(*arguments, **options)

    return call


def _find(
    collection: str,
    conditions: Mapping[str, Any],
    fields: Sequence[str],
    order: Sequence[tuple[str, int]] | None = None,
    limit: int = 0,
) -> Work[list[Document]]:
    def find(database: Database) -> Any:
        cursor = database[collection].find(conditions, list(fields)).limit(limit)
        return (cursor.sort(list(order)) if order else cursor).to_list()

    return (yield find)


def _keys(conditions: Document, order: str, limit: int) -> Work[list[Key]]:
    fields = ["job", "grp", "attempt", "node"]
    documents = yield from _find("execution", conditions, fields, [(order, 1)], limit)
    return [(document["job"], document["grp"], document["attempt"], document["node"]) for document in documents]


def _count(write: str, added: Iterable[list[list[Any]]]) -> Work[None]:
    """Add what a write changes to its days, (date, successes, failures) of each, unless it was added already."""
    success: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for days in added:
        for date, succeeded, did_not in days:
            success[date] += succeeded
            failed[date] += did_not

    async def add(database: Database) -> None:
        for date in success:
            change = {
                "$inc": {"success": success[date], "failed": failed[date]},
                "$push": {"writes": {"$each": [write], "$slice": -_KEPT_WRITES}},
            }
            with suppress(DuplicateKeyError):  # the day is there, and knows the write
                await database["day"].update_one({"_id": date, "writes": {"$ne": write}}, change, upsert=True)

    yield add


def _document(execution: Execution) -> Document:
    return {
        "_id": _id(execution.key),
        "job": execution.job,
        "grp": execution.group,
        "attempt": execution.attempt,
        "node": execution.node,
        "state": execution.state.value,
        "ended": ended(execution),
        "size": execution.output_size,
        "weight": 0 if not execution.state.final else 1 if execution.state is State.LOST else 2,
        "record": _encode(execution),
    }


def _id(key: Key) -> str:
    return f"{key[0]}\0{key[1]}\0{key[2]}\0{key[3]}"


def _piece_id(key: Key, start: int) -> str:
    return f"{_id(key)}\0{start}"


def _within(key: Key, begin: int, end: int) -> Document:
    return {"run": _id(key), "start": {"$lt": end}, "stop": {"$gt": begin}}


def _values(states: Collection[State]) -> list[str]:
    return [state.value for state in states]


def _places(query: Query, after: Position | None) -> Iterator[Document]:
    """Conditions that together answer `query` in its order, from `after` on: see `dkronpy.history.sql.pages`. States
    are named where the index has them before the order, so that their ranges are merged without sorting."""
    since, until = bounds(query)
    base: Document = {}
    if query.states is not None or query.job is None or query.node is not None:
        base["state"] = {"$in": _values(State if query.states is None else query.states)}
    base |= {name: value for name, value in (("job", query.job), ("node", query.node)) if value is not None}
    if after is not None and since <= after.group <= until:
        same = {"grp": after.group, "attempt": after.attempt}
        if query.job is None and query.node in (None, after.node):
            yield base | same | {"node": after.node, "job": {"$gt": after.job}}
        if query.node is None:
            yield base | same | {"node": {"$gt": after.node}}
        yield base | {"grp": after.group, "attempt": {"$lt": after.attempt}}
    if after is not None:
        until = min(until, after.group - 1)
    if since <= until:
        yield base | {"grp": {"$gte": since, "$lte": until}}
