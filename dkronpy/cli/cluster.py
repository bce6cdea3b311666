"""`dkron status`, `members`, `raft list-peers`, `leave`, `pause` and `unpause`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import Column, Field, Listing, pairs, state_style
from dkronpy.cli.parser import add_command, add_group
from dkronpy.cli.times import show_time

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.client import Member

_ADDRESS_TAG: Final = "http_addr"
"""The tag by which a server tells its API's address."""
_OWN_TAGS: Final = frozenset(
    [
        "dkron_server",
        "dkron_version",
        "dkron_rpc_addr",
        "role",
        "server",
        "region",
        "dc",
        "version",
        "rpc_addr",
        "port",
        "node",
        _ADDRESS_TAG,
    ]
)


def add_commands(commands: Subcommands) -> None:
    add_command(
        commands,
        "status",
        show_status,
        "show the leader, the server's health, and whether scheduling is paused",
        more="Exit code 1 if the server is not well, 4 if nobody leads.",
        examples=["dkron status --api http://10.0.0.1:8080"],
    )
    add_command(commands, "members", list_members, "list the nodes of the cluster")
    raft = add_group(commands, "raft", "look at the election among the servers")
    add_command(
        raft, "list-peers", list_peers, "list the servers that elect a leader, as the server of --api sees them"
    )
    leave = add_command(
        commands,
        "leave",
        leave_cluster,
        "let a server leave the cluster and stop",
        more="Its jobs run on until they have ended.",
        examples=["dkron leave", "dkron leave --node n2"],
    )
    leave.add_argument("--node", metavar="NAME", help="this member, instead of the server of --api")
    pause = add_command(
        commands,
        "pause",
        pause_scheduling,
        "pause all scheduling in the whole cluster",
        more="What runs goes on. Fires that fall into the pause are recorded as skipped.",
        examples=["dkron pause 'database moves to the new host'"],
    )
    pause.add_argument("reason", metavar="REASON", nargs="?", default="")
    add_command(commands, "unpause", unpause_scheduling, "let scheduling go on")


def show_status(context: Context, _arguments: Namespace) -> Exit:
    well, health = context.client.health()
    pause = context.client.paused()
    leader, issues = health.get("leader_name"), health.get("issues", [])
    paused = ": ".join(filter(None, (f"paused since {show_time(pause.get('since'))}", pause.get("reason"))))
    context.output.fields(
        {"server": context.url, "healthy": well, "issues": issues, "leader": leader, "pause": pause},
        [
            Field("Server", context.url),
            Field("Health", "well" if well else f"not well: {', '.join(issues)}", "green" if well else "red"),
            Field("Leader", leader or "none", "" if leader else "red"),
            Field("Scheduling", paused if pause["paused"] else "on", "yellow" if pause["paused"] else ""),
        ],
    )
    return Exit.OK if well and leader else Exit.FAILED if leader else Exit.UNREACHABLE


def list_members(context: Context, _arguments: Namespace) -> Exit:
    members, leader = context.client.members(), context.client.health()[1].get("leader_name")

    def role(member: Member) -> str:
        if member["Name"] == leader:
            return "leader"
        return "server" if member["Tags"].get("dkron_server") == "true" else "agent"

    listing = Listing(
        (
            Column("NAME", lambda member: member["Name"], whole=True),
            Column("ADDRESS", lambda member: f"{member['Addr']}:{member['Port']}", rank=2),
            Column("STATUS", lambda member: member["statusText"], style=state_style),
            Column("ROLE", role, rank=1),
            Column("VERSION", lambda member: member["Tags"].get("dkron_version", ""), rank=4),
            Column("TAGS", lambda member: pairs(_users_tags(member)), rank=3),
        ),
        ("Name", "Addr", "Port", "statusText", "Tags"),
    )
    context.output.rows(members, listing, "There are no members.")
    return Exit.OK


def list_peers(context: Context, _arguments: Namespace) -> Exit:
    listing = Listing(
        (
            Column("NODE", lambda peer: peer["node"], whole=True),
            Column("ADDRESS", lambda peer: peer["address"], rank=1),
            Column("STATE", lambda peer: peer["state"], style=state_style),
        ),
        ("node", "address", "state"),
    )
    context.output.rows(context.client.peers(), listing, "There are no servers.")
    return Exit.OK


def _users_tags(member: Member) -> dict[str, str]:
    return {key: value for key, value in member["Tags"].items() if key not in _OWN_TAGS}


def leave_cluster(context: Context, arguments: Namespace) -> Exit:
    client = context.client
    if arguments.node:
        url = _api_of(client.members(), arguments.node, urlsplit(client.url).scheme)
        client = context.client_for(url)
        found = client.index()["agent"]["name"]
        if found != arguments.node:
            raise CommandError(
                f"at {url}, the address that {arguments.node} tells, is {found}; name the right one with --api"
            )
    client.leave()
    name = arguments.node or client.url
    context.output.done({"left": name}, f"{name} leaves.")
    return Exit.OK


def _api_of(members: Sequence[Member], name: str, scheme: str) -> str:
    """Where a member's API is, from its tag. Raises CommandError where there is no such member or it has no API."""
    member = next((member for member in members if member["Name"] == name), None)
    if member is None:
        known = ", ".join(member["Name"] for member in members)
        raise CommandError(f"there is no member {name}; there are: {known}", Exit.NOT_FOUND)
    host, _, port = member["Tags"].get(_ADDRESS_TAG, "").rpartition(":")
    if not host or member["Tags"].get("dkron_server") != "true":
        raise CommandError(f"{name} has no API that it could be told by: stop its agent with TERM")
    host = member["Addr"] if host.strip("[]") in ("0.0.0.0", "::") else host.strip("[]")
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def pause_scheduling(context: Context, arguments: Namespace) -> Exit:
    context.output.done(context.client.pause(arguments.reason), "Scheduling is paused; dkron unpause lets it go on.")
    return Exit.OK


def unpause_scheduling(context: Context, _arguments: Namespace) -> Exit:
    context.output.done(context.client.unpause(), "Scheduling goes on.")
    return Exit.OK
