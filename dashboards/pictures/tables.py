"""What stands in a panel that is a table, as Grafana's transformations make it.

Rule: pure; where the cells stand is the drawing's business.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from dashboards.pictures.words import Word, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dashboards.pictures.plan import Drawn, Filled


class Column(NamedTuple):
    """A column.

    :ivar width: at least so many pixels; 0 for what its head needs
    :ivar linked: whether its cells lead somewhere
    :ivar sorted: whether the rows go by it, the highest first
    """

    head: str
    width: float
    linked: bool = False
    sorted: bool = False


class Table(NamedTuple):
    """Columns of labels, then columns of figures."""

    labels: Sequence[Column]
    figures: Sequence[Column]
    rows: Sequence[tuple[Sequence[str], Sequence[Word]]]


LABEL_WIDTH = 120.0
"""Of a column that doesn't say how wide it is to be."""


def table_of(each: Filled) -> Table:
    """The table of a panel: one row for each set of labels, one column for each query."""
    own = {
        override["matcher"]["options"]: {
            which["id"]: which["value"] for which in override["properties"]
        }
        for override in each.panel["fieldConfig"]["overrides"]
    }
    columns = {
        target["refId"]: own[f"Value #{target['refId']}"] for target in each.panel["targets"]
    }
    labels = sorted({label for drawn in each.series for label in drawn.labels})
    [sort] = each.panel["options"]["sortBy"]
    by = next(letter for letter in columns if columns[letter]["displayName"] == sort["displayName"])
    merged = _merged(each.series, labels)
    ordered = sorted(merged, key=lambda key: (-merged[key].get(by, -math.inf), key))
    nothing = each.panel["fieldConfig"]["defaults"]["noValue"]
    return Table(
        [
            Column(
                label,
                own.get(label, {}).get("custom.minWidth", LABEL_WIDTH),
                linked="links" in own.get(label, {}),
            )
            for label in labels
        ],
        [
            Column(column["displayName"], 0, sorted=letter == by)
            for letter, column in columns.items()
        ],
        [
            (
                key,
                [
                    _cell(merged[key].get(letter), column, nothing)
                    for letter, column in columns.items()
                ],
            )
            for key in ordered
        ],
    )


def _merged(
    series: Sequence[Drawn], labels: Sequence[str]
) -> dict[tuple[str, ...], dict[str, float]]:
    """For each set of labels, what each query gave."""
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for drawn in series:
        key = tuple(drawn.labels.get(label, "") for label in labels)
        rows.setdefault(key, {})[drawn.letter] = drawn.last
    return rows


def _cell(value: float | None, column: Mapping[str, Any], nothing: str) -> Word:
    if value is None:
        return Word(nothing)
    text, colour = told(value, column)
    coloured = column.get("custom.cellOptions", {}).get("type") == "color-text"
    return Word(text, colour if coloured else "")
