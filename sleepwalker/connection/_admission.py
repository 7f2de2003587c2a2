"""One attempt's way through the breaker and the limit of its host, and what they learn of it.

Rules:

1. The breaker is asked first: nobody waits for a place to be refused then. But for those for whom
   it opens while they wait: it is asked again.
2. A call that is made within another's attempt (by a response hook, or the iterator of a body) is
   a part of that: what it holds already is not asked for again, or it would wait for itself.
3. Whatever happens, the permits end.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from sleepwalker.exceptions import (
    CircuitOpenError,
    ConcurrencyLimitError,
    ResponseTooLarge,
    TimeoutError,
)
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.retry import CIRCUIT_OPEN, LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from sleepwalker.exceptions import SleepwalkerException
    from sleepwalker.resilience.breaker import BreakerPermit
    from sleepwalker.resilience.deadline import Deadline
    from sleepwalker.resilience.hosts import HostStates, Safeguards
    from sleepwalker.resilience.limiter import LimiterPermit

THROTTLED = 429


class NotAdmitted(Exception):  # noqa: N818 - no error: it takes a refusal to where it is decided on
    """An attempt was refused before anything of it was sent.

    :param why: one of `resilience.retry.REASONS`
    """

    def __init__(self, refusal: CircuitOpenError | ConcurrencyLimitError, why: str) -> None:
        super().__init__()
        self.refusal, self.why = refusal, why


class Admission:
    """One attempt's way.

    :param safeguards: those of its host
    :param outer: that of the attempt within which this one is made, if it is
    """

    __slots__ = ("_breaker", "_limiter", "_outer", "_safeguards")

    def __init__(self, safeguards: Safeguards, outer: Admission | None) -> None:
        self._safeguards, self._outer = safeguards, outer
        self._breaker: BreakerPermit | None = None
        self._limiter: LimiterPermit | None = None

    def enter(self, deadline: Deadline, read_timeout: float) -> str | None:
        """Be let through, or wait for it, at most until the deadline.

        :param read_timeout: seconds that a read of the attempt may take
        :returns: what the breaker became by it, or `None`
        :raises NotAdmitted: when it was refused
        """
        breaker, limiter = self._safeguards.breaker, self._safeguards.limiter
        outer = self._outer
        try:
            if breaker is not None and not (outer is not None and outer.holds(breaker)):
                self._breaker = breaker.permit()
                self._breaker.acquire()
            if limiter is not None and not (outer is not None and outer.holds(limiter)):
                self._limiter = limiter.permit()
                patience = limiter.patience(deadline.remaining(), read_timeout)
                self._limiter.acquire(patience)
                if not deadline.allows_attempt():
                    # Its turn has come with the deadline: all who wait until then hand their
                    # places on to each other, and it is chance who is never handed one.
                    raise self._limiter.refusal(patience)
                if self._breaker is not None and self._breaker.is_outdated:
                    # It has changed while we waited: whether we may is to be asked anew.
                    told, self._breaker = self._breaker.changed, self._breaker.renewed()
                    self._breaker.changed = told
                    self._breaker.acquire()
        except CircuitOpenError as refused:
            raise NotAdmitted(refused, CIRCUIT_OPEN) from None
        except ConcurrencyLimitError as refused:
            raise NotAdmitted(refused, LIMIT) from None
        return self._taken()

    def holds(self, layer: object) -> bool:
        """Whether this attempt, or one within which it is made, is through a layer already."""
        if layer is self._safeguards.breaker or layer is self._safeguards.limiter:
            return True
        return self._outer is not None and self._outer.holds(layer)

    def leave(self, result: Result) -> str | None:
        """The attempt has ended so; what the breaker became by it, or `None`."""
        # In this order: who is handed the place shall know what this attempt showed.
        if self._breaker is not None:
            self._breaker.end(result)
        if self._limiter is not None:
            self._limiter.end(result)
        return self._taken()

    def _taken(self) -> str | None:
        """What the breaker became, once."""
        if self._breaker is None:
            return None
        changed, self._breaker.changed = self._breaker.changed, None
        return changed


def result_of(response: requests.Response | None, error: SleepwalkerException | None) -> Result:
    """How an attempt ended, as far as its host is to be judged by it."""
    if isinstance(error, ResponseTooLarge):
        # It works all the same: what it answered tells how well.
        response, error = error.response, None
    if error is not None:
        if isinstance(error, TimeoutError):
            return Result.TIMEOUT
        # What no second try would change is over what this connection alone may have, such as its
        # certificates or its proxy: it says nothing of the host to others.
        return Result.FAILURE if error.transient else Result.UNKNOWN
    if response is None:
        return Result.UNKNOWN
    status = response.status_code
    if status < 400:
        return Result.SUCCESS
    if status == THROTTLED:
        return Result.THROTTLED
    return Result.REJECTED if status < 500 else Result.FAILURE


_ambient: ContextVar[HostStates | None] = ContextVar("sleepwalker_hosts", default=None)


@contextmanager
def shared(states: HostStates) -> Iterator[None]:
    """Let connections that are first used inside a ``with`` block share these.

    So that the login of a hook counts among its manager's calls to the host.
    """
    token = _ambient.set(states)
    try:
        yield
    finally:
        _ambient.reset(token)


def ambient() -> HostStates | None:
    """Those of the manager for which a hook runs just now, or `None`."""
    return _ambient.get()
