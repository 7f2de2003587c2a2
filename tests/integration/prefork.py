"""The service that `test_prefork.py` has gunicorn serve: what it is asked for, it asks another for.

Rule 1: a request here says what is to be done, in order; the answer says which process did it.
Rule 2: what this process sends carries its id, so that the server behind can tell who counted it.
Rule 3: loaded in gunicorn's master (`--preload`), it is busy there while workers are forked, until
    it is told to stop. It shakes no hands over TLS meanwhile, which no fork survives.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from service import metrics  # type: ignore[import-not-found] # it stands in docs/guides/forking.md

from sleepwalker import (
    ANONYMOUS,
    Backoff,
    Breaker,
    Connection,
    ConnectionHook,
    ConnectionManager,
    HTTPError,
    Policy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

UPSTREAM: Final = os.environ["PREFORK_UPSTREAM"]
"""The https server behind."""
PLAIN: Final = os.environ["PREFORK_PLAIN"]
"""An http server, for the master's threads alone."""
BUNDLE: Final = os.environ["PREFORK_BUNDLE"]
STOP: Final = Path(os.environ["PREFORK_STOP"])
"""The master's threads stop when this is there, and leave what they have counted in its place."""

AUTH: Final = ("reader", "secret")
QUICK: Final = Policy(backoff=Backoff(base=0.001))
FRAGILE: Final = "fragile"
"""The scope in which breakers open and quotas are spent."""
INHERITED: Final = "inherited"
"""The scope in which the master has spent some before it forks."""


def me() -> dict[str, str]:
    """The headers that say who sends."""
    return {"X-Process": str(os.getpid())}


class LogsIn(ConnectionHook):
    """Logs in at the https server before it gives a connection: so that its calls are counted."""

    def connect(self, host: Any, auth: Any) -> Connection:
        if host.startswith(PLAIN):
            return Connection(host, auth, policy=QUICK)
        conn = Connection(host, auth, verify=BUNDLE, policy=QUICK)
        conn.json_request("GET", "/login", extra_headers=me())
        return conn


managers: Final = [ConnectionManager(hooks=[LogsIn()], policy=QUICK) for _ in range(2)]
manager: Final = managers[0]


def call(target: str) -> None:
    """Find, and ask for this."""
    manager.find(UPSTREAM, AUTH).json_request("GET", target, extra_headers=me())


def fail(policy: Policy) -> None:
    """Find, and ask for what can't be had."""
    conn = manager.find(UPSTREAM, AUTH)
    with suppress(HTTPError):
        conn.json_request("GET", "/down", extra_headers=me(), policy=policy)


def exhaust(attempts: str, scope: str = FRAGILE) -> None:
    """Ask for what can't be had, so often: each attempt but the first is paid for."""
    fail(Policy(attempts=int(attempts), backoff=None, breaker=None, scope=scope))


def trip(_: str) -> None:
    """Open a breaker, for longer than any test lasts."""
    fail(Policy(attempts=1, breaker=Breaker(calls=1, open_for=300), scope=FRAGILE))


def mend(_: str) -> None:
    """Open a breaker and have a probe close it."""
    policy = Policy(attempts=1, breaker=Breaker(calls=1, open_for=0.001), scope=FRAGILE)
    fail(policy)
    time.sleep(0.002)
    conn = manager.find(UPSTREAM, AUTH)
    conn.json_request("GET", "/probe", extra_headers=me(), policy=policy)


STEPS: Final[dict[str, Callable[[str], None]]] = {
    "call": call,
    "exhaust": exhaust,
    "trip": trip,
    "mend": mend,
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Do what the query says (rule 1), or show the metrics."""
    if environ["PATH_INFO"] == "/metrics":
        shown: Iterable[bytes] = metrics(environ, start_response)
        return shown
    for step in parse_qs(environ["QUERY_STRING"]).get("do", []):
        name, _, argument = step.partition(" ")
        STEPS[name](argument)
    start_response("200 OK", [("Content-Type", "application/json")])
    pools = sum(len(each.conns) for each in managers)
    return [json.dumps({"pid": os.getpid(), "pools": pools}).encode()]


# --- in the master ---------------------------------------------------------------------------


class Busy:
    """Threads that request, find and scrape until told to stop."""

    def __init__(self) -> None:
        self._requests, self._hits, self._misses = (itertools.count() for _ in range(3))
        manager.find(PLAIN, ANONYMOUS)
        works = (self._request, self._request, self._hit, self._miss, generate_latest, self._scrape)
        self._threads = [threading.Thread(target=self._again, args=(w,)) for w in works]
        for thread in (*self._threads, threading.Thread(target=self._end)):
            thread.daemon = True
            thread.start()

    def _again(self, work: Callable[[], object]) -> None:
        while not STOP.exists():
            work()
            time.sleep(0.005)

    def _request(self) -> None:
        conn = manager.find(PLAIN, ANONYMOUS)
        conn.json_request("GET", "/busy", extra_headers=me())
        next(self._requests)

    def _hit(self) -> None:
        manager.find(PLAIN, ANONYMOUS)
        next(self._hits)

    def _miss(self) -> None:
        managers[1].find(f"{PLAIN}/elsewhere", ANONYMOUS)
        managers[1].reset()
        next(self._misses)

    def _scrape(self) -> None:
        time.sleep(0.02)  # it takes more than all the others together
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        # The file that a process is just making is empty, which the collector doesn't expect.
        with suppress(struct.error):
            generate_latest(registry)

    def _end(self) -> None:
        for thread in self._threads:
            thread.join()
        self._request()  # the end of a request is when hits are told
        counts = [next(count) for count in (self._requests, self._hits, self._misses)]
        told = STOP.with_suffix(".told")
        told.write_text(json.dumps(dict(zip(("requests", "hits", "misses"), counts, strict=True))))
        told.replace(STOP.with_suffix(".json"))


if os.environ.get("PREFORK_PRELOADED"):
    call("/parent")
    exhaust("3", INHERITED)
    busy = Busy()
