"""Clocks on which nobody waits, and how to give one to everybody.

Rules:

1. Sleeping moves a clock ahead at once, by exactly what was to be slept; who waits is what decides
   still the same.
2. What passes on the clock without having been slept (`advance`) is no wait of Sleepwalker's, and
   is not among those that it `slept`.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability import telemetry as _telemetry
from sleepwalker.resilience.clock import SYSTEM, Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

START = 1_767_225_600.0
"""Seconds since the epoch: the first moment of 2026, in UTC."""


class SkippingClock:
    """A clock that never waits: sleeping moves it ahead instead. It also goes on by itself.

    Threads that sleep at the same time are each later by what all of them slept.

    :ivar slept: the waits that were skipped, in seconds, in order
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ahead = 0.0
        self._lock = threading.RLock()

    def monotonic(self) -> float:
        """Seconds, the skipped ones included."""
        return time.monotonic() + self._ahead

    def time(self) -> float:
        """Seconds since the epoch, the skipped ones included."""
        return time.time() + self._ahead

    def sleep(self, seconds: float) -> None:
        """Don't wait; be so many seconds later."""
        with self._lock:
            self.slept.append(seconds)
            self._move(seconds)

    def advance(self, seconds: float) -> None:
        """Be so many seconds later without a wait of Sleepwalker's: something else took so long.

        :raises ConfigurationError: when it would go back
        """
        later = checked_seconds(seconds, "advance")
        with self._lock:
            self._move(later)

    def _move(self, seconds: float) -> None:
        # To the nanosecond, so that 0.05 and 0.1 are 0.15.
        self._ahead = round(self._ahead + seconds, 9)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._ahead:g} s ahead, {len(self.slept)} waits>"


class FakeClock(SkippingClock):
    """A `SkippingClock` that stands still: it is later only by what was slept, or by `advance`.

    So all that is told in seconds (`elapsed`, durations, what a deadline leaves) is exact, to the
    nanosecond. `monotonic()` begins at 0.

    :param start: where `time()` begins, in seconds since the epoch; by default with 2026, in UTC
    :raises ConfigurationError: when that is no time
    :ivar slept: the waits that were skipped, in seconds, in order
    """

    def __init__(self, start: float = START) -> None:
        super().__init__()
        self._start = checked_seconds(start, "start")

    def monotonic(self) -> float:
        """Seconds since the clock was made: those that were slept or advanced."""
        return self._ahead

    def time(self) -> float:
        """Seconds since the epoch: `start`, and those that were slept or advanced."""
        return self._start + self._ahead


def checked_seconds(value: object, name: str) -> float:
    """A number of seconds, 0 or more.

    :raises ConfigurationError: when it is none
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"{name} must be a number of seconds, not {type(value).__name__}"
        raise ConfigurationError(msg)
    if not (math.isfinite(float(value)) and float(value) >= 0):
        msg = f"{name} must be a finite number of seconds, 0 or more, not {value!r}"
        raise ConfigurationError(msg)
    return float(value)


def checked_clock(clock: object) -> Clock:
    """A clock.

    :raises ConfigurationError: when it is none
    """
    if not isinstance(clock, Clock) or isinstance(clock, type):
        msg = "clock must have monotonic(), time() and sleep(seconds)"
        raise ConfigurationError(msg)
    return clock


def let_pass(clock: Clock, seconds: float) -> None:
    """Let so much time pass that is no wait of Sleepwalker's: at once where the clock can."""
    while isinstance(clock, SystemClock):
        clock = clock.behind
    if isinstance(clock, SkippingClock):
        clock.advance(seconds)
    else:
        clock.sleep(seconds)


AnyClock = TypeVar("AnyClock", bound=Clock)


@overload
def no_wait() -> AbstractContextManager[SkippingClock]: ...
@overload
def no_wait(clock: AnyClock) -> AbstractContextManager[AnyClock]: ...
@contextmanager
def no_wait(clock: Clock | None = None) -> Iterator[Any]:
    """Skip all of Sleepwalker's waits inside a ``with`` block, with the same decisions.

    ::

        with no_wait() as clock:
            conn.json_request("GET", "/flaky")
        assert len(clock.slept) == 2  # it was sent three times

    Reaches every connection and manager that wasn't given a clock of its own, those that exist
    already too, in all threads. What the process remembers (which warnings were logged just now)
    is fresh inside the block.

    :param clock: the clock to use, such as a `FakeClock`; `None`: a new `SkippingClock`
    :raises ConfigurationError: when it is none
    """
    chosen = SkippingClock() if clock is None else checked_clock(clock)
    with SYSTEM.installed(chosen), _telemetry.fresh_default():
        yield chosen
