"""The body of an answer, in the place of urllib3's response: bounded, and with errors of our tree.

Rules:

1. While the call is under way its errors go to the call as they are. When the call is over
   (`hand_over`) they come up as the call would have made them.
2. A body beyond the limit is not read on, and its connection is closed. What is decompressed at
   once is bounded: by urllib3 where it can (2.6 and later), else by feeding it small pieces.
3. All that is not reading is urllib3's own: what is asked of this, or set on it, goes there.
"""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, Protocol, Self

from urllib3.exceptions import DecodeError
from urllib3.response import ContentDecoder, MultiDecoder

from ._limits import TooMuch

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUNDED = "max_length" in inspect.signature(ContentDecoder.decompress).parameters
"""Whether urllib3 decompresses no more than it is asked for."""
PIECES = {"gzip": 4096, "x-gzip": 4096, "deflate": 4096}
"""Bytes fed at once to a urllib3 that doesn't: about 4 MiB come out of them at most."""
SMALL = 16
"""The same for what may grow by more than 1000 times: other codings, and several of them."""
CODINGS = 2
"""How many codings in a row such a urllib3 is given."""
CHUNK = 2**16
"""Bytes that are read at once when nobody says how many (urllib3's own figure)."""
READING = frozenset({"read1", "readinto", "readline", "readlines", "json"})
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
    """

    # A dict too: `raw.read = functools.partial(raw.read, decode_content=True)` is a known idiom.
    __slots__ = ("__dict__", "__weakref__", "_came", "_data", "_inner", "_limit", "_translate")

    def __init__(self, inner: Any, limit: int | None = None) -> None:
        self._inner = inner
        self._limit = limit
        self._came = 0
        self._data: bytes | None = None
        self._translate: Translate | None = None

    def hand_over(self, translate: Translate) -> None:
        """The call is over: errors come up as this makes them."""
        self._translate = translate

    def stream(
        self, amt: int | None = CHUNK, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        """As urllib3's."""
        if self._limit is None:
            return self._each(self._inner.stream(amt, decode_content))
        decode = self.decode_content if decode_content is None else decode_content
        if decode and not BOUNDED and (coding := self._coding()):
            return self._each(self._decoded(coding))
        return self._each(self._inner.stream(self._at_once(amt), decode_content))

    def read_chunked(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        """As urllib3's."""
        return self._each(self._inner.read_chunked(self._at_once(amt), decode_content))

    def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """As urllib3's; a body that has a limit is never read at once."""
        if self._limit is None or (amt is not None and amt >= 0):
            return self._guarded(self._inner.read, amt, *args, **kwargs)
        decode = args[0] if args else kwargs.get("decode_content")
        return b"".join(
            self.stream(decode_content=self.decode_content if decode is None else decode)
        )

    @property
    def data(self) -> Any:
        """As urllib3's: the whole body, also when it is asked for again."""
        if self._limit is None:
            return self._guarded(getattr, self._inner, "data")
        if self._data is None:
            self._data = self.read()
        return self._data

    def __iter__(self) -> Iterator[bytes]:
        return self._each(iter(self._inner))

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
        value = getattr(object.__getattribute__(self, "_inner"), name)
        return functools.partial(self._guarded, value) if name in READING else value

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
        coding = "" if BOUNDED else self._coding()
        return min(amt, PIECES.get(coding, SMALL)) if coding else amt

    def _coding(self) -> str:
        """The content codings that urllib3 undoes; empty when there are none."""
        coding: str = self._inner.headers.get("content-encoding", "").lower()
        known = (each.strip() in self._inner.CONTENT_DECODERS for each in coding.split(","))
        return coding if any(known) else ""

    def _decoded(self, coding: str) -> Iterator[bytes]:
        """The body, where urllib3 would decompress without bounds, and copy what it has too much.

        :raises DecodeError: as urllib3 does
        """
        if coding.count(",") >= CODINGS:
            self._refuse(f"a body under more than {CODINGS} content codings")
        decoder = MultiDecoder(coding)
        try:
            for piece in self._inner.stream(PIECES.get(coding, SMALL), decode_content=False):
                if data := decoder.decompress(piece):
                    yield data
            if data := decoder.flush():
                yield data
        except self._inner.DECODER_ERROR_CLASSES as error:
            msg = f"can't be decoded as {coding}"
            raise DecodeError(msg, error) from error

    def _each(self, pieces: Any) -> Iterator[bytes]:
        try:
            while (piece := self._guarded(next, pieces, None)) is not None:
                yield piece
        finally:
            pieces.close()

    def _guarded(self, read: Any, *args: Any, **kwargs: Any) -> Any:
        """What a read gives; its errors as the call, or who it was handed over to, has them."""
        # What the reader is handling already is no cause of what goes wrong here.
        outside, failure = sys.exception(), None
        try:
            got = read(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001 - each is raised again, as itself or as ours
            failure = raised
        try:
            if failure is None:
                if self._limit is not None:
                    self._count(len(got) if isinstance(got, bytes) else got)
                return got
            # Out here: the lower error, which may quote what was sent, is no context of ours.
            raise self._told(failure, outside)
        finally:
            # No cycle from the error through its traceback to this frame.
            del failure, outside

    def _told(self, failure: Exception, outside: BaseException | None) -> BaseException:
        made = self._translate(failure, outside) if self._translate is not None else None
        return failure if made is None else made

    def _count(self, came: Any) -> None:
        limit = self._limit
        self._came += came if isinstance(came, int) else 0
        if limit is not None and self._came > limit:
            self._refuse(f"a body of more than {limit} bytes (ResponseLimits(body=...))")

    def _refuse(self, what: str) -> None:
        self.close()
        self.release_conn()
        raise TooMuch(what)


def bounded(inner: Any, limit: int) -> Any:
    """What to read a body through so that it keeps within a limit; itself when it surely does.

    :raises TooMuch: when it is known already that it doesn't
    """
    if not hasattr(inner, "stream"):
        # Of somebody who plays the wire.
        return inner
    length = getattr(inner, "length_remaining", None)
    if length is not None and length <= limit and "content-encoding" not in inner.headers:
        return inner
    body = Content(inner, limit)
    if length is not None and length > limit:
        # What comes over the wire may be no more than that either, whatever it decompresses to.
        body._count(length)
    return body
