"""One process of the simulation, with the policy objects that it shares, and its calls.

Rules:

1. The layers are in the design's order: retry with quota, breaker, limit, attempt. A refusal by
   breaker or limit ends the call. Who has waited for a place asks a breaker that has changed anew.
2. A failed attempt is judged by `sleepwalker.resilience.retry.decide`. No retry is paid for that
   would find the breaker open.
3. A call is good when its answer comes within the caller's patience. Who has no deadline goes on
   retrying when it is over, as their users' code does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from sleepwalker.exceptions import CircuitOpenError
from sleepwalker.resilience.breaker import CircuitBreaker
from sleepwalker.resilience.deadline import LEAST_ATTEMPT
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.limiter import ConcurrencyLimiter
from sleepwalker.resilience.quota import RetryQuota
from sleepwalker.resilience.retry import Failure, Repeatable, decide

if TYPE_CHECKING:
    import random

    from benchmarks.storm.events import Events
    from benchmarks.storm.server import SimulatedServer
    from benchmarks.storm.subjects import Subject
    from sleepwalker.resilience.breaker import BreakerPermit
    from sleepwalker.resilience.limiter import LimiterPermit

GET = Repeatable(method="GET")


class Over(Protocol):
    """Is told that a call is over."""

    def __call__(self, *, good: bool) -> object:
        """Whether its answer came while the caller had a use for it."""


class Client:
    """A process: its quota, breaker and limiter for the one host.

    :param subject: how it retries
    :param timeout: seconds for one attempt
    :param patience: seconds after which a caller has no use for an answer
    """

    def __init__(
        self,
        subject: Subject,
        server: SimulatedServer,
        events: Events,
        random: random.Random,
        *,
        timeout: float,
        patience: float,
    ) -> None:
        policy = subject.policy
        self.subject, self.server, self.events, self.random = subject, server, events, random
        self.timeout, self.patience = timeout, patience
        self.quota = None if policy.quota is None else RetryQuota(policy.quota)
        self.breaker = (
            None
            if policy.breaker is None
            else CircuitBreaker(policy.breaker, clock=events, random=random.random)
        )
        self.limiter = None if policy.limit is None else ConcurrencyLimiter(policy.limit)

    def call(self, over: Over) -> None:
        """Make a call now.

        :param over: told when it is over
        """
        Call(self, over).attempt()


class Call:
    """One call of one caller."""

    __slots__ = ("_begun", "_client", "_cost", "_deadline", "_number", "_over", "_until")

    def __init__(self, client: Client, over: Over) -> None:
        self._client, self._over = client, over
        self._begun = client.events.now
        persistence = client.subject.persistence
        self._deadline = math.inf if persistence is not None else self._begun + client.patience
        self._until = self._begun + (client.patience if persistence is None else persistence)
        self._number = 0
        self._cost: int | None = None
        """What the last retry did cost."""

    def attempt(self) -> None:
        """Make the next attempt, or wait for a place to make it."""
        self._number += 1
        attempt = Attempt(self, self._client, self._deadline)
        attempt.begin()

    def refused(self) -> None:
        """It is let no further by breaker, limit or time; a retry that isn't made costs nothing."""
        if self._client.quota is not None and self._cost is not None:
            self._client.quota.refund(self._cost)
        self._over(good=False)

    def succeeded(self) -> None:
        """The answer is there."""
        client = self._client
        if client.quota is not None:
            if self._cost is None:
                client.quota.reward()
            else:
                client.quota.refund(self._cost)
        self._over(good=client.events.now <= self._begun + client.patience)

    def failed(self, result: Result) -> None:
        """An attempt has failed: go on, or don't."""
        client = self._client
        wait = self._wait(result)
        if wait is None:
            self._over(good=False)
        elif wait:
            client.events.after(wait, self.attempt)
        else:
            self.attempt()

    def _wait(self, result: Result) -> float | None:
        """The seconds to wait before the next attempt; `None`: there is none."""
        client, subject = self._client, self._client.subject
        timed_out = result is Result.TIMEOUT
        verdict = decide(
            Failure(
                number=self._number,
                reason="timeout" if timed_out else "status",
                sent=True,
                status=None if timed_out else 503,
            ),
            GET,
            subject.policy,
            remaining=self._until - client.events.now,
            random=client.random.random,
        )
        if not verdict.again:
            return None
        if client.breaker is not None and client.breaker.remaining() > verdict.wait:
            return None
        if client.quota is not None:
            self._cost = client.quota.spend(throttled=False)
            if self._cost is None:
                return None
        if subject.wait is not None:
            return subject.wait(self._number, client.random.random())
        return verdict.wait


class Attempt:
    """One attempt, and its way through the layers."""

    __slots__ = ("_breaker", "_call", "_client", "_deadline", "_limiter", "over")

    def __init__(self, call: Call, client: Client, deadline: float) -> None:
        self._call, self._client, self._deadline = call, client, deadline
        self._breaker: BreakerPermit | None = None
        self._limiter: LimiterPermit | None = None
        self.over = False

    def begin(self) -> None:
        """Go through breaker and limiter; be sent, or wait, or be refused."""
        client = self._client
        if client.breaker is not None:
            self._breaker = client.breaker.permit()
            if not self._admitted(self._breaker):
                return
        if client.limiter is not None:
            self._limiter = client.limiter.permit()
            if not self._limiter.request(self._let_in):
                left = client.limiter.patience(self._deadline - client.events.now, client.timeout)
                client.events.after(left, self._give_up)
                return
        self._send()

    def _give_up(self) -> None:
        """No place was free in time."""
        if self.over or self._limiter is None or self._limiter.held:
            return
        self._end(Result.UNKNOWN)
        self._call.refused()

    def _admitted(self, permit: BreakerPermit) -> bool:
        """Whether the breaker lets it through; if not, it is over."""
        try:
            permit.acquire()
        except CircuitOpenError:
            self._end(Result.UNKNOWN)
            self._call.refused()
            return False
        return True

    def _let_in(self) -> None:
        """A place is free, after a wait."""
        if self._breaker is not None and self._breaker.is_outdated:
            self._breaker = self._breaker.renewed()
            if not self._admitted(self._breaker):
                return
        self._send()

    def _send(self) -> None:
        client = self._client
        left = self._deadline - client.events.now
        if left < LEAST_ATTEMPT:
            self._end(Result.UNKNOWN)
            self._call.refused()
            return
        client.events.after(min(client.timeout, left), self._time_is_over)
        client.server.receive(self)

    def _time_is_over(self) -> None:
        self.ended(Result.TIMEOUT)

    def ended(self, result: Result) -> None:
        """The server has answered so, or hasn't in time."""
        if self.over:
            return
        self._end(result)
        if result is Result.SUCCESS:
            self._call.succeeded()
        else:
            self._call.failed(result)

    def _end(self, result: Result) -> None:
        self.over = True
        # In a connection's order: who is handed the place knows what this showed.
        if self._breaker is not None:
            self._breaker.end(result)
        if self._limiter is not None:
            self._limiter.end(result)
