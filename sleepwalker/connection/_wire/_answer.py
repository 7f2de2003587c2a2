"""An answer's status line and headers, read more strictly than http.client does."""

from __future__ import annotations

import http.client
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from typing import Any

from ._limits import Chunks, Lines
from ._pacing import Reader
from ._watch import here

INTERIM = 16
"""How many interim answers (1xx) a server may send before its answer."""
SWITCHING = 101
"""The one 1xx status that is an answer."""
CUT_HEADERS = (FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect)
"""What the parser notes of a line that is no header."""


def _agreed(lengths: set[str]) -> int:
    """The one length that is given; several, or what is none, are refused (RFC 9112, section 6.3).

    http.client would read until the end of the stream, and take a part for the whole.
    """
    sound = all(each.isascii() and each.isdecimal() and len(each) < 20 for each in lengths)
    if len(lengths) != 1 or not sound:
        msg = "more than one Content-Length, or none that is a number"
        raise http.client.HTTPException(msg)
    return int(lengths.pop())


class Answer(http.client.HTTPResponse):
    """An answer without the interim ones before it.

    http.client skips only 100: it takes a 103 for the answer, and the real one for that of the next
    request on the socket.

    :param whole: whether the request was written completely; the connection of another is not used
        again
    """

    def __init__(
        self,
        sock: Any,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        whole: bool = True,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._whole = whole

    def begin(self) -> None:
        stream = self.fp
        limits = here.watch.response_limits if here.watch is not None else None
        lines: Any = Lines(stream, limits)
        self.fp = lines
        try:
            self._begin_behind_interim()
        finally:
            if self.fp is lines:
                self.fp = stream
        if not lines.last:
            # http.client takes the end of the stream for the end of the headers.
            raise http.client.IncompleteRead(b"")
        lengths = self.headers.get_all("Content-Length", ()) if not self.chunked else ()
        if lengths:
            agreed = _agreed({part.strip() for each in lengths for part in each.split(",")})
            if self.length is None:
                # Said several times in one header, which http.client takes for no length.
                self.length = agreed
        if self.chunked:
            self.fp = Chunks(self.fp, limits)  # type: ignore[assignment]
        if self.length is None and not self.chunked and self._lacks_headers():
            # A body that was cut short could be taken for one that ends with the connection.
            msg = "a line among the headers is none, and may hide the body's length"
            raise http.client.HTTPException(msg)
        if self.length is None and not self.chunked and isinstance(stream, Reader):
            stream.lasts_until_farewell()
        if not self._whole:
            self.will_close = True

    def _lacks_headers(self) -> bool:
        """Whether http.client left out lines from one on that is no header."""
        return any(isinstance(defect, CUT_HEADERS) for defect in self.headers.defects)

    def _begin_behind_interim(self) -> None:
        for _ in range(INTERIM + 1):
            super().begin()
            if self.status == SWITCHING:
                # What comes next on the socket is no HTTP, nor an answer to anybody.
                self.will_close = True
                return
            if not 100 <= self.status < 200:
                return
            self.headers = self.msg = None  # type: ignore[assignment]
        msg = f"more than {INTERIM} interim answers (1xx)"
        raise http.client.HTTPException(msg)
