"""The work: several threads that follow links from books to authors to reviews, and write reviews.

And one thread that goes round all there is, now and then.

Rules:

1. Every thread uses the same manager, and goes where the links lead, whichever host that is.
2. A call that was begun is finished, and so is a tour: who stops the work waits for it.
3. A review's number says which one was asked for, so that the hosts can tell.
"""

from __future__ import annotations

import itertools
import random
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sleepwalker.cli.demo.apis import BOOKS, ERRAND, REVIEW, SHELF
from sleepwalker.cli.demo.client import CARD
from sleepwalker.cli.demo.tours import Tours
from sleepwalker.exceptions import SleepwalkerException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Tracer

    from sleepwalker.links import Resource, ServiceManager

TRAVERSAL = "traversal"
"""The name of the application's own span around each traversal."""
TITLE = "demo.title"
"""The attribute with the book's title."""

FAILURES_KEPT = 5
"""How many failures are kept as text."""

BETWEEN_TOURS = 3.0
"""Seconds from the end of a tour to the next one."""

PAUSE = 0.2
"""Seconds that a thread waits after a failure: what fails at once would fail a thousand times."""

STARS = 5


class Workload:
    """The threads.

    :param cards: a header for each host, which must not reach another
    :param tracer: makes the application's own spans
    :ivar tours: what the thread that goes round has seen
    """

    def __init__(
        self,
        services: ServiceManager,
        urls: Mapping[str, str],
        cards: Mapping[str, str],
        *,
        threads: int,
        seed: int,
        tracer: Tracer,
    ) -> None:
        self._services = services
        self._books = urls[BOOKS]
        self._card = cards[self._books]
        self._tracer = tracer
        self.tours = Tours(services, urls, cards, tracer=tracer, failed=self._failed)
        self._stopping = threading.Event()
        self._way_known = threading.Event()
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
        self._readers = [
            threading.Thread(
                target=self._work,
                args=(random.Random(f"{seed}:{index}"),),  # noqa: S311 - which book, no secret
                name=f"reader {index}",
                daemon=True,
            )
            for index in range(1, threads + 1)
        ]
        self._guide = threading.Thread(target=self._tour, name="guide", daemon=True)

    @property
    def failures(self) -> tuple[str, ...]:
        """The first failures, as text."""
        with self._lock:
            return tuple(self._failures)

    def start(self) -> None:
        """Begin."""
        for thread in (*self._readers, self._guide):
            thread.start()

    def stop(self) -> None:
        """Begin no further call."""
        self._stopping.set()
        self._way_known.set()

    @property
    def working(self) -> bool:
        """Whether any reader is still at it."""
        return any(thread.is_alive() for thread in self._readers)

    def join(self, timeout: float) -> bool:
        """Wait for the calls that were begun; whether all have ended."""
        for thread in (*self._readers, self._guide):
            if thread.ident is not None:
                thread.join(timeout)
        return not (self.working or self._guide.is_alive())

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

    def _tour(self) -> None:
        # The readers come first: it is their traces that show how connections are established.
        self._way_known.wait()
        while self.asked:
            try:
                self.tours.go()
            except Exception as error:  # noqa: BLE001 - told by the proof; the readers go on
                self._failed(error)
            if self._stopping.wait(BETWEEN_TOURS):
                return

    def _traverse(self, chance: random.Random, span: Any) -> bool:
        """Go from a book to its author to their reviews, and write one; whether all the way."""
        url = f"{self._books}/books/{chance.randint(1, len(SHELF))}"
        number = next(self._numbers)
        if self._stopping.is_set():
            return False
        book = self._services.get(
            url, headers={CARD: self._card, ERRAND: f"{REVIEW} {number}"}, name=template(url)
        )
        span.set_attribute(TITLE, book.data["title"])
        author = self._follow("author", book)
        if author is None:
            return False
        reviews = self._follow("reviews", author)
        if reviews is None:
            return False
        review = {
            "number": number,
            "book": url,
            "author": author.data["id"],
            "stars": chance.randint(1, STARS),
        }
        return self._create(reviews, review)

    def _follow(self, relation: str, page: Resource) -> Resource | None:
        """The resource that a link leads to, on whichever host; `None` when it's time to stop."""
        if self._stopping.is_set():
            return None
        link = page.link(relation)
        return page.follow_link(link, template=template(link.url()))

    def _create(self, reviews: Resource, review: dict[str, Any]) -> bool:
        if self._stopping.is_set():
            return False
        form = reviews.link("create")
        with self._lock:
            self.asked.add(review["number"])
        self._way_known.set()
        reviews.act(form, review, idempotency_key=True, template=template(form.url()))
        return True

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self.failed += 1
            if len(self._failures) < FAILURES_KEPT:
                self._failures.append(f"{type(error).__name__}: {error}")


def template(url: str) -> str:
    """The path of a URL with its numbers taken out, so that telemetry has few names."""
    return re.sub(r"\d+", "{id}", urlsplit(url).path)
