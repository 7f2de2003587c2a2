"""One JSON GET after the other over a connection that is kept: what the budgets are about."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks.apart import remote
from benchmarks.clients import CLIENTS
from benchmarks.command import progress
from benchmarks.conditions import rounds_of_requests
from benchmarks.server import Server
from benchmarks.tables import Findings, Table
from benchmarks.target import Target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME: Final = "clients"
BASELINES: Final = ("urllib3", "requests", "by-hand")
APART: Final = ("niquests", "sleepwalker-2.0")
SUBJECTS: Final = (*CLIENTS, *APART)


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Check and measure.

    :raises ConditionsError: when a subject doesn't do what it is said to
    """
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        target = Target(server.url)
        subjects = [CLIENTS[name](target, stack) for name in names if name in CLIENTS]
        subjects += remote.subjects(names, target, stack, settings.apart)
        rounds = rounds_of_requests(
            subjects,
            server,
            rounds=settings.rounds,
            operations=settings.requests,
            seed=settings.seed,
            begun=progress(NAME, settings.rounds),
        )
    return Findings(
        [Table("one JSON GET", settings.requests, ("µs", 1e6), BASELINES, rounds, part=NAME)]
    )
