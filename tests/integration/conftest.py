"""What all integration tests share: the clients they make are closed when they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration import retrying

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    """Close the clients: a test that keeps an error keeps what hangs on its frames."""
    yield
    while retrying.MADE:
        retrying.MADE.pop().conn.close()
