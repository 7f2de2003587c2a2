"""Many threads that find at once what isn't there yet: ``python -m benchmarks.stampede``.

Rules:

1. The threads are there before; what is told is from when they are let go to when all have it.
2. A hook's time is that of a login: it waits, and takes no CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry

from benchmarks.command import positive
from sleepwalker import ANONYMOUS, Connection, ConnectionManager

if TYPE_CHECKING:
    from collections.abc import Sequence

THREADS = 64
HOOK_SECONDS = 0.1
ROUNDS = 5


class Stampede(NamedTuple):
    """What became of one."""

    calls: int
    """Of the hook."""
    seconds: float
    """Until every thread had its connection."""


class _Login:
    """Takes its time to connect.

    :ivar calls: the hosts it was asked for
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def connect(self, host: str, auth: Any) -> Connection:
        self.calls.append(host)
        time.sleep(HOOK_SECONDS)
        return Connection(host, auth)


def run(keys: int, threads: int = THREADS) -> Stampede:
    """Have threads find so many keys, each one of them.

    :raises RuntimeError: when those who found one key were given different connections
    """
    hook = _Login()
    with (
        ConnectionManager(hooks=[hook], registry=CollectorRegistry()) as manager,
        ThreadPoolExecutor(threads) as crew,
    ):
        start = threading.Barrier(threads + 1)

        def find(number: int) -> Any:
            start.wait()
            return manager.find(f"https://books-{number % keys}.example", ANONYMOUS)

        finds = [crew.submit(find, number) for number in range(threads)]
        start.wait()
        begun = time.perf_counter()
        found = {id(each.result()) for each in finds}
        seconds = time.perf_counter() - begun
    if len(found) != keys:
        msg = f"{len(found)} connections were found for {keys} keys"
        raise RuntimeError(msg)
    return Stampede(len(hook.calls), seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell it as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stampede",
        description="Many threads that find at once what isn't there yet.",
    )
    parser.add_argument("--rounds", type=positive, default=ROUNDS, metavar="N")
    settings = parser.parse_args(arguments)
    told = {}
    for keys in (1, THREADS):
        runs = [run(keys) for _ in range(settings.rounds)]
        told[f"{keys} keys"] = {
            "threads": THREADS,
            "hook_calls": max(each.calls for each in runs),
            "median_seconds": round(sorted(each.seconds for each in runs)[len(runs) // 2], 3),
            "worst_seconds": round(max(each.seconds for each in runs), 3),
        }
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
