"""Quota, breaker and limiter around a call: each works alone, and in any order with the others.

Rules:

1. A layer is wrapped around a callable as its module's first lines say, and knows of no other.
2. What is expected of an order is computed from the order, never from the layers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext as nothing
from itertools import permutations
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.exceptions import CircuitOpenError, ConcurrencyLimitError, RefusedError
from sleepwalker.resilience import breaker as breaker_module
from sleepwalker.resilience import limiter as limiter_module
from sleepwalker.resilience.breaker import CLOSED, OPEN, CircuitBreaker
from sleepwalker.resilience.layers import Layer, Result
from sleepwalker.resilience.limiter import ConcurrencyLimiter
from sleepwalker.resilience.policy import AdaptiveLimit, Breaker, Limit, Quota
from sleepwalker.resilience.quota import RetryQuota
from tests.crew import SteppedClock, at_once
from tests.resilience.turns import interrupted

if TYPE_CHECKING:
    from sleepwalker.resilience.layers import Permit

ATTEMPTS = 3
ORDERS = list(permutations(["quota", "breaker", "limiter"]))
EVERY_ORDER = pytest.mark.parametrize("order", ORDERS, ids=" > ".join)
FAILED = {Result.FAILURE, Result.TIMEOUT, Result.THROTTLED}


Work: TypeAlias = Callable[[], Result]
"""What a call does, as far as the layers see."""


def guarded(layer: Layer, work: Work) -> Work:
    """Wrap a breaker or a limiter around it."""

    def call() -> Result:
        permit: Permit = layer.permit()
        result = Result.UNKNOWN
        try:
            permit.acquire()
            result = work()
        finally:
            try:
                permit.end(result)
            finally:
                # An interrupt may have come in the first.
                permit.end(result)
        return result

    return call


def retried(quota: RetryQuota, work: Work) -> Work:
    """Wrap retries around it, which the quota pays for."""

    def call() -> Result:
        cost: int | None = None
        for number in range(1, ATTEMPTS + 1):
            result = work()
            if result not in FAILED:
                if cost is not None:
                    quota.refund(cost)
                else:
                    quota.reward()
                break
            if number == ATTEMPTS:
                break
            cost = quota.spend(throttled=result is Result.THROTTLED)
            if cost is None:
                break
        return result

    return call


class Stack:
    """The three around a server that answers as it is told."""

    def __init__(
        self,
        order: tuple[str, ...],
        *,
        quota: Quota | None = None,
        breaker: Breaker | None = None,
        limit: Limit | AdaptiveLimit | None = None,
    ) -> None:
        """Wrap them; the first is the outermost."""
        self.order, self.clock = order, SteppedClock()
        self.quota = RetryQuota(quota or Quota())
        self.breaker = CircuitBreaker(
            breaker or Breaker(), clock=self.clock, random=lambda: 0.5, name="api.example"
        )
        self.limiter = ConcurrencyLimiter(limit or Limit(), name="api.example")
        self.answers: list[Result] = []
        self.served = 0
        self.within: Callable[[], object] = lambda: None
        self.call: Work = self._serve
        for name in reversed(order):
            self.call = self.wrapped(name, self.call)

    def wrapped(self, name: str, work: Work) -> Work:
        """Wrap one of the three around it."""
        if name == "quota":
            return retried(self.quota, work)
        return guarded(self.breaker if name == "breaker" else self.limiter, work)

    def _serve(self) -> Result:
        self.served += 1
        self.within()
        return self.answers.pop(0) if self.answers else Result.SUCCESS

    def outside(self, one: str, other: str) -> bool:
        """Whether one is around the other."""
        return self.order.index(one) < self.order.index(other)


@EVERY_ORDER
def test_a_call_that_succeeds_passes_all_three_and_leaves_nothing_behind(
    order: tuple[str, ...],
) -> None:
    stack, within = Stack(order), list[tuple[int, str]]()
    stack.within = lambda: within.append((stack.limiter.in_flight, stack.breaker.state))

    assert stack.call() is Result.SUCCESS

    assert (stack.served, within) == (1, [(1, CLOSED)])
    assert (stack.limiter.in_flight, stack.quota.tokens) == (0, 500)


@EVERY_ORDER
def test_a_call_that_succeeds_at_its_last_attempt_costs_only_the_retry_before(
    order: tuple[str, ...],
) -> None:
    stack = Stack(order)
    stack.answers = [Result.FAILURE, Result.THROTTLED, Result.SUCCESS]

    assert stack.call() is Result.SUCCESS

    assert stack.served == 3
    assert stack.quota.tokens == 500 - 14
    assert stack.limiter.in_flight == 0


@EVERY_ORDER
def test_the_breaker_judges_attempts_within_retries_and_calls_around_them(
    order: tuple[str, ...],
) -> None:
    stack = Stack(order, breaker=Breaker(calls=4, failure_ratio=1.0))
    stack.answers = [Result.FAILURE] * 100
    refused = 0

    for _ in range(6):
        try:
            stack.call()
        except CircuitOpenError:
            refused += 1

    attempts = stack.outside("quota", "breaker")
    # Four failures open it: four attempts, of which the last two are refused, or four calls.
    assert (stack.served, refused) == ((4, 5) if attempts else (12, 2))
    assert stack.breaker.state == OPEN
    assert stack.limiter.in_flight == 0


@EVERY_ORDER
def test_ten_thousand_calls_in_an_outage_retry_as_often_as_the_tokens_pay_for(
    order: tuple[str, ...],
) -> None:
    stack = Stack(order, breaker=Breaker(calls=10**9))
    stack.answers = [Result.FAILURE] * 20_000

    for _ in range(10_000):
        assert stack.call() is Result.FAILURE

    assert stack.served == 10_000 + 35
    assert stack.quota.tokens == 10


@EVERY_ORDER
def test_with_the_breaker_on_there_are_fewer(order: tuple[str, ...]) -> None:
    stack = Stack(order)
    stack.answers = [Result.FAILURE] * 20_000

    calls = 0
    for _ in range(10_000):
        try:
            stack.call()
        except CircuitOpenError:
            break
        calls += 1

    # Twenty attempts open it, of which six calls make three each; or twenty calls.
    attempts = stack.outside("quota", "breaker")
    retries = stack.served - calls - attempts
    assert (stack.served, calls) == ((20, 6) if attempts else (20 + 35, 20))
    assert retries <= 35


@EVERY_ORDER
def test_the_refusal_is_that_of_the_outermost_that_refuses(order: tuple[str, ...]) -> None:
    stack = Stack(order, breaker=Breaker(calls=1), limit=Limit(calls=1))
    stack.answers = [Result.FAILURE] * 100
    with pytest.raises(CircuitOpenError) if stack.outside("quota", "breaker") else nothing():
        stack.call()
    assert stack.breaker.state == OPEN
    taken = stack.limiter.permit()
    taken.acquire()
    served = stack.served

    outermost = CircuitOpenError if stack.outside("breaker", "limiter") else ConcurrencyLimitError
    with pytest.raises(RefusedError) as refused:
        stack.call()

    assert type(refused.value) is outermost
    assert refused.value.retry_after == (5.0 if outermost is CircuitOpenError else None)
    assert stack.served == served
    assert (stack.limiter.in_flight, stack.limiter.waiting) == (1, 0)
    taken.end(Result.SUCCESS)


@EVERY_ORDER
def test_a_refusal_by_the_breaker_keeps_no_place_and_teaches_the_limiter_nothing(
    order: tuple[str, ...],
) -> None:
    stack = Stack(order, breaker=Breaker(calls=1), limit=AdaptiveLimit(start=1, most=9))
    failing = stack.breaker.permit()
    failing.acquire()
    failing.end(Result.FAILURE)

    for _ in range(5):
        with pytest.raises(CircuitOpenError):
            stack.call()

    assert (stack.limiter.in_flight, stack.limiter.limit) == (0, 1)
    assert (stack.served, stack.quota.tokens) == (0, 500)


@EVERY_ORDER
def test_a_refusal_by_the_limiter_keeps_no_probe_and_judges_no_host(
    order: tuple[str, ...],
) -> None:
    stack = Stack(order, breaker=Breaker(calls=1), limit=Limit(calls=1))
    failing = stack.breaker.permit()
    failing.acquire()
    failing.end(Result.FAILURE)
    stack.clock.now += 5.0
    taken = stack.limiter.permit()
    taken.acquire()

    for _ in range(5):
        with pytest.raises(ConcurrencyLimitError):
            stack.call()
    taken.end(Result.SUCCESS)

    assert stack.call() is Result.SUCCESS
    assert (stack.breaker.state, stack.served) == (CLOSED, 1)


@EVERY_ORDER
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_error_from_within_passes_all_three_and_leaves_nothing_behind(
    order: tuple[str, ...], error: type[BaseException]
) -> None:
    stack = Stack(order, breaker=Breaker(calls=1), limit=Limit(calls=1))

    def fail() -> None:
        raise error

    stack.within = fail
    for _ in range(3):
        with pytest.raises(error):
            stack.call()

    assert (stack.served, stack.limiter.in_flight, stack.breaker.state) == (3, 0, CLOSED)
    assert stack.quota.tokens == 500


@EVERY_ORDER
def test_an_interrupt_anywhere_in_the_layers_leaves_nothing_behind(
    order: tuple[str, ...],
) -> None:
    point = 0
    while True:
        stack = Stack(order, breaker=Breaker(calls=1), limit=Limit(calls=1))
        failing = stack.breaker.permit()
        failing.acquire()
        failing.end(Result.FAILURE)
        stack.clock.now += 5.0
        if not interrupted(point, stack.call, breaker_module, limiter_module):
            break
        assert stack.call() is Result.SUCCESS, point
        assert stack.limiter.in_flight == 0, point
        point += 1
    assert point > 20


@EVERY_ORDER
def test_sixty_four_threads_end_with_exact_counts(order: tuple[str, ...]) -> None:
    stack = Stack(order, quota=Quota(tokens=10**6), breaker=Breaker(calls=10**6))
    tokens = stack.quota.tokens

    def fail_once() -> Result:
        attempts = 0

        def work() -> Result:
            nonlocal attempts
            attempts += 1
            return Result.FAILURE if attempts == 1 else Result.SUCCESS

        call: Work = work
        for name in reversed(order):
            call = stack.wrapped(name, call)
        return call()

    results = [
        each
        for job in at_once([lambda: [fail_once() for _ in range(10)]] * 64)
        for each in job.result(60.0)
    ]

    assert results == [Result.SUCCESS] * 640
    assert (stack.limiter.in_flight, stack.limiter.waiting) == (0, 0)
    assert stack.quota.tokens == tokens
    assert stack.breaker.state == CLOSED


@given(st.sampled_from(ORDERS), st.lists(st.sampled_from(Result), max_size=80))
def test_whatever_is_answered_in_whatever_order_nothing_is_lost(
    order: tuple[str, ...], answers: list[Result]
) -> None:
    stack = Stack(
        order,
        quota=Quota(tokens=60),
        breaker=Breaker(calls=5),
        limit=AdaptiveLimit(start=2, least=1, most=4),
    )
    stack.answers = list(answers)
    while stack.answers:
        served = stack.served
        try:
            stack.call()
        except CircuitOpenError:
            assert stack.breaker.state == OPEN
            stack.clock.now += stack.breaker.remaining()
        assert stack.limiter.in_flight == stack.limiter.waiting == 0
        assert 0 <= stack.quota.tokens <= 60
        assert 1 <= stack.limiter.limit <= 4
        assert stack.served - served <= ATTEMPTS


def test_a_result_has_the_word_for_it() -> None:
    assert [result.value for result in Result] == [
        "success",
        "rejected",
        "throttled",
        "failure",
        "timeout",
        "unknown",
    ]
