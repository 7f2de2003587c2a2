"""The requests of resources: through a connection of ours, or through what else a hook gave.

Rules:

1. What is sent goes through `Connection`, and is resilient and told as all that does.
2. Of other objects no more than `json_request` is assumed: there are no headers then, and no
   response, but what its JSON says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import requests

from sleepwalker.connection import _headers, _json
from sleepwalker.connection._call import Options
from sleepwalker.connection._connection import (
    _checked_idempotent,
    _checked_name,
    _checked_policy,
    is_ours,
)
from sleepwalker.connection._timeouts import Timeout
from sleepwalker.exceptions import ConfigurationError, UnguardedError
from sleepwalker.resilience.deadline import seconds_of

from ._format import MediaType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sleepwalker.exceptions import DecodeError
    from sleepwalker.resilience.policy import Policy

TimeoutLike: TypeAlias = float | tuple[float | None, float | None] | None
"""Seconds, as `Connection` takes them."""

ACCEPT = (
    "application/hal+json, application/vnd.api+json, application/vnd.siren+json, "
    "application/json;q=0.9, */*;q=0.1"
)
"""What is asked for where the caller asks for nothing else."""


class Settings(NamedTuple):
    """What a caller says about one request, beside what is sent: as in `Connection.request`."""

    timeout: TimeoutLike = None
    deadline: float | None = None
    policy: Policy | None = None
    idempotency_key: str | bool | None = None
    idempotent: bool | None = None
    name: str | None = None


DEFAULT = Settings()


NO_JSON: Final = object()
"""No value at all: `None` is one."""


class Content(NamedTuple):
    """What is sent as a request's body."""

    json: Any = NO_JSON
    """A value, encoded as the connection encodes values."""
    data: Any = None
    media_type: str | None = None
    files: Any = None


NO_CONTENT = Content()


class Answer(NamedTuple):
    """What came of a request."""

    url: str
    """Of the document: absolute, unless only the connection knows where it is."""
    response: requests.Response | None
    data: Any
    trouble: DecodeError | None = None
    """Why there is no data, where there should be."""
    method: str | None = "GET"
    """What was answered, after redirects; `None`: it is part of another answer."""


def json_content(value: Any, media_type: str | None = None) -> Content:
    """A value as JSON."""
    return Content(value, media_type=media_type or "application/json")


def exchange(
    conn: Any,
    method: str,
    url: str,
    *,
    params: Any = None,
    content: Content = NO_CONTENT,
    headers: Mapping[str, Any] | None = None,
    settings: Settings = DEFAULT,
    guarded: bool = False,
) -> Answer:
    """Send a request.

    :param guarded: whether the connection must have an address guard
    :raises SleepwalkerException: as `Connection.request`
    """
    if not is_ours(conn):
        return _through_others(
            conn,
            method,
            url,
            params=params,
            content=content,
            headers=headers,
            guarded=guarded,
        )
    if guarded and conn.guard is None:
        raise _unguarded()
    defaults = {"Accept": ACCEPT}
    if content.media_type is not None:
        defaults["Content-Type"] = content.media_type
    data = content.data
    if content.json is not NO_JSON:
        data = _json.encode(content.json, conn.JsonEncoder)
    arguments = {
        "params": params,
        "data": data,
        "files": content.files,
        "headers": _headers.checked(headers, conn._defaults(defaults)),
    }
    options = Options(
        timeout=Timeout.of(settings.timeout),
        deadline=None if settings.deadline is None else seconds_of(settings.deadline, "deadline"),
        policy=_checked_policy(settings.policy),
        idempotency_key=settings.idempotency_key,
        idempotent=_checked_idempotent(settings.idempotent),
        name=_checked_name(settings.name),
    )
    response, value, trouble = conn._fetched(method, url, arguments, options, says_json)
    answered = response.request.method or method
    return Answer(response.url or url, response, value, trouble, answered.upper())


def says_json(response: requests.Response) -> bool:
    """Whether a response is said to be JSON; who says nothing may well mean it."""
    kind = MediaType.of(response.headers.get("Content-Type"))
    return kind.is_json or (not kind.name and response.content[:64].lstrip()[:1] in {b"{", b"["})


def _through_others(
    conn: Any,
    method: str,
    url: str,
    *,
    params: Any,
    content: Content,
    headers: Mapping[str, Any] | None,
    guarded: bool,
) -> Answer:
    if guarded:
        raise _unguarded()
    method = _headers.checked_method(method)
    if content.data is not None or content.files is not None:
        sent = content.media_type or "a form"
        msg = f"a {type(conn).__name__} sends JSON only, and the form of this link is {sent}"
        raise ConfigurationError(msg)
    body = None if content.json is NO_JSON else content.json
    passed = _headers.checked(headers)
    if content.media_type not in {None, "application/json"}:
        passed.setdefault("Content-Type", content.media_type)
    found = _with_query(url, params)
    data = conn.json_request(method, url, body, params, dict(passed) if passed else None)
    return Answer(found, None, data, method=method)


def _with_query(url: str, params: Any) -> str:
    """The URL of a request, which only its connection has put together."""
    if not params:
        return url
    made = requests.Request("GET", "https://host.invalid/", params=params).prepare()
    query = urlsplit(made.url or "").query
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _unguarded() -> UnguardedError:
    return UnguardedError(
        "the connection has no address guard, and this ServiceManager wants one: have its hook "
        "make connections with guard=, as DirectHook(guard=...) does"
    )
