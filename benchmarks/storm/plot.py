"""Draws load and goodput over time, as an SVG file.

Rules:

1. What is drawn is what was measured, second by second; nothing is smoothed.
2. The file is text, the same for the same figures, and readable on light and dark pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.storm.scenarios import PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.storm.scenarios import Recovery, World

# Okabe and Ito's palette, which people who don't tell red from green can read too.
COLOURS = ("#000000", "#d55e00", "#e69f00", "#cc79a7", "#56b4e9", "#009e73", "#0072b2", "#999933")
WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 220, 52, 34, 58


class _Panel(NamedTuple):
    """One diagram: where it begins, what it shows, up to which value."""

    top: int
    title: str
    most: float
    step: float


def drawn(world: World, recoveries: Mapping[str, Recovery]) -> str:
    """The picture of a stall.

    :param recoveries: what came of it, by the subject's name
    """
    seconds = round(world.warm + world.stall + world.watched)
    load = _Panel(TOP, "load: requests that reach the server, for each call", 12.0, 2.0)
    good = _Panel(
        TOP + HEIGHT + GAP, "goodput: answers in time, for each call that arrives", 1.6, 0.2
    )
    parts = [*_frame(load, world, seconds), *_frame(good, world, seconds)]
    for (name, recovery), colour in zip(recoveries.items(), COLOURS, strict=False):
        story = recovery.story
        firsts = range(0, len(story.arrived) - PER_SECOND + 1, PER_SECOND // 2)
        for panel, of in ((load, story.sent), (good, story.good)):
            values = [min(story.ratio(of, first), panel.most) for first in firsts]
            # A second's figure stands at its middle.
            times = [first / PER_SECOND + 0.5 for first in firsts]
            parts.append(_line(panel, times, values, seconds, colour, name))
    bottom = good.top + HEIGHT + 40
    parts += _legend(recoveries, bottom)
    rows = (len(recoveries) + 3) // 4
    height = bottom + 22 * rows + 6
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 24} {height}" '
        'font-family="sans-serif" font-size="12" role="img" '
        'aria-label="Load and goodput over time, before, in and after a stall">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _x(second: float, seconds: int) -> float:
    return LEFT + WIDTH * second / seconds


def _y(panel: _Panel, value: float) -> float:
    return panel.top + HEIGHT * (1 - value / panel.most)


def _frame(panel: _Panel, world: World, seconds: int) -> list[str]:
    """Axes, and the stall in grey."""
    begun, ended = (_x(t, seconds) for t in (world.warm, world.warm + world.stall))
    bottom = panel.top + HEIGHT
    parts = [
        f'<text x="{LEFT}" y="{panel.top - 10}" font-weight="bold">{panel.title}</text>',
        (
            f'<rect x="{begun:.1f}" y="{panel.top}" width="{ended - begun:.1f}" height="{HEIGHT}" '
            'fill="#e8e8e8"/>'
        ),
        (
            f'<text x="{(begun + ended) / 2:.1f}" y="{panel.top + 14}" text-anchor="middle" '
            'fill="#555555">stall</text>'
        ),
    ]
    for number in range(round(panel.most / panel.step) + 1):
        value = number * panel.step
        y = _y(panel, value)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{LEFT + WIDTH}" stroke="#dddddd" stroke-width="0.6"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    parts += [
        f'<text x="{_x(second, seconds):.1f}" y="{bottom + 16}" text-anchor="middle">'
        f"{second - world.warm - world.stall:g}{' s' if second == seconds else ''}</text>"
        for second in range(0, seconds + 1, 5)
    ]
    return parts


def _line(
    panel: _Panel, times: Sequence[float], values: Sequence[float], seconds: int, *look: str
) -> str:
    colour, name = look
    points = " ".join(
        f"{_x(time, seconds):.1f},{_y(panel, value):.1f}"
        for time, value in zip(times, values, strict=True)
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6">'
        f"<title>{name}</title></polyline>"
    )


def _legend(names: Mapping[str, object], top: int) -> list[str]:
    parts = []
    for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        x, y = LEFT + number % 4 * WIDTH // 4, top + number // 4 * 22
        parts.append(
            f'<path d="M{x} {y}h22" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{x + 28}" y="{y + 4}">{name}</text>'
        )
    return parts
