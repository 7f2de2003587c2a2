"""The command: ``python -m benchmarks.retry_storm``, what retries do to a server that fails.

First a simulation, which gives the same figures for the same seed wherever it runs, then real
clients on loopback, whose figures are this machine's. `benchmarks.storm` says what is assumed.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import environment
from benchmarks.budgets import TIMES
from benchmarks.report import aligned
from benchmarks.storm import sensitivity, sockets
from benchmarks.storm.budgets import RECOVERY, told, verdicts
from benchmarks.storm.plot import drawn
from benchmarks.storm.scenarios import (
    Counted,
    Recoveries,
    Recovery,
    World,
    failures,
    outage,
    stall,
    stalls,
)
from benchmarks.storm.subjects import DEFAULT, QUOTA, QUOTA_AIMD, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.storm.budgets import Verdict
    from benchmarks.storm.sockets import Measured
    from benchmarks.storm.subjects import Subject

CALLS = 10_000
"""How many calls an outage and the failures of a tenth are told by."""
QUICK = (QUOTA, QUOTA_AIMD, DEFAULT)
"""The subjects of the short form."""
JUDGED = (QUOTA_AIMD, DEFAULT)
"""The subjects whose recovery has a budget."""
SEEDS = 5
"""With how many seeds it is judged."""
SHORT = World(watched=12.0)
"""As long as the budgets go, and longer."""


@dataclass(frozen=True)
class Found:
    """What the simulation gave, by the subjects' names."""

    world: World
    outages: dict[str, Counted]
    failures: dict[str, Counted]
    recoveries: dict[str, Recovery]
    spread: dict[str, Recoveries]
    """The stall again with several seeds, where that has a budget."""

    @property
    def verdicts(self) -> list[Verdict]:
        """Every budget, and what was measured of it."""
        return verdicts(self.outages, self.failures, self.spread)


def simulated(subjects: Sequence[Subject], world: World, *, seed: int) -> Found:
    """Let every subject meet an outage, failures of a tenth, and a stall."""
    few = World(processes=20)
    with _no_collector():
        return Found(
            world,
            {s.name: outage(s, calls=CALLS, seed=seed) for s in subjects},
            {s.name: failures(few, s, failing=0.1, calls=CALLS, seed=seed) for s in subjects},
            {s.name: stall(world, s, seed=seed) for s in subjects},
            {s.name: stalls(SHORT, s, seeds=range(seed, seed + SEEDS)) for s in JUDGED},
        )


@contextmanager
def _no_collector() -> Iterator[None]:
    """There are no cycles worth looking for, and many objects to look through."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def text_of(found: Found) -> str:
    """Tell what was simulated to people."""
    world = found.world
    rows = [
        (
            "simulated",
            f"outage {TIMES}",
            "10 %: good",
            f"load {TIMES}",
            "stall: recovered",
            f"peak {TIMES}",
            f"load {TIMES}",
        )
    ]
    for name, recovery in found.recoveries.items():
        outage, failing = found.outages[name], found.failures[name]
        rows.append(
            (
                name,
                f"{outage.load:.4f}",
                f"{failing.success:.2%}",
                f"{failing.load:.3f}",
                told(recovery.seconds),
                f"{recovery.peak:.1f}",
                f"{recovery.load:.2f}",
            )
        )
    assumed = (
        f"{world.processes} processes with {world.rate:g} calls/s each, "
        f"{world.load:.0%} of what the server can do; an attempt may take {world.timeout:g} s, "
        f"a caller waits {world.patience:g} s"
    )
    told_of = [
        (
            verdict.what,
            verdict.budget,
            verdict.measured,
            "not measured" if verdict.met is None else "met" if verdict.met else "missed",
        )
        for verdict in found.verdicts
    ]
    return f"{assumed}\n\n{aligned(rows)}\n\nbudgets\n{aligned(told_of)}"


def text_of_sockets(measured: Sequence[Measured]) -> str:
    """Tell what was measured over sockets to people."""
    rows = [
        (
            "over loopback",
            f"outage {TIMES}",
            "10 %: good",
            f"load {TIMES}",
            "stall: recovered",
            "good after it",
            f"load {TIMES}",
        )
    ]
    for each in measured:
        stalled = each.stall
        rows.append(
            (
                each.name,
                f"{each.outage.load:.4f}",
                f"{each.failures.success:.1%}",
                f"{each.failures.load:.3f}",
                *(
                    ("-", "-", "-")
                    if stalled is None
                    else (
                        told(stalled.recovered),
                        f"{stalled.answered:.0%}",
                        f"{stalled.load:.2f}",
                    )
                ),
            )
        )
    return aligned(rows)


def _text_of_sensitivity() -> str:
    names = [subject.name for subject in sensitivity.SUBJECTS]
    rows = [("recovered after a stall, when", *names)]
    for changed, found in sensitivity.recoveries():
        rows.append(
            (changed, *(told(found[n].seconds) if n in found else "" for n in names)),
        )
        _at_work_on(changed)
    return aligned(rows)


def _text_of_breakers() -> str:
    rows = [
        (
            f"default with a breaker of, {len(sensitivity.SEEDS)} seeds",
            "median",
            "worst",
            f"≤ {RECOVERY:g} s",
        ),
    ]
    for breaker, found in sensitivity.breakers():
        met = f"{found.within(RECOVERY)} of {len(found.seconds)}"
        rows.append((breaker, told(found.median), told(found.worst), met))
        _at_work_on(breaker)
    return aligned(rows)


def _at_work_on(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{what:40}", end="", file=sys.stderr, flush=True)


def data_of(found: Found) -> dict[str, Any]:
    """Tell what was simulated to programs."""
    return {
        "world": asdict(found.world),
        "subjects": {
            name: {
                "outage": asdict(found.outages[name]),
                "failures": asdict(found.failures[name]),
                "stall": asdict(recovery),
            }
            for name, recovery in found.recoveries.items()
        },
        "recoveries": {name: each.seconds for name, each in found.spread.items()},
        "budgets": [verdict._asdict() for verdict in found.verdicts],
    }


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retry_storm",
        description="What retries do to a server that fails, simulated and over loopback.",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the simulation")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="some of the subjects, a shorter stall to watch, no sockets: a few seconds",
    )
    parser.add_argument("--no-sockets", action="store_true", help="only the simulation")
    parser.add_argument(
        "--sensitivity",
        action="store_true",
        help="also how recovery depends on what was assumed; takes some minutes",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw load and goodput (SVG)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything here")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulation and the sockets, and print what came of them."""
    settings = options(arguments)
    world, subjects = (SHORT, QUICK) if settings.quick else (World(), SUBJECTS)
    found = simulated(subjects, world, seed=settings.seed)
    print(text_of(found), flush=True)
    if settings.plot is not None:
        settings.plot.write_text(drawn(world, found.recoveries), encoding="utf-8")
    data = data_of(found)
    if not (settings.quick or settings.no_sockets):
        measured = sockets.measured()
        print(f"\n{text_of_sockets(measured)}")
        data["sockets"] = [asdict(each) for each in measured]
    if settings.sensitivity:
        print(f"\n{_text_of_sensitivity()}", flush=True)
        print(f"\n{_text_of_breakers()}")
    if settings.json is not None:
        settings.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    # No proxy of the caller's shell comes between clients and servers.
    environment.enter()
    sys.exit(main())
