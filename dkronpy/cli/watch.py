"""`dkron watch`: the nodes, what runs and what comes next, live on the whole terminal."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dkronpy.cli.exits import Exit
from dkronpy.cli.output import plain, state_style
from dkronpy.cli.parser import add_command
from dkronpy.cli.times import show_elapsed, show_relative
from dkronpy.client import Unavailable, Unreachable

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Member

_LINES: Final = 3
"""Lines of a table besides its rows: title, header, and the gap below."""


def add_commands(commands: Subcommands) -> None:
    watch = add_command(
        commands,
        "watch",
        watch_cluster,
        "show the nodes, what runs and what comes next, live",
        more="It goes on while the server is away, until Ctrl-C. Without a terminal it shows all once.",
        examples=["dkron watch", "dkron watch --once"],
    )
    watch.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks (default: 1)")
    watch.add_argument("--once", action="store_true", help="look once and leave")


def watch_cluster(context: Context, arguments: Namespace) -> Exit:
    from rich.console import Console

    if context.output.form.structured:
        context.output.data({"overview": context.client.overview(), "members": context.client.members()})
        return Exit.OK
    console = Console(file=sys.stdout)
    if arguments.once or not sys.stdout.isatty():
        console.print(_look(context, console, context.now))
        return Exit.OK
    _live(context, console, max(arguments.interval, 0.1))


def _live(context: Context, console: Console, interval: float) -> NoReturn:
    from rich.live import Live
    from rich.text import Text

    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                live.update(_look(context, console, datetime.now(UTC)), refresh=True)
            except (Unreachable, Unavailable) as error:
                live.update(Text(f"{plain(str(error))}; trying again …", "red"), refresh=True)
            time.sleep(interval)


def _look(context: Context, console: Console, now: datetime) -> RenderableType:
    return screen(context.client.overview(), context.client.members(), now, console.height)


def screen(overview: dict[str, Any], members: Sequence[Member], now: datetime, height: int) -> RenderableType:
    """All that is shown, within so many lines as far as the nodes leave room."""
    from rich.console import Group
    from rich.text import Text

    nodes = [_node(member, overview["leader"]) for member in members]
    left = max(height - 2 - len(nodes[: height // 3]) - 4 * _LINES, 6)
    running = [_run(run, now) for run in overview["runs"]]
    coming = [(show_relative(fire["time"], now), fire["job"]) for fire in overview["upcoming"]]
    failed = [_problem(run, now) for run in overview["problems"]]
    rooms = _rooms(left, (len(running), len(coming), len(failed)))
    tables = [
        _table("Nodes", ("NAME", "STATUS", "ROLE", "DRAINED"), nodes[: max(height // 3, 1)], 1),
        _table("Running", ("JOB", "NODE", "STATE", "FOR"), running[: rooms[0]], 2),
        _table("Next", ("WHEN", "JOB"), coming[: rooms[1]]),
        _table("Not well, last day", ("WHEN", "JOB", "STATE", "CAUSE"), failed[: rooms[2]], 2),
    ]
    return Group(_headline(overview, now), *(part for table in tables for part in (Text(), table)))


def _rooms(left: int, wanted: Sequence[int]) -> list[int]:
    """How many of the lines each table gets: as many as it wants, in turns."""
    rooms = [0] * len(wanted)
    while left > 0 and any(room < want for room, want in zip(rooms, wanted, strict=True)):
        for index, want in enumerate(wanted):
            if left > 0 and rooms[index] < want:
                rooms[index] += 1
                left -= 1
    return rooms


def _headline(overview: dict[str, Any], now: datetime) -> RenderableType:
    from rich.text import Text

    jobs, flight, day = overview["jobs"], overview["in_flight"], overview["day"]
    text = Text(f"{now.astimezone():%H:%M:%S}  ", no_wrap=True, overflow="ellipsis")
    leader = overview["leader"]
    text.append(f"leader {plain(leader)}  " if leader else "nobody leads  ", "" if leader else "bold red")
    if issues := overview["issues"]:
        text.append(plain("; ".join(map(str, issues))) + "  ", "bold red")
    if overview["pause"]["paused"]:
        reason = overview["pause"].get("reason")
        text.append("paused" + (f": {plain(reason)}" if reason else "") + "  ", "bold yellow")
    text.append(f"{jobs['total']} jobs")
    if jobs["failing"]:
        text.append(f", {jobs['failing']} failing", "red")
    text.append(f"  {flight['running'] + flight['dispatched']} running, {flight['queued']} waiting")
    text.append(f"  last day: {day['success']} ok")
    if bad := day["failed"] + day["missed"]:
        text.append(f", {bad} not", "red")
    return text


def _node(member: Member, leader: str | None) -> tuple[str, ...]:
    server = member["Tags"].get("dkron_server") == "true"
    role = "leader" if member["Name"] == leader else "server" if server else "agent"
    return member["Name"], member["statusText"], role, "drained" if member.get("drained") else ""


def _run(run: dict[str, Any], now: datetime) -> tuple[str, ...]:
    return run["job_name"], run["node_name"], run["state"], show_elapsed(run["started_at"], None, now)


def _problem(run: dict[str, Any], now: datetime) -> tuple[str, ...]:
    cause = (
        run["reason"].replace("_", " ") or run["error"] or (f"exit code {run['exit_code']}" if run["exit_code"] else "")
    )
    many = f" (×{run['count']})" if run["count"] > 1 else ""
    return show_relative(run["finished_at"] or run["fire_time"], now), run["job_name"], run["state"], cause + many


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], state: int = -1) -> RenderableType:
    """`state` is the place of the column that has a state's colour."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, expand=False)
    for index, column in enumerate(columns):
        table.add_column(Text(column, "dim"), no_wrap=True, overflow="ellipsis", ratio=1 if index else None)
    for row in rows:
        cells = [Text(plain(text), state_style(text) if index == state else "") for index, text in enumerate(row)]
        table.add_row(*cells)
    if not table.row_count:
        table.add_row(Text("nothing", "dim"))
    return table
