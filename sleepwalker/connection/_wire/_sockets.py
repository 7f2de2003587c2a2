"""One connection: connecting, sending, its age, and a clean fork."""

from __future__ import annotations

import errno
import ipaddress
import os
import random
import socket
import ssl
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util import SKIP_HEADER
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs, resolve_ssl_version

from sleepwalker.connection import _forks
from sleepwalker.exceptions import UnguardedError
from sleepwalker.resilience.clock import SYSTEM

from ._answer import Answer
from ._pacing import LEAST, TIMED_OUT, Paced, allow
from ._reading import Reading, Told
from ._resolving import Address, addresses, share
from ._watch import here
from ._writing import GONE, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sleepwalker.connection._guard import AddressGuard
    from sleepwalker.observability.open_connections import OpenConnection

    from ._reading import Head
    from ._watch import Pace, Watch

IDLE = 30.0
"""Seconds after which an idle socket is not used again."""
AGE = 300.0
"""Seconds that a socket is used, give or take `AGE_JITTER`."""
AGE_JITTER = 0.1
"""So that sockets opened together are not all renewed together."""
LONGEST = 60.0
"""Seconds for connecting under a guard where whoever uses the session past the connection set
none."""
ROOM = 16 * 1024
"""Bytes of a request for which there is room in any system's buffers."""
_SILENT_CUTS = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
"""OpenSSL's option that a missing good-bye is none; older versions than 3 don't have it."""
REPLACED = ("Accept-Encoding", "User-Agent")
"""The headers that lower layers put there when the request has none."""


def _address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text.partition("%")[0])


