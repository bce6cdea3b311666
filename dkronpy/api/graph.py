"""Jobs and their parents: what runs after what, and which parents have met their condition so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.shapes import ParentRunShape, parent_runs
from dkronpy.catalog.mirror import Mirror
from dkronpy.model.dependency import Dependency, Outcome, ParentRun
from dkronpy.model.duration import format_duration
from dkronpy.model.job import Job, JobState
from dkronpy.model.times import rfc3339

_STATELESS: Final = JobState()
_OUTCOMES: Final = {Outcome.SUCCESS: "success", Outcome.FAILURE: "failure", Outcome.COMPLETION: "run"}


class ParentShape(msgspec.Struct, frozen=True):
    """A parent, on which outcome; `exists` is false where the job is gone. `met` are its runs that wait for those of
    the other parents."""

    job: str
    on: str
    exists: bool
    met: list[ParentRunShape]


class NodeShape(msgspec.Struct, frozen=True):
    """A job of the graph; `require` and `window` are null for one without parents."""

    name: str
    status: str
    disabled: bool
    running: int
    parents: list[ParentShape]
    require: str | None
    window: str | None
    children: list[str]


class GraphRoutes:
    """GET /v1/graph and /v1/jobs/{job}/graph."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mirror = context.services.mirror

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/graph", self.all), web.get("/v1/jobs/{job}/graph", self.around)]

    async def all(self, request: web.Request) -> web.Response:
        """Every job that has parents or children."""
        jobs, children = self._mirror.jobs, self._mirror.children
        found = (name for name, held in jobs.items() if held.value.dependency is not None or name in children)
        return answer(request, {"jobs": self._nodes(found)})

    async def around(self, request: web.Request) -> web.Response:
        """The job, and all that it comes after and that come after it."""
        name = request.match_info["job"]
        self._context.held(name)
        jobs, children = self._mirror.jobs, self._mirror.children
        above = _reached(name, lambda job: jobs[job].value.parents if job in jobs else ())
        below = _reached(name, lambda job: children.get(job, ()))
        return answer(request, {"jobs": self._nodes(job for job in above | below if job in jobs)})

    def _nodes(self, names: Iterable[str]) -> list[NodeShape]:
        now = self._context.services.now()
        return [self._node(self._mirror.jobs[name].value, now) for name in sorted(names)]

    def _node(self, job: Job, now: int) -> NodeShape:
        mirror, dependency, state = self._mirror, job.dependency, state_of(self._mirror, job.name)
        parents = () if dependency is None else dependency.parents
        return NodeShape(
            name=job.name,
            status=state.status.value,
            disabled=job.disabled,
            running=sum(not run.value.state.final for run in mirror.runs.get(job.name, {}).values()),
            parents=[
                ParentShape(
                    parent.job,
                    parent.on.value,
                    parent.job in mirror.jobs,
                    parent_runs(run for run in counting(job, state, now) if run.job == parent.job),
                )
                for parent in parents
            ],
            require=None if dependency is None else dependency.require.value,
            window=None if dependency is None else format_duration(dependency.window),
            children=sorted(mirror.children.get(job.name, ())),
        )


def _reached(name: str, neighbours: Callable[[str], Collection[str]]) -> set[str]:
    """The job, and every other that a path leads to."""
    found, wave = {name}, [name]
    for job in wave:
        new = [other for other in neighbours(job) if other not in found]
        found.update(new)
        wave += new
    return found


def state_of(mirror: Mirror, name: str) -> JobState:
    """The job's state; an empty one for a job without."""
    held = mirror.states.get(name)
    return _STATELESS if held is None else held.value


def counting(job: Job, state: JobState, now: int) -> list[ParentRun]:
    """The parents' runs that wait for those of other parents, and still count."""
    dependency = job.dependency
    if dependency is None or dependency.alone:
        return []
    return [run for run in state.met if run.at >= now - dependency.window and run.job in dependency.names]


def follows(dependency: Dependency) -> str:
    """What a job runs after, in plain English."""
    parts = [f"{_OUTCOMES[parent.on]} of {parent.job}" for parent in dependency.parents]
    if dependency.alone:
        return " or ".join(f"every {part}" for part in parts)
    parts = [f"a {part}" for part in parts]
    return f"{', '.join(parts[:-1])} and {parts[-1]} that end within {format_duration(dependency.window)} of each other"


def standing(job: Job, state: JobState, now: int) -> str:
    """Which parents have met their condition, and which are still to come, in plain English; "" where each counts
    alone."""
    dependency = job.dependency
    if dependency is None or dependency.alone:
        return ""
    met: dict[str, ParentRun] = {}
    for run in counting(job, state, now):
        met.setdefault(run.job, run)
    done = ", ".join(f"{run.job} by group {run.group}, at {rfc3339(run.at)}" for run in met.values())
    left = ", ".join(name for name in dependency.names if name not in met)
    return f"met so far: {done or 'none'}; still to come: {left}"
