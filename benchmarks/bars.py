"""Draws costs as bars, as an SVG file.

Rules:

1. A bar is a median, the line across its end goes from quartile to quartile, and the axis begins at
   nothing.
2. The file is text, the same for the same figures, and readable on light and dark pages.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of Okabe and Ito's palette, which people who don't tell red from green can read too.
OURS: Final = "#0072b2"
OTHERS: Final = "#9aa5b1"
WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 520, 190, 96, 56, 30, 18


class Bar(NamedTuple):
    """One of them, in the unit of the axis."""

    name: str
    median: float
    low: float
    high: float
    ours: bool


def drawn(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """The picture: the shortest bar above."""
    ordered = sorted(bars, key=lambda bar: bar.median)
    step = _step(max(bar.high for bar in ordered))
    ticks = math.ceil(max(bar.high for bar in ordered) / step)
    bottom = TOP + ROW * len(ordered)
    parts = [
        f'<text x="16" y="26" font-size="15" font-weight="bold">{escape(title)}</text>',
        *(_tick(number * step, ticks * step, bottom) for number in range(ticks + 1)),
        f'<text x="{LEFT + WIDTH + 28}" y="{bottom + 20}">{escape(unit)}</text>',
        *(_row(bar, ticks * step, TOP + ROW * number, unit) for number, bar in enumerate(ordered)),
    ]
    width, height = LEFT + WIDTH + RIGHT, bottom + 34
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" role="img" '
        f'aria-label="{escape(title)}">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _step(most: float) -> float:
    """A round number, of which there are at most eight up to the most."""
    size = 10.0 ** math.floor(math.log10(most))
    return next(part * size for part in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0) if most <= 8 * part * size)


def _tick(value: float, most: float, bottom: int) -> str:
    x = LEFT + WIDTH * value / most
    return (
        f'<path d="M{x:.1f} {TOP - 8}V{bottom}" stroke="#dddddd" stroke-width="0.8"/>'
        f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{value:g}</text>'
    )


def _row(bar: Bar, most: float, top: int, unit: str) -> str:
    ends = (LEFT + WIDTH * value / most for value in (bar.median, bar.low, bar.high))
    end, low, high = ends
    y, middle = top + (ROW - BAR) // 2, top + ROW // 2
    weight = ' font-weight="bold"' if bar.ours else ""
    return (
        f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end"{weight}>{escape(bar.name)}'
        f'</text><rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" '
        f'fill="{OURS if bar.ours else OTHERS}"><title>{escape(bar.name)}: {bar.median:.0f} '
        f"{escape(unit)}</title></rect>"
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#222222" stroke-width="1.6"/>'
        f'<text x="{max(end, high) + 8:.1f}" y="{middle + 4}"{weight}>{bar.median:.0f}</text>'
    )
