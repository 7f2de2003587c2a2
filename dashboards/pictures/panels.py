"""The dashboards' panels, drawn as Grafana draws them.

Rules:

1. A panel is drawn from its JSON and what its queries were answered, and from nothing else.
2. An axis begins and ends where Grafana's does; nothing is smoothed, and a gap stays a gap.
3. What has no data says so.
"""

from __future__ import annotations

import bisect
import itertools
import math
import time
from typing import TYPE_CHECKING, Any, Final

from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from dashboards.pictures import canvas
from dashboards.pictures.canvas import FAINT, GRID, LINK, NAMED, PANEL, SERIES, TEXT, Box, Sheet
from dashboards.pictures.tables import table_of
from dashboards.pictures.words import Word, told, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dashboards.pictures.plan import Drawn, Filled, Span

WIDTH: Final = 1120
"""Of a picture, in pixels."""
UNIT: Final = 34
"""Pixels that a row of the dashboards' grid is high, with the space below it."""
COLUMNS: Final = 24
SPACE: Final = 8
"""Between two panels."""

_PAD: Final = 10
_TITLE: Final = 34
"""From the top of a panel to what it shows."""
_LABEL: Final = 11
_LEGEND_LINE: Final = 18
_TABLE_LINE: Final = 27
_LEGEND_LINES: Final = 3
_MAGENTA: Final = "#ff6bff"
_EXEMPLAR: Final = "#6ea6ff"


def drawn(rows: Sequence[Filled], shown: Span) -> Sheet:
    """Draw rows of a dashboard one below the other."""
    tops = _tops(rows)
    height = max(top + _high(each) for each, top in zip(rows, tops, strict=True))
    sheet = Sheet(WIDTH, height * UNIT + SPACE)
    for each, top in zip(rows, tops, strict=True):
        at = each.panel["gridPos"]
        column = (WIDTH - SPACE) / COLUMNS
        box = Box(
            SPACE + at["x"] * column,
            SPACE + top * UNIT,
            at["w"] * column - SPACE,
            at["h"] * UNIT - SPACE,
        )
        _DRAWN[each.panel["type"]](sheet, box, each, shown)
    return sheet


def _high(each: Filled) -> int:
    height: int = each.panel["gridPos"]["h"]
    return height


def _tops(rows: Sequence[Filled]) -> list[int]:
    """Where each panel begins: as in the dashboard, but without the rows between these."""
    tops, moved, bottom = [], 0, 0
    for each in rows:
        at = each.panel["gridPos"]
        if each.panel["type"] == "row":
            moved = bottom - at["y"]
        tops.append(at["y"] + moved)
        bottom = max(bottom, tops[-1] + at["h"])
    return tops


# --- parts of panels -------------------------------------------------------------------------


def _frame(sheet: Sheet, box: Box, each: Filled) -> Box:
    """The panel itself with its title; what is left of it."""
    sheet.rectangle(box, PANEL, edge=canvas.EDGE, rounded=3)
    sheet.text(
        box.left + _PAD,
        box.top + 17,
        each.panel["title"],
        size=13,
        bold=True,
        room=box.width - 2 * _PAD,
    )
    return box.within(_PAD, _TITLE, _PAD, _PAD - 2)


def _no_data(sheet: Sheet, box: Box) -> None:
    x, y = box.left + box.width / 2, box.top + box.height / 2 - 8
    sheet.text(x, y, "No data", size=14, colour=FAINT, align="center")


def _legend(sheet: Sheet, box: Box, entries: Sequence[tuple[str, str]]) -> Box:
    """Names with their colours at the bottom; what is left of the place.

    Where there are more than have room, it says how many, as Grafana would let one scroll.
    """
    lines: list[list[tuple[str, str, float]]] = [[]]
    x = 0.0
    for name, colour in entries:
        text = sheet.fitting(name, box.width - 26, size=_LABEL)
        width = 20 + sheet.measured(text, size=_LABEL)
        if lines[-1] and x + width > box.width:
            lines.append([])
            x = 0.0
        lines[-1].append((text, colour, x))
        x += width + 14
    shown = lines[:_LEGEND_LINES]
    top = box.bottom - _LEGEND_LINE * len(shown)
    for number, line in enumerate(shown):
        y = top + _LEGEND_LINE * (number + 0.5)
        for text, colour, offset in line:
            left = box.left + offset
            sheet.line([(left, y), (left + 14, y)], colour, width=3)
            sheet.text(left + 20, y, text, size=_LABEL, colour=TEXT)
    return box.within(bottom=box.bottom - top + 4)


