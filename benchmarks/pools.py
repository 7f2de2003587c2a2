"""Very many pools: ``python -m benchmarks.pools``.

Rules:

1. A hook makes the connections, which are never used: sockets are another matter.
2. Finds are told beside the look-ups of the same pairs in a plain dict, which is as fast as a find
   can be: what lies scattered in memory takes its time to be read, whoever reads it.
3. The pairs are made before, a block at a time, so that each find meets pairs of its caller's that
   were just made, and what is not at hand is the manager's.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from benchmarks.command import positive
from sleepwalker import Connection, ConnectionManager
from sleepwalker.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

POOLS = 100_000
FEW = 10
ROUNDS = 100
BLOCK = 500
"""Finds in a row."""
IDLE = 60.0
"""Seconds after which a pool is pruned, on a clock that is put forward."""
AUTH = ("reader", "password")


class _Hook:
    """Connects to anything.

    :param clock: what time it is
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def connect(self, host: str, auth: Any) -> Connection:
        return Connection(host, auth, clock=self._clock)


def manager_of(pools: int, clock: FakeClock) -> ConnectionManager:
    """A manager that has so many pools."""
    made = ConnectionManager(
        hooks=[_Hook(clock)], max_pools=0, idle=IDLE, registry=CollectorRegistry(), clock=clock
    )
    for number in range(pools):
        made.find(*_pair(number))
    return made


def _pair(number: int) -> tuple[str, tuple[str, str]]:
    return f"https://books-{number}.example", AUTH


def _block(find: Callable[[str, Any], Any], numbers: Sequence[int]) -> float:
    """The CPU seconds of one find."""
    pairs = [_pair(number) for number in numbers]
    begun = time.thread_time()
    for host, auth in pairs:
        find(host, auth)
    return (time.thread_time() - begun) / len(pairs)


def measured(pools: int, rounds: int, seed: int = 0) -> dict[str, Any]:
    """Measure the finds, then the pruning of all."""
    clock, turns = FakeClock(), random.Random(seed)  # noqa: S311 - an order, no secret
    few, many = manager_of(FEW, clock), manager_of(pools, clock)
    plain = {_pair(number): object() for number in range(pools)}
    gc.collect()
    gc.freeze()
    hot = [number % min(FEW, pools) for number in range(BLOCK)]
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        anywhere = [turns.randrange(pools) for _ in range(BLOCK)]
        for name, find, numbers in (
            ("few", few.find, hot),
            ("hot", many.find, hot),
            ("random", many.find, anywhere),
            ("dict, hot", lambda host, auth: plain[host, auth], hot),
            ("dict, random", lambda host, auth: plain[host, auth], anywhere),
        ):
            seconds.setdefault(name, []).append(_block(find, numbers))
    clock.advance(2 * IDLE)
    begun = time.thread_time()
    # The first to come has all pruned that nobody uses any more.
    many.find(*_pair(0))
    pruned = time.thread_time() - begun
    left = len(many.conns)
    gc.unfreeze()
    few.close()
    many.close()
    if left != 1:
        msg = f"{left} pools are left of {pools}"
        raise RuntimeError(msg)
    told: dict[str, Any] = {
        "pools": pools,
        "ns": {name: round(statistics.median(each) * 1e9) for name, each in seconds.items()},
        "ratios": {
            "hot, to 10 pools": _ratio(seconds, "hot", "few"),
            "random, to hot": _ratio(seconds, "random", "hot"),
            "the same in a plain dict": _ratio(seconds, "dict, random", "dict, hot"),
            "random, to a plain dict's": _ratio(seconds, "random", "dict, random"),
        },
        "pruning_seconds": round(pruned, 3),
    }
    return told


def _ratio(seconds: dict[str, list[float]], subject: str, baseline: str) -> float:
    pairs = zip(seconds[subject], seconds[baseline], strict=True)
    return round(statistics.median(ours / theirs for ours, theirs in pairs), 2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell it as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pools", description="What very many pools cost."
    )
    parser.add_argument("--pools", type=positive, default=POOLS, metavar="N")
    parser.add_argument("--rounds", type=positive, default=ROUNDS, metavar="N")
    settings = parser.parse_args(arguments)
    print(json.dumps(measured(settings.pools, settings.rounds), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
