"""Requests of the usual kind, made without what `requests` does for unusual ones.

Rules:

1. What is made is exactly what `requests.Session.prepare_request` would make; what is not surely of
   the usual kind is left to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import requests
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEGMENT = r"[A-Za-z0-9_~!$&'()*+,;=:@-]"
_PLAIN = re.compile(
    r"https?://[a-z0-9][a-z0-9.-]*(?::[1-9][0-9]{0,4})?"
    rf"/(?:{_SEGMENT}(?:{_SEGMENT}|\.)*/)*(?:{_SEGMENT}(?:{_SEGMENT}|\.)*)?"
    rf"(?:\?(?:{_SEGMENT}|[./?])+)?"
)
"""A URL in which there is nothing to encode, to decode or to resolve; its port was checked."""


def usual(
    session: Any,
    method: str,
    url: str,
    headers: Mapping[str, Any],
    data: Any,
) -> requests.PreparedRequest | None:
    """A request without auth; `None` if it is none of the usual kind.

    :param session: of ours; its default headers count
    :param method: in upper case
    :param url: of an origin that was checked
    :param headers: checked; `None` takes a default away
    :param data: the body
    """
    if (
        not (data is None or isinstance(data, bytes))
        or session.params
        or session.hooks.get("response")
        or not session.cookies.is_empty
        or not _PLAIN.fullmatch(url)
    ):
        return None
    made = requests.PreparedRequest()
    made.method, made.url = method, url
    merged = CaseInsensitiveDict(session.headers)
    for name, value in headers.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    made.prepare_headers(merged)
    made._cookies = RequestsCookieJar()
    if data or method not in {"GET", "HEAD"}:
        made.prepare_body(data, None)
    return made
