"""A sheet to draw on, in pixels from the top left, in the colours of Grafana's dark theme.

Rules:

1. What is drawn later is above what was drawn before.
2. Text is measured before it is put anywhere, with the font that matplotlib itself brings: a
   picture looks the same wherever it is made.
3. A file has few colours, so that it is small.
"""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCALE: Final = 1.25
"""Dots for a pixel, so that a picture can be looked at more closely than a page shows it."""
COLOURS: Final = 256
"""In a file's palette."""

SHEET: Final = "#111217"
PANEL: Final = "#181b1f"
EDGE: Final = "#2b2e34"
GRID: Final = "#2a2d32"
TEXT: Final = "#d3d3e0"
FAINT: Final = "#9a9ba8"
LINK: Final = "#6e9fff"

NAMED: Final = {
    "": TEXT,
    "green": "#73bf69",
    "yellow": "#fade2a",
    "red": "#f2495c",
}
"""Grafana's names of colours, as far as the dashboards have them."""

SERIES: Final = (
    "#73bf69",
    "#e0b400",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#37872d",
    "#fa6400",
    "#ca95e5",
)
"""The colours of a panel's series, in order."""


class Box(NamedTuple):
    """A place on the sheet."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return self.top + self.height

    def within(self, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Box:
        """The same without its margins."""
        return Box(
            self.left + left,
            self.top + top,
            self.width - left - right,
            self.height - top - bottom,
        )


class Sheet:
    """What is drawn on."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        dpi = 100 * SCALE
        self.figure: Any = Figure(figsize=(width / 100, height / 100), dpi=dpi, facecolor=SHEET)
        self._canvas = FigureCanvasAgg(self.figure)
        self._renderer = self._canvas.get_renderer()
        self._order = itertools.count(1)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        colour: str = TEXT,
        bold: bool = False,
        align: str = "left",
        room: float | None = None,
    ) -> float:
        """Put a line of text with its middle at a height; how wide it is.

        :param room: as much of it as goes into so many pixels
        """
        if room is not None:
            text = self.fitting(text, room, size=size, bold=bold)
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            size=points(size),
            color=colour,
            weight="bold" if bold else "normal",
            ha=align,
            va="center_baseline",
            parse_math=False,
            zorder=next(self._order),
        )
        return self.measured(text, size=size, bold=bold)

    def measured(self, text: str, *, size: float = 12, bold: bool = False) -> float:
        """How wide a text will be."""
        if not text:
            return 0.0
        made = self.figure.text(
            0, 0, text, size=points(size), weight="bold" if bold else "normal", parse_math=False
        )
        width: float = made.get_window_extent(self._renderer).width / SCALE
        made.remove()
        return width

    def fitting(self, text: str, room: float, *, size: float = 12, bold: bool = False) -> str:
        """A text, cut to the room that there is."""
        if self.measured(text, size=size, bold=bold) <= room:
            return text
        while text and self.measured(f"{text}…", size=size, bold=bold) > room:
            text = text[:-1]
        return f"{text}…"

    def rectangle(
        self,
        box: Box,
        colour: str,
        *,
        edge: str | None = None,
        rounded: float = 0,
        opacity: float = 1,
    ) -> None:
        """Fill a place."""
        at = (box.left / self.width, 1 - box.bottom / self.height)
        size = (box.width / self.width, box.height / self.height)
        look = {
            "facecolor": colour,
            "edgecolor": edge or "none",
            "linewidth": points(1) if edge else 0,
            "alpha": opacity,
            "transform": self.figure.transFigure,
            "zorder": next(self._order),
        }
        if rounded:
            style = f"round,pad=0,rounding_size={rounded / self.width}"
            aspect = self.width / self.height
            self.figure.add_artist(
                FancyBboxPatch(at, *size, boxstyle=style, mutation_aspect=aspect, **look)
            )
        else:
            self.figure.add_artist(Rectangle(at, *size, **look))

    def line(
        self,
        corners: Iterable[tuple[float, float]],
        colour: str,
        *,
        width: float = 1,
        dashes: Sequence[float] = (),
        opacity: float = 1,
    ) -> None:
        """Draw a line from point to point."""
        across, down = zip(*corners, strict=True)
        line = Line2D(
            [x / self.width for x in across],
            [1 - y / self.height for y in down],
            color=colour,
            linewidth=points(width),
            alpha=opacity,
            transform=self.figure.transFigure,
            zorder=next(self._order),
        )
        if dashes:
            line.set_dashes([points(dash) for dash in dashes])
        self.figure.add_artist(line)

    def axes(self, box: Box) -> Any:
        """Axes in a place, without anything of their own."""
        axes = self.figure.add_axes(
            (
                box.left / self.width,
                1 - box.bottom / self.height,
                box.width / self.width,
                box.height / self.height,
            ),
            facecolor="none",
        )
        axes.set_axis_off()
        axes.set_zorder(next(self._order))
        return axes

    def png(self) -> bytes:
        """What was drawn, as a file that is the same for the same drawing."""
        self._canvas.draw()
        size = self._canvas.get_width_height()
        drawn = Image.frombuffer("RGBA", size, self._canvas.buffer_rgba()).convert("RGB")
        file = io.BytesIO()
        drawn.quantize(palette=_palette(drawn), dither=Image.Dither.NONE).save(
            file, "PNG", optimize=True
        )
        return file.getvalue()


def _palette(drawn: Any) -> Any:
    """The commonest colours as they are, and others that are as far apart as those left."""
    counted = sorted((-count, colour) for count, colour in drawn.getcolors(1 << 24))
    exact = [colour for _, colour in counted[: COLOURS // 2]]
    few = drawn.quantize(COLOURS - len(exact), method=Image.Quantize.MAXCOVERAGE)
    others = few.getpalette()
    made = Image.new("P", (1, 1))
    made.putpalette([*(part for colour in exact for part in colour), *others])
    return made


def points(pixels: float) -> float:
    """What matplotlib calls so many pixels, of lines and letters."""
    return pixels * 0.72
