"""The one place that touches `requests`' adapters and `urllib3`'s pools and sockets.

Rules:

1. urllib3 retries nothing: exactly one layer does, and it is not this one.
2. Whether we had begun to write a request is a fact that is recorded here, at the first byte.
3. A socket that was idle for `IDLE` seconds, or is older than about `AGE`, is not used again, so
   that changes in DNS are seen.
4. Only public seams: adapter methods made for overriding, `pool_classes_by_scheme`,
   `ConnectionCls`, `QueueCls`, `response_class`, `is_connected`, and the queue of idle sockets.
5. After a fork, the child can't read or write its parent's sockets, and has new queues.
"""

from __future__ import annotations

import copy
import errno
import http.client
import os
import queue
import random
import ssl
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.exceptions import InvalidProxyURL
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError, HTTPError
from urllib3.util import SKIP_HEADER

from sleepwalker import auth as _auth
from sleepwalker.resilience.clock import SYSTEM

from . import _forks

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

POOL_SIZE = 64
"""How many idle sockets a connection keeps for one host."""
IDLE = 30.0
"""Seconds after which an idle socket is not used again."""
AGE = 300.0
"""Seconds that a socket is used, give or take `AGE_JITTER`."""
REPLACED = ("Accept-Encoding", "User-Agent")
"""The headers that lower layers put there when the request has none."""
MALFORMED = "the URL of the proxy is malformed"
"""What is said of one that `requests` trips over."""
INTERIM = 16
"""How many interim answers (1xx) a server may send before its answer."""
SWITCHING = 101
"""The one 1xx status that is an answer."""
AGE_JITTER = 0.1
"""So that sockets opened together are not all renewed together."""


class Exchange:
    """What is known of one exchange on the wire.

    :ivar reached: whether our own sockets were asked at all (not a mounted or mocked adapter)
    :ivar sent: whether we had begun to write the request
    """

    __slots__ = ("reached", "sent")

    def __init__(self) -> None:
        self.reached = False
        self.sent = False

    @property
    def maybe_sent(self) -> bool:
        """Whether the request may have been sent: surely not only when our sockets know it."""
        return self.sent or not self.reached


class Watch(Protocol):
    """Who follows a request of ours to the wire: the call that it belongs to."""

    @property
    def exchange(self) -> Exchange:
        """What is known of the exchange under way."""

    @property
    def body_timeout(self) -> float | None:
        """What a read of the body may take, in seconds; `None`: what one of the headers may."""

    def sends(self, request: requests.PreparedRequest) -> bool:
        """Whether this is the request that the call is sending."""

    def before_exchange(self, request: requests.PreparedRequest, timeout: Any) -> Any:
        """A request goes to the wire, maybe again (a Digest replay); returns its timeout."""

    def after_exchange(self, response: requests.Response) -> None:
        """The headers of an answer are here."""


class _Here(threading.local):
    """The call that is being sent by this thread."""

    watch: Watch | None = None


_here = _Here()


class watching:  # noqa: N801 - reads as the verb that it is: `with watching(call):`
    """Put the wire under a call's eyes inside a ``with`` block."""

    __slots__ = ("_previous", "_watch")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        self._previous = _here.watch
        _here.watch = self._watch

    def __exit__(self, *_: object) -> None:
        _here.watch = self._previous


