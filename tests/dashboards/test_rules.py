"""Each rule is as its source says, each alert fires when it must and only then, and has a runbook.

What fires and what must not stands in `dashboards/prometheus/tests`, and is run by promtool.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from dashboards.source import rules, thresholds
from sleepwalker.observability import names
from tests.dashboards.prometheus import promtool
from tests.dashboards.reading import NAMES, board, panels_of
from tests.docs.pages import PAGES, ROOT, blocks_of, links_of, prose_of, text_of

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = ROOT / "dashboards"
PROMETHEUS: Final = FOLDER / "prometheus"
TESTS: Final = sorted((PROMETHEUS / "tests").glob("*.test.yml"))
ALERTS: Final = rules.alerts()
BY_NAME: Final = {alert.name: alert for alert in ALERTS}
BOARDS: Final = [board(name) for name in NAMES]
HEADINGS: Final = [
    "What it means",
    "What users feel",
    "Where to look",
    "What to do",
    "When it is a false alarm",
]

METRICS: Final = frozenset(
    value
    for value in vars(names).values()
    if isinstance(value, str) and value.startswith("sleepwalker_")
)
LABELS: Final = frozenset(value for name, value in vars(names).items() if name.startswith("LABEL_"))
PROMETHEUS_LABELS: Final = frozenset({"job", "instance", "le"})
DURATION: Final = re.compile(r"\b\d+(?:ms|[smhdwy])\b")


def metrics_in(text: str) -> set[str]:
    """Name the metrics in a text, without what Prometheus adds to those of histograms."""
    found = re.findall(r"sleepwalker_\w+", text)
    return {name if name in METRICS else re.sub("_(count|bucket|sum)$", "", name) for name in found}


def labels_in(expr: str) -> set[str]:
    """Name the labels by which an expression selects, groups or matches."""
    grouped = re.findall(r"\b(?:by|on|without|ignoring) \(([^)]*)\)", expr)
    selected = re.findall(r"[{,](\w+)(?:=|!=|=~|!~)\"", expr)
    return {label.strip() for group in grouped for label in group.split(",")} | set(selected)


def expressions() -> dict[str, str]:
    """Give each rule's expression, by its name."""
    return rules.recorded() | {alert.name: alert.expr for alert in ALERTS}


# The files (that they are as their source writes them is tested beside the dashboards)


def test_promtool_finds_no_fault_with_the_rules() -> None:
    check = promtool("check", "rules", "--lint-fatal", *(FOLDER / path for path in rules.files()))

    assert check.returncode == 0, check.stdout
    assert f"{len(ALERTS)} rules found" in check.stdout
    assert f"{len(rules.recorded())} rules found" in check.stdout


def test_promtool_finds_no_fault_with_the_configuration_and_what_it_names() -> None:
    check = promtool("check", "config", PROMETHEUS / "prometheus.yml")

    assert check.returncode == 0, check.stdout
    for path in rules.files():
        assert path.rpartition("/")[2] in check.stdout


def test_every_alert_fires_when_it_must_and_only_then() -> None:
    run = promtool("test", "rules", *TESTS)

    assert run.returncode == 0, run.stdout
    assert run.stdout.count("SUCCESS") == len(TESTS)


# The promtool tests


