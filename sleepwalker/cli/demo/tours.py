"""The tours: all that the hosts have, page by page and link by link, several links at once.

Rules:

1. A tour is finished once it has begun, and before the next one begins.
2. It follows every link that it finds, those too that must not be followed: that they are refused,
   each with its own error, is part of the demo. Any other error is a failure.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from sleepwalker.cli.demo.apis import AUTHORS, BOOKS, ERRAND, PREVIEW, REVIEWS, SELLER, TOUR
from sleepwalker.cli.demo.client import CARD
from sleepwalker.exceptions import CrossingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Tracer

    from sleepwalker.links import Resource, ServiceManager, Visit

LISTS = {BOOKS: "/books", AUTHORS: "/authors", REVIEWS: "/reviews"}
"""Where a tour begins, at each host."""
RELATIONS = ("item", "book", "reviews", PREVIEW, SELLER)
"""What it follows from there. The author of a book is on the list of authors already."""

AT_ONCE = 6
AT_ONE_HOST = 2
"""How many links are followed at the same time: the readers need their connections too."""


class Toured(NamedTuple):
    """What came of all tours so far."""

    tours: int
    """How many there were."""
    visited: int
    """Resources that they got."""
    unfollowed: Mapping[str, int]
    """Links that were refused, by relation and name of the error."""
    reasons: Mapping[str, str]
    """What the first of those errors says."""


class Tours:
    """Goes round the hosts.

    :param cards: a header for each host, which must not reach another
    :param tracer: makes the application's own span around each tour
    :param failed: called with each error that is no refusal
    """

    def __init__(
        self,
        services: ServiceManager,
        urls: Mapping[str, str],
        cards: Mapping[str, str],
        *,
        tracer: Tracer,
        failed: Callable[[Exception], None],
    ) -> None:
        self._services = services
        self._urls = urls
        self._cards = cards
        self._tracer = tracer
        self._failed = failed
        self._lock = threading.Lock()
        self._tours = self._visited = 0
        self._unfollowed: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}

    def go(self) -> None:
        """Go on one tour; no two at the same time."""
        errand = f"{TOUR} {self._tours + 1}"
        with self._tracer.start_as_current_span(
            TOUR, record_exception=False, set_status_on_exception=False
        ):
            pages: list[Resource] = []
            for host, path in LISTS.items():
                url = self._urls[host]
                headers = {ERRAND: errand, CARD: self._cards[url]}
                pages += self._services.service(url).get(path, headers=headers, name=path).pages()
            with self._services.traverse(
                pages, RELATIONS, concurrency=AT_ONCE, per_host=AT_ONE_HOST
            ) as visits:
                for visit in visits:
                    self._note(visit)
        with self._lock:
            self._tours += 1

    def toured(self) -> Toured:
        """What came of all tours so far."""
        with self._lock:
            return Toured(self._tours, self._visited, dict(self._unfollowed), dict(self._reasons))

    def _note(self, visit: Visit) -> None:
        error = visit.error
        if error is not None and not isinstance(error, CrossingError):
            self._failed(error)
            return
        with self._lock:
            if error is None:
                self._visited += 1
            else:
                which = f"{visit.rel}: {type(error).__name__}"
                self._unfollowed[which] += 1
                self._reasons.setdefault(which, str(error))
