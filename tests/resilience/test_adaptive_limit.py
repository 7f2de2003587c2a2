"""How an adaptive limit grows and shrinks, and how long a place is worth waiting for."""

from __future__ import annotations

import math

import pytest

from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.limiter import ConcurrencyLimiter, LimiterPermit
from sleepwalker.resilience.policy import AdaptiveLimit, Limit


def filled(limiter: ConcurrencyLimiter, calls: int) -> list[LimiterPermit]:
    permits = [limiter.permit() for _ in range(calls)]
    for permit in permits:
        permit.acquire()
    return permits


def answered(limiter: ConcurrencyLimiter, result: Result = Result.SUCCESS) -> None:
    """One call more, which ends so while the others are in flight."""
    [permit] = filled(limiter, 1)
    permit.end(result)


def test_it_takes_as_many_successes_as_the_limit_is_large_to_make_it_one_larger() -> None:
    limiter = ConcurrencyLimiter(AdaptiveLimit(start=4, most=6))
    filled(limiter, 3)

    limits = []
    for _ in range(4 + 5 + 6):
        answered(limiter)
        limits.append(limiter.limit)

    assert limits == [4] * 3 + [5] * 5 + [6] * 7


def test_an_overload_takes_a_tenth_and_the_successes_counted_so_far() -> None:
    limiter = ConcurrencyLimiter(AdaptiveLimit(start=10))
    filled(limiter, 8)

    for _ in range(9):
        answered(limiter)
    answered(limiter, Result.TIMEOUT)
    assert limiter.limit == 9

    for _ in range(8):
        answered(limiter)
    assert limiter.limit == 9
    answered(limiter)
    assert limiter.limit == 10


def test_successes_that_less_than_half_of_the_limit_was_in_use_for_prove_nothing() -> None:
    limiter = ConcurrencyLimiter(AdaptiveLimit(start=4))

    for _ in range(10):
        answered(limiter)

    assert limiter.limit == 4


@pytest.mark.parametrize(
    ("remaining", "timeout", "seconds"),
    [
        (30.0, 10.0, 20.0),
        (3.0, 1.0, 2.0),
        (2.0, 1.0, 1.0),
        (2.0, 10.0, 1.0),
        (0.0, 10.0, 0.0),
        (math.inf, 10.0, math.inf),
    ],
)
def test_a_place_is_waited_for_as_long_as_an_attempt_fits_in_afterwards_or_half_of_what_is_left(
    remaining: float, timeout: float, seconds: float
) -> None:
    assert ConcurrencyLimiter(AdaptiveLimit()).patience(remaining, timeout) == seconds


@pytest.mark.parametrize("remaining", [0.0, 0.5, 30.0, math.inf])
def test_a_fixed_limit_is_waited_for_until_the_deadline(remaining: float) -> None:
    assert ConcurrencyLimiter(Limit()).patience(remaining, 10.0) == remaining
