"""The drawing itself: that all of it can be read. Skipped where matplotlib isn't."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any, Final

import pytest

from dashboards.pictures import plan, waterfall
from dashboards.pictures.plan import Dot, Drawn, Filled, Span
from tests.dashboards.test_pictures import BOOKS, traversal

if TYPE_CHECKING:
    from collections.abc import Sequence

WHY: Final = "draws with matplotlib, which only `make pictures` installs"
panels = pytest.importorskip("dashboards.pictures.panels", reason=WHY)
trace = pytest.importorskip("dashboards.pictures.trace", reason=WHY)

SHOWN: Final = Span(1_800_000_000.0, 1_800_000_030.0, 1.0)
HOSTS: Final = [f"https://127.0.0.{number}:40{number}17" for number in (1, 2, 3)]
BUCKETS: Final = ("0.005", "0.1", "2.5", "+Inf")


def answered(panel: plan.Json) -> Filled:
    """Fill a panel with made up answers of a form that its queries have."""
    series = []
    as_of_now = panel["type"] in {"stat", "table"}
    for target in panel.get("targets", ()):
        count = {"heatmap": len(BUCKETS), "stat": 1}.get(panel["type"], 3)
        for number in range(count):
            times = [SHOWN.end] if as_of_now else [SHOWN.start + n for n in range(3, 31)]
            labels = {"le": BUCKETS[number]} if panel["type"] == "heatmap" else {}
            labels |= {"host": HOSTS[number % 3], "auth": "ApiKeyAuth"}
            legend = target.get("legendFormat", "")
            name = HOSTS[number % 3] if "{{" in legend else legend
            points = [(when, float(number + 1 + index % 2)) for index, when in enumerate(times)]
            series.append(Drawn(target["refId"], name, labels, points))
    dots = [Dot(SHOWN.start + 4.2, 0.05), Dot(SHOWN.start + 9.7, 70.0)]
    return Filled(panel, series, dots if panel.get("targets", [{}])[0].get("exemplar") else ())


def texts_of(sheet: Any) -> list[str]:
    return [text.get_text() for text in sheet.figure.texts]


def unreadable(sheet: Any) -> list[tuple[str, ...]]:
    """Give the texts that leave the sheet, and those that lie on each other."""
    renderer = sheet.figure.canvas.get_renderer()
    texts = [(text.get_text(), text.get_window_extent(renderer)) for text in sheet.figure.texts]
    width, height = sheet.figure.canvas.get_width_height()
    outside: list[tuple[str, ...]] = [
        (text,) for text, at in texts if at.x0 < 0 or at.y0 < 0 or at.x1 > width or at.y1 > height
    ]
    # A pixel of their line heights may be shared.
    overlapping = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(texts, 2)
        if a.x0 < b.x1 and b.x0 < a.x1 and a.y0 + 1 < b.y1 - 1 and b.y0 + 1 < a.y1 - 1
    ]
    return outside + overlapping


def rows_of(picture: plan.Picture) -> Sequence[Filled]:
    filled = [answered(panel) for panel in plan.board(picture.board)["panels"]]
    return plan.of_picture(picture, filled)


@pytest.mark.parametrize("picture", plan.PICTURES, ids=lambda picture: picture.name)
def test_every_text_of_a_picture_can_be_read(picture: plan.Picture) -> None:
    rows = rows_of(picture)

    sheet = panels.drawn(rows, SHOWN)

    assert unreadable(sheet) == []
    shown = texts_of(sheet)
    assert [each.panel["title"] for each in rows if each.panel["title"] not in shown] == []
    assert "No data" not in shown


def test_a_panel_without_data_says_so() -> None:
    [picture] = [picture for picture in plan.PICTURES if picture.name == "overview-retries"]
    rows = [Filled(each.panel) for each in rows_of(picture)]

    assert texts_of(panels.drawn(rows, SHOWN)).count("No data") == len(rows) - 1


def test_a_figure_without_data_is_a_dash_and_one_above_its_threshold_is_red() -> None:
    [picture] = [picture for picture in plan.PICTURES if picture.name == "overview-requests"]
    rows = [
        each if each.panel["title"] == "Open breakers" else Filled(each.panel)
        for each in rows_of(picture)
        if each.panel["type"] in {"row", "stat"}
    ]

    sheet = panels.drawn(rows, SHOWN)

    assert texts_of(sheet).count("—") == 5
    assert [text.get_color() for text in sheet.figure.texts if text.get_text() == "1"] == [
        "#f2495c"
    ]


def test_the_same_is_drawn_the_same_and_small() -> None:
    [picture] = [picture for picture in plan.PICTURES if picture.name == "overview-health"]
    rows = rows_of(picture)

    once, again = (panels.drawn(rows, SHOWN).png() for _ in range(2))

    assert once == again
    assert once.startswith(b"\x89PNG")
    assert 1000 <= struct.unpack(">I", once[16:20])[0] <= 1400
    assert len(once) < 100_000


def test_a_trace_is_drawn_with_all_its_spans_and_hosts() -> None:
    rows = waterfall.rows(traversal("t"), {BOOKS: "books"})

    sheet = trace.drawn(rows, "One trace")

    assert unreadable(sheet) == []
    shown = texts_of(sheet)
    assert shown.count("GET /books/{id}") == 2
    assert {"One trace", "books", "503", "200 · resent 1", "Login · connected", "8 ms"} <= set(
        shown
    )
