"""What every command is given: the server, and where and how to print."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.output import Format, Output
from dkronpy.client import DEFAULT_URL, Client

if TYPE_CHECKING:
    from argparse import Namespace


@dataclass(frozen=True)
class Context:
    """`url` and `token` lead to the server; `now` is one time for all of a command's output. Closes its connections."""

    url: str
    token: str
    output: Output
    now: datetime
    _clients: list[Client] = field(default_factory=list[Client])

    @classmethod
    def of(cls, arguments: Namespace) -> Context:
        """From the options given, the environment and the terminal."""
        form = getattr(arguments, "format", None) or (Format.PRETTY if sys.stdout.isatty() else Format.TABULAR)
        return cls(
            getattr(arguments, "api", None) or os.environ.get("DKRON_API_URL") or DEFAULT_URL,
            os.environ.get("DKRON_API_TOKEN", ""),
            Output(Format(form)),
            datetime.now(UTC),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()

    @cached_property
    def client(self) -> Client:
        """The server's API; nothing is asked of it before the first call."""
        return self.client_for(self.url)

    def client_for(self, url: str) -> Client:
        """Another server's API, with the same token."""
        try:
            client = Client(url, token=self.token)
        except ValueError as error:
            raise CommandError(str(error), Exit.USAGE) from error
        self._clients.append(client)
        return client

    def note(self, text: str) -> None:
        """A remark for people that is not the result: to standard error."""
        sys.stderr.write(f"{text}\n")
