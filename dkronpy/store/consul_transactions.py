"""Transactions of Consul, in the JSON that it speaks. Keys travel in bodies only, where any text is one: in the path of
a request Consul refuses control characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from dkronpy.store.consul_machines import CallFailed, Failure
from dkronpy.store.contract import OutcomeUnknown, StoreFull, Unavailable

if TYPE_CHECKING:
    from dkronpy.store.consul_machines import Machines

ROOT: Final = "dkronpy/"
"""What all keys begin with, so that whoever else uses this Consul stays out of the way."""
MAX_BODY: Final = 512 * 1024
"""Bytes of a request (`txn_max_req_len`, in older versions `kv_max_value_size`)."""

_ANSWERS: Final = frozenset({200, 409})


class Op(msgspec.Struct, omit_defaults=True, rename="pascal"):
    """An operation on a key. Consul reads numbers as floats: they must be below 2⁵³."""

    verb: str
    key: str
    value: bytes | None = None
    flags: int = 0
    index: int = 0


class Pair(msgspec.Struct, rename="pascal"):
    """A key with its value, and the revision of its last change."""

    key: str
    value: bytes | None
    modify_index: int


class _Step(msgspec.Struct, rename={"op": "KV"}):
    op: Op


class _Result(msgspec.Struct, rename={"pair": "KV"}):
    pair: Pair


class Problem(msgspec.Struct, rename="pascal"):
    """Why a transaction was not carried out: what is wrong with the operation of this number."""

    op_index: int
    what: str


class _Outcome(msgspec.Struct, rename="pascal"):
    results: list[_Result] | None = None
    errors: list[Problem] | None = None


class Refused(Exception):
    """The transaction was not carried out, for `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.what for problem in problems))
        self.problems = problems


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Outcome).decode


def encode(ops: Sequence[Op]) -> bytes:
    """The body of a request."""
    return _encode([_Step(op) for op in ops])


async def write(machines: Machines, body: bytes) -> list[Pair]:
    """What each operation answers, if it answers something. Raises Refused, StoreFull, Unavailable, OutcomeUnknown."""
    try:
        answer = await machines.write("txn", body, fine=_ANSWERS)
    except CallFailed as error:
        if error.failure is Failure.UNKNOWN:
            raise OutcomeUnknown(f"Consul did not answer a commit: {error.why}") from error
        if error.failure is Failure.FULL:
            raise StoreFull(f"the disk of Consul's leader is full: make room there ({error.why})") from error
        raise Unavailable(f"Consul refuses a commit: {error.why}") from error
    return _pairs(answer.body)


async def read(machines: Machines, *ops: Op) -> list[Pair]:
    """As `write`, of what changes nothing, in one consistent state. Raises Refused and Unavailable."""
    try:
        answer = await machines.read("txn?consistent", encode(ops), fine=_ANSWERS)
    except CallFailed as error:
        raise Unavailable(f"Consul does not answer a read: {error.why}") from error
    return _pairs(answer.body)


def _pairs(body: bytes) -> list[Pair]:
    try:
        outcome = _decode(body)
    except msgspec.DecodeError as error:
        raise Unavailable(f"what answers is not Consul: {error}") from error
    if outcome.errors:
        denied = next((error.what for error in outcome.errors if "Permission denied" in error.what), None)
        if denied is not None:
            raise Unavailable(f"Consul refuses a transaction: {denied}; the token needs write for key_prefix {ROOT!r}")
        raise Refused(outcome.errors)
    return [result.pair for result in outcome.results or ()]
