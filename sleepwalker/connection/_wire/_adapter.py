"""What `requests` sends through: an adapter over our sockets."""

from __future__ import annotations

import ssl
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL
from requests.utils import select_proxy
from urllib3.exceptions import ClosedPoolError, HTTPError
from urllib3.util import Retry

from sleepwalker.connection import _forks
from sleepwalker.exceptions import UnguardedError

from . import _logs
from ._originals import Originals
from ._socket_pools import PlainPool, Pool, TLSPool
from ._sockets import tell_cuts
from ._watch import here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.connection._guard import AddressGuard

POOL_SIZE = 64
"""How many idle sockets a connection keeps for one host, unless its limit is higher."""
MALFORMED = "the URL of the proxy is malformed"
"""What is said of one that `requests` trips over."""
BY_PROXY = (
    "a proxy would connect in our place, where to the address guard can't know; leave the host out "
    "of it (NO_PROXY, session.proxies, session.trust_env = False) or connect without a guard"
)
BY_ADAPTER = (
    "an adapter that is mounted on the session would connect in our place, where to the address "
    "guard can't know; mount none, or connect without a guard"
)
_FINDING = Originals(
    (HTTPAdapter, "get_connection_with_tls_context"),
    (HTTPAdapter, "build_connection_pool_key_attributes"),
    (urllib3.PoolManager, "connection_from_host"),
    (urllib3.PoolManager, "connection_from_context"),
    (urllib3.PoolManager, "connection_from_pool_key"),
)
_NAMING = Originals((HTTPAdapter, "request_url"))


def refuse_unguarded(why: str) -> NoReturn:
    """Raise the error for what would go past the guard: nothing was sent then.

    :raises UnguardedError: always
    """
    if here.watch is not None:
        here.watch.exchange.reached = True
    raise UnguardedError(why)


_NEVER = Retry(0, read=False)
"""What `requests`' adapters have each of their own: urllib3 is not to retry."""


class Pools:
    """An adapter's pools, which are not kept by it."""

    __slots__ = ("_references", "size")

    def __init__(self) -> None:
        self.size = POOL_SIZE
        """How many idle sockets each keeps."""
        self._references: list[weakref.ref[Pool]] = []

    def add(self, pool: Pool) -> None:
        """List a pool for as long as it is there."""
        self._references.append(weakref.ref(pool, self._references.remove))

    def __iter__(self) -> Iterator[Pool]:
        """Go through those that are there now, whoever adds some meanwhile."""
        return iter([pool for known in list(self._references) if (pool := known()) is not None])


class _Making:
    """Makes the pools of one kind for an adapter, without keeping that."""

    __slots__ = ("_guard", "_kind", "_pools")

    def __init__(self, kind: type[Pool], pools: Pools, guard: AddressGuard | None) -> None:
        self._kind, self._pools, self._guard = kind, pools, guard

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = self._kind(*args, **kwargs)
        if self._guard is not None:
            pool.conn_kw["guard"] = self._guard
        self._pools.add(pool)
        pool.keep_idle(self._pools.size)
        return pool


class Found(NamedTuple):
    """The pool that was asked for last."""

    place: str
    """What its URLs begin with: scheme, host and port."""
    tls: tuple[Any, ...]
    """What else decides which it is: verification and client certificate."""
    manager: Any
    settings: dict[str, Any]
    """The manager's, when it was found."""
    pool: Pool

    def is_what_it_has(self, manager: Any, url: str, tls: tuple[Any, ...]) -> bool:
        """Whether a pool manager would give the same: the one that was asked, unless cleared."""
        return (
            url.startswith(self.place)
            and self.tls == tls
            and manager is self.manager
            and self.pool.pool is not None
            and len(manager.pools) > 0
            and manager.connection_pool_kw == self.settings
        )


