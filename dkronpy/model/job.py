"""A job's definition and its state, as the store keeps them.

The definition (`Job`) changes only when somebody edits the job; the state (`JobState`) changes with runs and is written
only by the leader. They are two records so that runs never collide with edits. What users may write is checked by
`dkronpy.model.spec`; these structs hold what has passed.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from dkronpy.model.backfill import BackfillProgress
from dkronpy.model.calendar import Blackout
from dkronpy.model.checks import CheckStatus
from dkronpy.model.dependency import Dependency, Parent, ParentRun
from dkronpy.model.duration import SECOND
from dkronpy.model.figures import Figures, RunMark
from dkronpy.model.parameter import Parameter

QUEUE_LIMIT = 100
"""How many fires of a job may wait, where it does not say."""


class Concurrency(StrEnum):
    """What happens when a run is due while another group of the same job is in flight. Holds for every run, whatever
    asked for it. But for `allow`, a job never overlaps with itself."""

    ALLOW = "allow"
    """Start it beside the running one."""
    FORBID = "forbid"
    """Skip it, and record the skip with the reason `overlap`."""
    QUEUE_ONE = "queue_one"
    """Start it when the running one has ended; while it waits, further ones are skipped."""
    QUEUE_NEWEST = "queue_newest"
    """As `queue_one`, but what was asked for takes the place of what waits; only fires of the schedule are skipped."""
    QUEUE = "queue"
    """Start it when those before it have ended; when `queue_limit` wait, further ones are skipped."""
    CANCEL_OTHER = "cancel_other"
    """End the running one (TERM, and KILL after its grace), then start it; one that waited before it is skipped."""
    REPLACE = "replace"
    """As `cancel_other`, but the running one gets KILL at once."""


class CatchupPolicy(StrEnum):
    """Which fires run that are decided late, but inside the catch-up window."""

    ALL = "all"
    """Every one."""
    LATEST = "latest"
    """Only the newest; the earlier ones are recorded as missed."""
    NONE = "none"
    """None; each is recorded as missed."""


class RetryTarget(StrEnum):
    """Where a retry runs."""

    SAME = "same"
    """On the node of the failed attempt (at most once per attempt)."""
    ANY = "any"
    """On any matching node; also when the node was lost (at least once)."""


class Hash(StrEnum):
    """How `H` in a schedule, and whatever else is drawn from a job's name, is drawn."""

    INDEPENDENT = "independent"
    """Each field by its own digest: all values are reached, whatever the other fields got."""
    DSARI = "dsari"
    """As dsari draws, and reads, a schedule: bit for bit, to the microsecond."""


