"""What a caller's own code did within a call: its auth objects, its response hooks.

Rules:

1. An exception is told by where it was raised and what it is about, never by its type alone: a
   hook may raise what the wire raises.
2. What an auth of the user's own kind puts into a request is a credential.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

import requests
import urllib3
from requests.auth import HTTPDigestAuth

from sleepwalker import auth as _auth
from sleepwalker.exceptions import AuthError, SleepwalkerException

from . import _headers

if TYPE_CHECKING:
    from collections.abc import Callable

_READING = ("urllib3.", f"{__package__}._wire.")
"""How the modules are called that read bodies, beside `requests.models`."""


def applied(auth: Any) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """An auth as `requests` applies it, held to its contract."""

    def apply(request: requests.PreparedRequest) -> requests.PreparedRequest:
        made = auth(request)
        if not isinstance(made, requests.PreparedRequest):
            msg = f"{_auth.label(auth)} must return the request, not {type(made).__name__}"
            raise AuthError(msg)
        return made

    return apply


def added_to_query(before: str | None, after: str | None) -> tuple[str, ...]:
    """The values that were put into a URL's query, as they stand there and decoded."""
    known = set(urlsplit(before or "").query.split("&"))
    added = (pair for pair in urlsplit(after or "").query.split("&") if pair not in known)
    values = [pair.partition("=")[2] for pair in added]
    return tuple(v for v in (*values, *map(unquote_plus, values)) if len(v) >= _headers.SHORTEST)


def says_status_of(error: Exception, response: object) -> bool:
    """Whether an exception is what `raise_for_status` makes of this very answer."""
    return (
        isinstance(error, requests.exceptions.HTTPError)
        and not isinstance(error, SleepwalkerException)
        and isinstance(response, requests.Response)
        and error.response is response
        and response.status_code >= 400
    )


def is_of_reading(error: Exception, response: object) -> bool:
    """Whether an exception came from reading the body of this very answer."""
    readers = (response, getattr(response, "raw", None))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        if module == "requests.models" or module.startswith(_READING):
            reader = frame.f_locals.get("self")
            if reader is not None and any(reader is each for each in readers):
                return isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError)
    return False


def is_of_requests_auth(error: Exception) -> bool:
    """Whether `requests`' own auth classes tripped over what a server sent."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals["__name__"] == "requests.auth"


def answers_challenge(
    auth: Any, replay: requests.PreparedRequest, refused: requests.PreparedRequest
) -> bool:
    """Whether an auth's replay holds an answer to the challenge, if it is of `requests`' own.

    Digest can't make one of an unknown algorithm or of `auth-int`: what it sends then is, depending
    on the version, a header without a value, or what was refused.
    """
    if None in replay.headers.values():
        return False
    name = "Authorization"
    return not isinstance(auth, HTTPDigestAuth) or (
        replay.headers.get(name) != refused.headers.get(name)
    )
