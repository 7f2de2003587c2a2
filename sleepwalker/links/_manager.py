"""`ServiceManager`: the services that are followed to, and the rules for going there."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from requests.auth import HTTPBasicAuth

from sleepwalker import auth as _auth
from sleepwalker.connection import AddressGuard, ConnectionManager, DirectHook, _forks, _urls
from sleepwalker.connection._guard import checked_guard
from sleepwalker.connection._pools import PoolKey
from sleepwalker.exceptions import ConfigurationError, URLError
from sleepwalker.resilience.policy import check_whole

from ._crossing import Crossing
from ._exchange import Settings
from ._format import LinkFormat
from ._resource import Trail
from ._service import Service
from ._traversal import bounds, outset, traversal
from .formats import DEFAULT_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sleepwalker.resilience.policy import Policy

    from ._exchange import TimeoutLike
    from ._link import Link
    from ._resource import Resource
    from ._traversal import Known, Order, Progress, Traversal


class ServiceManager:
    """Gives services, and follows links from one to another, on the same host or across hosts.

    ::

        services = ServiceManager(credentials={"https://library.example": ("reader", "secret")})
        book = services.get("https://library.example/books/7")
        author = book.follow("author")

    :param connections: finds or establishes the connections, and decides on their credentials for
        redirects (`Connection(credentials=...)`) and their netrc; `None`: one of its own, which
        connects directly, and is closed with it
    :param credentials: who we are to which host: host patterns (as those of `DirectHook`) to auths,
        or a callable that is given an origin, ``https://host:port``, and gives the auth or `None`.
        Nothing is sent to any host but what is registered for it. On connections of its own a map
        counts for redirects too; where only a callable knows, a redirect to another origin is
        followed as netrc has it, or anonymously by who is anonymous, or not at all.
    :param netrc: whether the user's netrc file is asked for hosts that have none; its ``default``
        entry counts for no host that a link leads to
    :param crossing_headers: names of the caller's own headers that go along to other origins,
        beside `Accept`, `User-Agent` and trace context; not along a redirect
    :param template_hosts: patterns of the hosts that the variables of a template may lead to
    :param guard: `True`, or an `AddressGuard`: links lead to no address that is not global unicast.
        The hooks of `connections` have to make their connections with a guard then.
    :param max_hops: how many links may be followed one after the other, those of pages and of
        traversals not counted
    :param max_pages: how many pages `Resource.pages` gives at most
    :param formats: which formats of links are known, in the order in which they are asked
    :raises ConfigurationError: for a setting that can't be used
    """

    def __init__(
        self,
        connections: ConnectionManager | None = None,
        *,
        credentials: Mapping[str, Any] | Callable[[str], Any] | None = None,
        netrc: bool = True,
        crossing_headers: Iterable[str] = (),
        template_hosts: Iterable[str] = (),
        guard: AddressGuard | bool | None = None,
        max_hops: int = 1000,
        max_pages: int = 10_000,
        formats: Iterable[LinkFormat] = DEFAULT_FORMATS,
    ) -> None:
        if isinstance(guard, bool):
            guard = AddressGuard() if guard else None
        self.guard = checked_guard(guard)
        if connections is not None and not isinstance(connections, ConnectionManager):
            msg = f"connections must be a ConnectionManager, not {type(connections).__name__}"
            raise ConfigurationError(msg)
        check_whole(max_hops, "max_hops")
        check_whole(max_pages, "max_pages")
        self.max_hops, self.max_pages = max_hops, max_pages
        self._owns = connections is None
        if connections is None:
            known = None if callable(credentials) else credentials
            hook = DirectHook(credentials=known, netrc=netrc, guard=self.guard)
            connections = ConnectionManager(hooks=[hook])
        self.connections = connections
        self.crossing = Crossing(
            credentials=credentials,
            netrc=netrc,
            headers=crossing_headers,
            template_hosts=template_hosts,
            redaction=connections._telemetry.redaction,
        )
        self.formats: tuple[LinkFormat, ...] = self.checked_formats(formats) or ()
        self._services: weakref.WeakValueDictionary[Any, Service] = weakref.WeakValueDictionary()
        self._lock = threading.RLock()
        _forks.enlist(self)

    def service(self, host: Any, auth: Any = None, *, prefix: str = "") -> Service:
        """The service at a host; each one exists once.

        :param host: a URL, maybe with a base path, or a name that the hooks know
        :param auth: who we are to it; `None`: what `credentials` has for it, else as
            `ConnectionManager.find`
        :param prefix: what stands before the path of each of its resources, where a host has
            several instances of it, such as ``/api/west``
        :raises URLError: for a URL that can't be used
        """
        if not isinstance(prefix, str):
            msg = f"prefix must be a path such as '/api/west', not {type(prefix).__name__}"
            raise ConfigurationError(msg)
        if prefix and not prefix.startswith("/"):
            prefix = f"/{prefix}"
        prefix = prefix.rstrip("/")
        redaction = self.connections._telemetry.redaction
        if auth is None and _urls.is_url_like(host):
            base = _urls.parse_base(host, redaction=redaction)
            auth = self.crossing.registered(base.origin)
        key = (PoolKey(host, _long_for(auth), redaction).canonical, prefix)
        with self._lock:
            known = self._services.get(key)
            if known is None:
                known = self._services[key] = Service(self, host, auth, prefix)
            return known

    def get(
        self,
        url: str,
        auth: Any = None,
        *,
        params: Any = None,
        headers: Mapping[str, Any] | None = None,
        formats: Iterable[LinkFormat] | None = None,
        timeout: TimeoutLike = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> Resource:
        """Get the resource at an absolute URL.

        :param auth: as in `service`
        :raises URLError: when it is no absolute http or https URL
        :raises SleepwalkerException: as `Service.get`; the other arguments are as there
        """
        if not isinstance(url, str):
            msg = f"url must be an absolute http or https URL, not {type(url).__name__}"
            raise URLError(msg)
        return self.service(str(self.crossing.origin(url)), auth).get(
            url,
            params=params,
            headers=headers,
            formats=formats,
            timeout=timeout,
            deadline=deadline,
            policy=policy,
            name=name,
        )

    def traverse(
        self,
        start: Resource | str | Iterable[Resource | str],
        rels: Iterable[str] | Callable[[Resource], Iterable[Link]],
        *,
        known: Iterable[Known] = (),
        headers: Mapping[str, Any] | None = None,
        formats: Iterable[LinkFormat] | None = None,
        order: Order = "finished",
        concurrency: int = 16,
        per_host: int = 4,
        max_depth: int | None = None,
        max_resources: int | None = 10_000,
        deadline: float | None = None,
        buffer: int | None = None,
        timeout: Any = None,
        policy: Any = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Traversal:
        """Follow many links at once, from one resource to the next: an iterator of `Visit`s.

        ::

            with services.traverse("https://library.example/", ["item", "next"]) as found:
                for visit in found:
                    print(visit.url, visit.error or visit.resource.data)

        Each canonical URL is visited once. Nothing is sent before the first result is asked for,
        and no more than `buffer` results wait for a consumer that takes its time. Whoever leaves
        the ``with`` block ends what is under way.

        :param start: URLs, or resources that are there already
        :param rels: the relations to follow; or what gives the links to follow from a resource.
            Links that may change something (a POST), and forms, are never followed.
        :param known: what an earlier traversal from the same start visited, in its order: it is not
            asked for again, but the links in it that lead to anything else are followed; gone
            through twice unless it is an iterator
        :param headers: of starts that are URLs, and from there on, as in `Service.get`
        :param formats: likewise
        :param order: `finished`: results as they come; `breadth`: level by level, and each level
            in the order of its links
        :param concurrency: links that are followed at the same time, at most
        :param per_host: the same of links to one origin
        :param max_depth: links that are followed one after the other from a start; `None`: any
        :param max_resources: resources in all, known ones among them; `None`: any number, of which
            each is remembered
        :param deadline: seconds for all of it; what is in flight then is a result with an error
        :param buffer: results that may wait; `None`: twice the concurrency
        :param timeout: of each request, as in `Connection`
        :param policy: of each request
        :param on_progress: called with the `Progress` after each result, by who takes it
        :raises ConfigurationError: for a setting that can't be used
        """
        limits = bounds(
            order=order,
            concurrency=concurrency,
            per_host=per_host,
            max_depth=max_depth,
            max_resources=max_resources,
            deadline=deadline,
            buffer=buffer,
            settings=Settings(timeout=timeout, policy=policy),
        )
        trail = Trail(dict(headers or {}), self.checked_formats(formats))
        return traversal(self, outset(start, known, trail), rels, limits, on_progress)

    def checked_formats(
        self, formats: Iterable[LinkFormat] | None
    ) -> tuple[LinkFormat, ...] | None:
        """Formats as a setting takes them.

        :raises ConfigurationError: for what is none
        """
        if formats is None:
            return None
        made = tuple(formats) if isinstance(formats, Iterable) else (formats,)
        for form in made:
            if isinstance(form, type) or not isinstance(form, LinkFormat):
                msg = f"formats must be LinkFormat objects, not {form!r}"
                raise ConfigurationError(msg)
        return made

    def shown(self, url: Any) -> str:
        """A URL, or the name of a host, as it may be shown."""
        redaction = self.connections._telemetry.redaction
        if _urls.is_url_like(url):
            return redaction.url(str(url))
        return _urls.shown_name(url, redaction) if isinstance(url, str) else type(url).__name__

    def same(self, one: Any, other: Any) -> bool:
        """Whether two auths are the same."""
        return _auth.identity(_long_for(one)) == _auth.identity(_long_for(other))

    def close(self) -> None:
        """Close the connections, if they are its own."""
        if self._owns:
            self.connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> str:
        msg = "a ServiceManager has connections: share it, or make another; it can't be copied"
        raise TypeError(msg)

    def __repr__(self) -> str:
        return f"<ServiceManager services={len(self._services)} {self.connections!r}>"

    def _renew_in_child(self) -> None:
        self._lock = threading.RLock()


def _long_for(auth: Any) -> Any:
    """What an auth that may be a pair stands for; a pair of something else is only the hooks'."""
    if isinstance(auth, tuple) and len(auth) == 2:
        return HTTPBasicAuth(*auth)
    return auth
