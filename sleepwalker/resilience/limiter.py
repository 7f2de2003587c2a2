"""The concurrency limit of a host: so many calls in flight and no more, the others wait their turn.

Rules:

1. Who comes first goes first.
2. A place that becomes free is handed to who waits, under the lock: it can't be taken in between.
3. Waiting is done outside the lock; whoever gives up leaves the queue, or gives back what it was
   handed at the last moment.
4. An adaptive limit grows by one a round (as many successes as it is large), not by one a success:
   that would double it each round, and overrun a host that has just recovered.
"""

from __future__ import annotations

import functools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from sleepwalker.exceptions import ConcurrencyLimitError
from sleepwalker.resilience import cancellation as _cancellation
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.policy import AdaptiveLimit, Limit, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

_OVERLOADED = frozenset({Result.TIMEOUT, Result.THROTTLED})
_ANSWERED = frozenset({Result.SUCCESS, Result.REJECTED})


class ConcurrencyLimiter:
    """A limit, fixed or adaptive; threads may share it.

    :param settings: how many calls may be in flight
    :param name: what is told of the host in errors
    :raises ConfigurationError: for other settings
    """

    __slots__ = ("_answered", "_in_flight", "_limit", "_lock", "_name", "_queue", "_settings")

    def __init__(self, settings: Limit | AdaptiveLimit, *, name: str = "the host") -> None:
        settings_of(settings, "ConcurrencyLimiter", Limit, AdaptiveLimit)
        self._settings, self._name = settings, name
        self._limit = settings.start if isinstance(settings, AdaptiveLimit) else settings.calls
        self._answered = 0
        """How many answers speak for a larger limit, since it last changed."""
        self._in_flight = 0
        # No deque, which has room for 64 from the start: hardly anybody waits.
        self._queue: list[LimiterPermit] = []
        # Re-entrant: a signal handler that makes a call may run in the middle of a locked section.
        self._lock = threading.RLock()

    @property
    def limit(self) -> int:
        """How many calls may be in flight now."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many are."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """How many wait their turn."""
        return len(self._queue)

    def patience(self, remaining: float, timeout: float) -> float:
        """How many seconds to wait for a place.

        A fixed limit is waited for until the deadline. An adaptive one as long as a whole attempt
        still fits in afterwards: whoever is let in with next to nothing left is sent for nobody,
        and times out, which shrinks the limit. As who comes first goes first, that would be
        everyone, as soon as callers wait until their deadlines.

        :param remaining: seconds that the deadline leaves
        :param timeout: seconds that an attempt may take; where it is more than half of what is
            left, half is waited
        """
        if isinstance(self._settings, AdaptiveLimit):
            return max(remaining / 2, remaining - timeout)
        return remaining

    def permit(self) -> LimiterPermit:
        """A permit for one call, still to be acquired."""
        return LimiterPermit(self)

    # --- for its permits -----------------------------------------------------------------------

    def _admit(self, permit: LimiterPermit) -> bool:
        """Let a call through if there is room, and nobody waits for it."""
        with self._lock:
            if self._in_flight < self._limit and not self._queue:
                # Side by side: no interrupt comes between.
                permit.held = True
                self._in_flight += 1
            return permit.held

    def _enter(self, permit: LimiterPermit) -> bool:
        """Let a call through, or into the queue; whether it is through."""
        with self._lock:
            if self._admit(permit):
                return True
            # There is room and a queue if who made room was interrupted before letting them in.
            self._queue.append(permit)
            let_in = self._let_in()
            through = permit.held
        for each in let_in:
            if each is not permit:
                each.wake()
        return through

    def _let_in(self) -> list[LimiterPermit]:
        """Hand what room there is to those who wait; they are still to be woken."""
        let_in = []
        while self._queue and self._in_flight < self._limit:
            first = self._queue[0]
            first.held = True
            self._in_flight += 1
            self._queue.pop(0)
            let_in.append(first)
        return let_in

    def _stays(self, permit: LimiterPermit) -> bool:
        """Whether a call that has waited was let through, if only at the last moment."""
        with self._lock:
            if not permit.held and permit in self._queue:
                self._queue.remove(permit)
            return permit.held

    def _leave(self, permit: LimiterPermit, result: Result) -> None:
        """Take a call out again, wherever it is, and let in who waits for its place."""
        with self._lock:
            if not self._stays(permit):
                return
            if isinstance(self._settings, AdaptiveLimit):
                self._adapt(self._settings, result)
            permit.held = False
            # In a child that was forked by this very call it was forgotten already.
            if self._in_flight:
                self._in_flight -= 1
            let_in = self._let_in()
        for each in let_in:
            each.wake()

    def _adapt(self, settings: AdaptiveLimit, result: Result) -> None:
        """Additive increase, multiplicative decrease."""
        if result in _OVERLOADED:
            self._limit = max(settings.least, int(self._limit * settings.decrease))
            self._answered = 0
        elif result in _ANSWERED and self._in_flight * 2 >= self._limit:
            # What is not used proves nothing.
            self._answered += 1
            if self._answered >= self._limit:
                self._limit = min(settings.most, self._limit + 1)
                self._answered = 0

    def renew(self) -> None:
        """In a child made by fork: a new lock, and none of the parent's calls in flight."""
        self._lock = threading.RLock()
        self._in_flight = 0
        self._queue.clear()

    def __repr__(self) -> str:
        waiting = f", {len(self._queue)} waiting" if self._queue else ""
        return f"<ConcurrencyLimiter {self._in_flight}/{self._limit} in flight{waiting}>"


class LimiterPermit:
    """One call's way through a limiter."""

    __slots__ = ("_limiter", "held", "wake")

    def __init__(self, limiter: ConcurrencyLimiter) -> None:
        self._limiter = limiter
        self.held = False
        """Whether it has a place."""
        self.wake: Callable[[], object]

    def request(self, wake: Callable[[], object]) -> bool:
        """Ask to be let through, without waiting.

        :param wake: called, by whoever makes room, once this permit is let through
        :returns: whether it is through already, and `wake` will not be called
        """
        self.wake = wake
        return self._limiter._enter(self)

    def acquire(self, patience: float = 0.0) -> None:
        """Be let through.

        :param patience: seconds to wait at most
        :raises ConcurrencyLimitError: when that was not long enough, or was cancelled
        """
        if self._limiter._admit(self):
            return
        gate = threading.Lock()
        gate.acquire()
        wake = functools.partial(_open, gate)
        if self.request(wake):
            return
        cancellation = _cancellation.ambient()
        if cancellation is not None:
            cancellation.wakes(self, wake)
        try:
            gate.acquire(timeout=min(max(patience, 0.0), threading.TIMEOUT_MAX))
        finally:
            if cancellation is not None:
                cancellation.let_go(self)
        if not self._limiter._stays(self):
            raise self.refusal(patience)

    def refusal(self, patience: float) -> ConcurrencyLimitError:
        """The error for a call whose turn did not come.

        :param patience: the seconds that it has waited
        """
        return ConcurrencyLimitError(
            f"{self._limiter._limit} calls to {self._limiter._name} are in flight, and this one's "
            f"turn did not come within {patience:.3g} s (Policy(limit=...))"
        )

    def end(self, result: Result) -> None:
        """The call has ended so; or was never let through, which changes nothing."""
        self._limiter._leave(self, result)


def _open(gate: threading.Lock) -> None:
    # By who makes room and by who cancels, maybe both.
    with suppress(RuntimeError):
        gate.release()
