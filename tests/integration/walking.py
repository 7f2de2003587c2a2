"""What the tests of traversals walk through: documents with links, served by hosts of the tests.

Rule 1: a document is HAL with `item` links; where it leads is in one dict for all hosts.
Rule 2: how many requests are under way at once is told by those who serve them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook, Policy
from sleepwalker.links import ServiceManager
from tests.servers import Action, respond

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sleepwalker.links import Traversal, Visit
    from sleepwalker.resilience import Clock
    from tests.servers import Handler, MakeServer, Request, ScriptedServer

PATIENCE: Final = 5.0
HAL: Final = {"Content-Type": "application/hal+json"}


def document(*hrefs: str, **more: Any) -> Action:
    """Answer with a document that links to others."""
    links = {"item": [{"href": href} for href in hrefs]}
    return respond(200, HAL, json={"_links": links, **more})


class Site:
    """One host; `pages` says which document each path has, or what is answered there."""

    def __init__(self, make_server: MakeServer) -> None:
        self.pages: dict[str, Sequence[str] | Action | Handler] = {}
        self._lock = threading.Lock()
        self.now = self.most = 0
        """Requests under way, and the most that there were at once."""
        self.meeting: threading.Barrier | None = None
        """Where each request waits for others, but those for the start."""
        self.server: ScriptedServer = make_server(self._answer)

    def _answer(self, request: Request) -> Any:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            if self.meeting is not None and request.path != "/":
                self.meeting.wait(PATIENCE)
            page = self.pages.get(request.path)
            if page is None:
                return respond(404)
            if callable(page):
                return page(request)
            if isinstance(page, Action):
                return page
            return document(*page)
        finally:
            with self._lock:
                self.now -= 1

    def url(self, path: str = "/") -> str:
        """An absolute URL of this host."""
        return self.server.url + path

    @property
    def asked(self) -> dict[str, int]:
        """How often each path was asked for."""
        return dict(Counter(request.target for request in self.server.requests))


@contextmanager
def quiet(
    policy: Policy | None = None, *, clock: Clock | None = None, **options: Any
) -> Iterator[ServiceManager]:
    """Services that are anonymous everywhere, try everything once, and tell nothing."""
    given: dict[str, Any] = {"registry": False, "tracer_provider": False, "logger": False}
    if clock is not None:
        given["clock"] = clock
    with (
        ConnectionManager(
            hooks=[DirectHook()], policy=policy or Policy(attempts=1, breaker=None), **given
        ) as connections,
        ServiceManager(connections, credentials={"*": ANONYMOUS}, **options) as services,
    ):
        yield services


def paths(visits: Sequence[Visit]) -> list[str]:
    """The paths that were visited, or failed."""
    return ["/" + visit.url.split("/", 3)[3] for visit in visits]


def failures(visits: Sequence[Visit]) -> Mapping[str, str]:
    """The names of the errors' types, by path."""
    return {
        path: type(visit.error).__name__
        for path, visit in zip(paths(visits), visits, strict=True)
        if visit.error is not None
    }


def workers() -> list[threading.Thread]:
    """The threads of traversals."""
    return [each for each in threading.enumerate() if each.name == "sleepwalker-traverse"]


def rest(found: Traversal) -> None:
    """Wait until nothing of a traversal is under way, its consumer being away."""
    for _ in range(5000):
        if not found.progress.in_flight:
            return
        time.sleep(0.001)
    raise AssertionError(f"it doesn't come to rest: {found!r}")


def ended() -> bool:
    """Whether all workers end within the patience, once nobody holds them."""
    for each in workers():
        each.join(PATIENCE)
    return not workers()
