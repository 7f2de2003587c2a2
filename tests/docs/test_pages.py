"""Every page does as it says: its code runs, and prints what the page shows."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, RUN, blocks_of, text_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_as_it_says(page: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs", page],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )

    assert run.returncode == 0, run.stderr
    # What a finalizer complains of (a socket left open) is no exception but a line.
    assert "Warning" not in run.stderr
    assert "Traceback" not in run.stderr


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
