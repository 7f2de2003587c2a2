"""The sockets of a host: TLS, keep-alive, the faults of the script, restarts; all counted.

Rules:

1. Every request that reaches a host is counted exactly once: as read, or as arrived and unread.
   That is why a fault is drawn when the first bytes are there and before any is read, and why a
   host that goes down closes only its writing side, and watches each connection until the client
   has sent a last request or closed it: however late that is, for a thread may be held up between
   looking at its socket and writing to it.
2. A restart is a real one: the listening socket is closed, connecting is refused, and the same port
   listens again later. Meanwhile a socket that doesn't listen keeps the port from others.
3. A connection may outlive its listener, for a restart waits for none, but never its host: `stop`
   ends and joins them all.
"""

from __future__ import annotations

import json
import select
import socket
import socketserver
import struct
import threading
import time
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from sleepwalker.cli.demo.apis import ERRAND, TOUR, Reply, Request
from sleepwalker.cli.demo.faults import Fault
from sleepwalker.cli.demo.planted import COOKIE

if TYPE_CHECKING:
    import ssl

    from sleepwalker.cli.demo.apis import Api
    from sleepwalker.cli.demo.faults import Script
    from sleepwalker.cli.demo.ledger import Ledger
    from sleepwalker.cli.demo.planted import Planted

RESTART = "restart"
"""The fault that is no single exchange's."""
STALL = 1.3
"""Seconds: how long a stall lasts."""
PATIENCE = 10.0
"""Seconds for a handshake, and for the rest of a request that has begun."""


class Host:
    """One host.

    :param address: a loopback address
    :param tls: the server's context
    """

    def __init__(
        self,
        api: Api,
        address: str,
        tls: ssl.SSLContext,
        *,
        script: Script,
        ledger: Ledger,
        planted: Planted,
    ) -> None:
        self.name = api.name
        self.api = api
        self.ledger = ledger
        self.script = script
        self.tls = tls
        self.up = False
        self._planted = planted
        self._listener = _Listener((address, 0), self)
        self._gone: list[_Listener] = []
        self.address: tuple[str, int] = self._listener.address
        self.url = ledger.url = f"https://{address}:{self.address[1]}"
        self._cookie = planted.new(self.name, COOKIE)

    def start(self) -> None:
        """Listen."""
        self._listener.start()
        self.up = True

    def restart(self, down: float, stopping: threading.Event) -> None:
        """Go down and come back.

        :param down: seconds to be away
        :param stopping: cuts it short
        """
        self.ledger.misbehaved(RESTART)
        self.up = False
        self._listener.stop_listening()
        with socket.socket() as placeholder:
            placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            placeholder.bind(self.address)
            self._listener.go_down()
            stopping.wait(down)
            self._gone = [gone for gone in (*self._gone, self._listener) if not gone.ended()]
            self._listener = _Listener(self.address, self)
        self.start()

    def stop(self) -> None:
        """Stop listening, and end every connection: by now no client has anything to send."""
        self.up = False
        self._listener.stop_listening()
        for listener in (*self._gone, self._listener):
            listener.end()

    def cookie(self) -> str:
        """The cookie that a client is given when it comes without one."""
        return self._cookie


class _Bell:
    """What any number of threads can wait for together with a socket, by `select`.

    :ivar sound: becomes readable, for all at once and for good, when the bell is rung
    """

    def __init__(self) -> None:
        self.sound, self._rope = socket.socketpair()

    def ring(self) -> None:
        """Wake them all."""
        self._rope.close()

    def close(self) -> None:
        """Take it down, when nobody waits for it any more."""
        self._rope.close()
        self.sound.close()


class _Listener(socketserver.TCPServer):
    """A listening socket and the connections that came through it."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], host: Host) -> None:
        super().__init__(address, _Exchanges)
        self.host = host
        self.address: tuple[str, int] = self.server_address  # type: ignore[assignment]
        self.going_down = threading.Event()
        self.down, self.over = _Bell(), _Bell()
        self._accepting = threading.Thread(
            target=self.serve_forever, args=(0.02,), name=f"{host.name} listens", daemon=True
        )
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._accepting.start()

    def stop_listening(self) -> None:
        """Close the listening socket."""
        if self._accepting.ident is not None:
            self.shutdown()
            self._accepting.join()
        self.server_close()

    def go_down(self) -> None:
        """Let each connection take no further request when its exchange is over."""
        self.going_down.set()
        self.down.ring()

    def ended(self) -> bool:
        """Whether no connection is left."""
        if any(thread.is_alive() for thread in self._threads):
            return False
        self.down.close()
        self.over.close()
        return True

    def end(self) -> None:
        """End the connections: each when its exchange is over."""
        self.go_down()
        self.over.ring()
        for thread in self._threads:
            thread.join()
        self.ended()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give an accepted connection a thread."""
        thread = threading.Thread(
            target=self._serve,
            args=(request, client_address),
            name=f"{self.host.name} serves",
            daemon=True,
        )
        self._threads = [*(t for t in self._threads if t.is_alive()), thread]
        thread.start()

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        ledger = self.host.ledger
        ledger.arrived()
        try:
            request.settimeout(PATIENCE)
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                # Raises where the client has gone: Python 3.11 and 3.12 would leave a socket open.
                request.getpeername()
                secured = self.host.tls.wrap_socket(request, server_side=True)
            except OSError:
                return  # the client left during the handshake: nothing was asked
            ledger.opened()
            try:
                with suppress(OSError):
                    self.finish_request(secured, client_address)
            finally:
                ledger.closed()
                secured.close()
        except Exception as error:  # noqa: BLE001 - told by the proof; a host's own error must not pass for the client's
            ledger.failed(f"{self.host.name}: {type(error).__name__}: {error}")
        finally:
            request.close()


