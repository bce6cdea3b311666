"""What `executor_config` means: text values read once into the frozen configs that the runner works from.

The API checks a job with the same code before it is stored, so a stored job is one that the runner can read.
"""

from __future__ import annotations

import base64
import re
import shlex
import warnings
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from dkronpy.model.checks import NAGIOS
from dkronpy.model.duration import SECOND, parse_duration
from dkronpy.model.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXECUTORS: Final = ("http", "shell")
"""The executors there are."""

_T = TypeVar("_T")
_LONGEST_ARGUMENT: Final = 131_071  # bytes: Linux' MAX_ARG_STRLEN less the closing NUL
_LONGEST_PATTERN: Final = 10_000
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # what Go's strconv.ParseBool takes
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_ASSIGNMENT: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_NEXT_ASSIGNMENT: Final = re.compile(r",\s*(?=[A-Za-z_][A-Za-z0-9_]*=)")
_WORD: Final = re.compile(r"[^ \t\r\n]+")  # between what shlex takes for white space
_QUOTING: Final = re.compile(r"""['"\\]""")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_ACCOUNT: Final = re.compile(r"[^\s:\0]+")


class ConfigError(ValueError):
    """An `executor_config` that cannot be carried out. `problems`: (field path, message that says the mend)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems))
        self.problems = problems


class ShellConfig(msgspec.Struct, frozen=True, gc=False):
    """Of executor `shell`. Durations in ns, sizes in bytes; 0 means no limit."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    """Empty: the root directory, where the runner is."""
    user: str
    """A name or number to run as; empty: the runner's own."""
    group: str
    """A name or number; empty: the user's first group."""
    payload: bytes | None
    """What the process reads as its standard input; None: /dev/null."""
    timeout: int
    memory: int
    grace: int
    """From TERM to KILL."""
    clean_env: bool
    """Whether nothing is inherited from the node's environment."""
    run_dir: bool
    """Whether the run has a directory of its own, where it begins unless `cwd` or a PWD says otherwise."""
    append_run: bool
    """Whether the job's name and the run's id are appended to `argv`."""
    jenkins_env: bool
    """Whether the run finds the variables of a Jenkins build."""
    kill_on_shutdown: bool
    """Whether the run is ended when its node's agent is stopped."""


class HttpConfig(msgspec.Struct, frozen=True, gc=False):
    """Of executor `http`. `timeout` in ns, 0 means no limit."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    timeout: int
    codes: tuple[int, ...]
    """Status codes that are a success; empty: 200 … 299."""
    pattern: re.Pattern[str] | None
    """What must be found in the body."""
    debug: bool
    verify: bool
    """Whether the server's certificate must be valid."""
    certificate: str
    key: str
    authorities: str
    """Paths of PEM files; empty: none, none, and the system's."""


def check(executor: str, config: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is wrong with a job's executor and its config: (field path such as `executor_config.timeout`, message that
    says the mend). Empty if nothing is. Unknown keys of the config are no error, they mean nothing.
    """
    try:
        parse(executor, config)
    except ConfigError as error:
        return error.problems
    return []


def parse(executor: str, config: Mapping[str, str]) -> ShellConfig | HttpConfig:
    """Read a job's `executor_config`. Raises: ConfigError with every problem found."""
    if executor == "shell":
        return _parse_shell(config)
    if executor == "http":
        return _parse_http(config)
    raise ConfigError([("executor", f"{executor[:80]!r} is not known: write one of {', '.join(EXECUTORS)}")])


