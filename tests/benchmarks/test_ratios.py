"""Medians, quartiles, ratios within rounds, and verdicts on budgets."""

from __future__ import annotations

from benchmarks.budgets import BUDGETS
from benchmarks.measuring import Cost, Rounds
from benchmarks.ratios import Spread, added, cost, ratio, verdicts


def costs(*values: float) -> list[Cost]:
    return [Cost(value, value * 2, value * 3) for value in values]


def test_one_round_is_its_own_median_and_quartiles() -> None:
    assert Spread.of([4.0]) == (4.0, 4.0, 4.0)


def test_the_spread_is_the_median_and_the_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == (3.0, 2.0, 4.0)


def test_a_cost_is_told_by_the_clock_asked_for() -> None:
    rounds: Rounds = {"a": costs(1.0, 2.0, 3.0)}

    assert cost(rounds, "a", "process").median == 2.0
    assert cost(rounds, "a", "thread").median == 4.0
    assert cost(rounds, "a", "wall").median == 6.0


def test_a_ratio_is_of_neighbours_within_a_round_so_that_a_slow_round_changes_nothing() -> None:
    rounds: Rounds = {"ours": costs(1.0, 2.0, 300.0), "theirs": costs(2.0, 4.0, 600.0)}

    assert ratio(rounds, "ours", "theirs", "process") == (0.5, 0.5, 0.5)


def test_what_is_added_is_the_median_of_the_differences_within_rounds() -> None:
    rounds: Rounds = {"ours": costs(3.0, 303.0, 2.0), "theirs": costs(2.0, 300.0, 2.5)}

    found = added(rounds, "ours", "theirs", "process")

    assert found == (1.0, 0.25, 2.0)


def test_a_subject_that_was_not_measured_has_no_ratio() -> None:
    rounds: Rounds = {"ours": costs(1.0)}

    assert ratio(rounds, "ours", "theirs", "process") is None
    assert ratio(rounds, "theirs", "ours", "process") is None
    assert added(rounds, "ours", "theirs", "process") is None


def test_a_budget_about_time_is_not_judged_by_cpu() -> None:
    [about_time, *_] = [budget for budget in BUDGETS if budget.clock == "wall"]
    rounds = {
        about_time.subject: [Cost(process=9.0, thread=9.0, wall=1.0)],
        about_time.against: [Cost(process=1.0, thread=1.0, wall=2.0)],
    }
    [judged] = [found for found in verdicts([rounds], {}) if found.measured is not None]

    assert (judged.budget, judged.measured) == (about_time, Spread(0.5, 0.5, 0.5))


def test_a_budget_that_was_not_measured_is_neither_met_nor_missed() -> None:
    found = verdicts([{"urllib3": costs(1.0), "sleepwalker": costs(2.0)}], {})

    assert [verdict.budget for verdict in found] == list(BUDGETS)
    assert [verdict.met for verdict in found] == [False, *[None] * (len(BUDGETS) - 1)]


def test_a_budget_that_compares_nobody_is_judged_by_its_figure() -> None:
    figures = {"pools.pruning": Spread(0.5, 0.4, 2.0), "stampede.one-key": Spread(2.0, 1.0, 2.0)}

    found = {verdict.budget.name: verdict.met for verdict in verdicts([], figures)}

    assert {name: met for name, met in found.items() if met is not None} == {
        "pools.pruning": True,
        "stampede.one-key": False,
    }
