"""Where the command's output goes, and what becomes of the command when it can't go there any more.

Rules:

1. The first write that fails raises an `OutputError`, whoever writes.
2. No later one does: what is written then (the cursor's return, what was buffered) goes nowhere.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable


class OutputError(Exception):
    """The output can't be written any more.

    :ivar reader_gone: whether that is because nobody reads it (`| head`)
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output can't be written: {error.strerror}")
        self.reader_gone = error.errno == errno.EPIPE


class Output:
    """A text stream that says when it fails; all else is the stream's.

    :param stream: standard output
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()

    def __getattr__(self, name: str) -> Any:
        """What a stream has beside writing."""
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Whether it is a terminal, also when that has gone since."""
        return self._terminal

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fail(error)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are, at once."""
        try:
            self._stream.flush()
            self._stream.buffer.write(data)
            self._stream.buffer.flush()
        except OSError as error:
            self._fail(error)

    def flush(self) -> None:
        """See to it that what was written arrives."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        raise OutputError(error) from error
