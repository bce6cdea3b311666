"""What a job that is about to be imported would do here."""

from __future__ import annotations

from dkronpy.api.definitions import checked_job
from dkronpy.importing.mapped import Mapped
from dkronpy.model.executors import ShellConfig, parse
from dkronpy.schedule import upcoming
from dkronpy.scheduling.fires import compiled


def fires_here(job: Mapped, after: int, count: int) -> list[int]:
    """The next fires (ns) of the job as this server has them."""
    return upcoming(compiled(checked_job(job.document, now=0)), after, count)


def command_of(job: Mapped) -> ShellConfig:
    """What the runner makes of the job."""
    config = parse(job.document["executor"], job.document["executor_config"])
    assert isinstance(config, ShellConfig)
    return config


def kinds(job: Mapped) -> list[str]:
    return [change.kind.value for change in job.changes]
