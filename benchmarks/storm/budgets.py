"""What was measured of the design's budgets for resilience."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.budgets import TIMES, named
from benchmarks.ratios import Spread
from benchmarks.storm.subjects import DEFAULT, QUOTA, QUOTA_AIMD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.storm.scenarios import Counted, Recoveries

OUTAGE = named("outage.load").limit
SUCCESS, LOAD = named("failures.success").limit / 100, named("failures.load").limit
RECOVERY, ADAPTIVE_RECOVERY = (named(f"recovery.{name}").limit for name in ("default", "adaptive"))


class Verdict(NamedTuple):
    """A budget, and what was measured of it."""

    what: str
    budget: str
    measured: str
    met: bool | None
    """`None` when it was not measured."""


def verdicts(
    outages: Mapping[str, Counted],
    failures: Mapping[str, Counted],
    recoveries: Mapping[str, Recoveries],
) -> list[Verdict]:
    """Hold what was measured, by the subjects' names, against the budgets.

    Recovery is judged on the median of its seeds.
    """
    return [
        _outage(outages.get(QUOTA.name)),
        _less(outages.get(DEFAULT.name), outages.get(QUOTA.name)),
        _failures(failures.get(DEFAULT.name)),
        _recovery("by default", recoveries.get(DEFAULT.name), RECOVERY),
        _recovery("adaptive limit", recoveries.get(QUOTA_AIMD.name), ADAPTIVE_RECOVERY),
    ]


def figures(
    outages: Mapping[str, Counted],
    failures: Mapping[str, Counted],
    recoveries: Mapping[str, Recoveries],
) -> dict[str, Spread]:
    """The same for programs, by the budgets' names and in their units; all must be there."""
    off, on, failing = outages[QUOTA.name], outages[DEFAULT.name], failures[DEFAULT.name]
    single = {
        "outage.load": off.load,
        "outage.breaker": on.load / off.load,
        "failures.success": 100 * failing.success,
        "failures.load": failing.load,
    }
    return {name: Spread.of([value]) for name, value in single.items()} | {
        "recovery.default": _spread(recoveries[DEFAULT.name]),
        "recovery.adaptive": _spread(recoveries[QUOTA_AIMD.name]),
    }


def _spread(found: Recoveries) -> Spread:
    return Spread.of(math.inf if each is None else each for each in found.seconds)


def _outage(found: Counted | None) -> Verdict:
    what, budget = "total outage, breaker off", f"load ≤ {OUTAGE} {TIMES}"
    if found is None:
        return Verdict(what, budget, "-", None)
    return Verdict(what, budget, f"{found.load:.4f} {TIMES}", found.load <= OUTAGE)


def _less(found: Counted | None, off: Counted | None) -> Verdict:
    what, budget = "total outage, breaker on", "less"
    if found is None or off is None:
        return Verdict(what, budget, "-", None)
    return Verdict(what, budget, f"{found.load:.4f} {TIMES}", found.load < off.load)


def _failures(found: Counted | None) -> Verdict:
    what, budget = "10 % failures, by default", f"≥ {SUCCESS:.1%} at ≤ {LOAD} {TIMES}"
    if found is None:
        return Verdict(what, budget, "-", None)
    measured = f"{found.success:.2%} at {found.load:.3f} {TIMES}"
    return Verdict(what, budget, measured, found.success >= SUCCESS and found.load <= LOAD)


def _recovery(which: str, found: Recoveries | None, limit: float) -> Verdict:
    what, budget = f"10 s stall at 80 % load, {which}", f"≥ 95 % within {limit:g} s"
    if found is None:
        return Verdict(what, budget, "-", None)
    seeds = len(found.seconds)
    measured = f"median of {seeds}: {told(found.median)}, worst: {told(found.worst)}"
    return Verdict(what, budget, measured, found.median is not None and found.median <= limit)


def told(seconds: float | None) -> str:
    """How long it took to recover."""
    return "never" if seconds is None else f"{seconds:.1f} s"
