"""Sockets that answer as a test says, read by read, for a connection of ours and without a server.

Rule: the same request is made twice, the short way and the long one, and all that can be seen of it
is compared.
"""

from __future__ import annotations

import copy
import os
import pickle
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import urllib3

from sleepwalker import ANONYMOUS, Connection, Policy, SleepwalkerException
from sleepwalker.connection import _wire
from sleepwalker.connection._wire import _sockets
from sleepwalker.testing import SkippingClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import requests

URL: Final = "http://127.0.0.1:9"
PLAIN: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
"""What is answered when nothing else is said."""

Piece = bytes | Exception
"""What a read gives, or raises."""


class Scripted(socket.socket):
    """A socket whose reads give what a test says; then it is at its end.

    :ivar written: what was written to it, each request apart
    """

    pieces: list[Piece]
    written: list[bytes]
    unwritten: Exception | None

    def sendall(self, data: Any, *_: Any) -> None:
        if self.unwritten is not None:
            raise self.unwritten
        self.written.append(bytes(data))

    def send(self, data: Any, *_: Any) -> int:
        self.sendall(data)
        return len(data)

    def recv(self, size: int, *_: Any) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: Any, *_: Any) -> int:
        if not self.pieces:
            return 0
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        part, rest = piece[: len(buffer)], piece[len(buffer) :]
        if rest:
            self.pieces.insert(0, rest)
        buffer[: len(part)] = part
        return len(part)


class Network:
    """Makes the sockets, which all answer in the plain way until something else is said."""

    def __init__(self) -> None:
        self.sockets: list[Scripted] = []
        self._peers: list[socket.socket] = []

    def connect(self, *_: Any, **__: Any) -> Scripted:
        one, other = socket.socketpair()
        made = Scripted(one.family, one.type, one.proto, one.detach())
        made.pieces, made.written, made.unwritten = [PLAIN], [], None
        self.sockets.append(made)
        self._peers.append(other)
        return made

    def close(self) -> None:
        for each in (*self.sockets, *self._peers):
            each.close()
            # An answer that is in a cycle with urllib3's error (from 3.13 on) has it open yet.
            if (number := each.detach()) >= 0:
                os.close(number)


@contextmanager
def network(*, short: bool) -> Iterator[Network]:
    """Have sockets be made here, which are usual ones if the short way is to be gone."""
    made = Network()
    kinds = {*_sockets.OWN, Scripted} if short else _sockets.OWN
    with (
        mock.patch.object(urllib3.util.connection, "create_connection", made.connect),
        mock.patch.object(_sockets, "OWN", kinds),
    ):
        try:
            yield made
        finally:
            made.close()


def connected(policy: Policy, url: str = URL, **options: Any) -> Connection:
    """Give a connection with a socket that stands."""
    conn = Connection(
        url,
        ANONYMOUS,
        policy=policy,
        registry=False,
        tracer_provider=False,
        logger=False,
        clock=SkippingClock(),
        **options,
    )
    conn.request("GET", "/first")
    return conn


def seen_of(response: requests.Response) -> dict[str, Any]:
    """Give all that can be seen of a response."""
    raw: Any = response.raw
    with response:
        pass
    return {
        **_shown(response),
        "next": response.next,
        "again": b"".join(response.iter_content(3)),
        "lines": list(response.iter_lines()),
        "raw": {
            name: getattr(raw, name) for name in ("status", "version", "reason", "decode_content")
        },
        "raw headers": [(name, raw.headers.getlist(name)) for name in raw.headers],
        "raw items": list(raw.headers.items()),
        "left": [raw.read(), raw.isclosed(), raw.closed, list(raw.stream())],
        "length": raw.length_remaining,
        "set": raw.headers.getlist("set-cookie"),
        "place": raw.geturl(),
        "retries": raw.retries.history,
        "elapsed": type(response.elapsed),
        "adapter": type(response.connection),
        "copied": _shown(copy.copy(response)),
        "pickled": _pickled(response),
        "kinds": [type(copy.copy(response)), type(copy.copy(response.headers))],
    }


def _pickled(response: requests.Response) -> Any:
    try:
        return _shown(pickle.loads(pickle.dumps(response)))  # noqa: S301 - our own
    except (AttributeError, pickle.PicklingError) as error:
        # A hook of the call's may be no function that can be found again.
        return type(error)


def _shown(response: requests.Response) -> dict[str, Any]:
    return {
        "status": [response.status_code, response.reason, response.ok, repr(response)],
        "headers": list(response.headers.items()),
        "url": response.url,
        "encoding": [response.encoding, response.apparent_encoding],
        "content": response.content,
        "text": response.text,
        "cookies": repr(sorted(map(repr, response.cookies))),
        "redirect": [response.is_redirect, response.is_permanent_redirect],
        "links": response.links,
        "history": [_shown(each) for each in response.history],
    }


def outcome(
    pieces: Sequence[Piece],
    *,
    short: bool,
    method: str = "GET",
    policy: Policy,
    target: str = "/path?query=1",
    url: str = URL,
    change: Callable[[Connection], object] | None = None,
    unwritten: Exception | None = None,
    **request: Any,
) -> dict[str, Any]:
    """Make a request that is answered by these reads, and another; give all that is seen."""
    with network(short=short) as net, connected(policy, url) as conn:
        sock = net.sockets[0]
        sock.pieces, sock.unwritten = list(pieces), unwritten
        sock.written.clear()
        found: dict[str, Any] = {}
        if change is not None:
            change(conn)
        try:
            response = conn.request(method, target, raise_for_status=False, **request)
        except SleepwalkerException as error:
            found["error"] = [type(error), error.message, error.attempts, error.outcome_unknown]
            found["error's"] = None if error.response is None else _shown(error.response)
            found["cause"] = [type(error.__cause__), str(error.__cause__)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            found["error"] = [type(error), str(error)]
        else:
            found |= seen_of(response)
            assert short or type(response) is not _wire.Reply
        found["jar"] = repr(sorted(map(repr, conn.session.cookies)))
        found["asked"] = [b"".join(each.written) for each in net.sockets]
        found["timeout"] = sock.gettimeout() if sock.fileno() >= 0 else None
        for each in net.sockets:
            each.pieces = [PLAIN]
            each.unwritten = None
        try:
            found["after it"] = conn.request("GET", "/next").content
        except Exception as error:  # noqa: BLE001 - as above
            found["after it"] = type(error)
        found["goes on with"] = [b"/next" in b"".join(each.written) for each in net.sockets]
        return found
