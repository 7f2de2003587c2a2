"""What is told of several tables."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf

from benchmarks.budgets import BUDGETS, TIMES
from benchmarks.growth import Sample
from benchmarks.measuring import Cost
from benchmarks.process import MIB
from benchmarks.ratios import Spread
from benchmarks.report import Report, adds, shown, text_of
from benchmarks.tables import Findings, Table


def table(plain: str | None = None, **costs: float) -> Table:
    rounds = {name: [Cost(cost, cost, cost)] for name, cost in costs.items()}
    return Table("work", 1, ("µs", 1e6), ("urllib3",), rounds, plain)


def measured(*tables: Table) -> list[float | None]:
    verdicts = Report({}, {}, {}, Findings(list(tables))).verdicts
    return [None if each.measured is None else each.measured.median for each in verdicts]


def test_a_budget_is_judged_by_a_table_that_has_both_who_are_compared() -> None:
    clients, others = table(urllib3=1.0, sleepwalker=2.0), table(urllib3=8.0)

    assert measured(clients, others)[0] == measured(others, clients)[0] == 2.0


def test_who_stand_in_different_tables_are_not_compared() -> None:
    assert measured(table(sleepwalker=2.0), table(urllib3=8.0)) == [None] * len(BUDGETS)
    assert measured() == [None] * len(BUDGETS)


def test_a_table_that_is_about_something_else_is_not_what_budgets_are_judged_by() -> None:
    found = table(urllib3=1.0, sleepwalker=2.0)

    assert measured(replace(found, judged=False)) == [None] * len(BUDGETS)


def test_what_never_happens_is_told_and_no_number_in_json() -> None:
    never = Findings(figures={"recovery.default": Spread(inf, 4.0, inf)})
    report = Report({}, {}, {}, never)

    [told] = [line for line in report.text().splitlines() if "stall: 95 % goodput, default" in line]
    [data] = [each for each in report.data()["budgets"] if each["name"] == "recovery.default"]
    assert told.split("  ")[-1].strip() == "missed"
    assert "never" in told
    assert data["measured"] == {"median": None, "low": 4.0, "high": None}
    assert data["met"] is False
    json.dumps(report.data(), allow_nan=False)


def test_memory_and_what_was_left_out_are_told() -> None:
    findings = Findings(
        memory=[Sample(1000, 50 * MIB, 200_000, 0, 7)], left_out={"niquests": "no network"}
    )
    report = Report({}, {}, {}, findings)

    lines = [" ".join(line.split()) for line in report.text().splitlines()]
    assert "1,000 50.0 200,000 0 7" in lines
    assert "left out: niquests: no network" in lines
    assert report.data()["left out"] == {"niquests": "no network"}


def test_a_table_about_time_tells_rates_and_the_ratios_of_time() -> None:
    rounds = {"a": [Cost(1e-3, 0.0, 2e-3)], "b": [Cost(2e-3, 0.0, 1e-3)]}
    heads, *rows = text_of(
        Table("walk", 1, ("ms", 1e3), ("a", "b"), rounds, rate="steps/s")
    ).splitlines()

    ratios = " ".join(f"{clock} {TIMES} {name}" for clock in ("CPU", "wall") for name in "ab")
    assert " ".join(heads.split()) == f"walk steps/s CPU ms thread ms wall ms {ratios}"
    told = [[cell for cell in row.split() if not cell.startswith("(")] for row in rows]
    assert told == [
        ["a", "500", "1.0", "0.0", "2.0", "1.00", "0.50", "1.00", "2.00"],
        ["b", "1000", "2.0", "0.0", "1.0", "2.00", "1.00", "0.50", "1.00"],
    ]


def test_what_is_added_is_told_of_those_who_are_no_baseline() -> None:
    found = table("none", urllib3=1e-6, none=2e-6, metrics=5e-6)

    assert [adds(found, name) is None for name in found.rounds] == [True, True, False]
    heads, *rows = text_of(found).splitlines()
    assert heads.endswith("adds µs")
    assert [row.split()[-1] for row in rows] == ["-", "-", "(3.0-3.0)"]


def test_a_table_without_that_question_doesnt_tell_it() -> None:
    found = table(urllib3=1e-6, ours=2e-6)

    assert adds(found, "ours") is None
    assert "adds" not in text_of(found)


def test_quartiles_below_nothing_are_no_longer_told_with_a_dash() -> None:
    assert shown(Spread(1.0, 0.5, 2.0)) == "1.00 (0.50-2.00)"
    assert shown(Spread(1.0, -0.5, 2.0), 0, 10.0) == "10 (-5 to 20)"
