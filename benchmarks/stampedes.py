"""Stampedes as a part of the benchmarks: what there are budgets for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import stampede
from benchmarks.command import progress
from benchmarks.conditions import ConditionsError
from benchmarks.ratios import Spread
from benchmarks.tables import Findings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME: Final = "stampede"
MOST_ROUNDS: Final = 20


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
        one_key.append(stampede.run(1))
        many_keys.append(stampede.run(stampede.THREADS))
    for found in many_keys:
        if found.calls != stampede.THREADS:
            msg = f"{stampede.THREADS} keys took {found.calls} calls of the hook"
            raise ConditionsError(msg)
    return Findings(
        figures={
            "stampede.one-key": Spread.of([max(found.calls for found in one_key)]),
            "stampede.many-keys": Spread.of(found.seconds for found in many_keys),
        }
    )
