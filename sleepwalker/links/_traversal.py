"""Following many links at once: concurrently, lazily, and within bounds.

How it goes::

    consumer ─ next(): a result ◂─ results ◂─┐
                                             workers ─ take ─ visit ─ done: result, further links
    frontier (what is yet to be visited) ────┘

Rules:

1. Nothing is asked for before the first result is; a consumer that doesn't come back stops the
   workers once as many results wait as the buffer holds.
2. Each canonical URL is visited once, and what can't be visited is a result with an error.
3. When it is closed, or dropped, what is under way ends now: no thread or socket is left behind.
4. One condition guards the state; nothing is sent, and no user code runs, while it is held.
"""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from sleepwalker.exceptions import (
    ClosedError,
    ConfigurationError,
    SleepwalkerException,
)
from sleepwalker.observability import names
from sleepwalker.resilience import cancellation as _cancellation
from sleepwalker.resilience import deadline as _deadline
from sleepwalker.resilience.deadline import Deadline, seconds_of

from ._exchange import DEFAULT, Settings
from ._frontier import Frontier, Numbered
from ._link import Link
from ._resource import Resource, Trail, followed
from ._urls import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sleepwalker.connection._document import Found

    from ._manager import ServiceManager
    from ._service import Service

Order = Literal["finished", "breadth"]
Choice = Iterable[str] | Callable[[Resource], Iterable[Link]]
Ending = Literal["under way", "complete", "deadline", "closed"]


class Visit(NamedTuple):
    """What came of one link of a traversal: a resource, or an error."""

    url: str
    """Where it led."""
    depth: int
    """How many links lead there from the start."""
    rel: str | None
    """The relation that led there; `None` for a start."""
    source: str | None
    """The URL of the document with the link."""
    resource: Resource | None
    error: Exception | None

    @property
    def ok(self) -> bool:
        """Whether there is a resource."""
        return self.error is None


class Progress(NamedTuple):
    """How far a traversal is."""

    visited: int
    """Resources that were got."""
    failed: int
    """Links that could not be followed."""
    in_flight: int
    waiting: int
    """Links that are known and yet to be followed."""
    left_out: int
    """Links that are not followed: too many, too deep, or too late."""
    hosts: Mapping[str, int]
    """How many were visited or failed, by origin."""
    seconds: float
    """Since it began."""
    ended: Ending


class _Task(NamedTuple):
    """One link to be followed."""

    url: str
    depth: int
    link: Link
    found: Found | None
    """`None`: it is a start."""
    service: Service
    trail: Trail
    given: Resource | None = None
    """A start that is there already."""


class _Further(NamedTuple):
    """A task as the frontier takes it."""

    key: str
    host: Any
    task: _Task


class Traversal(Iterator[Visit]):
    """Results as they come; made by `ServiceManager.traverse`. A context manager.

    ::

        with services.traverse(start, rels=["item", "next"]) as found:
            for visit in found:
                if visit.ok:
                    print(visit.resource.data)
    """

    def __init__(self, run: _Run) -> None:
        self._run = run
        # Whoever lets go of it lets the workers end, without waiting for them.
        self._finalizer = weakref.finalize(self, run.stop, "closed")

    def __next__(self) -> Visit:
        return self._run.next()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._run.progress()

    def close(self) -> None:
        """End what is under way, and wait until it has ended.

        What is connecting just then ends by its connect timeout at the latest.
        """
        self._finalizer.detach()
        self._run.stop("closed")
        self._run.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        done = self.progress
        return (
            f"<Traversal {done.ended}: {done.visited} visited, {done.failed} failed, "
            f"{done.in_flight} in flight, {done.waiting} waiting, {done.left_out} left out>"
        )


class Bounds(NamedTuple):
    """The settings of a traversal."""

    order: Order
    concurrency: int
    per_host: int
    max_depth: int | None
    max_resources: int | None
    deadline: float | None
    buffer: int
    settings: Settings


