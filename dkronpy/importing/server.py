"""A running Dkron, by its HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from dkronpy.client.errors import NotFound
from dkronpy.client.transport import Transport
from dkronpy.importing.dump import Dump, DumpError, from_documents

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 60.0
"""Seconds that it may take to answer: old ones read their whole store for each list."""


def read_server(url: str, progress: Callable[[int, int], None]) -> Dump:
    """All jobs and executions of the server at `url`; `progress` is told (jobs read, of how many). Raises ClientError
    and DumpError."""
    try:
        transport = Transport(url, "", TIMEOUT)
    except ValueError as error:
        raise DumpError(str(error)) from error
    try:
        jobs = cast("object", transport.request("GET", "/v1/jobs")[0])
        names = [str(name) for job in from_documents(jobs).jobs if (name := job.get("name"))]
        executions: dict[str, Any] = {}
        for number, name in enumerate(names, 1):
            try:
                executions[name] = transport.request("GET", f"/v1/jobs/{quote(name, safe='')}/executions")[0]
            except NotFound:  # deleted meanwhile, or a Dkron that answers so for none
                executions[name] = None
            progress(number, len(names))
        return from_documents(jobs, executions)
    finally:
        transport.close()
