"""Doing one thing after the other, where threads, signal handlers and forks come in between.

Rules:

1. Only one is done at a time. What a signal handler wants done in the middle of another of its own
   thread is done behind that one: the locks of lower layers are not re-entrant.
2. A fork waits until nothing is under way, so that no child inherits such a lock, held by a thread
   that it doesn't have.
3. A lock under which things are made once for the process is a new one in a child (`ModuleLock`).
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class ModuleLock:
    """A re-entrant lock that a module has for its life; in a forked child it is held by nobody."""

    def __init__(self) -> None:
        self.renew()
        _module_locks.append(self)

    def renew(self) -> None:
        """After a fork, in the child."""
        self._lock = threading.RLock()

    def acquire(self) -> None:
        """Take it, once nobody else has it."""
        self._lock.acquire()

    def release(self) -> None:
        """Give it back."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class InTurn:
    """Does what it is given.

    :param after: done whenever something was
    :param renewed: done in a child after a fork
    """

    def __init__(
        self,
        *,
        after: Callable[[], object] | None = None,
        renewed: Callable[[], object] | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[Callable[[], object]] = deque()
        self._at_it = False
        self._after = after
        self._renewed = renewed
        _all.add(self)

    def do(self, what: Callable[..., object], *given: Any) -> None:
        """Do it, or have it done by who is at it in this thread.

        :param given: what it is called with
        """
        with self._lock:
            if self._at_it:
                self._waiting.append(functools.partial(what, *given))
                return
            self._at_it = True
            try:
                if self._waiting:
                    self._waiting.append(functools.partial(what, *given))
                else:
                    what(*given)
                while self._waiting:
                    self._waiting.popleft()()
                if self._after is not None:
                    self._after()
            finally:
                self._at_it = False

    def later(self, what: Callable[[], object]) -> None:
        """Have it done before what is done next."""
        self._waiting.append(what)

    def hold(self) -> None:
        """Let nobody be at it, until `release`."""
        self._lock.acquire()

    def release(self) -> None:
        """Undo `hold`."""
        self._lock.release()

    def renew(self) -> None:
        """After a fork, in the child."""
        self._lock = threading.RLock()
        self._waiting.clear()
        self._at_it = False
        if self._renewed is not None:
            self._renewed()


_module_locks: list[ModuleLock] = []
_forking = ModuleLock()
_all: weakref.WeakSet[InTurn] = weakref.WeakSet()
_held: list[InTurn] = []


def _before_fork() -> None:
    # One fork at a time: the list is one for all.
    _forking.acquire()
    while True:
        try:
            _held[:] = list(_all)
            break
        except RuntimeError:  # another thread has just made one
            continue
    for each in _held:
        each.hold()


def _after_fork_in_parent() -> None:
    for each in _held:
        each.release()
    _held.clear()
    _forking.release()


def _after_fork_in_child() -> None:
    for lock in _module_locks:
        lock.renew()
    for each in _held:
        each.renew()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
