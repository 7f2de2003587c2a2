"""Resources per second of a traversal over many hosts, beside the same by hand.

Rules:

1. Who doesn't get every resource once, opens a connection for each request, or records less than it
   says, is not measured at all.
2. One operation is one resource. A client is made and closed within what is measured, as its
   connections are opened: a traversal is a run of its own.
3. What hosts and clients share a CPU for is in the wall time of all alike; the CPU is the client's.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks.command import progress
from benchmarks.conditions import ConditionsError
from benchmarks.measuring import interleaved
from benchmarks.tables import Findings, Table
from benchmarks.traversers import CONCURRENCY, TRAVERSERS
from benchmarks.web import Web

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from benchmarks.measuring import Subject

NAME: Final = "traversal"
"""What the table calls this."""
HOSTS: Final = 20
RESOURCES: Final = 5_000
MOST_ROUNDS: Final = 4
"""Each round takes as long as thousands of requests of each subject."""
BASELINES: Final = ("requests, threads", "httpx, threads", "httpx, asyncio")


def table(names: Sequence[str], settings: argparse.Namespace) -> Table:
    """Check and measure.

    :param settings: `rounds`, `resources` and `seed`
    :raises ConditionsError: when a subject doesn't do what it is said to
    """
    rounds = min(settings.rounds, MOST_ROUNDS)
    with ExitStack() as stack:
        web = stack.enter_context(Web(HOSTS, settings.resources))
        subjects = [TRAVERSERS[name](web, stack) for name in names]
        for subject in subjects:
            check(subject, web, settings.resources)
        measured = interleaved(
            subjects,
            rounds=rounds,
            operations=settings.resources,
            seed=settings.seed,
            begun=progress(NAME, rounds),
        )
        account = web.account()
        asked = rounds * settings.resources * len(subjects)
        if account.requests != asked:
            msg = f"all of them sent {account.requests} requests, not {asked}"
            raise ConditionsError(msg)
    return Table(
        NAME, settings.resources, ("µs", 1e6), BASELINES, measured, rate="resources/s", part=NAME
    )


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """All of them, as a part of all benchmarks."""
    del names  # a part that is measured as a whole
    return Findings([table([*TRAVERSERS], settings)])


def check(subject: Subject, web: Web, resources: int) -> None:
    """Have a subject traverse everything, and account for what it did.

    :raises ConditionsError: when that is not what it says
    """
    before = subject.evidence()
    web.account()
    total = subject.call()
    subject.settle()
    account, after = web.account(), subject.evidence()
    if total != sum(range(resources)):
        msg = f"{subject.name} did not read every resource"
        raise ConditionsError(msg)
    if account[:2] != (resources, resources):
        msg = f"{subject.name} did not get every resource once: {account}"
        raise ConditionsError(msg)
    if account.connections > HOSTS * CONCURRENCY + resources // 2:
        msg = f"{subject.name} doesn't keep its connections: {account}"
        raise ConditionsError(msg)
    for what, now, then, each in zip(after._fields, after, before, subject.each, strict=True):
        # The start is no link, and connections have spans of their own.
        if now - then < each * resources - 1 or (not each and now != then):
            msg = f"{subject.name}: {what} recorded of {resources} resources: {now - then}"
            raise ConditionsError(msg)
