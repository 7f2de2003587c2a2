"""The `sleepwalker` command, as typer sees it: options, help, exit codes. No work of its own."""

from __future__ import annotations

import io
import shutil
import signal
import sys
from contextlib import suppress
from enum import StrEnum
from typing import IO, Annotated, cast

import typer
from rich.console import Console, ConsoleDimensions

from sleepwalker.cli._extras import needed
from sleepwalker.cli._output import Output, OutputError

app = typer.Typer(
    name="sleepwalker",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

PLAIN_SIZE = (100, 30)
"""Columns and lines where nothing says how large the output is."""
USAGE = 2
"""The exit code for options that can't be used."""
UNREAD = 1
"""The exit code when who read the output has gone."""
UNWRITTEN = 74
"""The exit code when the output can't be written, as `sysexits.h` has it."""
HUNG_UP = 128 + signal.SIGHUP
"""The exit code when the terminal has gone."""


@app.callback()
def sleepwalker() -> None:
    """The connection layer for services: one resilient, observable connection for each host."""


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


@app.command()
def demo(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="How long it runs.")] = 20,
    threads: Annotated[int, typer.Option(min=1, max=64, help="How many threads work.")] = 8,
    faults: Annotated[Switch, typer.Option(help="Whether the hosts misbehave.")] = Switch.ON,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port of /metrics; 0: any that is free.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="What the script of misbehaviour is made from.")] = 1,
) -> None:
    """Three misbehaving HTTPS hosts on loopback, a workload that survives them, and the proof.

    Books, authors and reviews link to each other. Several threads follow the links over one
    ConnectionManager and write reviews, while the hosts answer 503, reset, stall and restart.
    At the end the hosts' own counts are held against the client's.

    Exit code: 0 if every promise was kept; 1 if one was broken, or not tried: a run of a second or
    two with one thread or two has no occasion for all. After Ctrl-C the summary comes too, and the
    code is 130 if none was broken (143 after SIGTERM, 129 after SIGHUP). 2 for options that can't
    be used, 74 if the output can't be written.
    """
    with needed("opentelemetry.sdk", "trustme"):
        from sleepwalker.cli.demo.run import Options, PortInUseError, run  # noqa: PLC0415 - extras
    console = _console()
    options = Options(
        seconds=seconds, threads=threads, faults=faults is Switch.ON, port=port, seed=seed
    )
    try:
        code = run(options, console)
    except PortInUseError as error:
        typer.echo(f"sleepwalker: {error}", err=True)
        code = USAGE
    except OutputError as error:
        code = _unwritten(error, console)
    raise typer.Exit(code)


def _unwritten(error: OutputError, console: Console) -> int:
    """Say that the output can't be written, if there is anybody to say it to; the exit code."""
    if error.reader_gone:
        return UNREAD
    with suppress(OSError):  # standard error may have gone as well
        typer.echo(f"sleepwalker: {error}", err=True)
    return HUNG_UP if console.is_terminal else UNWRITTEN


def _console() -> Console:
    """Standard output: as large as it is, or `PLAIN_SIZE` where nothing says so."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A sign that the output's encoding doesn't have must not end the command.
        sys.stdout.reconfigure(errors="replace")
    file = None if sys.stdout is None else cast("IO[str]", Output(sys.stdout))
    console = Console(file=file, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        console.size = ConsoleDimensions(*shutil.get_terminal_size(PLAIN_SIZE))
    return console