class Kept(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the history keeps of the job, where it is not what the servers keep of others. Ages in ns, sizes in bytes;
    see `dkronpy.history.contract.Retention`."""

    count: int | None = None
    age: int | None = None
    size: int | None = None
    failed_count: int | None = None
    failed_age: int | None = None


class Catchup(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How late a fire may still run. `window` in ns."""

    window: int = 60 * SECOND
    policy: CatchupPolicy = CatchupPolicy.ALL


class Retry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The wait before attempt n+1 is `min(initial * factor**(n-1), maximum)`, in ns."""

    initial: int = SECOND
    factor: float = 2.0
    maximum: int = 300 * SECOND
    on: RetryTarget = RetryTarget.SAME


class ScheduleEntry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One of several schedules of a job. `timezone` "" is the job's; its runs find `env` in their environment."""

    schedule: str
    timezone: str = ""
    env: dict[str, str] = {}


class Job(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One revision of a job's definition.

    `since` (ns) is when this revision took effect; it grows with every edit of the job, so it names the revision.
    Times are ns since the epoch. Every field but `since`, `created` and `source` can be written by users.
    """

    name: str
    since: int
    created: int = 0
    displayname: str = ""
    timezone: str = ""
    schedule: str = ""
    schedules: tuple[ScheduleEntry, ...] = ()
    """More schedules: the job fires whenever one of them does."""
    spread: int = 0
    """ns; every fire is later by a part of it that is drawn from the job's name."""
    calendars: tuple[str, ...] = ()
    """Names of calendars that exclude fires, beside those that hold for all jobs."""
    blackouts: tuple[Blackout, ...] = ()
    hash: Hash = Hash.INDEPENDENT
    hash_id: str = ""
    """What is drawn from in place of the name, such as the name the job had elsewhere."""
    owner: str = ""
    owner_email: str = ""
    disabled: bool = False
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    retries: int = 0
    retry: Retry = Retry()
    parent_job: str = ""
    """Dkron's way to name one parent; `dependency` has the parents however they are written."""
    depends_on: Dependency | None = None
    processors: dict[str, dict[str, str]] = {}
    concurrency: Concurrency = Concurrency.ALLOW
    executor: str = ""
    executor_config: dict[str, str] = {}
    ephemeral: bool = False
    starts_at: int | None = None
    expires_at: int | None = None
    catchup: Catchup = Catchup()
    queue_limit: int = QUEUE_LIMIT
    """How many of the job's fires may wait at most, for whatever reason."""
    concurrency_groups: tuple[str, ...] = ()
    """A run holds a place in one of these as long as it is in flight, and waits until there is one."""
    priority: int = 0
    """Among jobs that wait for the same concurrency group the highest goes first."""
    wait_for_target: int = 0
    """ns that a fire waits for a node with the job's tags; then it is skipped."""
    retention: Kept = Kept()
    parameters: tuple[Parameter, ...] = ()
    source: str = ""
    """The directory on the servers that defines the job, and alone changes it."""

    @property
    def dependency(self) -> Dependency | None:
        """The jobs after which this one runs; None for one that runs by time."""
        return Dependency((Parent(self.parent_job),)) if self.parent_job else self.depends_on

    @property
    def parents(self) -> tuple[str, ...]:
        """The names of the jobs after which this one runs."""
        return (self.parent_job,) if self.parent_job else self.depends_on.names if self.depends_on else ()


class JobStatus(StrEnum):
    """How the newest finished group of a job ended."""

    UNTRIGGERED = ""
    """No group has finished yet."""
    SUCCESS = "success"
    """Every node succeeded, on its last attempt."""
    FAILED = "failed"
    """No node succeeded."""
    PARTIALLY_FAILED = "partially_failed"
    """Some nodes succeeded."""


class Adoption(msgspec.Struct, frozen=True, gc=False):
    """An adoption of the revisions up to `since`; the fires up to `decided` (ns) that it owes are decided. Later
    revisions wait for its end."""

    since: int
    decided: int


class JobState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What runs have made of a job. Written only by the leader, but for counters given with a restore.

    `adopted` is the `since` of the newest revision that the leader schedules by; what the revisions before it owed is
    then decided. Counters count executions (every node and every attempt, as Dkron does).
    """

    adopted: int = 0
    decided: int = 0
    """Fires up to here (ns) are decided even where a sweep would owe them."""
    adopting: Adoption | None = None
    """The adoption that is decided in part."""
    settled: tuple[int, ...] = ()
    """Fires after `adopted` that the revisions before it had, and that were decided before it was seen."""
    success_count: int = 0
    error_count: int = 0
    last_success: int | None = None
    last_error: int | None = None
    last_good: RunMark | None = None
    """The execution that succeeded last."""
    last_bad: RunMark | None = None
    """The one that ended last without success."""
    status: JobStatus = JobStatus.UNTRIGGERED
    status_group: int = 0
    """The group that `status` tells of, so that an older group that ends later does not replace it."""
    check: CheckStatus = CheckStatus.NONE
    """The worst that the checks of that group found; empty where the job is none."""
    purge: int = 0
    """The time (ns) up to which the history and the edits of a deleted job of this name still have to go."""
    met: tuple[ParentRun, ...] = ()
    """Parents' groups that have met their condition and wait for those of the other parents, oldest first."""
    backfill: BackfillProgress | None = None
    """How far the job's backfill has come."""
    spent: bool = False
    """An ephemeral job that has succeeded: it fires no more and is about to be deleted."""
    figures: Figures = Figures()


def last_of(state: JobState) -> RunMark | None:
    """The run of the job that ended last."""
    ended = [mark for mark in (state.last_good, state.last_bad) if mark is not None]
    return max(ended, key=lambda mark: mark.finished, default=None)


class Edit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One change of a job's definition: who, when (`since`, ns), and the definition from then on (None: deleted)."""

    since: int
    by: str = ""
    job: Job | None = None