class _Lines:
    """A stream of which the last line that was read is known."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last: bytes = b"?"

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._stream.readline(limit)
        self.last = line
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _agreed(lengths: set[str]) -> int:
    """The one length that is given; several, or what is none, are refused (RFC 9112, section 6.3).

    http.client would read until the end of the stream, and take a part for the whole.
    """
    sound = all(each.isascii() and each.isdecimal() and len(each) < 20 for each in lengths)
    if len(lengths) != 1 or not sound:
        msg = "more than one Content-Length, or none that is a number"
        raise http.client.HTTPException(msg)
    return int(lengths.pop())


class _Answer(http.client.HTTPResponse):
    """An answer without the interim ones before it.

    http.client skips only 100: it takes a 103 for the answer, and the real one for that of the next
    request on the socket.
    """

    def begin(self) -> None:
        stream = self.fp
        lines: Any = _Lines(stream)
        self.fp = lines
        try:
            self._begin_behind_interim()
        finally:
            if self.fp is lines:
                self.fp = stream
        if not lines.last:
            # http.client takes the end of the stream for the end of the headers.
            raise http.client.IncompleteRead(b"")
        lengths = self.headers.get_all("Content-Length", ()) if not self.chunked else ()
        if lengths:
            agreed = _agreed({part.strip() for each in lengths for part in each.split(",")})
            if self.length is None:
                # Said several times in one header, which http.client takes for no length.
                self.length = agreed

    def _begin_behind_interim(self) -> None:
        for _ in range(INTERIM + 1):
            super().begin()
            if not 100 <= self.status < 200 or self.status == SWITCHING:
                return
            self.headers = self.msg = None  # type: ignore[assignment]
        msg = f"more than {INTERIM} interim answers (1xx)"
        raise http.client.HTTPException(msg)


class _Socket:
    """What our connections add to urllib3's (a mixin): facts, age, and a clean fork."""

    response_class: Any = _Answer
    sock: Any
    _connecting = False
    _opened = 0.0
    _used = 0.0
    _lifetime = AGE

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False
        _sockets.add(self.sock)
        self._opened = self._used = SYSTEM.monotonic()
        # Not for secrecy: spreads the renewals.
        self._lifetime = AGE * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311 - no secret is made of it

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **kw: Any
    ) -> None:
        # A default that the caller took away is not replaced by one of urllib3's own.
        present = {name.lower() for name in headers or ()}
        skipped = {name: SKIP_HEADER for name in REPLACED if name.lower() not in present}
        if skipped:
            headers = {**(headers or {}), **skipped}
        super().request(method, url, body, headers, **kw)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        # What `connect` sends (a proxy's CONNECT) is not the request yet.
        if not self._connecting:
            if self.sock is None:
                # What http.client would do within `send`; done first, so that a failure to
                # connect is no failure to send.
                self.connect()
            watch = _here.watch
            if watch is not None:
                watch.exchange.sent = True
        super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        sock, watch = self.sock, _here.watch
        try:
            response = super().getresponse()  # type: ignore[misc]
        except Exception:
            raise
        except BaseException:
            # An interrupt may come where http.client has made a file of the socket already and
            # would not close it: `close` would only wait for that file.
            with suppress(OSError):
                os.close(sock.detach())
            raise
        if watch is not None and watch.body_timeout is not None:
            sock.settimeout(watch.body_timeout)
        self._used = SYSTEM.monotonic()
        return response

    @property
    def is_stale(self) -> bool:
        """Whether it is too old, or was idle for too long, to be used again."""
        now = SYSTEM.monotonic()
        return now - self._used >= IDLE or now - self._opened >= self._lifetime

    @property
    def is_connected(self) -> bool:
        connected: bool = super().is_connected  # type: ignore[misc]
        return connected and not self.is_stale


class _PlainSocket(_Socket, HTTPConnection):
    pass


