"""Which commits share a transaction, and what DynamoDB's reasons for cancelling one mean: also those that DynamoDB
Local never gives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from dkronpy.store.contract import MAX_PARTS, Conflict, Delete, Guard, Operation, Put
from dkronpy.store.dynamodb_access import Failure, failure
from dkronpy.store.dynamodb_batch import MAX_ITEMS, Batch, Commit, logged

NONE: dict[str, Any] = {"Code": "None"}


def commit(*parts: Guard | Operation) -> Commit:
    guards = [part for part in parts if isinstance(part, Guard)]
    operations = [part for part in parts if not isinstance(part, Guard)]
    return Commit(guards, operations, asyncio.get_running_loop().create_future())


def batch(*commits: Commit) -> Batch:
    made = Batch()
    assert all(made.add(each) for each in commits)
    return made


def refused(revision: int = 0) -> dict[str, Any]:
    """A condition did not hold of a key that has this revision."""
    return {"Code": "ConditionalCheckFailed", **({"Item": {"r": {"N": str(revision)}}} if revision else {})}


async def test_keys_are_not_shared_but_for_the_same_guard() -> None:
    made = batch(commit(Guard("epoch", 7), Put("a", b"")), commit(Guard("epoch", 7), Put("b", b"")))
    for other in (
        commit(Put("a", b"")),
        commit(Guard("a", 7)),
        commit(Guard("epoch", 8), Put("c", b"")),
        commit(Put("epoch", b"")),
        commit(Delete("b")),
    ):
        assert not made.add(other)
    assert [each.parts.keys() for each in made.commits] == [{"epoch", "a"}, {"epoch", "b"}]


async def test_the_limits_of_a_transaction() -> None:
    made = batch(*(commit(Put(f"{n}", b"")) for n in range(MAX_ITEMS - 2)))
    assert not made.add(commit(Put("more", b"")))
    assert len(made.attempt(0).items("t")) == MAX_ITEMS
    assert len(batch(commit(*(Guard(f"{n}", 1) for n in range(MAX_PARTS)))).attempt(0).items("t")) == MAX_PARTS + 1
    made = batch(commit(Put("a", bytes(200_000))))
    assert not made.add(commit(Put("b", bytes(200_000))))


async def test_revisions_and_the_log() -> None:
    made = batch(commit(Put("a", b"1"), Delete("b")), commit(Guard("c", 5)), commit(Guard("c", 5), Put("d", b"")))
    attempt = made.attempt(3 * 128 + 40)
    assert attempt.revisions == [4 * 128, 4 * 128, 4 * 128 + 1]
    assert attempt.revision == 4 * 128 + 1
    entry = attempt.items("t")[1]["Put"]["Item"]
    assert logged(entry) == attempt.events
    assert [[(event.key, event.value) for event in events] for events in attempt.events] == [
        [("a", b"1"), ("b", None)],
        [("d", b"")],
    ]


async def test_a_broken_guard_is_its_commits_alone() -> None:
    first, second = commit(Guard("a", 1), Guard("b", 2), Put("c", b"")), commit(Guard("d", 0), Put("d", b""))
    made = batch(first, second)
    head, found, contended = made.attempt(128).found([NONE, NONE, refused(9), refused(9), NONE, NONE])
    assert (head, found, contended) == (None, {"a": 9, "b": 9}, False)
    [(dropped, conflict)] = made.drop(found)
    assert dropped is first
    assert isinstance(conflict, Conflict)
    assert conflict.key == "a"
    assert made.commits == [second]


async def test_of_contradicting_guards_the_wrong_one_is_named() -> None:
    made = batch(commit(Guard("a", 1), Guard("a", 2)))
    [(_, conflict)] = made.drop({"a": 1})
    assert conflict.key == "a"


async def test_a_deletion_of_what_is_absent_is_tried_again_as_no_change() -> None:
    made = batch(commit(Delete("a"), Put("b", b"")))
    assert "Delete" in made.attempt(0).items("t")[2]
    assert made.drop({"a": 0}) == []
    attempt = made.attempt(0)
    assert "ConditionCheck" in attempt.items("t")[2]
    assert [event.key for event in attempt.events[0]] == ["b"]
    assert made.drop({"a": 7}) == []
    assert "Delete" in made.attempt(0).items("t")[2]


async def test_the_head_and_the_hindrances_of_others() -> None:
    attempt = batch(commit(Put("a", b""))).attempt(128)
    assert attempt.found([refused(256), NONE, NONE]) == (256, {}, False)
    for code in ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"):
        assert attempt.found([NONE, NONE, {"Code": code}]) == (None, {}, True)


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("TransactionCanceledException", 400, Failure.CANCELLED),
        ("TransactionInProgressException", 400, Failure.AGAIN),
        ("ThrottlingException", 400, Failure.AGAIN),
        ("ProvisionedThroughputExceededException", 400, Failure.AGAIN),
        ("InternalServerError", 500, Failure.UNKNOWN),
        ("ServiceUnavailable", 503, Failure.UNKNOWN),
        ("AccessDeniedException", 400, Failure.REFUSED),
        ("ValidationException", 400, Failure.REFUSED),
    ],
)
def test_errors(code: str, status: int, meaning: Failure) -> None:
    answer = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert failure(ClientError(answer, "TransactWriteItems")) is meaning


def test_errors_of_connections() -> None:
    assert failure(ConnectTimeoutError(endpoint_url="a")) is Failure.AGAIN
    assert failure(EndpointConnectionError(endpoint_url="a", error=OSError())) is Failure.UNKNOWN
