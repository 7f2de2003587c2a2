"""JSON:API documents are read as its specification says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sleepwalker import ANONYMOUS
from sleepwalker.links import (
    DEFAULT_FORMATS,
    JSONAPI,
    Document,
    LinkFormat,
    MediaType,
    ServiceManager,
)
from tests.links.formats.json_api import COMPOUND, EXAMPLES, RULES
from tests.links.formats.specification import Example, all_read, embedded_in
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

FORM = JSONAPI()
TYPE = "application/vnd.api+json"


@pytest.mark.parametrize("example", [*EXAMPLES, *RULES], ids=lambda example: example.section)
def test_a_document_has_the_links_and_resources_that_the_specification_says(
    example: Example,
) -> None:
    document = example.document(TYPE)

    assert all_read(FORM, document) == example.links
    assert embedded_in(FORM, document) == example.embedded
    assert FORM.items(document) == example.items


@pytest.mark.parametrize(
    ("media_type", "asked"),
    [
        (TYPE, [JSONAPI]),
        ("Application/Vnd.API+JSON", [JSONAPI]),
        (
            f'{TYPE};ext="https://jsonapi.org/ext/atomic";profile="http://a.example/ http://b/"',
            [JSONAPI],
        ),
        (f"{TYPE}; charset=utf-8", [JSONAPI]),
        ("application/json", []),
        ("application/vnd.api", []),
        ("", []),
    ],
)
def test_its_media_type_makes_it_one_whatever_extensions_it_names(
    media_type: str, asked: list[type[LinkFormat]]
) -> None:
    document = Document("http://example.com/", MediaType.of(media_type), data=COMPOUND)

    assert [type(form) for form in DEFAULT_FORMATS if form.recognizes(document)] == asked


@pytest.fixture
def services(server: ScriptedServer) -> Iterator[ServiceManager]:
    with ServiceManager(credentials={server.url: ANONYMOUS}) as services:
        yield services


def test_what_is_embedded_is_read_as_what_following_the_link_would_give(
    server: ScriptedServer, services: ServiceManager
) -> None:
    server.default = respond(headers=[("Content-Type", TYPE)], json=COMPOUND)

    articles = services.get(f"{server.url}/articles")
    (article,) = articles.embedded("item")
    (author,) = article.embedded("author")
    first, second = article.embedded("comments")
    (same,) = second.embedded("author")

    assert author.data["data"]["attributes"]["firstName"] == "Dan"
    assert author.url == same.url == "http://example.com/people/9"
    assert article.link("comments").url() == "http://example.com/articles/1/comments"
    assert first.link("self").url() == "http://example.com/comments/5"
    assert first.embedded("author") == []
    assert server.count() == 1


def test_relative_links_within_what_is_embedded_are_relative_to_the_document(
    server: ScriptedServer, services: ServiceManager
) -> None:
    person = {"type": "p", "id": "1", "links": {"self": "deep/down/1", "next": "2"}}
    server.default = respond(headers=[("Content-Type", TYPE)], json={"data": [person]})

    (embedded,) = services.get(f"{server.url}/people/").embedded("item")

    assert embedded.url == f"{server.url}/people/deep/down/1"
    assert embedded.link("next").url() == f"{server.url}/people/2"


def test_pages_are_gone_through_and_what_is_on_them(
    server: ScriptedServer, services: ServiceManager
) -> None:
    def page(number: int, following: str | None) -> object:
        return {"data": [{"type": "n", "id": str(number)}], "links": {"next": following}}

    media_type = [("Content-Type", f'{TYPE};profile="http://example.com/pages"')]
    server.script(
        respond(headers=media_type, json=page(1, "/n?page[number]=2")),
        respond(headers=media_type, json=page(2, None)),
    )

    assert [item["id"] for item in services.get(f"{server.url}/n").items()] == ["1", "2"]
    assert server.count() == 2


def test_a_link_given_by_a_header_too_is_followed_as_one(
    server: ScriptedServer, services: ServiceManager
) -> None:
    server.script(
        respond(
            headers=[("Content-Type", TYPE), ("Link", f'<{server.url}/n?page=2>; rel="next"')],
            json={"data": [], "links": {"next": "/n?page=2"}},
        )
    )

    services.get(f"{server.url}/n").follow("next")

    assert [request.target for request in server.requests] == ["/n", "/n?page=2"]
