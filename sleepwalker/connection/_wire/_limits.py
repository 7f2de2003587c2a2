"""What a server can make us take in before a body: lines, headers, trailers, each bounded."""

from __future__ import annotations

import http.client
import re
from typing import TYPE_CHECKING, Any

import urllib3.exceptions

if TYPE_CHECKING:
    from sleepwalker.resilience.policy import ResponseLimits

LINE = 2**16
"""Bytes that one line may have (http.client's own bound)."""
SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
"""The line before a chunk. Lower layers take all that Python takes for a number: at ``-1`` they
would read for ever, and with ``1_0`` other readers of the same stream may see other chunks."""
EMPTY = frozenset({b"\r\n", b"\n"})
"""The lines that end headers."""


class TooMuch(urllib3.exceptions.HTTPError, http.client.HTTPException):
    """A server sent more than may be taken in; the text says what, and which setting bounds it."""


class Lines:
    """A stream of which the last line that was read is known, and all lines are bounded.

    :param limits: `None`: only as http.client bounds them
    """

    def __init__(self, stream: Any, limits: ResponseLimits | None) -> None:
        self._stream = stream
        self.last: bytes = b"?"
        self._limits = limits
        self._bytes = 0
        self._headers = -1
        self._again: list[bytes] = []

    def give_back(self, lines: list[bytes]) -> None:
        """Have lines that were read be read again."""
        self._again = lines[::-1]

    def readline(self, limit: int = -1) -> bytes:
        if self._again:
            line = self._again.pop()
            if LINE < len(line) < limit and not line.endswith(b"\n"):
                # Somebody lets http.client take longer lines than by itself: here is the rest.
                rest: bytes = self._stream.readline(limit - len(line))
                self._count(len(rest))
                line += rest
        else:
            line = self._stream.readline(limit)
            # The line behind an empty one is the status line of the next answer.
            self._headers = -1 if line in EMPTY else self._headers + 1
            self._count(len(line))
        self.last = line
        return line

    def _count(self, size: int) -> None:
        """Count bytes that came, once each.

        :raises TooMuch: when it is too much, or too many headers
        """
        limits = self._limits
        if limits is None:
            return
        self._bytes += size
        if limits.header_bytes is not None and self._bytes > limits.header_bytes:
            raise too_many_bytes(limits)
        if self._headers > limits.headers:
            msg = f"more than {limits.headers} headers (ResponseLimits(headers=...))"
            raise TooMuch(msg)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Chunks:
    """The stream of a chunked body: its lines (sizes of chunks, trailers) are checked and bounded.

    :param limits: `None`: only as http.client bounds them
    """

    def __init__(self, stream: Any, limits: ResponseLimits | None) -> None:
        self._stream = stream
        self._most = limits.header_bytes if limits is not None else None
        self._limits = limits
        self._bytes = 0
        self._last = False
        """Whether the last chunk has come: what follows are trailers."""

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._stream.readline(LINE + 1 if limit < 0 else min(limit, LINE + 1))
        self._bytes += len(line)
        if len(line) > LINE:
            msg = f"a line of more than {LINE} bytes"
            raise TooMuch(msg)
        if self._limits is not None and self._most is not None and self._bytes > self._most:
            raise too_many_bytes(self._limits)
        if not self._last and line.endswith(b"\n"):
            size = SIZE.fullmatch(line)
            if size is None:
                msg = "the size of a chunk is no number"
                raise http.client.HTTPException(msg)
            self._last = not size[1].strip(b"0")
        return line

    def read(self, amt: int = -1) -> Any:
        # A chunk lies between: only trailers are lines without end.
        self._bytes = 0
        return self._stream.read(amt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def too_many_bytes(limits: ResponseLimits) -> TooMuch:
    """What is raised for headers, or trailers, that are too long together."""
    most = limits.header_bytes
    return TooMuch(f"more than {most} bytes of headers (ResponseLimits(header_bytes=...))")
