"""A trace drawn as a waterfall: each span a bar, from when it began to when it ended.

Rules:

1. A host has a colour, and what is about none is grey. Attempts are full, what they belong to pale.
2. What failed has a red frame, and a link is a dashed line to the span that it leads to.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

from matplotlib.ticker import MaxNLocator

from dashboards.pictures import canvas
from dashboards.pictures.canvas import FAINT, GRID, NAMED, PANEL, SERIES, TEXT, Box, Sheet
from dashboards.pictures.words import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dashboards.pictures.waterfall import Row

WIDTH: Final = 1120
LINE: Final = 23
"""Pixels that a row is high."""

_LEFT: Final = 22.0
_INDENT: Final = 15
_TOP: Final = 84
_BAR: Final = 13
_HOSTS: Final = (SERIES[0], SERIES[3], SERIES[5])
"""The hosts' colours."""
_GREY: Final = "#8e8e99"
_LINK: Final = "#d9b3ff"
_ROOM: Final = 76
"""Right of the bars, for the durations of those that end there."""


def drawn(rows: Sequence[Row], title: str) -> Sheet:
    """Draw a trace."""
    sheet = Sheet(WIDTH, _TOP + len(rows) * LINE + 18)
    panel = Box(8, 8, WIDTH - 16, sheet.height - 16)
    sheet.rectangle(panel, PANEL, edge=canvas.EDGE, rounded=3)
    sheet.text(_LEFT, 28, title, size=14, bold=True)
    hosts = dict.fromkeys(row.host for row in rows if row.wire)
    colours = dict(zip(hosts, itertools.cycle(_HOSTS), strict=False))
    _legend(sheet, colours)
    for number in range(1, len(rows), 2):
        stripe = Box(panel.left + 1, _TOP + number * LINE, panel.width - 2, LINE)
        sheet.rectangle(stripe, "#ffffff", opacity=0.025)
    names = max(_named(sheet, row, 0, draw=False) for row in rows)
    left = _LEFT + names + 20
    lasts = max(row.begins + row.lasts for row in rows)
    scale = _Scale(left, (WIDTH - 8 - _ROOM - left) / lasts)
    _times(sheet, scale, lasts, len(rows))
    for number, row in enumerate(rows):
        if row.linked is not None:
            _link(sheet, scale, rows, number)
    for number, row in enumerate(rows):
        _branch(sheet, rows, number)
        _named(sheet, row, _middle(number), draw=True)
        _bar(sheet, scale, row, _middle(number), colours.get(row.host, _GREY))
    return sheet


class _Scale(NamedTuple):
    """Where the bars begin, and how many pixels a millisecond is wide."""

    left: float
    width: float

    def x(self, milliseconds: float) -> float:
        """Where a time is."""
        return self.left + milliseconds * self.width


def _middle(number: int) -> float:
    """How far down a row is."""
    return _TOP + (number + 0.5) * LINE


def _named(sheet: Sheet, row: Row, y: float, *, draw: bool) -> float:
    """A row's name with what is told beside it; how wide it is."""
    x = _LEFT + row.depth * _INDENT
    short = row.name.removeprefix("sleepwalker.")
    ours = short != row.name
    parts = [(short, TEXT, not ours), (row.detail, NAMED["red"] if row.failed else FAINT, False)]
    for text, colour, bold in parts:
        if draw:
            sheet.text(x, y, text, size=11.5, colour=colour, bold=bold)
        x += sheet.measured(text, size=11.5, bold=bold) + 8
    return x - _LEFT


def _branch(sheet: Sheet, rows: Sequence[Row], number: int) -> None:
    """The line from the row above it in the tree."""
    depth = rows[number].depth
    if depth:
        above = next(other for other in range(number, -1, -1) if rows[other].depth < depth)
        x, y = _LEFT + (depth - 1) * _INDENT + 4, _middle(number)
        corners = [(x, _middle(above) + 8), (x, y), (x + 8, y)]
        sheet.line(corners, _GREY, opacity=0.6)


def _legend(sheet: Sheet, colours: Mapping[str, str]) -> None:
    x = _LEFT
    for host, colour in colours.items():
        sheet.rectangle(Box(x, 46, 14, 10), colour)
        x += 20 + sheet.text(x + 20, 51, host, size=11.5) + 18
    sheet.rectangle(Box(x, 46, 14, 10), _GREY, opacity=0.45)
    x += 20 + sheet.text(x + 20, 51, "the application", size=11.5) + 18
    sheet.rectangle(Box(x, 46, 14, 10), PANEL, edge=NAMED["red"])
    x += 20 + sheet.text(x + 20, 51, "failed", size=11.5) + 18
    sheet.line([(x, 51), (x + 16, 51)], _LINK, width=1.4, dashes=(3, 2))
    sheet.text(x + 22, 51, "link to the span of the document that it stood in", size=11.5)


def _times(sheet: Sheet, scale: _Scale, lasts: float, lines: int) -> None:
    for tick in MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(0, lasts):
        if 0 <= tick <= lasts:
            x = scale.x(float(tick))
            sheet.line([(x, _TOP), (x, _TOP + lines * LINE)], GRID)
            text = written(float(tick) / 1000, "s")
            sheet.text(x, _TOP - 10, text, size=11, colour=FAINT, align="center")


def _bar(sheet: Sheet, scale: _Scale, row: Row, y: float, colour: str) -> None:
    width = max(row.lasts * scale.width, 2.5)
    place = Box(scale.x(row.begins), y - _BAR / 2, width, _BAR)
    sheet.rectangle(place, colour, opacity=1 if row.wire else 0.45)
    if row.failed:
        corners = [
            (place.left, place.top),
            (place.right, place.top),
            (place.right, place.bottom),
            (place.left, place.bottom),
            (place.left, place.top),
        ]
        sheet.line(corners, NAMED["red"], width=1.6)
    text = written(row.lasts / 1000, "s")
    wide = sheet.measured(text, size=10.5)
    sheet.rectangle(Box(place.right + 4, y - 6, wide + 4, 12), PANEL)  # over a link's line
    sheet.text(place.right + 6, y, text, size=10.5, colour=FAINT)


def _link(sheet: Sheet, scale: _Scale, rows: Sequence[Row], number: int) -> None:
    """From the end of the span that a row is linked to down to the row's own beginning."""
    linked = rows[number].linked or 0
    end = scale.x(rows[linked].begins + rows[linked].lasts)
    start = scale.x(rows[number].begins)
    y = _middle(number) - _BAR / 2
    corners = [(end, _middle(linked) + _BAR / 2), (end, y - 3), (start, y - 3), (start, y)]
    sheet.line(corners, _LINK, width=1.4, dashes=(3, 2))
