"""The server that all subjects talk to: a process of its own that costs little, the same for all.

`Server` starts it; run as a script, this file is it.

Rules:

1. It answers GETs with one document, over plain http on loopback, and keeps connections alive.
2. It keeps account of requests and connections, so that nobody can have sent less than they say.
3. It ends when its standard input does: when its parent closes that, or has ended in any way.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from typing import Any, Final, NamedTuple, Self

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
_ACCOUNT: Final = b"/account"
_END: Final = b"\r\n\r\n"
_PATIENCE: Final = 10.0
"""Seconds to wait for the process to start or end."""


class Account(NamedTuple):
    """What the server has been asked for."""

    requests: int
    """Requests for the document."""
    connections: int
    """Connections that at least one of them came by."""


class Server:
    """The server's process, inside a ``with`` block.

    :ivar url: its origin
    """

    def __init__(self) -> None:
        # -I: no folder or setting of the caller's decides what the server imports.
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.port = int(self._process.stdout.readline())
        self.url = f"http://{HOST}:{self.port}"

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


def _answer(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK",
        "Server: benchmarks",
        "Date: Thu, 01 Jan 2026 00:00:00 GMT",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + _END + body


_ANSWER: Final = _answer(json.dumps(DOCUMENT).encode())


class _Visit:
    """One connection; only its own thread writes to it, so that no count is lost."""

    def __init__(self, sock: socket.socket, all_of_them: list[_Visit]) -> None:
        self.answered = 0
        self._sock = sock
        self._all = all_of_them

    def serve(self) -> None:
        """Answer requests until the connection is closed."""
        received = b""
        with self._sock as sock:
            while True:
                head, end, rest = received.partition(_END)
                if end:
                    received = rest
                    sock.sendall(self._answer_to(head))
                elif more := sock.recv(65536):
                    received += more
                else:
                    return

    def _answer_to(self, head: bytes) -> bytes:
        method, target = head.split(b" ", 2)[:2]
        if method != b"GET":
            # The bytes of a body would be taken for the next request.
            msg = "the benchmarks' server only answers GETs"
            raise ValueError(msg)
        if target == _ACCOUNT:
            answered = [visit.answered for visit in self._all if visit.answered]
            return _answer(json.dumps([sum(answered), len(answered)]).encode())
        self.answered += 1
        return _ANSWER


def _accept(listener: socket.socket) -> None:
    visits: list[_Visit] = []
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        visit = _Visit(sock, visits)
        visits.append(visit)
        threading.Thread(target=visit.serve, daemon=True).start()


def main() -> None:
    """Serve until standard input ends."""
    listener = socket.create_server((HOST, 0), backlog=128)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
