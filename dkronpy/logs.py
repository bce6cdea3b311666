"""Logging of a process: one line a message on stderr, as text or as JSON, with structured fields.

Fields come from `extra={"job": …, "execution": …}`; every line names its node. Nothing raised is lost: exceptions that
nobody catches are logged with their traceback, those of threads too (of tasks asyncio itself logs them).
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger(__name__)

_FIRST = ("job", "execution", "group", "epoch", "node")
"""The usual fields come first, in this order."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CORE = frozenset(["time", "level", "logger", "message", "exception", "stack"])


class _Formatter(logging.Formatter):
    """What both formats share: the time, the message and the fields of a record."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def time(self, record: logging.LogRecord) -> str:
        """When it was logged, as RFC 3339 in UTC with milliseconds."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def message(self, record: logging.LogRecord) -> str:
        """The message; where its arguments do not fit, both as they are: a slip in logging hides nothing."""
        try:
            return record.getMessage()
        except Exception as error:  # noqa: BLE001 -- arguments may raise anything when formatted
            return f"{_text(record.msg)} {_text(record.args)} (not formatted: {type(error).__name__})"

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """The structured fields, the usual ones first."""
        given = {"node": self._node} | {key: value for key, value in vars(record).items() if key not in _STANDARD}
        return {key: given[key] for key in _FIRST if key in given} | given

    def traces(self, record: logging.LogRecord) -> dict[str, str]:
        """The traceback and the stack, where the record has them."""
        traces: dict[str, str] = {}
        if record.exc_info:
            traces["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            traces["exception"] = record.exc_text
        if record.stack_info:
            traces["stack"] = record.stack_info
        return traces


class TextFormatter(_Formatter):
    """`2026-11-21T07:00:00.123Z INFO  message job=backup node=n1`, with tracebacks on the lines below."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {key}={_word(value)}" for key, value in self.fields(record).items())
        line = f"{self.time(record)} {record.levelname:<5} {one_line(self.message(record))}{fields}"
        return "\n".join([line, *self.traces(record).values()])


class JsonFormatter(_Formatter):
    """One object a line: time, level, logger, message, the fields, exception and stack."""

    def format(self, record: logging.LogRecord) -> str:
        content: dict[str, Any] = {
            "time": self.time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message(record),
            **{f"{key}_" if key in _CORE else key: value for key, value in self.fields(record).items()},
            **self.traces(record),
        }
        try:
            return json.dumps(content, default=_text, allow_nan=False)
        except (TypeError, ValueError, RecursionError):  # NaN, a cycle, keys that are no text
            return json.dumps({key: _text(value) for key, value in content.items()})


def configure(level: str, fmt: str, node: str) -> None:
    """Send everything that is logged to stderr.

    `level`: debug, info, warning, error or critical. `fmt`: text or json. `node`: the name that every line carries.
    Raises: ValueError for an unknown level, KeyError for an unknown format.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter({"text": TextFormatter, "json": JsonFormatter}[fmt](node))
    set_level(level)
    logging.getLogger().handlers[:] = [handler]
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def set_level(level: str) -> None:
    """Change the least grave level that is logged. Raises: ValueError for an unknown one."""
    logging.getLogger().setLevel(level.upper())


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("uncaught exception", exc_info=(kind, error, trace))


def _uncaught_in_thread(hook: threading.ExceptHookArgs) -> None:
    if not issubclass(hook.exc_type, SystemExit):
        name = hook.thread.name if hook.thread else "unknown"
        error = hook.exc_value or hook.exc_type()
        log.critical("uncaught exception in thread %s", name, exc_info=(hook.exc_type, error, hook.exc_traceback))


def _unraisable(hook: sys.UnraisableHookArgs) -> None:
    message = hook.err_msg or "exception ignored in"
    error = hook.exc_value or hook.exc_type()
    log.error("%s %r", message, hook.object, exc_info=(hook.exc_type, error, hook.exc_traceback))


def _text(value: object) -> str:
    """A value as text, whatever its own conversion does."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 -- foreign code
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _word(value: object) -> str:
    """A value as one word: quoted where it holds blanks, quotes or what can't be printed."""
    text = _text(value)
    plain = text and text.isprintable() and not set(text) & set(' "=')
    return text if plain else json.dumps(text, ensure_ascii=not text.isprintable())


def one_line(text: str) -> str:
    """Text without line breaks and control characters, so that no message can pass for another line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
