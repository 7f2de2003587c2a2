"""HAL documents are read as its specification says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook
from sleepwalker.exceptions import DowngradeError
from sleepwalker.links import HAL, ServiceManager, Siren
from tests.links.formats.hal import CURIES, DOCS, EXAMPLES, RULES
from tests.links.formats.specification import Example, all_read, embedded_in
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import CertificateAuthority

FORM = HAL()
TYPE = "application/hal+json"
HAL_TYPE = [("Content-Type", TYPE)]


@pytest.mark.parametrize("example", [*EXAMPLES, *RULES], ids=lambda example: example.section)
def test_a_document_has_the_links_and_resources_that_the_draft_says(example: Example) -> None:
    document = example.document(TYPE)

    assert all_read(FORM, document, example.given) == example.links
    assert embedded_in(FORM, document) == example.embedded
    items = FORM.items(document)
    assert (None if items is None else list(items)) == example.items


@pytest.mark.parametrize(
    ("media_type", "recognized"),
    [
        (TYPE, True),
        ('Application/HAL+JSON; profile="https://example.org/p"', True),
        ("application/vnd.hal+json", True),
        ("application/json", False),
        ("", False),
    ],
)
def test_its_media_type_makes_it_one(media_type: str, recognized: object) -> None:
    assert FORM.recognizes(EXAMPLES[0].document(media_type)) is recognized


@pytest.fixture
def services(server: ScriptedServer) -> Iterator[ServiceManager]:
    with ServiceManager(credentials={server.url: ANONYMOUS}) as services:
        yield services


def test_a_relation_is_found_as_a_curie_and_written_out(
    server: ScriptedServer, services: ServiceManager
) -> None:
    server.default = respond(headers=HAL_TYPE, json=CURIES)
    links = services.get(f"{server.url}/orders").links

    assert links.one("acme:widgets") is links.one(f"{DOCS}/widgets")
    assert links.one("ACME:widgets").url() == f"{server.url}/widgets"


def test_what_is_embedded_may_use_the_curies_around_it_and_its_own_come_first(
    server: ScriptedServer, services: ServiceManager
) -> None:
    inner = {"_links": {"acme:parts": {"href": "/parts"}, "own:x": {"href": "/x"}}}
    other = {
        "_links": {
            "curies": [{"name": "acme", "href": "https://other.example/{rel}", "templated": True}],
            "acme:parts": {"href": "/parts"},
        },
        "_embedded": {"acme:deep": {"_links": {"acme:parts": {"href": "/deep"}}}},
    }
    page = {**CURIES, "_embedded": {"acme:widgets": [inner, other]}}
    server.default = respond(headers=HAL_TYPE, json=page)

    first, second = services.get(f"{server.url}/orders").embedded("acme:widgets")
    (deep,) = second.embedded("acme:deep")

    assert f"{DOCS}/parts" in first.links
    assert f"{DOCS}/parts" not in second.links
    assert "https://other.example/parts" in second.links
    assert deep.link("https://other.example/parts").url() == f"{server.url}/deep"


def test_what_something_embedded_leads_to_may_have_another_format(
    server: ScriptedServer, services: ServiceManager
) -> None:
    book = {"_embedded": {"author": {"_links": {"books": {"href": "/books"}}}}}
    books = {"links": [{"rel": ["next"], "href": "/books?page=2"}]}
    server.script(
        respond(headers=HAL_TYPE, json=book),
        respond(headers=[("Content-Type", "application/vnd.siren+json")], json=books),
    )

    (author,) = services.get(f"{server.url}/book").embedded("author")

    assert "next" in author.follow("books").links


def test_what_something_embedded_says_of_its_url_lets_no_link_lead_from_https_to_http(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    links = {"self": {"href": "http://other.example/"}, "next": {"href": "http://other.example/2"}}
    claimed = {"_links": links}
    tls_server.default = respond(headers=HAL_TYPE, json={"_embedded": {"item": claimed}})
    hook = DirectHook(verify=str(ca.bundle))
    with (
        ConnectionManager(hooks=[hook]) as connections,
        ServiceManager(connections, credentials={"*": ANONYMOUS}) as services,
    ):
        (item,) = services.get(f"{tls_server.url}/").embedded("item")

        assert item.url == "http://other.example/"
        with pytest.raises(DowngradeError):
            item.follow("next")
        with pytest.raises(DowngradeError):
            item.refresh()
    assert tls_server.count() == 1


def test_another_format_reads_what_the_caller_says(
    server: ScriptedServer, services: ServiceManager
) -> None:
    both = {**CURIES, "links": [{"rel": ["next"], "href": "/2"}]}
    server.default = respond(headers=HAL_TYPE, json=both)

    orders = services.get(f"{server.url}/orders", formats=[Siren()])

    assert list(orders.links) == ["next"]
    assert "acme:widgets" in orders.links_by(FORM)
