"""What may be sent again, and after how long: pure functions of what happened.

Rules:

1. *Never sent* (we had not begun to write the request): any method may go again.
2. *Maybe sent*: only a request that may be repeated: an idempotent method (RFC 9110), a caller's
   ``idempotent=True``, or an idempotency key. Statuses stand under the same rule.
3. *Never*: a certificate error, any other 4xx, a body that can't be rewound once it was begun.
4. No wait passes the deadline, and none is shorter than what the server asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sleepwalker.resilience.deadline import LEAST_ATTEMPT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.resilience.policy import Policy

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
"""The methods that may be repeated (RFC 9110, section 9.2.2)."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""The methods that change nothing (RFC 9110, section 9.2.1)."""

FINAL = "final"
NOT_REPEATABLE = "not repeatable"
NOT_REWINDABLE = "body can't be rewound"
EXHAUSTED = "exhausted"
RETRY_AFTER_TOO_LONG = "retry-after too long"
DEADLINE = "deadline"
QUOTA = "retry quota"
CIRCUIT_OPEN = "circuit open"
LIMIT = "concurrency limit"
REASONS = (
    FINAL,
    NOT_REPEATABLE,
    NOT_REWINDABLE,
    EXHAUSTED,
    RETRY_AFTER_TOO_LONG,
    DEADLINE,
    QUOTA,
    CIRCUIT_OPEN,
    LIMIT,
)
"""Why a request is not sent again."""

THROTTLED = 429
CONFLICT = 409
UNAVAILABLE = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known of an attempt that failed."""

    number: int
    """Which attempt it was; 1 is the first."""
    reason: str
    """Why it failed: timeout, connect, protocol or status (the `reason` of `retries_total`)."""
    sent: bool
    """Whether we had begun to write the request (or can't know that we had not)."""
    resend: bool = False
    """Whether an earlier attempt (maybe) reached the server."""
    transient: bool = True
    """Whether trying again may help at all."""
    status: int | None = None
    """The status that the server answered, if it did."""
    retry_after: float | None = None
    """Seconds that the server asked to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """Whether a request may be sent a second time."""

    method: str
    idempotent: bool | None = None
    """The caller's own word; `None`: the method decides."""
    key: bool = False
    """Whether it carries an idempotency key."""
    body: bool = True
    """Whether the body can be sent again from its beginning."""

    def after_sending(self) -> bool:
        """Whether it may go again although the server may have processed it."""
        if self.idempotent is not None:
            return self.idempotent or self.key
        return self.key or self.method in IDEMPOTENT


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to send again, after how many seconds, and why (not)."""

    again: bool
    why: str
    """For `again`: the `reason` of `retries_total`. Else: a word for what forbids it."""
    wait: float = 0.0


def decide(
    failure: Failure,
    request: Repeatable,
    policy: Policy,
    *,
    remaining: float,
    random: Callable[[], float],
) -> Verdict:
    """Decide whether a failed attempt is followed by another.

    :param remaining: seconds that the deadline leaves
    :param random: gives a number from 0 to 1 (`random.random`)
    """
    forbidden = _forbids(failure, request, policy)
    if forbidden is not None:
        return Verdict(again=False, why=forbidden)
    throttled = is_throttling(failure, request)
    wait = 0.0
    if policy.backoff is not None:
        wait = random() * policy.backoff.ceiling(failure.number, throttled=throttled)
    if failure.retry_after is not None:
        if failure.retry_after > min(policy.max_retry_after, remaining):
            return Verdict(again=False, why=RETRY_AFTER_TOO_LONG)
        wait = max(wait, failure.retry_after)
    if wait > remaining - LEAST_ATTEMPT:
        return Verdict(again=False, why=DEADLINE)
    return Verdict(again=True, why="throttled" if throttled else failure.reason, wait=wait)


def _forbids(failure: Failure, request: Repeatable, policy: Policy) -> str | None:
    """What forbids another attempt, whatever the time; `None`: nothing."""
    if failure.status is None:
        final = not failure.transient
    else:
        final = failure.status not in policy.retry_statuses and not _is_conflict(failure, request)
    if final:
        return FINAL
    if failure.sent and not request.after_sending():
        return NOT_REPEATABLE
    if failure.sent and not request.body:
        return NOT_REWINDABLE
    return EXHAUSTED if failure.number >= policy.attempts else None


def _is_conflict(failure: Failure, request: Repeatable) -> bool:
    """Whether a 409 says that an earlier attempt under the same key is still being processed."""
    return failure.status == CONFLICT and request.key and failure.resend


def is_throttling(failure: Failure, request: Repeatable) -> bool:
    """Whether the server said "slow down": 429, 503 with Retry-After, a conflict on a resend."""
    return (
        failure.status == THROTTLED
        or (failure.status == UNAVAILABLE and failure.retry_after is not None)
        or _is_conflict(failure, request)
    )
