"""What each instrument adds to one `json_request`: ``python -m benchmarks.instruments``.

Rules:

1. Told are CPU's ratios to bare clients, and what is added to the same call with nothing on, all
   from one run.
2. A page has what one run gave, between two comments, and is written anew by the command alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks import environment, written
from benchmarks.budgets import TIMES
from benchmarks.command import common_options, progress, understood
from benchmarks.conditions import ConditionsError, check_environment, rounds_of_requests
from benchmarks.instrumented import BARE, INSTRUMENTED, NOTHING
from benchmarks.ratios import ratio
from benchmarks.report import adds, data_of, listed, shown, text_of
from benchmarks.server import Server
from benchmarks.tables import Findings, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "instruments"
"""What the command line of all benchmarks calls this."""
COMMAND: Final = f"python -m benchmarks.{NAME}"
HEADS: Final = ("on", *(f"CPU {TIMES} {name}" for name in BARE), "adds, µs")
_MACHINE: Final = ("python", "system", "processor")
_VERSIONS: Final = (*BARE, "structlog", "prometheus-client", "opentelemetry-sdk")
"""What a page says of the machine and of what was measured on it."""


def table(settings: argparse.Namespace) -> Table:
    """Measure.

    :raises ConditionsError: when an instrument doesn't do what it is said to
    """
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        rounds = rounds_of_requests(
            [make(server.url, stack) for make in INSTRUMENTED.values()],
            server,
            rounds=settings.rounds,
            operations=settings.requests,
            seed=settings.seed,
            begun=progress(NAME, settings.rounds),
        )
    return Table(
        NAME, settings.requests, ("µs", 1e6), BARE, rounds, plain=NOTHING, part=NAME, judged=False
    )


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """The same, as a part of all benchmarks."""
    del names  # a part that is measured as a whole
    return Findings([table(settings)])


def rows(measured: Table) -> list[list[str]]:
    """The table of a page: heads first."""
    found = [[*HEADS]]
    for name in measured.rounds:
        ratios = [
            ratio(measured.rounds, name, baseline, "process") if name != baseline else None
            for baseline in BARE
        ]
        row = [name, *(shown(each) for each in ratios), shown(adds(measured, name), 0, 1e6)]
        found.append(row)
    return found


def section(measured: Table) -> str:
    """What stands between the comments of a page: the table, and what it was measured on."""
    machine, versions = environment.machine(), environment.versions()
    about = (
        f"{len(measured.rounds[NOTHING])} rounds of {measured.operations} calls each, with "
        f"{listed({name: versions[name] for name in _VERSIONS})}, on "
        f"{', '.join(str(machine[name]) for name in _MACHINE)}."
    )
    return "\n".join(["", written.table(rows(measured)), "", about, ""])


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="What each instrument adds to one json_request, in CPU, from one run.",
    )
    common_options(parser)
    written.option(parser, COMMAND)
    return understood(parser, arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what came of it."""
    settings = options(arguments)
    try:
        check_environment()
        if settings.cpus == "one":
            environment.keep_to_one_cpu()
        measured = table(settings)
    except ConditionsError as error:
        print(f"The conditions of a run don't hold: {error}", file=sys.stderr)
        return 1
    machine, versions = environment.machine(), environment.versions()
    sizes = {"rounds": settings.rounds, "requests": settings.requests}
    print(listed(machine | sizes), listed(versions), text_of(measured), sep="\n\n")
    if settings.json is not None:
        told = {"machine": machine, "versions": versions, "table": data_of(measured)}
        settings.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if settings.write is not None:
        written.write(settings.write, COMMAND, section(measured))
    return 0


if __name__ == "__main__":
    options()  # a wrong one is told before anything is begun
    environment.enter()
    sys.exit(main())
