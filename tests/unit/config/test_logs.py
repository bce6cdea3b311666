"""What a logged line looks like, and that nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import re
import subprocess
import sys
import threading

import pytest

from dkronpy import logs

log = logging.getLogger("dkronpy.test")


@pytest.fixture
def logged(monkeypatch):
    """Configure logging into a buffer; everything that configuring changes is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = [(sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")]
    for module, name in hooks:
        monkeypatch.setattr(module, name, getattr(module, name))
    stream = io.StringIO()

    def configure(level="info", fmt="text"):
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(level, fmt, "n1")
        return stream

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def objects(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_text(logged):
    stream = logged()
    log.info("started %s", "it", extra={"execution": "1-1-n1", "job": "backup", "epoch": 3, "attempt": 2})
    line = stream.getvalue()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z INFO  started it job=backup execution=1-1-n1 epoch=3 node=n1 attempt=2\n",
        line,
    )


def test_time_is_utc_with_milliseconds():
    record = logging.makeLogRecord({"created": 1795244400.0, "msg": "x"})
    assert logs.JsonFormatter("n").time(record) == "2026-11-21T07:00:00.000Z"


def test_another_node_can_be_named(logged):
    stream = logged()
    log.info("x", extra={"node": "n2"})
    assert stream.getvalue().endswith(" x node=n2\n")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b', r'"a\"b"'),
        ("a=b", '"a=b"'),
        ("a\nb", r'"a\nb"'),
        (None, "None"),
        ("ü", "ü"),
        ("ü x", '"ü x"'),
    ],
)
def test_values_stay_one_word(logged, value, word):
    stream = logged()
    log.info("x", extra={"job": value})
    assert f" job={word} " in stream.getvalue()


def test_a_message_cannot_pass_for_another_line(logged):
    stream = logged()
    log.info("one\n2026-11-21T07:00:00.123Z ERROR forged\x1b[0m")
    assert len(stream.getvalue().splitlines()) == 1
    assert r"one\n2026" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_json(logged):
    stream = logged(fmt="json")
    log.warning("a\n%d", 7, extra={"job": "ü", "group": 5, "level": "extra", "where": {"a": [1]}, "path": logs})
    (found,) = objects(stream)
    assert found.pop("time").endswith("Z")
    assert found.pop("path").startswith("<module")
    assert found == {
        "level": "warning",
        "logger": "dkronpy.test",
        "message": "a\n7",
        "job": "ü",
        "group": 5,
        "node": "n1",
        "level_": "extra",
        "where": {"a": [1]},
    }


class Broken:
    def __str__(self):
        raise OSError


def cycle():
    items = []
    items.append(items)
    return items


@pytest.mark.parametrize("value", [float("nan"), cycle(), {(1, 2): 3}, Broken(), "\ud800", b"\xff"])
@pytest.mark.parametrize("fmt", ["text", "json"])
def test_no_value_stops_a_line(logged, value, fmt):
    stream = logged(fmt=fmt)
    log.info("before", extra={"value": value})
    log.info("%s", value)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "before" in lines[0]
    if fmt == "json":
        assert [found["node"] for found in objects(stream)] == ["n1", "n1"]


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_exceptions_are_kept_also_with_bad_arguments(logged, fmt):
    stream = logged(fmt=fmt)
    try:
        raise LookupError("the cause")
    except LookupError:
        log.exception("%d of it", "none", stack_info=True)
    text = stream.getvalue()
    assert "%d of it ('none',) (not formatted: TypeError)" in text
    assert "LookupError: the cause" in text
    assert "Stack (most recent call last)" in text
    if fmt == "json":
        (found,) = objects(stream)
        assert found["exception"].startswith("Traceback")


def test_level_changes_at_run_time(logged):
    stream = logged("warning")
    log.info("no")
    logs.set_level("debug")
    log.debug("yes")
    assert "no " not in stream.getvalue()
    assert "yes" in stream.getvalue()
    with pytest.raises(ValueError, match="Unknown level"):
        logs.set_level("loud")


def test_configuring_again_replaces(logged):
    logged()
    stream = logged(fmt="json")
    log.info("once")
    assert len(objects(stream)) == 1


async def test_exceptions_of_forgotten_tasks_are_logged(logged):
    stream = logged(fmt="json")

    async def fail():
        raise LookupError("in a task")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    (found,) = objects(stream)
    assert found["level"] == "error"
    assert "LookupError: in a task" in found["exception"]


def test_exceptions_of_threads_are_logged(logged):
    stream = logged(fmt="json")
    thread = threading.Thread(target=int, args=("x",), name="worker")
    thread.start()
    thread.join()
    silent = threading.Thread(target=sys.exit)
    silent.start()
    silent.join()
    (found,) = objects(stream)
    assert found["message"] == "uncaught exception in thread worker"
    assert "ValueError" in found["exception"]


def test_exceptions_that_cannot_be_raised_are_logged(logged):
    stream = logged(fmt="json")

    class Careless:
        def __del__(self):
            raise LookupError("at the end")

    del (careless := [Careless()])[0]
    assert careless == []
    (found,) = objects(stream)
    assert "LookupError: at the end" in found["exception"]


def test_the_last_exception_of_a_process_is_logged():
    code = "from dkronpy import logs; logs.configure('info', 'json', 'n1'); raise LookupError('at last')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    found = json.loads(done.stderr)
    assert (found["level"], found["message"]) == ("critical", "uncaught exception")
    assert "LookupError: at last" in found["exception"]
