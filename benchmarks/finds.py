"""The subjects that find a connection which is there: our manager, and what 2.0's did.

Rules:

1. Both hold the same pools and are asked for the same (host, auth) pairs in turn.
2. Ours is thread-safe and counts; 2.0's did neither, and is measured doing neither.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry

from benchmarks.apart import remote
from benchmarks.command import progress
from benchmarks.measuring import Subject, interleaved
from benchmarks.tables import Findings, Table
from benchmarks.target import Target
from sleepwalker import Connection, ConnectionManager

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

PER_REQUEST = 200
"""A find is so much shorter than a request that a block has to hold more of them."""
POOLS = 10
"""How many connections each manager holds."""
BATCH = 1000
"""How many finds are one call."""

_PAIRS = [
    (f"https://books-{number}.example", (f"reader {number}", "password")) for number in range(POOLS)
]
_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


class ManagerOf20:
    """What a find that hits cost in sleepwalker 2.0, and no more of it.

    Not 2.0's code: that package has our name, so it can't stand beside us in one process. (In an
    environment of its own it is measured too, which shows that this is no dearer.) This does what
    its `find` did on a hit: make the (host, auth) tuple, look whether it is in the dict, look it
    up, and call `logger.debug` with a message that is already formatted, whether or not it will be
    logged. It takes no lock and counts nothing.
    """

    def __init__(self) -> None:
        self.conns: dict[tuple[Any, Any], Any] = {}

    def find(self, host: Any, auth: Any) -> Any:
        """Find a connection that is there.

        :raises KeyError: when it isn't
        """
        key = (host, auth)
        if key not in self.conns:
            raise KeyError(key)
        conn = self.conns[key]
        _log.debug("connection to %s is there" % host)  # noqa: UP031 - as 2.0 did it
        return conn


def _subject(name: str, find: Callable[[Any, Any], Any]) -> Subject:
    """Finds of all pairs, in turns, in one call."""
    pairs = _PAIRS * (BATCH // POOLS)

    def sweep() -> None:
        for host, auth in pairs:
            find(host, auth)

    return Subject(name, sweep, batch=BATCH)


def _find(stack: ExitStack) -> Subject:
    manager = stack.enter_context(ConnectionManager(registry=CollectorRegistry()))
    for host, auth in _PAIRS:
        manager.add(host, auth, Connection(host, auth))
    return _subject("find", manager.find)


def _find_20(stack: ExitStack) -> Subject:
    del stack  # nothing to close
    manager = ManagerOf20()
    for host, auth in _PAIRS:
        manager.conns[host, auth] = Connection(host, auth)
    return _subject("find-2.0", manager.find)


FINDS: Mapping[str, Callable[[ExitStack], Subject]] = {"find-2.0": _find_20, "find": _find}
"""What makes each subject; the stack closes it."""

NAME: Final = "finds"
APART: Final = ("find-2.0-itself",)
BASELINES: Final = ("find-2.0",)
SUBJECTS: Final = (*FINDS, *APART)


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Measure."""
    operations = settings.requests * PER_REQUEST
    with ExitStack() as stack:
        subjects = [FINDS[name](stack) for name in names if name in FINDS]
        subjects += remote.subjects(names, Target(""), stack, settings.apart)
        rounds = interleaved(
            subjects,
            rounds=settings.rounds,
            operations=operations,
            seed=settings.seed,
            begun=progress(NAME, settings.rounds),
        )
    return Findings(
        [Table("find that hits", operations, ("ns", 1e9), ("find-2.0",), rounds, part=NAME)]
    )
