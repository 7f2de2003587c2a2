"""The hosts that are traversed: one process that costs little, with an origin for each port.

`Web` starts it; run as a script, this file is it.

Rules:

1. Resource n is a HAL document at the origin n modulo their number; all of them are found by
   following ``item`` from resource 0, which mostly leads to another origin, and often to what is
   known already.
2. It keeps account of requests and connections, so that nobody can have got less than they say.
3. It ends when its standard input does: when its parent closes that, or has ended in any way.
"""

from __future__ import annotations

import http.client
import json
import selectors
import signal
import socket
import subprocess
import sys
import threading
from typing import Any, Final, NamedTuple, Self

HOST: Final = "127.0.0.1"
REL: Final = "item"
"""The relation to follow."""
_ACCOUNT: Final = b"/account"
_END: Final = b"\r\n\r\n"
_PATIENCE: Final = 10.0
"""Seconds to wait for the process to start or end."""


class WebAccount(NamedTuple):
    """What the hosts have been asked for."""

    requests: int
    """Requests for resources."""
    different: int
    """Resources that were asked for."""
    connections: int
    """Connections that were opened."""


class Web:
    """The hosts' process, inside a ``with`` block.

    :param hosts: how many origins
    :param resources: how many resources in all
    :param padding: bytes by which each is longer than it needs to be
    :ivar origins: of the hosts
    :ivar start: the URL of resource 0
    :ivar resources: how many resources in all
    """

    def __init__(self, hosts: int, resources: int, padding: int = 0) -> None:
        # -I: no folder or setting of the caller's decides what the server imports.
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", __file__, str(hosts), str(resources), str(padding)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.resources = resources
        self._ports: list[int] = json.loads(self._process.stdout.readline())
        self.origins = [_origin(port) for port in self._ports]
        self.start = self.origins[0] + _path(0)

    def account(self) -> WebAccount:
        """What was asked for since this was asked the last time."""
        asked = http.client.HTTPConnection(HOST, self._ports[0], timeout=_PATIENCE)
        try:
            asked.request("GET", _ACCOUNT.decode())
            return WebAccount(*json.loads(asked.getresponse().read()))
        finally:
            asked.close()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _origin(port: int) -> str:
    return f"http://{HOST}:{port}"


def _path(number: int) -> str:
    return f"/items/{number}"


def document(number: int, ports: list[int], resources: int, padding: int = 0) -> dict[str, Any]:
    """One resource: its own number, and links to four others."""
    # The first two make a tree, so that everything is found; the others lead to what is known.
    others = (2 * number + 1, 2 * number + 2, 7 * number + 3, number + 20)
    return {
        "number": number,
        "title": f"The resource that is number {number}",
        "tags": ["loopback", "small", "linked"],
        "rating": 4.25,
        "in_print": True,
        **({"text": "x" * padding} if padding else {}),
        "_links": {
            "self": {"href": _path(number)},
            REL: [
                {"href": _origin(ports[other % len(ports)]) + _path(other)}
                for other in others
                if other < resources
            ],
        },
    }


def _answer(body: bytes, kind: str) -> bytes:
    head = (
        "HTTP/1.1 200 OK",
        "Server: benchmarks",
        "Date: Thu, 01 Jan 2026 00:00:00 GMT",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + _END + body


class _Hosts:
    """All of them, in one thread."""

    def __init__(self, hosts: int, resources: int, padding: int) -> None:
        self._listeners = [socket.create_server((HOST, 0), backlog=128) for _ in range(hosts)]
        self.ports = [each.getsockname()[1] for each in self._listeners]
        self._answers: list[dict[bytes, bytes]] = [{} for _ in range(hosts)]
        for number in range(resources):
            body = json.dumps(document(number, self.ports, resources, padding)).encode()
            self._answers[number % hosts][_path(number).encode()] = _answer(
                body, "application/hal+json"
            )
        self._requests = self._connections = 0
        self._different: set[bytes] = set()
        self._selector = selectors.DefaultSelector()
        for index, listener in enumerate(self._listeners):
            self._selector.register(listener, selectors.EVENT_READ, (index, None))

    def serve(self) -> None:
        """Serve until the process ends."""
        while True:
            for key, _ in self._selector.select():
                index, received = key.data
                if received is None:
                    self._accept(key.fileobj, index)
                else:
                    self._read(key.fileobj, index, received)

    def _accept(self, listener: Any, index: int) -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections += 1
        self._selector.register(sock, selectors.EVENT_READ, (index, bytearray()))

    def _read(self, sock: Any, index: int, received: bytearray) -> None:
        try:
            more = sock.recv(65536)
        except ConnectionError:
            more = b""
        if not more:
            self._selector.unregister(sock)
            sock.close()
            return
        received += more
        while (end := received.find(_END)) >= 0:
            method, target = bytes(received[:end]).split(b" ", 2)[:2]
            del received[: end + len(_END)]
            if method != b"GET":
                # The bytes of a body would be taken for the next request.
                msg = "the benchmarks' hosts only answer GETs"
                raise ValueError(msg)
            # Small enough to be written at once.
            sock.sendall(self._answer_to(index, target))

    def _answer_to(self, index: int, target: bytes) -> bytes:
        answer = self._answers[index].get(target)
        if answer is not None:
            self._requests += 1
            self._different.add(target)
            return answer
        if target != _ACCOUNT:
            msg = f"no such resource: {target!r}"
            raise ValueError(msg)
        # Less the connection that asks.
        told = [self._requests, len(self._different), self._connections - 1]
        self._requests = self._connections = 0
        self._different.clear()
        return _answer(json.dumps(told).encode(), "application/json")


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, who then ends
    hosts = _Hosts(*map(int, sys.argv[1:]))
    threading.Thread(target=hosts.serve, daemon=True).start()
    print(json.dumps(hosts.ports), flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
