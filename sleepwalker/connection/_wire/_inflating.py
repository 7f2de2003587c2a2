"""Undoes gzip and deflate: in small pieces, in time, and only to the end.

Rules:

1. Nothing is decompressed before it is asked for, and no more than `PIECE` bytes at once.
2. What lacks its end is no body: the codings know where they end, whatever the length says.
3. Behind gzip's end may come more gzip, or padding, which counts for nothing.

urllib3 takes what there is for the whole (and before 2.6 decompresses it at once).
"""

from __future__ import annotations

import http.client
import io
import zlib
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import DecodeError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

GZIP = frozenset({"gzip", "x-gzip"})
INFLATED = GZIP | {"deflate"}
"""The codings that are undone here."""
PIECE = 2**16
"""Bytes that come out at once, at most."""


class _Inflater:
    """One coding, undone.

    :ivar whole: whether what was begun has ended
    """

    def __init__(self, coding: str) -> None:
        self.whole = True
        self._coding = coding
        self._zlib = self._new()
        self._made = False
        """Whether anything has come out of what is under way."""
        self._doubtful: bytes | None = b"" if coding == "deflate" else None
        """What went in while it may be deflate without the header that it should have."""
        self._members = 0
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What comes out of some more.

        :raises DecodeError: when it is not of the coding
        """
        full = False
        while (data or full) and not self._over:
            self.whole = False
            try:
                made = self._zlib.decompress(data, PIECE)
            except zlib.error as error:
                data = self._otherwise(data, error)
                continue
            if made:
                self._made, self._doubtful = True, None
                yield made
            elif self._doubtful is not None:
                self._doubtful += data
            full = len(made) == PIECE
            data = self._zlib.unconsumed_tail
            if self._zlib.eof:
                data, full = self._zlib.unused_data, False
                self._end(more=bool(data))

    def _end(self, *, more: bool) -> None:
        self.whole = True
        self._members += 1
        if self._coding not in GZIP:
            self._over = True
        elif more:
            self._zlib, self._made = self._new(), False

    def _otherwise(self, data: bytes, error: zlib.error) -> bytes:
        """What to go on with where this was not what it should be."""
        if self._doubtful is not None:
            data, self._doubtful = self._doubtful + data, None
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            return data
        if not self._members or self._made:
            msg = f"can't be decoded as {self._coding}"
            raise DecodeError(msg, error) from error
        self._over = self.whole = True
        return b""

    def _new(self) -> Any:
        return zlib.decompressobj(zlib.MAX_WBITS + (16 if self._coding in GZIP else 0))


def inflate(pieces: Iterable[bytes], coding: str, in_time: Callable[[], object]) -> Iterator[bytes]:
    """A body whose outermost coding is undone.

    :param in_time: raises when there is no time left
    :raises DecodeError: when it is not of the coding
    :raises ProtocolError: from `IncompleteRead`, when its end is missing
    """
    inflater = _Inflater(coding)
    for piece in pieces:
        for made in inflater.feed(piece):
            yield made
            in_time()
    if not inflater.whole:
        msg = f"the end of {coding} is missing"
        raise ProtocolError(msg) from http.client.IncompleteRead(b"")


class Stream(io.RawIOBase):
    """A stream of pieces.

    :param came: is told how many bytes a piece has, and may raise
    """

    def __init__(self, pieces: Iterator[bytes], came: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._came = came
        self._ahead = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._ahead:
            piece = next(self._pieces, b"")
            self._came(len(piece))
            self._ahead = memoryview(piece)
        part = self._ahead[: len(buffer)]
        self._ahead = self._ahead[len(part) :]
        buffer[: len(part)] = part
        return len(part)
