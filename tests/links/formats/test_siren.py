"""Siren entities are read as its specification says, and their actions are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ANONYMOUS
from sleepwalker.links import ServiceManager, Siren
from tests.links.formats.siren import EXAMPLES, RULES
from tests.links.formats.specification import Example, all_read, embedded_in
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

FORM = Siren()
TYPE = "application/vnd.siren+json"
SIREN_TYPE = [("Content-Type", TYPE)]


@pytest.mark.parametrize("example", [*EXAMPLES, *RULES], ids=lambda example: example.section)
def test_an_entity_has_the_links_actions_and_sub_entities_that_the_specification_says(
    example: Example,
) -> None:
    document = example.document(TYPE)

    assert all_read(FORM, document) == example.links
    assert embedded_in(FORM, document) == example.embedded
    assert FORM.items(document) == example.items


@pytest.mark.parametrize(
    ("media_type", "recognized"),
    [(TYPE, True), (f"{TYPE}; charset=utf-8", True), ("application/json", False), ("", False)],
)
def test_its_media_type_makes_it_one(media_type: str, recognized: object) -> None:
    assert FORM.recognizes(EXAMPLES[0].document(media_type)) is recognized


@pytest.fixture
def services(server: ScriptedServer) -> Iterator[ServiceManager]:
    with ServiceManager(credentials={server.url: ANONYMOUS}) as services:
        yield services


def test_an_action_of_a_sub_entity_sends_what_is_selected_and_what_is_given(
    server: ScriptedServer, services: ServiceManager
) -> None:
    fields: list[dict[str, Any]] = [
        {"name": "id", "type": "hidden", "value": 42},
        {
            "name": "size",
            "type": "radio",
            "value": [{"value": "s"}, {"value": "m", "selected": True}],
        },
        {
            "name": "extras",
            "type": "checkbox",
            "value": [{"value": "milk", "selected": True}, {"value": "sugar", "selected": True}],
        },
        {"name": "note"},
        {"name": "hot"},
    ]
    item = {
        "rel": ["item"],
        "actions": [{"name": "order", "method": "POST", "href": "/orders", "fields": fields}],
    }
    server.script(respond(headers=SIREN_TYPE, json={"entities": [item]}))

    (coffee,) = services.get(f"{server.url}/menu").embedded("item")
    coffee.act("order", {"hot": True, "extras": ["sugar"], "note": None})

    assert (server.requests[-1].method, server.requests[-1].target) == ("POST", "/orders")
    assert server.requests[-1].body == b"id=42&size=m&extras=sugar&hot=true"


def test_an_action_that_gets_has_its_fields_in_the_query(
    server: ScriptedServer, services: ServiceManager
) -> None:
    search = {"name": "search", "href": "/search", "fields": [{"name": "q"}, {"name": "n"}]}
    server.script(respond(headers=SIREN_TYPE, json={"actions": [search]}))

    services.get(f"{server.url}/").act("search", {"q": "a b", "n": 0})

    assert server.requests[-1].target == "/search?q=a+b&n=0"
