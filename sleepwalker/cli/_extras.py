"""What the command needs beside the library, and one line that says so where it is missing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL = "pip install '.[cli]'"


@contextmanager
def needed(*modules: str) -> Iterator[None]:
    """End the process with one line when an import in the block finds one of these missing.

    :param modules: full names of the modules that an extra brings
    :raises SystemExit: when one is missing; any other error passes
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = f"{error.name}."
        for name in modules:
            if missing.startswith(f"{name}."):
                sys.exit(f"sleepwalker: {name} is not installed; in a checkout, run: {INSTALL}")
        raise
