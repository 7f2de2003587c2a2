"""A request as it is written: byte for byte what http.client writes, where that is plain."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from urllib3.util import SKIP_HEADER

from ._sockets import ROOM

if TYPE_CHECKING:
    import requests

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""In which there is nothing that has to be looked at."""
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
BODILESS = frozenset({"GET", "HEAD"})
"""The methods of which no length is told when there is no body."""
CHARACTER = r"(?:[A-Za-z0-9_~!$&'()*+,;=:@/.-]|%[0-9A-F]{2})"
TARGET = re.compile(rf"/(?!/){CHARACTER}*(?:\?(?:{CHARACTER}|\?)*)?")
"""A path and query in which urllib3 finds nothing to encode."""


def message(request: requests.PreparedRequest, host_line: str | None) -> bytes | None:
    """What is written for a request; `None` if that is not surely what http.client would write.

    :param host_line: the header `Host`; `None` if that isn't plain
    """
    headers: Any = request.headers
    target, body = request.path_url, _framed(request)
    if (
        body is None
        or request.method not in METHODS
        or TARGET.fullmatch(target) is None
        or not _are_names(tuple(headers.lower_names))
    ):
        return None
    lines: list[str] = [f"{request.method} {target} HTTP/1.1"]
    if "Host" not in headers:
        if host_line is None:
            return None
        lines.append(host_line)
    for name, value in headers.pairs:
        text = value.decode("latin-1") if type(value) is bytes else value
        if type(text) is not str or text == SKIP_HEADER:
            return None
        lines.append(f"{name}: {text}")
    head = "\r\n".join(lines)
    ends = len(lines) - 1
    if head.count("\r") != ends or head.count("\n") != ends or "\0" in head:
        # A header has broken its line.
        return None
    try:
        whole = head.encode("latin-1") + b"\r\n\r\n" + body
    except UnicodeEncodeError:
        return None
    return whole if len(whole) <= ROOM else None


@functools.lru_cache(maxsize=256)
def _are_names(names: tuple[object, ...]) -> bool:
    """Whether all of them can be names of headers."""
    return all(type(name) is str and NAME.fullmatch(name) is not None for name in names)


def _framed(request: requests.PreparedRequest) -> bytes | None:
    """The body, of which the headers say how long it is; `None` for any other."""
    body, length = request.body, request.headers.get("Content-Length")
    if "Transfer-Encoding" in request.headers:
        return None
    if body is None:
        sound = length == "0" or (length is None and request.method in BODILESS)
        return b"" if sound else None
    if type(body) is not bytes or length != str(len(body)):
        return None
    return body
