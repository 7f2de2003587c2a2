"""From the costs of rounds to what is told of them: medians, quartiles, ratios, verdicts.

Rules:

1. A ratio or difference is made within a round, of two costs that were measured next to each other;
   what is told is the median of these.
2. A budget is about CPU, that of the whole process, unless it says that it is about time.
"""

from __future__ import annotations

import operator
import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.budgets import BUDGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.budgets import Budget, Clock
    from benchmarks.measuring import Rounds


class Spread(NamedTuple):
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarise values; one alone is all three."""
        known = list(values)
        if len(known) == 1:
            return cls(known[0], known[0], known[0])
        low, median, high = statistics.quantiles(known, n=4, method="inclusive")
        return cls(median, low, high)


class Verdict(NamedTuple):
    """What was measured of a budget."""

    budget: Budget
    measured: Spread | None
    """`None` when it, or one of the two that it compares, was not measured."""

    @property
    def met(self) -> bool | None:
        """Whether the median keeps to the budget; `None` when nothing was measured."""
        return None if self.measured is None else self.budget.met(self.measured.median)


def cost(rounds: Rounds, subject: str, clock: Clock) -> Spread:
    """The seconds of one operation."""
    return Spread.of(getattr(cost, clock) for cost in rounds[subject])


def ratio(rounds: Rounds, subject: str, baseline: str, clock: Clock) -> Spread | None:
    """How many times the baseline's cost the subject's is; `None` when one was not measured."""
    return _of_pairs(operator.truediv, rounds, subject, baseline, clock)


def added(rounds: Rounds, subject: str, baseline: str, clock: Clock) -> Spread | None:
    """The seconds that the subject's cost is above the baseline's; `None` as for `ratio`."""
    return _of_pairs(operator.sub, rounds, subject, baseline, clock)


def _of_pairs(
    made: Callable[[float, float], float],
    rounds: Rounds,
    subject: str,
    baseline: str,
    clock: Clock,
) -> Spread | None:
    if subject not in rounds or baseline not in rounds:
        return None
    pairs = zip(rounds[subject], rounds[baseline], strict=True)
    return Spread.of(made(getattr(ours, clock), getattr(theirs, clock)) for ours, theirs in pairs)


def verdicts(tables: Sequence[Rounds], figures: Mapping[str, Spread]) -> list[Verdict]:
    """Hold what was measured against the budgets.

    :param tables: each may have both whom a budget compares
    :param figures: what else was measured, by the budgets' names
    """
    return [Verdict(budget, _measured(budget, tables, figures)) for budget in BUDGETS]


def _measured(
    budget: Budget, tables: Sequence[Rounds], figures: Mapping[str, Spread]
) -> Spread | None:
    if not budget.subject:
        return figures.get(budget.name)
    # What was not measured in one table has no neighbours in another.
    found = (ratio(rounds, budget.subject, budget.against, budget.clock) for rounds in tables)
    return next((spread for spread in found if spread is not None), None)
