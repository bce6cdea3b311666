"""The asynchronous client, written by `.ci/async_client.py` from `api.py`: edit that one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import quote

from dkronpy.client.aio_transport import AsyncTransport
from dkronpy.client.errors import Unreachable
from dkronpy.client.shapes import (
    Backfill,
    BackfillAnswer,
    Calendar,
    Chunk,
    ClusterSettings,
    ConcurrencyGroup,
    Day,
    Execution,
    Explanation,
    Fire,
    GraphJob,
    Job,
    KeyReport,
    Link,
    Member,
    Pause,
    Peer,
    Piece,
    Trigger,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
DEFAULT_URL: Final = "http://127.0.0.1:8080"


class AsyncClient:
    """The API of one server.

    `url` is its base (`https` and a path before `/v1` are fine); `token` is sent as a bearer token; `timeout` in
    seconds bounds the connection and every wait for bytes. All methods raise `Unreachable`, `Refused` or one of its
    kinds.
    """

    def __init__(self, url: str = DEFAULT_URL, *, token: str = "", timeout: float = 30.0) -> None:
        """Raises ValueError if the URL or the token cannot be used. Does not connect yet."""
        self._http = AsyncTransport(url, token, timeout)

    @property
    def url(self) -> str:
        """The server's base address, without a slash at its end."""
        return self._http.url

    async def close(self) -> None:
        """Close the connection; it is made again when needed."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def jobs(self, query: Mapping[str, str] | None = None) -> list[Job]:
        """All jobs, or those that the route's filters select (`q`, `status`, `disabled`, `tags[k]`, `_sort`, …)."""
        return cast("list[Job]", await self._ask("GET", "/v1/jobs", query=query))

    async def job(self, name: str) -> Job:
        return (await self.read_job(name))[0]

    async def read_job(self, name: str) -> tuple[Job, str]:
        """A job and its entity tag, for `put_job`."""
        job, headers, _ = await self._http.request("GET", _job(name))
        return (cast("Job", job), headers.get("ETag", ""))

    async def put_job(self, job: Mapping[str, Any], *, etag: str = "", create: bool = False) -> Job:
        """Create or replace the job of that name. Raises `Conflict` where it has changed since it was read with `etag`,
        or, with `create`, where there is one."""
        headers = {**({"If-Match": etag} if etag else {}), **({"If-None-Match": "*"} if create else {})}
        return cast("Job", await self._ask("PUT", _job(str(job["name"])), body=job, headers=headers))

    async def delete_job(self, name: str) -> Job:
        return cast("Job", await self._ask("DELETE", _job(name)))

    async def take_job(self, name: str) -> Job:
        """Take a job over from the directory on the servers that it comes from."""
        return cast("Job", await self._ask("PATCH", _job(name), query={"take": "true"}, body={}))

    async def toggle_job(self, name: str) -> Job:
        """Disable an enabled job, or enable a disabled one."""
        return cast("Job", await self._ask("POST", f"{_job(name)}/toggle"))

    async def run_job(
        self,
        name: str,
        env: Mapping[str, str] | None = None,
        *,
        parameters: Mapping[str, object] | None = None,
        at: str | None = None,
        type: str | None = None,
        description: str | None = None,
    ) -> int:
        """Ask for a run now or `at` a time (RFC 3339), with an environment and parameters of its own. Returns its
        group; the executions follow."""
        given = {
            "env": dict(env) if env else None,
            "parameters": dict(parameters) if parameters else None,
            "at": at,
            "type": type,
            "description": description,
        }
        body = {name: value for name, value in given.items() if value is not None}
        answer = await self._ask("POST", f"{_job(name)}/run", body=body or None)
        return int(answer["run"]["group"])

    async def ask_backfill(self, name: str, wanted: Mapping[str, Any]) -> BackfillAnswer:
        """Let fires of the past be run: `from`, `to`, `policy`, `parallel`; with `dry_run` only tell which."""
        return cast("BackfillAnswer", await self._ask("POST", f"{_job(name)}/backfill", body=wanted))

    async def backfills(self) -> list[Backfill]:
        """The newest backfill of each job that has had one."""
        return cast("list[Backfill]", await self._ask("GET", "/v1/backfills"))

    async def cancel_backfill(self, name: str) -> Backfill:
        """Let no more fires of a job's backfill start."""
        return cast("Backfill", await self._ask("DELETE", f"{_job(name)}/backfill"))

    async def graph(self, name: str | None = None) -> list[GraphJob]:
        """The jobs that run after others, or are run after; with a name, only those that it is connected with."""
        path = f"{_job(name)}/graph" if name else "/v1/graph"
        return cast("list[GraphJob]", (await self._ask("GET", path))["jobs"])

    async def triggers(self, job: str = "") -> list[Trigger]:
        """Runs that were asked for and have not begun, of one job or of all, those that are due first."""
        return cast("list[Trigger]", await self._ask("GET", f"{_job(job)}/triggers" if job else "/v1/triggers"))

    async def cancel_trigger(self, job: str, group: int) -> Trigger:
        """Cancel a run that was asked for and has not begun; returns it."""
        return cast("Trigger", await self._ask("DELETE", f"{_job(job)}/triggers/{group}"))

    async def create_link(self, job: str, body: Mapping[str, Any]) -> Link:
        """Make a signed link, with the fields of the route. Its `path` is in this answer only."""
        return cast("Link", await self._ask("POST", f"{_job(job)}/links", body=body))

    async def links(self, job: str = "") -> list[Link]:
        """The signed links of one job or of all, without their tokens."""
        return cast("list[Link]", await self._ask("GET", f"{_job(job)}/links" if job else "/v1/links"))

    async def revoke_link(self, job: str, link: str) -> Link:
        """Returns it as it was."""
        return cast("Link", await self._ask("DELETE", f"{_job(job)}/links/{quote(link, safe='')}"))

    async def restore(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Store jobs with their counters, parents before their children whatever their order: all of them or none."""
        await self._ask("POST", "/v1/restore", body=jobs)

    async def next_fires(self, name: str, count: int) -> list[Fire]:
        return cast("list[Fire]", (await self._ask("GET", f"{_job(name)}/next", query={"count": str(count)}))["fires"])

    async def preview(self, definition: Mapping[str, Any], *, count: int = 5) -> list[Fire]:
        """The next fires of a job that need not exist, by those of its fields that say when it fires."""
        body = {**definition, "count": count}
        return cast("list[Fire]", (await self._ask("POST", "/v1/schedule/preview", body=body))["fires"])

    async def explain(self, name: str, at: str | None = None) -> Explanation:
        """Why the job did, did not or will run at a time (RFC 3339; default: its next fire), from the records."""
        query = {"at": at} if at else None
        return cast("Explanation", await self._ask("GET", f"{_job(name)}/explain", query=query))

    async def groups(self) -> list[ConcurrencyGroup]:
        """Those that are defined, or that jobs name."""
        return cast("list[ConcurrencyGroup]", await self._ask("GET", "/v1/groups"))

    async def group(self, name: str) -> ConcurrencyGroup:
        return cast("ConcurrencyGroup", await self._ask("GET", f"/v1/groups/{quote(name, safe='')}"))

    async def define_group(
        self, name: str, places: int, description: str = "", *, take: bool = False
    ) -> ConcurrencyGroup:
        """Define a concurrency group, or change it; with `take` also one that comes from a directory on the servers."""
        body = {"max": places, "description": description}
        query = {"take": "true"} if take else None
        return cast(
            "ConcurrencyGroup", await self._ask("PUT", f"/v1/groups/{quote(name, safe='')}", query=query, body=body)
        )

    async def undefine_group(self, name: str, *, take: bool = False) -> ConcurrencyGroup:
        """Returns it as it was. With `take` also one that comes from a directory on the servers."""
        query = {"take": "true"} if take else None
        return cast("ConcurrencyGroup", await self._ask("DELETE", f"/v1/groups/{quote(name, safe='')}", query=query))

    async def calendars(self) -> list[Calendar]:
        return cast("list[Calendar]", await self._ask("GET", "/v1/calendars"))

    async def calendar(self, name: str) -> Calendar:
        return cast("Calendar", await self._ask("GET", f"/v1/calendars/{quote(name, safe='')}"))

    async def put_calendar(self, name: str, calendar: Mapping[str, Any]) -> Calendar:
        """Create or replace a calendar; what it excludes holds for fires from now on."""
        return cast("Calendar", await self._ask("PUT", f"/v1/calendars/{quote(name, safe='')}", body=calendar))

    async def delete_calendar(self, name: str) -> Calendar:
        """Returns it as it was. Raises `Conflict` while jobs name it."""
        return cast("Calendar", await self._ask("DELETE", f"/v1/calendars/{quote(name, safe='')}"))

    async def executions(
        self, job: str = "", query: Mapping[str, str] | None = None, *, limit: int = 0, page: int = 100
    ) -> AsyncGenerator[Execution,]:
        """Executions, newest first, of one job or of all; at most `limit` (0: all).

        They are fetched as they are needed, `page` at once; in pages of more than 100 each output is shortened more.
        """
        path = f"{_job(job)}/executions" if job else "/v1/executions"
        cursor: str | None = ""
        left = limit
        while cursor is not None:
            wanted = {**(query or {}), "limit": str(min(left, page) if limit else page)}
            page_query = {**wanted, "cursor": cursor} if cursor else wanted
            answer, headers, _ = await self._http.request("GET", path, query=page_query)
            found = cast("list[Execution]", answer)
            for item in found[:left] if limit else found:
                yield item
            left -= len(found)
            cursor = headers.get("X-Next-Cursor") if left > 0 or not limit else None

    async def add_executions(self, job: str, executions: Sequence[Mapping[str, Any]]) -> int:
        """Write finished executions from elsewhere into a job's history; returns how many."""
        return int((await self._ask("POST", f"{_job(job)}/executions", body=executions))["stored"])

    async def execution(self, job: str, execution: str) -> Execution:
        return cast("Execution", await self._ask("GET", _execution(job, execution)))

    async def output(self, job: str, execution: str, offset: int = 0) -> AsyncGenerator[Chunk,]:
        """What is stored of a run's output from byte `offset` on, or from where it is still kept."""
        query = {"offset": str(offset)}
        async with self._http.stream(f"{_execution(job, execution)}/output", query, "*/*") as stream:
            position = int(stream.headers.get("X-Output-Start", offset))
            async for data in stream.chunks():
                yield Chunk(position, data)
                position += len(data)

    async def follow(self, job: str, execution: str, offset: int = 0) -> AsyncGenerator[Piece,]:
        """A run's output from byte `offset` on, as it appears; ends when the run does."""
        query = {"follow": "true", "offset": str(offset)}
        async with self._http.stream(f"{_execution(job, execution)}/output", query, "text/event-stream") as stream:
            async for event, data, id in stream.events():
                if event == "end":
                    return
                if event == "output":
                    piece = json.loads(data)
                    yield Piece(piece["offset"], int(id), piece["data"])
        raise Unreachable(f"{self.url} broke the connection off while the run went on")

    async def kill(self, job: str, execution: str) -> Execution:
        """Ask for an end of a run: TERM to all its processes, KILL after a grace."""
        return cast("Execution", await self._ask("POST", f"{_execution(job, execution)}/kill"))

    async def stats(self, days: int = 30) -> list[Day]:
        """Successes and failures of each of the last days, by UTC date, oldest first."""
        return cast("list[Day]", (await self._ask("GET", "/v1/stats", query={"days": str(days)}))["stats"])

    async def overview(self) -> dict[str, Any]:
        """Whether the cluster is well, what runs, what went wrong in the last day, and what comes next."""
        return cast("dict[str, Any]", await self._ask("GET", "/v1/overview"))

    async def busy(self) -> list[Execution]:
        """What runs now, on all nodes."""
        return cast("list[Execution]", await self._ask("GET", "/v1/busy"))

    async def members(self) -> list[Member]:
        return cast("list[Member]", await self._ask("GET", "/v1/members"))

    async def leader(self) -> Member:
        """The member that leads; `Unavailable` when none does."""
        return cast("Member", await self._ask("GET", "/v1/leader"))

    async def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether this server is well, and what it says of itself: who leads, its store, what is wrong."""
        answer, _, status = await self._http.request("GET", "/health", fine=503)
        return (status == 200, cast("dict[str, Any]", answer))

    async def index(self) -> dict[str, dict[str, str]]:
        """This server in short: `agent` (with its name), `serf` and `tags`."""
        return cast("dict[str, dict[str, str]]", await self._ask("GET", "/v1"))

    async def leave(self) -> None:
        """Let this server leave the cluster and stop."""
        await self._ask("POST", "/v1/leave")

    async def drain(self, node: str) -> Member:
        """Let a node get no more runs by jobs' tags."""
        return cast("Member", await self._ask("POST", f"/v1/nodes/{quote(node, safe='')}/drain"))

    async def undrain(self, node: str) -> Member:
        """Let a node get runs again."""
        return cast("Member", await self._ask("POST", f"/v1/nodes/{quote(node, safe='')}/undrain"))

    async def peers(self) -> list[Peer]:
        """The servers that take part in the election, as this one sees them."""
        return cast("list[Peer]", await self._ask("GET", "/v1/raft/peers"))

    async def keys(self) -> KeyReport:
        """The keys of all nodes; needs a token of scope write."""
        return cast("KeyReport", await self._ask("GET", "/v1/keyring"))

    async def change_keys(self, operation: str, key: str) -> KeyReport:
        """`install`, `use` or `remove` a key, in base64, on all nodes."""
        return cast("KeyReport", await self._ask("POST", f"/v1/keyring/{operation}", body={"key": key}))

    async def settings(self) -> ClusterSettings:
        """What holds in the whole cluster."""
        return cast("ClusterSettings", await self._ask("GET", "/v1/settings"))

    async def put_settings(self, env: Mapping[str, str]) -> ClusterSettings:
        """Replace what holds in the whole cluster."""
        return cast("ClusterSettings", await self._ask("PUT", "/v1/settings", body={"env": dict(env)}))

    async def paused(self) -> Pause:
        return cast("Pause", await self._ask("GET", "/v1/pause"))

    async def pause(self, reason: str = "") -> Pause:
        """Pause all scheduling in the whole cluster; runs in flight go on."""
        return cast("Pause", await self._ask("POST", "/v1/pause", body={"reason": reason}))

    async def unpause(self) -> Pause:
        return cast("Pause", await self._ask("POST", "/v1/unpause"))

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON that a route answers with; the options are those of the transport's `request`."""
        return (await self._http.request(method, path, **options))[0]


def _job(name: str) -> str:
    return f"/v1/jobs/{quote(name, safe='')}"


def _execution(job: str, execution: str) -> str:
    return f"{_job(job)}/executions/{quote(execution, safe='')}"
