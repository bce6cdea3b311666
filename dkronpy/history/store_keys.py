"""Where a history in a key-value store keeps what: names of keys, and the codecs of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from dkronpy.model.execution import Execution, State

if TYPE_CHECKING:
    from dkronpy.history.stretches import Stretches

Key = tuple[str, int, int, str]
"""(job, group, attempt, node)."""

encode_record: Final = msgspec.json.Encoder().encode
decode_record: Final = msgspec.json.Decoder(Execution).decode
encode_output: Final = msgspec.msgpack.Encoder().encode
_output_decoder: Final = msgspec.msgpack.Decoder(list[tuple[int, bytes]])

encode_counter: Final = msgspec.json.Encoder().encode
decode_totals: Final = msgspec.json.Decoder(dict[State, int]).decode


class DayRecord(msgspec.Struct, frozen=True, gc=False):
    """How many executions finished on one day."""

    success: int = 0
    failed: int = 0


decode_day: Final = msgspec.json.Decoder(DayRecord).decode

_LAST_GROUP: Final = (1 << 63) - 1
_LAST_ATTEMPT: Final = 10**10 - 1


def decode_output(data: bytes) -> Stretches:
    """The stretches of an output's value."""
    return _output_decoder.decode(data)


def place(group: int) -> str:
    """How keys of `group` go on: 20 digits, smaller for newer groups, so that a listing begins with the newest. Raises
    ValueError for a group that is no int64."""
    if not -(1 << 63) <= group <= _LAST_GROUP:
        raise ValueError(f"group {group} is not a time in ns")
    return f"{_LAST_GROUP - group:020d}"


def within_job(group: int, attempt: int, node: str) -> str:
    """An execution's place among those of its job. Such texts sort in the order of a query."""
    return f"{place(group)}/{_LAST_ATTEMPT - attempt:010d}/{node}"


def within_all(group: int, attempt: int, node: str, job: str) -> str:
    """An execution's place among all. A space sorts before every character of a name: `n1` before `n1-x`."""
    return f"{within_job(group, attempt, node)} {job}"


def parse_place(text: str) -> Key:
    """The inverse of `within_all`."""
    group, attempt, names = text.split("/", 2)
    node, _, job = names.rpartition(" ")
    return job, _LAST_GROUP - int(group), _LAST_ATTEMPT - int(attempt), node


class HistoryKeys:
    """Names of one keyspace's history. They lie beside its other keys, not under them: servers watch those."""

    def __init__(self, keyspace: str) -> None:
        root = f"{keyspace}:history/"
        self.writer = f"{root}writer"
        """Changed by each writer that takes over."""
        self.totals = f"{root}totals"
        """How many records there are in each state."""
        self.days = f"{root}days/"
        """Prefix of what finished on each day."""
        self.folded = f"{root}folded/"
        """Prefix of each job's newest group of those that did not run and are no longer kept one by one."""
        self.records = f"{root}runs/"
        """Prefix of all records, job by job."""
        self.figures = f"{root}figures/"
        """Prefix of each job's figures."""
        self._outputs = f"{root}output/"
        self._states = f"{root}states/"
        self._nodes = f"{root}nodes/"

    def of_job(self, job: str) -> str:
        """Prefix of the job's records, newest first."""
        return f"{self.records}{job}/"

    def record(self, key: Key) -> str:
        return self.of_job(key[0]) + within_job(*key[1:])

    def output(self, key: Key) -> str:
        return f"{self._outputs}{key[0]}/{within_job(*key[1:])}"

    def in_state(self, state: State, node: str | None) -> str:
        """Prefix of the places of all executions in `state`, on `node` if one is given, newest first."""
        return f"{self._states}{state}/" if node is None else f"{self._nodes}{node}/{state}/"

    def indexed(self, execution: Execution) -> set[str]:
        """Keys by which the execution is found without its job."""
        group, attempt, node = execution.key[1:]
        found = within_all(group, attempt, node, execution.job)
        return {self.in_state(execution.state, among) + found for among in (None, node)}

    def job_of(self, key: str) -> str:
        """The job of a record's key."""
        return key[len(self.records) :].partition("/")[0]
