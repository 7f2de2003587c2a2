"""Pure decisions about when to give up, wait or send again; no I/O, time and chance injected.

- `clock`: what time it is and how to wait, replaceable as a whole
- `deadline`: one monotonic deadline a call, nested
- `policy`: the frozen values that say how resilient a call is
- `retry`: what may be sent again, and after how long
- `retry_after`: what a `Retry-After` header says
"""

from sleepwalker.resilience.clock import Clock
from sleepwalker.resilience.policy import Backoff, Policy

__all__ = ["Backoff", "Clock", "Policy"]
