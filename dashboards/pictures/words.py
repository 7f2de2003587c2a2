"""Figures with their units, as Grafana writes them.

Rule: pure, and the only place that knows what Grafana's units mean.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUFFIXES: Final = {"reqps": " req/s", "ops": " ops/s"}
_THOUSANDS: Final = ("", " K", " Mil", " Bil")


class Word(NamedTuple):
    """A text and the name of its colour; an empty name is the ordinary one."""

    text: str
    colour: str = ""


def written(value: float, unit: str, digits: int = 3) -> str:
    """A figure with its unit.

    :param digits: how many count
    """
    if math.isnan(value):
        return ""
    match unit:
        case "s":
            return _seconds(value, digits)
        case "percentunit":
            return f"{_number(value * 100, digits)}%"
        case "none":
            return _number(value, digits)
        case _:
            return _thousands(value, digits) + _SUFFIXES.get(unit, "")


def _seconds(value: float, digits: int) -> str:
    for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (60, 1, "s")):
        if 0 < abs(value) < limit * (1 - 1e-9):
            return f"{_number(value * factor, digits)} {name}"
    return f"{_number(value / 60, digits)} min" if value else "0 s"


def _thousands(value: float, digits: int) -> str:
    for suffix in _THOUSANDS:
        if abs(value) < 1000 or suffix == _THOUSANDS[-1]:
            break
        value /= 1000
    return f"{_number(value, digits)}{suffix}"


def _number(value: float, digits: int) -> str:
    """At most so many digits that count, but never fewer than the whole part has."""
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    if 0 < abs(value) < 1:
        whole = math.floor(math.log10(abs(value))) + 1
    return (
        f"{round(value, max(digits - whole, 0)) + 0.0:.{max(digits - whole, 0)}f}".rstrip(
            "0"
        ).rstrip(".")
        if digits > whole
        else f"{value:.0f}"
    )


def told(value: float, defaults: Mapping[str, Any]) -> Word:
    """A figure as a panel's field says it: by its mappings, or with unit and threshold's colour."""
    for mapping in defaults.get("mappings", ()):
        result = mapping["options"].get(f"{value:g}") if mapping["type"] == "value" else None
        if result is not None:
            return Word(result["text"], result["color"])
    colour = ""
    for step in defaults.get("thresholds", {"steps": ()})["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    decimals = defaults.get("decimals")
    unit = defaults.get("unit", "none")
    text = written(value, unit)
    if decimals is not None and unit in {"none", "short"}:
        text = f"{value:.{decimals}f}"
    return Word(text, colour)