def cases() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Give each case: the alert, the test it is in, and itself."""
    return [
        (case["alertname"], test, case)
        for path in TESTS
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
    ]


@pytest.mark.parametrize("name", BY_NAME)
def test_the_alert_has_tests_in_which_it_fires_and_tests_in_which_it_must_not(name: str) -> None:
    mine = [(test, case) for of, test, case in cases() if of == name]
    firing = [test["name"] for test, case in mine if case.get("exp_alerts")]
    silent = [test["name"] for test, case in mine if not case.get("exp_alerts")]

    # In a test in which it fires it is silent too: not long enough before.
    assert "fires" in firing
    assert {"fires", "stays silent"} <= set(silent)
    assert {test["name"] for test, _ in mine} == {"fires", "stays silent"}


@pytest.mark.parametrize("name", BY_NAME)
def test_the_alert_is_tested_with_all_that_it_says(name: str) -> None:
    alert = BY_NAME[name]
    for of, _, case in cases():
        for expected in case.get("exp_alerts") or () if of == name else ():
            assert expected["exp_labels"]["severity"] == alert.severity
            assert set(expected["exp_annotations"]) == set(alert.rule["annotations"])


def test_no_test_names_an_alert_that_is_not_there() -> None:
    assert {name for name, _, _ in cases()} == set(BY_NAME)


def test_the_tests_are_of_metrics_that_are_there() -> None:
    for path in TESTS:
        assert metrics_in(path.read_text(encoding="utf-8")) <= METRICS


# The rules


@pytest.mark.parametrize("name", expressions())
def test_the_rule_is_of_metrics_and_labels_that_are_there(name: str) -> None:
    expr = expressions()[name]

    assert metrics_in(expr) != set()
    assert metrics_in(f"{name} {expr}") <= METRICS
    assert labels_in(expr) <= LABELS | PROMETHEUS_LABELS


@pytest.mark.parametrize("name", rules.recorded())
def test_what_is_recorded_is_used_and_its_name_says_by_what_it_is_grouped(name: str) -> None:
    level, metric, operation = name.split(":")

    assert any(name in expr for used, expr in expressions().items() if used != name)
    assert level in {"job_host", "job_host_auth"}
    assert metrics_in(metric) <= METRICS
    assert operation


@pytest.mark.parametrize("value", names.REQUEST_OUTCOMES)
def test_every_outcome_of_a_request_is_sorted_into_failed_or_not(value: str) -> None:
    failed = set(rules.FAILED.split("|"))

    assert (value in failed) == (value not in {"success", "error", "cancelled"})
    assert set(rules.NOT_TIMED.split("|")) <= set(names.REQUEST_OUTCOMES)


def figures_in(source: str) -> list[str]:
    """Give the numbers and durations that stand in a source, but 0 and 1."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool):
            if isinstance(node.value, int | float) and node.value not in {0, 1}:
                found.append(str(node.value))
            elif isinstance(node.value, str):
                found += DURATION.findall(node.value)
    return found


def test_figures_are_found() -> None:
    assert figures_in("a = 0 + 1\nb = f'x[5m]'\nc = 0.05\nd = True\n") == ["0.05", "5m"]


def test_every_figure_stands_in_the_thresholds() -> None:
    source = (FOLDER / "source" / "rules.py").read_text(encoding="utf-8")

    # The width of the YAML is no threshold.
    assert figures_in(source.replace("width=1000", "")) == []


def test_every_threshold_has_its_reason_beside_it_and_is_used() -> None:
    source = (FOLDER / "source" / "thresholds.py").read_text(encoding="utf-8")
    used = (FOLDER / "source" / "rules.py").read_text(encoding="utf-8")
    body = ast.parse(source).body
    figures = [node for node in body if isinstance(node, ast.AnnAssign)]

    assert len(figures) > 10
    for node in figures:
        beside = body[body.index(node) + 1]
        assert isinstance(node.target, ast.Name)
        assert isinstance(beside, ast.Expr), f"{node.target.id} has no reason beside it"
        assert isinstance(beside.value, ast.Constant)
        assert f"thresholds.{node.target.id}" in used


# The alerts


@pytest.mark.parametrize("alert", ALERTS, ids=[alert.name for alert in ALERTS])
def test_the_alert_names_the_job_the_host_and_where_it_can_the_auth(alert: rules.Alert) -> None:
    said = alert.summary + alert.description
    if alert.name in {"SleepwalkerLabelOverflow", "SleepwalkerTelemetryErrors"}:
        expected = {"job"}
    elif alert.name in {"SleepwalkerBreakerOpen", "SleepwalkerPoolSaturated"}:
        expected = {"job", names.LABEL_HOST}
    else:
        expected = {"job", names.LABEL_HOST, names.LABEL_AUTH}

    assert set(re.findall(r"\$labels\.(\w+)", said)) == expected
    assert "$labels.job" in alert.summary
    assert ("$value" in alert.description) == (alert.name != "SleepwalkerBreakerOpen")


def test_only_what_users_feel_pages() -> None:
    assert {alert.name for alert in ALERTS if alert.severity == rules.PAGE} == {
        "SleepwalkerErrorRatio",
        "SleepwalkerLatency",
        "SleepwalkerConnectFailing",
    }
    assert {alert.severity for alert in ALERTS} == {rules.PAGE, rules.TICKET}


