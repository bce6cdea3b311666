"""Executor `shell`: a command as a process of the node."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dkronpy.model.execution import execution_id
from dkronpy.model.executors import ShellConfig
from dkronpy.model.run import RunSpec
from dkronpy.runner import process
from dkronpy.runner.directories import Directories
from dkronpy.runner.environment import environment, of_directory

_OURS: Final = ("DKRON_", "DKRONPY_")


class NotStartedError(RuntimeError):
    """There is no process. `exit_code` is what a shell would give for the command (127: not found, 126: cannot be
    executed), None where it did not come to trying the command."""

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a run may see of our own environment: all but our settings, which hold secrets."""
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}


def launch(
    config: ShellConfig, spec: RunSpec, base: Mapping[str, str], mark: str, directories: Directories
) -> process.Child:
    """Start the command. `base` is what the node's runs inherit.

    Raises: NotStartedError.
    """
    account, identity = _account(config.user, config.group) if config.user else (None, {})
    env, cwd = environment(config, spec, base, identity, time.time_ns()), config.cwd
    if config.run_dir:
        directory = _make_directory(directories, spec, account)
        given = {**spec.env, **config.env, **spec.overrides}
        env |= of_directory(config, spec, directory, directories.data_dir) | given
        cwd = config.cwd or (given["PWD"] if os.path.isdir(given.get("PWD", "")) else str(directory))
        env["PWD"] = cwd
    env[process.MARK] = mark
    argv = config.argv
    if config.append_run:
        argv += (env.get("JOB_NAME", spec.job), execution_id(spec.group, spec.attempt, spec.node))
    stdin = _stdin(config.payload)
    try:
        if cwd:
            _change_directory(cwd)
        return process.spawn(_locate(argv[0], env), argv, env, stdin, account)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise _explain(error, config.argv[0]) from error
    finally:
        os.close(stdin)
        os.chdir("/")


def _make_directory(directories: Directories, spec: RunSpec, account: process.Account | None) -> Path:
    try:
        return directories.make(spec.key, account and (account.uid, account.gid))
    except OSError as error:
        raise NotStartedError(f"run_dir: cannot be made: {error.strerror}: {error.filename}") from error


def _change_directory(path: str) -> None:
    """The process begins where we are; a runner has no other use for its working directory."""
    try:
        os.chdir(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise NotStartedError(f"cwd: cannot change to {path!r}: {reason}") from error


def _locate(command: str, environment: Mapping[str, str]) -> str:
    """The path of a command, as a shell with this environment finds it."""
    if "/" in command:
        return command
    for directory in os.get_exec_path(environment):
        path = os.path.join(directory, command)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    hint = "if a shell is to read the command, set shell to true"
    raise NotStartedError(f"command not found: {_shown(command)} is in no directory of PATH; {hint}", 127)


def _stdin(payload: bytes | None) -> int:
    """A file that holds the payload: of any size, never blocking, and there also when the runner is not."""
    try:
        if payload is None:
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        fd = os.memfd_create("payload")
        with open(fd, "wb", closefd=False) as file:
            file.write(payload)
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError as error:
        raise NotStartedError(f"cannot be given its input: {error.strerror}") from error
    return fd


def _account(user: str, group: str) -> tuple[process.Account | None, dict[str, str]]:
    """Whom `su` names (None: who we are already), and the variables that say so."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        raise NotStartedError(f"su: there is no user {user!r} on this node") from None
    try:
        gid = entry.pw_gid if not group else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise NotStartedError(f"su: there is no group {group!r} on this node") from None
    identity = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    if os.geteuid() != 0:
        if (entry.pw_uid, gid) == (os.geteuid(), os.getegid()):
            return None, identity
        raise NotStartedError(f"su: only root can run as {user!r}: run the agent as root, or as that user without su")
    return process.Account(entry.pw_uid, gid, os.getgrouplist(entry.pw_name, gid)), identity


def _explain(error: Exception, command: str) -> NotStartedError:
    """What went wrong, in words for the person who wrote the job."""
    if not isinstance(error, OSError):
        return NotStartedError(f"cannot be started: {error}")
    reason = error.strerror or str(error)
    match error.errno:
        case errno.ENOENT if Path(command).exists():
            return NotStartedError(f"cannot execute {_shown(command)}: the interpreter it names does not exist", 126)
        case errno.ENOENT | errno.ENOTDIR:
            return NotStartedError(f"command not found: {_shown(command)}", 127)
        case errno.ENOEXEC:
            return NotStartedError(f"cannot execute {_shown(command)}: add a #! line to it, or set shell to true", 126)
        case errno.EACCES | errno.EISDIR | errno.E2BIG | errno.ETXTBSY:
            return NotStartedError(f"cannot execute {_shown(command)}: {reason}", 126)
        case _:
            return NotStartedError(f"cannot be started: {reason}")


def _shown(command: str) -> str:
    return repr(command if len(command) <= 100 else command[:100] + "…")
