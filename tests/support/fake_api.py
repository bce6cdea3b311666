"""A server that answers what a test tells it to, and the API's objects as it would show them."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    """`body` is sent as JSON unless it is bytes; `cut` closes the connection so many bytes before the promised end."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


class FakeServer:
    """Answers by (method, path): an `Answer`, a JSON value, or a function of the request; 404 for all else."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.requests: list[Request] = []
        self.url = ""

    def on(self, method: str, path: str, answer: Any) -> None:
        self.answers[method, path] = answer

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        found = self.answers.get((request.method, request.path))
        if callable(found):
            found = found(request)
        if found is None:
            return problem(404, f"there is nothing at {request.path}")
        return found if isinstance(found, Answer) else Answer(found)

    def seen(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]


def problem(status: int, detail: str, **errors: str) -> Answer:
    listed = [{"field": name, "message": message} for name, message in errors.items()]
    return Answer({"title": "Problem", "status": status, "detail": detail, "errors": listed}, status)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: ClassVar[FakeServer]

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(raw) if raw else None
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body)
        answer = self.fake.answer(request)
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + answer.cut))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = bool(answer.cut) or "Connection" in answer.headers

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving() -> Generator[FakeServer]:
    """A fake server on a free port."""
    fake = FakeServer()
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        http.block_on_close = False
        fake.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        http.shutdown()
        thread.join()


def make_job(name: str, **fields: Any) -> dict[str, Any]:
    """A job as the API shows it."""
    return {
        "id": name,
        "name": name,
        "displayname": "",
        "timezone": "",
        "schedule": "@every 10s",
        "owner": "",
        "owner_email": "",
        "success_count": 0,
        "error_count": 0,
        "last_success": None,
        "last_error": None,
        "disabled": False,
        "tags": None,
        "metadata": None,
        "retries": 0,
        "dependent_jobs": None,
        "parent_job": "",
        "processors": {},
        "concurrency": "allow",
        "executor": "shell",
        "executor_config": {"command": "date"},
        "status": "",
        "check": "",
        "next": "2026-11-21T12:00:10Z",
        "ephemeral": False,
        "starts_at": None,
        "expires_at": None,
        "depends_on": None,
        "retry": {"initial": "1s", "factor": 2.0, "maximum": "5m", "on": "same"},
        "catchup": {"window": "1m", "policy": "all"},
        "queue_limit": 100,
        "concurrency_groups": [],
        "priority": 0,
        "wait_for_target": "0s",
        "retention": {"count": None, "age": None, "size": None, "failed_count": None, "failed_age": None},
        "parameters": [],
        "source": "",
        "created_at": "2026-11-20T12:00:00Z",
        "updated_at": "2026-11-20T12:00:00Z",
        "running": 0,
        **fields,
    }


def make_execution(job: str, group: int, **fields: Any) -> dict[str, Any]:
    """An execution as the API shows it: a first attempt on n1 that succeeded."""
    execution = {
        "job_name": job,
        "started_at": "2026-11-21T11:00:00.5Z",
        "finished_at": "2026-11-21T11:00:02Z",
        "output": "done\n",
        "node_name": "n1",
        "group": group,
        "attempt": 1,
        "output_truncated": False,
        "state": "success",
        "fire_time": "2026-11-21T11:00:00Z",
        "decided_at": "2026-11-21T11:00:00.001Z",
        "not_before": None,
        "reason": "",
        "trigger": "schedule",
        "trigger_type": "schedule",
        "trigger_description": "",
        "trigger_data": None,
        "triggered_by": "",
        "triggered_at": None,
        "exit_code": 0,
        "error": "",
        "epoch": 1,
        "output_size": 5,
        "output_sha256": "ab" * 32,
        "return_data": {"rows": [5]},
        "check": "",
        "last_fire_time": None,
        "count": 1,
        "replaced": [],
        "env": {},
        "concurrency_group": "",
        "parents": [],
        **fields,
    }
    node = f"-{execution['node_name']}" if execution["node_name"] else ""
    return {
        "id": f"{group}-{execution['attempt']}{node}",
        "success": execution["state"] == "success",
        **execution,
    }


def make_trigger(job: str, group: int, **fields: Any) -> dict[str, Any]:
    """A run that was asked for, as the API shows it."""
    return {
        "job_name": job,
        "group": group,
        "at": "2026-11-22T03:00:00Z",
        "trigger": "manual",
        "trigger_type": "manual",
        "trigger_description": "",
        "trigger_data": None,
        "triggered_by": "api",
        "triggered_at": "2026-11-21T11:00:00Z",
        "env": {},
        **fields,
    }
