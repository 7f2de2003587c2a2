"""Standard output and standard error as commands use them, and how a command ends without them."""

from __future__ import annotations

import io
import shutil
import signal
import sys
from contextlib import suppress
from typing import IO, cast

import typer
from rich.console import Console, ConsoleDimensions

from sleepwalker.cli._output import Output, OutputError

PLAIN_SIZE = (100, 30)
"""Columns and lines where nothing says how large the output is."""
UNREAD = 1
"""The exit code when who read the output has gone."""
UNWRITTEN = 74
"""The exit code when the output can't be written, as `sysexits.h` has it."""
HUNG_UP = 128 + signal.SIGHUP
"""The exit code when the terminal has gone."""


def output() -> Output | None:
    """Standard output; `None` where there is none."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A sign that the output's encoding doesn't have must not end the command.
        sys.stdout.reconfigure(errors="replace")
    return None if sys.stdout is None else Output(sys.stdout)


def console(out: Output | None) -> Console:
    """What draws on an output: as large as it is, or `PLAIN_SIZE` where nothing says so."""
    return _sized(Console(file=cast("IO[str] | None", out), highlight=False))


def errors() -> Console:
    """What draws on standard error."""
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="replace")
    return _sized(Console(stderr=True, highlight=False))


def _sized(made: Console) -> Console:
    if not made.is_terminal or made.is_dumb_terminal:
        made.size = ConsoleDimensions(*shutil.get_terminal_size(PLAIN_SIZE))
    return made


def unwritten(error: OutputError, *, to_terminal: bool) -> int:
    """Say that the output can't be written, if there is anybody to say it to; the exit code."""
    if error.reader_gone:
        return UNREAD
    with suppress(OSError):  # standard error may have gone as well
        typer.echo(f"sleepwalker: {error}", err=True)
    return HUNG_UP if to_terminal else UNWRITTEN
