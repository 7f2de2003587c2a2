"""The clients that a test makes are closed when it ends, as in the integration tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration import retrying

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while retrying.MADE:
        retrying.MADE.pop().conn.close()
