"""Ports on loopback: that accept connections, refuse them, or leave them unanswered."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BACKLOG: Final = 128


class Listener:
    """A listening socket and the thread that accepts from it."""

    def __init__(self, address: tuple[str, int], accept: Callable[[socket.socket], None]) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._sock = socket.create_server(address, family=family, backlog=_BACKLOG)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted ones inherit it
        self.port: Final[int] = self._sock.getsockname()[1]
        self._accept = accept
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"accept {self.port}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # A client may be gone again before it is accepted.
        self._sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while all(key.fileobj is self._sock for key, _ in selector.select()):
                try:
                    sock, _ = self._sock.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue
                sock.setblocking(True)  # noqa: FBT003 - the standard library's own signature
                self._accept(sock)

    def close(self) -> None:
        """Stop listening and join the thread."""
        self._waker.send(b"\0")
        self._thread.join()
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptors."""
        for sock in (self._sock, self._wake, self._waker):
            sock.close()


@contextmanager
def refused_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Give a port on which every connection is refused, and that nobody else can get meanwhile."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))  # bound, never listening
        yield sock.getsockname()[1]


@contextmanager
def unanswered_port(*hosts: str, port: int = 0) -> Iterator[int]:
    """Give a port whose queue is full on each of these: connecting to it gets no answer at all.

    Any free one by default.
    """
    with ExitStack() as stack:
        for host in hosts or ("127.0.0.1",):
            listener = stack.enter_context(socket.create_server((host, port), backlog=0))
            port = listener.getsockname()[1]
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)  # noqa: FBT003 - the standard library's own signature
                waiting.connect_ex((host, port))
        yield port
