"""What the client's events say while it runs: an instrument like any other, for the live numbers.

Rule: numbers for looking at, and the one count that metrics don't have: attempts that never got as
far as sending. The proof takes all else from the metrics.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sleepwalker.observability import events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sleepwalker.observability.events import Event

WINDOW = 5.0
"""Seconds: how far back rates and percentiles look."""

UNSENT_REASON = "connect"
"""The reason of a retry after which nothing had been sent."""
UNSENT_ERRORS = frozenset({"refused_connection", "connect", "connect_timeout", "resolution"})
"""The error types after which nothing had been sent."""


@dataclass(slots=True)
class PoolNumbers:
    """What happened in one pool."""

    host: str
    auth: str
    calls: int = 0
    attempts: int = 0
    retries: int = 0
    in_flight: int = 0
    recent: deque[tuple[float, float]] = field(default_factory=deque)
    """When each of the last calls ended, and its duration, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """One pool, at one moment."""

    host: str
    auth: str
    calls: int
    attempts: int
    retries: int
    in_flight: int
    p95: float | None
    """Seconds; `None` when no call ended lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """All numbers, at one moment."""

    pools: tuple[PoolView, ...]
    calls: int
    succeeded: int
    rate: float
    """Calls that ended, in each of the last seconds."""
    p50: float | None
    p95: float | None
    in_flight: int
    retries: Mapping[str, int]
    unsent: int


class Watch:
    """Keeps the numbers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str], PoolNumbers] = {}
        self._retries: Counter[str] = Counter()
        self._calls = self._succeeded = self._unsent = 0
        self._began = time.monotonic()

    def record(self, event: Event) -> None:
        """Take note of an event."""
        with self._lock:
            match event:
                case events.RequestStarted():
                    self._pool(event.pool).in_flight += 1
                case events.AttemptFinished():
                    self._pool(event.pool).attempts += 1
                case events.RetryScheduled():
                    self._retry_scheduled(event)
                case events.RequestFinished():
                    self._request_finished(event)

    def _pool(self, pool: events.Pool) -> PoolNumbers:
        numbers = self._pools.get(pool.series)
        if numbers is None:
            numbers = self._pools[pool.series] = PoolNumbers(*pool.series)
        return numbers

    def _retry_scheduled(self, event: events.RetryScheduled) -> None:
        self._pool(event.pool).retries += 1
        self._retries[event.reason] += 1
        self._unsent += event.reason == UNSENT_REASON or event.error_type in UNSENT_ERRORS

    def _request_finished(self, event: events.RequestFinished) -> None:
        now, pool = time.monotonic(), self._pool(event.pool)
        pool.in_flight -= 1
        pool.calls += 1
        pool.recent.append((now, event.duration))
        self._forget(pool, now)
        self._calls += 1
        self._succeeded += event.outcome == "success"
        self._unsent += event.attempts > 0 and event.error_type in UNSENT_ERRORS

    def _forget(self, pool: PoolNumbers, now: float) -> None:
        while pool.recent and pool.recent[0][0] < now - WINDOW:
            pool.recent.popleft()

    def moment(self) -> Moment:
        """All numbers as they are now."""
        with self._lock:
            now = time.monotonic()
            recent: list[float] = []
            pools = []
            for pool in self._pools.values():
                self._forget(pool, now)
                durations = [duration for _, duration in pool.recent]
                recent += durations
                pools.append(
                    PoolView(
                        host=pool.host,
                        auth=pool.auth,
                        calls=pool.calls,
                        attempts=pool.attempts,
                        retries=pool.retries,
                        in_flight=pool.in_flight,
                        p95=percentile(durations, 0.95),
                    )
                )
            return Moment(
                pools=tuple(pools),
                calls=self._calls,
                succeeded=self._succeeded,
                rate=len(recent) / max(min(WINDOW, now - self._began), 0.1),
                p50=percentile(recent, 0.5),
                p95=percentile(recent, 0.95),
                in_flight=sum(pool.in_flight for pool in pools),
                retries=dict(self._retries),
                unsent=self._unsent,
            )


def percentile(values: list[float], part: float) -> float | None:
    """The value that so great a part of the values does not exceed; `None` of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]
