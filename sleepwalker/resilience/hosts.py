"""Which calls share a quota, a breaker and a limit: all those to one host, in one scope.

Rules:

1. What is shared is found by host, scope and settings: who sets other figures has a ledger (a
   breaker, a limit) of its own.
2. It outlives whoever uses it, so that a pool that is pruned and established anew finds its host
   as it left it; but only the `MOST` hosts used last are remembered without being used.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from sleepwalker.resilience.breaker import CLOSED, CircuitBreaker
from sleepwalker.resilience.limiter import ConcurrencyLimiter
from sleepwalker.resilience.quota import RetryQuota

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sleepwalker.resilience.clock import Clock
    from sleepwalker.resilience.policy import AdaptiveLimit, Breaker, Limit, Policy

Made = TypeVar("Made")

MOST = 10_000
"""How many hosts (and scopes on them) are remembered without being used."""
SETTINGS = 16
"""How many different settings of each kind are remembered for one of them."""


class HostState:
    """What is known of one host in one scope, for any settings.

    :param name: of the host (and scope), as it may be shown
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._made: OrderedDict[Hashable, Any] = OrderedDict()

    def made(self, settings: Any, make: Callable[[Any], Made]) -> Made | None:
        """What was made for these settings; `None` for `None`."""
        if settings is None:
            return None
        found: Made | None = self._made.get(settings)
        if found is None:
            found = self._made[settings] = make(settings)
            if len(self._made) > 3 * SETTINGS:
                self._made.popitem(last=False)
        self._made.move_to_end(settings)
        return found

    def all(self) -> list[Any]:
        """All that was made."""
        # As the dict that it is: an `OrderedDict` looks each key up on the way, and to hash a
        # policy's settings runs Python, during which another thread may add some.
        return list(dict.values(self._made))

    def __repr__(self) -> str:
        return f"<HostState {self.name}>"


class Safeguards:
    """What stands around the attempts of calls to one host under one policy.

    :ivar quota: what retries are paid from, or `None`
    :ivar breaker: or `None`
    :ivar limiter: or `None`
    """

    __slots__ = ("_state", "breaker", "limiter", "quota")

    def __init__(
        self,
        state: HostState,
        quota: RetryQuota | None,
        breaker: CircuitBreaker | None,
        limiter: ConcurrencyLimiter | None,
    ) -> None:
        self._state = state
        """Held, so that it is found for as long as anybody uses a part of it."""
        self.quota, self.breaker, self.limiter = quota, breaker, limiter

    @property
    def name(self) -> str:
        """The host's name, as it may be shown."""
        return self._state.name

    def told(self) -> str:
        """How they are, in words."""
        made = (self.quota, self.breaker, self.limiter)
        return told_of(*(each for each in made if each is not None))

    def __repr__(self) -> str:
        return f"<Safeguards {self.name}: {self.told() or 'none'}>"


def told_of(*made: Any) -> str:
    """How a host's quota, breaker and limiter are, in words."""
    words = []
    for each in made:
        # Each says so in its own repr, behind its class's name.
        told = repr(each)[:-1].partition(" ")[2]
        kind = {RetryQuota: "quota ", CircuitBreaker: "breaker "}.get(type(each), "")
        words.append(f"{kind}{told}")
    return ", ".join(words)


def at_rest(each: Any) -> bool:
    """Whether a quota, breaker or limiter is as if nothing had ever happened."""
    if isinstance(each, RetryQuota):
        return each.tokens >= each.settings.tokens
    if isinstance(each, CircuitBreaker):
        return each.state == CLOSED
    return not (each.in_flight or each.waiting)


class HostStates:
    """The hosts that one manager, or a connection without one, knows of.

    :param clock: what time it is
    :param random: gives numbers from 0 to 1, for jitter
    """

    def __init__(self, *, clock: Clock, random: Callable[[], float], most: int = MOST) -> None:
        self._clock, self._random, self._most = clock, random, most
        self._lock = threading.RLock()
        self._used: OrderedDict[tuple[str, str | None], HostState] = OrderedDict()
        self._alive: weakref.WeakValueDictionary[tuple[str, str | None], HostState] = (
            weakref.WeakValueDictionary()
        )

    def of(self, host: str, policy: Policy, *, shown: str | None = None) -> Safeguards:
        """What stands around the attempts of calls to a host.

        :param host: one text for all spellings of the same origin and base path
        :param shown: the same as it may be shown
        """
        key = host, policy.scope
        with self._lock:
            state = self._used.get(key) or self._alive.get(key)
            if state is None:
                name = host if shown is None else shown
                state = HostState(name if policy.scope is None else f"{name} ({policy.scope})")
                self._alive[key] = state
            self._used[key] = state
            self._used.move_to_end(key)
            if len(self._used) > self._most:
                self._used.popitem(last=False)
            return self._safeguards(state, policy)

    def _safeguards(self, state: HostState, policy: Policy) -> Safeguards:
        def breaker(settings: Breaker) -> CircuitBreaker:
            return CircuitBreaker(settings, clock=self._clock, random=self._random, name=state.name)

        def limiter(settings: Limit | AdaptiveLimit) -> ConcurrencyLimiter:
            return ConcurrencyLimiter(settings, name=state.name)

        return Safeguards(
            state,
            state.made(policy.quota, RetryQuota),
            state.made(policy.breaker, breaker),
            state.made(policy.limit, limiter),
        )

    def troubled(self) -> list[str]:
        """The hosts that aren't at rest, in words, the last used first."""
        with self._lock:
            states = list(reversed(self._used.values()))
        told = []
        for state in states:
            restless = [each for each in state.all() if not at_rest(each)]
            if restless:
                told.append(f"{state.name}: {told_of(*restless)}")
        return told

    def _renew_in_child(self) -> None:
        """In a child made by fork: new locks, and nothing of the parent's under way."""
        self._lock = threading.RLock()
        for state in list(self._alive.values()):
            for each in state.all():
                each.renew()

    def __len__(self) -> int:
        return len(self._used)

    def __repr__(self) -> str:
        return f"<HostStates {len(self)} hosts>"
