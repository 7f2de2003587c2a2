"""Name resolution by script: names that don't resolve, stall, or have several addresses.

Rule: only names under `.test` are answered here; whatever else is asked goes to the system.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

DOMAIN: Final = ".test"

Lookup = "Sequence[int] | OSError | threading.Event"
"""What one lookup gives: ports of 127.0.0.1 (instead of the one asked for), an error, or nothing
until an event."""


class Resolver:
    """Stands in for `socket.getaddrinfo` inside a `with`."""

    def __init__(self) -> None:
        """Know no names."""
        self._lock = threading.Lock()
        self._lookups: dict[str, deque[Sequence[int] | OSError | threading.Event]] = {}
        self._system: Any = None

    def __enter__(self) -> Self:
        """Take over."""
        self._system = socket.getaddrinfo
        socket.getaddrinfo = self.getaddrinfo
        return self

    def __exit__(self, *_: object) -> None:
        """Give back."""
        socket.getaddrinfo = self._system

    def tell(self, host: str, *lookups: Sequence[int] | OSError | threading.Event) -> None:
        """Let the next lookups of `host` give these; the last is given ever after."""
        assert host.endswith(DOMAIN)
        with self._lock:
            self._lookups[host] = deque(lookups)

    def getaddrinfo(self, host: Any, *arguments: Any, **options: Any) -> Any:
        """Do as `socket.getaddrinfo` does."""
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str) or not name.endswith(DOMAIN):
            return self._system(host, *arguments, **options)
        with self._lock:
            lookups = self._lookups.get(name)
            if not lookups:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            found = lookups.popleft() if len(lookups) > 1 else lookups[0]
        if isinstance(found, threading.Event):
            found.wait()
            found = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if isinstance(found, OSError):
            raise found
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*stream, ("127.0.0.1", port)) for port in found]
