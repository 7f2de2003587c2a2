"""Very many pools: what each weighs, what it takes to find one, and to prune them all.

Run as a program it measures in a process of its own, so
that nothing that was there before is taken for a pool's, and tells a line of JSON.

Rules:

1. Pools are established by a hook, each with a user and a password of its own: those put in by
   `add` are never pruned.
2. A pool's weight is what the process has grown by, not what its objects say.
3. Whoever looks a key up has one that is equal to the pool's, and its own object: no look-up is won
   by being handed the very object that is held.
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry

from benchmarks.command import part_of, progress
from benchmarks.conditions import ConditionsError
from benchmarks.environment import ROOT
from benchmarks.measuring import Cost, Subject, interleaved
from benchmarks.process import KIB, allow_open_files, resident
from benchmarks.ratios import Spread
from benchmarks.server import PATH, Server
from benchmarks.tables import Findings, Table
from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME: Final = "pools"
POOLS: Final = 100_000
USED: Final = 2_000
"""Pools that make a request each: each has a socket, and a process has not 100,000."""
FEW: Final = 10
"""Of the manager that is compared with, and how many keys are hot."""
BATCH: Final = 10_000
"""Finds of one call."""
ROUNDS: Final = 1 / 3
WARM_UP: Final = 250
"""Pools before those that count: more than have labels of their own."""

Key = tuple[str, Any]


def keys(count: int) -> list[Key]:
    """So many keys, made anew each time."""
    return [
        (f"https://host-{number}.example", (f"user {number}", "password"))
        for number in range(count)
    ]


def manager_of(found: Sequence[Key]) -> ConnectionManager:
    """A manager that has established these."""
    manager = ConnectionManager(hooks=[DirectHook()], registry=CollectorRegistry(), max_pools=0)
    for host, auth in found:
        manager.find(host, auth)
    return manager


def _finding(name: str, manager: ConnectionManager, asked: Sequence[Key]) -> Subject:
    find = manager.find

    def sweep() -> None:
        for host, auth in asked:
            find(host, auth)

    return Subject(name, sweep, batch=len(asked), warmup=1)


def many(pools: int, *, rounds: int, seed: int) -> dict[str, Any]:
    """Weigh so many pools before their first request, find some of them, prune them all."""
    warm, few = manager_of(keys(WARM_UP)), manager_of(keys(FEW))
    gc.collect()
    before = resident()
    all_of_them = manager_of(keys(pools))
    gc.collect()
    each = (resident() - before) / pools / KIB
    picked = random.Random(seed)  # noqa: S311 - which pool is asked for, no secret
    own, hottest = keys(pools), pools // 2
    hot = own[hottest : hottest + FEW]
    costs = interleaved(
        [
            _finding("find, 10 pools", few, own[:FEW] * (BATCH // FEW)),
            _finding(f"find, hot of {POOLS:,}", all_of_them, hot * (BATCH // len(hot))),
            _finding(f"find, random of {POOLS:,}", all_of_them, picked.choices(own, k=BATCH)),
        ],
        rounds=rounds,
        operations=BATCH,
        seed=seed,
    )
    began = time.perf_counter()
    pruned = all_of_them.reset(idle=0.0)
    seconds = time.perf_counter() - began
    for manager in (warm, few, all_of_them):
        manager.close()
    return {"before": each, "pruning": seconds, "pruned": pruned.closed, "costs": costs}


def used(pools: int) -> dict[str, Any]:
    """Weigh so many pools after each has made a request and holds its connection."""
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        own = [(f"{server.url}/tenants/{number}", ANONYMOUS) for number in range(WARM_UP + pools)]
        manager = stack.enter_context(
            ConnectionManager(hooks=[DirectHook()], registry=CollectorRegistry(), max_pools=0)
        )
        # The first ones make what is made once, and have all the series of metrics that there are.
        for wanted in (own[:WARM_UP], own[WARM_UP:]):
            gc.collect()
            before = resident()
            for host, auth in wanted:
                manager.find(host, auth).json_request("GET", PATH)
            gc.collect()
            each = (resident() - before) / pools / KIB
        connections = server.account().connections - WARM_UP
    return {"after": each, "connections": connections}


MEASURED: Final = ("many", "used")
"""What the program measures."""


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Measure each in a process of its own.

    :raises ConditionsError: when pools were missing
    """
    del names  # a part that is measured as a whole
    rounds = part_of(settings.rounds, ROUNDS)
    begun = progress(NAME, len(MEASURED))
    found: dict[str, Any] = {}
    for number, (what, count) in enumerate(
        zip(MEASURED, (settings.pools, min(settings.pools, USED)), strict=True), 1
    ):
        begun(number)
        command = (what, str(count), str(rounds), str(settings.seed))
        ran = subprocess.run(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__, *command], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        found |= json.loads(ran.stdout)
    if (found["pruned"], found["connections"]) != (settings.pools, min(settings.pools, USED)):
        msg = f"{found['pruned']} pools pruned, {found['connections']} connections opened"
        raise ConditionsError(msg)
    costs = {name: [Cost(*each) for each in each_of] for name, each_of in found["costs"].items()}
    figures = {
        "pools.before": found["before"],
        "pools.after": found["after"],
        "pools.pruning": found["pruning"],
    }
    return Findings(
        [
            Table(
                f"find in {POOLS:,} pools",
                BATCH,
                ("ns", 1e9),
                ("find, 10 pools",),
                costs,
                part=NAME,
            )
        ],
        {name: Spread.of([value]) for name, value in figures.items()},
    )


def main() -> None:
    """Measure, and tell it as a line of JSON."""
    what, *numbers = sys.argv[1:]
    pools, rounds, seed = map(int, numbers)
    allow_open_files()
    with suppress(KeyboardInterrupt):
        found = used(pools) if what == "used" else many(pools, rounds=rounds, seed=seed)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
