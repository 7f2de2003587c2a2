"""What the dashboards ask for is what the library counts: metrics, labels and labels' values.

Rule: the library is asked itself. One event of each kind is recorded, and the series that come of
it are what there is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

import promql_parser as promql
import pytest
from prometheus_client import CollectorRegistry

from dashboards.source import queries, thresholds
from sleepwalker.observability import names
from sleepwalker.observability.metrics import Metrics
from tests.dashboards.linter import LABEL_VALUES, variables_of
from tests.dashboards.reading import NAMES, Asked, asked_by, board, nodes_of, panels_of, parse
from tests.dashboards.reading import selectors_of as selectors
from tests.observability.examples import ONE_OF_EACH, POOL

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_SCRAPES = {"job", "instance"}

VALUES = {
    names.LABEL_OUTCOME: {*names.REQUEST_OUTCOMES, *names.HOOK_OUTCOMES, *names.FOLLOW_OUTCOMES},
    names.LABEL_METHOD: {*names.METHODS, names.OTHER_METHOD},
    names.LABEL_STATUS_CLASS: set(names.STATUS_CLASSES),
    names.LABEL_ERROR_TYPE: set(names.ERROR_TYPES),
    names.LABEL_REASON: {*names.RETRY_REASONS, *names.EVICTION_REASONS},
    names.LABEL_RESULT: set(names.LOOKUP_RESULTS),
    names.LABEL_STATE: set(names.CONNECTION_STATES),
    names.LABEL_CROSS_HOST: set(names.CROSS_HOST),
    names.LABEL_CODE: set(thresholds.ANSWERS_ASKED_FOR),
}
"""What labels can be, those whose values are a closed set; of statuses, those that are named."""


@cache
def counted() -> dict[str, set[str]]:
    """Give the labels of each series that Prometheus gets of the library."""
    registry = CollectorRegistry()
    metrics = Metrics.on(registry)
    for event in ONE_OF_EACH:
        metrics.record(event)
    open_connection = metrics.connections.opened(POOL.series)
    labels: dict[str, set[str]] = defaultdict(set)
    for family in registry.collect():
        for sample in family.samples:
            labels[sample.name] |= sample.labels.keys()
    open_connection.closed()
    return {name: found for name, found in labels.items() if not name.endswith("_created")}


EVERYTHING = [(name, asked) for name in NAMES for asked in asked_by(board(name))]


def the_selectors() -> Iterator[tuple[str, str, dict[str, tuple[str, str]]]]:
    """Give where each selector stands, its metric and its matchers."""
    for name, asked in EVERYTHING:
        for selected in selectors(asked.parse()):
            yield f"{name}: {asked.panel}", selected.metric, selected.matchers


def test_every_metric_that_is_asked_for_is_one_that_the_library_counts() -> None:
    strangers = [(where, metric) for where, metric, _ in the_selectors() if metric not in counted()]

    assert strangers == []


def test_every_metric_of_the_library_is_shown() -> None:
    asked_for = {re.sub(r"_(bucket|count|sum)$", "", metric) for _, metric, _ in the_selectors()}

    listed = {value for value in vars(names).values() if str(value).startswith("sleepwalker_")}
    assert asked_for == listed


def test_every_label_that_is_asked_for_is_one_that_its_metric_has() -> None:
    strangers = [
        (where, metric, label)
        for where, metric, matchers in the_selectors()
        for label in matchers.keys() - counted()[metric] - OF_SCRAPES
    ]

    assert strangers == []


def test_every_selector_asks_for_each_variable_that_its_metric_has_a_label_for() -> None:
    variables = {names.LABEL_HOST, names.LABEL_AUTH}
    unasked = [
        (where, metric, label)
        for where, metric, matchers in the_selectors()
        for label in (variables & counted()[metric]) | OF_SCRAPES
        if matchers.get(label) != ("=~", f"${label}")
    ]

    assert unasked == []


def test_every_value_that_is_asked_for_is_one_that_its_label_can_have() -> None:
    strangers = [
        (where, label, value)
        for where, _, matchers in the_selectors()
        for label, (_, values) in matchers.items()
        if not values.startswith("$")
        for value in values.split("|")
        if value not in VALUES[label]
    ]

    assert strangers == []


def test_every_grouping_is_by_labels_that_the_series_have() -> None:
    strangers = []
    for name, asked in EVERYTHING:
        for node, _ in nodes_of(asked.parse()):
            if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
                inner = [counted()[selected.metric] for selected in selectors(node.expr)]
                known = set.intersection(*inner) | OF_SCRAPES
                strangers += [(name, asked.panel, set(node.modifier.labels) - known)]

    assert strangers
    assert [found for found in strangers if found[2]] == []


def grouped_by(asked: Asked) -> set[str]:
    """Give the labels that the series of a query have."""
    outermost = next(
        node for node, _ in nodes_of(asked.parse()) if isinstance(node, promql.AggregateExpr)
    )
    labels = set() if outermost.modifier is None else set(outermost.modifier.labels)
    return labels - {"le"} if "histogram_quantile" in asked.expr else labels


@pytest.mark.parametrize("name", NAMES)
def test_every_legend_tells_series_apart_by_the_labels_that_they_have(name: str) -> None:
    wrong = []
    for panel in panels_of(board(name)):
        for target in panel["targets"]:
            labels = grouped_by(Asked(panel["title"], target["expr"]))
            if panel["type"] == "table":
                assert labels == {names.LABEL_HOST, names.LABEL_AUTH}
            elif set(re.findall(r"{{(\w+)}}", target["legendFormat"])) != labels:
                wrong.append((panel["title"], target["legendFormat"], labels))

    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_variables_offer_values_of_metrics_and_labels_that_there_are(name: str) -> None:
    before: list[str] = []
    for variable in variables_of(board(name)).values():
        if variable["type"] != "query":
            continue
        match = LABEL_VALUES.fullmatch(variable["query"])
        assert match
        (selected,) = selectors(parse(match[1]))
        matchers = dict(selected.matchers)
        metrics = [selected.metric] if selected.metric else matchers.pop("__name__")[1].split("|")
        assert match[2] == variable["name"]
        assert all(match[2] in counted()[metric] | OF_SCRAPES for metric in metrics)
        assert matchers == {label: ("=~", f"${label}") for label in before}
        before.append(variable["name"])

    assert before == ["job", "instance", names.LABEL_HOST, names.LABEL_AUTH]


def test_a_value_that_no_label_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="result is never 'hits'"):
        queries.matching(names.LABEL_RESULT, "hits", among=names.LOOKUP_RESULTS)


@pytest.mark.parametrize("name", NAMES)
def test_states_of_breakers_are_called_as_the_library_calls_them(name: str) -> None:
    mapped = [
        {int(number): state["text"] for number, state in mapping["options"].items()}
        for panel in panels_of(board(name))
        for mapping in panel["fieldConfig"]["defaults"].get("mappings", ())
    ]

    assert mapped
    assert all(states == dict(enumerate(names.BREAKER_STATES)) for states in mapped)


def test_the_breakers_that_are_open_are_those_in_the_state_open() -> None:
    (stat,) = (p for p in panels_of(board(NAMES[0])) if p["title"] == "Open breakers")

    comparison = re.search(r"== (\d)", stat["targets"][0]["expr"])
    assert comparison
    assert names.BREAKER_STATES[int(comparison[1])] == "open"
