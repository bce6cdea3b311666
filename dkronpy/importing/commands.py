"""Commands of crontabs, units and containers as an `executor_config` of executor `shell`."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from dkronpy.importing.dump import Json
from dkronpy.model.executors import ConfigError, ShellConfig, parse
from dkronpy.model.fields import check_env_name

_WORD: Final = re.compile(r"[^A-Za-z0-9_-]+")


def shell_line(command: str, env: Mapping[str, str], *, before: Iterable[str] = ()) -> Json:
    """A command line for /bin/sh, after the lines `before`."""
    return _config({"command": "\n".join([*before, command]), "shell": "true"}, env)


def argument_list(arguments: Iterable[str], env: Mapping[str, str], *, before: Iterable[str] = ()) -> Json:
    """A command that no shell reads, unless the lines `before` need one."""
    command = shlex.join(arguments)
    if lines := [*before]:
        return _config({"command": "\n".join([*lines, f"exec {command}"]), "shell": "true"}, env)
    return _config({"command": command}, env)


def payload(text: str) -> str:
    """A text for standard input."""
    return base64.b64encode(text.encode()).decode()


def program_name(command: str) -> str:
    """A name for a job from its command: that of the first program, without its path and ending."""
    for word in command.split():
        if "=" not in word and word.strip("\"'([{;&|!"):
            name = _WORD.sub("-", word.strip("\"'()[]{};&|!").rpartition("/")[2].partition(".")[0]).strip("-")
            if name:
                return name.lower()
    return "job"


def _config(config: Json, env: Mapping[str, str]) -> Json:
    for name in env:
        check_env_name(name)
    return {**config, "env": _env(dict(env))} if env else config


def _env(env: dict[str, str]) -> str:
    """As people write it where that is read back as the same, else as a JSON object."""
    text = ",".join(f"{name}={value}" for name, value in env.items())
    try:
        config = parse("shell", {"command": "true", "env": text})
    except ConfigError:
        return json.dumps(env, ensure_ascii=False)
    return text if isinstance(config, ShellConfig) and config.env == env else json.dumps(env, ensure_ascii=False)
