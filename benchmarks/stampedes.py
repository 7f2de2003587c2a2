"""A stampede: 64 threads find at the same moment what isn't there yet, one key or each its own.

Rules:

1. The hook takes as long as a login does, and waits for nothing but time.
2. The threads are there before the moment; told is the time from it until the last one has its
   connection.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.command import progress
from benchmarks.conditions import ConditionsError
from benchmarks.ratios import Spread
from benchmarks.tables import Findings
from sleepwalker import ConnectionManager

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME: Final = "stampede"
THREADS: Final = 64
HOOK: Final = 0.1
"""Seconds that the hook takes."""
MOST_ROUNDS: Final = 20


class Stampede(NamedTuple):
    """What became of one."""

    calls: int
    """Of the hook."""
    seconds: float


class _Hook:
    """Counts its calls, and takes its time."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def connect(self, host: Any, auth: Any) -> object:
        self.calls.append((host, auth))
        time.sleep(HOOK)
        return object()


def run(hosts: Sequence[str]) -> Stampede:
    """Let a thread find each of these hosts, all at once; a host may be there again and again."""
    hook, ends = _Hook(), [0.0] * len(hosts)
    gate = threading.Barrier(len(hosts) + 1)

    def find(number: int, host: str) -> None:
        gate.wait()
        manager.find(host, None)
        ends[number] = time.perf_counter()

    with ConnectionManager(hooks=[hook], registry=False, tracer_provider=False) as manager:
        threads = [
            threading.Thread(target=find, args=(number, host), daemon=True)
            for number, host in enumerate(hosts)
        ]
        for thread in threads:
            thread.start()
        gate.wait()
        began = time.perf_counter()
        for thread in threads:
            thread.join()
    return Stampede(len(hook.calls), max(ends) - began)


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Measure: the most calls of the hook for one key, and the time for one key each.

    :raises ConditionsError: when many keys are not that many calls
    """
    del names  # a part that is measured as a whole
    rounds = min(settings.rounds, MOST_ROUNDS)
    begun = progress(NAME, rounds)
    one_key, many_keys = [], []
    for number in range(1, rounds + 1):
        begun(number)
        one_key.append(run(["one"] * THREADS))
        many_keys.append(run([f"number {key}" for key in range(THREADS)]))
    for found in many_keys:
        if found.calls != THREADS:
            msg = f"{THREADS} keys took {found.calls} calls of the hook"
            raise ConditionsError(msg)
    return Findings(
        figures={
            "stampede.one-key": Spread.of([max(found.calls for found in one_key)]),
            "stampede.many-keys": Spread.of(found.seconds for found in many_keys),
        }
    )
