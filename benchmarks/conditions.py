"""The conditions of a run, checked before anything is measured, and after it.

Rules:

1. Whoever records less than it says, sends less than it is asked to, or opens a connection for each
   request, is not measured at all.
2. Nothing is told of a run in which somebody did so later.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks import environment
from benchmarks.measuring import WARMUP, Evidence, interleaved, nothing
from benchmarks.server import DOCUMENT, Account

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.measuring import Rounds, Subject
    from benchmarks.server import Server

CALLS = 3
"""How often a subject is called to be checked."""


class ConditionsError(Exception):
    """What would be measured is not what is promised."""


def check_environment() -> None:
    """Look at the environment variables.

    :raises ConditionsError: when they are not those of a run
    """
    if faults := environment.faults(os.environ):
        raise ConditionsError("; ".join(faults))


def check_client(subject: Subject, server: Server) -> None:
    """Call a subject that gets the server's document, and account for what it did.

    :raises ConditionsError: when that is not what it says
    """
    subject.call()  # the first opens the connection
    subject.settle()
    recorded, account = subject.evidence(), server.account()
    for _ in range(CALLS):
        if subject.call() != DOCUMENT:
            msg = f"{subject.name} did not return the document"
            raise ConditionsError(msg)
    subject.settle()
    _compare_accounts(subject.name, account, server, CALLS)
    _compare_evidence(subject, recorded, CALLS)


def rounds_of_requests(
    subjects: Sequence[Subject],
    server: Server,
    *,
    rounds: int,
    operations: int,
    seed: int,
    begun: Callable[[int], object] = nothing,
) -> Rounds:
    """Check and measure subjects that get the server's document, and account for all they did.

    The parameters are those of `interleaved`.

    :raises ConditionsError: when that is not what they say
    """
    for subject in subjects:
        check_client(subject, server)
    recorded, account = [subject.evidence() for subject in subjects], server.account()
    found = interleaved(subjects, rounds=rounds, operations=operations, seed=seed, begun=begun)
    calls = rounds * (WARMUP + operations)
    _compare_accounts("all of them", account, server, calls, subjects=len(subjects))
    for subject, before in zip(subjects, recorded, strict=True):
        _compare_evidence(subject, before, calls)
    return found


def _compare_accounts(
    whose: str, before: Account, server: Server, calls: int, *, subjects: int = 1
) -> None:
    _compare(
        f"{whose}: requests and connections that the server saw",
        Account(*_less(server.account(), before)),
        Account(requests=calls * subjects, connections=0),
        calls,
    )


def _compare_evidence(subject: Subject, before: Evidence, calls: int) -> None:
    _compare(
        f"{subject.name}: what its instruments have recorded",
        Evidence(*_less(subject.evidence(), before)),
        Evidence(*(calls * each for each in subject.each)),
        calls,
    )


def _less(now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(now, before, strict=True))


def _compare(what: str, found: tuple[int, ...], promised: tuple[int, ...], calls: int) -> None:
    if found != promised:
        msg = f"{what}, in {calls} calls: {found}, not {promised}"
        raise ConditionsError(msg)
