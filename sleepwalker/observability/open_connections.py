"""How many connections each pool has open: told from finalizers and `close()`, counted later.

Rules:

1. Telling takes no lock and touches no metric: an item is put at the end of a queue. So it may be
   done anywhere, in a finalizer or a signal handler too.
2. What was told is added up when the metrics are (at an event or a scrape), or when there is much.
3. A connection that a fork has given to a child is none of the child's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sleepwalker.observability.names import CONNECTION_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACTIVE, IDLE = CONNECTION_STATES
CLOSED = "closed"
MUCH = 4096
"""Changes: as many may wait to be added up."""

Change = tuple[int, tuple[str, str], int, int]
"""The process's generation, the pool's series, and by how much active and idle changed."""


class OpenConnections:
    """What is open in all the pools of one registry."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque()
        self._counts: dict[tuple[str, str], list[int]] = {}
        self.generation = 0
        """How often we were forked."""

    def opened(self, series: tuple[str, str]) -> OpenConnection:
        """A connection of a pool is open now, and in use."""
        return OpenConnection(self, series)

    @property
    def tell(self) -> Callable[[Change], None]:
        """Takes note of a change (rule 1); after a fork, in the child, of one that is new there."""
        return self._changes.append

    @property
    def much(self) -> bool:
        """Whether so much was told that it should be added up, though nobody asks."""
        return len(self._changes) > MUCH

    def add_up(self) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
        """Add up what was told, by one thread at a time.

        :returns: the series that changed, with how many of their connections are active and idle
        """
        changed = set()
        while self._changes:
            generation, series, active, idle = self._changes.popleft()
            if generation == self.generation:
                counts = self._counts.setdefault(series, [0, 0])
                counts[0] += active
                counts[1] += idle
                changed.add(series)
        for series in changed:
            active, idle = self._counts[series]
            yield series, (active, idle)

    def forget(self) -> list[tuple[str, str]]:
        """After a fork, in the child: nothing is open. The series that had something open."""
        self.generation += 1
        self._changes = deque()
        known, self._counts = list(self._counts), {}
        return known


class OpenConnection:
    """One open connection, from its connect to its close."""

    _state = CLOSED
    """Also of one that an interrupt kept from being made: its finalizer runs all the same."""

    def __init__(self, all_open: OpenConnections, series: tuple[str, str]) -> None:
        self._tell = all_open.tell
        self._generation = all_open.generation
        self._series = series
        self._state = ""
        self._become(ACTIVE)

    def idle(self) -> None:
        """It waits in its pool for the next request."""
        self._become(IDLE)

    def active(self) -> None:
        """A request has taken it."""
        self._become(ACTIVE)

    def closed(self) -> None:
        """It is closed; nothing that is told afterwards counts."""
        self._become(CLOSED)

    def __del__(self) -> None:
        # Who drops a streamed answer unread closes the socket without a word.
        self._become(CLOSED)

    def _become(self, state: str) -> None:
        before = self._state
        if before in {state, CLOSED}:
            return
        # An interrupt comes where a function begins, or one in C has ended: not between these two.
        self._state = state
        self._tell(
            (
                self._generation,
                self._series,
                (state == ACTIVE) - (before == ACTIVE),
                (state == IDLE) - (before == IDLE),
            )
        )
