"""The checks that Grafana's dashboard linter makes, by its names for them.

Each takes a dashboard and gives what is wrong with it. Where the linter looks at some types of
panels only, these look at all. Left out are its checks of Loki's queries and of dashboards in the
second schema.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import promql_parser as promql
from grafana_foundation_sdk.models import units

from tests.dashboards.reading import (
    RATE_INTERVAL,
    asked_by,
    nodes_of,
    panels_of,
    parse,
    selectors_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dashboards.reading import Json, Selected

UNITS: Final = frozenset(
    value for name, value in vars(units).items() if isinstance(value, str) and name[0].isupper()
)
"""All units that Grafana has."""

INTERVAL: Final = promql.parse_duration(RATE_INTERVAL)

LABEL_VALUES: Final = re.compile(r"label_values\((.+), ([a-z_]+)\)")


def variables_of(board: Json) -> dict[str, Json]:
    """Give the variables of a dashboard by name."""
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def template_datasource(board: Json) -> Iterator[str]:
    """The data source is a variable, called and labelled as everybody's."""
    sources = [v for v in variables_of(board).values() if v["type"] == "datasource"]
    if [(v["name"], v["label"], v["query"]) for v in sources] != [
        ("datasource", "Data source", "prometheus")
    ]:
        yield f"no one variable for the data source: {sources}"


def template_job(board: Json) -> Iterator[str]:
    """There is a variable for the job."""
    yield from _template(board, "job")


def template_instance(board: Json) -> Iterator[str]:
    """There is a variable for the instance."""
    yield from _template(board, "instance")


def _template(board: Json, name: str) -> Iterator[str]:
    variable = variables_of(board).get(name)
    if variable is None:
        yield f"no variable {name}"
        return
    wanted = {
        "type": "query",
        "label": name.title(),
        "multi": True,
        "allValue": ".+",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
    }
    for field, value in wanted.items():
        if variable.get(field) != value:
            yield f"{name}: {field} is {variable.get(field)}"


def template_label_promql(board: Json) -> Iterator[str]:
    """A variable's values come from a valid query."""
    for name, variable in variables_of(board).items():
        if variable["type"] == "query":
            match = LABEL_VALUES.fullmatch(variable["query"])
            if match is None or not _is_promql(match[1]):
                yield f"{name}: {variable['query']}"


def template_on_time_change_reload(board: Json) -> Iterator[str]:
    """A variable's values are those of the time that is looked at."""
    for name, variable in variables_of(board).items():
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield name


def template_unused(board: Json) -> Iterator[str]:
    """No variable is there for nothing."""
    for name, variable in variables_of(board).items():
        used = re.compile(rf"\${name}\b|\${{{name}\b")
        if variable["type"] == "query" and not any(
            used.search(asked.expr) for asked in asked_by(board)
        ):
            yield name


def panel_datasource(board: Json) -> Iterator[str]:
    """Every panel, and every query of it, takes the data source that is chosen."""
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels_of(board):
        for asking in (panel, *panel.get("targets", ())):
            if asking.get("datasource") != chosen:
                yield panel["title"]


