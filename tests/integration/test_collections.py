"""Collections in pages: what is got when, how they end, and how one goes on after an error."""

from __future__ import annotations

import gc
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from sleepwalker import (
    ANONYMOUS,
    ConfigurationError,
    ConnectionManager,
    DecodeError,
    DirectHook,
    FormError,
    HTTPServiceUnavailable,
    LinkError,
    LinkLoopError,
    Policy,
    RelationError,
    TooManyHopsError,
)
from sleepwalker.links import Link, LinkFormat, Resource, ServiceManager
from sleepwalker.testing import SkippingClock
from tests.integration.retrying import lines
from tests.servers import respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sleepwalker.links import Document
    from tests.servers import Action, MakeServer, ScriptedServer

HAL = {"Content-Type": "application/hal+json"}


class Feed(LinkFormat):
    """An API's own: `more` leads on, and `entries` are what is on a page."""

    def links(self, document: Document) -> Iterable[Link]:
        if document.data["more"] is not None:
            yield Link(rel="next", href=document.data["more"], base=document.url)

    def items(self, document: Document) -> Iterator[Any]:
        yield from document.data["entries"]


def by_header(items: list[Any], after: str | None) -> Action:
    headers = {} if after is None else {"Link": f'<{after}>; rel="next"'}
    return respond(200, headers, json=items)


def by_hal(items: list[Any], after: str | None) -> Action:
    link = None if after is None else {"href": after}
    return respond(200, HAL, json={"_links": {"next": link}, "_embedded": {"item": items}})


def by_feed(items: list[Any], after: str | None) -> Action:
    return respond(json={"entries": items, "more": after})


KINDS: dict[str, tuple[Callable[[list[Any], str | None], Action], list[LinkFormat] | None]] = {
    "Link headers": (by_header, None),
    "HAL": (by_hal, None),
    "the caller's own": (by_feed, [Feed()]),
}
of_each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def services() -> Iterator[ServiceManager]:
    """Give services that go everywhere as nobody, and try once."""
    clock = SkippingClock()
    manager = ConnectionManager(
        hooks=[DirectHook(clock=clock)],
        policy=Policy(attempts=1),
        clock=clock,
        registry=CollectorRegistry(),
        tracer_provider=False,
        logger=False,
    )
    with manager, ServiceManager(manager, credentials={"*": ANONYMOUS}) as made:
        yield made


def three_pages(server: ScriptedServer, kind: str = "Link headers") -> None:
    page, _ = KINDS[kind]
    server.script(page([1, 2], "/books?page=2"), page([], "?page=3"), page([3], None))


@of_each_kind
def test_each_page_is_got_when_it_is_asked_for(
    kind: str, services: ServiceManager, server: ScriptedServer
) -> None:
    three_pages(server, kind)
    first = services.get(f"{server.url}/books", formats=KINDS[kind][1])
    pages = first.pages()

    assert server.count() == 1
    assert next(pages) is first
    assert server.count() == 1
    assert [page.url for page in islice(pages, 1)] == [f"{server.url}/books?page=2"]
    assert server.count() == 2
    assert [page.url for page in pages] == [f"{server.url}/books?page=3"]
    assert list(pages) == []
    assert lines(server) == ["GET /books", "GET /books?page=2", "GET /books?page=3"]


@of_each_kind
def test_items_are_those_of_all_pages_each_got_when_it_is_needed(
    kind: str, services: ServiceManager, server: ScriptedServer
) -> None:
    three_pages(server, kind)
    items = services.get(f"{server.url}/books", formats=KINDS[kind][1]).items()

    assert [next(items), next(items)] == [1, 2]
    assert server.count() == 1
    # Past an empty page.
    assert next(items) == 3
    assert server.count() == 3
    assert list(items) == list(items) == []


def test_pages_may_be_gone_through_again(services: ServiceManager, server: ScriptedServer) -> None:
    three_pages(server)
    server.script(by_header([], "?page=3"), by_header([3], None))
    first = services.get(f"{server.url}/books")

    assert list(first.items()) == list(first.items()) == [1, 2, 3]


