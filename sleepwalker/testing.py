"""What we test with, for users too: the same decisions without the waiting.

`no_wait` makes every backoff, Retry-After and deadline pass in no time, with the same decisions as
on the real clock. pytest users take the fixture `sleepwalker_no_wait`::

    # conftest.py
    pytest_plugins = ["sleepwalker.testing"]
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sleepwalker.observability import telemetry as _telemetry
from sleepwalker.resilience.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SkippingClock", "no_wait"]


class SkippingClock:
    """A clock that never waits: sleeping moves it ahead instead.

    :ivar slept: the waits that were skipped, in seconds, in order
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ahead = 0.0

    def monotonic(self) -> float:
        """Seconds, the skipped ones included."""
        return time.monotonic() + self._ahead

    def time(self) -> float:
        """Seconds since the epoch, the skipped ones included."""
        return time.time() + self._ahead

    def sleep(self, seconds: float) -> None:
        """Don't wait; be so many seconds later."""
        self.slept.append(seconds)
        self._ahead += seconds


@contextmanager
def no_wait() -> Iterator[SkippingClock]:
    """Skip all of Sleepwalker's waits inside a ``with`` block, with the same decisions.

    ::

        with no_wait() as clock:
            conn.json_request("GET", "/flaky")
        assert len(clock.slept) == 2  # it was sent three times

    Reaches every connection and manager that wasn't given a clock of its own, those that exist
    already too, in all threads. What the process remembers (which warnings were logged just now)
    is fresh inside the block.
    """
    clock = SkippingClock()
    with SYSTEM.installed(clock), _telemetry.fresh_default():
        yield clock


try:
    import pytest
except ImportError:  # an application's own test runner
    pass
else:
    __all__ += ["sleepwalker_no_wait"]

    @pytest.fixture
    def sleepwalker_no_wait() -> Iterator[SkippingClock]:
        """`no_wait` around a test; the value is its clock."""
        with no_wait() as clock:
            yield clock