def _time_axis(sheet: Sheet, box: Box, shown: Span) -> None:
    """The times below a place, and lines at them."""
    seconds = shown.end - shown.start
    every = next(
        (step for step in (5, 10, 15, 30, 60, 120, 300, 600) if box.width * step / seconds >= 84),
        900,
    )
    first = math.ceil(shown.start / every) * every
    for when in range(first, int(shown.end) + 1, every):
        x = box.left + (when - shown.start) / seconds * box.width
        sheet.line([(x, box.top), (x, box.bottom)], GRID)
        label = time.strftime("%H:%M:%S", time.gmtime(when))
        half = sheet.measured(label, size=_LABEL) / 2
        if box.left - 8 <= x - half and x + half <= box.right + 6:
            sheet.text(x, box.bottom + 12, label, size=_LABEL, colour=FAINT, align="center")


def _value_axis(sheet: Sheet, box: Box, unit: str, top: float) -> tuple[Box, float]:
    """The figures left of a place, and lines at them; what is left of it, and its highest figure.

    :param top: what must have room
    """
    count = 4 if box.height > 110 else 3
    ticks = [
        float(tick)
        for tick in MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top)
        if tick >= 0
    ]
    labels = [written(tick, unit) for tick in ticks]
    wide = max(sheet.measured(label, size=_LABEL) for label in labels) + 8
    inner = box.within(left=wide, bottom=22, top=4)
    for tick, label in zip(ticks, labels, strict=True):
        y = inner.bottom - tick / ticks[-1] * inner.height
        sheet.line([(inner.left, y), (inner.right, y)], GRID)
        sheet.text(inner.left - 8, y, label, size=_LABEL, colour=FAINT, align="right")
    return inner, ticks[-1]


def _axes(sheet: Sheet, box: Box, shown: Span, bottom: float, top: float) -> Any:
    axes = sheet.axes(box)
    axes.set_xlim(shown.start, shown.end)
    axes.set_ylim(bottom, top)
    return axes


# --- panels ----------------------------------------------------------------------------------


def _row(sheet: Sheet, box: Box, each: Filled, _shown: Span) -> None:
    y = box.top + box.height / 2
    sheet.line([(box.left + 4, y - 3), (box.left + 9, y + 2), (box.left + 14, y - 3)], TEXT)
    sheet.text(box.left + 24, y, each.panel["title"], size=15, bold=True)


def _stat(sheet: Sheet, box: Box, each: Filled, _shown: Span) -> None:
    inner = _frame(sheet, box, each)
    defaults = each.panel["fieldConfig"]["defaults"]
    middle = inner.top + inner.height / 2
    values = [(drawn.name, told(drawn.last, defaults)) for drawn in each.series]
    values = values or [("", Word(defaults["noValue"]))]
    share = inner.width / len(values)
    several = len(values) > 1
    for number, (name, word) in enumerate(values):
        x = inner.left + share * (number + 0.5)
        size = 30.0
        while sheet.measured(word.text, size=size, bold=True) > share - 8:
            size -= 1
        colour = NAMED[word.colour]
        sheet.text(
            x, middle + 8 * several, word.text, size=size, bold=True, colour=colour, align="center"
        )
        if several:
            sheet.text(x, inner.top + 8, name, size=12, colour=FAINT, align="center", room=share)


