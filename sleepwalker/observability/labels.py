"""Which (host, auth) pools have metric series of their own, and under which names.

Rules:

1. The first `LABELLED_POOLS` pairs keep their names for the process's life; the rest share
   ``_other`` and are counted, so that a service that talks to many hosts can't flood Prometheus.
2. Two identities on one host never share a series: the second ``basic`` becomes ``basic#2``.
3. A name is never made from a secret: it is a scheme, a class name, or what the caller chose.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sleepwalker.observability.events import Pool
from sleepwalker.observability.names import LABELLED_POOLS, OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Hashable


REMEMBERED = 10_000
"""How many of the pools that share ``_other`` are known, before all of them are forgotten."""


class LabelSpace:
    """Gives pools their names; one for each metrics registry."""

    def __init__(self, limit: int = LABELLED_POOLS) -> None:
        self._limit = limit
        self._lock = threading.RLock()
        self._named: dict[tuple[str, str, Hashable], tuple[str, str]] = {}
        self._taken: set[tuple[str, str]] = set()
        self._others: set[int] = set()
        self.overflowed = 0
        """How many pools share ``_other``; one that was forgotten among too many counts again."""

    def renew_lock(self) -> None:
        """Take a new lock: in a forked child the old one may be held by no one."""
        self._lock = threading.RLock()

    def pool(self, host: str, auth: str, identity: Hashable) -> Pool:
        """The name of a pool.

        :param host: the host as shown
        :param auth: the auth's scheme, class name or label
        :param identity: what tells this auth from another under the same name
        """
        key = (host, auth, identity)
        series = self._named.get(key)
        if series is None:
            with self._lock:
                series = self._named.get(key)
                if series is None and len(self._named) < self._limit:
                    nth = 1
                    series = (host, auth)
                    while series in self._taken:
                        nth += 1
                        series = (host, f"{auth}#{nth}")
                    self._taken.add(series)
                    self._named[key] = series
                elif series is None:
                    self._count_other(hash(key))
                    return Pool(host, auth, (OVERFLOW, OVERFLOW))
        return Pool(host, series[1], series)

    def _count_other(self, key: int) -> None:
        """Count a pool that has no name of its own: by a hash, which keeps no auth alive."""
        if key in self._others:
            return
        self.overflowed += 1
        if len(self._others) >= REMEMBERED:
            self._others = set()
        self._others.add(key)