def bounds(
    *,
    order: Any,
    concurrency: Any,
    per_host: Any,
    max_depth: Any,
    max_resources: Any,
    deadline: Any,
    buffer: Any,
    settings: Settings = DEFAULT,
) -> Bounds:
    """Check the settings of a traversal.

    :raises ConfigurationError: for one that can't be used
    """
    if order not in {"finished", "breadth"}:
        msg = f"order must be 'finished' or 'breadth', not {order!r}"
        raise ConfigurationError(msg)
    for setting, value, least, optional in (
        ("concurrency", concurrency, 1, False),
        ("per_host", per_host, 1, False),
        ("max_depth", max_depth, 0, True),
        ("max_resources", max_resources, 1, True),
        ("buffer", buffer, 1, True),
    ):
        if optional and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            msg = f"{setting} must be a whole number of at least {least}, not {value!r}"
            raise ConfigurationError(msg)
    return Bounds(
        order,
        concurrency,
        per_host,
        max_depth,
        max_resources,
        None if deadline is None else seconds_of(deadline, "deadline"),
        2 * concurrency if buffer is None else max(buffer, 1),
        settings,
    )


class _Run:
    """The state of a traversal, shared by its workers and whoever takes the results."""

    def __init__(
        self,
        services: ServiceManager,
        starts: Iterable[Resource | str],
        rels: Choice,
        limits: Bounds,
        on_progress: Callable[[Progress], object] | None,
    ) -> None:
        self._services = services
        self._starts = starts
        self._rels = rels
        self._limits = limits
        self._on_progress = on_progress
        self._in_order = limits.order == "breadth"
        self._frontier: Frontier[_Task] = Frontier(
            per_host=limits.per_host,
            most=limits.max_resources,
            ahead=limits.buffer if self._in_order else None,
        )
        self._changed = threading.Condition(threading.RLock())
        self._results: deque[Visit] = deque()
        self._early: dict[int, tuple[Visit | None, list[_Further]]] = {}
        """Results that came before their turn, by number."""
        self._turn = 0
        """Whose turn it is."""
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._alive = 0
        self._began = False
        self._ended: Ending = "under way"
        self._closed = False
        self._visited = self._failed = 0
        self._hosts: Counter[str] = Counter()
        self._too_deep = 0
        self._cancellation = _cancellation.Cancellation()
        self._pid = os.getpid()
        self._clock = services.connections._clock
        self._tracing = services.connections._telemetry.tracing
        self._begun_at = self._clock.monotonic()
        self._stopped_at: float | None = None
        self._span: Any = None

    # --- the consumer's side -----------------------------------------------------------------

    def next(self) -> Visit:
        """The next result.

        :raises StopIteration: when there is none any more
        """
        if os.getpid() != self._pid:
            msg = "a traversal belongs to the process that began it: its threads are not in a fork"
            raise ClosedError(msg)
        if not self._began:
            self._begin()
        with self._changed:
            while not self._results:
                if self._closed or self._frontier.is_over:
                    self._end("complete")
                    raise StopIteration
                left = self._deadline.remaining()
                if left <= 0 and self._ended == "under way":
                    # What is in flight ends by itself, by the same deadline.
                    self._end("deadline")
                    self._frontier.drop()
                    continue
                self._changed.wait(None if left <= 0 else min(left, threading.TIMEOUT_MAX))
            visit = self._results.popleft()
            self._frontier.delivered += 1
            self._staff()
            self._changed.notify_all()
        if self._on_progress is not None:
            self._on_progress(self.progress())
        return visit

    def progress(self) -> Progress:
        """How far it is."""
        with self._changed:
            until = self._clock.monotonic() if self._stopped_at is None else self._stopped_at
            return Progress(
                self._visited,
                self._failed,
                self._frontier.out,
                self._frontier.waiting,
                self._frontier.left_out + self._too_deep,
                dict(self._hosts),
                until - self._begun_at if self._began else 0.0,
                self._ended,
            )

    def stop(self, how: Ending) -> None:
        """End what is under way."""
        with self._changed:
            self._end(how)
            self._closed = True
            self._frontier.drop()
            self._results.clear()
            self._early.clear()
            self._changed.notify_all()
        self._cancellation.cancel()

    def join(self) -> None:
        """Wait until the workers have ended."""
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join()

    def _end(self, how: Ending) -> None:
        if self._ended == "under way":
            self._ended = how
            self._stopped_at = self._clock.monotonic()

    def _begin(self) -> None:
        self._began = True
        self._begun_at = self._clock.monotonic()
        seconds = self._limits.deadline
        self._deadline = Deadline.after(seconds, self._clock, "traverse(deadline=...)").earlier(
            _deadline.ambient()
        )
        self._span = self._tracing.start(names.SPAN_TRAVERSE, {})
        token = self._tracing.enter(self._span)
        try:
            self._context = contextvars.copy_context()
        finally:
            self._tracing.leave(token)
        with self._changed:
            for start in self._starts:
                self._accept_start(start)
            self._staff()
            if not self._threads:
                self._tell_end()

    def _accept_start(self, start: Resource | str) -> None:
        given, url = (start, start.url) if isinstance(start, Resource) else (None, start)
        origin = self._services.crossing.origin(url)
        service = self._services.service(str(origin)) if given is None else given.service
        link = Link(rel="self", href=url, base=url)
        task = _Task(canonical(url), 0, link, None, service, Trail({}), given)
        self._frontier.add(task.url, origin, task)

    # --- the workers' side -------------------------------------------------------------------

    def _staff(self) -> None:
        """Have as many workers as there is work for."""
        work = self._frontier.waiting
        while (
            self._ended == "under way"
            and self._idle < work
            and self._alive < self._limits.concurrency
        ):
            context = self._context.copy()
            thread = threading.Thread(
                target=context.run, args=(self._work,), name="sleepwalker-traverse", daemon=True
            )
            self._alive += 1
            self._idle += 1
            try:
                thread.start()
            except RuntimeError:
                # No more threads: those that there are do it, if there are any.
                self._alive -= 1
                self._idle -= 1
                if not self._alive:
                    raise
                return
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)

    def _work(self) -> None:
        """What a worker does."""
        try:
            with _cancellation.entered(self._cancellation), _deadline.entered(self._deadline):
                while (taken := self._take()) is not None:
                    visit = resource = None
                    try:
                        visit, resource = self._visit(taken.task)
                    finally:
                        self._done(taken, visit, resource)
                    # Not kept while the next one is waited for.
                    del visit, resource, taken
        finally:
            with self._changed:
                self._alive -= 1
                last = not self._alive
                self._changed.notify_all()
            if last:
                self._tell_end()

    def _take(self) -> Numbered[_Task] | None:
        with self._changed:
            while True:
                if self._ended != "under way" or self._frontier.is_over:
                    self._idle -= 1
                    return None
                if self._has_room() and (taken := self._frontier.take()) is not None:
                    self._idle -= 1
                    return taken
                self._changed.wait()

    def _has_room(self) -> bool:
        """Whether a result more would fit."""
        if self._in_order:
            # The frontier sees to that.
            return True
        return len(self._results) + self._frontier.out < self._limits.buffer

    def _visit(self, task: _Task) -> tuple[Visit, Resource | None]:
        """Follow one link."""
        source = None if task.found is None else task.found.url
        rel = None if task.found is None else task.link.rel
        resource: Resource | None = None
        error: Exception | None = None
        url = task.url
        try:
            if task.given is not None:
                resource = task.given
            elif task.found is None:
                resource = task.service._request("GET", task.url, settings=self._limits.settings)
            else:
                resource = followed(
                    task.found, task.service, task.trail, task.link, settings=self._limits.settings
                )
            url = resource.url
        except Exception as raised:  # noqa: BLE001 - whatever it was is the result
            error = raised
        return Visit(url, task.depth, rel, source, resource, error), resource

    def _done(self, taken: Numbered[_Task], visit: Visit | None, resource: Resource | None) -> None:
        """Take in what came of a task."""
        further: list[_Further] = []
        if visit is not None and resource is not None:
            try:
                further = self._further(resource, taken.task.depth)
            except Exception as raised:  # noqa: BLE001 - as above
                visit = visit._replace(resource=None, error=raised)
        with self._changed:
            self._frontier.done(taken)
            self._idle += 1
            if not self._closed:
                if visit is not None and visit.ok and self._was_there(taken.task, visit.url):
                    visit, further = None, []
                if self._in_order:
                    self._early[taken.number] = visit, further
                    while (early := self._early.pop(self._turn, None)) is not None:
                        self._turn += 1
                        self._take_in(*early)
                else:
                    self._take_in(visit, further)
                self._staff()
            self._changed.notify_all()

    def _was_there(self, task: _Task, url: str) -> bool:
        """Whether a redirect has led to what was there already."""
        final = canonical(url)
        return final != task.url and self._frontier.knows(final)

    def _take_in(self, visit: Visit | None, further: list[_Further]) -> None:
        """Put a result where the consumer finds it, and its links behind those that there are."""
        if visit is None:
            self._frontier.delivered += 1
            return
        self._results.append(visit)
        if visit.ok:
            self._visited += 1
        else:
            self._failed += 1
        self._hosts[_shown_origin(visit.url)] += 1
        if self._ended != "under way":
            self._frontier.left_out += len(further)
            return
        for each in further:
            self._frontier.add(*each)

    def _further(self, resource: Resource, depth: int) -> list[_Further]:
        """The links to follow from a resource."""
        chosen = self._chosen(resource)
        if not chosen:
            return []
        if self._limits.max_depth is not None and depth >= self._limits.max_depth:
            with self._changed:
                self._too_deep += len(chosen)
            return []
        found, service, trail = resource.found(), resource.service, resource._trail
        own = self._services.crossing.origin(resource.url)
        made = []
        for link in chosen:
            host: Any = own
            try:
                url = canonical(link.url())
                host = self._services.crossing.origin(url)
            except SleepwalkerException:
                # Following it gives the error, which is its result.
                url = link.href
            made.append(_Further(url, host, _Task(url, depth + 1, link, found, service, trail)))
        return made

    def _chosen(self, resource: Resource) -> list[Link]:
        if callable(self._rels):
            links = list(self._rels(resource))
        else:
            links = [link for rel in self._rels for link in resource.links.all(rel)]
        # What may change something is never followed by itself.
        return [link for link in links if link.method in {"GET", "HEAD"}]

    def _tell_end(self) -> None:
        """The last worker has ended: so does the span."""
        span, self._span = self._span, None
        if span is None:
            return
        done = self.progress()
        self._tracing.end(
            span,
            {
                names.ATTR_VISITED: done.visited,
                names.ATTR_FAILED: done.failed,
                names.ATTR_LEFT_OUT: done.left_out,
            },
        )


def traversal(
    services: ServiceManager,
    start: Resource | str | Iterable[Resource | str],
    rels: Choice,
    limits: Bounds,
    on_progress: Callable[[Progress], object] | None,
) -> Traversal:
    """Make a traversal.

    :raises ConfigurationError: for starts or relations that are none
    """
    starts = [start] if isinstance(start, Resource | str) else list(start)
    for each in starts:
        if not isinstance(each, Resource | str):
            msg = f"a traversal starts from resources or URLs, not {type(each).__name__}"
            raise ConfigurationError(msg)
    if isinstance(rels, str):
        msg = f"rels must be a list of relations, such as [{rels!r}], or a callable"
        raise ConfigurationError(msg)
    if not callable(rels):
        rels = tuple(rels)
    return Traversal(_Run(services, starts, rels, limits, on_progress))


def _shown_origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
