"""The server that all subjects talk to: a process of its own that costs little, the same for all.

`Server` starts it; run as a script, this file is it.

Rules:

1. It answers GETs and POSTs with the document at that path (one of them with a 404), over http and,
   given a certificate, https on loopback, and keeps connections alive unless it is told not to.
2. It keeps account of requests and connections, so that nobody can have sent less than they say.
3. It ends when its standard input does: when its parent closes that, or has ended in any way.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

if TYPE_CHECKING:
    from pathlib import Path

HOST: Final = "127.0.0.1"
PATH: Final = "/books/17"
DOCUMENT: Final[dict[str, Any]] = {
    "id": 17,
    "title": "The Third Policeman",
    "author": {"name": "Flann O'Brien", "href": "/authors/4"},
    "published": 1967,
    "tags": ["novel", "absurd", "bicycles"],
    "rating": 4.25,
    "in_print": True,
    "reviews": {"count": 3, "href": "/books/17/reviews"},
}
LARGE_PATH: Final = "/books"
LARGE: Final = [{**DOCUMENT, "id": number} for number in range(397)]
"""100 KB, as JSON."""
MISSING_PATH: Final = "/books/0"
MISSING: Final = {"error": "no such book"}
"""What comes with a 404."""
DOCUMENTS: Final[dict[str, Any]] = {PATH: DOCUMENT, LARGE_PATH: LARGE, MISSING_PATH: MISSING}
_ACCOUNT: Final = b"/account"
_BOOKS: Final = b"/books"
"""What stands before it in a path is a tenant's, who has the same documents."""
_END: Final = b"\r\n\r\n"
_CLOSE: Final = b"\r\nconnection: close"
_LENGTH: Final = b"\r\ncontent-length:"
_PATIENCE: Final = 10.0
"""Seconds to wait for the process to start or end."""


class Account(NamedTuple):
    """What the server has been asked for."""

    requests: int
    """Requests for documents."""
    connections: int
    """Connections that at least one of them came by."""


class Server:
    """The server's process, inside a ``with`` block.

    :param certificate: a file with its certificate and key, if it is to speak https too
    :ivar url: its origin
    :ivar secure_url: that of https, if there is one
    """

    def __init__(self, certificate: Path | None = None) -> None:
        # -I: no folder or setting of the caller's decides what the server imports.
        command = [sys.executable, "-I", __file__, *([str(certificate)] if certificate else [])]
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.port, secure = json.loads(self._process.stdout.readline())
        self.url = f"http://{HOST}:{self.port}"
        self.secure_url = f"https://{HOST}:{secure}" if secure else None

    def account(self) -> Account:
        """What it has been asked for up to now."""
        asked = http.client.HTTPConnection(HOST, self.port, timeout=_PATIENCE)
        try:
            asked.request("GET", _ACCOUNT.decode())
            return Account(*json.loads(asked.getresponse().read()))
        finally:
            asked.close()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _answer(body: bytes, status: str = "200 OK") -> bytes:
    head = (
        f"HTTP/1.1 {status}",
        "Server: benchmarks",
        "Date: Thu, 01 Jan 2026 00:00:00 GMT",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + _END + body


_ANSWERS: Final = {
    path.encode(): _answer(
        json.dumps(document).encode(), "404 Not Found" if path == MISSING_PATH else "200 OK"
    )
    for path, document in DOCUMENTS.items()
}


def _length(head: bytes) -> int:
    """How many bytes follow a request's head."""
    if head.startswith(b"GET "):
        return 0
    _, _, value = head.lower().partition(_LENGTH)
    return int(value.partition(b"\r\n")[0])


class _Visit:
    """One connection; only its own thread writes to it, so that no count is lost."""

    def __init__(
        self, sock: socket.socket, all_of_them: list[_Visit], context: ssl.SSLContext | None
    ) -> None:
        self.answered = 0
        self._sock = sock
        self._all = all_of_them
        self._context = context

    def serve(self) -> None:
        """Answer requests until the connection is closed, by whomever and however."""
        with suppress(ConnectionError, ssl.SSLError):
            if self._context is not None:
                self._sock = self._context.wrap_socket(self._sock, server_side=True)
            with self._sock as sock:
                self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        received = b""
        while True:
            head, end, rest = received.partition(_END)
            length = _length(head) if end else 0
            if end and len(rest) >= length:
                received = rest[length:]
                closing = _CLOSE in head.lower()
                answer = self._answer_to(head)
                sock.sendall(answer.replace(_END, _CLOSE + _END, 1) if closing else answer)
                if closing:
                    return
            elif more := sock.recv(65536):
                received += more
            else:
                return

    def _answer_to(self, head: bytes) -> bytes:
        target = head.split(b" ", 2)[1]
        if target == _ACCOUNT:
            answered = [visit.answered for visit in self._all if visit.answered]
            return _answer(json.dumps([sum(answered), len(answered)]).encode())
        self.answered += 1
        return _ANSWERS[target[target.index(_BOOKS) :]]


def _accept(listener: socket.socket, visits: list[_Visit], context: ssl.SSLContext | None) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        visit = _Visit(sock, visits, context)
        visits.append(visit)
        threading.Thread(target=visit.serve, daemon=True).start()


def _listen(visits: list[_Visit], context: ssl.SSLContext | None = None) -> int:
    """Accept at a port of its own."""
    listener = socket.create_server((HOST, 0), backlog=128)
    threading.Thread(target=_accept, args=(listener, visits, context), daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, who then ends
    visits: list[_Visit] = []
    ports = [_listen(visits), None]
    for certificate in sys.argv[1:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        ports[1] = _listen(visits, context)
    print(json.dumps(ports), flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
