"""The body of an answer, in the place of urllib3's response: bounded, and with errors of our tree.

Rules:

1. While the call is under way its errors go to the call as they are. When the call is over
   (`hand_over`) they come up as the call would have made them.
2. A body beyond the limit is not read on, and its connection is closed. What is decompressed at
   once is bounded: gzip and deflate are undone here (`_inflating`), and other codings by urllib3,
   which bounds it where it can (2.6 and later), and is fed small pieces else.
3. All that is not reading is urllib3's own: what is asked of this, or set on it, goes there.
"""

from __future__ import annotations

import functools
import inspect
import io
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

from urllib3.exceptions import DecodeError, ReadTimeoutError
from urllib3.response import ContentDecoder, MultiDecoder

from sleepwalker.observability.redaction import causes

from ._inflating import INFLATED, Stream, inflate
from ._limits import TooMuch
from ._pacing import TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._watch import Pace

BOUNDED = "max_length" in inspect.signature(ContentDecoder.decompress).parameters
"""Whether urllib3 decompresses no more than it is asked for."""
SMALL = 16
"""Bytes fed at once to a urllib3 that doesn't: what they become may be 100 000 times as long."""
CODINGS = 2
"""How many codings in a row are undone here, or by such a urllib3."""
CHUNK = 2**16
"""Bytes that are read at once when nobody says how many (urllib3's own figure)."""
READING = frozenset({"readinto", "readline", "readlines"})
"""The methods of urllib3's response by which a body can be read, beside those that are here."""


class Translate(Protocol):
    """Makes our error of one that came up from reading; `None`: it is none of the wire's."""

    def __call__(
        self, raised: Exception, outside: BaseException | None
    ) -> BaseException | None: ...


