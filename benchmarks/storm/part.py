"""The simulation of `benchmarks.retry_storm` as a part of the benchmarks, for the budgets in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.retry_storm import QUICK, SHORT, simulated
from benchmarks.storm.budgets import figures
from benchmarks.tables import Findings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME: Final = "storm"


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Simulate, always with the same seed: the figures are those of the page about it."""
    del names, settings
    found = simulated(QUICK, SHORT, seed=0)
    return Findings(figures=figures(found.outages, found.failures, found.spread))
