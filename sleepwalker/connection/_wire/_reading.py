"""Reading an answer at once, where there is nothing to wonder about in it.

Any other is left to http.client and to `_answer`, with what was read so far: they know what to make
of interim answers, of a body that ends with the connection, of trailers, and of what is broken.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from urllib3.exceptions import DecodeError, ProtocolError

from ._fields import Fields
from ._inflating import INFLATED, inflate
from ._limits import LINE
from ._pacing import allow, remaining

if TYPE_CHECKING:
    from sleepwalker.resilience.policy import ResponseLimits

    from ._watch import Watch

CHUNK = 2**16
"""Bytes that are asked of a socket at once."""
LARGE = 2**20
"""Bytes: a longer body is left to those who read it in pieces."""
USUAL = 64
"""Headers, of which there are rarely more."""
END = b"\r\n\r\n"
STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9]{2}) ([!-~][ -~]*)?\r\n")
HEADERS = re.compile(
    r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*(?:[!-~\x80-\xff][ -~\t\x80-\xff]*)?\r\n)*"
)
LENGTH = re.compile(r"[0-9]{1,7}")
SIZE = re.compile(rb"([0-9A-Fa-f]{1,6})\r\n")
"""A status line, headers, a body's length and a chunk's in which there is nothing unusual."""
SIZE_LINE = 8
"""Bytes that a line before a chunk has, at most, where there is nothing unusual in it."""
WITHOUT_BODY = frozenset({204, 304})


class Told(NamedTuple):
    """What became of a request that was to be made at once, and has to go on by the long way."""

    came: bytes = b""
    unwritten: Exception | None = None
    """What went wrong when it was written."""
    unread: Exception | None = None
    """What went wrong when more was to be read."""


class Head(NamedTuple):
    """A status line and headers of the usual kind."""

    status: int
    reason: str
    pairs: list[tuple[str, str]]
    """Names and values as they came."""
    headers: Fields
    """The same, those of one name together."""

    @property
    def closes(self) -> bool:
        """Whether the server takes no further request on this connection."""
        return "close" in self.headers.get("Connection", "").lower()


def understood(text: str) -> Head | None:
    """A head of the usual kind; `None` for any other.

    :param text: all of it, up to the end of the last header's line
    """
    status = STATUS.match(text)
    if status is None or HEADERS.fullmatch(text, status.end()) is None:
        return None
    lines = text[status.end() :].split("\r\n")
    lines.pop()
    pairs = []
    for line in lines:
        name, _, value = line.partition(":")
        pairs.append((name, value.lstrip(" \t")))
    reason = (status[2] or "").strip()
    return Head(int(status[1]), reason, pairs, Fields.received(pairs))


class Reading:
    """The answer to one request, being read.

    :param to_head: whether it answers a HEAD, and so has no body
    :ivar told: how far it came, if it is none of the usual kind or doesn't come whole
    """

    __slots__ = ("_came", "_end", "_limits", "_most", "_sock", "_to_head", "_trouble", "_watch")

    def __init__(self, sock: Any, watch: Watch, *, to_head: bool) -> None:
        self._sock, self._watch, self._to_head = sock, watch, to_head
        self._limits: ResponseLimits | None = watch.response_limits
        self._came = bytearray()
        self._trouble: Exception | None = None
        self._end = 0
        """Where what was understood ends."""
        self._most = LARGE
        """Bytes that the body may have."""
        if self._limits is not None and self._limits.body is not None:
            self._most = min(LARGE, self._limits.body)

    @property
    def told(self) -> Told:
        """How far it came."""
        return Told(bytes(self._came), unread=self._trouble)

    @property
    def has_more(self) -> bool:
        """Whether something lies behind the answer."""
        return len(self._came) > self._end

    def answer(self) -> tuple[Head, bytes] | None:
        """The answer; `None` when it is not usual, or doesn't come whole."""
        head = self._head()
        body = None if head is None else self._body(head)
        return None if head is None or body is None else (head, body)

    def _head(self) -> Head | None:
        limits = self._limits
        most = LINE if limits is None or limits.header_bytes is None else limits.header_bytes
        while (end := self._came.find(END)) < 0:
            if len(self._came) >= most or not self._read():
                return None
        self._end = end + len(END)
        head = understood(self._came[: end + 2].decode("latin-1")) if self._end <= most else None
        if head is None:
            return None
        headers = USUAL if limits is None else min(USUAL, limits.headers)
        return head if len(head.pairs) <= headers else None

    def _body(self, head: Head) -> bytes | None:
        headers = head.headers
        length, framing = headers.get("Content-Length"), headers.get("Transfer-Encoding")
        if self._to_head or head.status in WITHOUT_BODY:
            # Whoever says how long it would be, or how it would come, is to say it soundly.
            sound = length is None or LENGTH.fullmatch(length)
            return b"" if sound and framing is None else None
        if framing is None:
            body = self._counted(length)
        elif framing.lower() == "chunked" and length is None:
            body = self._in_chunks()
        else:
            return None
        coding = headers.get("Content-Encoding")
        return body if body is None or coding is None else self._undone(body, coding.lower())

    def _counted(self, length: str | None) -> bytes | None:
        """The body of so many bytes."""
        if length is None or not LENGTH.fullmatch(length) or int(length) > self._most:
            return None
        begin, end = self._end, self._end + int(length)
        while len(self._came) < end:
            if not self._read():
                return None
        self._end = end
        return bytes(self._came[begin:end])

    def _in_chunks(self) -> bytes | None:
        """The body behind whose last chunk there are no trailers."""
        parts: list[bytearray] = []
        total, end = 0, self._end
        while True:
            while (line := self._came.find(b"\r\n", end)) < 0:
                if len(self._came) - end > SIZE_LINE or not self._read():
                    return None
            said = SIZE.fullmatch(self._came, end, line + 2)
            if said is None:
                return None
            size = int(said[1], 16)
            begin, end = line + 2, line + 2 + size
            total += size
            while len(self._came) < end + 2:
                if total > self._most or not self._read():
                    return None
            if total > self._most or self._came[end : end + 2] != b"\r\n":
                return None
            end += 2
            if not size:
                self._end = end
                return b"".join(parts)
            parts.append(self._came[begin : begin + size])

    def _undone(self, body: bytes, coding: str) -> bytes | None:
        """The body without its content coding."""
        if coding not in INFLATED:
            return None
        parts, total = [], 0
        try:
            for part in inflate([body], coding, self._refuse_if_late):
                total += len(part)
                if total > self._most:
                    return None
                parts.append(part)
        except (DecodeError, ProtocolError, TimeoutError):
            # They come to the same, and say so.
            return None
        return b"".join(parts)

    def _refuse_if_late(self) -> None:
        remaining(self._watch.pace.to_read())

    def _read(self) -> bool:
        """Read some more; whether there was any."""
        try:
            allow(self._sock, self._watch.pace.to_read())
            data: bytes = self._sock.recv(CHUNK)
        except OSError as error:
            self._trouble = error
            return False
        self._came += data
        return bool(data)
