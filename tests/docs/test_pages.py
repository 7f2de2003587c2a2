"""Every page does as it says: its code runs, and prints what the page shows."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
from codeop import CommandCompiler
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, RUN, STAGE, blocks_of, text_of, typed_by_a_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILE = "import runpy; runpy.run_path('tutorial.py', run_name='__main__')"
"""Runs the tutorial's blocks as one file."""
SESSION = """
import code
console = code.InteractiveConsole()
with open("tutorial.py", encoding="utf-8") as file:
    lines = file.read().splitlines()
for line in lines:
    console.push(line)
"""
"""Types them into a session."""


def has_something_to_run(page: str) -> bool:
    """Tell a page with code from one that is only read, which needs no process."""
    return any(block.language in RUN or block.kind in STAGE for block in blocks_of(page))


@pytest.fixture(scope="module")
def run_page() -> Iterator[Callable[[str], tuple[int, str]]]:
    """Run a page in a process of its own; its exit code, and what it wrote to standard error."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.docs", "--each"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def run(page: str) -> tuple[int, str]:
            print(json.dumps([page, dict(os.environ)]), file=asked, flush=True)
            code, stderr = json.loads(told.readline())
            return code, stderr

        try:
            yield run
        finally:
            process.kill()


@pytest.mark.parametrize("page", [page for page in PAGES if has_something_to_run(page)])
def test_the_page_does_as_it_says(run_page: Callable[[str], tuple[int, str]], page: str) -> None:
    code, stderr = run_page(page)

    assert code == 0, stderr
    # What a finalizer complains of (a socket left open) is no exception but a line.
    assert "Warning" not in stderr
    assert "Traceback" not in stderr


def test_the_first_example_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    first = next(block for block in blocks_of("README.md") if block.language == "python")
    (tmp_path / "first.py").write_text(first.text, encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-W", "error", "first.py"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    )

    assert run.stdout == "{'title': 'Solaris'}\n"
    assert run.stderr.count('"GET /books/1 HTTP/1.1" 503') == 2
    assert run.stderr.count('"GET /books/1 HTTP/1.1" 200') == 1


def test_the_first_screen_of_the_readme_has_the_example_and_the_two_commands() -> None:
    first_screen = text_of("README.md").partition("\n## ")[0]

    assert "```python" in first_screen
    assert "make demo" in first_screen
    assert "make test" in first_screen
    assert len(first_screen.splitlines()) <= 66


def error_when_typed(text: str) -> str | None:
    """Give the first line that a session of Python refuses, or `None`."""
    compiled = CommandCompiler()
    typed: list[str] = []
    for line in [*text.splitlines(), ""]:
        typed.append(line)
        try:
            if compiled("\n".join(typed)) is not None:
                typed.clear()
        except SyntaxError:
            return line
    return None


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("if one:\n    two\n\nthree\n", None),
        ("if one:\n    two\nelse:\n    three\n", None),
        ("if one:\n    two\nthree\n", "three"),
        ("class One:\n    two = 2\n\n    def three(self): ...\n", "    def three(self): ..."),
    ],
)
def test_a_block_that_a_session_refuses_is_found(text: str, refused: str | None) -> None:
    assert error_when_typed(text) == refused


@pytest.mark.parametrize("page", PAGES)
def test_every_block_can_be_typed_into_a_session(page: str) -> None:
    refused = {
        block.where: line
        for block in typed_by_a_reader(page)
        if (line := error_when_typed(block.text)) is not None
    }

    assert refused == {}


@pytest.mark.parametrize("program", [FILE, SESSION], ids=["a file", "a session"])
def test_the_tutorial_works_as_one_file_and_as_one_session(tmp_path: Path, program: str) -> None:
    blocks = blocks_of("docs/tutorial.md")
    [shop] = [block for block in blocks if block.argument == "bookshop.py"]
    (tmp_path / "bookshop.py").write_text(shop.text, encoding="utf-8")
    typed = "\n".join(block.text for block in typed_by_a_reader("docs/tutorial.md"))
    (tmp_path / "tutorial.py").write_text(typed, encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
        timeout=50,
    )
    shown = "".join(block.text for block in blocks if block.kind == "output")

    assert run.stderr == ""
    assert doctest.OutputChecker().check_output(shown, run.stdout, doctest.ELLIPSIS), run.stdout


@pytest.mark.parametrize("page", PAGES)
def test_no_line_of_code_is_too_wide_to_be_read(page: str) -> None:
    wide = [
        f"{block.page}:{block.line + number}"
        for block in blocks_of(page)
        if block.language in RUN | {"diff", "promql"}
        and not (block.kind in {"setup", "check"} or block.language == "console")
        for number, line in enumerate(block.text.splitlines())
        if len(line) > 100
    ]

    assert wide == []
