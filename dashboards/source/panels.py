"""Builders of panels, rows and whole dashboards, on Grafana's own SDK.

Rules:

1. Every panel has a title, a description, a unit and the data source that the dashboard's variable
   names.
2. A panel that can show what an alert looks at draws the alert's threshold.
3. Where things stand is reckoned from their sizes: a row of the grid is 24 wide.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.source import queries
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grafana_foundation_sdk.cog.builder import Builder

OVERVIEW: Final = "sleepwalker-overview"
POOL: Final = "sleepwalker-pool"
"""The dashboards' UIDs, which are in their addresses: they stay."""

DATASOURCE: Final = "datasource"
_PROMETHEUS: Final = model.DataSourceRef(type_val="prometheus", uid=f"${{{DATASOURCE}}}")

PER_SECOND: Final = "ops"
REQUESTS: Final = "reqps"
SECONDS: Final = "s"
SHARE: Final = "percentunit"
COUNT: Final = "short"
NUMBER: Final = "none"
"""Units, as Grafana calls them."""

_GREEN: Final = "green"
_YELLOW: Final = "yellow"
_RED: Final = "red"

_STATE_COLOURS: Final = dict(zip(names.BREAKER_STATES, (_GREEN, _YELLOW, _RED), strict=True))

Panel = TypeVar(
    "Panel", stat.Panel, timeseries.Panel, heatmap.Panel, statetimeline.Panel, table.Panel
)


class Query(NamedTuple):
    """What a panel asks.

    :ivar legend: the name of each series; labels stand in double braces; a table has none
    :ivar exemplars: whether traces are shown with it
    """

    expr: str
    legend: str
    exemplars: bool = False


class Column(NamedTuple):
    """A column of a table: what is asked for each row."""

    title: str
    expr: str
    unit: str
    too_much: float | None = None


class Row(NamedTuple):
    """A titled row of panels."""

    title: str
    panels: Sequence[Builder[model.Panel]]


def stat_of(
    title: str,
    description: str,
    *asked: Query,
    unit: str,
    span: int = 4,
    too_much: float | None = None,
    decimals: int | None = None,
    mappings: Sequence[model.ValueMapping] = (),
) -> stat.Panel:
    """A figure as of now, without a memory: where there is no traffic, there is none."""
    panel = (
        _described(stat.Panel(), title, description, unit, (span, 4))
        .graph_mode(look.BigValueGraphMode.NONE)
        .color_mode(look.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(too_much))
        .no_value("—")
        .mappings(list(mappings))
    )
    if decimals is not None:
        panel.decimals(decimals)
    for target in _targets(asked):
        panel.with_target(target.instant())
    return panel


