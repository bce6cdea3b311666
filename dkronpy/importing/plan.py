"""What an import will do to a server: a plan for each job, made from what the server has, then carried out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from dkronpy.api.definitions import checked_job
from dkronpy.client import Client, Job
from dkronpy.importing.dump import Json
from dkronpy.importing.mapped import Mapped
from dkronpy.model.duration import SECOND
from dkronpy.model.execution_spec import parse_execution
from dkronpy.model.fields import SpecError
from dkronpy.model.lineage import LoopError, ancestors
from dkronpy.model.spec import ScheduleSpec, parse_spec, parse_state, to_document, to_job
from dkronpy.model.times import rfc3339
from dkronpy.schedule import local_zone

FIRES: Final = 3
"""Of each reading."""
_WHEN: Final = ("name", *ScheduleSpec.model_fields)
"""What of a job says when it fires."""
JOBS_AT_ONCE: Final = 500
BYTES_AT_ONCE: Final = 4 << 20
"""Of executions in one request, as JSON."""


class Action(StrEnum):
    """What is done with a job."""

    CREATED = "created"
    CHANGED = "changed"
    """It is there and differs, and is replaced as was asked for."""
    UNCHANGED = "unchanged"
    """It is there already; executions are added all the same."""
    KEPT = "kept"
    """It is there and differs: it is left alone."""
    REFUSED = "refused"
    """It can't be taken; the problem tells why."""

    @property
    def done(self) -> bool:
        """Whether the job is then as it was in the source."""
        return self not in (Action.KEPT, Action.REFUSED)


@dataclass(frozen=True, slots=True)
class Fires:
    """The next fires as {time (UTC), local}: as the source has them and as they are here."""

    source: tuple[dict[str, str], ...]
    here: tuple[dict[str, str], ...]


@dataclass
class Plan:
    """What is to be done with one job, and what is to be told of it."""

    job: Mapped
    action: Action
    problem: str = ""
    executions: list[Json] = field(default_factory=list[Json])
    left_out: list[str] = field(default_factory=list[str])
    """Executions that can't be taken, and why."""
    fires: Fires | None = None


def plans(client: Client, found: Iterable[Mapped], *, replace: bool, now: int) -> list[Plan]:
    """A plan for each job, with the coming fires: those to write first, parents before their children. Writes
    nothing."""
    stored = {job["name"]: job for job in client.jobs()}
    made = _ordered([_plan(job, stored.get(job.name), replace=replace) for job in found], stored)
    for plan in made:
        if plan.action is not Action.REFUSED and not plan.job.document.get("parent_job"):
            plan.fires = _fires(client, plan.job, now)
    return made


def carry_out(client: Client, made: Sequence[Plan], progress: Callable[[int, int], None]) -> None:
    """Write the jobs, then their executions; `progress` is told (executions written, of how many)."""
    new = [plan.job.document for plan in made if plan.action in (Action.CREATED, Action.CHANGED)]
    for start in range(0, len(new), JOBS_AT_ONCE):
        client.restore(new[start : start + JOBS_AT_ONCE])
    done, total = 0, sum(len(plan.executions) for plan in made)
    for plan in made:
        for part in parts(plan.executions):
            client.add_executions(plan.job.name, part)
            done += len(part)
            progress(done, total)


def _plan(job: Mapped, stored: Job | None, *, replace: bool) -> Plan:
    if job.problem:
        return Plan(job, Action.REFUSED, job.problem)
    try:
        new = to_document(checked_job(job.document, now=0))
        parse_state(job.document)
    except SpecError as error:
        return Plan(job, Action.REFUSED, str(error))
    if stored is None:
        action = Action.CREATED
    elif to_document(to_job(parse_spec(stored))) == new:
        action = Action.UNCHANGED
    else:
        action = Action.CHANGED if replace else Action.KEPT
    plan = Plan(job, action, "a job of this name is there and differs" if action is Action.KEPT else "")
    for execution in job.executions if action.done else ():
        try:
            parse_execution(execution, job.name)
            plan.executions.append(execution)
        except SpecError as error:
            plan.left_out.append(f"{execution['group']}-{execution['attempt']}-{execution['node_name']}: {error}")
    return plan


def _ordered(made: Sequence[Plan], stored: Mapping[str, Job]) -> list[Plan]:
    """Parents before their children. Jobs whose parents can't be taken can't be either."""
    ordered: list[Plan] = []
    ready = set(stored)
    waiting = [plan for plan in made if plan.action.done]
    while True:
        wave = [plan for plan in waiting if plan.job.document.get("parent_job", "") in ("", *ready)]
        if not wave:
            break
        ordered += wave
        ready.update(plan.job.name for plan in wave)
        waiting = [plan for plan in waiting if plan.job.name not in ready]
    parents = {plan.job.name: [str(plan.job.document["parent_job"])] for plan in waiting}
    for plan in waiting:
        plan.action = Action.REFUSED
        try:
            ancestors(plan.job.name, lambda name: parents.get(name, ()))
            plan.problem = f"parent_job: {plan.job.document['parent_job']!r} can't be taken either"
        except LoopError as error:
            plan.problem = f"parent_job: {error}"
        plan.executions = []
    return [*ordered, *waiting, *(plan for plan in made if not plan.action.done and plan not in waiting)]


def _fires(client: Client, job: Mapped, now: int) -> Fires:
    document = job.document
    zone = ZoneInfo(document.get("timezone") or local_zone())
    theirs = job.reading(now, FIRES) if job.reading else ()
    told = tuple(
        {"time": rfc3339(fire), "local": datetime.fromtimestamp(fire // SECOND, zone).isoformat()} for fire in theirs
    )
    ours = client.preview({key: document[key] for key in _WHEN if key in document}, count=FIRES)
    return Fires(told, tuple({"time": fire["time"], "local": fire["local"]} for fire in ours))


def parts(executions: Sequence[Json]) -> Iterator[list[Json]]:
    """Executions in parts that fit one request each."""
    part: list[Json] = []
    size = 0
    for execution in executions:
        length = len(json.dumps(execution))
        if part and size + length > BYTES_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(execution)
        size += length
    if part:
        yield part