def panel_title_description(board: Json) -> Iterator[str]:
    """Every panel says what it is."""
    for panel in panels_of(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"{panel['id']}: {panel.get('title')}"


def panel_units(board: Json) -> Iterator[str]:
    """Every panel has a unit that Grafana knows, each column of a table too."""
    for panel in panels_of(board):
        config = panel["fieldConfig"]
        given = [config["defaults"].get("unit")]
        given += [
            change["value"]
            for override in config["overrides"]
            for change in override["properties"]
            if change["id"] == "unit"
        ]
        if strangers := [unit for unit in given if unit not in UNITS]:
            yield f"{panel['title']}: {strangers}"


def panel_no_targets(board: Json) -> Iterator[str]:
    """Every panel asks for something."""
    for panel in panels_of(board):
        if not panel.get("targets"):
            yield panel["title"]


def target_promql(board: Json) -> Iterator[str]:
    """Every query is valid PromQL."""
    for asked in asked_by(board):
        if not _is_promql(asked.expr):
            yield f"{asked.panel}: {asked.expr}"


def _is_promql(expr: str) -> bool:
    try:
        parse(expr)
    except ValueError:
        return False
    return True


def target_rate_interval(board: Json) -> Iterator[str]:
    """Every rate is over the interval that fits the scrapes and the time that is looked at."""
    for asked in asked_by(board):
        for node, parents in nodes_of(asked.parse()):
            if (
                isinstance(node, promql.MatrixSelector)
                and node.range != INTERVAL
                and not (_is_call(parents[-1:], "last_over_time"))
            ):
                yield f"{asked.panel}: {node.range}"


def target_job(board: Json) -> Iterator[str]:
    """Every selector asks for the job that is chosen."""
    yield from _required(board, "job")


def target_instance(board: Json) -> Iterator[str]:
    """Every selector asks for the instance that is chosen."""
    yield from _required(board, "instance")


def _required(board: Json, label: str) -> Iterator[str]:
    for asked in asked_by(board):
        for selected in selectors_of(asked.parse()):
            if selected.matchers.get(label) != ("=~", f"${label}"):
                yield f"{asked.panel}: {selected.metric}"


def target_counter_agg(board: Json) -> Iterator[str]:
    """A counter is never shown as it is: it depends on when the process began.

    Unless it began in the interval that is counted: then it is the count.
    """
    counters = ("_total", "_bucket", "_count", "_sum")
    for asked in asked_by(board):
        for selected in selectors_of(asked.parse()):
            if not selected.metric.endswith(counters):
                continue
            inside = selected.parents[:-1]
            if not (
                _is_call(inside[-1:], "rate", "irate", "increase")
                or _is_new(selected, selected.parents[-1:])
                or (_is_call(inside[-1:], "last_over_time") and _is_new(selected, inside[-2:-1]))
            ):
                yield f"{asked.panel}: {selected.metric}"


def _is_call(parents: tuple[promql.Expr, ...], *functions: str) -> bool:
    return any(isinstance(p, promql.Call) and p.func.name in functions for p in parents)


def _is_new(selected: Selected, parents: tuple[promql.Expr, ...]) -> bool:
    """Whether what is selected stands in `x unless last_over_time(x[...] offset INTERVAL)`."""
    for parent in parents:
        if isinstance(parent, promql.BinaryExpr) and str(parent.op) == "unless":
            new, known = selectors_of(parent.lhs), selectors_of(parent.rhs)
            return (
                [s[:2] for s in new] == [s[:2] for s in known] == [selected[:2]]
                and _is_call((parent.rhs,), "last_over_time")
                and any(
                    isinstance(node, promql.VectorSelector) and node.offset == INTERVAL
                    for node, _ in nodes_of(parent.rhs)
                )
            )
    return False


def target_histogram(board: Json) -> Iterator[str]:
    """A histogram's buckets are made quantiles of, or a heatmap."""
    heatmaps = {panel["title"] for panel in panels_of(board) if panel["type"] == "heatmap"}
    for asked in asked_by(board):
        for selected in selectors_of(asked.parse()):
            functions = {p.func.name for p in selected.parents if isinstance(p, promql.Call)}
            if (
                selected.metric.endswith("_bucket")
                and "histogram_quantile" not in functions
                and asked.panel not in heatmaps
            ):
                yield f"{asked.panel}: {selected.metric}"


def uneditable_dashboard(board: Json) -> Iterator[str]:
    """What is generated is not to be changed by hand: the change would be lost."""
    if board.get("editable", True):
        yield "editable"


RULES: Final[dict[str, Callable[[Json], Iterator[str]]]] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": template_job,
    "template-instance-rule": template_instance,
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "template-unused-rule": template_unused,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": target_job,
    "target-instance-rule": target_instance,
    "target-counter-agg-rule": target_counter_agg,
    "target-histogram-rule": target_histogram,
    "uneditable-dashboard-rule": uneditable_dashboard,
}
