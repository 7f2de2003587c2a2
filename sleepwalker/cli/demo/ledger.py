"""What one host counts, on its own: the half of the proof that the client has no part in.

Rules:

1. Nothing here comes from the client but the bytes that it sent.
2. A count is made when the thing happens, under one lock; `counts` is a frozen copy.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sleepwalker.cli.demo.planted import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sleepwalker.cli.demo.planted import Planted

ERRORS_KEPT = 5
"""How many of a host's own errors are kept as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounts:
    """What a host has counted so far."""

    name: str
    url: str
    read: int = 0
    """Requests that it read whole."""
    unread: int = 0
    """Requests that arrived and that it reset without reading."""
    arrived: int = 0
    """TCP connections, whatever became of them, over all its life."""
    connections: int = 0
    """TLS connections, over all its life."""
    open: int = 0
    """TLS connections that are open now."""
    statuses: Mapping[int, int] = field(default_factory=dict)
    """Answers sent, by status."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """Misbehaviour, by kind."""
    created: tuple[int, ...] = ()
    """The numbers of the reviews that were created, once for each time."""
    accompanied: int = 0
    """Reviews that were created by a request with the header that says so."""
    toured: int = 0
    """Resources that tours asked for: each counts once a tour, however often it was asked for."""
    resent: int = 0
    """Requests to create a review that came again with their key, and created nothing."""
    own: Mapping[str, int] = field(default_factory=dict)
    """Requests that carried a secret of this host's, by kind."""
    leaked: Mapping[str, int] = field(default_factory=dict)
    """Requests that carried a secret of another host's, by kind."""
    errors: tuple[str, ...] = ()
    """What went wrong in the host itself."""


class Ledger:
    """Counts for one host.

    :param name: the host's name
    :param planted: the secrets, to tell its own from others'
    :param saw: called with the span id that each request that is read carries (or `None`)
    """

    def __init__(self, name: str, planted: Planted, saw: Callable[[str | None], None]) -> None:
        self.name = name
        self.url = ""
        self._planted = planted
        self._saw = saw
        self._lock = threading.Lock()
        self._read = self._unread = self._resent = self._accompanied = 0
        self._arrived = self._connections = self._open = 0
        self._tour = self._toured = 0
        self._targets: set[str] = set()
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._own: Counter[str] = Counter()
        self._leaked: Counter[str] = Counter()
        self._created: list[int] = []
        self._errors: list[str] = []

    def arrived(self) -> None:
        """A TCP connection has come in."""
        with self._lock:
            self._arrived += 1

    def opened(self) -> None:
        """A TLS connection was opened."""
        with self._lock:
            self._connections += 1
            self._open += 1

    def closed(self) -> None:
        """A TLS connection was closed."""
        with self._lock:
            self._open -= 1

    def unread(self) -> None:
        """A request arrived and is reset without being read."""
        with self._lock:
            self._unread += 1

    def read(self, text: str, span_id: str | None) -> None:
        """A request was read whole.

        :param text: all of it: line, headers and body
        :param span_id: of its `traceparent`
        """
        found = self._planted.found_in(text)
        own = {owned.kind for owned in found if owned.owner == self.name}
        leaked = {owned.kind for owned in found if owned.owner != self.name}
        with self._lock:
            self._read += 1
            self._own.update(own)
            self._leaked.update(leaked)
        self._saw(span_id)

    def toured(self, tour: int, target: str) -> None:
        """A tour has asked for a resource.

        :param tour: its number; a tour begins when all that the one before asked for was read
        """
        with self._lock:
            if tour > self._tour:
                self._tour, self._targets = tour, set()
            if tour == self._tour and target not in self._targets:
                self._targets.add(target)
                self._toured += 1

    def answered(self, status: int) -> None:
        """An answer was sent."""
        with self._lock:
            self._statuses[status] += 1

    def misbehaved(self, fault: str) -> None:
        """A fault of the script happened."""
        with self._lock:
            self._faults[fault] += 1

    def created(self, number: int, *, accompanied: bool) -> None:
        """A review was created: the one that the client asked for under this number.

        :param accompanied: whether the header that says so came along
        """
        with self._lock:
            self._created.append(number)
            self._accompanied += accompanied

    def resent(self) -> None:
        """A review was asked for again, with its key."""
        with self._lock:
            self._resent += 1

    def failed(self, error: str) -> None:
        """Something went wrong in the host itself."""
        with self._lock:
            if len(self._errors) < ERRORS_KEPT:
                self._errors.append(error)

    def counts(self) -> HostCounts:
        """A copy of all counts."""
        with self._lock:
            return HostCounts(
                name=self.name,
                url=self.url,
                read=self._read,
                unread=self._unread,
                arrived=self._arrived,
                connections=self._connections,
                open=self._open,
                statuses=dict(self._statuses),
                faults=dict(self._faults),
                created=tuple(self._created),
                accompanied=self._accompanied,
                toured=self._toured,
                resent=self._resent,
                own={kind: self._own[kind] for kind in KINDS},
                leaked={kind: self._leaked[kind] for kind in KINDS},
                errors=tuple(self._errors),
            )
