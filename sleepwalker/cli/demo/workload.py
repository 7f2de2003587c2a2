"""The work: several threads that follow links from books to authors to reviews, and write reviews.

Rules:

1. Every thread uses the same manager, and goes where the links lead, whichever host that is.
2. A call that was begun is finished: who stops the work waits for it.
3. A review's number says which one was asked for, so that the hosts can tell.
"""

from __future__ import annotations

import itertools
import random
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from sleepwalker.cli.demo.apis import BOOKS, SHELF
from sleepwalker.exceptions import SleepwalkerException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Tracer

    from sleepwalker.connection import Connection, ConnectionManager

TRAVERSAL = "traversal"
"""The name of the application's own span around each traversal."""
TITLE = "demo.title"
"""The attribute with the book's title."""

FAILURES_KEPT = 5
"""How many failures are kept as text."""

PAUSE = 0.2
"""Seconds that a thread waits after a failure: what fails at once would fail a thousand times."""

STARS = 5


class _Page(NamedTuple):
    """A document with links, and the response that it came in."""

    document: Any
    response: Any


class Workload:
    """The threads.

    :param tracer: makes the application's own spans
    """

    def __init__(
        self,
        manager: ConnectionManager,
        credentials: Mapping[str, Any],
        urls: Mapping[str, str],
        *,
        threads: int,
        seed: int,
        tracer: Tracer,
    ) -> None:
        self._manager = manager
        self._credentials = credentials
        self._books = urls[BOOKS]
        self._tracer = tracer
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._failures: list[str] = []
        self.failed = 0
        """How many traversals ended in an error."""
        self.traversals = 0
        """How many went all the way."""
        self.asked: set[int] = set()
        """The numbers of the reviews that were asked for."""
        # All begin at once: the first finds of a pool are many, its establishment is one.
        self._gate = threading.Barrier(threads)
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(random.Random(f"{seed}:{index}"),),  # noqa: S311 - which book, no secret
                name=f"reader {index}",
                daemon=True,
            )
            for index in range(1, threads + 1)
        ]

    @property
    def failures(self) -> tuple[str, ...]:
        """The first failures, as text."""
        with self._lock:
            return tuple(self._failures)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further call."""
        self._stopping.set()

    @property
    def working(self) -> bool:
        """Whether any thread is still at it."""
        return any(thread.is_alive() for thread in self._threads)

    def join(self, timeout: float) -> bool:
        """Wait for the calls that were begun; whether all have ended."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout)
        return not self.working

    def _work(self, chance: random.Random) -> None:
        self._gate.wait()
        while not self._stopping.is_set():
            with self._tracer.start_as_current_span(
                TRAVERSAL, record_exception=False, set_status_on_exception=False
            ) as span:
                try:
                    if self._traverse(chance, span):
                        with self._lock:
                            self.traversals += 1
                except SleepwalkerException as error:
                    self._failed(error)
                    self._stopping.wait(PAUSE)
                except Exception as error:  # noqa: BLE001 - told by the proof; the other threads go on
                    self._failed(error)
                    return

    def _traverse(self, chance: random.Random, span: Any) -> bool:
        """Go from a book to its author to their reviews, and write one; whether all the way."""
        url = f"{self._books}/books/{chance.randint(1, len(SHELF))}"
        if self._stopping.is_set():
            return False
        book = self._read(self._manager.find(self._books, self._credentials[self._books]), url)
        span.set_attribute(TITLE, book.document["title"])
        author = self._follow("author", book)
        if author is None:
            return False
        reviews = self._follow("reviews", author)
        if reviews is None:
            return False
        review = {
            "number": next(self._numbers),
            "book": url,
            "author": author.document["id"],
            "stars": chance.randint(1, STARS),
        }
        return self._create(reviews, review)

    def _follow(self, relation: str, page: _Page) -> _Page | None:
        """The page that a link leads to, on whichever host; `None` when it's time to stop."""
        if self._stopping.is_set():
            return None
        with self._following(relation, page) as (conn, url):
            return self._read(conn, url)

    def _create(self, page: _Page, review: dict[str, Any]) -> bool:
        if self._stopping.is_set():
            return False
        with self._following("create", page) as (conn, url):
            with self._lock:
                self.asked.add(review["number"])
            conn.json_request("POST", url, review, idempotency_key=True, name=template(url))
        return True

    @contextmanager
    def _following(self, relation: str, page: _Page) -> Iterator[tuple[Connection, str]]:
        """The connection to where a link leads, and the link's URL."""
        url = page.document["links"][relation]
        parts = urlsplit(url)
        auth = self._credentials[f"{parts.scheme}://{parts.netloc}"]
        with self._manager.following(relation, url, auth, source=page.response) as conn:
            yield conn, url

    def _read(self, conn: Connection, url: str) -> _Page:
        document = conn.json_request("GET", url, name=template(url))
        return _Page(document, conn.response)

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self.failed += 1
            if len(self._failures) < FAILURES_KEPT:
                self._failures.append(f"{type(error).__name__}: {error}")


def template(url: str) -> str:
    """The path of a URL with its numbers taken out, so that telemetry has few names."""
    return re.sub(r"\d+", "{id}", urlsplit(url).path)
