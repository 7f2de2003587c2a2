"""From the costs of rounds to what is told of them: medians, quartiles, ratios, budgets.

Rules:

1. A ratio or difference is made within a round, of two costs that were measured next to each other;
   what is told is the median of these.
2. A budget is about CPU, that of the whole process, unless it says that it is about time.
"""

from __future__ import annotations

import operator
import statistics
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.measuring import Rounds

Clock = Literal["process", "thread", "wall"]
"""The field of a `Cost`."""


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


class Budget(NamedTuple):
    """What a subject may cost, as a part or multiple of another."""

    what: str
    subject: str
    baseline: str
    limit: float
    clock: Clock = "process"


class Verdict(NamedTuple):
    """What was measured of a budget."""

    budget: Budget
    measured: Spread | None
    """`None` when one of the two was not measured."""

    @property
    def met(self) -> bool | None:
        """Whether the median keeps to the budget; `None` when nothing was measured."""
        return None if self.measured is None else self.measured.median <= self.budget.limit


BUDGETS = (
    Budget("json_request, all on", "sleepwalker", "urllib3", 1.6),
    Budget("json_request, all on", "sleepwalker", "requests", 0.55),
    Budget("json_request, all on", "sleepwalker", "by-hand", 0.40),
    Budget("json_request, no SDK", "sleepwalker-no-sdk", "urllib3", 1.3),
    Budget("find that hits", "find", "find-2.0", 0.75),
    Budget("traversal, all on", "sleepwalker, all on", "requests, threads", 1.0, "wall"),
    Budget("traversal, all on", "sleepwalker, all on", "httpx, threads", 1.0, "wall"),
    Budget("traversal, all on", "sleepwalker, all on", "httpx, asyncio", 1.0, "wall"),
)
"""The budgets of the design that this suite measures so far."""


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


def verdicts(rounds: Rounds) -> list[Verdict]:
    """Hold what was measured against the budgets."""
    return [
        Verdict(budget, ratio(rounds, budget.subject, budget.baseline, budget.clock))
        for budget in BUDGETS
    ]