class _TLSSocket(_Socket, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.version() is None:
            # The peer was gone before the handshake, upon which `ssl` leaves it out and says
            # nothing: no byte of ours goes through such a socket.
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


_sockets: weakref.WeakSet[Any] = weakref.WeakSet()
"""The sockets themselves: an answer under way keeps one that its connection has let go of."""


def _drop_parents_sockets() -> None:
    """In a child: put the empty device in the place of the parent's sockets.

    Nothing can be read or written through them then. Their numbers stay taken until they are
    closed: TLS goes on using the number, which must not be that of a new socket of the child's.
    """
    empty = os.open(os.devnull, os.O_RDWR)
    try:
        for sock in _forks.listed(_sockets):
            number = sock.fileno()
            if number >= 0:
                os.dup2(empty, number, inheritable=False)
    finally:
        os.close(empty)


_forks.first(_drop_parents_sockets)


class _Queue(queue.LifoQueue[Any]):
    """The idle sockets of a pool, also for a signal handler that comes in the middle of it."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.mutex = threading.RLock()  # type: ignore[assignment]
        self.not_empty = threading.Condition(self.mutex)
        self.not_full = threading.Condition(self.mutex)
        self.all_tasks_done = threading.Condition(self.mutex)

    def _get(self) -> Any:
        if not self.queue:
            # There was one; the handler's call has taken it.
            raise queue.Empty
        return super()._get()


class _Pool:
    """What our pools add to urllib3's (a mixin)."""

    pool: queue.LifoQueue[Any] | None

    if TYPE_CHECKING:

        def close(self) -> None: ...

    def drop_stale(self) -> None:
        """Close the idle sockets that would not be used again."""
        pool = self.pool
        if pool is None:
            return
        stale = []
        with pool.mutex:
            for index, connection in enumerate(pool.queue):
                if connection is not None and connection.sock is not None and connection.is_stale:
                    stale.append(connection)
                    pool.queue[index] = None
        for connection in stale:
            connection.close()

    def renew(self) -> None:
        """In a child: a new, empty queue in the old one's place (urllib3's finalizer has it)."""
        pool = self.pool
        if pool is not None:
            for connection in list(pool.queue):
                if connection is not None:
                    connection.close()
            pool.__init__(pool.maxsize)  # type: ignore[misc]
            for _ in range(pool.maxsize):
                pool.put(None)


class _PlainPool(_Pool, HTTPConnectionPool):
    QueueCls = _Queue
    ConnectionCls = _PlainSocket


class _TLSPool(_Pool, HTTPSConnectionPool):
    QueueCls = _Queue
    ConnectionCls = _TLSSocket


class Adapter(HTTPAdapter):
    """A `requests` adapter over our sockets.

    :param ssl_context: decides all of TLS when it is given: `verify` and `cert` don't count then
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context
        self._plain: Adapter | None = None
        self._pools: weakref.WeakSet[_Pool] = weakref.WeakSet()
        super().__init__(pool_maxsize=POOL_SIZE)
        _forks.enlist(self)

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
        pools = self._pools

        def made(cls: type) -> Any:
            def make(*args: Any, **kwargs: Any) -> Any:
                pool = cls(*args, **kwargs)
                pools.add(pool)
                return pool

            return make

        manager.pool_classes_by_scheme = {"http": made(_PlainPool), "https": made(_TLSPool)}

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
        watch = _here.watch
        if watch is not None:
            # From here on what fails before the first byte was never sent, a proxy's unusable URL
            # for instance.
            watch.exchange.reached = True
        try:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        except (requests.RequestException, HTTPError):
            raise
        except (TypeError, ValueError) as error:
            if not select_proxy(request.url or "", proxies):
                raise
            raise InvalidProxyURL(MALFORMED) from error
        if watch is not None and not isinstance(pool, _Pool):
            # SOCKS: its sockets don't tell.
            watch.exchange.reached = False
        return pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        try:
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
        watch = _here.watch
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
                if not (error.args and isinstance(error.args[0], ClosedPoolError)):
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
        pools = _forks.listed(self._pools)
        super().close()
        # requests leaves this to the garbage collector, for which any response kept is a pool kept.
        for pool in pools:
            pool.close()

    def drop_stale(self) -> None:
        """Close the idle sockets that would not be used again."""
        if self._plain is not None:
            self._plain.drop_stale()
        for pool in _forks.listed(self._pools):
            pool.drop_stale()

    def without_context(self) -> Adapter:
        """This adapter, or one beside it that trusts whom its TLS context trusts, and no more."""
        if self._ssl_context is None:
            return self
        if self._plain is None:
            self._plain = Adapter(_trust_of(self._ssl_context))
        return self._plain

    def __getstate__(self) -> dict[str, Any]:
        if self._ssl_context is not None:
            msg = "an adapter with an ssl_context can't be pickled or copied"
            raise TypeError(msg)
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._ssl_context, self._plain, self._pools = None, None, weakref.WeakSet()
        super().__setstate__(state)
        _forks.enlist(self)

    def _renew_in_child(self) -> None:
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            manager.pools.lock = threading.RLock()
        for pool in _forks.listed(self._pools):
            pool.renew()


def _trust_of(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context that trusts the same authorities, and identifies us to nobody."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.minimum_version = context.minimum_version
    trust.check_hostname = context.check_hostname
    trust.verify_mode = context.verify_mode
    authorities = context.get_ca_certs(binary_form=True)
    if authorities:
        trust.load_verify_locations(cadata=b"".join(authorities))
    else:
        trust.load_default_certs()
    return trust


class Jar(RequestsCookieJar):
    """A cookie jar that threads may share.

    `requests`' own breaks when it is read and written at the same time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = threading.RLock()
        super().__init__(*args, **kwargs)

    def set_cookie(self, cookie: Any, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return super().set_cookie(cookie, *args, **kwargs)

    def clear(self, *args: Any, **kwargs: Any) -> None:
        with self._lock:
            super().clear(*args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        with self._lock:
            return iter(list(super().__iter__()))

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        state.pop("_lock")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = threading.RLock()
        super().__setstate__(state)

    def copy(self) -> Jar:
        """A jar with the same cookies and a lock of its own; takes none of this one's."""
        made = Jar()
        made.set_policy(self.get_policy())
        for cookie in list(RequestsCookieJar.__iter__(self)):
            made.set_cookie(cookie)
        return made

    __copy__ = copy


class Session(requests.Session):
    """A `requests.Session` over our adapters, whose redirects we follow ourselves.

    Called directly it behaves as `requests`' own; a request that comes from a call of ours is
    never redirected in here, because other rules hold for what may cross origins.
    """

    __attrs__ = [*requests.Session.__attrs__, "allow_plaintext"]  # noqa: RUF012 - as in requests

    def __init__(
        self, ssl_context: ssl.SSLContext | None = None, *, allow_plaintext: bool = False
    ) -> None:
        super().__init__()
        self.cookies = Jar()
        adapter = Adapter(ssl_context)
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self.allow_plaintext = allow_plaintext
        _forks.enlist(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _forks.enlist(self)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        watch = _here.watch
        if watch is not None and watch.sends(request):
            return super().send(request, **kwargs)
        # Who uses the session past the connection, maybe from within a response hook of a call:
        # that call neither checked this request nor counts it as its own.
        if not self.allow_plaintext:
            self._refuse_plaintext(request)
        _here.watch = None
        try:
            return super().send(request, **kwargs)
        finally:
            _here.watch = watch

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        # A session's own False or path wins over the environment's bundle; True takes it.
        if verify is None and self.verify is not True:
            verify = self.verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def _refuse_plaintext(self, request: requests.PreparedRequest) -> None:
        if (request.url or "").startswith("http://") and _auth.is_plain_secret_header(
            request.headers.get("Authorization")
        ):
            _auth.refuse_plaintext("this host")

    def resolve_redirects(  # type: ignore[override]
        self, resp: requests.Response, req: requests.PreparedRequest, **kwargs: Any
    ) -> Generator[requests.Response, None, None]:
        watch = _here.watch
        if watch is not None and watch.sends(req):
            return
        yield from super().resolve_redirects(resp, req, **kwargs)

    def guest(self) -> Session:
        """A session over the same adapters for requests to other origins.

        It has no cookies, client certificate or default headers of this one. Of its TLS context
        it has the trust, but not the client certificate that may be in it.
        """
        guest = Session.__new__(Session)
        requests.Session.__init__(guest)
        guest.allow_plaintext = self.allow_plaintext
        guest.adapters.clear()
        for prefix, adapter in self.adapters.items():
            guest.adapters[prefix] = (
                adapter.without_context() if isinstance(adapter, Adapter) else adapter
            )
        guest.proxies, guest.verify = self.proxies, self.verify
        guest.trust_env, guest.hooks = self.trust_env, self.hooks
        return guest

    def drop_stale(self) -> None:
        """Close the idle sockets that would not be used again."""
        for adapter in list(self.adapters.values()):
            if isinstance(adapter, Adapter):
                adapter.drop_stale()

    def _renew_in_child(self) -> None:
        # The old jar's lock may be held by a thread that the child doesn't have.
        cookies = self.cookies
        if isinstance(cookies, RequestsCookieJar):
            self.cookies = copy.copy(cookies)
        else:
            # A jar of the user's: its cookies go on in one of ours.
            self.cookies = Jar()
            for cookie in list(cookies):
                self.cookies.set_cookie(cookie)
