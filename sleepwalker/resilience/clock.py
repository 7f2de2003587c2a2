"""Time as a parameter: one `Clock` says what time it is and how to wait.

Rules:

1. Nothing in Sleepwalker calls `time` or sleeps but through a `Clock`.
2. Who is given no clock uses `SYSTEM`, looked up at each use, so that `installed` (and with it
   `sleepwalker.testing.no_wait`) reaches connections that exist already.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator


@runtime_checkable
class Clock(Protocol):
    """What time it is, and how to wait."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def time(self) -> float:
        """Seconds since the epoch (for HTTP dates and token expiry)."""

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""


class RealClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        time.sleep(seconds)


class SystemClock:
    """The clock of everyone who was given none: the machine's, unless another is installed."""

    def __init__(self) -> None:
        self._install(RealClock())

    def _install(self, clock: Clock) -> Clock | None:
        """Put another clock behind this one; return the one that was there."""
        previous: Clock | None = getattr(self, "_behind", None)
        self._behind: Clock = clock
        # Bound here once, so that the real clock costs one call and not two.
        real = isinstance(clock, RealClock)
        self.monotonic = time.monotonic if real else clock.monotonic
        self.time = time.time if real else clock.time
        self.sleep = time.sleep if real else clock.sleep
        return previous

    @property
    def behind(self) -> Clock:
        """The clock that stands behind this one: the machine's, unless another is installed."""
        return self._behind

    @contextmanager
    def installed(self, clock: Clock) -> Iterator[None]:
        """Let another clock stand in for the machine's inside a ``with`` block (for tests)."""
        previous = self._install(clock)
        try:
            yield
        finally:
            if previous is not None:
                self._install(previous)


SYSTEM = SystemClock()
"""The clock of everyone who was given none."""
