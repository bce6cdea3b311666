"""dsari's jobs as jobs of the cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from dkronpy.api.definitions import checked_job, merge
from dkronpy.dsari.config import DsariConfig, DsariJob
from dkronpy.dsari.problems import ConfigRefused, Problem
from dkronpy.model.duration import SECOND, format_duration
from dkronpy.model.fields import SpecError
from dkronpy.model.job import Concurrency, Hash, Job
from dkronpy.model.names import name_for
from dkronpy.scheduling.environment import JOB_GROUP

ANY_SERVER: Final = {"dkron_server": "true:1"}
"""Where a job runs that does not say where: as in dsari on one machine, here on any of the servers."""


class Document(NamedTuple):
    """A job as users write it; `original` is its name in dsari, `place` the file that defines it."""

    name: str
    original: str
    place: str
    value: dict[str, Any]


def documents(config: DsariConfig) -> list[Document]:
    """Every job. Raises ConfigRefused where two would have the same name here."""
    found: dict[str, Document] = {}
    problems: list[Problem] = []
    for job in config.jobs:
        name = name_for(job.name)
        if name in found:
            text = f"{job.name!r} and {found[name].original!r} would both be {name!r} here: rename one of them"
            problems.append(Problem(f"{job.place}: jobs.{job.name}", text))
        else:
            found[name] = Document(name, job.name, job.place, _document(name, job, config))
    if problems:
        raise ConfigRefused(problems)
    return list(found.values())


def checked(
    found: list[Document], source: str, *, now: int, old: Callable[[str], Job | None], calendars: Container[str] | None
) -> dict[str, Job]:
    """The jobs as they are to be stored, owned by `source`, by name; `old` gives a job as it is. Raises ConfigRefused
    with all that is wrong."""
    jobs: dict[str, Job] = {}
    problems: list[Problem] = []
    for document in found:
        try:
            job = checked_job(document.value, now=now, old=old(document.name), calendars=calendars)
        except SpecError as error:
            place = f"{document.place}: jobs.{document.original}"
            problems += [Problem(place, f"{field}: {text}" if field else text) for field, text in error.errors]
        else:
            jobs[job.name] = msgspec.structs.replace(job, source=source)
    if problems:
        raise ConfigRefused(problems)
    return jobs


def _document(name: str, job: DsariJob, config: DsariConfig) -> dict[str, Any]:
    value: dict[str, Any] = {
        "schedule": job.schedule or "@manually",
        "timezone": job.timezone,
        "hash": Hash.DSARI.value,
        "tags": {} if "tags" in config.extra or "tags" in job.extra else ANY_SERVER,
        "concurrency": Concurrency.ALLOW if job.concurrent else Concurrency.QUEUE_NEWEST,
        "concurrency_groups": list(job.groups),
        "metadata": {JOB_GROUP: job.job_group} if job.job_group else {},
        "executor": "shell",
        "executor_config": _executor_config(job, config),
    }
    if name != job.name:
        value |= {"displayname": job.name, "hash_id": job.name}
    for extra in (config.extra, job.extra):
        value = merge(value, {key: part for key, part in extra.items() if key != "name"})
    return {"name": name, **value}


def _executor_config(job: DsariJob, config: DsariConfig) -> Mapping[str, str]:
    switches = {
        "clean_env": True,
        "run_dir": True,
        "append_run": job.append_run,
        "jenkins_env": job.jenkins,
        "kill_on_shutdown": config.kill_runs,
    }
    found = {"command": job.command, "kill_grace": format_duration(int(job.grace * SECOND))}
    if job.max_execution:
        found["timeout"] = format_duration(int(job.max_execution * SECOND))
    if env := {**config.environment, **job.environment}:
        found["env"] = json.dumps(env, ensure_ascii=False)
    return found | {key: "true" for key, on in switches.items() if on}
