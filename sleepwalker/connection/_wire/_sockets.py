"""One connection: connecting, sending, its age, and a clean fork."""

from __future__ import annotations

import errno
import os
import random
import ssl
import weakref
from contextlib import suppress
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER

from sleepwalker.connection import _forks
from sleepwalker.resilience.clock import SYSTEM

from ._answer import Answer
from ._watch import here

IDLE = 30.0
"""Seconds after which an idle socket is not used again."""
AGE = 300.0
"""Seconds that a socket is used, give or take `AGE_JITTER`."""
AGE_JITTER = 0.1
"""So that sockets opened together are not all renewed together."""
REPLACED = ("Accept-Encoding", "User-Agent")
"""The headers that lower layers put there when the request has none."""


class _Socket:
    """What our connections add to urllib3's (a mixin): facts, age, and a clean fork."""

    response_class: Any = Answer
    sock: Any
    _connecting = False
    _opened = 0.0
    _used = 0.0
    _lifetime = AGE

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False
        _sockets.add(self.sock)
        self._opened = self._used = SYSTEM.monotonic()
        # Not for secrecy: spreads the renewals.
        self._lifetime = AGE * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311 - no secret is made of it

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **kw: Any
    ) -> None:
        # A default that the caller took away is not replaced by one of urllib3's own.
        present = {name.lower() for name in headers or ()}
        skipped = {name: SKIP_HEADER for name in REPLACED if name.lower() not in present}
        if skipped:
            headers = {**(headers or {}), **skipped}
        super().request(method, url, body, headers, **kw)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        # What `connect` sends (a proxy's CONNECT) is not the request yet.
        if not self._connecting:
            if self.sock is None:
                # What http.client would do within `send`; done first, so that a failure to
                # connect is no failure to send.
                self.connect()
            watch = here.watch
            if watch is not None:
                watch.exchange.sent = True
        super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        sock, watch = self.sock, here.watch
        try:
            response = super().getresponse()  # type: ignore[misc]
        except Exception:
            raise
        except BaseException:
            # An interrupt may come where http.client has made a file of the socket already and
            # would not close it: `close` would only wait for that file.
            with suppress(OSError):
                os.close(sock.detach())
            raise
        if watch is not None and watch.body_timeout is not None:
            sock.settimeout(watch.body_timeout)
        self._used = SYSTEM.monotonic()
        return response

    @property
    def is_stale(self) -> bool:
        """Whether it is too old, or was idle for too long, to be used again."""
        now = SYSTEM.monotonic()
        return now - self._used >= IDLE or now - self._opened >= self._lifetime

    @property
    def is_connected(self) -> bool:
        connected: bool = super().is_connected  # type: ignore[misc]
        return connected and not self.is_stale


class PlainSocket(_Socket, HTTPConnection):
    pass


class TLSSocket(_Socket, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.version() is None:
            # The peer was gone before the handshake, upon which `ssl` leaves it out and says
            # nothing: no byte of ours goes through such a socket.
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


_sockets: weakref.WeakSet[Any] = weakref.WeakSet()
"""The sockets themselves: an answer under way keeps one that its connection has let go of."""


def _drop_parents_sockets() -> None:
    """In a child: put the empty device in the place of the parent's sockets.

    Nothing can be read or written through them then. Their numbers stay taken until they are
    closed: TLS goes on using the number, which must not be that of a new socket of the child's.
    """
    empty = os.open(os.devnull, os.O_RDWR)
    try:
        for sock in _forks.listed(_sockets):
            number = sock.fileno()
            if number >= 0:
                os.dup2(empty, number, inheritable=False)
    finally:
        os.close(empty)


_forks.first(_drop_parents_sockets)