def lines(
    title: str,
    description: str,
    *asked: Query,
    unit: str,
    span: int = 8,
    height: int = 8,
    too_much: float | None = None,
    at_most: float | None = None,
    stacked: bool = False,
    opens_pool: bool = False,
) -> timeseries.Panel:
    """Series over time.

    :param too_much: where an alert's threshold is drawn
    :param at_most: the top of the axis
    :param opens_pool: whether a click leads to the pool whose labels a series has
    """
    panel = (
        _described(timeseries.Panel(), title, description, unit, (span, height))
        .min(0)
        .fill_opacity(30 if stacked else 8)
        .line_width(1)
        .show_points(look.VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(look.LegendDisplayMode.LIST)
            .placement(look.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(look.TooltipDisplayMode.MULTI)
            .sort(look.SortOrder.DESCENDING)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL).group("A"))
    if at_most is not None:
        panel.max(at_most)
    if too_much is not None:
        dashed = common.GraphThresholdsStyleConfig().mode(look.GraphThresholdsStyleMode.DASHED)
        panel.thresholds(_thresholds(too_much)).thresholds_style(dashed)
    if opens_pool:
        panel.data_links([_to_pool("__field.labels", _labels_of(asked[0]))])
    for target in _targets(asked):
        panel.with_target(target.range())
    return panel


def counts(
    title: str,
    description: str,
    asked: Query,
    *,
    span: int = 8,
    stacked: bool = False,
    opens_pool: bool = False,
) -> timeseries.Panel:
    """How often something rare happened, over time."""
    return lines(
        title,
        f"{description} Each point counts those since the point before, but at least since four"
        " scrapes ago.",
        asked,
        unit=COUNT,
        span=span,
        stacked=stacked,
        opens_pool=opens_pool,
    )


def heat(title: str, description: str, histogram: str, *, span: int = 8) -> heatmap.Panel:
    """How observations are spread over a histogram's buckets, with the traces of some."""
    (target,) = _targets([Query(queries.buckets(histogram), f"{{{{{queries.BUCKET}}}}}", True)])
    return (
        _described(heatmap.Panel(), title, description, SECONDS, (span, 8))
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .steps(64)
            .fill("dark-blue")
            .scale(HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
        )
        .y_axis(heatmap.YAxisConfig().unit(SECONDS))
        .cell_values(heatmap.CellValues().unit(PER_SECOND))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(look.HeatmapCellLayout.AUTO))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .show_legend()
        .with_target(target.range().format(PromQueryFormat.HEATMAP))
    )


def states(
    title: str, description: str, *asked: Query, span: int = 24, height: int = 6
) -> statetimeline.Panel:
    """The states of circuit breakers over time."""
    panel = (
        _described(statetimeline.Panel(), title, description, NUMBER, (span, height))
        .mappings([breaker_states()])
        .thresholds(_thresholds(None))
        .merge_values(True)
        .show_value(look.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(80)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(look.LegendDisplayMode.LIST)
            .placement(look.LegendPlacement.BOTTOM)
        )
        .data_links([_to_pool("__field.labels", _labels_of(asked[0]))])
    )
    for target in _targets(asked):
        panel.with_target(target.range())
    return panel


def pools_table(title: str, description: str, *columns: Column, sorted_by: str) -> table.Panel:
    """One row for each pool, which leads to the other dashboard."""
    labels = (names.LABEL_HOST, names.LABEL_AUTH)
    panel = (
        _described(table.Panel(), title, description, COUNT, (24, 9))
        .transformations(
            [
                model.DataTransformerConfig(id_val="merge", options={}),
                model.DataTransformerConfig(
                    id_val="organize",
                    options={
                        "excludeByName": {"Time": True},
                        "indexByName": {},
                        "renameByName": {},
                    },
                ),
            ]
        )
        .thresholds(_thresholds(None))
        .sort_by([common.TableSortByFieldState().display_name(sorted_by).desc(True)])
        .no_value("—")
        .override_by_name(
            names.LABEL_HOST,
            [
                model.DynamicConfigValue("links", [_to_pool("__data.fields", labels).build()]),
                model.DynamicConfigValue("custom.minWidth", 280),
            ],
        )
    )
    targets = _targets([Query(column.expr, "") for column in columns])
    for target, column in zip(targets, columns, strict=True):
        properties: list[model.DynamicConfigValue] = [
            model.DynamicConfigValue("displayName", column.title),
            model.DynamicConfigValue("unit", column.unit),
        ]
        if column.too_much is not None:
            properties += [
                model.DynamicConfigValue("thresholds", _thresholds(column.too_much).build()),
                model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ]
        panel.override_by_name(f"Value #{target.build().ref_id}", properties)
        panel.with_target(target.instant().format(PromQueryFormat.TABLE))
    return panel


def breaker_states() -> model.ValueMapping:
    """What the numbers of a breaker's metric mean."""
    return model.ValueMap(
        options={
            str(number): model.ValueMappingResult(
                text=state, color=_STATE_COLOURS[state], index=number
            )
            for number, state in enumerate(names.BREAKER_STATES)
        }
    )


