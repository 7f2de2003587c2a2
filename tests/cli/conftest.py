"""Fixtures of the commands' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.asking import Commands, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """Give what starts commands in processes of their own."""
    made = Commands()
    yield made
    made.close()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Give a terminal."""
    with Terminal() as made:
        yield made
