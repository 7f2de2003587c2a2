"""The circuit breaker of a host: one that fails is left alone for a while, then probed.

::

    closed ── too many calls failed ──▶ open ── time is over ──▶ half-open
      ▲                                  ▲                          │  │
      └──────── the probes succeeded ────┼──────────────────────────┘  │
                                         └───── a probe failed ────────┘

Rules:

1. Closed, it counts successes, failures and timeouts; anything else (a 4xx) says nothing.
2. Open, it refuses, saying for how long yet.
3. Half-open, it lets through as many calls as it wants probes, and refuses the others. Any answer
   that is no failure closes it, a 4xx too: the host is well enough to give one.
4. What was let through before it changed is no judgement on what it is now.
5. A probe that doesn't end in the time for which it would be open is not waited for: another goes.
"""

from __future__ import annotations

import random as _random
import threading
from typing import TYPE_CHECKING

from sleepwalker.exceptions import CircuitOpenError
from sleepwalker.resilience.clock import SYSTEM
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.policy import Breaker, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.resilience.clock import Clock

CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half-open"
STATES = (CLOSED, HALF_OPEN, OPEN)
"""What a breaker can be, from the best to the worst."""

JITTER = 0.2
"""By which part `open_for` is made longer or shorter at random, so that clients don't probe a host
all at once."""

SLICES = 10
"""Into how many slices the window is divided: what is older goes a slice at a time."""

_FAILED = frozenset({Result.FAILURE, Result.TIMEOUT})
_COUNTED = _FAILED | {Result.SUCCESS}


