"""Request bodies: what they are made of, and whether they can be sent a second time.

Rules:

1. A body in memory can be sent again; a file-like one when it can be wound back to where it was;
   an iterator can't, once it was begun.
2. A body that can't be wound back is never sent again, and never sent in part.
3. A body that is not as long as its `Content-Length` says never arrives whole: what is missing
   would be taken from the next request on the socket, and what is too much for one.
4. What the caller's own iterator or file raises while it is sent is known as the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

    from ._wire import Watch

BLOCK = 64 * 1024
"""Bytes: how much of a file is read at once."""


class _Parts:
    """The parts of an iterator, once: whoever goes through them again would send an empty body.

    :param failed: told what the iterator raises
    """

    def __init__(self, source: Any, failed: Callable[[Exception], None]) -> None:
        self._source = source
        self._failed = failed
        self._begun = False

    def __iter__(self) -> Iterator[Any]:
        # Not before the first part is asked for: lower layers make ready before they connect.
        if self._begun:
            msg = "the body is an iterator and was sent already; it can't be sent again"
            raise ConfigurationError(msg)
        self._begun = True
        try:
            for part in self._source:
                yield _checked_part(part)
        except Exception as error:
            self._failed(error)
            raise


def _checked_part(part: Any) -> Any:
    """A part of a body.

    :raises ConfigurationError: when it is neither text nor bytes
    """
    # urllib3 leaves out what is empty.
    if part and not isinstance(part, str) and not _is_in_memory(part):
        msg = f"a part of the body must be text or bytes, not {type(part).__name__}"
        raise ConfigurationError(msg)
    return part


def _is_in_memory(source: object) -> bool:
    """Whether a body is bytes, or shares its memory as bytes do.

    :raises ConfigurationError: when it shares wider items, whose number is not that of the bytes
    """
    try:
        memory = memoryview(source)  # type: ignore[arg-type]
    except TypeError:
        return False
    if memory.itemsize != 1:
        msg = (
            f"a body of type {type(source).__name__} must have items of one byte each: "
            "pass its tobytes()"
        )
        raise ConfigurationError(msg)
    return True


def as_announced(body: Any, headers: Mapping[str, Any] | None, watch: Watch | None) -> Any:
    """A body for the wire: what it was, held to its `Content-Length` where that can be wrong.

    :param watch: told what reading it raises, and that it is the caller's code that is run
    """
    if body is None or isinstance(body, bytes | str):
        return body
    text = str((headers or {}).get("Content-Length", ""))
    announced = int(text) if text.isascii() and text.isdecimal() else None
    if hasattr(body, "read"):
        return _Announced(_blocks(body), announced, watch)
    if announced is None and not isinstance(body, _Parts):
        return body
    return _Announced(_items(body), announced, watch)


def _blocks(file: Any) -> Iterator[Any]:
    """What a file gives, from where it is."""
    while True:
        block = file.read(BLOCK)
        if block is None:
            # Lower layers would take it for the end.
            msg = "the body's file has nothing to be read yet: it must be one that waits (blocking)"
            raise ConfigurationError(msg)
        if not block:
            return
        yield block


def _items(body: Any) -> Iterator[Any]:
    """What anything else gives: itself, if it is in memory."""
    return iter((body,) if _is_in_memory(body) else body)


class _Announced:
    """The parts of a body, once, counted against its length.

    The part that completes it is held back until it is known to be the last, so that a body that is
    too long never looks complete either.
    """

    def __init__(self, parts: Iterator[Any], length: int | None, watch: Watch | None) -> None:
        self._parts = parts if watch is None else _aside(parts, watch)
        self._length = length
        self._watch = watch

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._counted() if self._length is not None else map(_as_bytes, self._parts)
        except Exception as error:
            if self._watch is not None:
                self._watch.body_failed(error)
            raise

    def _counted(self) -> Iterator[Any]:
        length, sent, last = self._length or 0, 0, None
        for part in map(_as_bytes, self._parts):
            sent += memoryview(part).nbytes
            if sent > length:
                msg = (
                    f"the body has more than the {length} bytes that it was to have: it has grown, "
                    "it is text that is longer as bytes, or its len() is not in bytes"
                )
                raise ConfigurationError(msg)
            if sent < length:
                yield part
            elif part:
                last = part
        if sent < length:
            msg = (
                f"the body ended after {sent} of the {length} bytes that it was to have: it has "
                "shrunk, it is text that is shorter as bytes, or its len() is not in bytes"
            )
            raise ConfigurationError(msg)
        if last is not None:
            yield last


def _aside(parts: Iterator[Any], watch: Watch) -> Iterator[Any]:
    """The same parts, each made aside of what is done on the wire."""
    while True:
        with watch.aside():
            try:
                part = next(parts)
            except StopIteration:
                return
        yield part


def _as_bytes(part: Any) -> Any:
    """A part of a body as it is written; text is UTF-8 under every version of urllib3."""
    part = _checked_part(part)
    return part.encode() if isinstance(part, str) else part or b""


class Body:
    """The body of one prepared request.

    :param failed: told what an iterator of the caller's raised
    :ivar rewindable: whether it can be sent again after it was begun
    """

    __slots__ = ("_position", "_source", "rewindable")

    def __init__(
        self,
        prepared: requests.PreparedRequest,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        source: Any = prepared.body
        self._source = source
        self._position: int | None = None
        # A memory map is read as the file that it is too.
        is_file = hasattr(source, "read")
        self.rewindable = (
            source is None or isinstance(source, str) or (not is_file and _is_in_memory(source))
        )
        if self.rewindable:
            return
        if not is_file and not hasattr(source, "__iter__"):
            msg = (
                f"the body must be text, bytes, a file or an iterable, not {type(source).__name__}"
            )
            raise ConfigurationError(msg)
        if hasattr(source, "seek") and hasattr(source, "tell"):
            try:
                if not hasattr(source, "seekable") or source.seekable():
                    self._position = source.tell()
                    self.rewindable = True
            except (OSError, ValueError):  # a pipe, or closed already
                self._position = None
        if not is_file and not self.rewindable and failed is not None:
            prepared.body = _Parts(source, failed)

    def __bool__(self) -> bool:
        return self._source is not None

    def rewind(self) -> None:
        """Wind back to where it was when the request was prepared.

        :raises ConfigurationError: when that fails after all
        """
        if self._position is None:
            return
        try:
            self._source.seek(self._position)
        except (OSError, ValueError) as error:
            msg = "the body can't be wound back to be sent again: it was closed or is no file"
            raise ConfigurationError(msg) from error
