"""The budgets of the design, as data: what may cost how much, beside what.

Rules:

1. Each has a name that stays, by which a program finds it, and stands here alone.
2. A multiple is of a neighbour in the same run; what has no neighbour has a unit.
3. A budget that says "no slower" names an allowance: of two that are equally fast, each is the
   slower one in half of the runs, by as much as a run can tell apart.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMES: Final = "×"  # noqa: RUF001 - the sign that it is

Clock = Literal["process", "thread", "wall"]
"""The field of a `Cost`."""
Bound = Literal["most", "least", "below"]

_HOLDS: Final[Mapping[Bound, tuple[str, Callable[[float, float], bool]]]] = {
    "most": ("≤", operator.le),
    "least": ("≥", operator.ge),
    "below": ("<", operator.lt),
}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What may be measured of something, at most or at least.

    :ivar name: what programs call it
    :ivar what: what people call it; several budgets can be about the same
    :ivar limit: in its unit
    :ivar unit: a multiple unless it says otherwise
    :ivar bound: which side of the limit is right
    :ivar against: what it is a multiple of, where that is somebody
    :ivar subject: who is compared with that one
    :ivar clock: of a multiple of a cost: the CPU of the process, of the calling thread, or time
    :ivar allowance: the part of the limit by which a multiple may be above it and still be no more
    """

    name: str
    what: str
    limit: float
    unit: str = TIMES
    bound: Bound = "most"
    against: str = ""
    subject: str = ""
    clock: Clock = "process"
    allowance: float = 0.0

    def met(self, measured: float) -> bool:
        """Whether a figure keeps to it."""
        _, holds = _HOLDS[self.bound]
        return holds(measured, self.limit * (1 + self.allowance))

    def __str__(self) -> str:
        sign, _ = _HOLDS[self.bound]
        told = f"{sign} {self.limit:g} {self.unit}"
        if self.against:
            told += f" {self.against}"
        if self.allowance:
            told += f" (+ {self.allowance:.0%})"
        return told


_DIGITS: Final = {TIMES: 2, "%": 2, "s": 2, "KiB": 1, "MiB": 1, "ms": 1}
"""Behind the point; none where something is counted."""


def figure(value: float, unit: str) -> str:
    """A figure with its unit, no more exact than a budget is."""
    if value == float("inf"):
        return "never"
    digits = _DIGITS.get(unit, 0)
    if unit == TIMES and 1.0 < value < 1.01:
        digits = 4  # what retries add to a total outage
    number = f"{value:.{digits}f}"
    return f"{number} {unit}"


def _request(name: str, subject: str, against: str, limit: float) -> Budget:
    what = "json_request, all on" if subject == "sleepwalker" else "json_request, no SDK"
    return Budget(name=name, what=what, limit=limit, subject=subject, against=against)


def _traversal(name: str, against: str) -> Budget:
    return Budget(
        name=f"traversal.{name}",
        what="traversal, all on, time",
        limit=1.0,
        subject="sleepwalker, all on",
        against=against,
        clock="wall",
    )


def _late(name: str, what: str) -> Budget:
    return Budget(name=f"deadline.{name}", what=f"overshoot, {what}", limit=50.0, unit="ms")


BUDGETS: Final = (
    _request("request.urllib3", "sleepwalker", "urllib3", 1.6),
    _request("request.requests", "sleepwalker", "requests", 0.55),
    _request("request.by-hand", "sleepwalker", "by-hand", 0.40),
    _request("no-sdk.urllib3", "sleepwalker-no-sdk", "urllib3", 1.3),
    Budget(name="find.hit", what="find that hits", limit=0.75, subject="find", against="find-2.0"),
    Budget(
        name="stampede.one-key",
        what="64 threads, one key: hook calls",
        limit=1,
        unit="calls",
    ),
    Budget(
        name="stampede.many-keys", what="64 threads, 64 keys, a hook of 0.1 s", limit=0.15, unit="s"
    ),
    Budget(
        name="pools.before", what="100,000 pools, before a request: each", limit=6.4, unit="KiB"
    ),
    Budget(name="pools.after", what="a pool after its first request", limit=20.0, unit="KiB"),
    Budget(
        name="pools.hot",
        what="find of 10 hot keys of 100,000",
        limit=1.0,
        subject="find, hot of 100,000",
        against="find, 10 pools",
        allowance=0.05,
    ),
    Budget(
        name="pools.random",
        what="find of random keys of 100,000",
        limit=4.0,
        subject="find, random of 100,000",
        against="find, 10 pools",
    ),
    Budget(name="pools.pruning", what="pruning 100,000 pools", limit=1.0, unit="s"),
    Budget(
        name="outage.load",
        what="total outage, breaker off: load",
        limit=1.004,
        against="no retries",
    ),
    Budget(
        name="outage.breaker",
        what="total outage, breaker on: load",
        limit=1.0,
        bound="below",
        against="breaker off",
    ),
    Budget(
        name="failures.success", what="10 % failures: success", limit=99.8, unit="%", bound="least"
    ),
    Budget(name="failures.load", what="10 % failures: load", limit=1.12, against="no retries"),
    Budget(name="recovery.default", what="10 s stall: 95 % goodput, default", limit=7.0, unit="s"),
    Budget(
        name="recovery.adaptive",
        what="10 s stall: 95 % goodput, adaptive limit",
        limit=2.0,
        unit="s",
    ),
    _late("trickle", "trickled body"),
    _late("handshake", "stalled handshake"),
    _late("connect", "stalled CONNECT"),
    _late("addresses", "3 dead addresses"),
    Budget(name="memory.resident", what="a million requests: memory", limit=2.0, unit="MiB"),
    Budget(name="memory.blocks", what="a million requests: blocks", limit=1000, unit="blocks"),
    Budget(name="memory.files", what="a million requests: open files", limit=0, unit="files"),
    _traversal("requests", "requests, threads"),
    _traversal("httpx", "httpx, threads"),
    _traversal("httpx-asyncio", "httpx, asyncio"),
)
"""Section 7 of the design, row by row; what a million requests may leave, a traversal take."""

_BY_NAME: Final = {budget.name: budget for budget in BUDGETS}


def named(name: str) -> Budget:
    """The budget of that name.

    :raises KeyError: when there is none
    """
    return _BY_NAME[name]


def described(budget: Budget) -> dict[str, Any]:
    """A budget for programs of other languages."""
    return {
        "name": budget.name,
        "what": budget.what,
        "limit": budget.limit,
        "unit": budget.unit,
        "bound": budget.bound,
        "against": budget.against,
        "clock": budget.clock,
        "allowance": budget.allowance,
    }
