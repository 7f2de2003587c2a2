"""A traversal goes on from what an earlier one visited, without asking for any of it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sleepwalker import ANONYMOUS, ConfigurationError, ConnectionManager, DirectHook
from sleepwalker.links import Known, Link, LinkFormat, ServiceManager
from tests.servers import Request, respond

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sleepwalker.links import Document, Visit
    from tests.servers import Action, MakeServer, ScriptedServer

RELS = ["item"]


class Pages(LinkFormat):
    """Links as the tests' servers write them."""

    def recognizes(self, document: Document) -> bool:
        return isinstance(document.data, dict)

    def links(self, document: Document) -> Iterator[Link]:
        for href in document.data.get("items", ()):
            yield Link(rel="item", href=href, base=document.url)


def tree(items: Mapping[str, list[str]]) -> object:
    """A server's answers: each path's items; a path that is not there is a 404."""

    def answer(request: Request) -> Action:
        if request.path not in items:
            return respond(404)
        return respond(json={"items": items[request.path]})

    return answer


def manager() -> ServiceManager:
    hook = DirectHook(credentials={"*": ANONYMOUS})
    connections = ConnectionManager(hooks=[hook], registry=False)
    return ServiceManager(connections, credentials={"*": ANONYMOUS}, formats=[Pages()])


def known(visit: Visit) -> Known:
    assert visit.resource is not None
    links = visit.resource.links.all("item")
    return Known(visit.url, visit.depth, visit.rel, visit.source, visit.requested, links)


@pytest.fixture
def site(make_server: MakeServer) -> ScriptedServer:
    return make_server(
        tree({"/": ["/1", "/2", "/lost"], "/1": ["/11", "/2"], "/2": [], "/11": ["/"]})  # type: ignore[arg-type]
    )


def targets(server: ScriptedServer) -> list[str]:
    return sorted(request.target for request in server.requests)


def test_two_halves_ask_for_each_resource_once_and_for_what_failed_again(
    site: ScriptedServer,
) -> None:
    with manager() as services:
        whole = list(services.traverse(f"{site.url}/", RELS, order="breadth"))
        assert [(v.url.removeprefix(site.url), v.depth, v.ok) for v in whole] == [
            ("/", 0, True),
            ("/1", 1, True),
            ("/2", 1, True),
            ("/lost", 1, False),
            ("/11", 2, True),
        ]
        before = len(site.requests)
        done = [known(visit) for visit in whole if visit.ok][:2]

        rest = list(services.traverse(f"{site.url}/", RELS, known=iter(done), order="breadth"))

    assert [v._replace(resource=None, error=None) for v in rest] == [
        v._replace(resource=None, error=None) for v in whole[2:]
    ]
    assert sorted(r.target for r in site.requests[before:]) == ["/11", "/2", "/lost"]


def test_when_all_is_known_nothing_is_asked_for(site: ScriptedServer) -> None:
    with manager() as services:
        done = [known(v) for v in services.traverse(f"{site.url}/1", RELS) if v.ok]
        done = [each._replace(links=()) for each in done]
        asked = len(site.requests)

        assert list(services.traverse(f"{site.url}/1", RELS, known=done)) == []
    assert len(site.requests) == asked


def test_known_resources_count_towards_the_most_there_may_be(site: ScriptedServer) -> None:
    with manager() as services:
        start = Known(f"{site.url}/", 0, None, None, f"{site.url}/", [])
        start = start._replace(
            links=[Link(rel="item", href=href, base=start.url) for href in ("/1", "/2")]
        )
        found = services.traverse(f"{site.url}/", RELS, known=[start], max_resources=2)

        assert [visit.url for visit in found] == [f"{site.url}/1"]
        assert found.progress.left_out == 3  # /2 from there; /11 and /2 from /1
    assert targets(site) == ["/1"]


def test_links_too_deep_the_first_time_are_followed_by_who_goes_deeper(
    site: ScriptedServer,
) -> None:
    with manager() as services:
        first = [known(v) for v in services.traverse(f"{site.url}/", RELS, max_depth=0)]
        rest = services.traverse(f"{site.url}/", RELS, known=first, max_depth=1)

        assert sorted(visit.requested for visit in rest) == [
            f"{site.url}{path}" for path in ("/1", "/2", "/lost")
        ]
    assert site.count(target="/") == 1


def test_where_a_redirect_led_is_known_by_both_of_its_urls(make_server: MakeServer) -> None:
    def answer(request: Request) -> Action:
        if request.path == "/old":
            return respond(302, {"Location": "/new"})
        return respond(json={"items": ["/old", "/new", "/more"]})

    site = make_server(answer)
    with manager() as services:
        (start,) = services.traverse(f"{site.url}/old", RELS, max_resources=1)
        assert (start.requested, start.url) == (f"{site.url}/old", f"{site.url}/new")
        asked = len(site.requests)

        rest = services.traverse(f"{site.url}/old", RELS, known=[known(start)])

        assert [visit.url for visit in rest] == [f"{site.url}/more"]
    assert [r.target for r in site.requests[asked:]] == ["/more"]


def test_own_headers_go_on_where_they_went_before_and_nowhere_else(
    make_server: MakeServer,
) -> None:
    away = make_server(tree({"/far": ["/further"], "/further": []}))  # type: ignore[arg-type]
    site = make_server(tree({"/": ["/near", f"{away.url}/far"], "/near": []}))  # type: ignore[arg-type]
    start = f"{site.url}/"
    with manager() as services:
        first = services.traverse(start, RELS, max_depth=1, headers={"X-Tenant": "west"})
        by_url = {visit.url: known(visit) for visit in first}
        back = Link(rel="item", href=f"{site.url}/back", base=f"{away.url}/far")
        near = Link(rel="item", href="/nearer", base=f"{site.url}/near")
        done = [
            by_url[start],
            by_url[f"{site.url}/near"]._replace(links=[near]),
            by_url[f"{away.url}/far"]._replace(links=[*by_url[f"{away.url}/far"].links, back]),
        ]

        list(services.traverse(start, RELS, known=done, headers={"X-Tenant": "west"}))

    got = {r.target: r.headers.get("X-Tenant") for r in [*site.requests, *away.requests]}
    assert got == {
        "/": "west",
        "/near": "west",
        "/nearer": "west",
        "/far": None,
        "/further": None,
        "/back": None,
    }


def test_a_source_that_is_not_there_is_said(site: ScriptedServer) -> None:
    lost = Known(f"{site.url}/1", 1, "item", f"{site.url}/", f"{site.url}/1", [])
    with (
        manager() as services,
        services.traverse(f"{site.url}/", RELS, known=[lost]) as found,
        pytest.raises(ConfigurationError, match="is not among those before it"),
    ):
        next(found)
    assert site.requests == []
