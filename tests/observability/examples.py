"""One event of each kind, for the tests of what takes events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sleepwalker.observability import events
from sleepwalker.observability.events import Pool

if TYPE_CHECKING:
    from sleepwalker.observability.events import Event


def a_pool(host: str = "https://host.example", auth: str = "basic") -> Pool:
    """Name a pool that has a series of its own."""
    return Pool(host, auth, (host, auth))


POOL = a_pool()

ONE_OF_EACH: tuple[Event, ...] = (
    events.RequestStarted(POOL, "GET"),
    events.AttemptFinished(POOL, "GET", 1, 0.25, 503, "none"),
    events.RetryScheduled(POOL, "GET", 1, "throttled", 1.5, 503, "status"),
    events.Redirected(POOL, "GET", 302, "https://other.example", cross_origin=True),
    events.RequestFinished(
        POOL, "GET", "/books/{id}", "exhausted", 2.5, 3, 1.5, 503, "status", outcome_unknown=False
    ),
    events.BreakerChanged(POOL, "https://host.example", "open", 5.0),
    events.RetryQuotaChanged(POOL, "https://host.example", 486),
    events.LookedUp(POOL, "hit", 7),
    events.EstablishmentAwaited(POOL, 0.5),
    events.HookCalled(POOL, "Vault", 1, "failed", 0.5, "connect"),
    events.ConnectionEstablished(POOL, "Vault", 0.75),
    events.ConnectionFailed(POOL, 2, 0.75, "connect"),
    events.PoolsChanged(1),
    events.PoolEvicted(POOL, "idle"),
    events.CloseFailed(POOL, "other"),
    events.ManagerReset(closed=1, draining=2, forgotten=3, failed=4),
    events.LinkFollowed(
        POOL, "author", cross_host=True, outcome="success", duration=0.5, error_type="none"
    ),
    events.PlaintextAuth(POOL),
    events.EventLoopBlocked(POOL),
)


def finished(
    outcome: str = "success",
    *,
    pool: Pool = POOL,
    name: str | None = None,
    attempts: int = 1,
    waited: float = 0.0,
    status: int | None = 200,
    error_type: str = "none",
    outcome_unknown: bool = False,
) -> events.RequestFinished:
    """Make the end of a call, a clean success unless it is said otherwise."""
    return events.RequestFinished(
        pool, "GET", name, outcome, 0.25, attempts, waited, status, error_type, outcome_unknown
    )
