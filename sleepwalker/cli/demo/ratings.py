"""Ratings: a fourth host beside the three, which is away for longer than any call waits for it.

Every call to the three is to be answered, so they never show an open breaker, a retry that is paid
for, a find that fails, a pool that is given up. What the readers ask this one for, they can do
without. So an operator has something to look at in every panel.

Rules:

1. It takes no part in the proof: it has a manager of its own, and of all instruments the metrics
   alone.
2. Its calls may fail, and what fails is counted, not repeated by us.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sleepwalker.auth import ANONYMOUS
from sleepwalker.cli.demo.apis import NOT_FOUND, SHELF, Reply
from sleepwalker.cli.demo.client import ReadyHook
from sleepwalker.cli.demo.faults import Script
from sleepwalker.cli.demo.hosts import Host
from sleepwalker.cli.demo.ledger import Ledger
from sleepwalker.cli.demo.planted import Planted
from sleepwalker.cli.demo.timetable import PERIOD, RESTART, Happening, Timetable
from sleepwalker.connection import ConnectionManager
from sleepwalker.exceptions import RefusedError, SleepwalkerException
from sleepwalker.resilience.policy import Backoff, Breaker, Policy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from sleepwalker.cli.demo.apis import Request
    from sleepwalker.cli.demo.ledger import HostCounts

RATINGS = "ratings"
ADDRESS = "127.0.0.4"

LEAVES = Happening(0.3, RATINGS, RESTART)
AWAY = 0.4
"""The part of a period for which it is away."""

RATERS = 2
"""How many threads ask it: of two that miss its connection at once, one waits for the other's."""
EVERY = 0.05
"""Seconds between two calls of a thread."""
GIVEN_UP = 5
"""After so many refusals without an answer the connection is given up, and another one is to be
found: which fails as long as the host is away."""

POLICY = Policy(
    attempts=2,
    backoff=Backoff(base=0.02),
    connect_timeout=1.0,
    read_timeout=1.0,
    deadline=2.0,
    breaker=Breaker(calls=3, window=0.5, open_for=0.3),
)
"""The library's defaults, but quicker to give up and to ask again: a demo has to be over soon."""

ANSWERED, REFUSED, FAILED = BECAME = ("answered", "refused", "failed")
"""What becomes of a call."""


class Ratings:
    """What the host answers: whether it is ready, and the rating of each book."""

    name = RATINGS

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        if request.path == "/ready":
            return Reply(200, {"ready": True})
        if match := re.fullmatch(r"/ratings/(\d{1,9})", request.path):
            return Reply(200, {"book": int(match[1]), "stars": int(match[1]) % 5 + 1})
        return NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What both sides have counted."""

    host: HostCounts
    calls: Mapping[str, int]
    """By what became of them, one of `BECAME`."""
    given_up: int
    """Connections that were given up."""


class Side:
    """The host, and the threads that ask it.

    :param tls: the server's context, with a certificate for `ADDRESS`
    :param authority: a file with the certificate authority that it is from
    :param seconds: how long the run is
    :param away: whether the host ever is
    :param told: called with the name of what has happened to the host
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        authority: Path,
        registry: CollectorRegistry,
        *,
        seconds: float,
        away: bool,
        told: Callable[[str], None],
    ) -> None:
        planted = Planted(RATINGS)
        self._host = Host(
            Ratings(),
            ADDRESS,
            tls,
            script=Script(0, RATINGS, on=False),
            ledger=Ledger(RATINGS, planted, lambda _: None),
            planted=planted,
        )
        instruments: dict[str, Any] = {
            "registry": registry,
            "tracer_provider": False,
            "meter_provider": False,
            "logger": False,
        }
        url = self._host.url
        self._manager = ConnectionManager(
            hooks=[
                ReadyHook(url, {url: RATINGS}, verify=str(authority), policy=POLICY, **instruments)
            ],
            policy=POLICY,
            **instruments,
        )
        self._timetable = Timetable(
            {RATINGS: self._host},
            seconds,
            lambda _: told(f"{RATINGS}: goes away for a while"),
            happenings=(LEAVES,),
            down=AWAY * min(seconds, PERIOD),
        )
        self._away = away
        self._calls: Counter[str] = Counter()
        self._refused = self._given_up = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"rater {index}", daemon=True)
            for index in range(1, RATERS + 1)
        ]

    @property
    def url(self) -> str:
        """The host's."""
        return self._host.url

    def start(self) -> None:
        """Begin."""
        self._host.start()
        for thread in self._threads:
            thread.start()
        if self._away:
            self._timetable.start()

    def stop(self) -> None:
        """End the calls, and the host when they have ended."""
        self._stopping.set()
        self._timetable.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._manager.close()
        self._host.stop()

    def counts(self) -> Aside:
        """What both sides have counted; all of it when they have stopped."""
        with self._lock:
            return Aside(
                host=self._host.ledger.counts(), calls=dict(self._calls), given_up=self._given_up
            )

    def _work(self) -> None:
        for book in itertools.cycle(range(1, len(SHELF) + 1)):
            if self._stopping.wait(EVERY):
                return
            if self._in_vain(self._ask(book)):
                self._manager.reset()

    def _in_vain(self, became: str) -> bool:
        """Count what became of a call; whether it is time to give the connection up."""
        with self._lock:
            self._calls[became] += 1
            if became == ANSWERED:
                self._refused = 0
            self._refused += became == REFUSED
            in_vain = became == REFUSED and self._refused == GIVEN_UP
            self._given_up += in_vain
        return in_vain

    def _ask(self, book: int) -> str:
        """Ask for a book's rating; what became of it."""
        url = self._host.url
        try:
            conn = self._manager.find(url, ANONYMOUS)
            conn.json_request("GET", f"/ratings/{book}", name="/ratings/{id}")
        except RefusedError:
            return REFUSED
        except SleepwalkerException:
            return FAILED
        return ANSWERED
