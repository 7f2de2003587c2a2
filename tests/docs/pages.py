"""What a page of documentation is made of: fenced blocks, the comments before them, links, tables.

Rules:

1. A fence or comment that is not understood is an error: no block is passed over silently.
2. What stands inside a fence is never taken for a link, a table or a heading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sleepwalker

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent.parent
CODE: Final = Path(sleepwalker.__file__).parent.parent
"""Where the package is that is tested: the root, or the site-packages of a wheel."""
PAGES: Final = (
    "README.md",
    *(page.relative_to(ROOT).as_posix() for page in sorted((ROOT / "docs").rglob("*.md"))),
)
"""The pages whose code is run."""

RUN: Final = frozenset({"python", "console"})
"""The languages that are run, unless a comment says why not."""
SHOWN: Final = frozenset({"diff", "promql", "text"})
"""The languages that are only shown."""

STAGE: Final = frozenset({"setup", "check"})
MARKS: Final = frozenset({"output", "raises", "file", "not run"})

_FENCE: Final = re.compile(r"```(\w*)$")
_COMMENT: Final = re.compile(r"<!-- (setup|check|output|raises|file|not run)(?:: (.*?))?(?: -->)?$")

_WRITTEN: Final = re.compile(r"<!-- (written by: \S.*|end of what is written) -->$")
"""Around what a command writes into the page."""


class PageError(Exception):
    """A page that can't be understood, or that doesn't do as it says."""


@dataclass(frozen=True)
class Block:
    """A fenced block, or a comment to be run on the stage."""

    page: str
    line: int
    """The line of its first line of text, from 1."""
    kind: str
    """`setup` or `check`, or a mark (`output`, `raises`, `file`, `not run`), or nothing."""
    argument: str
    """What stands behind the mark."""
    language: str
    text: str

    @property
    def where(self) -> str:
        """Its place, as editors understand it."""
        return f"{self.page}:{self.line}"


def text_of(page: str) -> str:
    """Read a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str, text: str | None = None) -> list[Block]:
    """Give a page's blocks in order.

    Raises:
        PageError: a fence or a comment is not understood.
    """
    return list(_blocks(page, (text_of(page) if text is None else text).splitlines()))


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    mark, argument, number = "", "", 0
    while number < len(lines):
        line = lines[number].rstrip()
        number += 1
        fence, comment = _FENCE.match(line), _COMMENT.match(line)
        if mark and not fence:
            message = f"{page}:{number}: {mark!r} is not followed by a block"
            raise PageError(message)
        if comment:
            kind, argument = comment[1], comment[2] or ""
            if kind in STAGE:
                start, body, number = _body(page, lines, number, "-->")
                yield Block(page, start, kind, "", "python", body)
                continue
            mark = kind
        elif fence:
            start, body, number = _body(page, lines, number, "```")
            block = Block(page, start, mark, argument, fence[1], body)
            _refuse_unclear(block)
            yield block
            mark, argument = "", ""
        elif line.lstrip().startswith(("```", "<!--")) and not _WRITTEN.match(line):
            message = f"{page}:{number}: not understood: {line}"
            raise PageError(message)


def _body(page: str, lines: list[str], start: int, end: str) -> tuple[int, str, int]:
    """Give the first line's number (from 1), the text up to `end`, and where to go on."""
    for number in range(start, len(lines)):
        if lines[number].rstrip() == end:
            return start + 1, "".join(f"{line}\n" for line in lines[start:number]), number + 1
    message = f"{page}:{start}: the block has no end"
    raise PageError(message)


def _refuse_unclear(block: Block) -> None:
    """Raise for a block of which it is not clear what is to be done with it."""
    if block.kind in {"raises", "file", "not run"} and not block.argument:
        message = f"{block.where}: {block.kind} says not what, or why"
        raise PageError(message)
    if block.kind in {"file", "not run"}:
        return
    if block.kind == "output" and block.language != "text":
        message = f"{block.where}: output is text"
        raise PageError(message)
    if block.language not in RUN | SHOWN:
        message = f"{block.where}: {block.language or 'a block without a language'} is not known"
        raise PageError(message)
    if block.kind == "raises" and block.language != "python":
        message = f"{block.where}: only python raises"
        raise PageError(message)


def typed_by_a_reader(page: str) -> list[Block]:
    """Give the blocks that a reader types into a Python session."""
    return [
        block
        for block in blocks_of(page)
        if block.language == "python" and block.kind in {"", "raises"}
    ]


def prose_of(page: str) -> str:
    """Give a page without its fenced blocks and comments."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def links_of(page: str) -> list[str]:
    """Give the targets of a page's links."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose_of(page)))


def anchors_of(page: str) -> set[str]:
    """Give the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def rows_below(page: str, heading: str) -> list[list[str]]:
    """Give the cells of the first table below a heading, without its head.

    Raises:
        PageError: there is no such heading, or no table below it.
    """
    _, found, rest = prose_of(page).partition(f"# {heading}\n")
    section = re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    table = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    if not found or table is None:
        message = f"{page}: no table below the heading {heading!r}"
        raise PageError(message)
    rows = [row.strip("|") for row in table[0].splitlines()]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows]
    return cells[2:]


def file_of(path: str) -> Path:
    """Give the file of a path from the root, wherever the package is."""
    inside = path.startswith("sleepwalker/")
    return (CODE if inside else ROOT) / path
