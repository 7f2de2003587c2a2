"""Pure decisions about when to give up, wait or send again; no I/O, time and chance injected.

- `clock`: what time it is and how to wait, replaceable as a whole
- `deadline`: one monotonic deadline a call, nested
- `policy`: the frozen values that say how resilient a call is
- `retry`: what may be sent again, and after how long
- `retry_after`: what a `Retry-After` header says
- `layers`: what the layers around an attempt have in common
- `quota`: what retries cost, for each host
- `breaker`: a host that fails is left alone, then probed
- `limiter`: so many calls in flight to a host, and no more
- `hosts`: which calls share these
"""

from sleepwalker.resilience.breaker import CircuitBreaker
from sleepwalker.resilience.clock import Clock
from sleepwalker.resilience.layers import Layer, Permit, Result
from sleepwalker.resilience.limiter import ConcurrencyLimiter
from sleepwalker.resilience.policy import (
    AdaptiveLimit,
    Backoff,
    Breaker,
    DeadlineHeader,
    Limit,
    Policy,
    Quota,
    ResponseLimits,
)
from sleepwalker.resilience.quota import RetryQuota

__all__ = [
    "AdaptiveLimit",
    "Backoff",
    "Breaker",
    "CircuitBreaker",
    "Clock",
    "ConcurrencyLimiter",
    "DeadlineHeader",
    "Layer",
    "Limit",
    "Permit",
    "Policy",
    "Quota",
    "ResponseLimits",
    "Result",
    "RetryQuota",
]
