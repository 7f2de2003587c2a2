"""The conditions of a run, checked before anything is measured, and after it.

Rules:

1. Whoever records less than it says, sends less than it is asked to, or opens a connection for each
   request where it is to keep one (or keeps one where it is to open them) is not measured at all.
2. Nothing is told of a run in which somebody did so later.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks import environment
from benchmarks.measuring import Evidence, interleaved, nothing
from benchmarks.server import DOCUMENTS, Account
from benchmarks.target import Target

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


def check_client(subject: Subject, server: Server, target: Target | None = None) -> None:
    """Call a subject that gets the target's document, and account for what it did.

    :param target: the small document over connections that are kept, by default
    :raises ConditionsError: when that is not what it says
    """
    asked = target or Target(server.url)
    calls = CALLS if subject.batch == 1 else 1
    subject.call()  # the first opens the connections
    subject.settle()
    recorded, account = subject.evidence(), server.account()
    for _ in range(calls):
        if subject.call() != DOCUMENTS[asked.path]:
            msg = f"{subject.name} did not return the document"
            raise ConditionsError(msg)
    subject.settle()
    requests = calls * subject.batch
    _compare_accounts(subject.name, account, server, asked, requests)
    _compare_evidence(subject, recorded, requests)


def rounds_of_requests(
    subjects: Sequence[Subject],
    server: Server,
    *,
    rounds: int,
    operations: int,
    seed: int,
    begun: Callable[[int], object] = nothing,
    target: Target | None = None,
) -> Rounds:
    """Check and measure subjects that get the target's document, and account for all they did.

    The parameters are those of `interleaved` and `check_client`.

    :raises ConditionsError: when that is not what they say
    """
    asked = target or Target(server.url)
    for subject in subjects:
        check_client(subject, server, asked)
    recorded, account = [subject.evidence() for subject in subjects], server.account()
    found = interleaved(subjects, rounds=rounds, operations=operations, seed=seed, begun=begun)
    calls = [rounds * subject.operations(operations) for subject in subjects]
    turns = rounds * len(subjects)
    _compare_accounts("all of them", account, server, asked, sum(calls), turns=turns)
    for subject, before, each in zip(subjects, recorded, calls, strict=True):
        _compare_evidence(subject, before, each)
    return found


def _compare_accounts(
    whose: str,
    before: Account,
    server: Server,
    target: Target,
    requests: int,
    *,
    turns: int = 0,
) -> None:
    """Compare what the server saw with what was promised.

    :param turns: how often somebody's turn came after others had theirs: some clients drop what was
        idle for seconds, and open it again in the warm-up
    """
    found = Account(*_less(server.account(), before))
    spare = turns * target.threads
    if target.threads > 1:
        # Another is opened when more of them ask at once than ever before.
        spare += target.threads
    promised = Account(requests, requests if target.fresh else min(found.connections, spare))
    what = f"{whose}: requests and connections that the server saw"
    _compare(what, found, promised, requests)


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