class Content:
    """The body of an answer.

    :param inner: urllib3's response
    :param limit: how many bytes may come, after decompression; `None`: any number
    :param pace: what bounds decompressing in time; `None`: nothing
    """

    # A dict too: `raw.read = functools.partial(raw.read, decode_content=True)` is a known idiom.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_came",
        "_codings",
        "_data",
        "_inflated",
        "_inner",
        "_limit",
        "_pace",
        "_plain",
        "_translate",
    )

    def __init__(self, inner: Any, limit: int | None = None, pace: Pace | None = None) -> None:
        self._inner = inner
        self._limit = limit
        self._pace = pace
        self._came = 0
        self._data: bytes | None = None
        self._translate: Translate | None = None
        codings = inner.headers.get("content-encoding", "").lower().split(",")
        self._codings = [each.strip() for each in codings if each.strip()]
        self._inflated: Any = None
        """The pieces of the body whose codings are undone here, once somebody reads it."""
        self._plain: io.BufferedReader | None = None
        """The same as a stream."""

    def hand_over(self, translate: Translate) -> None:
        """The call is over: errors come up as this makes them."""
        self._translate = translate

    def stream(
        self, amt: int | None = CHUNK, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        """As urllib3's."""
        if plain := self._undone(decode_content, amt):
            return self._each(_pieces(plain, amt))
        decode = self.decode_content if decode_content is None else decode_content
        if self._limit is not None and decode and not BOUNDED and (coding := self._coding()):
            return self._each(self._decoded(coding), counted=True)
        pieces = self._inner.stream(self._at_once(amt), decode_content)
        return self._each(self._timed(pieces) if self._codings else pieces, counted=True)

    def read_chunked(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        """As urllib3's."""
        if self._inner.chunked and (plain := self._undone(decode_content, amt)):
            return self._each(_pieces(plain, amt))
        pieces = self._inner.read_chunked(self._at_once(amt), decode_content)
        return self._each(pieces, counted=True)

    def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """As urllib3's; a body that has a limit is never read at once."""
        decode = args[0] if args else kwargs.get("decode_content")
        if amt is not None and amt < 0:
            amt = None
        plain = self._undone(decode, amt)
        if amt is not None and plain is not None:
            return self._guarded(plain.read, amt)
        if amt is not None or (self._limit is None and plain is None):
            return self._counted(self._inner.read, amt, *args, **kwargs)
        return b"".join(
            self.stream(decode_content=self.decode_content if decode is None else decode)
        )

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> Any:
        """As urllib3's, where it has one."""
        if plain := self._undone(decode_content, amt):
            return self._guarded(plain.read1, -1 if amt is None else amt)
        return self._counted(self._inner.read1, amt, decode_content)

    @property
    def data(self) -> Any:
        """As urllib3's: the whole body, also when it is asked for again."""
        if self._limit is None and self._undone(None) is None:
            return self._guarded(getattr, self._inner, "data")
        if self._data is None:
            self._data = self.read()
        return self._data

    def json(self) -> Any:
        """As urllib3's."""
        return json.loads(self.data.decode("utf-8"))

    def close(self) -> None:
        """As urllib3's: what is read then is nothing, and no error."""
        if self._inflated is not None:
            # It is executing when another thread reads right now.
            with suppress(ValueError):
                self._inflated.close()
        self._inner.close()

    def __iter__(self) -> Iterator[bytes]:
        if plain := self._undone(decode_content=True):
            return self._each(line for line in plain)
        return self._each(iter(self._inner), counted=True)

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        inner = object.__getattribute__(self, "_inner")
        if name not in READING:
            return getattr(inner, name)
        if plain := self._undone(None):
            return functools.partial(self._guarded, getattr(plain, name))
        return functools.partial(self._counted, getattr(inner, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)

    def _at_once(self, amt: int | None) -> int | None:
        """How many bytes are read at once; where there is no limit, as many as are asked for."""
        if self._limit is None:
            return amt
        amt = CHUNK if amt is None or amt < 0 else amt
        return min(amt, SMALL) if not BOUNDED and self._coding() else amt

    def _undone(
        self, decode_content: bool | None, amt: int | None = None
    ) -> io.BufferedReader | None:
        """What to read from in urllib3's place where the codings are to be undone, and here.

        :param amt: how many bytes are asked for, if it is the first time
        """
        decode = self._inner.decode_content if decode_content is None else decode_content
        if not decode or not self._codings:
            return None
        if self._plain is None and self._codings_are_ours():
            pieces = self._inner.stream(amt if amt and amt > 0 else CHUNK, decode_content=False)
            for coding in reversed(self._codings):
                pieces = inflate(pieces, coding, self._in_time)
            self._inflated = pieces
            self._plain = io.BufferedReader(Stream(pieces, self._count), CHUNK)
        return self._plain

    def _codings_are_ours(self) -> bool:
        return len(self._codings) <= CODINGS and INFLATED.issuperset(self._codings)

    def _in_time(self) -> None:
        """:raises ReadTimeoutError: when there is no time left for decompressing"""
        if self._pace is not None and self._pace.to_read() <= 0:
            self._inner.close()
            self._inner.release_conn()
            raise ReadTimeoutError(None, None, TIMED_OUT)  # type: ignore[arg-type] # as urllib3 itself does

    def _timed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._in_time()

    def _coding(self) -> str:
        """The content codings that urllib3 undoes; empty when there are none."""
        known = any(each in self._inner.CONTENT_DECODERS for each in self._codings)
        return ",".join(self._codings) if known else ""

    def _decoded(self, coding: str) -> Iterator[bytes]:
        """The body, where urllib3 would decompress without bounds, and copy what it has too much.

        :raises DecodeError: as urllib3 does
        """
        if coding.count(",") >= CODINGS:
            self._refuse(f"a body under more than {CODINGS} content codings")
        decoder = MultiDecoder(coding)
        try:
            for piece in self._inner.stream(SMALL, decode_content=False):
                if data := decoder.decompress(piece):
                    yield data
                    self._in_time()
            if data := decoder.flush():
                yield data
        except self._inner.DECODER_ERROR_CLASSES as error:
            msg = f"can't be decoded as {coding}"
            raise DecodeError(msg, error) from error

    def _each(self, pieces: Any, *, counted: bool = False) -> Iterator[bytes]:
        take = self._counted if counted else self._guarded
        try:
            while (piece := take(next, pieces, None)) is not None:
                yield piece
        finally:
            pieces.close()

    def _counted(self, read: Any, *args: Any, **kwargs: Any) -> Any:
        """What a read of urllib3's gives, within the limit."""

        def within_limit() -> Any:
            got = read(*args, **kwargs)
            if self._limit is not None:
                self._count(len(got) if isinstance(got, bytes) else got)
            return got

        return self._guarded(within_limit)

    def _guarded(self, read: Any, *args: Any, **kwargs: Any) -> Any:
        """What a read gives; its errors as the call, or who it was handed over to, has them."""
        # What the reader is handling already is no cause of what goes wrong here.
        outside, failure = sys.exception(), None
        try:
            return read(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001 - each is raised again, as itself or as ours
            failure = raised
        try:
            # Out here: the lower error, which may quote what was sent, is no context of ours.
            raise self._told(failure, outside)
        finally:
            # No cycle from the error through its traceback to this frame.
            del failure, outside

    def _told(self, failure: Exception, outside: BaseException | None) -> BaseException:
        made = self._translate(failure, outside) if self._translate is not None else None
        if made is None or made is failure:
            return failure
        for link in causes(failure, outside):
            # From 3.13 on urllib3's lie in a cycle with the frames that they went through, and
            # with those everything that was read.
            link.__traceback__ = None
        return made

    def _count(self, came: Any) -> None:
        limit = self._limit
        self._came += came if isinstance(came, int) else 0
        if limit is not None and self._came > limit:
            self._refuse(f"a body of more than {limit} bytes (ResponseLimits(body=...))")

    def _refuse(self, what: str) -> None:
        self.close()
        self.release_conn()
        raise TooMuch(what)


def _pieces(stream: io.BufferedReader, amt: int | None) -> Iterator[bytes]:
    """What a stream has, as it comes, at most `amt` bytes at once."""
    if amt == 0:
        return
    amt = CHUNK if amt is None or amt < 0 else amt
    while piece := stream.read1(amt):
        yield piece


def bounded(inner: Any, limit: int | None, pace: Pace) -> Any:
    """What to read a body through so that it keeps within a limit, and comes whole and in time.

    Itself when it surely does.

    :raises TooMuch: when it is known already that it doesn't
    """
    if not hasattr(inner, "stream"):
        # Of somebody who plays the wire.
        return inner
    length = getattr(inner, "length_remaining", None)
    short = limit is None or (length is not None and length <= limit)
    if short and "content-encoding" not in inner.headers:
        return inner
    body = Content(inner, limit, pace)
    if length is not None and not short:
        # What comes over the wire may be no more than that either, whatever it decompresses to.
        body._count(length)
    return body
