"""Fixtures: a real Prometheus."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.dashboards.prometheus import Prometheus, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class StartPrometheus(Protocol):
    """Starts one that ends with the tests of the module."""

    def __call__(
        self, *targets: Target, rules: Sequence[Path] = (), interval: str = "500ms"
    ) -> Prometheus:
        """Start it."""


@pytest.fixture(scope="module")
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Start Prometheus with targets; several tests may share one."""
    with ExitStack() as running:

        def start(
            *targets: Target, rules: Sequence[Path] = (), interval: str = "500ms"
        ) -> Prometheus:
            folder = tmp_path_factory.mktemp("prometheus")
            return running.enter_context(
                Prometheus(folder, targets, rules=rules, interval=interval)
            )

        yield start
