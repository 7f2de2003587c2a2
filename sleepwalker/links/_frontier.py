"""What a traversal has yet to visit: pure decisions, without threads, locks or requests.

Rules:

1. Each key is accepted once, and no more keys than may be.
2. Of one host no more than `per_host` are out at a time; hosts take turns.
3. In order, nothing is taken that is so far ahead of what was delivered that the results between
   would not fit: so what is next in order may always be taken.
"""

from __future__ import annotations

from collections import Counter, deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

Task = TypeVar("Task")


class Numbered(NamedTuple, Generic[Task]):
    """A task with its number in the order in which tasks were accepted."""

    number: int
    host: Hashable
    task: Task


class Frontier(Generic[Task]):
    """What is yet to be visited.

    :param per_host: tasks of one host that may be out at a time
    :param most: tasks that are accepted in all; `None`: no limit
    :param ahead: how far a task's number may be ahead of `delivered`; `None`: as far as it likes
    """

    def __init__(self, *, per_host: int, most: int | None, ahead: int | None) -> None:
        self._per_host = per_host
        self._most = most
        self._ahead = ahead
        self._known: set[bytes] = set()
        self._pending: dict[Hashable, deque[Numbered[Task]]] = {}
        self._out: Counter[Hashable] = Counter()
        self._turns: deque[Hashable] = deque()
        """The hosts of which something is pending and may be taken."""
        self.accepted = 0
        self.recalled = 0
        self.waiting = 0
        """How many are pending."""
        self.out = 0
        """How many are taken and not done."""
        self.left_out = 0
        """How many were not accepted because there were too many, or were dropped."""
        self.delivered = 0
        """How many results, in order, are out of the way; who takes tasks in order sets it."""

    def knows(self, key: str) -> bool:
        """Whether a key was there already; from now on it is."""
        digest = _digest(key)
        if digest in self._known:
            return True
        self._known.add(digest)
        return False

    def recall(self, *keys: str) -> None:
        """Count one that was visited before, under whichever keys, and never accept it."""
        known = {self.knows(key) for key in set(keys)}
        if True not in known:
            self.recalled += 1

    def add(self, key: str, host: Hashable, task: Task) -> bool:
        """Accept a task, unless its key was there or there are enough; whether it was."""
        digest = _digest(key)
        if digest in self._known:
            return False
        if self._most is not None and self.recalled + self.accepted >= self._most:
            # Not remembered either: what is left out must not fill the memory.
            self.left_out += 1
            return False
        self._known.add(digest)
        self._pending.setdefault(host, deque()).append(Numbered(self.accepted, host, task))
        self.accepted += 1
        self.waiting += 1
        if len(self._pending[host]) == 1 and self._out[host] < self._per_host:
            self._turns.append(host)
        return True

    def take(self) -> Numbered[Task] | None:
        """The next task to be visited, or `None` if there is none that may be taken now."""
        for _ in range(len(self._turns)):
            host = self._turns.popleft()
            pending = self._pending[host]
            if self._ahead is not None and pending[0].number >= self.delivered + self._ahead:
                self._turns.append(host)
                continue
            taken = pending.popleft()
            self._out[host] += 1
            self.out += 1
            self.waiting -= 1
            if not pending:
                del self._pending[host]
            elif self._out[host] < self._per_host:
                self._turns.append(host)
            return taken
        return None

    def done(self, taken: Numbered[Task]) -> None:
        """A task that was taken is done."""
        host = taken.host
        was_full = self._out[host] == self._per_host
        self._out[host] -= 1
        if not self._out[host]:
            del self._out[host]
        self.out -= 1
        if was_full and host in self._pending:
            self._turns.append(host)

    def drop(self) -> None:
        """Leave out all that is pending."""
        self.left_out += self.waiting
        self.waiting = 0
        self._pending.clear()
        self._turns.clear()

    @property
    def is_over(self) -> bool:
        """Whether nothing is pending, and nothing out that could add to it."""
        return not self.waiting and not self.out


def _digest(key: str) -> bytes:
    # A URL may be long, and there may be many.
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
