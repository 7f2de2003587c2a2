"""Programs that run by themselves: what a process prints, what a child inherits."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


def run(program: str, environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run a program that must end well; give what it printed to stdout and to stderr."""
    ran = subprocess.run(
        # Python 3.12 warns of forks beside threads, which some of these are about.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        cwd=ROOT,
        env=environ,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, ran.stderr
