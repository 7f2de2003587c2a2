"""Simulated time: a clock that the policy objects are given, and a list of what happens when.

Rules:

1. What is due first happens first; what is due at the same time, in the order it was planned.
2. Nothing takes time but waiting.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Events:
    """The clock (a `sleepwalker.resilience.clock.Clock`) and the plan.

    :ivar now: seconds since the beginning
    """

    __slots__ = ("_number", "_plan", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._plan: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

    def monotonic(self) -> float:
        """What time it is."""
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        """Wait, and let what is due in the meantime happen."""
        self.run(self.now + seconds)

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Plan something."""
        self._number += 1
        heapq.heappush(self._plan, (self.now + seconds, self._number, do))

    def run(self, until: float) -> None:
        """Let everything happen that is due by then."""
        plan = self._plan
        while plan and plan[0][0] <= until:
            self.now, _, do = heapq.heappop(plan)
            do()
        self.now = until

    def run_out(self) -> None:
        """Let everything happen that is planned."""
        while self._plan:
            self.run(self._plan[0][0])
