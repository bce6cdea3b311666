"""`dkron agent`: hands its arguments to the configuration, and runs the node."""

from __future__ import annotations

import argparse
import os
import signal
from argparse import Namespace
from typing import TYPE_CHECKING

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.parser import make_parser

if TYPE_CHECKING:
    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands

_ABOUT = "run a node: a server with --server, else one that only runs jobs"
_MORE = """\
Each option is also a variable (--http-addr is DKRON_HTTP_ADDR) and a key of
dkron.yml, .json or .toml in /etc/dkron, ~/.dkron or ./config. An option goes
before a variable, a variable before a file, a file before the default.
HUP reads the configuration again. TERM stops the node and lets its jobs run on;
a second TERM ends it at once."""
_EXAMPLES = """examples:
  dkron agent --server
  dkron agent --server --http-addr :8080 --http-token-file /etc/dkron/tokens
  dkron agent --join 10.0.0.1 --tag role=web"""


def add_commands(commands: Subcommands) -> None:
    # With a prefix that no argument has, all arguments are positional: the configuration reads the options itself.
    agent = commands.add_parser("agent", help=_ABOUT, add_help=False, prefix_chars="\0")
    agent.add_argument("agent_arguments", nargs=argparse.REMAINDER)
    agent.set_defaults(run=run_agent)


def run_agent(_context: Context, arguments: Namespace) -> int:
    """Run the node until it is stopped. Returns the agent's exit code."""
    from dkronpy import config

    given: list[str] = arguments.agent_arguments
    if "-h" in given or "--help" in given:
        parser = make_parser("dkron agent", f"{_ABOUT[:1].upper()}{_ABOUT[1:]}.\n\n{_MORE}", _EXAMPLES)
        config.add_agent_arguments(parser)
        parser.print_help()
        return Exit.OK

    hung_up: list[int] = []
    # Until the node is up no HUP and no USR1 ends it. It looks for triggers then by itself.
    signal.signal(signal.SIGHUP, lambda number, _: hung_up.append(number))
    signal.signal(signal.SIGUSR1, lambda _number, _frame: None)

    def load() -> config.Loaded:
        return config.load(given, os.environ)

    try:
        loaded = load()
    except config.ConfigError as error:
        raise CommandError("the configuration is refused", Exit.USAGE, tuple(str(error).splitlines())) from error

    from dkronpy import agent

    return agent.run(loaded, reload=load, hung_up=lambda: bool(hung_up))
