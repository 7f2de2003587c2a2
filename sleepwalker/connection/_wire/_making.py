"""Requests of the usual kind, made without what `requests` does for unusual ones.

Rules:

1. What is made is exactly what `requests.Session.prepare_request` would make; what is not surely of
   the usual kind is left to it.
2. Who has put something in the place of what makes requests there is called.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import requests
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from ._jar import Jar
from ._originals import Originals

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEGMENT = r"[A-Za-z0-9_~!$&'()*+,;=:@-]"
_PLAIN = re.compile(
    r"https?://[a-z0-9][a-z0-9.-]*(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
    rf"/(?:{_SEGMENT}(?:{_SEGMENT}|\.)*/)*(?:{_SEGMENT}(?:{_SEGMENT}|\.)*)?"
    rf"(?:\?(?:{_SEGMENT}|[./?])+)?"
)
"""A URL in which there is nothing to encode, to decode or to resolve."""
_NO_HOOKS = default_hooks()
_PASSED = Originals(
    (requests.Session, "prepare_request"),
    (requests.PreparedRequest, "prepare"),
    (requests.PreparedRequest, "prepare_url"),
    (requests.PreparedRequest, "prepare_headers"),
    (requests.PreparedRequest, "prepare_cookies"),
    (requests.PreparedRequest, "prepare_body"),
)


def usual(
    session: Any,
    method: str,
    url: str,
    headers: Mapping[str, Any],
    data: Any,
) -> requests.PreparedRequest | None:
    """A request without auth; `None` if it is none of the usual kind.

    :param session: its default headers count
    :param method: in upper case
    :param url: of an origin that was checked
    :param headers: checked; `None` takes a default away
    :param data: the body
    """
    defaults, cookies = session.headers, session.cookies
    if (
        not (data is None or type(data) is bytes)
        or type(defaults) is not CaseInsensitiveDict
        or session.params
        or session.hooks != _NO_HOOKS
        or type(cookies) is not Jar
        or not cookies.is_empty
        or not _PLAIN.fullmatch(url)
        or "prepare_request" in vars(session)
        or not _PASSED.are_there()
    ):
        return None
    made = requests.PreparedRequest()
    made.method, made.url = method, url
    merged = defaults.copy()
    for name, value in headers.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    try:
        made.prepare_headers(merged)
    except requests.exceptions.InvalidHeader:
        # A default that is `None`, which is none; or one for which there is an error.
        return None
    made._cookies = RequestsCookieJar()
    if data or method not in {"GET", "HEAD"}:
        made.prepare_body(data, None)
    return made