class _Socket:
    """What our connections add to urllib3's (a mixin): time, facts, age, and a clean fork.

    With urllib3's an instance has less than thirty attributes in the usual case: so many are kept
    in half the memory.
    """

    host: str
    port: int
    timeout: Any
    debuglevel: int
    _sock: Any = None
    _watch: Watch | None = None
    """Who follows the request under way; `None`: nobody, urllib3's own timeouts hold."""
    _connecting = False
    _sends = 0
    """How often something of the request was sent."""
    _writer: Writer | None = None
    _begun = False
    """Whether the request under way has been begun and not been written completely."""
    _used = 0.0
    _until = 0.0
    """Until when it may be used, on the system's monotonic clock."""
    _guarded_by: AddressGuard | None = None
    """What decides where to it may connect; `None`: anywhere."""
    _chosen: Address | None = None
    """The address, checked, that is being connected to."""
    open: OpenConnection | None = None
    """How the metrics see it, as long as it is open."""
    _told: Told | None = None
    """What was written and read of the request under way before it came here by the long way."""

    def __init__(
        self, host: str, *args: Any, guard: AddressGuard | None = None, **kwargs: Any
    ) -> None:
        # As given: urllib3 shows it without the dot at the end by which a resolver knows that it
        # is complete.
        self._place = Address(host.strip("[]"), 0)
        super().__init__(host, *args, **kwargs)  # type: ignore[call-arg]
        self._place = self._place._replace(port=self.port)
        if guard is not None:
            self._guarded_by = guard

    if TYPE_CHECKING:
        sock: Any

    else:

        @property
        def sock(self) -> Any:
            """The socket."""
            return self._sock

        @sock.setter
        def sock(self, sock: Any) -> None:
            self._sock = sock
            if sock is None or not self._connecting:
                return
            if self._guarded_by is not None:
                self._refuse_elsewhere(sock)
            # TCP stands: from here on names count, that of the certificate for one, and what is
            # left for a CONNECT and the handshake.
            self.host, self.port = self._place
            if self._watch is not None:
                self._watch.uses(sock)
                sock.settimeout(max(self._watch.pace.to_connect(), LEAST))

    def connect(self) -> None:
        watch = self._watch = here.watch
        self._connecting = True
        try:
            if watch is not None:
                watch.pace.begin_connecting()
                self._connect_in_time(watch.pace.to_connect)
            elif self._guarded_by is not None:
                patience = self.timeout if isinstance(self.timeout, int | float) else LONGEST
                until = SYSTEM.monotonic() + patience
                self._connect_in_time(lambda: until - SYSTEM.monotonic())
            else:
                super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False
        _sockets.add(self.sock)
        self.open = watch.opened() if watch is not None else None
        self._used = now = SYSTEM.monotonic()
        # Not for secrecy: spreads the renewals.
        self._until = now + AGE * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311 - no secret is made of it

    def _connect_in_time(self, left: Callable[[], float]) -> None:
        """Connect to the first of the host's addresses that takes it.

        :param left: the seconds that are left for it
        """
        timeout = self.timeout
        found = self._addresses(left)
        for count, address in zip(range(len(found), 0, -1), found, strict=True):
            seconds = left()
            if seconds <= 0:
                raise ConnectTimeoutError(self, TIMED_OUT)
            try:
                if self._guarded_by is not None:
                    self._chosen = address
                self.host, self.port = address
                self.timeout = share(seconds, count)
                super().connect()  # type: ignore[misc]
            except (NewConnectionError, ConnectTimeoutError):
                # Of TCP; a handshake's failure is none of these, and no reason to try the next.
                if count == 1:
                    raise
            else:
                return
            finally:
                self.host, self.port = self._place
                self.timeout = timeout

    def _addresses(self, left: Callable[[], float]) -> Sequence[Address]:
        name, port = self._place
        guard = self._guarded_by
        try:
            found = addresses(name, port, left(), always=guard is not None)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        except UnicodeError:
            # As urllib3 says it, where it is left to it.
            raise LocationParseError(f"'{name}', label empty or too long") from None
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]
        if guard is not None:
            for address in found:
                guard.check(address.host, name)
        return found

    def _refuse_elsewhere(self, sock: Any) -> None:
        """Refuse a socket that leads to another address than the one that was checked."""
        peer = None
        with suppress(OSError, AttributeError, IndexError, TypeError, ValueError):
            peer = _address_of(sock.getpeername()[0])
        if peer is None or self._chosen is None or peer != _address_of(self._chosen.host):
            sock.close()
            self._sock = None
            msg = (
                "the address guard chose an address, and what connects in urllib3's place "
                "connected to another"
            )
            raise UnguardedError(msg)

    def close(self) -> None:
        if self._told is not None:
            self._told = None
        # First this: whatever comes in between, it is closed once.
        was_open, self.open = self.open, None
        try:
            super().close()  # type: ignore[misc]
        finally:
            if was_open is not None:
                was_open.closed()

    def exchange(self, message: bytes, watch: Watch, *, to_head: bool) -> tuple[Head, bytes] | None:
        """Write a request, and read its answer, at once.

        :param message: all of it
        :returns: the answer, if it is here, whole and usual. If not, what was told so far is kept:
            the very same request has to come along by `request` next, which writes nothing then
        """
        self._watch, sock = watch, self._sock
        self._writer, self._sends, self._begun = None, 0, True
        watch.uses(sock)
        try:
            self.send(message)
        except OSError as error:
            self._told = Told(unwritten=error)
            return None
        self._begun = False
        reading = Reading(sock, watch, to_head=to_head)
        answer = reading.answer()
        if answer is None:
            self._told = reading.told
            return None
        self._watch = None
        self._used = SYSTEM.monotonic()
        if reading.has_more:
            # What comes next on that socket belongs to nobody.
            self._until = 0.0
        if answer[0].closes:
            self.close()
        return answer

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **kw: Any
    ) -> None:
        watch = self._watch = here.watch
        self._writer, self._sends, self._begun = None, 0, True
        if watch is not None and self.sock is not None:
            watch.uses(self.sock)
        # A default that the caller took away is not replaced by one of urllib3's own.
        present = {name.lower() for name in headers or ()}
        skipped = {name: SKIP_HEADER for name in REPLACED if name.lower() not in present}
        if skipped:
            headers = {**(headers or {}), **skipped}
        super().request(method, url, body, headers, **kw)  # type: ignore[misc]
        self._begun = False

    def send(self, data: Any) -> None:
        watch = self._watch
        if self._told is not None:
            # It was written already.
            if self._told.unwritten is not None:
                raise self._told.unwritten
            return
        if self._connecting:
            self._send_to_connect(data)
            return
        if self._sock is None:
            # What http.client would do within `send`; done first, so that a failure to connect
            # is no failure to send.
            self.connect()
        if watch is None:
            super().send(data)  # type: ignore[misc]
            return
        watch.exchange.sent = True
        self._sends += 1
        if self._sends == 1:
            if self.open is None:
                # Connected by who uses the session past the connection; from here on it is ours.
                self.open = watch.opened()
            watch.begins()
        try:
            if self._goes_at_once(data):
                allow(self._sock, watch.pace.to_write())
                super().send(data)  # type: ignore[misc]
            else:
                self._write(data, watch.pace)
        except GONE as error:
            # Whoever stops reading may have answered: upon this one, urllib3 looks.
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error

    def _send_to_connect(self, data: Any) -> None:
        """Send what is not the request yet: a proxy's CONNECT."""
        if self._watch is not None:
            allow(self.sock, self._watch.pace.to_connect())
        super().send(data)  # type: ignore[misc]

    def _goes_at_once(self, data: Any) -> bool:
        """Whether the socket surely has room for it, or is none that can be watched (TLS in TLS).

        There is room for the headers and the beginning of a body.
        """
        if not isinstance(self._sock, socket.socket):
            return True
        return self._sends <= 2 and isinstance(data, bytes) and len(data) <= ROOM

    def _write(self, data: Any, pace: Pace) -> None:
        """What http.client's `send` does, with an eye on the time, and on an early answer."""
        if self.debuglevel > 0:
            print("send:", repr(data))  # noqa: T201 - whoever turns this on wants it
        sys.audit("http.client.send", self, data)
        if self._writer is None:
            self._writer = Writer(self.sock, pace.to_write)
        self._writer.write(data)

    def response_class(
        self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> Answer:
        """Make an answer: a proxy's to CONNECT, or the request's."""
        watch, writer = self._watch, self._writer
        if watch is not None:
            pace = watch.pace
            if self._connecting:
                sock = Paced(sock, pace.to_connect, goes_on=True)
            else:
                ahead = writer.ahead if writer is not None else b""
                trouble = None
                if self._told is not None:
                    ahead, trouble = self._told.came, self._told.unread
                sock = Paced(sock, pace.to_read, ahead, trouble, left=self._left_over(sock))
        return Answer(sock, debuglevel, method, url, whole=self._connecting or not self._begun)

    def _left_over(self, sock: Any) -> Callable[[], None]:
        """What to do when more came than the answer: the next on that socket belongs to nobody."""
        # An answer that is dropped unread must not keep what would close its socket.
        mine = weakref.ref(self)

        def left() -> None:
            connection = mine()
            if connection is not None and connection.sock is sock:
                connection._until = 0.0

        return left

    def getresponse(self) -> Any:
        sock = self.sock
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
        finally:
            self._watch = self._writer = None
            if self._told is not None:
                self._told = None
        self._used = SYSTEM.monotonic()
        return response

    @property
    def is_usual(self) -> bool:
        """Whether it may be used without what lower layers have to say of it."""
        return type(self.sock) in OWN and self.debuglevel <= 0

    @property
    def is_stale(self) -> bool:
        """Whether it is too old, or was idle for too long, to be used again."""
        now = SYSTEM.monotonic()
        return now - self._used >= IDLE or now >= self._until

    def was_silent_since(self, moment: float) -> bool:
        """Whether the peer gave no sign of life since then, on the system's monotonic clock."""
        return self._used < moment

    @property
    def is_connected(self) -> bool:
        if self._told is not None:
            return True
        if self.is_stale:
            return False
        connected: bool = super().is_connected  # type: ignore[misc]
        # What TLS has decrypted already can't be seen at the socket. Nobody has asked for it, and
        # it would be taken for the next request's answer.
        sock = self._sock
        left = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        return connected and not left


class PlainSocket(_Socket, HTTPConnection):  # type: ignore[misc] # response_class is called only
    pass


class TLSSocket(_Socket, HTTPSConnection):  # type: ignore[misc] # as above
    def connect(self) -> None:
        context = self.ssl_context
        if context is None and here.watch is not None:
            self.ssl_context = self._context()
        try:
            super().connect()
        finally:
            self.ssl_context = context
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.version() is None:
            # The peer was gone before the handshake, upon which `ssl` leaves it out and says
            # nothing: no byte of ours goes through such a socket.
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    @property
    def is_usual(self) -> bool:
        # Of one whose certificate isn't looked at, urllib3 warns at each request.
        return bool(self.is_verified) and super().is_usual

    def _context(self) -> ssl.SSLContext:
        """The TLS context that urllib3 would make, but for its handshakes."""
        context = create_urllib3_context(
            resolve_ssl_version(self.ssl_version),
            resolve_cert_reqs(self.cert_reqs),
            ssl_minimum_version=self.ssl_minimum_version,
            ssl_maximum_version=self.ssl_maximum_version,
        )
        if not (self.ca_certs or self.ca_cert_dir or self.ca_cert_data):
            context.load_default_certs()
        context.sslsocket_class = _Handshaking
        tell_cuts(context)
        return context


def tell_cuts(context: ssl.SSLContext) -> None:
    """Have a connection that is cut off told from one that is ended, under a context of ours.

    Python sets the option that keeps OpenSSL 3 from it for every context, before 3.11.4 (cpython's
    issue 95494): an answer that lasts until its end would be taken for whole, wherever it was cut.
    """
    context.options &= ~_SILENT_CUTS


class _Handshaking(ssl.SSLSocket):
    """A TLS socket whose handshake has what is left when it begins.

    Between TCP and it lies the reading of the certificates to trust, which takes its time too.
    """

    def do_handshake(self, block: bool = False) -> None:
        watch = here.watch
        if watch is not None:
            self.settimeout(max(watch.pace.to_connect(), LEAST))
        super().do_handshake(block)


OWN = frozenset({socket.socket, ssl.SSLSocket, _Handshaking})
"""The kinds of sockets that nobody has put in the place of Python's or ours."""
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
