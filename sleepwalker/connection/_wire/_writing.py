"""Writing under a clock, and with an eye on an answer that comes before everything is written.

Rules:

1. A write may take what is left at its beginning; it is over when some of the bytes are taken.
2. A server may answer and stop reading. When it takes no more and its final answer has begun, the
   rest is not sent; interim answers (1xx) and what TLS says for itself are no reason to stop.
"""

from __future__ import annotations

import errno
import selectors
import ssl
from typing import TYPE_CHECKING, Any, Final

from ._pacing import TIMED_OUT, remaining

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

SLICE: Final = 64 * 1024
"""Bytes that are offered to the socket at once."""
AHEAD: Final = 64 * 1024
"""Bytes of answers that are read while writing stalls; with more, it is time to read them."""
STATUS: Final = len(b"HTTP/1.1 2")
"""Bytes that it takes to tell an interim answer from a final one."""

GONE: Final = (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""By what a socket says that the peer has gone; TLS says it in words of its own."""
_Selector: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Writer:
    """Writes one request to a socket.

    :param seconds: what the next write may take
    :ivar ahead: what the server has answered meanwhile
    """

    __slots__ = ("_seconds", "_sock", "ahead")

    def __init__(self, sock: socket.socket, seconds: Callable[[], float]) -> None:
        self._sock = sock
        self._seconds = seconds
        self.ahead = b""

    def write(self, data: Any) -> None:
        """Write all of it.

        :raises TimeoutError: when the server takes nothing for too long
        :raises OSError: when it takes no more; (`BrokenPipeError`) and has answered
        """
        rest = memoryview(data).cast("B")
        if self._sock.gettimeout() != 0:
            self._sock.settimeout(0)
        while rest:
            rest = rest[self._write_some(rest[:SLICE]) :]

    def _write_some(self, part: memoryview) -> int:
        while True:
            try:
                return self._sock.send(part)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(selectors.EVENT_READ | selectors.EVENT_WRITE)
            except ssl.SSLWantReadError:
                # TLS has something to settle before.
                self._wait(selectors.EVENT_READ)

    def _wait(self, events: int) -> None:
        """Wait until writing may go on."""
        with _Selector() as selector:
            selector.register(self._sock, events)
            while True:
                # What comes in is a sign of life too: after it, a read timeout begins anew.
                ready = selector.select(remaining(self._seconds()))
                if not ready:
                    raise TimeoutError(TIMED_OUT)
                if ready[0][1] & selectors.EVENT_WRITE or not events & selectors.EVENT_WRITE:
                    return
                if self._has_answered():
                    raise BrokenPipeError(errno.EPIPE, "the server has answered already")

    def _has_answered(self) -> bool:
        """Read what is there: whether a final answer begins in it, or it is the end."""
        try:
            data = self._sock.recv(AHEAD)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # TLS for itself: a session ticket.
            return False
        self.ahead += data
        return not data or len(self.ahead) >= AHEAD or _is_final(self.ahead)


def _is_final(answers: bytes) -> bool:
    """Whether an answer begins here that is none of the interim ones (1xx)."""
    while answers[:STATUS].startswith(b"HTTP/1.") and answers[STATUS - 1 : STATUS] == b"1":
        _, _, answers = answers.partition(b"\r\n\r\n")
    return len(answers) >= STATUS
