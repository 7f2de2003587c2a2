"""An answer that was read at once: `requests`' response, without what nobody has asked it for.

It is what `requests` would have made of it. What is costly (the jar of its cookies, urllib3's
response beneath) is made when somebody asks for it.
"""

from __future__ import annotations

import functools
import http.client
import inspect
import io
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.utils import get_encoding_from_headers

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

    from ._reading import Head

HTTP_1_1 = 11
_VERSIONS = {"version": HTTP_1_1} | (
    {"version_string": "HTTP/1.1"}
    if "version_string" in inspect.signature(urllib3.HTTPResponse.__init__).parameters
    else {}
)
_MADE_ANEW = frozenset({"headers", "history", "cookies", "raw"})
_BLANK = {
    name: value for name, value in vars(requests.Response()).items() if name not in _MADE_ANEW
}
"""What a new response of `requests` has, in any version of it."""


class Reply(requests.Response):
    """The answer to a request, whose body is here already.

    :param head: its status line and headers
    :param body: all of its body
    :ivar sets_cookies: whether the server sets cookies
    """

    def __init__(
        self, head: Head, body: bytes, request: requests.PreparedRequest, adapter: HTTPAdapter
    ) -> None:
        vars(self).update(_BLANK)
        self._head = head
        self.status_code, self.reason, self.headers = head.status, head.reason, head.headers
        self._content, self._content_consumed = body, True
        self.history = []
        self.url = request.url  # type: ignore[assignment] # it has one, since it was sent
        self.encoding = _encoding(head.headers.get("content-type"))
        self.request, self.connection = request, adapter
        self.sets_cookies = "Set-Cookie" in head.headers or "Set-Cookie2" in head.headers
        if self.sets_cookies:
            # Now: whoever has the answer may change its headers, and cookies have an age.
            self.cookies = RequestsCookieJar()
            extract_cookies_to_jar(self.cookies, request, self.raw)

    @functools.cached_property
    def cookies(self) -> RequestsCookieJar:  # type: ignore[override] # made late
        """The cookies that the server set: none, when it is asked for them only now."""
        return RequestsCookieJar()

    @functools.cached_property
    def raw(self) -> Any:
        """urllib3's response beneath, as it is when it was read to its end."""
        nothing = io.BytesIO()
        nothing.close()
        head = self._head
        made = urllib3.HTTPResponse(
            nothing,
            urllib3.HTTPHeaderDict(head.pairs),
            head.status,
            reason=head.reason,
            preload_content=False,
            decode_content=False,
            original_response=_Original(head.pairs),  # type: ignore[arg-type] # as much as is asked
            request_method=self.request.method,
            request_url=self.request.path_url,
            retries=self.connection.max_retries,
            **_VERSIONS,  # type: ignore[arg-type]
        )
        if made.length_remaining is not None:
            made.length_remaining = 0
        return made

    def __reduce__(self) -> Any:
        # Whoever unpickles it may not have us.
        return requests.Response, (), self.__getstate__()


class _Original:
    """http.client's response, as far as it is looked at once it was read."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    @functools.cached_property
    def msg(self) -> http.client.HTTPMessage:
        """The headers."""
        made = http.client.HTTPMessage()
        for name, value in self._pairs:
            made.set_raw(name, value)
        return made

    def isclosed(self) -> bool:
        """It was read to its end."""
        return True

    def close(self) -> None:
        """Nothing is left to be closed."""


@functools.lru_cache(maxsize=256)
def _encoding(content_type: str | None) -> str | None:
    """What `requests` takes for the encoding of such a text."""
    given = {} if content_type is None else {"content-type": content_type}
    return get_encoding_from_headers(given)  # type: ignore[arg-type] # it only asks for that one


def version_of(response: requests.Response | None) -> int:
    """The version of HTTP that an answer was sent in, as urllib3 has it; 0: it isn't known."""
    if isinstance(response, Reply):
        return HTTP_1_1
    return getattr(getattr(response, "raw", None), "version", None) or 0
