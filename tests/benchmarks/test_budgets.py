"""The budgets are data: each has a name, a limit, and a text that says both."""

from __future__ import annotations

import pytest

from benchmarks.budgets import BUDGETS, TIMES, Bound, Budget, described, figure, named


@pytest.mark.parametrize(
    ("bound", "met"),
    [
        ("most", (True, True, False)),
        ("least", (False, True, True)),
        ("below", (True, False, False)),
    ],
)
def test_a_budget_is_met_on_the_right_side_of_its_limit(
    bound: Bound, met: tuple[bool, ...]
) -> None:
    budget = Budget(name="of.a-test", what="what", limit=0.55, bound=bound)

    assert tuple(budget.met(measured) for measured in (0.54, 0.55, 0.56)) == met


def test_who_may_be_no_slower_may_be_as_much_above_as_a_run_can_tell_apart() -> None:
    budget = named("pools.hot")

    assert (budget.limit, budget.allowance) == (1.0, 0.05)
    assert [budget.met(measured) for measured in (1.04, 1.06)] == [True, False]


def test_every_budget_has_a_name_of_its_own() -> None:
    names = [budget.name for budget in BUDGETS]

    assert sorted(set(names)) == sorted(names)
    assert [named(name) for name in names] == list(BUDGETS)
    assert [described(budget)["name"] for budget in BUDGETS] == names


def test_only_no_slower_has_an_allowance_and_only_a_comparison_has_a_clock() -> None:
    assert {budget.limit for budget in BUDGETS if budget.allowance} == {1.0}
    assert [b.name for b in BUDGETS if b.subject and not b.against] == []
    assert [b.name for b in BUDGETS if b.clock != "process" and not b.subject] == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("request.requests", f"≤ 0.55 {TIMES} requests"),
        ("pools.hot", f"≤ 1 {TIMES} find, 10 pools (+ 5%)"),
        ("pools.before", "≤ 6.4 KiB"),
        ("failures.success", "≥ 99.8 %"),
        ("outage.load", f"≤ 1.004 {TIMES} no retries"),
        ("outage.breaker", f"< 1 {TIMES} breaker off"),
        ("stampede.one-key", "≤ 1 calls"),
    ],
)
def test_a_budget_tells_itself(name: str, told: str) -> None:
    assert str(named(name)) == told


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (1.00412, TIMES, f"1.0041 {TIMES}"),
        (0.5349, TIMES, f"0.53 {TIMES}"),
        (5.0, "s", "5.00 s"),
        (float("inf"), "s", "never"),
        (1.0, "calls", "1 calls"),
    ],
)
def test_a_figure_is_told_as_exactly_as_it_is_judged(value: float, unit: str, told: str) -> None:
    assert figure(value, unit) == told
