"""Where the span ids that hosts have read meet those of the client's attempts.

Rules:

1. The span of each attempt has an id that travels in `traceparent`. A request that a host read and
   an attempt of the client's are one only if their ids are.
2. Only ids without a partner (yet) are kept, so that a long run needs little more memory than a
   short one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """The requests that hosts read beside the attempts that the client has spans of, by id."""

    matched: int = 0
    """Known to both."""
    read_only: int = 0
    """Read by a host, but no attempt of the client's, or read twice."""
    attempts_only: int = 0
    """Attempts that no host has read."""


class Meeting:
    """Where span ids from both sides meet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: set[str] = set()
        self._attempts: set[str] = set()
        self._matched = self._nameless = 0

    def read(self, span_id: str | None) -> None:
        """A host has read a request that carries this id (or none)."""
        with self._lock:
            if span_id is None or span_id in self._read:
                self._nameless += 1
            elif span_id in self._attempts:
                self._attempts.remove(span_id)
                self._matched += 1
            else:
                self._read.add(span_id)

    def attempted(self, span_id: str) -> None:
        """An attempt of the client's with this id has ended."""
        with self._lock:
            if span_id in self._read:
                self._read.remove(span_id)
                self._matched += 1
            else:
                self._attempts.add(span_id)

    def matches(self) -> Matches:
        """How the ids stand to each other now."""
        with self._lock:
            return Matches(
                matched=self._matched,
                read_only=len(self._read) + self._nameless,
                attempts_only=len(self._attempts),
            )
