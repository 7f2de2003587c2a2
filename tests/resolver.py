"""A resolver that says what a test wants, and counts how often it was asked."""

from __future__ import annotations

import ipaddress
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


class Resolver:
    """Stands in the place of `socket.getaddrinfo`.

    Names that it was told nothing of, and addresses, are left to the system's.

    :ivar asked: the names it was asked for, in order
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, deque[tuple[str, ...]]] = {}
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def knows(self, name: str, *answers: str | tuple[str, ...]) -> None:
        """Give these answers for a name, each an address or several; the last one for ever."""
        self._answers[name] = deque(
            (answer,) if isinstance(answer, str) else answer for answer in answers
        )

    def __call__(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Answer as `socket.getaddrinfo` does."""
        answers = self._answers.get(host)
        if answers is None:
            return self._system(host, port, *args, **kwargs)
        self.asked.append(host)
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        return [_entry(address, port) for address in answer]


def _entry(address: str, port: int) -> tuple[Any, ...]:
    if ipaddress.ip_address(address).version == 4:
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
    where = (address, port, 0, 0)
    return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
