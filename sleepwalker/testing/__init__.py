"""What we test with, for users too: faults on demand, and no waiting.

- `_clocks`: `no_wait`, and the clocks that make backoff, Retry-After and deadlines pass in no time
- `_adapter`: a `requests` adapter that injects faults, for one connection or for all
- `_faults`: the faults, as values; `_stage` plays them to the layers that real ones go through
- `_observer`: an observer that keeps what it is told
- `_fixtures`: the same for pytest::

    # conftest.py
    pytest_plugins = ["sleepwalker.testing"]

There is nothing to rewrite for pytest, which would warn of a module that was imported before
(PYTEST_DONT_REWRITE).
"""

from ._adapter import FaultAdapter, SentRequest, faults
from ._clocks import FakeClock, SkippingClock, no_wait
from ._faults import Fault
from ._observer import RecordingObserver

__all__ = [
    "FakeClock",
    "Fault",
    "FaultAdapter",
    "RecordingObserver",
    "SentRequest",
    "SkippingClock",
    "faults",
    "no_wait",
]

try:
    from ._fixtures import sleepwalker_fake_clock, sleepwalker_faults, sleepwalker_no_wait
except ImportError:  # an application's own test runner
    pass
else:
    __all__ += ["sleepwalker_fake_clock", "sleepwalker_faults", "sleepwalker_no_wait"]
