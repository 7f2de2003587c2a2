"""OData answers are read as the specification of their JSON says, in both versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from requests.structures import CaseInsensitiveDict

from sleepwalker import ANONYMOUS
from sleepwalker.links import (
    DEFAULT_FORMATS,
    Document,
    Links,
    MediaType,
    OData,
    ServiceManager,
)
from tests.links.formats.odata import AT, EXAMPLES, METADATA, RULES
from tests.links.formats.specification import Example, all_read, embedded_in
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORM = OData()
TYPE = [("Content-Type", "application/json;odata.metadata=full")]


@pytest.mark.parametrize("example", [*EXAMPLES, *RULES], ids=lambda example: example.section)
def test_a_document_has_the_links_and_entities_that_the_specification_says(
    example: Example,
) -> None:
    document = example.document()

    assert all_read(FORM, document) == example.links
    assert embedded_in(FORM, document) == (example.embedded or {})
    assert FORM.items(document) == example.items
    assert FORM.etag(document) == example.etag


def as_in_4_0(data: Any) -> Any:
    """Give the names of control information the prefix that they have in version 4.0."""
    if isinstance(data, list):
        return [as_in_4_0(each) for each in data]
    if not isinstance(data, dict):
        return data
    return {
        name.replace("@", "@odata.") if "@" in name and "." not in name else name: as_in_4_0(value)
        for name, value in data.items()
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.section)
def test_both_versions_say_the_same(example: Example) -> None:
    new, old = Document(AT, data=example.data), Document(AT, data=as_in_4_0(example.data))

    assert [(one.rel, one.url()) for one in FORM.links(old)] == [
        (one.rel, one.url()) for one in FORM.links(new)
    ]
    assert embedded_in(FORM, old) == embedded_in(FORM, new)
    assert FORM.etag(old) == FORM.etag(new)


def test_a_link_is_found_by_how_it_is_written_too() -> None:
    data = {
        "@odata.nextLink": "/n",
        "Orders@odata.navigationLink": "/o",
        "Address": {"Country@odata.navigationLink": "/c"},
    }
    links = Links(FORM.links(Document(AT, data=data)))

    assert links.one("@odata.nextLink") is links.one("next")
    assert links.one("Orders@odata.navigationLink") is links.one("Orders")
    assert links.one("Address/Country@odata.navigationLink") is links.one("Address/Country")


@pytest.mark.parametrize(
    ("media_type", "headers", "data"),
    [
        ("application/json;odata.metadata=minimal;odata.streaming=true", {}, {}),
        ("application/json; Metadata=FULL; IEEE754Compatible=true", {}, []),
        ("application/json;odata.metadata=none", {}, None),
        ("application/json", {"OData-Version": "4.0"}, {}),
        ("application/json", {"odata-version": "4.01"}, {}),
        ("application/json", {}, {"@odata.context": METADATA}),
        ("application/json", {}, {"value": [], "@odata.nextLink": "x"}),
        ("application/json", {}, {"@odata.id": "/redfish/v1/"}),
        ("", {}, {"@odata.context": METADATA}),
        ("application/json", {}, {"@context": METADATA}),
        ("application/json", {}, {"@context": f"{METADATA}#Customers/$entity"}),
        ("application/json", {}, {"@context": "$metadata?$schemaversion=1#Customers"}),
    ],
)
def test_an_answer_is_recognized_by_what_only_odata_says(
    media_type: str, headers: Mapping[str, str], data: Any
) -> None:
    document = Document(AT, MediaType.of(media_type), CaseInsensitiveDict(headers), data)

    assert [type(form) for form in DEFAULT_FORMATS if form.recognizes(document)] == [OData]


@pytest.mark.parametrize(
    ("media_type", "headers", "data"),
    [
        ("application/json", {}, {"@context": "https://schema.org", "@id": "x", "@type": "Book"}),
        ("application/json", {}, {"@context": {"name": "http://schema.org/name"}}),
        ("application/json", {}, {"@context": ["https://w3id.org/x", METADATA]}),
        ("application/json", {}, {"@context": "https://a.example/$metadatas"}),
        ("application/ld+json", {}, {"@context": METADATA, "@odata.id": "x"}),
        ("application/json;metadata=lots", {}, {"value": []}),
        ("application/json", {"OData-Version": "3.0"}, {}),
        ("application/json", {}, {"value": [], "nextLink": "x", "odata.nextLink": "x"}),
        ("application/json", {}, ["@odata.id"]),
        ("application/xml;metadata=full", {"OData-Version": "4.0"}, None),
    ],
)
def test_what_others_say_as_well_is_not_taken_for_odata(
    media_type: str, headers: Mapping[str, str], data: Any
) -> None:
    document = Document(AT, MediaType.of(media_type), CaseInsensitiveDict(headers), data)

    assert [form for form in DEFAULT_FORMATS if form.recognizes(document)] == []


@pytest.fixture
def services(server: ScriptedServer) -> Iterator[ServiceManager]:
    with ServiceManager(credentials={server.url: ANONYMOUS}) as services:
        yield services


def test_pages_are_gone_through_and_what_is_on_them(
    server: ScriptedServer, services: ServiceManager
) -> None:
    context = f"{server.url}/service/$metadata#People"
    server.script(
        respond(
            headers=TYPE,
            json={
                "@odata.context": context,
                "value": [{"ID": 1}, {"ID": 2}],
                "@odata.nextLink": "People?$skiptoken=2",
            },
        ),
        # With metadata=none there is no context URL.
        respond(headers=[("OData-Version", "4.0")], json={"value": [{"ID": 3}]}),
    )

    assert [each["ID"] for each in services.get(f"{server.url}/service/People").items()] == [
        1,
        2,
        3,
    ]
    assert [request.target for request in server.requests] == [
        "/service/People",
        "/service/People?$skiptoken=2",
    ]


def test_an_expanded_entity_keeps_the_context_that_its_links_are_relative_to(
    server: ScriptedServer, services: ServiceManager
) -> None:
    server.script(
        respond(
            headers=TYPE,
            json={
                "@odata.context": f"{server.url}/service/$metadata#Orders/$entity",
                "Customer": {
                    "@odata.id": "Customers(7)",
                    "@odata.etag": '"a"',
                    "Orders@odata.navigationLink": "Customers(7)/Orders",
                    "Boss": {"@odata.id": "Customers(1)", "Name": "One"},
                },
            },
        )
    )

    (customer,) = services.get(f"{server.url}/elsewhere/Orders(1)").embedded("Customer")
    (boss,) = customer.embedded("Boss")
    customer.follow("Orders")
    boss.refresh()
    customer.patch({"Name": "Seven"})

    assert customer.etag == '"a"'
    assert [(request.method, request.target) for request in server.requests[1:]] == [
        ("GET", "/service/Customers(7)/Orders"),
        ("GET", "/service/Customers(1)"),
        ("PATCH", "/service/Customers(7)"),
    ]
    assert server.requests[-1].headers["If-Match"] == '"a"'


def test_an_action_is_posted_a_function_is_asked_and_a_stream_is_put(
    server: ScriptedServer, services: ServiceManager
) -> None:
    server.script(
        respond(
            headers=TYPE,
            json={
                "@odata.context": f"{server.url}/service/$metadata#Employees/$entity",
                "#Model.Approve": {"target": "Employees(2)/Model.Approve"},
                "#Model.Days": {"target": "Employees(2)/Days"},
                "#Model.Vacation(Year)": {"target": "Employees(2)/Vacation(Year=@Year)"},
                "Photo@odata.mediaEditLink": "Employees(2)/Photo",
                "Photo@odata.mediaContentType": "image/png",
            },
        )
    )
    server.default = respond(204)

    employee = services.get(f"{server.url}/service/Employees(2)")
    employee.act("Model.Approve", {"comment": "yes"})
    employee.act("Model.Vacation(Year)", {"@Year": 2026})
    employee.act("Model.Days", method="GET")
    employee.act("Photo/edit-media", b"\x89PNG")

    approved, asked, counted, put = server.requests[1:]
    assert (approved.method, approved.target) == ("POST", "/service/Employees(2)/Model.Approve")
    assert approved.json() == {"comment": "yes"}
    assert (asked.method, asked.target) == (
        "GET",
        "/service/Employees(2)/Vacation(Year=@Year)?%40Year=2026",
    )
    assert (counted.method, counted.target) == ("GET", "/service/Employees(2)/Days")
    assert (counted.body, counted.headers.get("Content-Type")) == (b"", None)
    assert (put.method, put.target, put.body) == ("PUT", "/service/Employees(2)/Photo", b"\x89PNG")
    assert put.headers["Content-Type"] == "image/png"
