"""The conditions of a run, checked before anything is measured.

Rule: whoever records less than it says, sends less than it is asked to, or opens a connection for
each request, is not measured at all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks import environment
from benchmarks.measuring import Evidence
from benchmarks.server import DOCUMENT, Account

if TYPE_CHECKING:
    from benchmarks.measuring import Subject
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
    _compare(
        f"{subject.name}: requests and connections that the server saw",
        Account(*_less(server.account(), account)),
        Account(requests=CALLS, connections=0),
    )
    _compare(
        f"{subject.name}: spans exported and requests in the metrics",
        Evidence(*_less(subject.evidence(), recorded)),
        Evidence(*(CALLS * each for each in subject.each)),
    )


def _less(now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(now, before, strict=True))


def _compare(what: str, found: tuple[int, ...], promised: tuple[int, ...]) -> None:
    if found != promised:
        msg = f"{what}, in {CALLS} calls: {found}, not {promised}"
        raise ConditionsError(msg)