def test_other_relations_lead_through_pages_too(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(
        respond(200, {"Link": "<?page=1>; rel=prev"}, json=[3]), respond(200, json=[1, 2])
    )
    last = services.get(f"{server.url}/books?page=2")

    assert list(last.items("prev")) == [3, 1, 2]
    assert list(last.items()) == [3]


def test_the_next_page_may_be_on_another_host(
    make_server: MakeServer, services: ServiceManager
) -> None:
    one, other = make_server(), make_server()
    one.script(by_header([1], f"{other.url}/2"))
    other.script(by_header([2], f"{one.url}/3"))
    one.script(by_header([3], None))

    assert list(services.get(f"{one.url}/1").items()) == [1, 2, 3]
    assert lines(one) == ["GET /1", "GET /3"]
    assert lines(other) == ["GET /2"]


def test_a_next_page_that_is_told_twice_is_one(
    services: ServiceManager, server: ScriptedServer
) -> None:
    both = {**HAL, "Link": '</2>; rel="next"'}
    body = {"_links": {"next": {"href": "/2"}}, "_embedded": {"item": [1]}}
    server.script(respond(200, both, json=body), by_hal([2], None))

    assert list(services.get(server.url).items()) == [1, 2]


def test_links_of_items_are_items_of_what_has_no_other(
    services: ServiceManager, server: ScriptedServer
) -> None:
    headers = [("Link", "</1>; rel=item"), ("Link", "</2>; rel=item")]
    server.script(respond(200, headers, b"two books"))
    shelf = services.get(server.url)

    assert [item.href for item in shelf.items()] == ["/1", "/2"]
    assert [shelf.follow(item).data["target"] for item in shelf.items()] == ["/1", "/2"]


# --- how they end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hrefs", "page", "target"),
    [
        (["/books"], 1, "/books"),
        (["#more"], 1, "/books"),
        (["?page=2", "HTTP://127.0.0.1:{port}/books#again"], 2, "/books"),
        (["?page=2", "?page=3", "?page=2"], 3, "/books?page=2"),
    ],
)
def test_pages_that_lead_back_are_an_error(
    hrefs: list[str], page: int, target: str, services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(*(by_header([1], href.format(port=server.port)) for href in hrefs))
    pages = services.get(f"{server.url}/books").pages()

    assert len(list(islice(pages, page))) == page
    with pytest.raises(LinkLoopError) as caught:
        next(pages)
    assert str(caught.value) == (
        f"page {page} leads by 'next' back to {server.url}{target}, which was there already, and "
        "no page is given twice; follow the link itself if it is meant"
    )
    assert server.count() == page


def test_a_redirect_back_is_a_loop(services: ServiceManager, server: ScriptedServer) -> None:
    server.script(by_header([1], "/2"), respond(302, {"Location": "/1"}), by_header([1], "/2"))
    pages = services.get(f"{server.url}/1").pages()

    assert len(list(islice(pages, 1))) == 1
    with pytest.raises(LinkLoopError):
        next(pages)
    assert server.count() == 3


def test_where_a_page_was_found_after_redirects_is_known_too(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(by_header([1], "/2"), respond(302, {"Location": "/b"}), by_header([2], "/b"))
    pages = services.get(f"{server.url}/1").pages()

    assert len(list(islice(pages, 2))) == 2
    with pytest.raises(LinkLoopError):
        next(pages)
    assert server.count() == 3


def endless(server: ScriptedServer) -> None:
    def answer(request: Any) -> Action:
        number = int(request.target.rpartition("=")[2] or 0)
        return by_header([number], f"?page={number + 1}")

    server.default = answer


def test_there_are_no_more_pages_than_may_be(
    services: ServiceManager, server: ScriptedServer
) -> None:
    endless(server)
    pages = services.get(f"{server.url}/?page=1").pages(max_pages=3)

    assert len(list(islice(pages, 3))) == 3
    with pytest.raises(TooManyHopsError) as caught:
        next(pages)
    assert str(caught.value) == "there are more than 3 pages; pages(max_pages=...) allows more"
    assert server.count() == 3


def test_the_manager_says_how_many_may_be_and_hops_are_not_counted(
    services: ServiceManager, server: ScriptedServer
) -> None:
    endless(server)
    few = ServiceManager(
        services.connections, credentials={"*": ANONYMOUS}, max_pages=4, max_hops=2
    )
    first = few.get(f"{server.url}/?page=1")
    items = first.items()

    assert list(islice(items, 4)) == [1, 2, 3, 4]
    with pytest.raises(TooManyHopsError, match="there are more than 4 pages"):
        next(items)
    assert list(islice(first.items(max_pages=9), 6)) == [1, 2, 3, 4, 5, 6]


def test_as_many_pages_as_may_be_are_no_error(
    services: ServiceManager, server: ScriptedServer
) -> None:
    three_pages(server)

    assert len(list(services.get(f"{server.url}/books").pages(max_pages=3))) == 3


@pytest.mark.parametrize("most", [0, -1, True, "3", 2.0])
def test_a_limit_is_a_whole_number(
    most: Any, services: ServiceManager, server: ScriptedServer
) -> None:
    first = services.get(server.url)
    with pytest.raises(ConfigurationError, match="max_pages must be a whole number of at least 1"):
        first.pages(max_pages=most)
    with pytest.raises(ConfigurationError, match="max_pages must be a whole number of at least 1"):
        first.items(max_pages=most)


# --- errors on the way ----------------------------------------------------------------------------


def test_an_error_comes_where_it_happens_and_the_way_goes_on_from_there(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(by_header([1], "/2"), by_header([2], "/3"), respond(503), respond(503))
    server.script(by_header([3], None))
    pages = services.get(f"{server.url}/1").pages()

    assert [page.data for page in islice(pages, 2)] == [[1], [2]]
    for _ in range(2):
        with pytest.raises(HTTPServiceUnavailable):
            next(pages)
    # Asked again, it tries the same page again; and then it goes on.
    assert [page.data for page in pages] == [[3]]
    assert lines(server) == ["GET /1", "GET /2", "GET /3", "GET /3", "GET /3"]


def test_one_may_go_on_from_the_last_page_as_well(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(by_header([1], "/2"), by_header([2], "/3"), respond(503), by_header([3], None))
    pages = services.get(f"{server.url}/1").pages()
    _, last = islice(pages, 2)
    with pytest.raises(HTTPServiceUnavailable):
        next(pages)

    assert [page.data for page in last.pages()] == [[2], [3]]


def test_items_go_on_after_an_error_and_none_is_lost(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(by_header([1], "/2"), respond(503), by_header([2, 3], None))
    items = services.get(f"{server.url}/1").items()

    assert next(items) == 1
    with pytest.raises(HTTPServiceUnavailable):
        next(items)
    assert list(items) == [2, 3]


def test_a_page_that_can_not_be_read_is_an_error_each_time_it_is_asked_for(
    services: ServiceManager, server: ScriptedServer
) -> None:
    broken = respond(200, {"Content-Type": "application/json"}, b"[2")
    server.script(by_header([1], "/2"), broken)
    items = services.get(f"{server.url}/1").items()

    assert next(items) == 1
    for _ in range(2):
        with pytest.raises(DecodeError):
            next(items)
    assert server.count() == 2


@pytest.mark.parametrize(
    ("data", "what"), [({"id": 7}, "object"), ("text", "str"), (7, "int"), (None, "NoneType")]
)
def test_what_is_no_collection_has_no_items(
    data: Any, what: str, services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(json=data))
    items = services.get(f"{server.url}/books/7?key=hunter2hunter2").items()
    for _ in range(2):
        with pytest.raises(LinkError) as caught:
            next(items)
        assert "/books/7?key=" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert str(caught.value).endswith(
            f"is no collection that can be told ({what}): "
            "go through pages() and take the items from data"
        )


def test_several_next_pages_are_an_error(services: ServiceManager, server: ScriptedServer) -> None:
    server.script(respond(200, {"Link": "</a>; rel=next, </b>; rel=next"}, json=[]))
    pages = services.get(server.url).pages()

    next(pages)
    with pytest.raises(RelationError, match="there are 2 links 'next'"):
        next(pages)


def test_a_next_page_that_would_change_something_is_not_got(
    services: ServiceManager, server: ScriptedServer
) -> None:
    action = {"name": "next", "href": "/2", "method": "POST"}
    server.script(
        respond(200, {"Content-Type": "application/vnd.siren+json"}, json={"actions": [action]})
    )
    pages = services.get(server.url).pages()

    next(pages)
    with pytest.raises(FormError, match="is a POST"):
        next(pages)
    assert server.count() == 1


# --- memory ---------------------------------------------------------------------------------------


def alive(server: ScriptedServer) -> int:
    """Count the resources of this server that somebody holds."""
    return sum(
        isinstance(each, Resource) and each.url.startswith(server.url) for each in gc.get_objects()
    )


def test_pages_are_let_go_once_the_next_is_there(
    services: ServiceManager, server: ScriptedServer
) -> None:
    endless(server)
    for page in islice(services.get(f"{server.url}/?page=1").pages(), 5):
        assert page is not None
        assert alive(server) == 1
    del page

    items = services.get(f"{server.url}/?page=1").items()
    assert list(islice(items, 5)) == [1, 2, 3, 4, 5]
    assert alive(server) == 1
