"""Traversals over real sockets: what is asked for, when, how much at once, and what is left.

Rule 1: how many are under way is told by gates at the hosts, never by time that passes.
Rule 2: whatever ends a traversal, no thread of it and no socket that it waited at is left.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ConfigurationError, Policy, deadline
from sleepwalker.links import Field, Known, Link, Resource, Visit
from sleepwalker.testing import SkippingClock
from tests.crew import Job
from tests.integration.walking import (
    HAL,
    PATIENCE,
    Site,
    document,
    ended,
    failures,
    paths,
    quiet,
    rest,
    workers,
)
from tests.servers import garbage_status_line, redirect, refused_port, respond, signal, stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sleepwalker.links import Progress, ServiceManager, Traversal
    from tests.servers import MakeServer

ITEM = ["item"]
ORDERS = pytest.mark.parametrize("order", ["finished", "breadth"])


@pytest.fixture
def services() -> Iterator[ServiceManager]:
    with quiet() as made:
        yield made
    assert ended(), "a worker of a traversal is left"


@pytest.fixture
def site(make_server: MakeServer) -> Site:
    return Site(make_server)


@pytest.fixture
def sites(make_server: MakeServer) -> list[Site]:
    return [Site(make_server) for _ in range(3)]


def fan(site: Site, count: int, *, answer: Any = ()) -> list[str]:
    """A start that leads to so many others, all on the same host."""
    items = [f"/{number}" for number in range(count)]
    site.pages = {"/": items, **dict.fromkeys(items, answer)}
    return items


def reached(site: Site, count: int) -> bool:
    """Whether a host was asked so often."""
    return site.server.count() >= count


# --- what is visited -------------------------------------------------------------------------


@ORDERS
def test_everything_is_visited_once_whatever_hosts_it_is_on(
    services: ServiceManager, sites: list[Site], order: Any
) -> None:
    one, two, three = sites
    one.pages = {"/": [two.url("/a"), three.url("/b"), "/"], "/c": [one.url("/")]}
    two.pages = {"/a": [three.url("/b"), one.url("/c"), two.url("/a")]}
    three.pages = {"/b": [one.url("/c"), two.url("/a")]}

    with services.traverse(one.url(), ITEM, order=order) as found:
        visits = list(found)

    assert sorted(paths(visits)) == ["/", "/a", "/b", "/c"]
    assert [each.asked for each in sites] == [{"/": 1, "/c": 1}, {"/a": 1}, {"/b": 1}]
    assert all(visit.ok and isinstance(visit.resource, Resource) for visit in visits)
    progress = found.progress
    assert (progress.visited, progress.failed, progress.left_out) == (4, 0, 0)
    assert (progress.ended, progress.in_flight, progress.waiting) == ("complete", 0, 0)
    assert progress.hosts == {one.server.url: 2, two.server.url: 1, three.server.url: 1}


def test_a_result_says_where_its_link_was_found(services: ServiceManager, site: Site) -> None:
    site.pages = {"/": ["/a"], "/a": ["/gone"]}

    start, item, gone = services.traverse(site.url(), ITEM)

    assert (start.url, start.depth, start.rel, start.source) == (site.url(), 0, None, None)
    assert (item.url, item.depth, item.rel, item.source) == (site.url("/a"), 1, "item", site.url())
    assert (gone.depth, gone.source, gone.resource) == (2, site.url("/a"), None)


def test_all_spellings_of_a_url_are_one_resource(services: ServiceManager, site: Site) -> None:
    port = site.server.port
    spellings = ["a", "./a", "/b/../a", "a#part", f"HTTP://127.0.0.1:{port}/a", "/%7Ea", "/%7ea"]
    site.pages = {"/": spellings, "/a": (), "/~a": ()}

    visits = list(services.traverse([site.url(), site.url("#again")], ITEM))

    assert sorted(paths(visits)) == ["/", "/a", "/~a"]
    assert site.asked == {"/": 1, "/a": 1, "/~a": 1}


def test_what_several_redirects_lead_to_is_one_result_that_of_the_first_link(
    services: ServiceManager, site: Site
) -> None:
    later = threading.Event()
    site.pages = {
        "/": ["/first", "/second", "/back"],
        "/first": stall(later) + redirect(302, "/target"),
        "/second": redirect(302, "/target"),
        "/target": ["/below"],
        "/below": (),
        "/back": redirect(302, "/") + signal(later),
    }

    visits = list(services.traverse(site.url(), ITEM, order="breadth"))

    assert paths(visits) == ["/", "/target", "/below"]
    assert visits[1].resource is not None
    assert visits[1].resource.response is not None
    assert [each.url for each in visits[1].resource.response.history] == [site.url("/first")]


def test_what_a_redirect_leads_to_is_told_by_its_own_link_if_there_is_one(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {
        "/": ["/moved", "/target"],
        "/moved": redirect(302, "/target"),
        "/target": (),
    }

    visits = list(services.traverse(site.url(), ITEM, order="breadth"))

    assert paths(visits) == ["/", "/target"]
    assert visits[1].resource is not None
    assert visits[1].resource.response is not None
    assert visits[1].resource.response.history == []


def test_a_link_to_where_a_redirect_has_led_is_not_followed_again(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {
        "/": ["/moved"],
        "/moved": redirect(302, "/target"),
        "/target": ["/target", "/moved"],
    }

    visits = list(services.traverse(site.url(), ITEM))

    assert paths(visits) == ["/", "/target"]
    assert site.asked == {"/": 1, "/moved": 1, "/target": 1}


def test_a_resource_that_is_there_is_not_got_again(services: ServiceManager, site: Site) -> None:
    site.pages = {"/": ["/a"], "/a": ["/"]}
    start = services.get(site.url())

    visits = list(services.traverse(start, ITEM))

    assert visits[0].resource is start
    assert site.asked == {"/": 1, "/a": 1}


def test_a_callable_chooses_the_links(services: ServiceManager, site: Site) -> None:
    fan(site, 10)

    def even(resource: Resource) -> list[Link]:
        return resource.links.all("item")[::2]

    visits = list(services.traverse(site.url(), even, order="breadth"))

    assert paths(visits) == ["/", "/0", "/2", "/4", "/6", "/8"]


def test_what_may_change_something_is_never_followed(services: ServiceManager, site: Site) -> None:
    site.pages = {"/": (), "/read": (), "/head": ()}

    def links(resource: Resource) -> list[Link]:
        methods = {"/delete": "DELETE", "/post": "POST", "/read": "GET", "/head": "HEAD"}
        return [
            Link(rel="act", href=path, base=resource.url, method=method)
            for path, method in methods.items()
        ]

    visits = list(services.traverse(site.url(), links))

    assert sorted(paths(visits)) == ["/", "/head", "/read"]
    assert {(request.path, request.method) for request in site.server.requests} == {
        ("/", "GET"),
        ("/read", "GET"),
        ("/head", "HEAD"),
    }


def test_what_is_to_be_filled_in_is_never_followed(services: ServiceManager, site: Site) -> None:
    site.pages = {"/": ()}

    def links(resource: Resource) -> list[Link]:
        return [Link(rel="search", href="/s", base=resource.url, fields=(Field("q", "all"),))]

    assert paths(list(services.traverse(site.url(), links))) == ["/"]


@ORDERS
def test_no_deeper_than_it_may(services: ServiceManager, site: Site, order: Any) -> None:
    site.pages = {"/": ["/1"], "/1": ["/2"], "/2": ["/3", "/4"], "/3": ()}

    with services.traverse(site.url(), ITEM, max_depth=2, order=order) as found:
        assert paths(list(found)) == ["/", "/1", "/2"]
        assert found.progress.left_out == 2

    assert paths(list(services.traverse(site.url(), ITEM, max_depth=0, order=order))) == ["/"]


@ORDERS
def test_no_more_than_there_may_be(services: ServiceManager, site: Site, order: Any) -> None:
    fan(site, 20)

    with services.traverse(site.url(), ITEM, max_resources=5, order=order) as found:
        assert len(list(found)) == 5
        assert found.progress.left_out == 16

    assert site.server.count() == 5


# --- when, and how much at once --------------------------------------------------------------


def test_nothing_is_asked_for_before_the_first_result_is(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {"/": ()}

    found = services.traverse(site.url(), ITEM)

    assert workers() == []
    assert site.server.connections == []
    assert (found.progress.visited, found.progress.seconds) == (0, 0.0)
    assert next(found).ok
    with pytest.raises(StopIteration):
        next(found)
    with pytest.raises(StopIteration):
        next(found)
    assert workers() == []


@pytest.mark.parametrize("concurrency", [1, 4, 64])
def test_so_many_are_followed_at_once_as_may_be_and_no_more(
    services: ServiceManager, site: Site, concurrency: int
) -> None:
    fan(site, 2 * concurrency)
    # Each waits until all that may be are under way.
    site.meeting = threading.Barrier(concurrency)
    found = services.traverse(site.url(), ITEM, concurrency=concurrency, per_host=concurrency)

    assert all(visit.ok for visit in found)
    assert site.most == concurrency
    assert site.server.count() == 1 + 2 * concurrency


def test_of_one_host_no_more_are_followed_at_once_than_may_be(
    services: ServiceManager, sites: list[Site]
) -> None:
    one, two, three = sites
    one.pages = {"/": [each.url(f"/{number}") for number in range(6) for each in (two, three)]}
    two.pages = three.pages = {f"/{number}": () for number in range(6)}
    # Two of each host meet those of the other.
    two.meeting = three.meeting = threading.Barrier(4)

    visits = list(services.traverse(one.url(), ITEM, concurrency=16, per_host=2))

    assert len(visits) == 13
    assert (two.most, three.most) == (2, 2)


def test_results_come_as_they_are_finished(services: ServiceManager, site: Site) -> None:
    later = threading.Event()
    site.pages = {
        "/": ["/slow", "/a", "/b"],
        "/slow": stall(later) + document(),
        "/a": (),
        "/b": (),
    }
    found = services.traverse(site.url(), ITEM)

    first = [next(found) for _ in range(3)]
    later.set()

    assert sorted(paths(first)) == ["/", "/a", "/b"]
    assert paths(list(found)) == ["/slow"]


def test_breadth_first_comes_level_by_level_in_the_order_of_the_links(
    services: ServiceManager, site: Site
) -> None:
    later = threading.Event()
    site.pages = {
        "/": ["/slow", "/a", "/b"],
        "/slow": stall(later) + document("/under-slow"),
        "/a": ["/under-a"],
        "/b": document("/under-b", "/a") + signal(later),
        "/under-slow": (),
        "/under-a": (),
        "/under-b": (),
    }

    visits = list(services.traverse(site.url(), ITEM, order="breadth"))

    assert paths(visits) == ["/", "/slow", "/a", "/b", "/under-slow", "/under-a", "/under-b"]


@ORDERS
@pytest.mark.parametrize("buffer", [1, 3])
def test_a_consumer_that_takes_its_time_finds_no_more_waiting_than_the_buffer_holds(
    services: ServiceManager, site: Site, order: Any, buffer: int
) -> None:
    fan(site, 30)
    with services.traverse(site.url(), ITEM, order=order, buffer=buffer) as found:
        for number in range(1, 6):
            next(found)
            # They rest: nothing is under way, and nothing is begun though much is waiting.
            asked = number + buffer
            site.server.wait_for(partial(reached, site, asked))
            rest(found)
            assert site.server.count() == found.progress.visited == asked
            assert found.progress.waiting == 31 - asked
        assert len(list(found)) == 26


def test_a_deadline_ends_what_is_under_way_and_leaves_out_the_rest(
    services: ServiceManager, site: Site
) -> None:
    fan(site, 10, answer=stall())

    with services.traverse(site.url(), ITEM, deadline=0.5, per_host=2) as found:
        start, *late = found
        progress = found.progress

    assert start.ok
    assert [type(visit.error).__name__ for visit in late] == ["DeadlineExceeded"] * 2
    assert "traverse(deadline=...)" in str(late[0].error)
    assert (progress.visited, progress.failed, progress.left_out) == (1, 2, 8)
    assert progress.ended == "deadline"
    assert 0.5 <= progress.seconds < 2.0
    assert site.server.count() == 3


def test_an_outer_deadline_counts_too(services: ServiceManager, site: Site) -> None:
    fan(site, 2, answer=stall())

    with deadline(0.5):
        start, *late = services.traverse(site.url(), ITEM)

    assert start.ok
    assert [type(visit.error).__name__ for visit in late] == ["DeadlineExceeded"] * 2


@ORDERS
def test_a_deadline_that_passes_while_the_consumer_is_away_makes_no_failures(
    site: Site, order: Any
) -> None:
    fan(site, 30)
    with (
        quiet(clock=(clock := SkippingClock())) as services,
        services.traverse(site.url(), ITEM, deadline=60, buffer=3, order=order) as found,
    ):
        next(found)
        site.server.wait_for(lambda: site.server.count() == 4)
        rest(found)
        clock.advance(61)

        assert [visit.ok for visit in found] == [True] * 3
        progress = found.progress
    assert (progress.visited, progress.failed, progress.left_out) == (4, 0, 27)
    assert progress.ended == "deadline"
    assert site.server.count() == 4
    assert workers() == []


# --- how it ends -----------------------------------------------------------------------------


class Gone(Exception):  # noqa: N818 - it is no error of anybody's
    """The consumer has enough."""


def leave(found: Traversal) -> None:
    with found:
        next(found)


def close(found: Traversal) -> None:
    next(found)
    found.close()
    found.close()


def let_go(found: Traversal) -> None:
    next(found)


def let_go_in_a_cycle(found: Traversal) -> None:
    next(found)
    cycle: list[Any] = [found]
    cycle.append(cycle)


def stop_looping(found: Traversal) -> None:
    for _ in found:
        break


def fail(found: Traversal) -> None:
    with found, contextlib.suppress(Gone):
        next(found)
        raise Gone
    with contextlib.suppress(Gone), found:
        raise Gone


def interrupt(found: Traversal) -> None:
    with contextlib.suppress(KeyboardInterrupt), found:
        next(found)
        raise KeyboardInterrupt


@ORDERS
@pytest.mark.parametrize(
    "end", [leave, close, let_go, let_go_in_a_cycle, stop_looping, fail, interrupt]
)
def test_whoever_leaves_ends_what_is_under_way(
    services: ServiceManager, site: Site, end: Callable[[Traversal], None], order: Any
) -> None:
    fan(site, 9, answer=stall())
    found = services.traverse(site.url(), ITEM, order=order, concurrency=4)
    known = weakref.ref(found._run)  # noqa: SLF001 - what its workers hold

    end(found)
    del found
    gc.collect()

    assert ended()
    # The sockets that they waited at are closed; one at rest may be kept for whoever comes next.
    site.server.wait_for(
        lambda: sum(each.closed_at is None for each in site.server.connections) <= 1
    )
    assert site.server.count() <= 5
    gc.collect()
    assert known() is None


def test_what_is_under_way_is_neither_sent_again_nor_told_as_a_result(
    site: Site,
) -> None:
    fan(site, 4, answer=stall())
    with quiet(Policy(attempts=3)) as services:
        found = services.traverse(site.url(), ITEM)
        next(found)
        site.server.wait_for(lambda: site.server.count() == 5)

        found.close()

        assert site.server.count() == 5
        with pytest.raises(StopIteration):
            next(found)
        progress = found.progress
        assert (progress.ended, progress.visited, progress.failed) == ("closed", 1, 0)
        assert (progress.in_flight, progress.waiting) == (0, 0)
        # Of a traversal's sockets none that was shut is used again.
        site.pages["/0"] = ()
        assert services.get(site.url("/0")).status == 200


def test_it_ends_within_a_backoff(site: Site) -> None:
    fan(site, 2, answer=respond(503, {"Retry-After": "20"}))
    with quiet(Policy(attempts=3)) as services:
        found = services.traverse(site.url(), ITEM)
        next(found)
        site.server.wait_for(lambda: site.server.count() == 3)

        Job(found.close).wait(PATIENCE)

        assert site.server.count() == 3


def test_it_can_be_closed_before_it_has_begun(services: ServiceManager, site: Site) -> None:
    found = services.traverse(site.url(), ITEM)
    found.close()

    assert list(found) == []
    assert site.server.connections == []


def test_it_can_be_closed_by_another_thread_than_the_one_that_waits(
    services: ServiceManager, site: Site
) -> None:
    fan(site, 2, answer=stall())
    found = services.traverse(site.url(), ITEM)
    waiting = Job(lambda: list(found))
    site.server.wait_for(lambda: site.server.count() == 3)

    found.close()

    assert len(waiting.result()) <= 1


def test_it_can_be_closed_by_several_of_its_workers_at_once(
    services: ServiceManager, sites: list[Site]
) -> None:
    one, other, _ = sites
    one.pages = {"/": [one.url("/a"), other.url("/b")], "/a": ()}
    other.pages = {"/b": ()}
    meeting = threading.Barrier(2)

    def choose(resource: Resource) -> list[Link]:
        if resource.url == one.url():
            return resource.links.all("item")
        meeting.wait(PATIENCE)
        found.close()
        return []

    found = services.traverse(one.url(), choose)

    Job(lambda: list(found)).wait(PATIENCE)

    assert found.progress.ended == "closed"


def test_breadth_first_a_deadline_keeps_back_nothing_that_was_got(
    services: ServiceManager, sites: list[Site]
) -> None:
    one, other, _ = sites
    one.pages = {
        "/": [one.url("/slow"), one.url("/never"), other.url("/a"), other.url("/b")],
        "/slow": stall(),
    }
    other.pages = {"/a": (), "/b": ()}

    with services.traverse(one.url(), ITEM, order="breadth", per_host=1, deadline=0.8) as found:
        visits = list(found)

    assert paths(visits) == ["/", "/slow", "/a", "/b"]
    assert failures(visits) == {"/slow": "DeadlineExceeded"}
    done = found.progress
    assert (done.visited, done.failed, done.left_out, done.ended) == (3, 1, 1, "deadline")


def test_how_deep_it_goes_is_for_its_own_bound_to_say(site: Site) -> None:
    site.pages = {"/": ["/1"], "/1": ["/2"], "/2": ["/3"], "/3": ()}
    with quiet(max_hops=2) as services:
        visits = list(services.traverse(site.url(), ITEM))
        kept = [
            Known(v.url, v.depth, v.rel, v.source, v.requested, v.resource.links.all("item"))
            for v in visits
            if v.resource is not None
        ]
        again = list(services.traverse(site.url(), ITEM, known=kept))

    assert (paths(visits), failures(visits), again) == (["/", "/1", "/2", "/3"], {}, [])


# --- errors ----------------------------------------------------------------------------------


def test_errors_are_results_and_the_others_come_all_the_same(
    services: ServiceManager, site: Site
) -> None:
    with refused_port() as refused:
        bad = {
            "/missing": respond(404),
            "/broken": respond(500),
            "/not-http": garbage_status_line(),
            "/no-json": respond(200, HAL, b"{"),
            "/away": redirect(302, "mailto:somebody@host.example"),
        }
        site.pages = {
            "/": [*bad, f"http://127.0.0.1:{refused}/", "/good"],
            **bad,
            "/good": ["/better"],
            "/better": (),
        }
        visits = list(services.traverse(site.url(), ITEM))

    assert failures(visits) == {
        "/missing": "HTTPNotFound",
        "/broken": "HTTPInternalServerError",
        "/not-http": "ProtocolError",
        "/no-json": "DecodeError",
        "/away": "RedirectError",
        "/": "ConnectError",
    }
    assert sorted(path for path, v in zip(paths(visits), visits, strict=True) if v.ok) == [
        "/",
        "/better",
        "/good",
    ]
    for visit in visits:
        assert (visit.resource is None) is (visit.error is not None) is not visit.ok


def test_links_that_must_not_be_followed_are_errors_and_show_no_secret(
    services: ServiceManager, site: Site
) -> None:
    secret = "s3cr3t-t0k3n"
    port = site.server.port
    links = [
        f"http://reader:{secret}@127.0.0.1:{port}/",
        f"mailto:{secret}@host.example",
        f"javascript:alert('{secret}')",
        f"http://127.0.0.1:{port}\\@{secret}/",
        "http://[broken/",
        f"/gone?api_key={secret}",
    ]
    site.pages = {"/": links}

    with services.traverse(site.url(), ITEM) as found:
        start, *visits = found
        shown = [repr(found), repr(found.progress), *map(repr, visits)]
        shown += [f"{visit.error}{visit.error!r}" for visit in visits]

    assert start.ok
    assert sorted(type(visit.error).__name__ for visit in visits) == [
        "HTTPNotFound",
        *["LinkURLError"] * 5,
    ]
    assert [visit.url for visit in visits if secret in visit.url] != []
    assert [text for text in shown if secret in text] == []
    assert found.progress.hosts == {site.server.url: 7}
    assert set(site.asked) == {"/", f"/gone?api_key={secret}"}


def test_starts_that_cannot_be_visited_are_results(services: ServiceManager, site: Site) -> None:
    site.pages = {"/": ()}
    starts = ["", "no url", "ftp://host.example/", "http://[", site.url("/gone"), site.url()]

    with services.traverse(starts, ITEM, order="breadth") as found:
        visits = list(found)

    assert [visit.url for visit in visits] == starts
    assert [type(visit.error).__name__ for visit in visits] == [
        *["URLError"] * 4,
        "HTTPNotFound",
        "NoneType",
    ]
    assert found.progress.hosts == {"none": 4, site.server.url: 2}


def test_whatever_the_choice_of_links_raises_is_the_result(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {"/": (), "/a": ()}

    def choose(resource: Resource) -> Any:
        if resource.url.endswith("/a"):
            raise LookupError("nothing here")
        return ["/a"]

    wrong, failed = services.traverse([site.url(), site.url("/a")], choose, order="breadth")

    assert isinstance(wrong.error, ConfigurationError)
    assert "must give the Links to follow, not str" in str(wrong.error)
    assert repr(failed.error) == "LookupError('nothing here')"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_of_a_link_reaches_the_consumer_and_ends_it_all(
    services: ServiceManager, site: Site, kind: type[BaseException]
) -> None:
    fan(site, 5, answer=stall())

    def choose(resource: Resource) -> list[Link]:
        if resource.url == site.url("/enough"):
            site.server.wait_for(lambda: site.server.count() == 7)
            raise kind("enough")
        return resource.links.all("item")

    site.pages["/enough"] = ()
    found = services.traverse([site.url(), site.url("/enough")], choose, per_host=8)

    def take_all() -> Any:
        with pytest.raises(kind, match="enough"):
            list(found)
        return list(found)

    assert Job(take_all).result() == []
    assert workers() == []


def test_an_error_that_was_a_result_keeps_nothing_alive(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {}
    gc.collect()
    gc.disable()
    try:
        [visit] = services.traverse(site.url("/gone"), ITEM)
        error = visit.error
        assert error is not None
        gone = weakref.ref(error)
        del visit, error
        assert gone() is None
    finally:
        gc.enable()


def test_no_thread_of_a_traversal_remembers_a_response(
    services: ServiceManager, site: Site
) -> None:
    later = threading.Event()
    site.pages = {
        "/": ["/later", "/a", "/b"],
        "/later": stall(later) + document(),
        "/a": (),
        "/b": (),
    }

    def answer_of(visit: Visit) -> weakref.ref[Any]:
        assert visit.resource is not None
        return weakref.ref(visit.resource.response)

    found = services.traverse(site.url(), ITEM)
    answers = [answer_of(next(found)) for _ in range(3)]
    gc.collect()
    # Its workers are there still.
    assert workers()
    assert [answer() for answer in answers] == [None] * 3
    later.set()
    assert len(list(found)) == 1


# --- progress --------------------------------------------------------------------------------


def test_progress_is_told_after_each_result_and_at_any_time(
    services: ServiceManager, site: Site
) -> None:
    later = threading.Event()
    fan(site, 3, answer=stall(later) + document())
    told: list[Progress] = []

    with services.traverse(site.url(), ITEM, per_host=2, on_progress=told.append) as found:
        assert found.progress.ended == "under way"
        next(found)
        site.server.wait_for(lambda: site.server.count() == 3)
        under_way = found.progress
        assert (under_way.in_flight, under_way.waiting, under_way.visited) == (2, 1, 1)
        assert repr(found) == (
            "<Traversal under way: 1 visited, 0 failed, 2 in flight, 1 waiting, 0 left out>"
        )
        later.set()
        list(found)

    assert len(told) == 4
    assert [each.visited for each in told] == sorted(each.visited for each in told)
    assert (told[-1].visited, told[-1].hosts) == (4, {site.server.url: 4})
    assert found.progress.seconds == found.progress.seconds >= told[-1].seconds > 0


def test_a_result_is_not_lost_when_telling_of_it_fails(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {"/": ["/a"], "/a": ()}
    calls = 0

    def tell(_: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls in {1, 3}:
            raise Gone

    found = services.traverse(site.url(), ITEM, on_progress=tell)
    visits = []
    while True:
        try:
            visits.append(next(found))
        except Gone:
            continue
        except StopIteration:
            break

    assert paths(visits) == ["/", "/a"]
    assert calls == 4


# --- side by side ----------------------------------------------------------------------------


def test_several_go_on_at_once_over_one_manager(
    services: ServiceManager, sites: list[Site]
) -> None:
    for site in sites:
        fan(site, 20)
    starts = [site.url() for site in sites for _ in range(2)]

    def traverse(start: str) -> int:
        with services.traverse(start, ITEM, concurrency=4) as found:
            return sum(visit.ok for visit in found)

    jobs = [Job(partial(traverse, start)) for start in starts]

    assert [job.result() for job in jobs] == [21] * 6
    assert [site.server.count() for site in sites] == [42] * 3


def test_several_threads_may_take_from_one(services: ServiceManager, site: Site) -> None:
    fan(site, 40)
    found = services.traverse(site.url(), ITEM)
    jobs = [Job(lambda: list(found)) for _ in range(3)]

    taken = [visit for job in jobs for visit in job.result()]

    assert len({visit.url for visit in taken}) == len(taken) == 41


def test_a_traversal_within_a_traversal(services: ServiceManager, site: Site) -> None:
    fan(site, 3)
    with services.traverse(site.url(), ITEM) as outer:
        counts = [len(list(services.traverse(visit.url, ITEM))) for visit in outer]

    assert sorted(counts) == [1, 1, 1, 4]


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": "depth"}, "order must be 'finished' or 'breadth', not 'depth'"),
        ({"order": []}, "order must be"),
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1, not 0"),
        ({"concurrency": True}, "concurrency must be"),
        ({"per_host": 1.5}, "per_host must be"),
        ({"max_depth": -1}, "max_depth must be a whole number of at least 0"),
        ({"max_resources": 0}, "max_resources must be"),
        ({"buffer": 0}, "buffer must be"),
        ({"deadline": -1}, "deadline"),
        ({"rels": "item"}, r"rels must be a list of relations, such as \['item'\]"),
        ({"rels": 5}, "rels must be"),
        ({"rels": [5]}, "rels must be a list of relations, not of int"),
        ({"start": 5}, "starts from resources or URLs, not int"),
        ({"start": ["http://host.example", None]}, "starts from resources or URLs, not NoneType"),
        ({"start": b"http://host.example"}, "starts from resources or URLs, not int"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_at_once(
    services: ServiceManager, options: dict[str, Any], said: str
) -> None:
    given = {"start": "http://host.example", "rels": ITEM, **options}

    with pytest.raises(ValueError, match=said):
        services.traverse(**given)


def test_none_to_start_from_is_none_at_all(services: ServiceManager) -> None:
    with services.traverse([], ITEM) as found:
        assert list(found) == []
        assert found.progress.ended == "complete"


def test_a_visit_is_told_without_its_query() -> None:
    visit = Visit("http://host.example/a?key=secret", 2, "item", None, None, LookupError("secret"))

    assert repr(visit) == "<Visit http://host.example/a depth=2 rel='item' LookupError>"
    assert not visit.ok
