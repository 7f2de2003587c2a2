"""Reading under a clock: each read of a socket may take what is left at its beginning.

A socket has one timeout, for each operation anew; under it alone a server that sends a byte now and
then is never late. CPython counts an operation's own time through, TLS included.
"""

from __future__ import annotations

import http.client
import io
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST = 1e-6
"""Seconds: the shortest timeout of a socket; at none at all it would not wait, nor time out."""
TIMED_OUT = "timed out"
"""What sockets say."""


def remaining(seconds: float) -> float:
    """The seconds that are left.

    :raises TimeoutError: when there are none
    """
    if seconds <= 0:
        raise TimeoutError(TIMED_OUT)
    return seconds


def allow(sock: Any, seconds: float) -> None:
    """Let the next operation on a socket take so many seconds.

    :raises TimeoutError: when there are none left
    """
    if sock.gettimeout() != remaining(seconds):
        sock.settimeout(seconds)


def _is_cut(error: ssl.SSLError) -> bool:
    """Whether the connection is at its end, without a good-bye of TLS.

    Python before 3.11.4 has no class of its own for that with OpenSSL 3.
    """
    return isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"


class _Raw(io.RawIOBase):
    """The bytes of a socket, behind those that were read ahead."""

    def __init__(
        self,
        sock: Any,
        seconds: Callable[[], float],
        ahead: bytes,
        trouble: Exception | None,
        *,
        goes_on: bool,
    ) -> None:
        self._sock = sock
        self._seconds = seconds
        self._ahead = memoryview(ahead)
        self._trouble = trouble
        self._goes_on = goes_on
        self._read = 0
        self._to_farewell = False
        # It counts in the socket, which is closed for good when this is.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        number: int = self._raw.fileno()
        return number

    def readinto(self, buffer: Any) -> int | None:
        if self._ahead:
            part = self._ahead[: len(buffer)]
            self._ahead = self._ahead[len(part) :]
            buffer[: len(part)] = part
            self._read += len(part)
            return len(part)
        try:
            if self._trouble is not None:
                trouble, self._trouble = self._trouble, None
                raise trouble
            allow(self._sock, self._seconds())
            count: int | None = self._raw.readinto(buffer)
        except ssl.SSLError as error:
            if not _is_cut(error):
                raise
            if not self._to_farewell:
                # As `ssl` has it by itself, but for what those versions of Python raise.
                return 0
            cut = http.client.IncompleteRead(b"")
        else:
            self._read += count or 0
            return count
        raise cut

    def lasts_until_farewell(self) -> None:
        """What is read from here on is whole only when TLS says that it is at its end."""
        self._to_farewell = isinstance(self._sock, ssl.SSLSocket)
        if self._to_farewell:
            self._sock.suppress_ragged_eofs = False

    def tell(self) -> int:
        """How many bytes were read."""
        return self._read

    def close(self) -> None:
        if not self.closed:
            if self._goes_on:
                with suppress(OSError):
                    self._sock.settimeout(max(self._seconds(), LEAST))
            self._raw.close()
        super().close()


class Reader(io.BufferedReader):
    """The stream that an answer is read from.

    :param left: is told when it is closed with something left in it that was read ahead
    """

    def __init__(self, raw: _Raw, left: Callable[[], object] | None) -> None:
        super().__init__(raw)
        self._source = raw
        self._left = left

    def lasts_until_farewell(self) -> None:
        """As the raw stream's."""
        self._source.lasts_until_farewell()

    def close(self) -> None:
        left, self._left = self._left, None
        if left is not None and not self.closed and self.tell() < self._source.tell():
            left()
        super().close()


class Paced:
    """A socket as http.client wants one to read from.

    :param seconds: what the next read may take
    :param ahead: what was read of it already
    :param trouble: what went wrong when more was to be read
    :param goes_on: whether, once this is read, the socket goes on to something that has what is
        left then (to the handshake behind a CONNECT)
    :param left: is told when something is left over behind the answer
    """

    __slots__ = ("_ahead", "_goes_on", "_left", "_seconds", "_sock", "_trouble")

    def __init__(
        self,
        sock: Any,
        seconds: Callable[[], float],
        ahead: bytes = b"",
        trouble: Exception | None = None,
        *,
        goes_on: bool = False,
        left: Callable[[], object] | None = None,
    ) -> None:
        self._left = left
        self._sock = sock
        self._seconds = seconds
        self._ahead = ahead
        self._trouble = trouble
        self._goes_on = goes_on

    def makefile(self, mode: str) -> Reader:
        """The stream that is read from; its mode is ``rb``, as http.client's is."""
        assert mode == "rb"  # noqa: S101 - nobody else calls this
        raw = _Raw(self._sock, self._seconds, self._ahead, self._trouble, goes_on=self._goes_on)
        return Reader(raw, self._left)
