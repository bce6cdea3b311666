"""The environment of a run's process: what the node knows of it, and who goes before whom.

Later wins: what the node's runs inherit, what the node says of the run, what the leader and the cluster say (`env` of
the order), the job, the trigger.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from dkronpy.model.execution import execution_id
from dkronpy.model.executors import ShellConfig
from dkronpy.model.run import RunSpec
from dkronpy.model.times import epoch_text


def environment(
    config: ShellConfig, spec: RunSpec, inherited: Mapping[str, str], identity: Mapping[str, str], now: int
) -> dict[str, str]:
    """The environment of a run that starts `now` (ns); `identity` are the variables of the user it runs as."""
    base = clean(inherited) if config.clean_env else inherited
    return {
        **base,
        **identity,
        "PWD": config.cwd or "/",
        "START_TIME": epoch_text(now),
        **spec.env,
        **config.env,
        **spec.overrides,
    }


def clean(inherited: Mapping[str, str]) -> dict[str, str]:
    """The least that a process needs, as dsari gives it."""
    try:
        home, name = (entry := pwd.getpwuid(os.geteuid())).pw_dir, entry.pw_name
    except KeyError:  # a container's user may have no entry
        home, name = "/", str(os.geteuid())
    return {"HOME": home, "LOGNAME": name, "PATH": inherited.get("PATH") or "/usr/bin:/bin"}


def of_directory(config: ShellConfig, spec: RunSpec, directory: Path, data_dir: Path) -> dict[str, str]:
    """The variables of a run that has a directory of its own."""
    found = {
        "CI": "true",
        "RUN_DIR": str(directory),
        "JOB_DIR": str(directory.parent),
        "DATA_DIR": str(data_dir),
    }
    if config.jenkins_env:
        run = execution_id(spec.group, spec.attempt, spec.node)
        found |= {
            "BUILD_NUMBER": run,
            "BUILD_ID": run,
            "BUILD_URL": f"{directory.as_uri()}/",
            "BUILD_TAG": f"dsari-{spec.job}-{run}",
            "NODE_NAME": spec.node,
            "JENKINS_URL": f"{data_dir.as_uri()}/",
            "EXECUTOR_NUMBER": "0",
            "WORKSPACE": str(directory),
        }
    return found
