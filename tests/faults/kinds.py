"""The kinds of requests, and how the answer to one is told from every other.

Rule: every request has a mark of its own, and the server's whole answer follows from mark and body,
so that a part of an answer, or another's, is never taken for it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Request

MARK: Final = "X-Mark"
"""The header that says which request this is."""
KEY: Final = "Idempotency-Key"
_PARTS: Final = 8
"""Of a streamed body."""


@dataclass(frozen=True)
class Kind:
    """One way to send."""

    name: str
    """The table's heading."""
    label: str
    """The page's."""
    method: str
    body: bool = False
    keyed: bool = False
    streamed: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether a server may process it twice: idempotent (RFC 9110), or under a key."""
        return self.method != "POST" or self.keyed


KINDS: Final = (
    Kind("GET", "GET", "GET"),
    Kind("PUT", "PUT", "PUT", body=True),
    Kind("DELETE", "DELETE", "DELETE"),
    Kind("POST", "POST", "POST", body=True),
    Kind("KEYED", "POST with a key", "POST", body=True, keyed=True),
    Kind("STREAM", "streamed PUT", "PUT", body=True, streamed=True),
)


@dataclass(frozen=True)
class Sent:
    """One request that a client is asked to send."""

    kind: Kind
    mark: str
    size: int = 4096
    """Bytes of its body, if it has one."""

    @cached_property
    def body(self) -> bytes:
        """Its body: no two requests have the same."""
        if not self.kind.body:
            return b""
        line = f"{self.mark}\n".encode()
        return (line * (self.size // len(line) + 1))[: self.size]

    @property
    def data(self) -> bytes | Iterator[bytes] | None:
        """Its body as a client gets it: bytes, or an iterator that can't be wound back."""
        body = self.body
        if not self.kind.streamed:
            return body or None
        part = len(body) // _PARTS
        return iter([body[start : start + part] for start in range(0, len(body), part)])

    @property
    def headers(self) -> dict[str, str]:
        """What goes along, without the key."""
        return {MARK: self.mark}

    @property
    def key(self) -> str | None:
        """Its idempotency key."""
        return f"key-of-{self.mark}" if self.kind.keyed else None


def whole_answer(mark: str, body: bytes) -> bytes:
    """Give the body of the answer to a request."""
    told = {
        "mark": mark,
        "read": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "filling": "." * 800,
    }
    return json.dumps(told).encode()


def answer_to(request: Request) -> bytes:
    """Give the body of the answer to a request that a server has read."""
    return whole_answer(request.headers.get(MARK, ""), request.body)
