"""Which addresses a host has, and how long each may be tried.

Rules:

1. Resolution takes as long as the operating system likes, and can't be interrupted: it runs in a
   thread of its own, which is left behind when its time is over. No name has more than `AT_ONCE` of
   them: who comes then waits, within its own time, for one to end.
2. No address takes the time of those behind it.
3. Whoever put other functions in the place of `socket.getaddrinfo` or of urllib3's
   `create_connection` and `allowed_gai_family` is asked as before.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from urllib3.util import connection as _urllib3

from sleepwalker.connection import _forks
from sleepwalker.resilience.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Sequence

AT_ONCE: Final = 16
"""How many resolutions of one name may be under way: a resolver that stalls is asked by no more."""
LATE: Final = "the host name was not resolved in time"
"""What is said when its time is over."""
LEAST_SHARE: Final = 0.1
"""Seconds that an address gets, however many there are: a few packets must get there and back."""


class Address(NamedTuple):
    """Where to connect to; the host is an address, or a name that is left to urllib3."""

    host: str
    port: int


def addresses(name: str, port: int, seconds: float, *, always: bool = False) -> Sequence[Address]:
    """Where to connect to for a host, in the order in which to try.

    :param name: the host as it stands in the URL, or the proxy's
    :param seconds: how long it may take
    :param always: whether also what looks like an address is resolved, and nothing left to urllib3
    :raises OSError: (`socket.gaierror`) when it can't be resolved; (`TimeoutError`) not in time
    """
    if not always and _is_left_to_urllib3(name):
        return [Address(name, port)]
    found = _Lookup(name, port).result(seconds)
    # Each once, in the operating system's order.
    return list(dict.fromkeys(_address(sockaddr) for *_, sockaddr in found))


def share(seconds: float, count: int) -> float:
    """How much of the time that is left the next of so many addresses may take."""
    return min(max(seconds / count, LEAST_SHARE), seconds)


def _is_left_to_urllib3(name: str) -> bool:
    if getattr(_urllib3.create_connection, "__globals__", None) is not vars(_urllib3):
        # Somebody's own, whenever it was put there, which wants names.
        return True
    try:
        name.encode("idna")
    except UnicodeError:
        # It has the error for this.
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _address(sockaddr: tuple[Any, ...]) -> Address:
    host, port, *rest = sockaddr
    if len(rest) == 2 and rest[1]:
        # Link-local addresses of IPv6 are nothing without their interface.
        host = f"{host}%{rest[1]}"
    return Address(host, port)


class _Places:
    """How many resolutions of each name are under way."""

    def __init__(self) -> None:
        self._renew_in_child()
        _forks.enlist(self)

    def take(self, name: str, seconds: float) -> bool:
        """Take a place, once one is free: whether one was, within so many seconds."""
        with self._changed:
            free = self._changed.wait_for(lambda: self._taken[name] < AT_ONCE, max(seconds, 0))
            if free:
                self._taken[name] += 1
            return free

    def give_back(self, name: str) -> None:
        """Give back a place."""
        with self._changed:
            if self._taken[name] > 1:
                self._taken[name] -= 1
            else:
                self._taken.pop(name, None)
            self._changed.notify_all()

    def _renew_in_child(self) -> None:
        # The parent's threads, which would give theirs back, are not in it. Reentrant, for a
        # signal handler's call in the middle of one.
        self._changed = threading.Condition(threading.RLock())
        self._taken: Counter[str] = Counter()


_places = _Places()


class _Lookup:
    """One resolution, in a thread of its own."""

    def __init__(self, name: str, port: int) -> None:
        self._question = (name, port, _urllib3.allowed_gai_family(), socket.SOCK_STREAM)
        self._answer: list[tuple[Any, ...]] = []
        self._error: BaseException | None = None
        self._done = threading.Event()

    def _run(self) -> None:
        try:
            self._answer = socket.getaddrinfo(*self._question)
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
            self._error = error
        finally:
            self._done.set()
            _places.give_back(self._question[0])

    def result(self, seconds: float) -> list[tuple[Any, ...]]:
        """What was found.

        :raises OSError: as `addresses` says
        """
        until = SYSTEM.monotonic() + seconds
        if not _places.take(self._question[0], seconds):
            raise TimeoutError(LATE)
        try:
            threading.Thread(target=self._run, name="sleepwalker-resolve", daemon=True).start()
        except RuntimeError:
            # No more threads, or the interpreter is ending: better late than not at all.
            self._run()
        if not self._done.wait(max(until - SYSTEM.monotonic(), 0)):
            raise TimeoutError(LATE)
        if self._error is not None:
            try:
                raise self._error
            finally:
                # No cycle through its traceback.
                self._error = None
        if not self._answer:
            msg = "the host name has no address"
            raise OSError(msg)
        return self._answer
