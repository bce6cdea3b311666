"""One method for each route."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import quote

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
from dkronpy.client.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class Client:
    """The API of one server.

    `url` is its base (`https` and a path before `/v1` are fine); `token` is sent as a bearer token; `timeout` in
    seconds bounds the connection and every wait for bytes. All methods raise `Unreachable`, `Refused` or one of its
    kinds.
    """

    def __init__(self, url: str = DEFAULT_URL, *, token: str = "", timeout: float = 30.0) -> None:
        """Raises ValueError if the URL or the token cannot be used. Does not connect yet."""
        self._http = Transport(url, token, timeout)

    @property
    def url(self) -> str:
        """The server's base address, without a slash at its end."""
        return self._http.url

    def close(self) -> None:
        """Close the connection; it is made again when needed."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # jobs

    def jobs(self, query: Mapping[str, str] | None = None) -> list[Job]:
        """All jobs, or those that the route's filters select (`q`, `status`, `disabled`, `tags[k]`, `_sort`, …)."""
        return cast("list[Job]", self._ask("GET", "/v1/jobs", query=query))

    def job(self, name: str) -> Job:
        return self.read_job(name)[0]

    def read_job(self, name: str) -> tuple[Job, str]:
        """A job and its entity tag, for `put_job`."""
        job, headers, _ = self._http.request("GET", _job(name))
        return cast("Job", job), headers.get("ETag", "")

    def put_job(self, job: Mapping[str, Any], *, etag: str = "", create: bool = False) -> Job:
        """Create or replace the job of that name. Raises `Conflict` where it has changed since it was read with `etag`,
        or, with `create`, where there is one."""
        headers = {**({"If-Match": etag} if etag else {}), **({"If-None-Match": "*"} if create else {})}
        return cast("Job", self._ask("PUT", _job(str(job["name"])), body=job, headers=headers))

    def delete_job(self, name: str) -> Job:
        return cast("Job", self._ask("DELETE", _job(name)))

    def take_job(self, name: str) -> Job:
        """Take a job over from the directory on the servers that it comes from."""
        return cast("Job", self._ask("PATCH", _job(name), query={"take": "true"}, body={}))

    def toggle_job(self, name: str) -> Job:
        """Disable an enabled job, or enable a disabled one."""
        return cast("Job", self._ask("POST", f"{_job(name)}/toggle"))

    def run_job(
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
        answer = self._ask("POST", f"{_job(name)}/run", body=body or None)
        return int(answer["run"]["group"])

    def ask_backfill(self, name: str, wanted: Mapping[str, Any]) -> BackfillAnswer:
        """Let fires of the past be run: `from`, `to`, `policy`, `parallel`; with `dry_run` only tell which."""
        return cast("BackfillAnswer", self._ask("POST", f"{_job(name)}/backfill", body=wanted))

    def backfills(self) -> list[Backfill]:
        """The newest backfill of each job that has had one."""
        return cast("list[Backfill]", self._ask("GET", "/v1/backfills"))

    def cancel_backfill(self, name: str) -> Backfill:
        """Let no more fires of a job's backfill start."""
        return cast("Backfill", self._ask("DELETE", f"{_job(name)}/backfill"))

    def graph(self, name: str | None = None) -> list[GraphJob]:
        """The jobs that run after others, or are run after; with a name, only those that it is connected with."""
        path = f"{_job(name)}/graph" if name else "/v1/graph"
        return cast("list[GraphJob]", self._ask("GET", path)["jobs"])

    def triggers(self, job: str = "") -> list[Trigger]:
        """Runs that were asked for and have not begun, of one job or of all, those that are due first."""
        return cast("list[Trigger]", self._ask("GET", f"{_job(job)}/triggers" if job else "/v1/triggers"))

    def cancel_trigger(self, job: str, group: int) -> Trigger:
        """Cancel a run that was asked for and has not begun; returns it."""
        return cast("Trigger", self._ask("DELETE", f"{_job(job)}/triggers/{group}"))

    def create_link(self, job: str, body: Mapping[str, Any]) -> Link:
        """Make a signed link, with the fields of the route. Its `path` is in this answer only."""
        return cast("Link", self._ask("POST", f"{_job(job)}/links", body=body))

    def links(self, job: str = "") -> list[Link]:
        """The signed links of one job or of all, without their tokens."""
        return cast("list[Link]", self._ask("GET", f"{_job(job)}/links" if job else "/v1/links"))

    def revoke_link(self, job: str, link: str) -> Link:
        """Returns it as it was."""
        return cast("Link", self._ask("DELETE", f"{_job(job)}/links/{quote(link, safe='')}"))

    def restore(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Store jobs with their counters, parents before their children whatever their order: all of them or none."""
        self._ask("POST", "/v1/restore", body=jobs)

    def next_fires(self, name: str, count: int) -> list[Fire]:
        return cast("list[Fire]", self._ask("GET", f"{_job(name)}/next", query={"count": str(count)})["fires"])

    def preview(self, definition: Mapping[str, Any], *, count: int = 5) -> list[Fire]:
        """The next fires of a job that need not exist, by those of its fields that say when it fires."""
        body = {**definition, "count": count}
        return cast("list[Fire]", self._ask("POST", "/v1/schedule/preview", body=body)["fires"])

    def explain(self, name: str, at: str | None = None) -> Explanation:
        """Why the job did, did not or will run at a time (RFC 3339; default: its next fire), from the records."""
        query = {"at": at} if at else None
        return cast("Explanation", self._ask("GET", f"{_job(name)}/explain", query=query))

    # concurrency groups

    def groups(self) -> list[ConcurrencyGroup]:
        """Those that are defined, or that jobs name."""
        return cast("list[ConcurrencyGroup]", self._ask("GET", "/v1/groups"))

    def group(self, name: str) -> ConcurrencyGroup:
        return cast("ConcurrencyGroup", self._ask("GET", f"/v1/groups/{quote(name, safe='')}"))

    def define_group(self, name: str, places: int, description: str = "", *, take: bool = False) -> ConcurrencyGroup:
        """Define a concurrency group, or change it; with `take` also one that comes from a directory on the servers."""
        body = {"max": places, "description": description}
        query = {"take": "true"} if take else None
        return cast("ConcurrencyGroup", self._ask("PUT", f"/v1/groups/{quote(name, safe='')}", query=query, body=body))

    def undefine_group(self, name: str, *, take: bool = False) -> ConcurrencyGroup:
        """Returns it as it was. With `take` also one that comes from a directory on the servers."""
        query = {"take": "true"} if take else None
        return cast("ConcurrencyGroup", self._ask("DELETE", f"/v1/groups/{quote(name, safe='')}", query=query))

    # calendars

    def calendars(self) -> list[Calendar]:
        return cast("list[Calendar]", self._ask("GET", "/v1/calendars"))

    def calendar(self, name: str) -> Calendar:
        return cast("Calendar", self._ask("GET", f"/v1/calendars/{quote(name, safe='')}"))

    def put_calendar(self, name: str, calendar: Mapping[str, Any]) -> Calendar:
        """Create or replace a calendar; what it excludes holds for fires from now on."""
        return cast("Calendar", self._ask("PUT", f"/v1/calendars/{quote(name, safe='')}", body=calendar))

    def delete_calendar(self, name: str) -> Calendar:
        """Returns it as it was. Raises `Conflict` while jobs name it."""
        return cast("Calendar", self._ask("DELETE", f"/v1/calendars/{quote(name, safe='')}"))

    # executions

    def executions(
        self, job: str = "", query: Mapping[str, str] | None = None, *, limit: int = 0, page: int = 100
    ) -> Iterator[Execution]:
        """Executions, newest first, of one job or of all; at most `limit` (0: all).

        They are fetched as they are needed, `page` at once; in pages of more than 100 each output is shortened more.
        """
        path = f"{_job(job)}/executions" if job else "/v1/executions"
        cursor: str | None = ""
        left = limit
        while cursor is not None:
            wanted = {**(query or {}), "limit": str(min(left, page) if limit else page)}
            page_query = {**wanted, "cursor": cursor} if cursor else wanted
            answer, headers, _ = self._http.request("GET", path, query=page_query)
            found = cast("list[Execution]", answer)
            yield from found[:left] if limit else found
            left -= len(found)
            # A page of a search may be empty before the end.
            cursor = headers.get("X-Next-Cursor") if left > 0 or not limit else None

    def add_executions(self, job: str, executions: Sequence[Mapping[str, Any]]) -> int:
        """Write finished executions from elsewhere into a job's history; returns how many."""
        return int(self._ask("POST", f"{_job(job)}/executions", body=executions)["stored"])

    def execution(self, job: str, execution: str) -> Execution:
        return cast("Execution", self._ask("GET", _execution(job, execution)))

    def output(self, job: str, execution: str, offset: int = 0) -> Iterator[Chunk]:
        """What is stored of a run's output from byte `offset` on, or from where it is still kept."""
        query = {"offset": str(offset)}
        with self._http.stream(f"{_execution(job, execution)}/output", query, "*/*") as stream:
            position = int(stream.headers.get("X-Output-Start", offset))
            for data in stream.chunks():
                yield Chunk(position, data)
                position += len(data)

    def follow(self, job: str, execution: str, offset: int = 0) -> Iterator[Piece]:
        """A run's output from byte `offset` on, as it appears; ends when the run does."""
        query = {"follow": "true", "offset": str(offset)}
        with self._http.stream(f"{_execution(job, execution)}/output", query, "text/event-stream") as stream:
            for event, data, id in stream.events():
                if event == "end":
                    return
                if event == "output":
                    piece = json.loads(data)
                    yield Piece(piece["offset"], int(id), piece["data"])
        raise Unreachable(f"{self.url} broke the connection off while the run went on")

    def kill(self, job: str, execution: str) -> Execution:
        """Ask for an end of a run: TERM to all its processes, KILL after a grace."""
        return cast("Execution", self._ask("POST", f"{_execution(job, execution)}/kill"))

    def stats(self, days: int = 30) -> list[Day]:
        """Successes and failures of each of the last days, by UTC date, oldest first."""
        return cast("list[Day]", self._ask("GET", "/v1/stats", query={"days": str(days)})["stats"])

    def overview(self) -> dict[str, Any]:
        """Whether the cluster is well, what runs, what went wrong in the last day, and what comes next."""
        return cast("dict[str, Any]", self._ask("GET", "/v1/overview"))

    def busy(self) -> list[Execution]:
        """What runs now, on all nodes."""
        return cast("list[Execution]", self._ask("GET", "/v1/busy"))

    # cluster

    def members(self) -> list[Member]:
        return cast("list[Member]", self._ask("GET", "/v1/members"))

    def leader(self) -> Member:
        """The member that leads; `Unavailable` when none does."""
        return cast("Member", self._ask("GET", "/v1/leader"))

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether this server is well, and what it says of itself: who leads, its store, what is wrong."""
        answer, _, status = self._http.request("GET", "/health", fine=503)
        return status == 200, cast("dict[str, Any]", answer)

    def index(self) -> dict[str, dict[str, str]]:
        """This server in short: `agent` (with its name), `serf` and `tags`."""
        return cast("dict[str, dict[str, str]]", self._ask("GET", "/v1"))

    def leave(self) -> None:
        """Let this server leave the cluster and stop."""
        self._ask("POST", "/v1/leave")

    def drain(self, node: str) -> Member:
        """Let a node get no more runs by jobs' tags."""
        return cast("Member", self._ask("POST", f"/v1/nodes/{quote(node, safe='')}/drain"))

    def undrain(self, node: str) -> Member:
        """Let a node get runs again."""
        return cast("Member", self._ask("POST", f"/v1/nodes/{quote(node, safe='')}/undrain"))

    def peers(self) -> list[Peer]:
        """The servers that take part in the election, as this one sees them."""
        return cast("list[Peer]", self._ask("GET", "/v1/raft/peers"))

    def keys(self) -> KeyReport:
        """The keys of all nodes; needs a token of scope write."""
        return cast("KeyReport", self._ask("GET", "/v1/keyring"))

    def change_keys(self, operation: str, key: str) -> KeyReport:
        """`install`, `use` or `remove` a key, in base64, on all nodes."""
        return cast("KeyReport", self._ask("POST", f"/v1/keyring/{operation}", body={"key": key}))

    def settings(self) -> ClusterSettings:
        """What holds in the whole cluster."""
        return cast("ClusterSettings", self._ask("GET", "/v1/settings"))

    def put_settings(self, env: Mapping[str, str]) -> ClusterSettings:
        """Replace what holds in the whole cluster."""
        return cast("ClusterSettings", self._ask("PUT", "/v1/settings", body={"env": dict(env)}))

    def paused(self) -> Pause:
        return cast("Pause", self._ask("GET", "/v1/pause"))

    def pause(self, reason: str = "") -> Pause:
        """Pause all scheduling in the whole cluster; runs in flight go on."""
        return cast("Pause", self._ask("POST", "/v1/pause", body={"reason": reason}))

    def unpause(self) -> Pause:
        return cast("Pause", self._ask("POST", "/v1/unpause"))

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON that a route answers with; the options are those of the transport's `request`."""
        return self._http.request(method, path, **options)[0]


def _job(name: str) -> str:
    return f"/v1/jobs/{quote(name, safe='')}"


def _execution(job: str, execution: str) -> str:
    return f"{_job(job)}/executions/{quote(execution, safe='')}"
