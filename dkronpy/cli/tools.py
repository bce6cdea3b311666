"""Commands that need no server: `dkron keygen` and `dkron version`."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from dkronpy import __version__
from dkronpy.cli.exits import Exit
from dkronpy.cli.parser import add_command

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands

KEY_BYTES = 16
PROTOCOL = 5
OLDEST_PROTOCOL = 2


def add_commands(commands: Subcommands) -> None:
    add_command(
        commands,
        "keygen",
        keygen,
        "print a new key for --encrypt",
        more="Every node of a cluster is given the same key. It encrypts gossip and proves nodes to each other.",
        examples=["DKRON_ENCRYPT=$(dkron keygen) dkron agent --server --bind-addr 0.0.0.0"],
    )
    add_command(commands, "version", version, "print the version, and the gossip protocols that it speaks")


def keygen(context: Context, _arguments: Namespace) -> Exit:
    """A random key in base64, bare, whatever the format."""
    context.output.line(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    return Exit.OK


def version(context: Context, _arguments: Namespace) -> Exit:
    """The two lines that Dkron prints, or the same as an object."""
    if context.output.form.structured:
        context.output.data(
            {"name": "dkronpy", "version": __version__, "protocol": PROTOCOL, "oldest_protocol": OLDEST_PROTOCOL}
        )
        return Exit.OK
    context.output.line(f"Dkron {__version__}")
    context.output.line(f"Agent Protocol: {PROTOCOL} (Understands back to: {OLDEST_PROTOCOL})")
    return Exit.OK
