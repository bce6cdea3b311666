"""`dkron shell`: an interactive Python with a client of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dkronpy.cli.exits import Exit
from dkronpy.cli.parser import add_command

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands

_BANNER = """\
dkronpy {version}, Python {python}: the server is {url}
  client           a dkronpy.client.Client: client.jobs(), client.run_job("backup"), …
  jobs()           all jobs by name
  executions(job)  the newest executions of a job, or of all
help(client) tells more; Ctrl-D leaves."""


def add_commands(commands: Subcommands) -> None:
    shell = add_command(
        commands,
        "shell",
        open_shell,
        "open an interactive Python with a client of the server",
        examples=["dkron shell", "dkron shell -c 'print(len(client.jobs()))'"],
    )
    shell.add_argument("-c", dest="code", metavar="CODE", help="run this and leave")


def open_shell(context: Context, arguments: Namespace) -> Exit:
    names = _names(context)
    if arguments.code is not None:
        exec(compile(arguments.code, "<command line>", "exec"), names)  # the user's own words, as `python -c` runs them
        return Exit.OK
    import code
    import sys

    from dkronpy import __version__

    _complete(names)
    python = ".".join(map(str, sys.version_info[:3]))
    code.interact(_BANNER.format(version=__version__, python=python, url=context.client.url), local=names, exitmsg="")
    return Exit.OK


def _names(context: Context) -> dict[str, Any]:
    import dkronpy.client
    from dkronpy.client import Execution, Job

    client = context.client

    def jobs() -> dict[str, Job]:
        """All jobs by name."""
        return {job["name"]: job for job in client.jobs()}

    def executions(job: str = "", limit: int = 20) -> list[Execution]:
        """The newest executions of a job, or of all."""
        return list(client.executions(job, limit=limit))

    errors = {name: getattr(dkronpy.client, name) for name in ("ClientError", "NotFound", "Conflict", "Unavailable")}
    return {"client": client, "jobs": jobs, "executions": executions, **errors}


def _complete(names: dict[str, Any]) -> None:
    """Let the tab key complete names, where there is readline."""
    try:
        import readline
        import rlcompleter
    except ImportError:  # a Python that is built without it
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