class Adapter(HTTPAdapter):
    """A `requests` adapter over our sockets.

    :param ssl_context: decides all of TLS when it is given: `verify` and `cert` don't count then
    :param guard: decides where to it connects
    """

    __attrs__ = [*HTTPAdapter.__attrs__, "guard"]  # noqa: RUF012 - as in requests

    def __init__(
        self, ssl_context: ssl.SSLContext | None = None, guard: AddressGuard | None = None
    ) -> None:
        self.guard = guard
        self._ssl_context = ssl_context
        self._plain: Adapter | None = None
        self._pools = Pools()
        self._last: Found | None = None
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=_NEVER)
        _forks.enlist(self)
        _logs.install()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._ssl_context is not None:
            kwargs["ssl_context"] = self._ssl_context
        super().init_poolmanager(*args, **kwargs)
        self._equip(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        if self._ssl_context is not None:
            proxy_kwargs["ssl_context"] = self._ssl_context
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        # SOCKS managers have socket classes of their own; what they send counts as maybe sent.
        if not known and not proxy.lower().startswith("socks"):
            self._equip(manager)
        return manager

    def _equip(self, manager: Any) -> None:
        """Have a pool manager make our pools, and list them."""
        manager.pool_classes_by_scheme = {
            "http": _Making(PlainPool, self._pools, self.guard),
            "https": _Making(TLSPool, self._pools, self.guard),
        }

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        # urllib3 would load its bundle into the caller's context, and so trust more than it says.
        if self._ssl_context is None:
            return host, tls
        # Nor does urllib3 compare host names by itself when the context says not to.
        return host, {} if self._ssl_context.check_hostname else {"assert_hostname": False}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        watch = here.watch
        if watch is not None:
            # From here on what fails before the first byte was never sent, a proxy's unusable URL
            # for instance.
            watch.exchange.reached = True
        manager = self.poolmanager
        if not proxies:
            known = _under_way() or self.known(request, verify, cert)
            if known is not None:
                return known
        try:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        except (requests.RequestException, HTTPError):
            raise
        except (TypeError, ValueError) as error:
            if not select_proxy(request.url or "", proxies):
                raise
            raise InvalidProxyURL(MALFORMED) from error
        if not isinstance(pool, Pool):
            # SOCKS: its sockets don't tell.
            if watch is not None:
                watch.exchange.reached = False
        elif not proxies and type(manager) is urllib3.PoolManager:
            place = "/".join((*(request.url or "").split("/", 3)[:3], ""))
            settings = _kept(manager.connection_pool_kw)
            self._last = Found(place, (type(verify), verify, cert), manager, settings, pool)
        return pool

    def known(self, request: requests.PreparedRequest, verify: Any, cert: Any) -> Any:
        """The pool that was asked for last, if it is what is asked for now; else `None`."""
        # Taken once: another thread may put that of another host there at any time.
        last = self._last
        if (
            last is not None
            and last.is_what_it_has(
                self.poolmanager, request.url or "", (type(verify), verify, cert)
            )
            and _FINDING.are_there()
            and "build_connection_pool_key_attributes" not in vars(self)
        ):
            return last.pool
        return None

    @property
    def retries_nothing(self) -> bool:
        """Whether nobody has made urllib3 retry anything."""
        retries = self.max_retries
        return type(retries) is Retry and retries.total == 0 and not retries.status_forcelist

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        try:
            if not proxies and _NAMING.are_there():
                path = request.path_url
                # What looks like a host is not the same to every version.
                if not path.startswith("//"):
                    return path
            return super().request_url(request, proxies)
        except ValueError as error:
            raise InvalidProxyURL(MALFORMED) from error

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if self._ssl_context is None:
            super().cert_verify(conn, url, verify, cert)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        watch = here.watch
        if self.guard is not None and select_proxy(request.url or "", proxies):
            refuse_unguarded(BY_PROXY)
        if watch is not None:
            timeout = watch.before_exchange(request, timeout)
        while True:
            try:
                response = super().send(
                    request,
                    stream=stream,
                    timeout=timeout,
                    verify=verify,
                    cert=cert,
                    proxies=proxies,
                )
            except requests.ConnectionError as error:
                # Somebody closed the pool after we had chosen it and before we took a socket from
                # it: nothing was tried yet, and there is a new pool by now.
                closed = error.args and isinstance(error.args[0], ClosedPoolError)
                if not closed:
                    raise
            else:
                break
        if watch is not None:
            watch.after_exchange(response)
        return response

    def close(self) -> None:
        """Close the idle sockets now, and those in use when they are given back."""
        if self._plain is not None:
            self._plain.close()
        pools, self._last = list(self._pools), None
        super().close()
        # requests leaves this to the garbage collector, for which any response kept is a pool kept.
        for pool in pools:
            pool.close()

    def keep_idle(self, sockets: int) -> None:
        """Keep as many idle sockets for each host, if it were fewer."""
        if self._plain is not None:
            self._plain.keep_idle(sockets)
        if sockets > self._pools.size:
            self._pools.size = sockets
            for pool in self._pools:
                pool.keep_idle(sockets)

    def drop_stale(self) -> None:
        """Close the idle sockets that would not be used again."""
        if self._plain is not None:
            self._plain.drop_stale()
        for pool in self._pools:
            pool.drop_stale()

    def without_context(self) -> Adapter:
        """This adapter, or one beside it that trusts whom its TLS context trusts, and no more."""
        if self._ssl_context is None:
            return self
        if self._plain is None:
            self._plain = Adapter(_trust_of(self._ssl_context), self.guard)
            self._plain.keep_idle(self._pools.size)
        return self._plain

    def __getstate__(self) -> dict[str, Any]:
        if self._ssl_context is not None:
            msg = "an adapter with an ssl_context can't be pickled or copied"
            raise TypeError(msg)
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._ssl_context, self._plain, self._pools, self._last = None, None, Pools(), None
        super().__setstate__(state)
        _forks.enlist(self)
        _logs.install()

    def _renew_in_child(self) -> None:
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            manager.pools.lock = threading.RLock()
        for pool in self._pools:
            pool.renew()


_settings: dict[str, Any] = {}
"""Those of the pool manager that was asked last: they are the same for nearly all."""


def _kept(settings: dict[str, Any]) -> dict[str, Any]:
    """A copy of a pool manager's settings, which isn't made anew where there is one."""
    global _settings  # noqa: PLW0603 - one copy for all adapters is what it is for
    known = _settings
    if known != settings:
        known = _settings = dict(settings)
    return known


def _under_way() -> Pool | None:
    """Where the request under way goes on, if it was begun by the short way."""
    return None if here.watch is None else here.watch.exchange.pool


def _trust_of(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context that trusts the same authorities, and identifies us to nobody."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.minimum_version = context.minimum_version
    trust.check_hostname = context.check_hostname
    trust.verify_mode = context.verify_mode
    tell_cuts(trust)
    authorities = context.get_ca_certs(binary_form=True)
    if authorities:
        trust.load_verify_locations(cadata=b"".join(authorities))
    else:
        trust.load_default_certs()
    return trust
