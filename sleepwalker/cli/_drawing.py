"""A trace's tree as a table: a row each span, how long it took, and a bar where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table
from rich.text import Text

from sleepwalker.cli import _tree
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Sequence

BAR = 22
"""Columns for a span's bar."""
WIDE = 80
"""The width of an output that has room for bars."""


class Signs(NamedTuple):
    """What a tree is drawn with."""

    lines: str
    bar: str
    failed: str

    @classmethod
    def for_encoding(cls, encoding: str) -> Signs:
        """Signs that this encoding has."""
        fine = cls(_tree.LINES, "━", "✗")
        try:
            "".join(fine).encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return cls("|-`|", "=", "!")
        return fine

    def drawn(self, branches: str) -> str:
        """A row's branches with these lines."""
        return branches.translate(str.maketrans(_tree.LINES, self.lines))


def table(rows: Sequence[_tree.Row], signs: Signs, width: int, *, fold: bool = False) -> Table:
    """The rows as a table.

    :param fold: whether what is too long for its line goes on in the next one, also where there are
        bars
    """
    whole = max((row.begins + row.lasts for row in rows), default=0) or 1.0
    made = Table.grid(padding=(0, 1), expand=True)
    cut = width >= WIDE and not fold
    made.add_column(ratio=1, no_wrap=cut, overflow="ellipsis" if cut else "fold")
    made.add_column(justify="right", no_wrap=True)
    if width >= WIDE:
        made.add_column(width=BAR, no_wrap=True)
    for row in rows:
        failed = "red" if row.failed else ""
        name = row.name.removeprefix(f"{names.INSTRUMENTATION}.")
        cells = [
            Text.assemble(
                (signs.drawn(row.branches), "dim"),
                (name, failed or "bold"),
                " ",
                (row.detail, failed),
            ),
            Text(f"{row.lasts:,.1f} ms"),
            Text(_bar(row, whole, signs), failed or "cyan"),
        ]
        made.add_row(*cells[: len(made.columns)])
    return made


def _bar(row: _tree.Row, whole: float, signs: Signs) -> str:
    left = min(int(row.begins / whole * BAR), BAR - 1)
    width = max(round(row.lasts / whole * BAR), 1)
    return " " * left + signs.bar * min(width, BAR - left)