def _table(sheet: Sheet, box: Box, each: Filled, _shown: Span) -> None:
    inner = _frame(sheet, box, each)
    if not each.series:
        return _no_data(sheet, inner)
    table = table_of(each)
    heads = [sheet.measured(column.head, bold=True) for column in table.figures]
    spare = inner.width - sum(column.width for column in table.labels) - sum(heads)
    widths = [
        *(column.width for column in table.labels),
        *(head + spare / len(heads) for head in heads),
    ]
    lefts = [inner.left, *(inner.left + end for end in itertools.accumulate(widths))]
    rights = [right - 12 for right in lefts[len(table.labels) + 1 :]]
    y = inner.top + _TABLE_LINE / 2
    for column, left in zip(table.labels, lefts, strict=False):
        sheet.text(left, y, column.head, colour=LINK, bold=True)
    for column, right in zip(table.figures, rights, strict=True):
        head = f"↓ {column.head}" if column.sorted else column.head
        sheet.text(right, y, head, colour=LINK, bold=True, align="right")
    fitting = int(inner.height // _TABLE_LINE) - 1
    for labels, cells in table.rows[:fitting]:
        y += _TABLE_LINE
        top = y - _TABLE_LINE / 2
        sheet.line([(inner.left, top), (inner.right, top)], GRID)
        for column, text, left in zip(table.labels, labels, lefts, strict=False):
            colour = LINK if column.linked else TEXT
            sheet.text(left, y, text, colour=colour, room=column.width - 12)
        for cell, right in zip(cells, rights, strict=True):
            sheet.text(right, y, cell.text, colour=NAMED[cell.colour], align="right")
    return None


def _times(shown: Span) -> list[float]:
    count = round((shown.end - shown.start) / shown.step)
    return [shown.start + shown.step * number for number in range(count + 1)]


def _regular(drawn: Drawn, times: Sequence[float]) -> list[float]:
    """A value for each time; none is NaN."""
    known = {round(when, 3): value for when, value in drawn.points}
    return [known.get(round(when, 3), math.nan) for when in times]


def _timeseries(sheet: Sheet, box: Box, each: Filled, shown: Span) -> None:
    inner = _frame(sheet, box, each)
    if not each.series:
        return _no_data(sheet, inner)
    defaults = each.panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"].get("stacking", {}).get("mode") == "normal"
    times = _times(shown)
    lows = [[0.0] * len(times) for _ in each.series]
    highs = [_regular(drawn, times) for drawn in each.series]
    if stacked:
        below = [0.0] * len(times)
        for number, values in enumerate(highs):
            lows[number] = below
            highs[number] = [low + value for low, value in zip(below, values, strict=True)]
            below = [
                low if math.isnan(high) else high
                for low, high in zip(below, highs[number], strict=True)
            ]
    named = [
        (drawn.name, colour)
        for drawn, colour in zip(each.series, itertools.cycle(SERIES), strict=False)
    ]
    inner = _legend(sheet, inner, named)
    every = [value for values in highs for value in values if not math.isnan(value)]
    highest = defaults.get("max") or max(every) or 1.0
    inner, top = _value_axis(sheet, inner, defaults["unit"], highest)
    _time_axis(sheet, inner, shown)
    axes = _axes(sheet, inner, shown, 0, top)
    opacity = defaults["custom"]["fillOpacity"] / 100
    for low, high, (_, colour) in zip(lows, highs, named, strict=True):
        axes.fill_between(times, low, high, color=colour, alpha=opacity, linewidth=0)
        # A point between two gaps would be no line.
        alone = [
            index
            for index, value in enumerate(high)
            if not math.isnan(value)
            and all(
                math.isnan(high[beside])
                for beside in (index - 1, index + 1)
                if 0 <= beside < len(high)
            )
        ]
        axes.plot(times, high, color=colour, linewidth=canvas.points(1.4), clip_on=False)
        axes.plot(
            [times[index] for index in alone],
            [high[index] for index in alone],
            *"o",
            color=colour,
            markersize=canvas.points(5),
            clip_on=False,
        )
    _draw_thresholds(axes, defaults, top)
    if each.dots:
        # What is above the axis stands at its top, as in Grafana.
        _dots(axes, [(dot.when, min(dot.value, top)) for dot in each.dots], _EXEMPLAR)
    return None


def _draw_thresholds(axes: Any, defaults: dict[str, Any], top: float) -> None:
    if "thresholdsStyle" not in defaults["custom"]:
        return
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is not None and step["value"] <= top:
            colour = NAMED[step["color"]]
            axes.axhline(
                step["value"], color=colour, linewidth=canvas.points(1.6), dashes=(5, 4), alpha=0.9
            )


def _dots(axes: Any, places: Sequence[tuple[float, float]], colour: str) -> None:
    axes.plot(
        [x for x, _ in places],
        [y for _, y in places],
        linestyle="none",
        marker="D",
        markersize=canvas.points(5),
        markeredgewidth=canvas.points(0.8),
        markeredgecolor=PANEL,
        color=colour,
        clip_on=False,
    )


def _heatmap(sheet: Sheet, box: Box, each: Filled, shown: Span) -> None:
    inner = _frame(sheet, box, each)
    if not each.series:
        return _no_data(sheet, inner)
    ordered = sorted(each.series, key=lambda drawn: float(drawn.labels["le"]))
    bounds = [float(drawn.labels["le"]) for drawn in ordered]
    times = _times(shown)
    cumulative = [_regular(drawn, times) for drawn in ordered]
    # Each bucket of Prometheus has those below it in it.
    own = [
        [max(high - low, 0) for low, high in zip(lower, upper, strict=True)]
        for lower, upper in itertools.pairwise([[0.0] * len(times), *cumulative])
    ]
    hidden = each.panel["options"]["filterValues"]["le"]
    every = [value for values in own for value in values if value > hidden]
    highest = max(every, default=1.0)
    labels = [written(bound, "s") if math.isfinite(bound) else "+Inf" for bound in bounds]
    wide = max(sheet.measured(label, size=_LABEL) for label in labels) + 8
    unit = each.panel["options"]["cellValues"]["unit"]
    scale = inner.within(left=wide, top=inner.height - 20)
    inner = inner.within(left=wide, top=4, bottom=52)
    for number in range(0, len(labels), 2):
        y = inner.bottom - (number + 1) / len(labels) * inner.height
        sheet.line([(inner.left, y), (inner.right, y)], GRID)
        sheet.text(inner.left - 8, y, labels[number], size=_LABEL, colour=FAINT, align="right")
    _time_axis(sheet, inner, shown)
    axes = _axes(sheet, inner, shown, 0, len(bounds))
    exponent = each.panel["options"]["color"]["exponent"]
    colours = colormaps["Blues_r"]

    def coloured(value: float) -> Any:
        return colours(0.08 + 0.87 * (value / highest) ** exponent)

    for number, values in enumerate(own):
        for when, value in zip(times, values, strict=True):
            if value > hidden:
                axes.bar(
                    when, 1, shown.step, number, color=coloured(value), linewidth=0, align="center"
                )
    _dots(axes, [(dot.when, _height(dot.value, bounds)) for dot in each.dots], _MAGENTA)
    count = 60
    strip = sheet.axes(Box(scale.left + 52, scale.top + 6, scale.width - 150, 8))
    strip.set_xlim(0, count)
    strip.set_ylim(0, 1)
    for number in range(count):
        strip.bar(number + 0.5, 1, 1.05, color=coloured(highest * number / count), linewidth=0)
    y = scale.top + 10
    sheet.text(scale.left + 44, y, written(0, unit), size=_LABEL, colour=FAINT, align="right")
    sheet.text(scale.right - 90, y, written(highest, unit), size=_LABEL, colour=FAINT)
    return None


def _height(value: float, bounds: Sequence[float]) -> float:
    """Where a value stands between buckets that are all drawn alike."""
    index = bisect.bisect_left(bounds, value)
    if index >= len(bounds) - 1:
        return len(bounds) - 0.5
    low = bounds[index - 1] if index else 0.0
    return index + (value - low) / (bounds[index] - low)


def _states(sheet: Sheet, box: Box, each: Filled, shown: Span) -> None:
    inner = _frame(sheet, box, each)
    if not each.series:
        return _no_data(sheet, inner)
    defaults = each.panel["fieldConfig"]["defaults"]
    [mapping] = defaults["mappings"]
    states = sorted(mapping["options"].values(), key=lambda state: state["index"])
    inner = _legend(sheet, inner, [(each["text"], NAMED[each["color"]]) for each in states])
    wide = max(sheet.measured(drawn.name, size=_LABEL) for drawn in each.series) + 10
    inner = inner.within(left=wide, bottom=22, top=2)
    _time_axis(sheet, inner, shown)
    share = inner.height / len(each.series)
    seconds = shown.end - shown.start
    high = share * each.panel["options"]["rowHeight"]
    times = _times(shown)
    for number, drawn in enumerate(each.series):
        middle = inner.top + share * (number + 0.5)
        sheet.text(inner.left - 10, middle, drawn.name, size=_LABEL, colour=FAINT, align="right")
        values = _regular(drawn, times)
        pairs = zip(times, values, strict=True)
        for value, run in itertools.groupby(pairs, key=lambda pair: pair[1]):
            if math.isnan(value):
                continue
            whens = [when for when, _ in run]
            begins, ends = whens[0], whens[-1]
            word = told(value, defaults)
            left = inner.left + (begins - shown.start) / seconds * inner.width
            right = inner.left + (ends + shown.step - shown.start) / seconds * inner.width
            place = Box(left, middle - high / 2, min(right, inner.right) - left, high)
            sheet.rectangle(
                place, NAMED[word.colour], opacity=defaults["custom"]["fillOpacity"] / 100
            )
            if sheet.measured(word.text, size=_LABEL) < place.width - 8:
                sheet.text(left + 6, middle, word.text, size=_LABEL, colour=PANEL, bold=True)
    return None


_DRAWN: Final[dict[str, Callable[[Sheet, Box, Filled, Span], None]]] = {
    "heatmap": _heatmap,
    "row": _row,
    "stat": _stat,
    "state-timeline": _states,
    "table": _table,
    "timeseries": _timeseries,
}