class _Exchanges(BaseHTTPRequestHandler):
    """The exchanges of one connection."""

    protocol_version = "HTTP/1.1"
    server: _Listener
    connection: ssl.SSLSocket

    def handle(self) -> None:
        """Answer, or misbehave, until the connection ends."""
        host = self.server.host
        while self._request_comes():
            self._fault = host.script.next()
            if self._fault is Fault.RESET_UNREAD:
                host.ledger.unread()
                host.ledger.misbehaved(self._fault)
                self._reset()
                return
            self.handle_one_request()
            if self.close_connection:
                return

    def _request_comes(self) -> bool:
        """Wait until a request begins to arrive; `False` when none will."""
        server = self.server
        readable, _, _ = select.select([self.connection, server.down.sound], [], [])
        if server.down.sound not in readable:
            return self._has_bytes()
        self.connection.shutdown(socket.SHUT_WR)
        readable, _, _ = select.select([self.connection, server.over.sound], [], [])
        if self.connection in readable and self._has_bytes():
            server.host.ledger.unread()
            self._reset()
        return False

    def _has_bytes(self) -> bool:
        """Whether the client has sent something (and not gone away), without reading it."""
        # Past the TLS layer, which has no way to look without reading.
        return bool(socket.socket.recv(self.connection, 1, socket.MSG_PEEK))

    def _answer(self) -> None:
        """Read the rest of a request, and answer it as the script wants."""
        host, fault = self.server.host, self._fault
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = f"{self.requestline}\n{self.headers}\n{body.decode(errors='replace')}"
        # Its parts are: version, trace id, span id, flags.
        parts = (self.headers.get("traceparent") or "").split("-")
        host.ledger.read(text, parts[2] if len(parts) == 4 else None)
        errand, _, number = self.headers.get(ERRAND, "").partition(" ")
        if errand == TOUR:
            host.ledger.toured(int(number), self.path)
        if fault is not None:
            host.ledger.misbehaved(fault)
        if fault is Fault.UNAVAILABLE:
            self._send(Reply(503, {"error": "come back"}, {"Retry-After": _retry_after()}))
            return
        reply = host.api.reply(self._request(body))
        if fault is Fault.RESET_PROCESSED:
            self._reset()
            return
        if fault is Fault.STALL:
            # Nobody waits for this answer any more, so none is sent.
            self.server.going_down.wait(STALL)
            self._reset()
            return
        self._send(reply)

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

    def _request(self, body: bytes) -> Request:
        url = urlsplit(self.path)
        return Request(
            self.command,
            url.path,
            dict(parse_qsl(url.query)),
            self.headers,  # type: ignore[arg-type]
            json.loads(body) if body else None,
        )

    def _send(self, reply: Reply) -> None:
        """Send an answer in one piece."""
        host = self.server.host
        body = json.dumps(reply.document).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **reply.headers,
        }
        if host.cookie() not in (self.headers.get("Cookie") or ""):
            headers["Set-Cookie"] = f"session={host.cookie()}; Path=/; Secure; HttpOnly"
        phrase = HTTPStatus(reply.status).phrase
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        # Counted first: the client may count its answer before this thread runs again.
        host.ledger.answered(reply.status)
        try:
            self.wfile.write(f"HTTP/1.1 {reply.status} {phrase}\r\n{head}\r\n".encode() + body)
        except OSError:
            self.close_connection = True  # the client didn't wait for it

    def _reset(self) -> None:
        """Close the connection so that the client gets a TCP reset, now."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()  # which would keep the socket open
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Print nothing: the terminal is the demo's."""


def _retry_after() -> str:
    """At most a second, in the two forms by turns: seconds, and a date (which has no fractions)."""
    now = time.time()
    return "1" if int(now) % 2 else formatdate(int(now) + 1, usegmt=True)
