"""One accepted connection: its socket, and the record that tests read.

Rule 1: the connection's own thread reads, writes and closes. Others only `interrupt`, which wakes
    it wherever it waits.
Rule 2: whoever ends a connection is written down once; the first cause wins.
Rule 3: no wait goes on after the client has gone or the server stops.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.wire import Request

Party = Literal["client", "server"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_HUNG_UP: Final = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
_EVENT_SLICE: Final = 0.01  # seconds: an Event and a socket can't be waited for in one call


@dataclass
class ConnectionRecord:
    """What became of one accepted connection. Times are `time.monotonic()`, in seconds."""

    number: int
    """Which connection of the server's life this is, from 1."""
    accepted_at: float
    handshaken: bool = False
    """Whether a TLS handshake was completed."""
    bytes_received: int = 0
    """Bytes that the server read, after decryption; bytes it left unread don't count."""
    requests: int = 0
    """Requests read completely."""
    closed_by: Party | None = None
    """Known before the client can see that the server closed."""
    closed_at: float | None = None
    """Known once the server's socket is closed."""
    error: Exception | None = None
    """What broke it: a failed handshake, a reset, a request that is malformed or cut short."""


class Channel:
    """The live side of a connection."""

    def __init__(
        self,
        sock: socket.socket,
        record: ConnectionRecord,
        changed: Callable[[], None],
    ) -> None:
        """Own `sock`; write to `record`, and call `changed` after each change."""
        self.record: Final = record
        self._sock = sock
        self._changed = changed
        self._ahead = b""
        self._attached: list[socket.socket] = []
        self._lock = threading.Lock()  # between closing a socket and another thread's `interrupt`
        self._interrupted = False

    def ended(self) -> bool:
        """Whether the connection is over, whoever ended it."""
        return self.record.closed_by is not None

    @property
    def gone(self) -> Party:
        """Who must have ended the connection, given that it ended without our doing."""
        return "server" if self._interrupted else "client"

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands.

        Raises:
            OSError: the handshake failed.
        """
        with self._lock:
            # Wrapping moves the descriptor into a new object, which `interrupt` has to find.
            self._sock = context.wrap_socket(
                self._sock, server_side=True, do_handshake_on_connect=False
            )
        assert isinstance(self._sock, ssl.SSLSocket)
        self._sock.do_handshake()
        self.record.handshaken = True
        self._changed()

    @property
    def client_cert(self) -> dict[str, object] | None:
        """The certificate that the client proved in the handshake."""
        if not isinstance(self._sock, ssl.SSLSocket):
            return None
        return dict(self._sock.getpeercert() or {}) or None

    def await_bytes(self) -> bool:
        """Wait for a first byte, which counts as unread until `receive`; `False` if none comes."""
        if not self._ahead:
            # Whether bytes of TLS are a request's or a good-bye shows only when they are decrypted.
            self._ahead = self._sock.recv(65536)
        return bool(self._ahead)

    def receive(self) -> bytes:
        """Read what is there, waiting for the first byte; `b""` when the client has closed."""
        self.await_bytes()
        data, self._ahead = self._ahead, b""
        if data:
            self.record.bytes_received += len(data)
            self._changed()
        return data

    def send(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: the client has gone, or the server stops.
        """
        self._sock.sendall(data)

    def fileno(self) -> int:
        """Give the descriptor, for polling."""
        return self._sock.fileno()

    def pending(self) -> bool:
        """Whether decrypted bytes wait that polling can't see."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def discard(self) -> None:
        """Read what is there, before any TLS, and count it nowhere."""
        socket.socket.recv(self._sock, 65536)

    def wait(self, *, until: threading.Event | None = None, seconds: float | None = None) -> bool:
        """Wait for the event or the time, whichever is first; neither: for ever.

        `False` as soon as the client has gone or the server stops.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while until is None or not until.is_set():
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            bounds = [left, None if until is None else _EVENT_SLICE]
            if self._poll_end(min((bound for bound in bounds if bound is not None), default=None)):
                self._end(self.gone)
                return False
        return True

    @contextmanager
    def attached(self, sock: socket.socket) -> Iterator[None]:
        """Let `interrupt` wake this thread from `sock` too; close it afterwards."""
        with self._lock:
            self._attached.append(sock)
            if self._interrupted:
                _shut(sock)
        try:
            yield
        finally:
            with self._lock:
                self._attached.remove(sock)
                sock.close()

    def interrupt(self) -> None:
        """End it from another thread: what its own thread waits in returns or fails."""
        with self._lock:
            self._interrupted = True
            for sock in (self._sock, *self._attached):
                _shut(sock)

    def finish(self, by: Party = "server", *, linger: bool = False, farewell: bool = True) -> None:
        """Close politely; with `linger` only after the client has; TLS says good-bye, or not.

        Without it, bytes that were left unread turn the closing into a reset, which takes what was
        sent last away from the client.
        """
        self._end(by)
        if farewell and isinstance(self._sock, ssl.SSLSocket) and self.record.handshaken:
            with suppress(OSError, ValueError):
                self._sock.settimeout(0)  # say good-bye, don't wait for the answer
                self._sock.unwrap()
        if linger:
            with suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_WR)
                self._sock.setblocking(True)  # noqa: FBT003 - the standard library's own signature
                while socket.socket.recv(self._sock, 65536):
                    pass
        self._close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self._end("server")
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._close()

    def abandon(self) -> None:
        """Drop the descriptors in a forked child; the connection is the parent's and stays open.

        No lock: the thread that held it at the fork does not exist here.
        """
        for sock in (self._sock, *self._attached):
            sock.close()

    def _poll_end(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), _HUNG_UP)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def _end(self, by: Party) -> None:
        if self.record.closed_by is None:
            self.record.closed_by = by
            self._changed()

    def _close(self) -> None:
        with self._lock:
            self._sock.close()
        if self.record.closed_at is None:
            self.record.closed_at = time.monotonic()
            self._changed()


@dataclass(frozen=True)
class Exchange:
    """What an action works on: the connection, the request if it was read by then, the restart."""

    channel: Channel
    request: Request | None
    restart: Callable[[], None]

    def read(self) -> Request:
        """Give the request, for actions that come after reading it."""
        assert self.request is not None, "this action comes after the request was read"
        return self.request


def _shut(sock: socket.socket) -> None:
    # An SSLSocket's own method would take its TLS state away from the thread that reads.
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