class _Reader:
    """Reads values by key and collects what is wrong with them."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self._config = config
        self.problems: list[tuple[str, str]] = []

    def read(self, key: str, parse: Callable[[str], _T], default: _T) -> _T:
        """The value of `key`; `default` where it is absent, empty or wrong."""
        text = self._config.get(key, "")
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.complain(key, str(error))
            return default

    def require(self, key: str, mend: str) -> None:
        if not self._config.get(key, "").strip():
            self.complain(key, f"is empty: {mend}")

    def complain(self, key: str, message: str) -> None:
        self.problems.append((f"executor_config.{key}", message))


def _parse_shell(config: Mapping[str, str]) -> ShellConfig:
    reader = _Reader(config)
    reader.require("command", "write the command to run")
    through_shell = reader.read("shell", _boolean, False)
    user, group = reader.read("su", _account, ("", ""))
    parsed = ShellConfig(
        argv=reader.read("command", _shell_command if through_shell else _command, ()),
        env=reader.read("env", _environment, {}),
        cwd=reader.read("cwd", _text, ""),
        user=user,
        group=group,
        payload=reader.read("payload", _base64, None),
        timeout=reader.read("timeout", parse_duration, 0),
        memory=reader.read("mem_limit", parse_size, 0),
        grace=reader.read("kill_grace", parse_duration, 10 * SECOND),
        clean_env=reader.read("clean_env", _boolean, False),
        run_dir=reader.read("run_dir", _boolean, False),
        append_run=reader.read("append_run", _boolean, False),
        jenkins_env=reader.read("jenkins_env", _boolean, False),
        kill_on_shutdown=reader.read("kill_on_shutdown", _boolean, False),
    )
    reader.read("exit_codes", _exit_codes, "")
    if parsed.jenkins_env and not parsed.run_dir:
        reader.complain("jenkins_env", "needs run_dir, which is its WORKSPACE: set run_dir to true")
    if reader.problems:
        raise ConfigError(reader.problems)
    return parsed


def _parse_http(config: Mapping[str, str]) -> HttpConfig:
    reader = _Reader(config)
    reader.require("method", "write the request's method, such as GET or POST")
    reader.require("url", "write where to send the request")
    parsed = HttpConfig(
        method=reader.read("method", _method, ""),
        url=reader.read("url", _url, ""),
        headers=reader.read("headers", _headers, ()),
        body=reader.read("body", str, ""),
        timeout=reader.read("timeout", _seconds_or_duration, 30 * SECOND),
        codes=reader.read("expectCode", _codes, ()),
        pattern=reader.read("expectBody", _pattern, None),
        debug=reader.read("debug", _boolean, False),
        verify=not reader.read("tlsNoVerifyPeer", _boolean, False),
        certificate=reader.read("tlsCertificateFile", _text, ""),
        key=reader.read("tlsCertificateKeyFile", _text, ""),
        authorities=reader.read("tlsRootCAsFile", _text, ""),
    )
    if parsed.key and not parsed.certificate:
        reader.complain("tlsCertificateFile", "is empty, but tlsCertificateKeyFile is not: write both or none")
    if reader.problems:
        raise ConfigError(reader.problems)
    return parsed


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character: remove it")
    return text


def _boolean(text: str) -> bool:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"{text[:80]!r} is neither true nor false: write one of them")


def _argument(text: str) -> str:
    if len(_text(text).encode(errors="surrogatepass")) > _LONGEST_ARGUMENT:
        raise ValueError(f"is longer than {_LONGEST_ARGUMENT} bytes, the most Linux takes: put it into a script")
    return text


def _shell_command(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", _argument(text))


def _command(text: str) -> tuple[str, ...]:
    _argument(text)
    try:
        # shlex takes its time: 40 µs for a short command.
        return tuple(shlex.split(text) if _QUOTING.search(text) else _WORD.findall(text))
    except ValueError as error:
        raise ValueError(f"cannot be split into words ({error}): close the quotation or set shell to true") from None


def _exit_codes(text: str) -> str:
    if text != NAGIOS:
        raise ValueError(f"{text[:80]!r} is not known: write {NAGIOS}, or nothing for 0 is good and all else is bad")
    return text


def _environment(text: str) -> dict[str, str]:
    if text.lstrip().startswith("{"):
        return _environment_object(text)
    env: dict[str, str] = {}
    for part in _NEXT_ASSIGNMENT.split(_text(text)):
        match = _ASSIGNMENT.fullmatch(part)
        if match is None:
            raise ValueError(f"{part[:80]!r} is not NAME=VALUE: write NAME=VALUE,NAME2=VALUE2")
        env[match[1]] = match[2]
    return env


def _environment_object(text: str) -> dict[str, str]:
    try:
        env = msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"{error}: write a JSON object of names and texts, or NAME=VALUE,NAME2=VALUE2") from None
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise ValueError(f"{name[:80]!r} can't be set in an environment: names have no '=', and nothing has NUL")
    return env


def _account(text: str) -> tuple[str, str]:
    user, colon, group = text.partition(":")
    if not _ACCOUNT.fullmatch(user) or (colon and not _ACCOUNT.fullmatch(group)):
        raise ValueError(f"{text[:80]!r} names nobody: write user or user:group")
    return user, group


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise ValueError(f"is not base64 ({error}): write the input encoded by `base64`") from None


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a request's method: write one such as GET or POST")
    return text.upper()


def _url(text: str) -> str:
    mend = "write http://host/path or https://host/path"
    if any(char <= " " or char == "\x7f" for char in text):
        raise ValueError(f"{text[:80]!r} holds white space or control characters: {mend}")
    try:
        parts = urlsplit(text)
        port_and_host = (parts.port, parts.hostname)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is not a URL ({error}): {mend}") from None
    if parts.scheme not in {"http", "https"} or not port_and_host[1]:
        raise ValueError(f"{text[:80]!r} has no host, or no scheme that is known: {mend}")
    return text


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    mend = 'write a JSON list of "Name: value"'
    try:
        lines = msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"{error}: {mend}") from None
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip()
        if not colon or not _TOKEN.fullmatch(name.strip()) or any(char in value for char in "\r\n\0"):
            raise ValueError(f"{line[:80]!r} is not a header: {mend}")
        headers.append((name.strip(), value))
    return tuple(headers)


def _seconds_or_duration(text: str) -> int:
    if text.isascii() and text.isdigit():
        text += "s"
    return parse_duration(text)


def _codes(text: str) -> tuple[int, ...]:
    codes = [code.strip() for code in text.split(",") if code.strip()]
    for code in codes:
        if not (code.isascii() and code.isdigit() and len(code) == 3):
            raise ValueError(f"{code[:80]!r} is not a status code: write codes such as 200,201, or nothing for any 2xx")
    return tuple(map(int, codes))


def _pattern(text: str) -> re.Pattern[str]:
    mend = "write a regular expression that Python's re reads"
    if len(text) > _LONGEST_PATTERN:
        raise ValueError(f"is longer than {_LONGEST_PATTERN} characters: {mend} of at most that length")
    try:
        with warnings.catch_warnings(action="ignore"):  # of spellings whose meaning may change one day
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression ({error}): {mend}") from None
