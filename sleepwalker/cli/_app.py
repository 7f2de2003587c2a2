"""The `sleepwalker` command, as typer sees it: options, help, exit codes. No work of its own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sleepwalker.cli import _asking, _streams, dashboards
from sleepwalker.cli._extras import needed
from sleepwalker.cli._output import OutputError
from sleepwalker.cli._streams import UNWRITTEN

if TYPE_CHECKING:
    from rich.console import Console

    from sleepwalker.cli.demo.otlp import Collector

app = typer.Typer(
    name="sleepwalker",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

of_dashboards = typer.Typer(
    name="dashboards",
    no_args_is_help=True,
    help="Grafana dashboards, Prometheus rules and what brings them up.",
)
app.add_typer(of_dashboards)

USAGE = 2
"""The exit code for options that can't be used."""
DIFFERENT = 1
"""The exit code when files would have had to be overwritten."""


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
    otlp: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where all traces and metrics go besides: a collector, as http://127.0.0.1:4318.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Three misbehaving HTTPS hosts on loopback, a workload that survives them, and the proof.

    Books, authors and reviews link to each other, each in a format of its own. Several threads
    follow the links with one ServiceManager and write reviews, and one goes round all pages and
    links, while the hosts answer 503, reset, stall and restart. Links to where nobody should go are
    refused. At the end the hosts' own counts are held against the client's.

    Exit code: 0 if every promise was kept; 1 if one was broken, or not tried: a run of a second or
    two with one thread or two has no occasion for all. After Ctrl-C the summary comes too, and the
    code is 130 if none was broken (143 after SIGTERM, 129 after SIGHUP). 2 for options that can't
    be used, 74 if the output can't be written. What a collector makes of `--otlp` changes none.
    """
    with needed("opentelemetry.sdk", "trustme"):
        from sleepwalker.cli.demo.run import Options, PortInUseError, run  # noqa: PLC0415 - extras
    console = _streams.console(_streams.output())
    options = Options(
        seconds=seconds,
        threads=threads,
        faults=faults is Switch.ON,
        port=port,
        seed=seed,
        collector=None if otlp is None else _collector(otlp),
    )
    try:
        code = run(options, console)
    except PortInUseError as error:
        typer.echo(f"sleepwalker: {error}", err=True)
        code = USAGE
    except OutputError as error:
        code = _streams.unwritten(error, to_terminal=console.is_terminal)
    raise typer.Exit(code)


app.command(context_settings=_asking.SETTINGS)(_asking.get)
app.command(context_settings=_asking.SETTINGS)(_asking.walk)


def _collector(url: str) -> Collector:
    with needed("opentelemetry.exporter", "opentelemetry.proto"):
        from sleepwalker.cli.demo.otlp import Collector  # noqa: PLC0415 - extras
    try:
        return Collector.at(url)
    except ValueError as error:
        typer.echo(f"sleepwalker: {error}", err=True)
        raise typer.Exit(USAGE) from None


@of_dashboards.command()
def export(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Where to; it is made if it isn't there.")
    ],
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
) -> None:
    """Write the dashboards and all that belongs to them into a folder.

    Files that are there already and differ are kept, and then nothing is written at all, unless
    `--force` is given.

    Exit code: 0 if all is there now; 1 if files differ; 2 if DIR can't be used; 74 if a file, or
    the output, can't be written.
    """
    console = _streams.console(_streams.output())
    try:
        code = _exported(folder, console, force=force)
    except OutputError as error:
        code = _streams.unwritten(error, to_terminal=console.is_terminal)
    raise typer.Exit(code)


def _exported(folder: str, console: Console, *, force: bool) -> int:
    """Export, and say what was written; the exit code."""
    if not folder:
        typer.echo("sleepwalker: DIR is empty; the folder that you are in is .", err=True)
        return USAGE
    try:
        written, unchanged = dashboards.export(Path(folder), force=force)
    except dashboards.DifferentError as error:
        for path in error.paths:
            typer.echo(f"{path} differs", err=True)
        typer.echo(f"sleepwalker: {error}; nothing was written; --force overwrites", err=True)
        return DIFFERENT
    except dashboards.ExportError as error:
        typer.echo(f"sleepwalker: {error}", err=True)
        return USAGE
    except dashboards.WriteError as error:
        _tell_written(error.written, console)
        typer.echo(f"sleepwalker: {error}", err=True)
        return UNWRITTEN
    _tell_written(written, console)
    there = f", {dashboards.counted(len(unchanged))} there already" if unchanged else ""
    _print(f"{dashboards.counted(len(written))} written to {folder}{there}", console)
    return 0


def _tell_written(paths: list[Path], console: Console) -> None:
    for path in paths:
        _print(f"wrote {path}", console)


def _print(line: str, console: Console) -> None:
    """Print a line as it is, however long."""
    console.print(line, markup=False, soft_wrap=True)
