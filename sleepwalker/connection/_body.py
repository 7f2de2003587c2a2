"""Request bodies: what they are made of, and whether they can be sent a second time.

Rules:

1. A body in memory can be sent again; a file-like one when it can be wound back to where it was;
   an iterator can't, once it was begun.
2. A body that can't be wound back is never sent again, and never sent in part.
3. What the caller's own iterator raises while it is sent is known as the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests


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
