"""The idle connections of a host."""

from __future__ import annotations

import copy
import functools
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ReadTimeoutError

from sleepwalker.connection._body import as_announced
from sleepwalker.resilience.clock import SYSTEM

from ._sockets import PlainSocket, TLSSocket
from ._watch import here

if TYPE_CHECKING:
    from collections.abc import Callable


class _Idle:
    """The idle sockets of a pool, the one used last first; also for a signal handler in its midst.

    What urllib3 wants of a `queue.LifoQueue`, of which most is for those who wait: nobody does. Our
    pools don't block, and where none is idle another is made. So there are neither conditions,
    which are 4 KB, nor `None` in the place of sockets that are in use.
    """

    __slots__ = ("maxsize", "mutex", "queue")

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self.mutex = threading.RLock()
        self.queue: list[Any] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take a socket.

        :raises queue.Empty: when there is none
        """
        del block, timeout
        connection = self.take()
        if connection is None:
            raise queue.Empty
        return connection

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put a socket back.

        :param item: `None` for one that is there no more
        :raises queue.Full: when there are too many
        """
        del block, timeout
        if item is not None and not self.give_back(item):
            raise queue.Full

    def take(self) -> Any:
        """The connection that was used last, if there is one, or `None`."""
        with self.mutex:
            try:
                connection = self.queue.pop()
            except IndexError:
                return None
            if connection.open is not None:
                connection.open.active()
            return connection

    def give_back(self, connection: Any) -> bool:
        """Keep a connection, if there is room for it."""
        with self.mutex:
            if 0 < self.maxsize <= len(self.queue):
                return False
            # Before: once it is there, others may take it, and a handler's call close it.
            if (watch := here.watch) is not None:
                watch.leaves()
            if connection.open is not None:
                connection.open.idle()
            self.queue.append(connection)
            return True

    def qsize(self) -> int:
        """How many there are."""
        return len(self.queue)


class Held:
    """A connection on which a request is under way, in the place of a pool's idle ones.

    Nobody but that request can take it, and that request finds no other.

    :param origin: the pool that it comes from, and goes back to
    :ivar begun: when the request was begun, on the system's monotonic clock
    """

    def __init__(self, origin: Pool, connection: Any, begun: float) -> None:
        self.origin, self.begun = origin, begun
        self._connection = connection

    def pool(self) -> Pool:
        """A pool like the one that it comes from, which has no other connection."""
        made = copy.copy(self.origin)
        made.pool = self
        return made

    def get(self, *_: Any, **__: Any) -> Any:
        """The connection; once."""
        if self._connection is None:
            raise queue.Empty
        connection, self._connection = self._connection, None
        return connection

    def put(self, item: Any, *_: Any, **__: Any) -> None:
        """Give it back; `None` for one that was closed."""
        self.origin.give_back(item)

    def lose(self) -> None:
        """Close the connection, if nobody has taken it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self.put(None)


class Pool:
    """What our pools add to urllib3's (a mixin)."""

    pool: Any
    host: str
    port: int | None
    num_requests: int
    ConnectionCls: Any

    if TYPE_CHECKING:

        def close(self) -> None: ...

    def urlopen(
        self, method: str, url: str, body: Any = None, headers: Any = None, *args: Any, **kw: Any
    ) -> Any:
        watch = here.watch
        body = as_announced(body, headers, watch)
        begun = self.pool.begun if isinstance(self.pool, Held) else SYSTEM.monotonic()
        try:
            return super().urlopen(method, url, body, headers, *args, **kw)  # type: ignore[misc]
        except ReadTimeoutError:
            # The way may be lost in silence (a NAT that forgot, a host that is gone), and with it
            # that of every socket of which nothing was heard meanwhile: the next attempt is to
            # find out on a new one.
            idle = self.pool.origin if isinstance(self.pool, Held) else self
            idle._drop(lambda connection: connection.was_silent_since(begun))
            raise

    @functools.cached_property
    def host_line(self) -> str | None:
        """The header `Host` as http.client writes it; `None` if that isn't plain."""
        host = self.host.rstrip(".")
        if not host.isascii() or ":" in host:
            return None
        port = self.port or self.ConnectionCls.default_port
        return f"Host: {host}" + ("" if port == self.ConnectionCls.default_port else f":{port}")

    def take(self) -> Any:
        """A connection that stands, or `None`: one is to be made then."""
        idle = self.pool
        if not isinstance(idle, _Idle):
            return None
        connection = idle.take()
        if connection is not None and not (connection.is_usual and connection.is_connected):
            # urllib3 is to see to it.
            self.give_back(connection)
            return None
        return connection

    def give_back(self, connection: Any) -> None:
        """Keep a connection for the next request, or close it; `None` is the place of one."""
        idle = self.pool
        kept = connection is not None and isinstance(idle, _Idle) and idle.give_back(connection)
        if kept and self.pool is not idle:
            # Somebody has closed the pool meanwhile, and may have missed it.
            connection, kept = idle.take(), False
        if not kept and connection is not None:
            connection.close()

    def keep_idle(self, sockets: int) -> None:
        """Keep as many idle sockets, if it were fewer."""
        pool = self.pool
        if pool is not None and pool.maxsize < sockets:
            pool.maxsize = sockets

    def drop_stale(self) -> None:
        """Close the idle sockets that would not be used again."""
        self._drop(lambda connection: connection.is_stale)

    def _drop(self, unwanted: Callable[[Any], bool]) -> None:
        """Close some of the idle sockets."""
        pool = self.pool
        if pool is None:
            return
        stale = []
        with pool.mutex:
            for connection in list(pool.queue):
                if connection.sock is not None and unwanted(connection):
                    # Unless a signal handler's call has just taken it.
                    with suppress(ValueError):
                        pool.queue.remove(connection)
                        stale.append(connection)
        for connection in stale:
            connection.close()

    def renew(self) -> None:
        """In a child: a new, empty queue in the old one's place (urllib3's finalizer has it)."""
        pool = self.pool
        if pool is not None:
            for connection in list(pool.queue):
                connection.close()
            pool.__init__(pool.maxsize)


class PlainPool(Pool, HTTPConnectionPool):
    QueueCls = _Idle  # type: ignore[assignment] # of its methods those that are called
    ConnectionCls = PlainSocket


class TLSPool(Pool, HTTPSConnectionPool):
    QueueCls = _Idle  # type: ignore[assignment] # of its methods those that are called
    ConnectionCls = TLSSocket
