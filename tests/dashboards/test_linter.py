"""The dashboards pass the checks that Grafana's dashboard linter makes.

Rule: each check is tried on a planted fault too, so that its silence means something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dashboards.linter import RULES, variables_of
from tests.dashboards.reading import NAMES, board, panels_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dashboards.reading import Json


@pytest.mark.parametrize("form", [".", "import"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES)
def test_a_dashboard_passes_the_linters(rule: str, name: str, form: str) -> None:
    assert list(RULES[rule](board(name, form))) == []


def expr(planted: str) -> Callable[[Json], object]:
    """Plant another query in the first panel."""

    def plant(board: Json) -> None:
        next(panels_of(board))["targets"][0]["expr"] = planted

    return plant


def variable(name: str, /, **changes: object) -> Callable[[Json], object]:
    """Plant another variable."""
    return lambda board: variables_of(board)[name].update(changes)


def panel(**changes: object) -> Callable[[Json], object]:
    """Plant another first panel."""
    return lambda board: next(panels_of(board)).update(changes)


def known(metric: str, *, offset: str = "$__rate_interval") -> str:
    """Ask which series there were before."""
    return f"last_over_time({metric}{{{SELECTED}}}[1h] offset {offset})"


SELECTED = 'job=~"$job", instance=~"$instance"'
OTHER_SOURCE = {"type": "prometheus", "uid": "mine"}

FAULTS: dict[str, list[Callable[[Json], object]]] = {
    "template-datasource-rule": [
        variable("datasource", name="prometheus"),
        variable("datasource", label="Source"),
        variable("datasource", query="loki"),
        lambda board: board["templating"]["list"].pop(0),
    ],
    "template-job-rule": [
        variable("job", name="service"),
        variable("job", label="job"),
        variable("job", multi=False),
        variable("job", allValue=".*"),
        variable("job", type="custom"),
        variable("job", datasource=OTHER_SOURCE),
    ],
    "template-instance-rule": [
        variable("instance", name="process"),
        variable("instance", label="Process"),
        variable("instance", multi=False),
        variable("instance", allValue=None),
    ],
    "template-label-promql-rule": [
        variable("job", query="label_values(sleepwalker_pools{, job)"),
        variable("job", query="values(sleepwalker_pools, job)"),
    ],
    "template-on-time-change-reload-rule": [variable("host", refresh=1)],
    "template-unused-rule": [variable("host", name="origin")],
    "panel-datasource-rule": [
        panel(datasource=OTHER_SOURCE),
        lambda board: next(panels_of(board)).pop("datasource"),
        lambda board: next(panels_of(board))["targets"][0].update(datasource=OTHER_SOURCE),
    ],
    "panel-title-description-rule": [panel(title=""), panel(description="")],
    "panel-units-rule": [
        lambda board: next(panels_of(board))["fieldConfig"]["defaults"].pop("unit"),
        lambda board: next(panels_of(board))["fieldConfig"]["defaults"].update(unit="seconds"),
        lambda board: next(panels_of(board))["fieldConfig"]["overrides"].append(
            {"properties": [{"id": "unit", "value": "seconds"}]}
        ),
    ],
    "panel-no-targets-rule": [
        panel(targets=[]),
        lambda board: next(panels_of(board)).pop("targets"),
    ],
    "target-promql-rule": [
        expr("sum(rate(a[$__rate_interval])"),
        expr("rate(a)"),
        expr("sum(a[5m])"),
        expr(""),
    ],
    "target-rate-interval-rule": [
        expr(f"rate(a_total{{{SELECTED}}}[5m])"),
        expr(f"sum(increase(a_total{{{SELECTED}}}[$__rate_interval])) / sum(rate(b_total[1m]))"),
    ],
    "target-job-rule": [
        expr('a{instance=~"$instance"}'),
        expr('a{job="$job", instance=~"$instance"}'),
        expr(f'sum(a{{{SELECTED}}}) / sum(b{{instance=~"$instance"}})'),
        expr(f'sum(a{{{SELECTED}}}) or (0 * sum(rate(b{{job=~"api"}}[$__rate_interval])))'),
    ],
    "target-instance-rule": [
        expr('a{job=~"$job"}'),
        expr('a{job=~"$job", instance!~"$instance"}'),
    ],
    "target-counter-agg-rule": [
        expr(f"a_total{{{SELECTED}}}"),
        expr(f"sum(a_total{{{SELECTED}}})"),
        expr(f"avg_over_time(a_total{{{SELECTED}}}[$__rate_interval])"),
        expr(f"a_seconds_count{{{SELECTED}}}"),
        expr(f"a_total{{{SELECTED}}} unless a_total{{{SELECTED}}}"),
        expr(f"a_total{{{SELECTED}}} or {known('a_total')}"),
        expr(f"a_total{{{SELECTED}}} unless {known('b_total')}"),
        expr(f"a_total{{{SELECTED}}} unless {known('a_total', offset='5m')}"),
        expr(f"a_total{{{SELECTED}}} unless sum({known('a_total')})"),
        expr(f"sum(a_total{{{SELECTED}}}) + (b{{{SELECTED}}} unless {known('b')})"),
    ],
    "target-histogram-rule": [expr(f"sum(rate(a_bucket{{{SELECTED}}}[$__rate_interval]))")],
    "uneditable-dashboard-rule": [
        lambda board: board.update(editable=True),
        lambda board: board.pop("editable"),
    ],
}


@pytest.mark.parametrize(
    ("rule", "number"), [(rule, n) for rule, faults in FAULTS.items() for n in range(len(faults))]
)
def test_a_planted_fault_does_not_pass(rule: str, number: int) -> None:
    faulty = board(NAMES[0])
    FAULTS[rule][number](faulty)

    assert list(RULES[rule](faulty)) != []


def test_every_check_is_tried_on_a_planted_fault() -> None:
    assert FAULTS.keys() == RULES.keys()
