"""What happens to whole hosts at set times: restarts, and tokens that are revoked.

Rules:

1. Times are parts of the run, so that a short run sees everything too; a long one sees it all again
   every `PERIOD`.
2. Tokens are revoked once in a period: a call renews its token once, and then takes a 401 for an
   answer.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from sleepwalker.cli.demo.apis import AUTHORS, BOOKS, REVIEWS, Authors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sleepwalker.cli.demo.hosts import Host

REVOKE = "tokens revoked"
RESTART = "restarts"
PERIOD = 20.0
"""Seconds after which a long run sees everything again."""
DOWN = 0.6
"""Seconds that a restarting host is away."""


class Happening(NamedTuple):
    """Something that happens to a host."""

    at: float
    """The part of the period that is over then, from 0 to 1."""
    host: str
    what: str


HAPPENINGS = (
    Happening(0.15, BOOKS, RESTART),
    Happening(0.30, AUTHORS, REVOKE),
    Happening(0.40, AUTHORS, RESTART),
    Happening(0.60, REVIEWS, RESTART),
)


class Timetable:
    """Makes the happenings happen, in a thread of its own.

    :param seconds: how long the run is
    :param told: called with each happening when its time has come
    :param happenings: what happens in each period, in the order of time; at least one
    :param down: seconds that a restarting host is away
    """

    def __init__(
        self,
        hosts: Mapping[str, Host],
        seconds: float,
        told: Callable[[Happening], None],
        *,
        happenings: Sequence[Happening] = HAPPENINGS,
        down: float = DOWN,
    ) -> None:
        self._hosts = hosts
        self._seconds = seconds
        self._told = told
        self._happenings = happenings
        self._down = down
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timetable", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End early; a host that is away comes back."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        period = min(self._seconds, PERIOD)
        for number in itertools.count():
            turn, index = divmod(number, len(self._happenings))
            happening = self._happenings[index]
            left = began + (turn + happening.at) * period - time.monotonic()
            if self._stopping.wait(max(left, 0.0)):
                return
            self._told(happening)
            host = self._hosts[happening.host]
            if happening.what == RESTART:
                host.restart(self._down, self._stopping)
            elif isinstance(host.api, Authors):
                host.ledger.misbehaved(REVOKE)
                host.api.revoke()
