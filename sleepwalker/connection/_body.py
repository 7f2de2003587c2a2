"""Request bodies: what they are made of, and whether they can be sent a second time.

Rules:

1. A body in memory can be sent again; a file-like one when it can be wound back to where it was;
   an iterator can't, once it was begun.
2. A body that can't be wound back is never sent again, and never sent in part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sleepwalker.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests


def _watched(source: Iterable[Any], failed: Callable[[Exception], None]) -> Iterator[Any]:
    """The parts of an iterator; what it raises is known as the caller's own."""
    try:
        yield from source
    except Exception as error:
        failed(error)
        raise


def _is_in_memory(source: object) -> bool:
    """Whether a body is bytes, or shares its memory as bytes do."""
    try:
        memoryview(source)  # type: ignore[arg-type]
    except TypeError:
        return False
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
        self.rewindable = source is None or isinstance(source, str) or _is_in_memory(source)
        if not self.rewindable and not hasattr(source, "read") and not hasattr(source, "__iter__"):
            msg = (
                f"the body must be text, bytes, a file or an iterable, not {type(source).__name__}"
            )
            raise ConfigurationError(msg)
        if not self.rewindable and hasattr(source, "seek") and hasattr(source, "tell"):
            try:
                self._position = source.tell()
                self.rewindable = not hasattr(source, "seekable") or source.seekable()
            except (OSError, ValueError):  # a pipe, or closed already
                self._position = None
        elif not self.rewindable and not hasattr(source, "read") and failed is not None:
            prepared.body = _watched(source, failed)

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