class CircuitBreaker:
    """A breaker; threads may share it.

    :param settings: when it opens, and for how long
    :param clock: what time it is; `None`: the machine's
    :param random: gives numbers from 0 to 1, for the jitter; `None`: Python's own
    :param name: what is told of the host in errors
    :raises ConfigurationError: for other settings
    """

    __slots__ = (
        "_calls",
        "_clock",
        "_failures",
        "_generation",
        "_lock",
        "_name",
        "_probes",
        "_random",
        "_settings",
        "_slice",
        "_state",
        "_succeeded",
        "_until",
        "_width",
    )

    def __init__(
        self,
        settings: Breaker,
        *,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
        name: str = "the host",
    ) -> None:
        settings_of(settings, "CircuitBreaker", Breaker)
        self._settings, self._name = settings, name
        self._clock: Clock = SYSTEM if clock is None else clock
        self._random = _random.random if random is None else random
        # Re-entrant: a signal handler that makes a call may run in the middle of a locked section.
        self._lock = threading.RLock()
        self._generation = -1
        """How often it has changed (or was forked): which time a permit is from."""
        self._until = 0.0
        """When it is open no longer; half-open: when the probe was under way for long enough."""
        self._width = settings.window / SLICES
        self._slice = 0
        self._become(CLOSED)

    @property
    def state(self) -> str:
        """What it is now: closed, open or half-open."""
        if self._state == OPEN and self._clock.monotonic() >= self._until:
            return HALF_OPEN
        return self._state

    def permit(self) -> BreakerPermit:
        """A permit for one call, still to be acquired."""
        return BreakerPermit(self)

    def remaining(self) -> float:
        """For how many seconds it stays open; 0 when it isn't."""
        return max(self._until - self._clock.monotonic(), 0.0) if self._state == OPEN else 0.0

    # --- for its permits -----------------------------------------------------------------------

    def _admit(self, permit: BreakerPermit) -> None:
        """Decide on a call when it isn't plainly closed."""
        with self._lock:
            now = self._clock.monotonic()
            if self._state == OPEN and now >= self._until:
                self._become(HALF_OPEN)
                permit.changed = HALF_OPEN
            if self._state == CLOSED:
                permit.generation = self._generation
                return
            wanted = self._settings.probes - self._succeeded
            if self._state == HALF_OPEN and (self._probes < wanted or now >= self._until):
                self._until = now + self._settings.open_for
                self._probes += 1
                permit.probe = True
                permit.generation = self._generation
                return
            left = self.remaining()
        when = f"for {left:.1f} s yet" if left else "until a call that probes it has ended"
        msg = f"{self._name} fails too often: its circuit is open {when} (Policy(breaker=...))"
        raise CircuitOpenError(msg, retry_after=left or None)

    def _ended(self, permit: BreakerPermit, result: Result) -> None:
        """Learn from a call."""
        with self._lock:
            generation, permit.generation = permit.generation, -1
            if generation != self._generation:
                return
            if permit.probe:
                self._probes -= 1
                self._judge(permit, result)
            elif result in _COUNTED:
                self._count(failed=result in _FAILED)
                calls, failures = sum(self._calls), sum(self._failures)
                if (
                    calls >= self._settings.calls
                    and failures >= self._settings.failure_ratio * calls
                ):
                    self._open(permit)

    def _judge(self, permit: BreakerPermit, result: Result) -> None:
        """What a probe shows."""
        if result in _FAILED:
            self._open(permit)
        elif result is not Result.UNKNOWN:
            if self._succeeded + 1 < self._settings.probes:
                self._succeeded += 1
            else:
                # Not counted before: an interrupt in between would leave no probe to be wanted.
                self._become(CLOSED)
                permit.changed = CLOSED

    def _open(self, permit: BreakerPermit) -> None:
        stretch = 1 + JITTER * (2 * self._random() - 1)
        self._until = self._clock.monotonic() + self._settings.open_for * stretch
        self._become(OPEN)
        permit.changed = OPEN

    def _become(self, state: str) -> None:
        self._state = state
        self._generation += 1
        self._probes = self._succeeded = 0
        """How many probes are under way, and how many have shown that the host is well."""
        self._calls, self._failures = [0] * SLICES, [0] * SLICES

    def _count(self, *, failed: bool) -> None:
        """Count a call in the slice of now, and forget those that are too old."""
        now = int(self._clock.monotonic() / self._width)
        for old in range(min(now - self._slice, SLICES)):
            index = (now - old) % SLICES
            self._calls[index] = self._failures[index] = 0
        self._slice = max(now, self._slice)
        self._calls[now % SLICES] += 1
        self._failures[now % SLICES] += failed

    def renew(self) -> None:
        """In a child made by fork: a new lock, and no call of the parent's under way.

        The call that forked ends in the child too, where it counts for nothing (rule 4).
        """
        self._lock = threading.RLock()
        self._generation += 1
        self._probes = 0

    def __repr__(self) -> str:
        left = self.remaining()
        return f"<CircuitBreaker {self.state}{f' for {left:.1f} s' if left else ''}>"


class BreakerPermit:
    """One call's way through a breaker.

    :ivar changed: what the breaker became by this call, or `None`
    """

    __slots__ = ("_breaker", "changed", "generation", "probe")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self.generation = -1
        """When it was acquired, in the breaker's count of its changes; -1: not (any more)."""
        self.probe = False
        self.changed: str | None = None

    def acquire(self, patience: float = 0.0) -> None:  # noqa: ARG002 - a breaker keeps nobody waiting
        """Be let through.

        :raises CircuitOpenError: when the breaker is open; `retry_after` says for how long
        """
        breaker = self._breaker
        # In this order: should it open in between, this call is from before.
        self.generation = breaker._generation
        if breaker._state != CLOSED:
            self.generation = -1
            breaker._admit(self)

    @property
    def is_outdated(self) -> bool:
        """Whether the breaker has changed since this permit was acquired."""
        return self.generation != self._breaker._generation

    def renewed(self) -> BreakerPermit:
        """Another permit for the same call, still to be acquired."""
        return self._breaker.permit()

    def end(self, result: Result) -> None:
        """The call has ended so; or was never let through, which changes nothing."""
        if self.generation >= 0:
            self._breaker._ended(self, result)
