"""The server of the run over sockets: workers behind a queue, in a process of its own.

`StormServer` starts it; run as a script, this file is it.

Rules:

1. It is the simulation's server: first come, first served, whether or not the client still waits.
2. It counts what reaches it; nobody else's count is believed.
3. It ends when its standard input does: when its parent closes that, or has ended in any way.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import random
import socket
import subprocess
import sys
import threading
import time
from typing import Final, Self

HOST: Final = "127.0.0.1"
PATH: Final = "/tasks"
_END: Final = b"\r\n\r\n"
_PATIENCE: Final = 10.0


class StormServer:
    """The server's process, inside a ``with`` block.

    :param workers: how many requests it works on at once
    :param service: seconds that one takes
    :ivar url: its origin
    """

    def __init__(self, *, workers: int, service: float) -> None:
        # -I: no folder or setting of the caller's decides what the server imports.
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", __file__, str(workers), str(service)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.port = int(self._process.stdout.readline())
        self.url = f"http://{HOST}:{self.port}"

    def received(self) -> int:
        """How many requests have reached it."""
        return int(self._ask("/received"))

    def fail(self, part: float) -> None:
        """Answer this part of the requests with a 503 from here on, chosen by a seed."""
        self._ask(f"/fail/{part}")

    def stall(self, seconds: float) -> None:
        """Do nothing for so long."""
        self._ask(f"/stall/{seconds}")

    def _ask(self, target: str) -> bytes:
        asked = http.client.HTTPConnection(HOST, self.port, timeout=_PATIENCE)
        try:
            asked.request("GET", target)
            return asked.getresponse().read()
        finally:
            asked.close()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _answer(status: str, body: bytes = b"{}") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + _END + body


_OK: Final = _answer("200 OK")
_FAILED: Final = _answer("503 Service Unavailable")


class _Works:
    """What all connections share."""

    def __init__(self, workers: int, service: float) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._received = 0
        self._failing = 0.0
        self._random = random.Random(0)  # noqa: S311 - which requests fail
        self._queue: queue.SimpleQueue[tuple[socket.socket, bytes]] = queue.SimpleQueue()
        self._going = threading.Event()
        self._going.set()
        for _ in range(workers):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            sock, answer = self._queue.get()
            self._going.wait()
            time.sleep(self._service)
            self._going.wait()
            # The client may have gone.
            with contextlib.suppress(OSError):
                sock.sendall(answer)

    def serve(self, sock: socket.socket) -> None:
        """Take the requests of one connection until its client closes it."""
        received = b""
        with sock, contextlib.suppress(OSError):
            while True:
                head, end, rest = received.partition(_END)
                if end:
                    received = rest
                    self._take(sock, head.split(b" ", 2)[1].decode())
                elif more := sock.recv(65536):
                    received += more
                else:
                    return

    def _take(self, sock: socket.socket, target: str) -> None:
        name, _, value = target[1:].partition("/")
        if name == "received":
            sock.sendall(_answer("200 OK", str(self._received).encode()))
        elif name == "fail":
            with self._lock:
                self._failing = float(value)
            sock.sendall(_OK)
        elif name == "stall":
            self._going.clear()
            threading.Timer(float(value), self._going.set).start()
            sock.sendall(_OK)
        else:
            with self._lock:
                self._received += 1
                failed = self._random.random() < self._failing
            if failed:
                # At once: what fails is not what it has workers for.
                sock.sendall(_FAILED)
            else:
                self._queue.put((sock, _OK))


def _accept(listener: socket.socket, works: _Works) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=works.serve, args=(sock,), daemon=True).start()


def main() -> None:
    """Serve until standard input ends."""
    works = _Works(int(sys.argv[1]), float(sys.argv[2]))
    listener = socket.create_server((HOST, 0), backlog=1024)
    threading.Thread(target=_accept, args=(listener, works), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
