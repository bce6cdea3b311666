"""A step: what the leader commits at once, and what it does after the commit."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from dkronpy.model.execution import Execution
from dkronpy.model.job import JobState
from dkronpy.model.lane import Kill
from dkronpy.model.records import Cursor, GroupRecord, TriggerRecord
from dkronpy.model.run import Ended, Key, RunSpec
from dkronpy.scheduling.groups import Group

MAX_CHANGES = 56
"""Records one step changes besides the cursor: with the cursor and two guards it fits the store contract's 60."""
MAX_SIZE = 240_000
"""Estimated bytes of one step, below the store contract's 300 kB."""


RECORD_SIZE = 400
"""Estimated bytes of a record besides its environment."""
STATE_SIZE = 400
"""Estimated bytes of the figures in a job's state besides those of its recent runs."""
FIRE_SIZE = 20
"""Estimated bytes of a fire's time in a record."""
NAME_SIZE = 100
"""Estimated bytes of another job's name, with what is said of it."""


class Order(msgspec.Struct, frozen=True, gc=False):
    """Start this run on that spool. Sent only after the commit of the step that holds it."""

    run: RunSpec
    spool: str


@dataclass(slots=True)
class Step:
    """Changes by record (None: the record goes), then the effects that follow the commit. Filled by one plan, then
    only read.

    A step's records overwrite what is in the store: only the leader writes them, and its guard is the cursor's
    revision."""

    groups: dict[tuple[str, int], GroupRecord | None] = field(default_factory=dict)
    states: dict[str, JobState | None] = field(default_factory=dict)
    triggers: dict[tuple[str, int], TriggerRecord | None] = field(default_factory=dict)
    kills_done: set[Key] = field(default_factory=set)
    clears_done: set[str] = field(default_factory=set)
    cursor: Cursor | None = None
    orders: list[Order] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    archive: list[tuple[Execution, Ended | None]] = field(default_factory=list)
    """Executions that became final, with the report that said so: to be written to the history and acknowledged to
    their nodes."""
    strays: list[Ended] = field(default_factory=list)
    """Reports on executions that have left the store: to be acknowledged again."""
    decided: list[Execution] = field(default_factory=list)
    """Fires and requests decided by this step: one execution of each group, for the metrics."""
    spent: list[str] = field(default_factory=list)
    """Ephemeral jobs that have succeeded: to be deleted."""
    purge: list[tuple[str, int]] = field(default_factory=list)
    """Deleted jobs whose history and edits go, up to a time."""
    size: int = 0
    _group_sizes: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    @property
    def changes(self) -> int:
        return len(self.groups) + len(self.states) + len(self.triggers) + len(self.kills_done) + len(self.clears_done)

    @property
    def effects(self) -> bool:
        """Whether anything follows the commit."""
        return bool(self.orders or self.kills or self.archive or self.strays or self.spent or self.purge)

    def room(self, changes: int, limit: int = MAX_CHANGES) -> bool:
        """Whether so many more records fit, under a limit of this phase."""
        return self.size < MAX_SIZE and self.changes + changes <= limit

    def put_group(self, group: Group) -> None:
        """The group's record as it is now."""
        key = (group.job, group.group)
        size = RECORD_SIZE * len(group.executions) + NAME_SIZE * len(group.children)
        for execution in group.executions.values():
            size += len(execution.return_data)
        for name, value in group.env.items():
            size += len(name) + len(value)
        if (origin := group.origin) is not None:
            size += len(origin.description) + len(origin.data) + NAME_SIZE * len(origin.parents)
        self.size += size - self._group_sizes.get(key, 0)
        self._group_sizes[key] = size
        self.groups[key] = group.record

    def put_state(self, name: str, state: JobState) -> None:
        """The job's state as it is now."""
        if name not in self.states:
            recent = len(state.figures.recent) * 4 // 3
            self.size += RECORD_SIZE + STATE_SIZE + recent
            self.size += FIRE_SIZE * len(state.settled) + NAME_SIZE * len(state.met)
        self.states[name] = state

    def set_state(self, states: dict[str, JobState], name: str, state: JobState) -> None:
        """Change the job's state among the board's, and in the store."""
        states[name] = state
        self.put_state(name, state)
