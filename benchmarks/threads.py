"""The same GET by 1 to 64 threads that share one client: throughput, and CPU for each request."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks import crew
from benchmarks.apart import remote
from benchmarks.clients import CLIENTS
from benchmarks.command import part_of, progress
from benchmarks.conditions import rounds_of_requests
from benchmarks.server import Server
from benchmarks.single import BASELINES, SUBJECTS
from benchmarks.tables import Findings, Table
from benchmarks.target import Target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME: Final = "threads"
COUNTS: Final = (1, 4, 16, 64)
ROUNDS: Final = 1 / 8
"""The part of the rounds that these are worth."""


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Check and measure, one number of threads after the other.

    :raises ConditionsError: when a subject doesn't do what it is said to
    """
    del names  # a part that is measured as a whole
    tables = []
    for threads in COUNTS:
        name = f"{threads} at once"
        rounds = part_of(settings.rounds, ROUNDS)
        with ExitStack() as stack:
            server = stack.enter_context(Server())
            target = Target(server.url, threads=threads)
            subjects = [make(target, stack) for make in CLIENTS.values()]
            subjects += remote.subjects(SUBJECTS, target, stack, settings.apart)
            measured = rounds_of_requests(
                subjects,
                server,
                rounds=rounds,
                operations=crew.REQUESTS,
                seed=settings.seed,
                begun=progress(name, rounds),
                target=target,
            )
        tables.append(
            Table(
                name,
                crew.REQUESTS,
                ("µs", 1e6),
                BASELINES,
                measured,
                rate="requests/s",
                part=NAME,
                judged=False,
            )
        )
    return Findings(tables)
