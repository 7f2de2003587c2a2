"""One monotonic deadline a call: an absolute time that nothing within the call may pass.

Rules:

1. A deadline is a point in time, not a span: it is computed once and handed down.
2. Deadlines nest: an inner one is never later than the outer.
3. The ambient deadline (`deadline`, a context manager) belongs to the context (thread or task)
   that entered it.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from typing import TYPE_CHECKING

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.resilience.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.resilience.clock import Clock

LEAST_ATTEMPT = 0.010
"""Seconds: no attempt starts with less than this left."""
OF_CALL = "deadline= or Policy(deadline=...)"
"""What sets the deadline of a call, for messages."""
OF_BLOCK = "the sleepwalker.deadline(...) around it"
"""What sets that of a block."""


class Deadline:
    """A point in time on a monotonic clock, or none at all (`at` is infinite)."""

    __slots__ = ("at", "clock", "seconds", "setting")

    def __init__(
        self, at: float, clock: Clock, seconds: float | None = None, setting: str = OF_CALL
    ) -> None:
        self.at = at
        self.clock = clock
        self.seconds = seconds
        """The span it was made from, for messages; `None` for no deadline."""
        self.setting = setting
        """What sets it, for messages."""

    @classmethod
    def after(cls, seconds: float | None, clock: Clock, setting: str = OF_CALL) -> Deadline:
        """The deadline so many seconds from now; `None` means none."""
        if seconds is None:
            return cls(math.inf, clock, None, setting)
        return cls(clock.monotonic() + seconds, clock, seconds, setting)

    @property
    def is_none(self) -> bool:
        """Whether there is none at all."""
        return self.at == math.inf

    def remaining(self) -> float:
        """Seconds left; negative once it has passed, infinite when there is none."""
        return self.at - self.clock.monotonic() if self.at != math.inf else math.inf

    def allows_attempt(self) -> bool:
        """Whether enough is left to start an attempt."""
        return self.remaining() >= LEAST_ATTEMPT

    def earlier(self, other: Deadline | None) -> Deadline:
        """The earlier of two."""
        if other is None:
            return self
        if self.clock is other.clock:
            return self if self.at <= other.at else other
        # Points in time on different clocks can't be compared; what is left can.
        return self if self.remaining() <= other.remaining() else other

    def __repr__(self) -> str:
        if self.is_none:
            return "<Deadline none>"
        span = "" if self.seconds is None else f" of {self.seconds:g} s"
        return f"<Deadline {self.remaining():.3f} s left{span}>"


_ambient: ContextVar[Deadline | None] = ContextVar("sleepwalker_deadline", default=None)


def ambient() -> Deadline | None:
    """The deadline that this thread or task is under, or `None`."""
    return _ambient.get()


@contextmanager
def entered(deadline: Deadline) -> Iterator[Deadline]:
    """Put everything in a ``with`` block under a deadline, or the outer one if that is earlier."""
    effective = deadline.earlier(_ambient.get())
    token = _ambient.set(effective)
    try:
        yield effective
    finally:
        _ambient.reset(token)


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """Bound all Sleepwalker calls in a ``with`` block by one total deadline.

    ::

        with sleepwalker.deadline(2.0):
            book = conn.json_request("GET", "/books/1")
            author = conn.json_request("GET", book["author"])

    Nested blocks never lengthen what an outer one allows. The deadline belongs to the thread (or
    task) that enters it; hand it to a worker thread with `contextvars.copy_context`.

    :param seconds: how long from now, in seconds, more than 0
    :raises ConfigurationError: when `seconds` is no positive, finite number
    """
    # The system clock and no other: a block spans connections, which may each have a clock.
    with entered(Deadline.after(seconds_of(seconds, "deadline"), SYSTEM, OF_BLOCK)) as made:
        yield made


def seconds_of(value: object, name: str) -> float:
    """Check that a setting is a span of time: a positive, finite number of seconds.

    :param name: the setting's name, for the message
    :raises ConfigurationError: when it is not
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"{name} must be a number of seconds, not {type(value).__name__}"
        raise ConfigurationError(msg)
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not (math.isfinite(seconds) and seconds > 0):
        msg = f"{name} must be a positive, finite number of seconds, not {seconds!r}"
        raise ConfigurationError(msg)
    return seconds
