"""Cancelling calls that other threads are making: they end now, wherever they wait.

Rules:

1. A cancellation belongs to the context (thread or task) that entered it, as a deadline does.
2. What is waited for in the kernel is woken by shutting its socket: nobody has to poll.
3. What was cancelled is not sent again.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import CancelledError
from sleepwalker.resilience.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.resilience.clock import Clock


class Cancellation:
    """Ends the calls that are made under it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        # Re-entrant: a signal handler may cancel in the middle of it.
        self._lock = threading.RLock()
        self._sockets: dict[int, Any] = {}

    @property
    def cancelled(self) -> bool:
        """Whether it was."""
        return self._event.is_set()

    def cancel(self) -> None:
        """End the calls under it, and refuse further ones."""
        self._event.set()
        with self._lock:
            sockets, self._sockets = list(self._sockets.values()), {}
        for sock in sockets:
            _shut(sock)

    def uses(self, owner: object, sock: Any) -> None:
        """Remember the one socket that an owner waits at."""
        with self._lock:
            cancelled = self._event.is_set()
            if not cancelled:
                self._sockets[id(owner)] = sock
        if cancelled:
            _shut(sock)

    def let_go(self, owner: object) -> None:
        """Forget the socket of an owner."""
        with self._lock:
            self._sockets.pop(id(owner), None)

    def refuse(self, what: str) -> None:
        """Raise when it was cancelled.

        :raises CancelledError: then
        """
        if self._event.is_set():
            msg = f"{what}: cancelled"
            raise CancelledError(msg)

    def sleep(self, seconds: float, clock: Clock, what: str) -> None:
        """Wait so many seconds, or until it is cancelled.

        :raises CancelledError: when it was
        """
        if clock is SYSTEM:
            self._event.wait(seconds)
        else:
            clock.sleep(seconds)
        self.refuse(what)


def _shut(sock: Any) -> None:
    """Let whoever waits at a socket find it at its end."""
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
