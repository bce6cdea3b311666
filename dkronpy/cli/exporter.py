"""`dkron exporter`: serves the figures of jobs in a history to Prometheus."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from dkronpy.cli.exits import CommandError, Exit
from dkronpy.cli.parser import count, make_parser

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands
    from dkronpy.config import Settings

_ABOUT: Final = "serve the figures of the jobs in a history to Prometheus"
_MORE: Final = """\
For those who scrape the history rather than the servers. The options of
`dkron agent` that say where things are (--history, --data-dir, --backend, …) and
--metrics-dsari-names count here too, as do variables and the configuration file."""
_EXAMPLES: Final = """examples:
  dkron exporter --data-dir /var/lib/dkron
  dkron exporter --history sqlite:/var/lib/dkron/history.db --dump"""
PORT: Final = 50575
CACHE_TIME: Final = 120


def add_commands(commands: Subcommands) -> None:
    # As for the agent: what is not the exporter's own is read by the configuration.
    exporter = commands.add_parser("exporter", help=_ABOUT, add_help=False, prefix_chars="\0")
    exporter.add_argument("words", nargs=argparse.REMAINDER)
    exporter.set_defaults(run=run_exporter)


def run_exporter(context: Context, arguments: Namespace) -> Exit:
    """Serve until TERM or INT, or print the figures once."""
    from dkronpy import config, logs

    parser = make_parser("dkron exporter", f"{_ABOUT[:1].upper()}{_ABOUT[1:]}.\n\n{_MORE}", _EXAMPLES)
    parser.add_argument("--listen-address", metavar="HOST", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--listen-port", metavar="PORT", type=count, default=PORT, help=f"default: {PORT}")
    parser.add_argument("--metrics-path", metavar="PATH", default="/metrics", help="default: /metrics")
    parser.add_argument(
        "--job-cache-time",
        metavar="SECONDS",
        type=count,
        default=CACHE_TIME,
        help=f"how old served figures may be (default: {CACHE_TIME})",
    )
    parser.add_argument("--quantiles", metavar="NUMBERS", help="the same as --metrics-quantiles")
    parser.add_argument("--dump", action="store_true", help="print the figures and end")
    own, options = parser.parse_known_args(arguments.words)
    if own.quantiles is not None:
        options.append(f"--metrics-quantiles={own.quantiles}")
    if not own.metrics_path.startswith("/"):
        raise CommandError(f"--metrics-path {own.metrics_path}: must begin with /", Exit.USAGE)
    try:
        settings = config.load(options, os.environ).settings
    except config.ConfigError as error:
        raise CommandError("the options are refused", Exit.USAGE, tuple(str(error).splitlines())) from error
    logs.configure(settings.log_level, settings.log_format, settings.node_name)
    text = asyncio.run(_exported(settings, own))
    if text is not None:
        context.output.write(text.decode())
    return Exit.OK


async def _exported(settings: Settings, own: Namespace) -> bytes | None:
    """The figures, if they are to be printed."""
    from aiohttp import web

    from dkronpy.agent.resources import StartError
    from dkronpy.agent.stores import open_history
    from dkronpy.exporter import Exporter
    from dkronpy.history.contract import HistoryError
    from dkronpy.metrics.job_figures import JobText

    async with AsyncExitStack() as stack:
        try:
            history = await stack.enter_async_context(open_history(settings))
            text = JobText(settings.metrics_quantiles, dsari=settings.metrics_dsari_names)
            exporter = Exporter(history, text, cache_time=own.job_cache_time)
            if own.dump:
                return await exporter.exposition()
        except (StartError, HistoryError) as error:
            raise CommandError(str(error)) from error
        runner = web.AppRunner(exporter.app(own.metrics_path), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, own.listen_address, own.listen_port).start()
        except OSError as error:
            raise CommandError(f"can't listen on {own.listen_address}:{own.listen_port}: {error}") from error
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
    return None
