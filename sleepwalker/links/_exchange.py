"""The requests of resources: through a connection of ours, or through what else a hook gave.

Rules:

1. What is sent goes through `Connection`, and is resilient and told as all that does.
2. Of other objects no more than `json_request` is assumed: there are no headers then, and no
   response, but what its JSON says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.connection import Connection, _headers, _json
from sleepwalker.connection._call import Options
from sleepwalker.connection._connection import _checked_policy
from sleepwalker.connection._timeouts import Timeout
from sleepwalker.exceptions import ConfigurationError, UnguardedError
from sleepwalker.resilience.deadline import seconds_of

from ._format import MediaType

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from sleepwalker.exceptions import DecodeError

ACCEPT = (
    "application/hal+json, application/vnd.api+json, application/vnd.siren+json, "
    "application/json;q=0.9, */*;q=0.1"
)
"""What is asked for where the caller asks for nothing else."""


class Settings(NamedTuple):
    """What a caller says about one request, beside what is sent: as in `Connection.request`."""

    timeout: Any = None
    deadline: float | None = None
    policy: Any = None
    idempotency_key: str | bool | None = None
    idempotent: bool | None = None
    name: str | None = None


DEFAULT = Settings()


class Content(NamedTuple):
    """What is sent as a request's body."""

    data: Any = None
    media_type: str | None = None
    files: Any = None


NO_CONTENT = Content()


class Answer(NamedTuple):
    """What came of a request."""

    url: str
    response: requests.Response | None
    data: Any
    trouble: DecodeError | None = None
    """Why there is no data, where there should be."""


def json_content(value: Any, media_type: str | None = None) -> Content:
    """A value as JSON.

    :raises EncodeError: for what JSON can't hold
    """
    return Content(_json.encode(value), media_type or "application/json")


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
    if not isinstance(conn, Connection):
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
    arguments = {
        "params": params,
        "data": content.data,
        "files": content.files,
        "headers": _headers.checked(headers, conn._defaults(defaults)),
    }
    options = Options(
        timeout=Timeout.of(settings.timeout),
        deadline=None if settings.deadline is None else seconds_of(settings.deadline, "deadline"),
        policy=_checked_policy(settings.policy),
        idempotency_key=settings.idempotency_key,
        idempotent=settings.idempotent,
        name=settings.name,
    )
    response, data, trouble = conn._fetched(method, url, arguments, options, says_json)
    return Answer(response.url or url, response, data, trouble)


def says_json(response: requests.Response) -> bool:
    """Whether a response is said to be JSON; who says nothing may well mean it."""
    kind = MediaType.of(response.headers.get("Content-Type"))
    return kind.is_json or (not kind.name and response.content[:1] in {b"{", b"["})


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
    body = None
    if content.data is not None:
        if not MediaType.of(content.media_type).is_json:
            msg = (
                f"a {type(conn).__name__} sends JSON only, and the form of this link is "
                f"{content.media_type}"
            )
            raise ConfigurationError(msg)
        body = _json.decode(content.data)
    data = conn.json_request(method, url, body, params, None if headers is None else dict(headers))
    return Answer(url, None, data)


def _unguarded() -> UnguardedError:
    return UnguardedError(
        "the connection has no address guard, and this ServiceManager wants one: have its hook "
        "make connections with guard=, as DirectHook(guard=...) does"
    )
