"""From a caller's arguments to a request that can be sent, or an error that says what is wrong.

Rules:

1. What can never be sent is an error here, before anything is sent.
2. Auth is not applied here: each attempt does it anew, since a token or a signature may be stale by
   then.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import requests

from sleepwalker import auth as _auth
from sleepwalker.exceptions import (
    ConfigurationError,
    HeaderError,
    SleepwalkerException,
    URLError,
)

from . import _headers
from ._body import Body
from ._hop import Hop

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.observability.redaction import Redaction

    from ._connection import Connection
    from ._wire import Fields


def prepared(
    conn: Connection,
    method: object,
    uri: str,
    arguments: Mapping[str, Any],
    *,
    idempotency_key: str | bool | None,
    key_header: str,
    caller_failed: Callable[[Exception], None],
) -> Hop:
    """The request of a call, to the connection's own origin.

    :param arguments: those of `requests.Request`; the headers are checked already
    :param idempotency_key: as in `Connection.request`
    :param key_header: the header that it goes into
    :param caller_failed: told what an iterator of the caller's raises while it is sent
    :raises SleepwalkerException: when it can't be sent, or must not be
    """
    checked_method = _headers.checked_method(method)
    url = conn.get_url(uri)
    session = conn.session
    rest = dict(arguments)
    headers = rest.pop("headers")
    if idempotency_key is not None and idempotency_key is not False:
        # The connection gives the same ones to many calls.
        headers = headers.copy()
        _add_key(headers, key_header, idempotency_key)
    auth = rest.pop("auth", None)
    _check_hooks(rest.get("hooks"))
    made = None
    try:
        made = session.prepared(checked_method, url, headers, **rest)
    except Exception as error:  # noqa: BLE001 - what is not of our making is raised as it is
        redaction = conn._telemetry.redaction
        trouble = _unusable(error, f"{checked_method} {redaction.url(url)}", redaction)
    if made is None:
        raise trouble
    _check_framing(made)
    if auth is not None:
        auth = _auth.checked(auth)
    elif "Authorization" in headers:
        # The call's own beats the connection's; `None` takes it away.
        auth = _auth.ANONYMOUS
    else:
        auth = conn._resolve_auth(made)
    hop = Hop(
        prepared=made,
        body=Body(made, caller_failed),
        auth=auth,
        origin=conn._base.origin,
        session=session,
        pool=conn._pool,
        key_header=key_header,
        own=True,
    )
    if hop.origin.scheme == "http" and not conn.allow_plaintext:
        if hop.sends_plain_secret():
            _auth.refuse_plaintext(str(hop.origin))
        if hop.auth is not _auth.ANONYMOUS:
            conn._warn_of_plaintext()
    return hop


def _add_key(headers: Fields, name: str, key: str | bool | None) -> None:
    """Put the call's idempotency key into the headers."""
    if key is True:
        if headers.get(name):
            # The caller's own: one call made again under it must not become another.
            return
        key = str(uuid.uuid4())
    if isinstance(key, str) and key:
        headers[name] = _headers.checked_value(name, key)
    elif key is not None and key is not False:
        msg = "idempotency_key must be True, or a text that is not empty"
        raise ConfigurationError(msg)


def _check_framing(made: requests.PreparedRequest) -> None:
    """Raise for a body whose end a server could see in two places (RFC 9112, section 6.2).

    Or at the end of the next request, because there is none.
    """
    if "Transfer-Encoding" in made.headers and "Content-Length" in made.headers:
        msg = (
            "Content-Length and Transfer-Encoding exclude each other: leave both to us (an "
            "iterator is sent in chunks, anything else with its length)"
        )
        raise HeaderError(msg)
    length = made.headers.get("Content-Length")
    if made.body is None and length is not None and str(length).strip() != "0":
        msg = "Content-Length announces a body, and there is none: leave it to us"
        raise HeaderError(msg)


def _check_hooks(hooks: Any) -> None:
    """Raise for response hooks that `requests` would ignore without a word."""
    if hooks is None:
        return
    called = hooks.get("response", ()) if isinstance(hooks, Mapping) else None
    called = (called,) if callable(called) else called
    if not isinstance(called, Iterable) or not all(map(callable, called)):
        msg = "hooks must be a mapping of 'response' to a function, or to several"
        raise ConfigurationError(msg)


def _unusable(error: Exception, what: str, redaction: Redaction) -> Exception:
    """Our error for arguments that `requests` can't make a request of."""
    if isinstance(error, SleepwalkerException):
        return error
    if isinstance(error, requests.exceptions.InvalidHeader):
        return _headers.error("a header of the request")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
        return URLError(f"{what}: the URL can't be used")
    known = (
        requests.exceptions.RequestException,
        ValueError,
        TypeError,
        AttributeError,
        NotImplementedError,
    )
    if isinstance(error, known):
        return ConfigurationError(f"{what}: {redaction.text(str(error)) or type(error).__name__}")
    return error
