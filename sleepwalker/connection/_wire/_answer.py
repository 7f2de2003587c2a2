"""An answer's status line and headers, read more strictly than http.client does."""

from __future__ import annotations

import http.client
import re
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from typing import Any

from ._limits import LINE, Chunks, Lines
from ._originals import Originals
from ._pacing import Reader
from ._reading import USUAL, WITHOUT_BODY
from ._watch import here

INTERIM = 16
"""How many interim answers (1xx) a server may send before its answer."""
SWITCHING = 101
"""The one 1xx status that is an answer."""
CUT_HEADERS = (FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect)
"""What the parser notes of a line that is no header."""

STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) ([!-~][ -~]*)?\r\n")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~\x80-\xff][ -~\t\x80-\xff]*)?\r\n")
LENGTH = re.compile(rb"[0-9]{1,19}")
"""A status line, a header and a body's length in which there is nothing to wonder about."""
READERS = Originals((http.client.HTTPResponse, "begin"), (http.client, "parse_headers"))


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
        self._to_head = method == "HEAD"

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
        if any("close" in each.lower() for each in self.headers.get_all("Connection", ())):
            # http.client looks at the first one only (RFC 9110, section 5.3).
            self.will_close = True
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

    def _begun_as_usual(self) -> bool:
        """Read an answer's head as `begin` does, without an e-mail's parser; or nothing of it."""
        if self.debuglevel or self.headers is not None or not READERS.are_there():
            return False
        lines: Any = self.fp
        read = [lines.readline(LINE + 1)]
        status = STATUS.fullmatch(read[0]) if len(read[0]) <= LINE else None
        headers = http.client.HTTPMessage()
        framing: dict[bytes, bytes] = {}
        while status is not None:
            line = lines.readline(LINE + 1)
            read.append(line)
            if line == b"\r\n":
                break
            usual = len(read) <= USUAL and len(line) <= LINE
            header = HEADER.fullmatch(line) if usual else None
            if header is None:
                status = None
            else:
                name, value = header[1], header[2] or b""
                headers.set_raw(name.decode("ascii"), value.decode("latin-1"))
                framing.setdefault(name.lower(), value)
        chunked = framing.get(b"transfer-encoding", b"").lower() == b"chunked"
        length = framing.get(b"content-length", b"")
        if status is None or (length and not chunked and not LENGTH.fullmatch(length)):
            lines.give_back(read)
            return False
        self.code = self.status = int(status[1])
        self.reason = (status[2] or b"").decode("ascii").strip()
        self.version = 11
        self.headers = self.msg = headers
        self.chunked = chunked
        if chunked:
            self.chunk_left = None
        self.length = int(length) if length and not chunked else None
        if self.status in WITHOUT_BODY or self._to_head:
            self.length = 0
        self.will_close = b"close" in framing.get(b"connection", b"").lower() or (
            self.length is None and not self.chunked
        )
        return True

    def _begin_behind_interim(self) -> None:
        for _ in range(INTERIM + 1):
            if not self._begun_as_usual():
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
