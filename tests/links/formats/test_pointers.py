"""Relations that are mapped by JSON Pointer lead where the document says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ANONYMOUS
from sleepwalker.exceptions import (
    ConfigurationError,
    LinkFormatError,
    RelationError,
    TemplateError,
    TemplateHostError,
)
from sleepwalker.links import Document, Each, MediaType, Pointers, ServiceManager, Template
from tests.links.formats.specification import all_read, link
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

POINTERS: Any = Pointers
TEMPLATE: Any = Template
"""Where what a caller gives is wrong."""
SITE = "https://api.example"
PAGE: dict[str, Any] = {
    "author": {"href": "/people/1", "homepage": "https://home.example/"},
    "paging": {"next": "?page=2", "prev": "", "last": None, "total": 7},
    "mirrors": ["//one.example/", "/two", 3, "", None],
    "owner_id": 0,
    "results": [
        {"url": "/r/1", "id": "a/b", "tags": [{"u": "/t/1"}, {"u": "/t/2"}]},
        {"id": None},
        {"url": "/r/3", "id": 3, "tags": [{"u": "/t/3"}]},
    ],
    "by_name": {"one": {"url": "/n/1"}, "two": {"url": "/n/2"}},
    "lists": [[1]],
}


def read(relations: dict[str, Any], data: Any = PAGE) -> list[tuple[str, str]]:
    """Say the relations and URLs that a mapping reads."""
    document = Document(f"{SITE}/page", data=data)
    return [(one["rel"], one["url"]) for one in all_read(Pointers(relations), document)]


@pytest.mark.parametrize(
    ("source", "urls"),
    [
        ("/author/href", ["/people/1"]),
        ("/author/homepage", ["https://home.example/"]),
        ("/paging/next", ["/page?page=2"]),
        ("/mirrors", ["https://one.example/", "/two"]),
        ("/mirrors/1", ["/two"]),
        (Each("/results", "/url"), ["/r/1", "/r/3"]),
        (Each("/mirrors"), ["https://one.example/", "/two"]),
        (Each("/by_name", "/url"), ["/n/1", "/n/2"]),
        (Each("/results", Each("/tags", "/u")), ["/t/1", "/t/2", "/t/3"]),
        (Each("/results", Template("/r{?id}", id="/id")), ["/r?id=a%2Fb", "/r?id=3"]),
        (Template("/users/{id}", id="/owner_id"), ["/users/0"]),
        (Template("/mirrors{?m*}", m="/results/0/tags/0"), ["/mirrors?u=%2Ft%2F1"]),
        (Template("/about"), ["/about"]),
        # What isn't there, or is no URL, is no link.
        ("/nowhere", []),
        ("/author", []),
        ("/paging/prev", []),
        ("/paging/last", []),
        ("/paging/total", []),
        ("/mirrors/-", []),
        (Each("/nowhere", "/url"), []),
        (Each("/owner_id", "/url"), []),
        (Each("/results", "/nowhere"), []),
        (Template("/users/{id}", id="/nowhere"), []),
        (Template("/users/{id}", id="/paging/last"), []),
        (Template("/users/{id}", id="/lists"), []),
    ],
)
def test_a_relation_leads_to_what_its_source_finds(source: Any, urls: list[str]) -> None:
    expected = [url if "//" in url else f"{SITE}{url}" for url in urls]

    assert read({"related": source}) == [("related", url) for url in expected]


def test_relations_come_in_the_order_of_the_mapping() -> None:
    relations = {"next": "/paging/next", "item": Each("/results", "/url"), "author": "/author/href"}

    assert [rel for rel, _ in read(relations)] == ["next", "item", "item", "author"]


@pytest.mark.parametrize("data", [None, [], "text", 7, {}])
def test_a_document_that_is_something_else_has_no_links(data: Any) -> None:
    assert read({"a": "/a", "b": Each("/b", "/c"), "c": Template("/{d}", d="/d")}, data) == []


def test_the_whole_document_may_be_a_list() -> None:
    assert read({"item": Each("", "/url")}, PAGE["results"]) == [
        ("item", f"{SITE}/r/1"),
        ("item", f"{SITE}/r/3"),
    ]


def test_what_a_template_leaves_open_is_the_callers_and_nothing_else() -> None:
    form = Pointers({"posts": Template("/users/{id}/posts{?q,id}", id="/owner_id")})
    (posts,) = form.links(Document(f"{SITE}/page", data=PAGE))

    assert posts.wants == ("q",)
    assert posts.url() == f"{SITE}/users/0/posts?id=0"
    assert posts.url(q="a b") == f"{SITE}/users/0/posts?q=a%20b&id=0"
    with pytest.raises(TemplateError, match="takes no variable id"):
        posts.url(id=1)


@pytest.mark.parametrize(
    ("data", "items"),
    [
        ({"results": [1, 2]}, [1, 2]),
        ({"results": []}, []),
        ({"results": None}, []),
        ({"results": {"a": 1, "b": 2}}, [1, 2]),
    ],
)
def test_items_are_where_the_caller_says(data: Any, items: list[Any]) -> None:
    found = Pointers({}, items="/results").items(Document(SITE, data=data))

    assert found is not None
    assert list(found) == items


@pytest.mark.parametrize("data", [{}, {"results": "text"}, {"results": 7}, [], None])
def test_items_that_are_not_where_the_caller_says_are_an_error(data: Any) -> None:
    with pytest.raises(LinkFormatError, match="items="):
        Pointers({}, items="/results").items(Document(SITE, data=data))


def test_without_a_word_there_are_no_items() -> None:
    assert Pointers({}).items(Document(SITE, data=[1])) is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: POINTERS([("next", "/next")]), "relations must map"),
        (lambda: POINTERS({"next": "next"}), "the relation 'next' must be a JSON Pointer"),
        (lambda: POINTERS({"next": None}), "the relation 'next' must be a JSON Pointer"),
        (lambda: POINTERS({"next": Each}), "the relation 'next' must be a JSON Pointer"),
        (lambda: POINTERS({"next": "/~3"}), "JSON Pointer"),
        (lambda: POINTERS({" ": "/next"}), "a relation must be text"),
        (lambda: POINTERS({7: "/next"}), "a relation must be text"),
        (lambda: POINTERS({}, items="results"), "items must be a JSON Pointer"),
        (lambda: POINTERS({}, media_types="application/json"), "media_types"),
        (lambda: POINTERS({}, media_types=["json"]), "media_types"),
        (lambda: POINTERS({}, hosts="api.example"), "hosts"),
        (lambda: POINTERS({}, hosts=["https://u:p@api.example"]), "host pattern"),
        (lambda: Each("results", "/url"), "the array of Each must be"),
        (lambda: Each("/results", "url"), "the source of Each must be"),
        (lambda: TEMPLATE(7), "a template must be text"),
        (lambda: Template("/{a:b}"), "no URI template"),
        (lambda: Template("/{a}", a="b"), "the variable a of"),
        (lambda: Template("/{a}", a="/a", b="/b"), "has no variable b"),
    ],
)
def test_a_mapping_that_can_not_be_is_told_when_it_is_made(make: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()


@pytest.mark.parametrize(
    ("options", "recognized"),
    [
        ({}, False),
        ({"media_types": ["application/json"]}, True),
        ({"media_types": ["Application/JSON; charset=utf-8"]}, True),
        ({"media_types": ["application/hal+json"]}, False),
        ({"hosts": ["api.example"]}, True),
        ({"hosts": ["*.other.example", "https://api.example"]}, True),
        ({"hosts": ["http://api.example"]}, False),
        ({"media_types": ["application/json"], "hosts": ["other.example"]}, False),
        ({"media_types": ["text/json"], "hosts": ["api.example"]}, False),
    ],
)
def test_it_is_for_the_documents_that_the_caller_names(
    options: dict[str, Any], recognized: object
) -> None:
    document = Document(f"{SITE}/page", MediaType.of("application/json"), data=PAGE)

    assert Pointers({}, **options).recognizes(document) is recognized


def test_it_is_for_no_document_of_nowhere() -> None:
    assert not Pointers({}, hosts=["*"]).recognizes(Document("urn:a:b", data=PAGE))


@pytest.fixture
def services(server: ScriptedServer) -> Iterator[ServiceManager]:
    form = Pointers({"next": "/next"}, items="/results", hosts=[server.url])
    with ServiceManager(credentials={server.url: ANONYMOUS}, formats=[form]) as services:
        yield services


def test_items_come_from_all_pages(server: ScriptedServer, services: ServiceManager) -> None:
    server.script(
        respond(json={"results": [1, 2], "next": "/things?page=2"}),
        respond(json={"results": [3], "next": None}),
    )

    assert list(services.get(f"{server.url}/things").items()) == [1, 2, 3]
    assert server.count() == 2


def test_a_document_may_name_the_host_but_not_what_the_caller_puts_into_a_template(
    server: ScriptedServer, services: ServiceManager
) -> None:
    document = {"api": "https://elsewhere.example", "path": "/search"}
    server.default = respond(json=document)
    form = Pointers(
        {
            "search": Template("{+api}/search{?q}", api="/api"),
            "any": Template("{+base}{+path}", path="/path"),
            "path": Template("{+path}{?q}", path="/path"),
        }
    )
    page = services.get(f"{server.url}/", formats=[form])

    assert page.link("search").url(q=1) == "https://elsewhere.example/search?q=1"
    with pytest.raises(TemplateHostError):
        page.follow("any", base="https://elsewhere.example")
    page.follow("path", q="x")
    with pytest.raises(RelationError, match="'search', 'any', 'path'"):
        page.follow("next")
    assert [request.target for request in server.requests] == ["/", "/search?q=x"]


def test_what_is_read_is_a_plain_link() -> None:
    document = Document(f"{SITE}/page", data=PAGE)

    assert all_read(Pointers({"a": Template("/u/{i}", i="/owner_id")}), document) == (
        link("a", f"{SITE}/u/0"),
    )
