"""What a run is told of itself in its environment, as far as the leader knows it. The names are dsari's and Dkron's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dkronpy.model.execution import Execution, execution_id
from dkronpy.model.figures import RunMark
from dkronpy.model.job import Hash, Job, JobState
from dkronpy.model.times import epoch_text, rfc3339

JOB_GROUP = "job_group"
"""The key of a job's metadata that is its JOB_GROUP."""


def automatic(job: Job, execution: Execution, state: JobState | None, epoch: int) -> dict[str, str]:
    """The variables of an execution that is ordered under this epoch."""
    run = execution_id(execution.group, execution.attempt, execution.node)
    env = {
        "DKRON_JOB_NAME": job.name,
        "DKRON_EXECUTION_ID": run,
        "DKRON_FIRE_TIME": rfc3339(execution.fire),
        "DKRON_ATTEMPT": str(execution.attempt),
        "DKRON_EPOCH": str(epoch),
        "ENV_JOB_NAME": job.name,
        "JOB_NAME": job.name,
        "RUN_ID": run,
        "SCHEDULE_TIME": epoch_text(execution.fire),
        "TRIGGER_TYPE": execution.trigger_type,
    }
    if (origin := execution.origin) is not None:
        told = {"BY": origin.by, "DESCRIPTION": origin.description, "DATA": origin.data}
        env |= {f"TRIGGER_{name}": value for name, value in told.items() if value}
    if job.hash is Hash.DSARI:
        env["DSARI"] = "true"
        env["JOB_NAME"] = job.hash_id or job.name
    if group := job.metadata.get(JOB_GROUP):
        env["JOB_GROUP"] = group
    if execution.concurrency_group:
        env["CONCURRENCY_GROUP"] = execution.concurrency_group
    if state is not None:
        env.update(previous(state))
    # What people write may hold a NUL, which no environment does.
    if "\0" in "".join(env.values()):
        return {name: value.replace("\0", "") for name, value in env.items()}
    return env


def previous(state: JobState) -> Mapping[str, str]:
    """PREVIOUS_…, PREVIOUS_GOOD_… and PREVIOUS_BAD_…: the job's executions that ended last, in all and by how."""
    good, bad = state.last_good, state.last_bad
    if good is None and bad is None:
        return {}
    last = max(filter(None, (good, bad)), key=lambda mark: mark.finished, default=None)
    marks = (("PREVIOUS", last), ("PREVIOUS_GOOD", good), ("PREVIOUS_BAD", bad))
    return {f"{prefix}_{name}": value for prefix, mark in marks if mark is not None for name, value in _told(mark)}


def _told(mark: RunMark) -> Iterator[tuple[str, str]]:
    yield "RUN_ID", mark.id
    yield "SCHEDULE_TIME", epoch_text(mark.fire)
    if mark.started is not None:
        yield "START_TIME", epoch_text(mark.started)
    yield "STOP_TIME", epoch_text(mark.finished)
    if mark.exit_code is not None:
        yield "EXIT_CODE", str(mark.exit_code)