@pytest.mark.parametrize(
    "name", ["SleepwalkerErrorRatio", "SleepwalkerLatency", "SleepwalkerRetryAmplification"]
)
def test_a_ratio_needs_traffic(name: str) -> None:
    minimum = f"{rules.REQUESTS} >= {thresholds.MIN_REQUESTS_PER_SECOND}"

    assert BY_NAME[name].expr.endswith(f"and\n{minimum}")


def test_a_ratio_of_finds_needs_finds() -> None:
    minimum = f"{rules.MISSES} >= {thresholds.CONNECT_MIN_FINDS}"

    assert BY_NAME["SleepwalkerConnectFailing"].expr.endswith(f"and\n{minimum}")


# The runbooks


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    pages = {f"{rules.RUNBOOKS}/{alert.runbook}.md" for alert in ALERTS}

    assert pages == {page for page in PAGES if page.startswith("docs/runbooks/")}


@pytest.mark.parametrize("alert", ALERTS, ids=[alert.name for alert in ALERTS])
def test_the_page_says_what_an_operator_must_know(alert: rules.Alert) -> None:
    page = f"docs/runbooks/{alert.runbook}.md"
    headings = re.findall(r"^(#+) (.+)$", prose_of(page), re.MULTILINE)
    opening = prose_of(page).partition("\n## ")[0]

    assert headings == [("#", alert.name), *(("##", heading) for heading in HEADINGS)]
    assert f"`{alert.severity}`" in opening
    assert alert.hold.replace("m", " minutes") in opening
    assert any(block.language == "promql" for block in blocks_of(page))
    assert any("observability.md" in link for link in links_of(page))


@pytest.mark.parametrize(
    ("page", "figures"),
    [
        ("error-ratio", [f"{thresholds.ERROR_RATIO * 100:g} %"]),
        ("latency", [f"{thresholds.LATENCY_SECONDS:g} s"]),
        (
            "connect-failing",
            [
                "half" if thresholds.CONNECT_FAILURE_RATIO == 0.5 else "?",
                f"at least {thresholds.CONNECT_MIN_FINDS} such finds",
                thresholds.WINDOW.replace("m", " minutes"),
            ],
        ),
        ("retry-amplification", [f"{thresholds.AMPLIFICATION:g} attempts"]),
        ("breaker-open", []),
        ("pool-saturated", [f"{thresholds.POOL_SATURATION * 100:g} %", f"{thresholds.POOL_LIMIT}"]),
        ("label-overflow", []),
        ("telemetry-errors", [thresholds.WINDOW.replace("m", " minutes")]),
    ],
)
def test_the_page_has_the_figures_of_the_alert(page: str, figures: list[str]) -> None:
    opening = prose_of(f"docs/runbooks/{page}.md").partition("\n## ")[0].replace("\n", " ")

    assert [figure for figure in figures if figure not in opening] == []
    if f"{rules.REQUESTS} >= " in next(a.expr for a in ALERTS if a.runbook == page):
        assert thresholds.MIN_REQUESTS_PER_SECOND == 0.1
        assert "at least one call in ten seconds" in opening


def test_every_panel_that_a_page_names_is_in_the_dashboard_that_it_names() -> None:
    titles = {board["title"]: {panel["title"] for panel in panels_of(board)} for board in BOARDS}

    for alert in ALERTS:
        named = re.findall(r"(?<!\*)\*([^*]+)\*", prose_of(f"docs/runbooks/{alert.runbook}.md"))
        dashboard, *panels = (" ".join(name.split()) for name in named)
        assert set(panels) <= titles[dashboard]
        assert panels


def test_the_index_lists_every_page_with_its_severity() -> None:
    index = text_of("docs/README.md")

    for alert in ALERTS:
        assert f"[{alert.name}](runbooks/{alert.runbook}.md) (`{alert.severity}`)" in index


def test_promtool_can_read_every_query_of_the_docs(tmp_path: Path) -> None:
    queries = [
        query
        for page in PAGES
        for block in blocks_of(page)
        if block.language == "promql"
        for query in block.text.split("\n\n")
    ]
    path = tmp_path / "queries.yml"
    recorded = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries)]
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))

    check = promtool("check", "rules", path)

    assert check.returncode == 0, check.stdout
    assert f"{len(queries)} rules found" in check.stdout
