"""The command: ``python -m benchmarks``, or ``make bench``."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import deadlines, environment
from benchmarks.clients import CLIENTS
from benchmarks.conditions import ConditionsError, check_client, check_environment
from benchmarks.finds import FINDS
from benchmarks.measuring import interleaved
from benchmarks.report import Report, Table
from benchmarks.server import Server
from benchmarks.telemetry import logs_at_info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDS, QUICK_ROUNDS = 60, 8
REQUESTS = 100
FINDS_PER_REQUEST = 200
"""A find is so much shorter than a request that a block has to hold more of them."""

SUBJECTS = (*CLIENTS, *FINDS, *deadlines.CALLERS)
"""The names of all that is measured."""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What Sleepwalker costs, as ratios beside other clients, from one run.",
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help=f"rounds; {ROUNDS} by default"
    )
    parser.add_argument(
        "--requests",
        type=_positive,
        default=REQUESTS,
        metavar="N",
        help="requests that each client sends in a round; %(default)s by default",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds: a first impression"
    )
    parser.add_argument(
        "--only",
        type=_names,
        metavar="NAME,...",
        default=[*SUBJECTS],
        help=f"measure only these of: {', '.join(SUBJECTS)}",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the order within rounds"
    )
    parser.add_argument(
        "--cpus",
        choices=("one", "all"),
        default="one",
        help="what client and server run on; %(default)s by default, which is steadier",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything here")
    made = parser.parse_args(arguments)
    if made.rounds is None:
        made.rounds = QUICK_ROUNDS if made.quick else ROUNDS
    return made


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
        if chosen := [name for name in FINDS if name in settings.only]:
            tables.append(_finds(chosen, settings))
    late: list[deadlines.Overshoot] = []
    if chosen := [name for name in deadlines.CALLERS if name in settings.only]:
        late = deadlines.measured(
            chosen,
            rounds=settings.rounds,
            seed=settings.seed,
            begun=_progress("deadlines", min(settings.rounds, deadlines.MOST_ROUNDS)),
        )
    return Report(
        {"rounds": settings.rounds, "requests": settings.requests, "seed": settings.seed},
        environment.machine(),
        environment.versions(),
        tables,
        late,
    )


def _requests(names: Sequence[str], settings: argparse.Namespace) -> Table:
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        subjects = [CLIENTS[name](server.url, stack) for name in names]
        for subject in subjects:
            check_client(subject, server)
        rounds = interleaved(
            subjects,
            rounds=settings.rounds,
            operations=settings.requests,
            seed=settings.seed,
            begun=_progress("requests", settings.rounds),
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
            begun=_progress("finds", settings.rounds),
        )
    return Table("find that hits", operations, ("ns", 1e9), ("find-2.0",), rounds)


def _progress(what: str, rounds: int) -> Callable[[int], None]:
    """Tell a person who waits how far it is."""

    def begun(number: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if number == rounds else ""
            print(f"\r{what}: round {number} of {rounds}", end=end, file=sys.stderr, flush=True)

    return begun


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text} is not 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


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
