"""The server of the simulation: workers behind a queue, first come, first served.

Rules:

1. It works on whatever stands in its queue, also for callers that have long given up: it can't
   know. A threaded server reads a request from the socket although its client has closed that.
2. While it is stalled no work is done and everything queues. What was being worked on takes as much
   longer as the stall lasts.
3. A full queue refuses at once. Without a bound it never does: every request that a client can
   send has a place, in a backlog or in a socket's buffer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sleepwalker.resilience.layers import Result

if TYPE_CHECKING:
    import random

    from benchmarks.storm.events import Events


class Asked(Protocol):
    """A request in the server's hands."""

    @property
    def over(self) -> bool:
        """Whether its client waits no longer."""

    def ended(self, result: Result) -> None:
        """It was answered so."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What a server is like.

    :ivar workers: how many requests it works on at once
    :ivar service: seconds that one takes, on average (exponentially distributed)
    :ivar queue: how many requests may wait; `None`: any number
    :ivar failing: which part of the requests are answered with an error
    :ivar knows_the_dead: whether it leaves out requests whose callers have given up
    """

    workers: int
    service: float
    queue: int | None = None
    failing: float = 0.0
    knows_the_dead: bool = False

    @property
    def capacity(self) -> float:
        """Requests a second."""
        return self.workers / self.service


class SimulatedServer:
    """A server.

    :ivar received: how many requests have reached it
    """

    def __init__(self, settings: ServerSettings, events: Events, random: random.Random) -> None:
        self._settings, self._events, self._random = settings, events, random
        self._queue: deque[Asked] = deque()
        self._busy = 0
        self._stalled_until = 0.0
        self._stalled_for = 0.0
        self.received = 0

    @property
    def waiting(self) -> int:
        """How many requests stand in its queue."""
        return len(self._queue)

    def stall(self, seconds: float) -> None:
        """Do nothing for a while."""
        self._stalled_until, self._stalled_for = self._events.now + seconds, seconds
        self._events.after(seconds, self._work)

    def receive(self, asked: Asked) -> None:
        """Take a request; it is answered later, unless the queue is full."""
        self.received += 1
        bound = self._settings.queue
        if bound is not None and len(self._queue) >= bound:
            self._events.after(0.0, partial(asked.ended, Result.FAILURE))
            return
        self._queue.append(asked)
        self._work()

    def _work(self) -> None:
        """Put idle workers to what waits."""
        settings, queue = self._settings, self._queue
        while queue and self._busy < settings.workers and self._events.now >= self._stalled_until:
            asked = queue.popleft()
            if asked.over and settings.knows_the_dead:
                continue
            self._busy += 1
            self._events.after(
                self._random.expovariate(1 / settings.service),
                partial(self._done, asked),
            )

    def _done(self, asked: Asked) -> None:
        """A worker is through with a request."""
        if self._events.now < self._stalled_until:
            self._events.after(self._stalled_for, partial(self._done, asked))
            return
        self._busy -= 1
        failed = self._random.random() < self._settings.failing
        asked.ended(Result.FAILURE if failed else Result.SUCCESS)
        self._work()
