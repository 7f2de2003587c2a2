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
4. One lock guards the state; nothing is sent, and no user code runs, while it is held.
"""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from sleepwalker.connection import _forks, _urls
from sleepwalker.connection._document import Found
from sleepwalker.exceptions import (
    ClosedError,
    ConfigurationError,
    SleepwalkerException,
    URLError,
)
from sleepwalker.observability import names
from sleepwalker.observability.redaction import DEFAULT as REDACTION
from sleepwalker.resilience import cancellation as _cancellation
from sleepwalker.resilience import deadline as _deadline
from sleepwalker.resilience.deadline import Deadline, seconds_of
from sleepwalker.resilience.policy import check_whole

from ._exchange import DEFAULT, Settings
from ._frontier import Frontier, Numbered
from ._link import Link, goes_by_itself
from ._resource import Resource, Trail, followed, stepped
from ._urls import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sleepwalker.connection._urls import Origin

    from ._manager import ServiceManager
    from ._service import Service

Order = Literal["finished", "breadth"]
Choice = Iterable[str] | Callable[[Resource], Iterable[Link]]
Ending = Literal["under way", "complete", "deadline", "closed"]

NOWHERE = "none"
"""The origin of a start that is no URL."""


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
    requested: str = ""
    """What was asked for: the canonical URL of the link, where `url` is where redirects led."""

    @property
    def ok(self) -> bool:
        """Whether there is a resource."""
        return self.error is None

    def __repr__(self) -> str:
        # Without its query, which may hold a key; of what is no URL, nothing.
        shown = "?"
        with suppress(URLError):
            _urls.origin_of(self.url)
            shown = REDACTION.url(self.url.partition("?")[0])
        came = "ok" if self.error is None else type(self.error).__name__
        return f"<Visit {shown} depth={self.depth} rel={self.rel!r} {came}>"


class Known(NamedTuple):
    """A visit of an earlier traversal that a new one goes on from, and doesn't make again.

    What isn't said here is as in `Visit`.
    """

    url: str
    depth: int
    rel: str | None
    source: str | None
    """As in `Visit`: the `url` of one that comes before it."""
    requested: str
    links: Sequence[Link]
    """The links to be followed from it."""

    def __repr__(self) -> str:
        return f"<Known depth={self.depth} rel={self.rel!r} links={len(self.links)}>"


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
    service: Service | None
    trail: Trail
    given: Resource | None = None
    """A start that is there already."""


class _Further(NamedTuple):
    """A task as the frontier takes it."""

    key: str
    host: Origin | None
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
        self._finalizer = weakref.finalize(self, run.stop)

    def __next__(self) -> Visit:
        return self._run.next()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._run.progress()

    def close(self) -> None:
        """End what is under way, and wait until it has ended; called by `rels`, it doesn't wait.

        What is connecting just then ends by its connect timeout at the latest, and what waits for a
        connection that another thread establishes with that.
        """
        self._finalizer.detach()
        self._run.stop()
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


class Outset(NamedTuple):
    """Where a traversal starts from."""

    starts: Sequence[Resource | str]
    known: Iterable[Known]
    """What was visited before; can be gone through twice."""
    trail: Trail
    """What goes along from starts that are URLs."""


def outset(
    start: Resource | str | Iterable[Resource | str], known: Iterable[Known], trail: Trail
) -> Outset:
    """Check where a traversal starts from.

    :raises ConfigurationError: for starts that are none
    """
    if not isinstance(start, Iterable):
        start = [start]
    starts = [start] if isinstance(start, str) else list(start)
    for each in starts:
        if not isinstance(each, Resource | str):
            msg = f"a traversal starts from resources or URLs, not {type(each).__name__}"
            raise ConfigurationError(msg)
    return Outset(starts, list(known) if iter(known) is known else known, trail)


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
    if order not in ("finished", "breadth"):
        msg = f"order must be 'finished' or 'breadth', not {order!r}"
        raise ConfigurationError(msg)
    for setting, value, least, optional in (
        ("concurrency", concurrency, 1, False),
        ("per_host", per_host, 1, False),
        ("max_depth", max_depth, 0, True),
        ("max_resources", max_resources, 1, True),
        ("buffer", buffer, 1, True),
    ):
        if not (optional and value is None):
            check_whole(value, setting, least=least)
    return Bounds(
        order,
        concurrency,
        per_host,
        max_depth,
        max_resources,
        None if deadline is None else seconds_of(deadline, "deadline"),
        2 * concurrency if buffer is None else buffer,
        settings,
    )


class _Run:
    """The state of a traversal, shared by its workers and whoever takes the results."""

    def __init__(
        self,
        services: ServiceManager,
        outset: Outset,
        rels: Choice,
        limits: Bounds,
        on_progress: Callable[[Progress], object] | None,
    ) -> None:
        self._services = services
        self._outset = outset
        self._rels = rels
        self._limits = limits
        self._on_progress = on_progress
        self._in_order = limits.order == "breadth"
        self._frontier: Frontier[_Task] = Frontier(
            per_host=limits.per_host,
            most=limits.max_resources,
            ahead=limits.buffer if self._in_order else None,
        )
        self._lock = threading.RLock()
        self._results: SimpleQueue[Visit | None] = SimpleQueue()
        """`None`: there is no other to come."""
        self._untold: Visit | None = None
        """A result that `on_progress` kept from being taken."""
        self._wakes: SimpleQueue[None] = SimpleQueue()
        """What workers wait for that have nothing to do: no wake is lost, whenever it comes."""
        self._asleep = 0
        self._early: dict[int, tuple[_Task, Visit, list[_Further]]] = {}
        """Results that came before their turn, by number."""
        self._turn = 0
        """Whose turn it is."""
        self._threads: list[threading.Thread] = []
        self._alive = 0
        self._began = False
        self._ended: Ending = "under way"
        self._closed = False
        self._broken: BaseException | None = None
        """What is no error of a link, and ended it all."""
        self._visited = self._failed = 0
        self._hosts: Counter[str] = Counter()
        self._too_deep = 0
        self._cancellation = _cancellation.Cancellation()
        self._pid = os.getpid()
        self._clock = services.connections._clock
        self._tracing = services.connections._telemetry.tracing
        self._deadline = Deadline.after(None, self._clock)
        self._begun_at = self._clock.monotonic()
        self._stopped_at: float | None = None
        self._span: Any = None
        _forks.enlist(self)

    # --- the consumer's side -----------------------------------------------------------------

    def next(self) -> Visit:
        """The next result.

        :raises StopIteration: when there is none any more
        """
        if self._is_of_parent():
            msg = "a traversal belongs to the process that began it: its threads are not in a fork"
            raise ClosedError(msg)
        with self._lock:
            begins, self._began = not self._began, True
        if begins:
            try:
                self._begin()
            except BaseException:
                # Nothing will ever come.
                self.stop()
                raise
        visit, self._untold = self._untold, None
        if visit is None or self._closed:
            visit = self._taken()
        if self._on_progress is not None:
            try:
                self._on_progress(self.progress())
            except BaseException:
                self._untold = visit
                raise
        return visit

    def _taken(self) -> Visit:
        """Take a result when there is one."""
        while not self._closed:
            left = self._deadline.remaining() if self._ended == "under way" else TIMEOUT_MAX
            try:
                visit = self._results.get(timeout=min(max(left, 0.0), TIMEOUT_MAX))
            except Empty:
                if left <= 0:
                    # What is in flight ends by itself, by the same deadline.
                    self._end("deadline")
                continue
            if visit is None or self._closed:
                break
            with self._lock:
                self._staff()
                self._wake(1)
            return visit
        self._results.put(None)  # for whoever asks again
        self.join()
        broken, self._broken = self._broken, None
        try:
            raise StopIteration if broken is None else broken
        finally:
            # No cycle from the error through its traceback to this frame.
            del broken

    def progress(self) -> Progress:
        """How far it is."""
        with self._lock:
            until = self._clock.monotonic() if self._stopped_at is None else self._stopped_at
            frontier, over = self._frontier, self._ended != "under way"
            return Progress(
                self._visited,
                self._failed,
                frontier.out,
                0 if over else frontier.waiting,
                frontier.left_out + self._too_deep + (frontier.waiting if over else 0),
                dict(self._hosts),
                until - self._begun_at if self._began else 0.0,
                self._ended,
            )

    def stop(self) -> None:
        """End what is under way.

        It takes no lock of ours: the garbage collector may call it in the midst of anything.
        """
        if self._is_of_parent():
            return
        self._closed = True
        self._mark("closed")
        self._rouse()
        self._cancellation.cancel()

    def join(self) -> None:
        """Wait until the workers have ended; who is one of them doesn't wait for the others."""
        threads = [] if self._is_of_parent() else list(self._threads)
        if threading.current_thread() in threads:
            # Two of them would wait for each other.
            return
        for thread in threads:
            if thread.ident is not None:
                thread.join()

    def _is_of_parent(self) -> bool:
        return self._began and os.getpid() != self._pid

    def _mark(self, how: Ending) -> None:
        if self._ended == "under way":
            self._stopped_at = self._clock.monotonic()
            self._ended = how

    def _end(self, how: Ending) -> None:
        """Let nothing more be followed."""
        with self._lock:
            self._mark(how)
            self._frontier.drop()
            self._finish_if_over()

    def _finish_if_over(self) -> bool:
        """Tell everybody, once nothing is under way and nothing waits; whether that is so."""
        if not self._frontier.is_over:
            return False
        # Whose turn was yet to come, behind what the deadline has dropped.
        for number in sorted(self._early):
            self._take_in(*self._early.pop(number))
        self._mark("complete")
        self._rouse()
        return True

    def _rouse(self) -> None:
        """Have everybody see that it is over."""
        self._results.put(None)
        for _ in range(self._limits.concurrency):
            self._wakes.put(None)

    def _wake(self, workers: int) -> None:
        """Have so many workers look for something to do."""
        for _ in range(min(workers, self._asleep)):
            self._asleep -= 1
            self._wakes.put(None)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._accept_known()
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
        starts = [self._first(start) for start in self._outset.starts]
        with self._lock:
            for each in starts:
                self._frontier.add(*each)
            self._staff()
            self._finish_if_over()
        if not self._threads:
            self._tell_end()

    def _first(self, start: Resource | str) -> _Further:
        """The task of a start."""
        given, url = (start, start.url) if isinstance(start, Resource) else (None, start)
        host: Origin | None = None
        # What is no URL is told when it is visited.
        with suppress(ValueError, URLError):
            host = self._services.crossing.origin(url)
            url = canonical(url)
        link = Link(rel="self", href=url, base=url)
        return _Further(url, host, _Task(url, 0, link, None, None, self._outset.trail, given))

    def _accept_known(self) -> None:
        """Know what was visited before, and what is yet to be followed from there."""
        for each in self._outset.known:
            self._frontier.recall(canonical(each.requested), canonical(each.url))
        places: dict[str, tuple[Service, Trail]] = {}
        for each in self._outset.known:
            service, trail = places[canonical(each.url)] = self._place_of(each, places)
            found = Found(each.url, None)
            for further in self._tasks(each.links, each.depth, found, service, trail):
                self._frontier.add(*further)

    def _place_of(
        self, known: Known, places: Mapping[str, tuple[Service, Trail]]
    ) -> tuple[Service, Trail]:
        """As whom, and with what, we were where a visit had led: by the rules for its link."""
        if known.source is None:
            origin = self._services.crossing.origin(known.requested)
            return self._services.service(str(origin)), self._outset.trail
        before = places.get(canonical(known.source))
        if before is None:
            shown = self._services.shown(known.url)
            msg = f"known: the source of {shown} is not among those before it"
            raise ConfigurationError(msg)
        link = Link(rel=known.rel or "related", href=known.requested, base=known.source)
        service, trail = before
        step = stepped(service, _first_hop(trail), link, known.source, {})
        return step.service, step.trail

    # --- the workers' side -------------------------------------------------------------------

    def _staff(self) -> None:
        """Have as many workers as there is work for."""
        while (
            self._ended == "under way"
            and self._alive - self._frontier.out < self._frontier.waiting
            and self._alive < self._limits.concurrency
        ):
            context = self._context.copy()
            thread = threading.Thread(
                target=context.run, args=(self._work,), name="sleepwalker-traverse", daemon=True
            )
            self._threads.append(thread)
            self._alive += 1
            try:
                thread.start()
            except RuntimeError:
                # No more threads: those that there are do it, if there are any.
                self._threads.remove(thread)
                self._alive -= 1
                if not self._alive:
                    raise
                return

    def _work(self) -> None:
        """What a worker does."""
        try:
            with _cancellation.entered(self._cancellation), _deadline.entered(self._deadline):
                while (taken := self._take()) is not None:
                    self._done(taken, self._visit(taken.task))
                    # Not kept while the next one is waited for.
                    del taken
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody sees it
            # A user's own code wants all to end; or we have a mistake.
            self._broken = error
            self.stop()
        finally:
            with self._lock:
                self._alive -= 1
                last = not self._alive
            if last:
                self._tell_end()

    def _take(self) -> Numbered[_Task] | None:
        while True:
            with self._lock:
                if self._ended == "under way" and self._deadline.remaining() <= 0:
                    self._end("deadline")
                if self._ended != "under way" or self._frontier.is_over:
                    return None
                if (taken := self._next_task()) is not None:
                    return taken
                self._asleep += 1
            self._wakes.get()

    def _next_task(self) -> Numbered[_Task] | None:
        """What may be visited now, if its result would fit."""
        if self._in_order:
            self._frontier.delivered = self._turn - self._results.qsize()
        elif self._results.qsize() + self._frontier.out >= self._limits.buffer:
            return None
        return self._frontier.take()

    def _visit(self, task: _Task) -> tuple[Visit, list[_Further]]:
        """Follow one link; what came of it, and the links to be followed from there."""
        source = None if task.found is None else task.found.url
        rel = None if task.found is None else task.link.rel
        url = task.url
        # An error is in no variable of this frame, which its traceback holds.
        try:
            resource = self._resource(task)
            url = resource.url
            further = self._further(resource, task.depth)
        except Exception as raised:  # noqa: BLE001 - whatever it was is the result
            return Visit(url, task.depth, rel, source, None, raised, task.url), []
        return Visit(url, task.depth, rel, source, resource, None, task.url), further

    def _resource(self, task: _Task) -> Resource:
        settings = self._limits.settings
        if task.given is not None:
            return task.given
        if task.found is None or task.service is None:
            origin = self._services.crossing.origin(task.url)
            service = self._services.service(str(origin))
            headers, formats = task.trail.headers, task.trail.formats
            return service._request(
                "GET", task.url, headers=headers, formats=formats, settings=settings
            )
        trail = _first_hop(task.trail)
        return followed(task.found, task.service, trail, task.link, settings=settings)

    def _done(self, taken: Numbered[_Task], came: tuple[Visit, list[_Further]]) -> None:
        """Take in what came of a task."""
        with self._lock:
            self._frontier.done(taken)
            before = self._frontier.waiting
            if self._closed:
                self._frontier.drop()
            elif self._in_order:
                self._early[taken.number] = taken.task, *came
                while (early := self._early.pop(self._turn, None)) is not None:
                    self._turn += 1
                    self._take_in(*early)
            else:
                self._take_in(taken.task, *came)
            if self._finish_if_over():
                return
            self._staff()
            # For the host that is free again, and the links that came.
            self._wake(1 + self._frontier.waiting - before)

    def _take_in(self, task: _Task, visit: Visit, further: list[_Further]) -> None:
        """Put a result where the consumer finds it, and its links behind those that there are."""
        if visit.error is None and self._was_there(task, visit.url):
            self._wake(1)
            return
        self._results.put(visit)
        if visit.error is None:
            self._visited += 1
        else:
            self._failed += 1
        self._hosts[self._origin(task, visit)] += 1
        if self._ended != "under way":
            self._frontier.left_out += len(further)
            return
        for each in further:
            self._frontier.add(*each)

    def _was_there(self, task: _Task, url: str) -> bool:
        """Whether a redirect has led to what was there already."""
        final = canonical(url)
        return final != task.url and self._frontier.knows(final)

    def _origin(self, task: _Task, visit: Visit) -> str:
        """Where a visit led, as it may be shown; where its link stood, if it led nowhere."""
        found = None if task.found is None else self._host(task.found.url)
        return str(self._host(visit.url) or found or NOWHERE)

    def _host(self, url: str) -> Origin | None:
        try:
            return self._services.crossing.origin(url)
        except URLError:
            return None

    def _further(self, resource: Resource, depth: int) -> list[_Further]:
        """The links to follow from a resource."""
        chosen = self._chosen(resource)
        return self._tasks(chosen, depth, resource.found(), resource.service, resource._trail)

    def _tasks(
        self,
        chosen: Sequence[Link],
        depth: int,
        found: Found,
        service: Service,
        trail: Trail,
    ) -> list[_Further]:
        """The following of links that were found somewhere."""
        if not chosen:
            return []
        if self._limits.max_depth is not None and depth >= self._limits.max_depth:
            with self._lock:
                self._too_deep += len(chosen)
            return []
        made = []
        host: Origin | None
        for link in chosen:
            try:
                url = canonical(link.url())
                host = self._services.crossing.origin(url)
            except SleepwalkerException:
                # Following it gives the error, which is its result.
                url, host = link.href, self._host(found.url)
            # It is got: what the document has of it already would only fill the memory.
            bare = link if link.data is None else replace(link, data=None)
            made.append(_Further(url, host, _Task(url, depth + 1, bare, found, service, trail)))
        return made

    def _chosen(self, resource: Resource) -> list[Link]:
        if not callable(self._rels):
            links = [link for rel in self._rels for link in resource.links.all(rel)]
        else:
            links = list(self._rels(resource))
            if wrong := [link for link in links if not isinstance(link, Link)]:
                msg = f"rels must give the Links to follow, not {type(wrong[0]).__name__}"
                raise ConfigurationError(msg)
        return [link for link in links if goes_by_itself(link)]

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

    def _renew_in_child(self) -> None:
        self._lock = threading.RLock()


def _first_hop(trail: Trail) -> Trail:
    """The trail of one of many links: how far they may lead is for `max_depth` to say."""
    return trail._replace(hops=0) if trail.hops else trail


def traversal(
    services: ServiceManager,
    outset: Outset,
    rels: Choice,
    limits: Bounds,
    on_progress: Callable[[Progress], object] | None,
) -> Traversal:
    """Make a traversal.

    :raises ConfigurationError: for relations that are none
    """
    if isinstance(rels, str) or not (callable(rels) or isinstance(rels, Iterable)):
        msg = f"rels must be a list of relations, such as [{rels!r}], or a callable"
        raise ConfigurationError(msg)
    if not callable(rels):
        rels = tuple(rels)
        if wrong := [rel for rel in rels if not isinstance(rel, str)]:
            msg = f"rels must be a list of relations, not of {type(wrong[0]).__name__}"
            raise ConfigurationError(msg)
    return Traversal(_Run(services, outset, rels, limits, on_progress))
