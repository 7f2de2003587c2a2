"""The two dashboards lead to each other, and what was chosen comes along."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from sleepwalker.observability import names
from tests.dashboards.linter import variables_of
from tests.dashboards.reading import NAMES, Asked, board, panels_of
from tests.dashboards.test_names import grouped_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboards.reading import Json

OVERVIEW, POOL = NAMES


def links_of(panel: Json) -> Iterator[Json]:
    """Give the links that a click on a panel's data offers."""
    config = panel["fieldConfig"]
    yield from config["defaults"].get("links", ())
    for override in config["overrides"]:
        for change in override["properties"]:
            if change["id"] == "links":
                yield from change["value"]


CLICKS = [
    pytest.param(panel, link, id=f"{name}: {panel['title']}")
    for name in NAMES
    for panel in panels_of(board(name))
    for link in links_of(panel)
]


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_has_the_uid_of_its_file(name: str) -> None:
    assert board(name)["uid"] == name


@pytest.mark.parametrize(("here", "there"), [(OVERVIEW, POOL), (POOL, OVERVIEW)])
def test_each_leads_to_the_other_with_its_variables_and_its_time(here: str, there: str) -> None:
    (link,) = board(here)["links"]

    assert link["type"] == "link"
    assert link["url"] == f"/d/{there}"
    assert (link["includeVars"], link["keepTime"], link["targetBlank"]) == (True, True, False)


@pytest.mark.parametrize("name", NAMES)
def test_both_have_the_same_variables_so_that_what_comes_along_means_something(name: str) -> None:
    assert list(variables_of(board(name))) == ["datasource", "job", "instance", "host", "auth"]


def test_all_that_can_be_chosen_on_the_one_can_be_chosen_on_the_other() -> None:
    for name in NAMES:
        for variable in variables_of(board(name)).values():
            if variable["type"] == "query":
                assert variable["includeAll"] is True


def test_several_hosts_can_be_chosen_on_the_overview_and_one_on_the_other() -> None:
    for label in (names.LABEL_HOST, names.LABEL_AUTH):
        assert variables_of(board(OVERVIEW))[label]["multi"] is True
        assert variables_of(board(POOL))[label]["multi"] is False


@pytest.mark.parametrize(("panel", "link"), CLICKS)
def test_a_click_leads_to_the_pool_that_was_clicked(panel: Json, link: Json) -> None:
    path, _, query = link["url"].partition("?")
    parts = query.split("&")
    labels = grouped_by(Asked(panel["title"], panel["targets"][0]["expr"]))
    of_what = "__data.fields" if panel["type"] == "table" else "__field.labels"

    assert path == f"/d/{POOL}"
    # Encoded, since an auth may be `basic#2`.
    clicked = {f"var-{label}=${{{of_what}.{label}:percentencode}}" for label in labels}
    assert names.LABEL_HOST in labels
    chosen = {f"${{{name}:queryparam}}" for name in variables_of(board(POOL)) if name not in labels}
    assert set(parts) == clicked | chosen | {"${__url_time_range}"}
    assert len(parts) == len(set(parts))


def test_every_panel_of_the_overview_that_is_by_host_can_be_clicked() -> None:
    by_host = {
        panel["title"]
        for panel in panels_of(board(OVERVIEW))
        for target in panel["targets"]
        if names.LABEL_HOST in grouped_by(Asked(panel["title"], target["expr"]))
        and not re.match(r"count", target["expr"])
    }
    clickable = {panel["title"] for panel in panels_of(board(OVERVIEW)) if [*links_of(panel)]}

    assert len(by_host) > 6
    assert clickable == by_host
