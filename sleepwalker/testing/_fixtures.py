"""What pytest users take by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ._adapter import FaultAdapter, faults
from ._clocks import FakeClock, SkippingClock, no_wait

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sleepwalker_no_wait() -> Iterator[SkippingClock]:
    """`no_wait` around a test; the value is its clock."""
    with no_wait() as clock:
        yield clock


@pytest.fixture
def sleepwalker_fake_clock() -> Iterator[FakeClock]:
    """`no_wait` with a `FakeClock` around a test; the value is that clock."""
    with no_wait(FakeClock()) as clock:
        yield clock


@pytest.fixture
def sleepwalker_faults() -> Iterator[FaultAdapter]:
    """`faults` around a test; the value is its adapter."""
    with faults() as adapter:
        yield adapter
