"""How the dashboards are laid out, and that an operator can read them."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from dashboards.source import thresholds
from sleepwalker.observability import names
from tests.dashboards.reading import NAMES, asked_by, board, panels_of

OVERVIEW, POOL = NAMES
WIDTH = 24

CURRENT = {"stat", "timeseries", "heatmap", "state-timeline", "table"}
"""The types of panels that are used; none of them is deprecated in Grafana, as `graph` is."""

ROWS = {
    OVERVIEW: [
        "At a glance",
        "Requests by host",
        "Latency",
        "Attempts and retries",
        "Pools",
        "Hooks",
        "Links",
        "The library's own health",
    ],
    POOL: [
        "This pool",
        "Requests",
        "Attempts",
        "Retries, quota and breaker",
        "Connections and lookups",
        "Hooks",
        "Links",
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_no_two_panels_overlap_and_none_leaves_the_grid(name: str) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in board(name)["panels"]]

    overlapping = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(places, 2)
        if a["x"] < b["x"] + b["w"]
        and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"]
        and b["y"] < a["y"] + a["h"]
    ]
    assert overlapping == []
    assert [title for title, at in places if at["x"] + at["w"] > WIDTH or at["h"] < 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_grid_has_no_holes(name: str) -> None:
    panels = board(name)["panels"]

    covered = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)

    assert covered == WIDTH * max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)


@pytest.mark.parametrize("name", NAMES)
def test_titles_and_ids_are_given_once(name: str) -> None:
    panels = board(name)["panels"]

    for given in (
        Counter(panel["id"] for panel in panels),
        Counter(panel["title"] for panel in panels if panel["type"] != "row"),
    ):
        assert [what for what, times in given.items() if times > 1] == []


def test_the_dashboards_are_called_as_the_docs_call_them() -> None:
    assert [board(name)["title"] for name in NAMES] == [
        "Sleepwalker / Overview",
        "Sleepwalker / Pool",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_there(name: str) -> None:
    rows = [panel["title"] for panel in board(name)["panels"] if panel["type"] == "row"]

    assert rows == ROWS[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("kind", "metric"),
    [("heatmap", names.ATTEMPT_DURATION), ("state-timeline", names.BREAKER_STATE)],
)
def test_what_is_no_curve_is_not_drawn_as_one(name: str, kind: str, metric: str) -> None:
    (panel,) = [panel for panel in panels_of(board(name)) if panel["type"] == kind]

    assert [metric in target["expr"] for target in panel["targets"]] == [True]


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_is_of_a_type_that_grafana_gives_up(name: str) -> None:
    assert {panel["type"] for panel in panels_of(board(name))} <= CURRENT


@pytest.mark.parametrize("name", NAMES)
def test_every_description_is_made_of_sentences(name: str) -> None:
    wrong = [
        panel["title"]
        for panel in panels_of(board(name))
        if not panel["description"].endswith(".") or len(panel["description"]) < 60
    ]

    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_a_panel_has_a_letter_and_a_legend_of_its_own(name: str) -> None:
    for panel in panels_of(board(name)):
        letters = [target["refId"] for target in panel["targets"]]
        legends = [target.get("legendFormat") for target in panel["targets"]]

        assert letters == sorted(set(letters))
        if panel["type"] == "table":
            assert set(legends) == {None}
        else:
            assert all(legends)
            assert len(set(legends)) == len(legends)


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_queries_of_attempts_durations_show_traces(name: str) -> None:
    shown, wanted = set(), set()
    for panel in panels_of(board(name)):
        for target in panel["targets"]:
            # A figure as of now has no time at which a trace could stand.
            if names.ATTEMPT_DURATION in target["expr"] and target["range"]:
                wanted.add(panel["title"])
            if target["exemplar"]:
                shown.add(panel["title"])

    assert shown == wanted
    assert len(shown) > 1


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_as_of_now_and_all_else_is_over_time(name: str) -> None:
    for panel in panels_of(board(name)):
        for target in panel["targets"]:
            as_of_now = panel["type"] in {"stat", "table"}
            assert (target["instant"], target["range"]) == (as_of_now, not as_of_now)


THRESHOLDS = {
    "Error ratio": thresholds.ERROR_RATIO,
    "Error ratio by host": thresholds.ERROR_RATIO,
    "Error ratio over time": thresholds.ERROR_RATIO,
    "Duration, p95": thresholds.LATENCY_SECONDS,
    "Request duration": thresholds.LATENCY_SECONDS,
    "Request duration by host, p95": thresholds.LATENCY_SECONDS,
    "Amplification": thresholds.AMPLIFICATION,
    "Amplification by host": thresholds.AMPLIFICATION,
    "Amplification over time": thresholds.AMPLIFICATION,
    "Saturation by host": thresholds.POOL_SATURATION,
    "Open breakers": 1,
}


def test_panels_draw_the_thresholds_of_the_alerts() -> None:
    drawn: dict[str, list[float]] = {}
    for name in NAMES:
        for panel in panels_of(board(name)):
            steps = panel["fieldConfig"]["defaults"].get("thresholds", {"steps": []})["steps"]
            values = [step["value"] for step in steps if step["value"] is not None]
            if values:
                assert drawn.get(panel["title"], values) == values
                drawn[panel["title"]] = values

    assert drawn == {title: [value] for title, value in THRESHOLDS.items()}


@pytest.mark.parametrize("name", NAMES)
def test_no_query_divides_by_what_may_be_zero(name: str) -> None:
    unsafe = []
    for asked in asked_by(board(name)):
        before, slash, divisor = asked.expr.rpartition(" / ")
        if slash and not (divisor.endswith(" > 0)") or divisor == f"{thresholds.POOL_LIMIT:g}"):
            unsafe.append(asked.panel)
        assert " / " not in before

    assert unsafe == []


@pytest.mark.parametrize("name", NAMES)
def test_no_quantile_of_nothing_is_shown(name: str) -> None:
    assert [
        asked.panel
        for asked in asked_by(board(name))
        if asked.expr.startswith("histogram_quantile") and not asked.expr.endswith(" >= 0")
    ] == []
