"""What a run is told of itself in its environment, as far as the leader knows it. The names are dsari's and Dkron's."""

from __future__ import annotations

from typing import Final

from dkronpy.model.execution import Execution, execution_id
from dkronpy.model.job import Hash, Job, JobState
from dkronpy.model.times import epoch_text, rfc3339

JOB_GROUP = "job_group"
"""The key of a job's metadata that is its JOB_GROUP."""


_KEYS: Final = {
    prefix: tuple(f"{prefix}_{name}" for name in ("RUN_ID", "SCHEDULE_TIME", "START_TIME", "STOP_TIME", "EXIT_CODE"))
    for prefix in ("PREVIOUS", "PREVIOUS_GOOD", "PREVIOUS_BAD")
}


def automatic(job: Job, execution: Execution, state: JobState | None, epoch: int) -> dict[str, str]:
    """The variables of an execution that is ordered under this epoch."""
    run = execution_id(execution.group, execution.attempt, execution.node)
    dsari = job.hash is Hash.DSARI
    env = {
        "DKRON_JOB_NAME": job.name,
        "DKRON_EXECUTION_ID": run,
        "DKRON_FIRE_TIME": rfc3339(execution.fire),
        "DKRON_ATTEMPT": str(execution.attempt),
        "DKRON_EPOCH": str(epoch),
        "ENV_JOB_NAME": job.name,
        "JOB_NAME": (_clean(job.hash_id) if dsari else "") or job.name,
        "RUN_ID": run,
        "SCHEDULE_TIME": epoch_text(execution.fire),
        "TRIGGER_TYPE": _clean(execution.trigger_type),
    }
    if dsari:
        env["DSARI"] = "true"
    if job.metadata and (group := job.metadata.get(JOB_GROUP)):
        env["JOB_GROUP"] = _clean(group)
    if execution.concurrency_group:
        env["CONCURRENCY_GROUP"] = execution.concurrency_group
    if (origin := execution.origin) is not None:
        told = {"TRIGGER_BY": origin.by, "TRIGGER_DESCRIPTION": origin.description, "TRIGGER_DATA": origin.data}
        env |= {name: _clean(value) for name, value in told.items() if value}
    if state is not None:
        _previous(env, state)
    return env


def _clean(text: str) -> str:
    """Without the character NUL: people may write it, but no environment holds it."""
    return text.replace("\0", "")


def _previous(env: dict[str, str], state: JobState) -> None:
    """PREVIOUS_…, PREVIOUS_GOOD_… and PREVIOUS_BAD_…: the job's executions that ended last, in all and by how."""
    good, bad = state.last_good, state.last_bad
    if good is None and bad is None:
        return
    last = good if bad is None or (good is not None and good.finished >= bad.finished) else bad
    for mark, prefix in ((good, "PREVIOUS_GOOD"), (bad, "PREVIOUS_BAD")):
        if mark is None:
            continue
        values = (
            mark.id,
            epoch_text(mark.fire),
            "" if mark.started is None else epoch_text(mark.started),
            epoch_text(mark.finished),
            "" if mark.exit_code is None else str(mark.exit_code),
        )
        for keys in (_KEYS[prefix], _KEYS["PREVIOUS"]) if mark is last else (_KEYS[prefix],):
            env.update(zip(keys, values, strict=True))
            if mark.started is None:
                del env[keys[2]]
            if mark.exit_code is None:
                del env[keys[4]]
