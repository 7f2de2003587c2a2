"""The page of the benchmarks is what its data says, and the data is a whole run's."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import page, threads, traversal, wire, written
from benchmarks.bars import WIDTH, Bar, drawn
from benchmarks.budgets import BUDGETS, TIMES
from benchmarks.clients import CLIENTS
from benchmarks.finds import FINDS
from benchmarks.page import COMMAND, DATA, PAGE, PICTURE, lines_of, picture, section, shortened
from benchmarks.parts import DEFAULT
from benchmarks.server import PATH
from benchmarks.traversers import TRAVERSERS

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return loaded


# The page that is there


def test_the_page_has_what_its_data_says_and_nothing_else(data: dict[str, Any]) -> None:
    _, inside, _ = written.parts(PAGE, COMMAND)

    assert inside == f"{section(data)}\n"


def test_the_picture_is_drawn_from_the_same_data(data: dict[str, Any]) -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(data)


def test_the_data_is_that_of_a_whole_run(data: dict[str, Any]) -> None:
    tables = {(table["part"], table["operation"]): table["subjects"] for table in data["tables"]}

    # Those without tables have budgets.
    assert {part for part, _ in tables} == {*DEFAULT} - {"stampede", "storm", "deadlines"}
    assert {*CLIENTS} <= tables["clients", "one JSON GET"].keys()
    assert {*FINDS} <= tables["finds", "find that hits"].keys()
    assert {*TRAVERSERS} == tables["traversal", traversal.NAME].keys()
    scenarios = [subjects for (part, _), subjects in tables.items() if part == wire.NAME]
    assert [len(scenarios), *map(len, scenarios)] == [8, *[len(scenarios[0])] * 8]
    assert len([part for part, _ in tables if part == threads.NAME]) == len(threads.COUNTS)


def test_every_budget_stands_there_with_its_limit(data: dict[str, Any]) -> None:
    assert [(found["name"], found["limit"]) for found in data["budgets"]] == [
        (budget.name, budget.limit) for budget in BUDGETS
    ]
    unmeasured = {found["name"] for found in data["budgets"] if found["met"] is None}
    assert {name.split(".")[0] for name in unmeasured} <= {"memory"}


def test_the_page_names_every_part() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert [name for name in (*DEFAULT, "memory") if f"| `{name}` |" not in text] == []


# What is written


def test_a_missed_budget_is_printed_like_one_that_is_met(data: dict[str, Any]) -> None:
    changed = copy.deepcopy(data)
    changed["budgets"][0] |= {
        "met": False,
        "measured": {"median": 1.7, "low": 1.6, "high": 1.8},
    }
    first = BUDGETS[0]

    text = section(changed)

    assert f"| {first.what} | {first} | 1.70 {TIMES} (1.60-1.80) | **missed** |" in text
    missed = [found["met"] for found in changed["budgets"]].count(False)
    assert f"{missed} missed" in text
    assert text.count("**missed**") == missed


def test_who_was_left_out_and_what_never_happens_are_told(data: dict[str, Any]) -> None:
    changed = copy.deepcopy(data) | {"left out": {"niquests": "there is no network"}}
    [recovery] = [found for found in changed["budgets"] if found["name"] == "recovery.default"]
    recovery |= {"met": False, "measured": {"median": None, "low": None, "high": None}}

    text = section(changed)

    assert "niquests was left out: there is no network." in text
    assert "| never | **missed** |" in text


def test_memory_has_a_table_when_it_was_measured(data: dict[str, Any]) -> None:
    sample = {"requests": 100_000, "resident": 2**26, "blocks": 200_000, "cycles": 0, "files": 9}

    assert "## Memory" not in section(data | {"memory": []})
    assert "| 100,000 | 64.0 | 200,000 | 0 | 9 |" in section(data | {"memory": [sample]})


def test_what_is_written_is_the_data_the_page_and_the_picture(
    data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PAGE", "DATA", "PICTURE"):
        monkeypatch.setattr(page, name, tmp_path / getattr(page, name).name)
    begin = written.begin(COMMAND)
    (tmp_path / PAGE.name).write_text(f"before\n{begin}{written.END}behind\n", encoding="utf-8")

    page.write(data)

    assert json.loads((tmp_path / DATA.name).read_text(encoding="utf-8")) == data
    assert written.parts(tmp_path / PAGE.name, COMMAND) == (
        "before\n",
        f"{section(data)}\n",
        "behind\n",
    )
    assert (tmp_path / PICTURE.name).read_text(encoding="utf-8") == picture(data)


def test_numbers_are_kept_with_the_digits_that_say_something() -> None:
    given = {"a": [1.23456789e-4, 7], "b": (True, None, PATH), "thread": 1.0}

    assert shortened(given) == {
        "a": [1.2346e-4, 7],
        "b": [True, None, PATH],
    }


def test_the_data_has_a_line_for_each_of_many(data: dict[str, Any]) -> None:
    text = lines_of(data)

    assert json.loads(text) == data
    assert DATA.read_text(encoding="utf-8") == text
    assert len(text.splitlines()) > len(data["tables"]) + len(data["budgets"])


# The picture


def test_a_bar_is_as_long_as_its_figure_says_and_the_shortest_is_above() -> None:
    bars = [
        Bar("theirs", 400.0, 350.0, 500.0, ours=False),
        Bar("ours", 100.0, 90.0, 110.0, ours=True),
    ]

    root = ET.fromstring(drawn("A <title>", "µs", bars))  # noqa: S314 - our own text

    _, *rects = root.iter(f"{SVG}rect")
    widths = [float(rect.attrib["width"]) for rect in rects]
    assert widths == [WIDTH * 100 / 500, WIDTH * 400 / 500]
    assert [float(rect.attrib["y"]) for rect in rects] == sorted(
        float(rect.attrib["y"]) for rect in rects
    )
    assert [rect[0].text for rect in rects] == ["ours: 100 µs", "theirs: 400 µs"]


@pytest.mark.parametrize("most", [0.3, 1.0, 7.0, 99.0, 101.0, 850.0, 2400.0])
def test_the_axis_has_round_ticks_up_to_the_longest_bar(most: float) -> None:
    picture_of_one = drawn("t", "µs", [Bar("one", most, most, most, ours=True)])
    root = ET.fromstring(picture_of_one)  # noqa: S314 - our own text

    ticks = [
        float(text.text or "")
        for text in root.iter(f"{SVG}text")
        if text.attrib.get("text-anchor") == "middle"
    ]
    assert ticks[0] == 0
    assert most <= ticks[-1] < 1.5 * most + ticks[1]
    assert 3 <= len(ticks) <= 9
