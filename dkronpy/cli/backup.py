"""`dkron backup` and `dkron restore`: on the store and the history themselves, as the agent's options name them."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.parser import make_parser
from dkronpy.cli.progress import Progress

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from dkronpy.backup.file import End
    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.config import Settings
    from dkronpy.history.contract import History
    from dkronpy.store.contract import Store

_T = TypeVar("_T")

_BACKUP: Final = "write everything that a cluster keeps to a file"
_RESTORE: Final = "put a backup into a store that no server uses"
_MORE: Final = """\
FILE comes first, then options of `dkron agent` that say where things are;
variables and the configuration file (--config) count as they do for the agent.
"""
_MORE_BACKUP: Final = f"""{_MORE}
The servers may be running: what is written held at one moment. FILE is readable
by its owner only."""
_MORE_RESTORE: Final = f"""{_MORE}
The file is checked before anything is written. A store or history that is not
empty is refused; with --overwrite, which goes before the other options, it is
emptied first."""
_OVERWRITE: Final = "--overwrite"


def add_commands(commands: Subcommands) -> None:
    for name, about, run in (("backup", _BACKUP, run_backup), ("restore", _RESTORE, run_restore)):
        # As for the agent: the configuration reads the options itself.
        command = commands.add_parser(name, help=about, add_help=False, prefix_chars="\0")
        command.add_argument("words", nargs=argparse.REMAINDER)
        command.set_defaults(run=run)


def run_backup(context: Context, arguments: Namespace) -> Exit:
    words = list[str](arguments.words)
    if _asks_for_help("backup", _BACKUP, _MORE_BACKUP, "dkron backup cluster.dkron", words):
        return Exit.OK
    from dkronpy.backup.file import Writer
    from dkronpy.backup.take import PAGE, WHOLE, take
    from dkronpy.catalog.keys import Keys
    from dkronpy.config import Backend

    path, settings = _file(words), _settings(words)
    embedded = settings.backend is Backend.EMBEDDED
    if embedded and not (settings.data_dir / "store.db").exists():
        raise CommandError(f"there is no store in the data directory {settings.data_dir}", Exit.USAGE)

    async def work(store: Store, history: History) -> End:
        with Writer(path) as writer, Progress("lines written:") as progress:
            await take(
                store,
                history,
                Keys(settings.keyspace),
                writer.write,
                backend=settings.backend,
                now=time.time_ns(),
                page=WHOLE if embedded else PAGE,
                progress=progress.told,
            )
            return writer.finish()

    end = _run(_opened(settings, work))
    context.output.done(
        {"file": str(path), "values": end.values, "executions": end.executions, "sha256": end.sha256},
        f"{path} holds {end.values} keys and {end.executions} executions.",
    )
    return Exit.OK


def run_restore(context: Context, arguments: Namespace) -> Exit:
    words = list[str](arguments.words)
    if _asks_for_help("restore", _RESTORE, _MORE_RESTORE, "dkron restore cluster.dkron --backend etcd …", words):
        return Exit.OK
    from dkronpy.agent.resources import lock, private_directory
    from dkronpy.backup.restore import restore
    from dkronpy.catalog.keys import Keys
    from dkronpy.config import Backend

    path = _file(words)
    overwrite = words[:1] == [_OVERWRITE]
    settings = _settings(words[1:] if overwrite else words)

    async def work(store: Store, history: History) -> int:
        with Progress("lines restored:") as progress:
            return await restore(
                path, store, history, Keys(settings.keyspace), overwrite=overwrite, progress=progress.told
            )

    async def held() -> int:
        if settings.backend is not Backend.EMBEDDED:
            return await _opened(settings, work)
        private_directory(settings.data_dir)
        with lock(settings.data_dir):
            return await _opened(settings, work)

    done = _run(held())
    context.output.done({"file": str(path), "lines": done}, f"{path} is restored: {done} lines.")
    return Exit.OK


def _asks_for_help(name: str, about: str, more: str, example: str, words: Sequence[str]) -> bool:
    """Whether help is asked for; prints it then."""
    if "-h" not in words and "--help" not in words:
        return False
    from dkronpy.config import Group, add_agent_arguments

    sentence = f"{about[:1].upper()}{about[1:]}."
    parser = make_parser(f"dkron {name}", f"{sentence}\n\n{more}", f"examples:\n  {example}")
    parser.usage = f"dkron {name} FILE {f'[{_OVERWRITE}] ' if name == 'restore' else ''}[OPTIONS of dkron agent]"
    add_agent_arguments(parser, [Group.STORAGE])
    parser.print_help()
    return True


def _file(words: list[str]) -> Path:
    """Take the file's name off the words."""
    if not words or words[0].startswith("-"):
        raise CommandError("the file comes first: dkron backup FILE, dkron restore FILE", Exit.USAGE)
    return Path(words.pop(0))


def _settings(options: Sequence[str]) -> Settings:
    from dkronpy import config

    try:
        return config.load(options, os.environ).settings
    except config.ConfigError as error:
        raise CommandError("the options are refused", Exit.USAGE, tuple(str(error).splitlines())) from error


async def _opened(settings: Settings, work: Callable[[Store, History], Awaitable[_T]]) -> _T:
    """Do something with the store and the history that the settings name."""
    from dkronpy.agent.stores import make_history, make_store, unopened
    from dkronpy.history.contract import HistoryError
    from dkronpy.store.contract import StoreError

    async with AsyncExitStack() as stack:
        store = make_store(settings)
        history = make_history(settings, store)
        try:
            await store.open()
            stack.push_async_callback(store.close)
            await history.open()
            stack.push_async_callback(history.close)
        except (StoreError, HistoryError, OSError) as error:
            raise unopened(settings, error) from error
        return await work(store, history)


def _run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end. Raises CommandError."""
    from dkronpy.agent.resources import StartError
    from dkronpy.backup.file import BackupError
    from dkronpy.history.contract import HistoryError
    from dkronpy.store.contract import StoreError

    try:
        return asyncio.run(coroutine)
    except (BackupError, StartError, StoreError, HistoryError) as error:
        raise CommandError(str(error)) from error
