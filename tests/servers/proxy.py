"""A forward proxy: absolute URLs over http, and CONNECT tunnels.

It is a `ScriptedServer` whose default is to do a proxy's work, so every action works on it:
`proxy.script(respond(502))` refuses a CONNECT, `stall(event) + tunnel()` stalls one.

Rule: it goes no further than loopback, whatever it is asked for.
"""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tests.servers.actions import Action, Step, respond
from tests.servers.handlers import basic_value, credentials
from tests.servers.scripted import ScriptedServer

if TYPE_CHECKING:
    import ssl

    from tests.servers.channel import Channel, Exchange
    from tests.servers.wire import Request

_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
_OWN_HEADERS: Final = {"connection", "proxy-connection", "proxy-authorization", "keep-alive"}
_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ForwardProxy(ScriptedServer):
    """Forwards requests for loopback hosts.

    What it was asked stands in `requests`, each CONNECT among them.
    """

    def __init__(
        self,
        *,
        user: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """Listen; with `user` (name and password) ask for Basic `Proxy-Authorization`."""
        self._wanted = None if user is None else ("basic", basic_value(*user))
        super().__init__(self._forward, tls=tls, host=host)

    def _forward(self, request: Request) -> Action:
        shown = request.headers.get("Proxy-Authorization")
        if self._wanted is not None and credentials(shown) != self._wanted:
            return respond(407, {"Proxy-Authenticate": 'Basic realm="proxy"'})
        return tunnel() if request.method == "CONNECT" else forward()


@dataclass(frozen=True)
class _Tunnel(Step):
    def perform(self, exchange: Exchange) -> None:
        upstream = _connect(exchange, f"//{exchange.read().target}")
        if upstream is not None:
            with exchange.channel.attached(upstream):
                exchange.channel.send(_ESTABLISHED)
                _relay(exchange.channel, upstream)


def tunnel() -> Action:
    """Do what a CONNECT asks for: 200, then bytes both ways until a side closes. Else 502."""
    return _Tunnel()


@dataclass(frozen=True)
class _Forward(Step):
    def perform(self, exchange: Exchange) -> None:
        request = exchange.read()
        upstream = _connect(exchange, request.target)
        if upstream is not None:
            with exchange.channel.attached(upstream):
                upstream.sendall(_for_origin(request))
                _relay(exchange.channel, upstream)


def forward() -> Action:
    """Send the request on to the http server that its target names, and its answer back; close."""
    return _Forward()


def _for_origin(request: Request) -> bytes:
    """Give the request as its server expects it: a path, and nothing meant for the proxy."""
    parts = urlsplit(request.target)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    own = _OWN_HEADERS | {"transfer-encoding", "content-length", "expect"}
    headers = [pair for pair in request.headers.raw if pair[0].lower() not in own]
    if request.body or "Content-Length" in request.headers:
        headers.append(("Content-Length", str(len(request.body))))
    headers.append(("Connection", "close"))
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def _connect(exchange: Exchange, url: str) -> socket.socket | None:
    """Connect to the URL's host; if that may not or can't be, answer so and close."""
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK or parts.scheme not in {"", "http"}:
        _answer(exchange, respond(403, body=b"not on loopback", close=True))
        return None
    try:
        return socket.create_connection((parts.hostname, parts.port or 80))
    except OSError as error:
        _answer(exchange, respond(502, body=repr(error).encode(), close=True))
        return None


def _answer(exchange: Exchange, action: Action) -> None:
    for step in action.steps:
        step.perform(exchange)


def _relay(client: Channel, upstream: socket.socket) -> None:
    """Copy bytes both ways until one side closes, then close the other the same way."""
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN)
    poll.register(upstream.fileno(), select.POLLIN)
    while True:
        # Bytes that TLS has decrypted already are invisible to polling.
        ready = {client.fileno()} if client.pending() else {fd for fd, _ in poll.poll()}
        if client.fileno() in ready:
            data = client.receive()
            if not data:
                return
            upstream.sendall(data)
        if upstream.fileno() in ready:
            try:
                data = upstream.recv(65536)
            except ConnectionResetError:
                client.reset()
                return
            if not data:
                client.finish()
                return
            client.send(data)
