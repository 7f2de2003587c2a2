"""The ways of retrying that are compared.

Rules:

1. Ours are policies, and differ in nothing but what they switch off.
2. A peer does what its defaults do. It is told which statuses to retry, since it knows none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sleepwalker import Policy
from sleepwalker.resilience.policy import AdaptiveLimit

if TYPE_CHECKING:
    from collections.abc import Callable

_BARE = Policy(backoff=None, quota=None, breaker=None, limit=None)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A way of retrying.

    :ivar policy: how often, after which waits, under which quota, breaker and limit
    :ivar wait: seconds before the given retry (1 is the first), where it isn't the policy's backoff
    :ivar persistence: seconds after which a call isn't sent again; `None`: the caller's patience,
        which is also its deadline then
    """

    name: str
    policy: Policy
    wait: Callable[[int, float], float] | None = field(default=None, compare=False)
    persistence: float | None = None


def stamina_wait(retry: int, random: float) -> float:
    """The seconds that stamina waits by default: exponential, and up to a second more at random.

    The formula and figures are those of `stamina.retry` (wait_initial, wait_exp_base, wait_jitter,
    wait_max), which hands them to tenacity's `wait_exponential_jitter`.
    """
    return float(min(5.0, 0.1 * 2.0 ** (retry - 1) + random))


NONE = Subject(name="no retries", policy=replace(_BARE, attempts=1))
URLLIB3 = Subject(name="urllib3, total=3", policy=replace(_BARE, attempts=4), persistence=1e9)
"""`Retry(total=3, status_forcelist=...)`: its backoff_factor is 0 and it knows no total time."""
STAMINA = Subject(
    name="stamina",
    policy=replace(_BARE, attempts=10),
    wait=stamina_wait,
    persistence=45.0,
)
QUOTA = Subject(name="quota", policy=Policy(breaker=None, limit=None))
QUOTA_BREAKER = Subject(name="quota, breaker", policy=Policy(limit=None))
QUOTA_AIMD = Subject(name="quota, AIMD", policy=Policy(breaker=None, limit=AdaptiveLimit()))
DEFAULT = Subject(name="default", policy=Policy())
ADAPTIVE = Subject(name="default, AIMD", policy=Policy(limit=AdaptiveLimit()))

SUBJECTS = (NONE, URLLIB3, STAMINA, QUOTA, QUOTA_BREAKER, QUOTA_AIMD, DEFAULT, ADAPTIVE)
