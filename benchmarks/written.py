"""The part of a page that a command writes: between two comments, and by the command alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

END: Final = "<!-- end of what is written -->\n"


def begin(command: str) -> str:
    """The comment before what this command writes."""
    return f"<!-- written by: {command} -->\n"


def parts(page: Path, command: str) -> tuple[str, str, str]:
    """A page: what stands before the section, the section, and what stands behind it.

    :raises ValueError: when it has no such section
    """
    before, begun, rest = page.read_text(encoding="utf-8").partition(begin(command))
    inside, end, after = rest.partition(END)
    if not begun or not end:
        msg = f"{page} has no line {begin(command).strip()}, or none {END.strip()} behind it"
        raise ValueError(msg)
    return before, inside, after


def option(parser: argparse.ArgumentParser, command: str) -> None:
    """Let a command be told which page to write; that it has a place for it is seen at once."""

    def page(text: str) -> Path:
        found = Path(text)
        try:
            parts(found, command)
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return found

    parser.add_argument("--write", type=page, metavar="PAGE", help="put the table into this page")


def write(page: Path, command: str, text: str) -> None:
    """Put a text between the comments of a page.

    :raises ValueError: when it has none
    """
    before, _, after = parts(page, command)
    page.write_text(f"{before}{begin(command)}{text}\n{END}{after}", encoding="utf-8")


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table of a page: heads first, the first column to the left, figures to the right."""
    heads, *others = rows
    aligned = ["---", *("--:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, aligned, *others))
