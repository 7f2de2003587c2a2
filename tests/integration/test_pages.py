"""Pages and what is on them: got when they are asked for, not kept, and never without an end."""

from __future__ import annotations

import gc
import weakref
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ConfigurationError, HTTPNotFound
from sleepwalker.exceptions import LinkError, LinkLoopError, TooManyHopsError
from sleepwalker.links import Link, Resource
from tests.integration.walking import HAL, Site, quiet
from tests.servers import redirect, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.links import ServiceManager
    from tests.servers import MakeServer


@pytest.fixture
def services() -> Iterator[ServiceManager]:
    with quiet() as made:
        yield made


@pytest.fixture
def site(make_server: MakeServer) -> Site:
    return Site(make_server)


def page(following: str | None, *items: Any, rel: str = "next") -> Any:
    """A page of a collection in HAL, and what leads on from it."""
    links = {} if following is None else {rel: {"href": following}}
    return respond(200, HAL, json={"_links": links, "_embedded": {"item": list(items)}})


def listed(following: str | None, *items: Any) -> Any:
    """The same as a plain array, with a `Link` header."""
    headers = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return respond(200, headers, json=list(items))


def numbers(pages: Any) -> list[str]:
    return [each.url.rpartition("/")[2] for each in pages]


@pytest.mark.parametrize("make", [page, listed])
def test_pages_are_got_when_they_are_asked_for(
    services: ServiceManager, site: Site, make: Any
) -> None:
    site.pages = {"/1": make("/2", "a", "b"), "/2": make("3", "c"), "/3": make(None)}
    first = services.get(site.url("/1"))

    pages = first.pages()
    assert next(pages) is first
    assert site.asked == {"/1": 1}
    assert numbers(pages) == ["2", "3"]

    items = first.items()
    assert list(islice(items, 2)) == ["a", "b"]
    assert site.asked["/2"] == 1
    assert list(items) == ["c"]
    assert site.asked == {"/1": 1, "/2": 2, "/3": 2}


def test_another_relation_leads_another_way(services: ServiceManager, site: Site) -> None:
    site.pages = {"/2": page("/1", rel="prev"), "/1": page(None)}

    assert numbers(services.get(site.url("/2")).pages("prev")) == ["2", "1"]
    assert numbers(services.get(site.url("/2")).pages()) == ["2"]


def test_pages_may_be_on_several_hosts_and_are_no_chain_of_links(make_server: MakeServer) -> None:
    one, two = Site(make_server), Site(make_server)
    one.pages = {f"/{n}": page(two.url(f"/{n + 1}")) for n in range(0, 10, 2)}
    two.pages = {f"/{n}": page(one.url(f"/{n + 1}")) for n in range(1, 9, 2)} | {"/9": page(None)}

    with quiet(max_hops=2) as services:
        assert len(list(services.get(one.url("/0")).pages())) == 10


def test_no_page_is_kept_once_the_next_one_is_there(services: ServiceManager, site: Site) -> None:
    site.pages = {"/1": page("/2", 1), "/2": page("/3", 2), "/3": page(None, 3)}
    seen: list[weakref.ref[Resource]] = []

    for each in services.get(site.url("/1")).pages():
        seen.append(weakref.ref(each))
        del each
        gc.collect()
        assert [known() is not None for known in seen[:-1]] == [False] * (len(seen) - 1)

    first = services.get(site.url("/1"))
    seen = [weakref.ref(first)]
    items = first.items()
    del first
    assert [next(items), next(items)] == [1, 2]
    gc.collect()
    assert seen[0]() is None


@pytest.mark.parametrize("back", ["/1", "/2", "/./1#again", "/moved"])
def test_a_page_that_leads_back_is_an_error_behind_those_before_it(
    services: ServiceManager, site: Site, back: str
) -> None:
    site.pages = {"/1": page("/2"), "/2": page(back), "/moved": redirect(302, "/1")}
    got: list[Resource] = []

    with pytest.raises(LinkLoopError, match=r"page 2 leads by 'next' back to .*/[12], which was"):
        got.extend(services.get(site.url("/1")).pages())

    assert numbers(got) == ["1", "2"]
    assert site.asked["/2"] == 1


def test_more_pages_than_there_may_be_are_an_error_and_not_an_end(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {f"/{n}": page(f"/{n + 1}") for n in range(10)}
    pages = services.get(site.url("/0")).pages(max_pages=3)

    assert numbers(islice(pages, 3)) == ["0", "1", "2"]
    with pytest.raises(TooManyHopsError, match=r"more than 3 pages; pages\(max_pages=\.\.\.\)"):
        next(pages)
    assert "/3" not in site.asked

    site.pages["/2"] = page(None)
    assert len(list(services.get(site.url("/0")).pages(max_pages=3))) == 3


def test_the_manager_says_how_many_pages_there_may_be(site: Site) -> None:
    site.pages = {f"/{n}": page(f"/{n + 1}") for n in range(10)}
    with quiet(max_pages=2) as services, pytest.raises(TooManyHopsError, match="more than 2 pages"):
        list(services.get(site.url("/0")).pages())


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "2"])
def test_a_number_of_pages_that_is_none_is_told_at_once(
    services: ServiceManager, site: Site, most: Any
) -> None:
    site.pages = {"/": ()}

    with pytest.raises(ConfigurationError, match="max_pages must be a whole number"):
        services.get(site.url()).pages(max_pages=most)


def test_a_page_that_cannot_be_got_is_its_error(services: ServiceManager, site: Site) -> None:
    site.pages = {"/1": page("/gone", 1)}
    items = services.get(site.url("/1")).items()

    assert next(items) == 1
    with pytest.raises(HTTPNotFound):
        next(items)


def test_items_are_links_where_the_collection_has_no_more_than_these(
    services: ServiceManager, site: Site
) -> None:
    site.pages = {"/": ["/a", "/b"]}

    links = list(services.get(site.url()).items())

    assert all(isinstance(link, Link) for link in links)
    assert [link.url() for link in links] == [site.url("/a"), site.url("/b")]


def test_what_is_no_collection_has_no_items(services: ServiceManager, site: Site) -> None:
    site.pages = {"/": respond(json={"title": "no collection"})}

    with pytest.raises(LinkError, match=r"is no collection that can be told \(object\)"):
        list(services.get(site.url("/?key=s3cr3t")).items())
