"""Requests of the usual kind, made without what `requests` does for unusual ones.

Rules:

1. What is made is exactly what `requests.Session.prepare_request` would make; what is not surely of
   the usual kind is left to it.
2. Who has put something in the place of what makes requests there is called.
"""

from __future__ import annotations

import functools
import re
from types import NoneType
from typing import Any, NamedTuple
from urllib.parse import urlencode

import requests
from requests.cookies import RequestsCookieJar, merge_cookies
from requests.hooks import default_hooks

from ._fields import Fields
from ._jar import Jar
from ._originals import Originals

_ENCODED = r"%(?!2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])[0-9A-F]{2}"
"""What has to be encoded, and is: `requests` decodes what has not."""
_SEGMENT = rf"(?:[A-Za-z0-9_~!$&'()*+,;=:@-]|{_ENCODED})"
_PLAIN = re.compile(
    r"https?://[a-z0-9][a-z0-9.-]*(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
    rf"/(?:{_SEGMENT}(?:{_SEGMENT}|\.)*/)*(?:{_SEGMENT}(?:{_SEGMENT}|\.)*)?"
    rf"(?:\?(?:{_SEGMENT}|[./?])+)?"
)
"""A URL in which there is nothing to encode, to decode or to resolve."""
_PARAMETERS = frozenset({str, int, NoneType})
"""What is plain in a query; `None` says that it is not there."""
_BODILESS = frozenset({"GET", "HEAD"})
_NO_HOOKS = default_hooks()
_BLANK = {
    name: value
    for name, value in vars(requests.PreparedRequest()).items()
    if name not in {"hooks", "_cookies"}
}
"""What a new request of `requests` has, in any version of it."""
_PASSED = Originals(
    (requests.Session, "prepare_request"),
    (requests.PreparedRequest, "prepare"),
    (requests.PreparedRequest, "prepare_method"),
    (requests.PreparedRequest, "prepare_url"),
    (requests.PreparedRequest, "prepare_headers"),
    (requests.PreparedRequest, "prepare_cookies"),
    (requests.PreparedRequest, "prepare_body"),
    (requests.PreparedRequest, "prepare_content_length"),
    (requests.PreparedRequest, "prepare_auth"),
    (requests.PreparedRequest, "prepare_hooks"),
)


class Prepared(requests.PreparedRequest):
    """A request of the usual kind, which has no cookies.

    :param headers: its own
    """

    def __init__(self, method: str, url: str, headers: Fields, body: bytes | None) -> None:
        vars(self).update(_BLANK)
        self.method, self.url, self.headers, self.body = method, url, headers, body
        self.hooks = default_hooks()

    @functools.cached_property
    def _cookies(self) -> RequestsCookieJar:  # type: ignore[override]
        """The jar of its cookies, which costs more than all else and is asked for rarely."""
        return RequestsCookieJar()

    def copy(self) -> requests.PreparedRequest:
        if "_cookies" in vars(self):
            return super().copy()
        made = Prepared.__new__(Prepared)
        vars(made).update(vars(self))
        made.headers = self.headers.copy()
        return made

    def __reduce__(self) -> Any:
        # Whoever unpickles it may not have us.
        return requests.PreparedRequest, (), {**vars(self), "_cookies": self._cookies}


class Merged(NamedTuple):
    """The headers that were merged last."""

    defaults: Fields
    changes: object
    given: tuple[tuple[str, Any], ...]
    headers: Fields

    def is_of(self, defaults: Fields, given: tuple[tuple[str, Any], ...]) -> bool:
        """Whether these are what merging them would give."""
        return (
            self.defaults is defaults and self.changes is defaults.changes and self.given == given
        )


def merged(defaults: Fields, given: tuple[tuple[str, Any], ...]) -> Merged | None:
    """A session's headers and those of a request; `None` if they aren't of the usual kind."""
    changes, headers = defaults.changes, defaults.copy()
    for name, value in given:
        if value is None:
            headers.pop(name, None)
        else:
            headers[name] = value
    checking = requests.PreparedRequest()
    try:
        checking.prepare_headers(headers)
    except requests.exceptions.InvalidHeader:
        # A default that is `None`, which is none; or one for which there is an error.
        return None
    return Merged(defaults, changes, given, Fields(checking.headers))


def with_query(url: str, params: Any) -> str | None:
    """A URL with parameters in its query; `None` if they aren't plain texts and whole numbers."""
    if type(params) is not dict:
        return None
    pairs = []
    for name, value in params.items():
        values = value if type(value) is list else (value,)
        if type(name) is not str or any(type(each) not in _PARAMETERS for each in values):
            return None
        pairs += [(name, each) for each in values if each is not None]
    query = urlencode(pairs)
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def usual(
    session: Any,
    method: str,
    url: str,
    headers: Any,
    data: Any,
    params: Any = None,
) -> requests.PreparedRequest | None:
    """A request without auth; `None` if it is none of the usual kind.

    :param session: its default headers and cookies count
    :param method: in upper case
    :param url: of an origin that was checked
    :param headers: checked; `None` takes a default away
    :param data: the body
    :param params: of the query, beside those in the URL
    """
    defaults, cookies = session.headers, session.cookies
    if (
        not (data is None or type(data) is bytes)
        or type(defaults) is not Fields
        or type(headers) is not Fields
        or session.params
        or session.hooks != _NO_HOOKS
        or type(cookies) is not Jar
        or not _PLAIN.fullmatch(url)
        or "prepare_request" in vars(session)
        or not _PASSED.are_there()
    ):
        return None
    last, given = session.merged, tuple(headers.pairs)
    if last is None or not last.is_of(defaults, given):
        last = session.merged = merged(defaults, given)
        if last is None:
            return None
    whole = url if params is None else with_query(url, params)
    if whole is None:
        return None
    made = Prepared(method, whole, last.headers.copy(), data or None)
    if not cookies.is_empty:
        made.prepare_cookies(merge_cookies(RequestsCookieJar(), cookies))
    if data:
        made.headers["Content-Length"] = str(len(data))
    elif method not in _BODILESS and made.headers.get("Content-Length") is None:
        made.headers["Content-Length"] = "0"
    return made
