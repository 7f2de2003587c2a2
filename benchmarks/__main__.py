"""The command: ``python -m benchmarks``, or ``make bench``."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks import deadlines, environment, instruments, traversal
from benchmarks.clients import CLIENTS
from benchmarks.command import common_options, positive, progress, understood
from benchmarks.conditions import ConditionsError, check_environment, rounds_of_requests
from benchmarks.finds import FINDS
from benchmarks.measuring import interleaved
from benchmarks.report import Report, Table
from benchmarks.server import Server
from benchmarks.telemetry import logs_at_info
from benchmarks.traversers import TRAVERSERS

if TYPE_CHECKING:
    from collections.abc import Sequence

FINDS_PER_REQUEST = 200
"""A find is so much shorter than a request that a block has to hold more of them."""

SUBJECTS = (*CLIENTS, instruments.NAME, *FINDS, traversal.NAME, *deadlines.CALLERS)
"""The names of all that is measured."""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What Sleepwalker costs, as ratios beside other clients, from one run.",
    )
    common_options(parser)
    parser.add_argument(
        "--only",
        type=_names,
        metavar="NAME,...",
        default=[*SUBJECTS],
        help=f"measure only these of: {', '.join(SUBJECTS)}",
    )
    parser.add_argument(
        "--resources",
        type=positive,
        default=traversal.RESOURCES,
        metavar="N",
        help="resources of each traversal; %(default)s by default",
    )
    return understood(parser, arguments)


def run(settings: argparse.Namespace) -> Report:
    """Check the conditions, measure, and say what was measured.

    :raises ConditionsError: when the conditions don't hold
    """
    check_environment()
    if settings.cpus == "one":
        environment.keep_to_one_cpu()
    tables = []
    with logs_at_info():
        if chosen := [name for name in CLIENTS if name in settings.only]:
            tables.append(_requests(chosen, settings))
        if instruments.NAME in settings.only:
            tables.append(instruments.table(settings))
        if chosen := [name for name in FINDS if name in settings.only]:
            tables.append(_finds(chosen, settings))
        if traversal.NAME in settings.only:
            tables.append(traversal.table([*TRAVERSERS], settings))
    late: list[deadlines.Overshoot] = []
    if chosen := [name for name in deadlines.CALLERS if name in settings.only]:
        late = deadlines.measured(
            chosen,
            rounds=settings.rounds,
            seed=settings.seed,
            begun=progress("deadlines", min(settings.rounds, deadlines.MOST_ROUNDS)),
        )
    return Report(
        {"rounds": settings.rounds, "requests": settings.requests, "seed": settings.seed},
        environment.machine(),
        environment.versions(),
        tables,
        late,
        deadlines.figures(late),
    )


def _requests(names: Sequence[str], settings: argparse.Namespace) -> Table:
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        subjects = [CLIENTS[name](server.url, stack) for name in names]
        rounds = rounds_of_requests(
            subjects,
            server,
            rounds=settings.rounds,
            operations=settings.requests,
            seed=settings.seed,
            begun=progress("requests", settings.rounds),
        )
    return Table(
        "one JSON GET", settings.requests, ("µs", 1e6), ("urllib3", "requests", "by-hand"), rounds
    )


def _finds(names: Sequence[str], settings: argparse.Namespace) -> Table:
    operations = settings.requests * FINDS_PER_REQUEST
    with ExitStack() as stack:
        rounds = interleaved(
            [FINDS[name](stack) for name in names],
            rounds=settings.rounds,
            operations=operations,
            seed=settings.seed,
            begun=progress("finds", settings.rounds),
        )
    return Table("find that hits", operations, ("ns", 1e9), ("find-2.0",), rounds)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        msg = f"no such subject: {', '.join(unknown)}"
        raise argparse.ArgumentTypeError(msg)
    return names


def main() -> int:
    """Run the benchmarks and print the report."""
    settings = options()
    environment.enter()
    try:
        report = run(settings)
    except ConditionsError as error:
        print(f"The conditions of a run don't hold: {error}", file=sys.stderr)
        return 1
    print(report.text())
    if settings.json is not None:
        settings.json.write_text(json.dumps(report.data(), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
