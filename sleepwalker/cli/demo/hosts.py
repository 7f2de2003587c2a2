"""The sockets of a host: TLS, keep-alive, the faults of the script, restarts; all counted.

Rules:

1. Every request that reaches a host is counted exactly once: as read, or as arrived and unread.
   That is why a fault is drawn when the first bytes are there and before any is read, and why a
   host that goes down closes its writing side first and looks whether a request still comes.
2. A restart is a real one: the listening socket is closed, connecting is refused, and the same port
   listens again later. Meanwhile a socket that doesn't listen keeps the port from others.
3. A connection's thread never outlives its host: `stop` wakes and joins them all.
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

from sleepwalker.cli.demo.apis import Reply, Request
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
LINGER = 0.5
"""Seconds that a connection of a host that goes down is watched for a last request."""
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
        self.address: tuple[str, int] = self._listener.address
        self.url = ledger.url = f"https://{address}:{self.address[1]}"
        self._cookie = planted.new(self.name, COOKIE)

    def start(self) -> None:
        """Listen."""
        self._listener.start()
        self.up = True

    def restart(self, down: float, stopping: threading.Event) -> None:
        """Go down and come back.

        :param down: seconds to be away, or longer, until the last connection has ended
        :param stopping: cuts it short
        """
        self.ledger.misbehaved(RESTART)
        self.up = False
        self._listener.stop_listening()
        with socket.socket() as placeholder:
            placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            placeholder.bind(self.address)
            back = time.monotonic() + down
            self._listener.end()
            stopping.wait(max(back - time.monotonic(), 0.0))
            self._listener = _Listener(self.address, self)
        self.start()

    def stop(self) -> None:
        """Stop listening, and end every connection."""
        self.up = False
        self._listener.stop_listening()
        self._listener.end()

    def cookie(self) -> str:
        """The cookie that a client is given when it comes without one."""
        return self._cookie


class _Listener(socketserver.TCPServer):
    """A listening socket and the connections that came through it."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], host: Host) -> None:
        super().__init__(address, _Exchanges)
        self.host = host
        self.address: tuple[str, int] = self.server_address  # type: ignore[assignment]
        self.ending = threading.Event()
        # Its reading end becomes readable for all threads at once when the host goes down.
        self.wake, self._waker = socket.socketpair()
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

    def end(self) -> None:
        """End the connections: each when its exchange is over."""
        if self.ending.is_set():
            return
        self.ending.set()
        self._waker.send(b".")
        for thread in self._threads:
            thread.join()
        self.wake.close()
        self._waker.close()

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
        try:
            request.settimeout(PATIENCE)
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
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
        readable, _, _ = select.select([self.connection, self.server.wake], [], [])
        if self.connection in readable:
            return self._has_bytes()
        self.connection.shutdown(socket.SHUT_WR)
        readable, _, _ = select.select([self.connection], [], [], LINGER)
        if readable and self._has_bytes():
            self.server.host.ledger.unread()
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
            self.server.ending.wait(STALL)
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