def assembled(
    title: str, uid: str, description: str, rows: Sequence[Row], *, several: bool, leads_to: str
) -> dict[str, Any]:
    """A whole dashboard, as JSON has it.

    :param several: whether several hosts and several auths can be chosen at once, or one
    :param leads_to: the UID of the other dashboard
    """
    board = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([names.INSTRUMENTATION])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable(DATASOURCE).label("Data source").type("prometheus")
        )
        .with_variable(_variable(queries.JOB, all_value=".+"))
        .with_variable(_variable(queries.INSTANCE, all_value=".+"))
        .with_variable(_variable(names.LABEL_HOST, all_value=".*", several=several))
        .with_variable(_variable(names.LABEL_AUTH, all_value=".*", several=several))
        .link(
            dashboard.DashboardLink(_LINK_TITLES[leads_to])
            .type(model.DashboardLinkType.LINK)
            .icon("dashboard")
            .url(f"/d/{leads_to}")
            .include_vars(True)
            .keep_time(True)
        )
    )
    for row in rows:
        board.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            board.with_panel(panel)
    built: dict[str, Any] = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    for number, panel_of_json in enumerate(built["panels"], start=1):
        panel_of_json["id"] = number
    return built


_LINK_TITLES: Final = {OVERVIEW: "Overview of all pools", POOL: "One pool in depth"}


def _variable(label: str, *, all_value: str, several: bool = True) -> dashboard.QueryVariable:
    # "All" can be chosen where only one can, too: a link brings "All" along from where it is.
    everything = model.VariableOption(
        selected=True,
        text=["All"] if several else "All",
        value=["$__all"] if several else "$__all",
    )
    return (
        dashboard.QueryVariable(label)
        .label(label.title())
        .datasource(_PROMETHEUS)
        .query(queries.values_of(label))
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(True)
        .all_value(all_value)
        .current(everything)
    )


def _described(
    panel: Panel, title: str, description: str, unit: str, size: tuple[int, int]
) -> Panel:
    span, height = size
    return (
        panel.title(title)
        .description(description)
        .datasource(_PROMETHEUS)
        .unit(unit)
        .span(span)
        .height(height)
    )


def _targets(asked: Sequence[Query]) -> list[prometheus.Dataquery]:
    targets = []
    for number, query in enumerate(asked):
        target = prometheus.Dataquery().ref_id(chr(ord("A") + number)).datasource(_PROMETHEUS)
        target.expr(query.expr).exemplar(query.exemplars)
        if query.legend:
            target.legend_format(query.legend)
        targets.append(target)
    return targets


def _thresholds(too_much: float | None) -> dashboard.ThresholdsConfig:
    steps = [model.Threshold(value=None, color=_GREEN)]
    if too_much is not None:
        steps.append(model.Threshold(value=too_much, color=_RED))
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _labels_of(query: Query) -> Sequence[str]:
    """Which labels of a pool its series have."""
    labels = (names.LABEL_HOST, names.LABEL_AUTH)
    return [label for label in labels if f"{{{{{label}}}}}" in query.legend]


def _to_pool(of_what: str, labels: Sequence[str]) -> dashboard.DashboardLink:
    """A link to the pool that was clicked, with what else is chosen here.

    :param of_what: where the link finds the labels
    """
    # Encoded whole, since an auth may be `basic#2`: Grafana's own encoding leaves the `#`.
    clicked = {label: f"var-{label}=${{{of_what}.{label}:percentencode}}" for label in labels}
    variables = (DATASOURCE, queries.JOB, queries.INSTANCE, names.LABEL_HOST, names.LABEL_AUTH)
    chosen = [clicked.get(variable, f"${{{variable}:queryparam}}") for variable in variables]
    return dashboard.DashboardLink(_LINK_TITLES[POOL]).url(
        f"/d/{POOL}?{'&'.join(chosen)}&${{__url_time_range}}"
    )
