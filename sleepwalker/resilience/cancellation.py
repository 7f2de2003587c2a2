"""Cancelling calls that other threads are making: they end now, wherever they wait.

Rules:

1. A cancellation belongs to the context (thread or task) that entered it, as a deadline does.
2. What is waited for in the kernel is woken by shutting its socket: nobody has to poll. A socket
   that was let go is not shut any more: it may be another call's by then.
3. What was cancelled is not sent again.
4. A child made by fork has the sockets in common with its parent, and shuts none of them.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.exceptions import CancelledError
from sleepwalker.resilience.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sleepwalker.resilience.clock import Clock


class Cancellation:
    """Ends the calls that are made under it."""

    def __init__(self) -> None:
        self._cancelled = False
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._wakes: SimpleQueue[None] = SimpleQueue()
        """Whoever sleeps is woken by what is put here, and puts it back for the next."""
        if self._cancelled:
            self._wakes.put(None)
        # As the queue re-entrant: a signal handler, or the garbage collector, may cancel in the
        # middle of it.
        self._lock = threading.RLock()
        self._sockets: dict[int, Any] = {}

    @property
    def cancelled(self) -> bool:
        """Whether it was."""
        return self._cancelled

    def cancel(self) -> None:
        """End the calls under it, and refuse further ones."""
        self._renew_in_child()
        self._cancelled = True
        self._wakes.put(None)
        with self._lock:
            sockets, self._sockets = list(self._sockets.values()), {}
            # Within: who lets go of one of them meanwhile waits until it is shut.
            for sock in sockets:
                _shut(sock)

    def uses(self, owner: object, sock: Any) -> None:
        """Remember the one socket that an owner waits at."""
        self._renew_in_child()
        with self._lock:
            if self._cancelled:
                _shut(sock)
            else:
                self._sockets[id(owner)] = sock

    def wakes(self, owner: object, wake: Callable[[], object]) -> None:
        """Remember what ends the waiting of an owner that waits at no socket.

        :param wake: called at most once, by whoever cancels; it must not wait itself
        """
        self._renew_in_child()
        with self._lock:
            cancelled = self._cancelled
            if not cancelled:
                self._sockets[id(owner)] = _Wake(wake)
        if cancelled:
            wake()

    def let_go(self, owner: object) -> None:
        """Forget the socket of an owner, or what wakes it."""
        self._renew_in_child()
        with self._lock:
            self._sockets.pop(id(owner), None)

    def refuse(self, what: str) -> None:
        """Raise when it was cancelled.

        :raises CancelledError: then
        """
        if self._cancelled:
            msg = f"{what}: cancelled"
            raise CancelledError(msg)

    def sleep(self, seconds: float, clock: Clock, what: str) -> None:
        """Wait so many seconds, or until it is cancelled.

        :raises CancelledError: when it was
        """
        self._renew_in_child()
        if clock is SYSTEM:
            with suppress(Empty):
                self._wakes.put(self._wakes.get(timeout=max(seconds, 0.0)))
        else:
            clock.sleep(seconds)
        self.refuse(what)

    def _renew_in_child(self) -> None:
        if os.getpid() != self._pid:
            self._renew()


class _Wake(NamedTuple):
    """What wakes somebody who waits at no socket."""

    wake: Callable[[], object]


def _shut(sock: Any) -> None:
    """Let whoever waits at a socket find it at its end; or wake them."""
    if isinstance(sock, _Wake):
        sock.wake()
        return
    with suppress(OSError, TypeError, AttributeError, ValueError):
        # Past TLS, whose own way of shutting is not for other threads than the one that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


_ambient: ContextVar[Cancellation | None] = ContextVar("sleepwalker_cancellation", default=None)


def ambient() -> Cancellation | None:
    """The cancellation that this thread or task is under, or `None`."""
    return _ambient.get()


@contextmanager
def entered(cancellation: Cancellation) -> Iterator[None]:
    """Put the calls in a ``with`` block under a cancellation."""
    token = _ambient.set(cancellation)
    try:
        yield
    finally:
        _ambient.reset(token)
