"""Commands of crontabs, units and containers as an `executor_config` of executor `shell`."""

from __future__ import annotations

import base64
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
    fitting, exports = _split(env)
    lines = [*exports, *before, command]
    return _config({"command": "\n".join(lines), "shell": "true"}, fitting)


def argument_list(arguments: Iterable[str], env: Mapping[str, str], *, before: Iterable[str] = ()) -> Json:
    """A command that no shell reads, unless an environment or the lines `before` need one."""
    fitting, exports = _split(env)
    command = shlex.join(arguments)
    lines = [*exports, *before]
    if lines:
        return _config({"command": "\n".join([*lines, f"exec {command}"]), "shell": "true"}, fitting)
    return _config({"command": command}, fitting)


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
    return {**config, "env": _text(env)} if env else config


def _split(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What `env` can hold, and lines of shell for the values that it would read as several."""
    fitting: dict[str, str] = {}
    exports: list[str] = []
    for name, value in env.items():
        check_env_name(name)
        if _reads_back({**fitting, name: value}):
            fitting[name] = value
        else:
            exports.append(f"export {name}={shlex.quote(value)}")
    return fitting, exports


def _text(env: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in env.items())


def _reads_back(env: dict[str, str]) -> bool:
    try:
        config = parse("shell", {"command": "true", "env": _text(env)})
    except ConfigError:
        return False
    return isinstance(config, ShellConfig) and config.env == env
