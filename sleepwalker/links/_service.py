"""A service: a host as somebody, with the resources that it has below a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sleepwalker import auth as _auth
from sleepwalker.connection import _headers, _urls
from sleepwalker.connection._connection import is_ours
from sleepwalker.exceptions import ConfigurationError

from ._exchange import NO_CONTENT, Content, Settings, exchange, json_content
from ._resource import Resource, Trail, lasting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sleepwalker.resilience.policy import Policy

    from ._exchange import TimeoutLike
    from ._format import LinkFormat
    from ._manager import ServiceManager


class Service:
    """The resources of one host, as one who we are to it; got from a `ServiceManager`.

    ::

        library = services.service("https://library.example", auth)
        book = library.get("/books/7")

    :ivar host: as it was given: a URL, maybe with a base path, or a name that the hooks know
    :ivar auth: who we are to it
    :ivar prefix: what stands before the path of each of its resources
    """

    def __init__(self, services: ServiceManager, host: Any, auth: Any, prefix: str) -> None:
        self.services = services
        self.host = host
        self.auth = auth
        self.prefix = prefix

    @property
    def conn(self) -> Any:
        """The connection to it, found or established now."""
        return self.services.connections.find(self.host, self.auth)

    def get(
        self,
        uri: str = "",
        *,
        params: Any = None,
        headers: Mapping[str, Any] | None = None,
        formats: Iterable[LinkFormat] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> Resource:
        """Get a resource.

        :param uri: a path, behind the prefix; or an absolute URL of the service's origin
        :param params: the query, as in `requests`
        :param headers: of this request, and of those that follow links from the resource on the
            same origin; to others goes what may cross
        :param formats: how to read links, here and from here on; `None`: the manager's formats
        :raises SleepwalkerException: as `Connection.request`; the other arguments are as there
        """
        settings = Settings(timeout, deadline, policy, name=name)
        return self._request(
            "GET", uri, params=params, headers=headers, formats=formats, settings=settings
        )

    def request(
        self,
        method: str,
        uri: str = "",
        *,
        json: Any = None,
        params: Any = None,
        headers: Mapping[str, Any] | None = None,
        formats: Iterable[LinkFormat] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        name: str | None = None,
    ) -> Resource:
        """Send a request; what came of it is a resource.

        ::

            book = library.request("POST", "/books", json={"title": "Solaris"})
            book.url  # where the new book is, by the `Location` of a 201

        :param json: what is sent, as JSON; `None`: no body
        :raises SleepwalkerException: as `Connection.request`; the other arguments are as in `get`
        """
        content = NO_CONTENT if json is None else json_content(json)
        settings = Settings(timeout, deadline, policy, idempotency_key, idempotent, name)
        return self._request(
            method,
            uri,
            params=params,
            content=content,
            headers=headers,
            formats=formats,
            settings=settings,
        )

    def _request(
        self,
        method: str,
        uri: str,
        *,
        settings: Settings,
        params: Any = None,
        content: Content = NO_CONTENT,
        headers: Mapping[str, Any] | None = None,
        formats: Iterable[LinkFormat] | None = None,
    ) -> Resource:
        chosen = self.services.checked_formats(formats)
        url, given, conn = self.url(uri), _headers.checked(headers), self.conn
        base = None
        if _urls.is_url_like(self.host) and not is_ours(conn):
            # One that isn't ours doesn't say where it finds something, nor refuse to go elsewhere.
            base = _urls.parse_base(self.host)
            base.url(url)
        answer = exchange(
            conn,
            method,
            url,
            params=params,
            content=content,
            headers=given,
            settings=settings,
            guarded=self.services.guard is not None,
        )
        if base is not None:
            answer = answer._replace(url=base.url(answer.url))
        return Resource(self, answer, Trail(headers=lasting(given), formats=chosen))

    def url(self, uri: str) -> str:
        """The URI as the connection takes it: behind the prefix, unless it is absolute."""
        if not isinstance(uri, str):
            msg = f"a URI must be text, not {type(uri).__name__}"
            raise ConfigurationError(msg)
        if not self.prefix or _urls.is_url_like(uri):
            return uri
        if not uri or uri[0] in "?#":
            return f"{self.prefix}{uri}"
        return f"{self.prefix}/{uri.removeprefix('/')}"

    def origin(self) -> _urls.Origin | None:
        """The origin that it is at; `None` when only its connection knows, and doesn't say."""
        if _urls.is_url_like(self.host):
            return _urls.parse_base(self.host).origin
        conn = self.conn
        return conn._base.origin if is_ours(conn) else None

    def __reduce__(self) -> str:
        msg = (
            "a Service has connections: what comes of it stays here; it can't be copied or pickled"
        )
        raise TypeError(msg)

    def __repr__(self) -> str:
        shown = self.services.shown(self.host)
        return f"<Service {shown}{self.prefix} auth={_auth.label(self.auth)}>"
