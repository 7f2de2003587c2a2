"""JSON Hyper-Schema 2019-09 as data: the examples of draft-handrews-json-schema-hyperschema-02.

Rule: a schema of the draft stands here as it is there, with what it leaves out because it was shown
before. Where its prose says something else than its rules do, that is noted.
"""

from __future__ import annotations

from typing import Any, Final

from sleepwalker.links import Field
from tests.links.formats.specification import Example, Read, link

ENTRY: Final[dict[str, Any]] = {
    "$id": "https://schema.example.com/entry",
    "$schema": "https://json-schema.org/draft/2019-09/hyper-schema",
    "base": "https://example.com/api/",
    "links": [
        {"rel": "self", "href": "../api"},
        {"rel": "about", "href": "docs"},
    ],
}
ID: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "readOnly": True}
THING: Final[dict[str, Any]] = {
    "$id": "https://schema.example.com/thing",
    "$schema": "https://json-schema.org/draft/2019-09/hyper-schema",
    "base": "https://example.com/api/",
    "type": "object",
    "required": ["data"],
    "properties": {"id": {"$ref": "#/$defs/id"}, "data": True},
    "links": [
        {
            "rel": "self",
            "href": "things/{id}",
            "templateRequired": ["id"],
            "targetSchema": {"$ref": "#"},
        },
    ],
    "$defs": {"id": ID},
}
TO_THING: Final[dict[str, Any]] = {
    "rel": "tag:rel.example.com,2017:thing",
    "href": "things/{id}",
    "hrefSchema": {"required": ["id"], "properties": {"id": {"$ref": "thing#/$defs/id"}}},
    "targetSchema": {"$ref": "thing#"},
}
COLLECTED: Final[dict[str, Any]] = {
    **THING,
    "links": [
        *THING["links"],
        {
            "rel": "collection",
            "href": "/things",
            "targetSchema": {"$ref": "thing-collection#"},
            "submissionSchema": {"$ref": "#"},
        },
    ],
}
COLLECTION: Final[dict[str, Any]] = {
    "$id": "https://schema.example.com/thing-collection",
    "$schema": "https://json-schema.org/draft/2019-09/hyper-schema",
    "base": "https://example.com/api/",
    "type": "object",
    "required": ["elements"],
    "properties": {
        "elements": {
            "type": "array",
            "items": {
                "allOf": [{"$ref": "thing#"}],
                "links": [
                    {
                        "anchorPointer": "",
                        "rel": "item",
                        "href": "things/{id}",
                        "templateRequired": ["id"],
                        "targetSchema": {"$ref": "thing#"},
                    },
                ],
            },
        },
    },
    "links": [
        {
            "rel": "self",
            "href": "things",
            "targetSchema": {"$ref": "#"},
            "submissionSchema": {"$ref": "thing"},
        },
    ],
}
_PAGE = {"templateRequired": ["offset", "limit"], "targetSchema": {"$ref": "#"}}
PAGINATED: Final[dict[str, Any]] = {
    **COLLECTION,
    "properties": {
        **COLLECTION["properties"],
        "meta": {
            "type": "object",
            "properties": {
                "prev": {"$ref": "#/$defs/pagination"},
                "current": {"$ref": "#/$defs/pagination"},
                "next": {"$ref": "#/$defs/pagination"},
            },
        },
    },
    "links": [
        {
            "rel": rel,
            "href": "things{?offset,limit}",
            "templatePointers": {
                "offset": f"/meta/{page}/offset",
                "limit": f"/meta/{page}/limit",
            },
            **_PAGE,
        }
        for rel, page in (("self", "current"), ("prev", "prev"), ("next", "next"))
    ],
    "$defs": {
        "pagination": {
            "type": "object",
            "properties": {
                "offset": {"type": "integer", "minimum": 0, "default": 0},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
            },
        },
    },
}
TO_THINGS: Final[dict[str, Any]] = {
    "rel": "tag:rel.example.com,2017:thing-collection",
    "href": "/things{?offset,limit}",
    "hrefSchema": {"$ref": "thing-collection#/$defs/pagination"},
    "submissionSchema": {"$ref": "thing#"},
    "targetSchema": {"$ref": "thing-collection#"},
}
MAIL: Final[dict[str, Any]] = {
    "$id": "https://schema.example.com/interesting-stuff",
    "$schema": "https://json-schema.org/draft/2019-09/hyper-schema",
    "required": ["stuffWorthEmailingAbout", "email", "title"],
    "properties": {
        "title": {"type": "string"},
        "stuffWorthEmailingAbout": {"type": "string"},
        "email": {"type": "string", "format": "email"},
        "cc": False,
    },
    "links": [
        {
            "rel": "author",
            "href": "mailto:{email}?subject={title}{&cc}",
            "templateRequired": ["email"],
            "hrefSchema": {
                "required": ["title"],
                "properties": {
                    "title": {"type": "string"},
                    "cc": {"type": "string", "format": "email"},
                    "email": False,
                },
            },
            "submissionMediaType": "multipart/alternative; boundary=ab2",
            "submissionSchema": {
                "type": "array",
                "items": [
                    {"type": "string", "contentMediaType": "text/plain; charset=utf8"},
                    {"type": "string", "contentMediaType": "text/html"},
                ],
                "minItems": 2,
            },
        },
    ],
}
STUFF: Final[dict[str, Any]] = {
    "title": "The Awesome Thing",
    "stuffWorthEmailingAbout": "Lots of text here...",
    "email": "someone@example.com",
}
TREE: Final[dict[str, Any]] = {
    "$id": "https://schema.example.com/tree-node",
    "$schema": "https://json-schema.org/draft/2019-09/hyper-schema",
    "base": "trees/{treeId}/",
    "properties": {
        "id": {"type": "integer"},
        "treeId": {"type": "integer"},
        "childIds": {
            "type": "array",
            "items": {
                "type": "integer",
                "links": [
                    {
                        "anchor": "nodes/{thisNodeId}",
                        "rel": "up",
                        "href": "nodes/{childId}",
                        "templatePointers": {"thisNodeId": "/id", "childId": "0"},
                    },
                ],
            },
        },
    },
    "links": [{"rel": "self", "href": "nodes/{id}"}],
}
OTHERS: Final[dict[str, Any]] = {each["$id"]: each for each in (COLLECTED, PAGINATED)}


def at(attached: str, about: str | None = None, **more: Any) -> dict[str, Any]:
    """Say a link's attributes: where it is attached, what it is about, and the other keywords."""
    about = attached if about is None else about
    return {"attachmentPointer": attached, "contextPointer": about, **more}


API: Final = "https://example.com/api"
THINGS: Final = f"{API}/things"
TWO_THINGS: Final = {"elements": [{"id": 12345, "data": {}}, {"id": 67890, "data": {}}]}
THING_FORM: Final[dict[str, Any]] = {
    "sends": "application/json",
    "submits": "POST",
    "fields": (Field("id", type="integer"), Field("data", type="any", required=True)),
    "any_field": True,
}


def of_element(index: int, thing: int) -> tuple[Read, ...]:
    """Say which links one element of a collection makes in section 9.5."""
    place = f"/elements/{index}"
    return (
        link(
            "item",
            f"{THINGS}/{thing}",
            attributes=at(place, "", targetSchema={"$ref": "thing#"}),
        ),
        link(
            "self",
            f"{THINGS}/{thing}",
            context=f"{THINGS}#{place}",
            attributes=at(place, targetSchema={"$ref": "#"}),
        ),
        link(
            "collection",
            # The draft says /api/things, to which its "/things" does not lead.
            "https://example.com/things",
            context=f"{THINGS}#{place}",
            attributes=at(
                place,
                targetSchema={"$ref": "thing-collection#"},
                submissionSchema={"$ref": "#"},
            ),
            **THING_FORM,
        ),
    )


def mail(section: str, query: str, **given: str) -> Example:
    """Say what section 9.3 makes of some input."""
    described = MAIL["links"][0]
    return Example(
        section=f"9.3: {section}",
        url=f"{API}/stuff",
        data=STUFF,
        links=(
            link(
                "author",
                # The draft leaves the @ as it is, which RFC 6570 doesn't in {email}.
                f"mailto:someone%40example.com?{query}",
                templated=True,
                variables={"email": "someone@example.com", "title": "The Awesome Thing"},
                inputs=(
                    Field("title", "The Awesome Thing", type="string", required=True),
                    Field("cc", type="email"),
                ),
                sends="multipart/alternative; boundary=ab2",
                submits="POST",
                any_field=True,
                attributes=at(
                    "",
                    hrefSchema=described["hrefSchema"],
                    submissionMediaType="multipart/alternative; boundary=ab2",
                    submissionSchema=described["submissionSchema"],
                ),
            ),
        ),
        given={"author": given},
    )


EXAMPLES: Final[tuple[tuple[Any, Example], ...]] = (
    (
        {
            "type": "object",
            "properties": {"id": {"type": "number", "readOnly": True}},
            "links": [{"rel": "self", "href": "thing/{id}"}],
        },
        Example(
            section="3",
            url=f"{API}/",
            data={"id": 1234},
            links=(link("self", f"{API}/thing/1234", attributes=at("")),),
        ),
    ),
    (
        ENTRY,
        Example(
            section="9.1",
            url=API,
            data={},
            links=(
                link("self", API, attributes=at("")),
                link("about", f"{API}/docs", attributes=at("")),
            ),
        ),
    ),
    (
        THING,
        Example(
            section="9.2",
            url=f"{THINGS}/1234",
            data={"id": 1234, "data": {}},
            links=(link("self", f"{THINGS}/1234", attributes=at("", targetSchema={"$ref": "#"})),),
        ),
    ),
    (
        THING,
        Example(section="9.2: without an id", url=f"{API}/new", data={"data": {}}, links=()),
    ),
    (
        {**ENTRY, "links": [TO_THING]},
        Example(
            section="9.2: with an id as input",
            url=API,
            data={},
            links=(
                link(
                    "tag:rel.example.com,2017:thing",
                    f"{THINGS}/1234",
                    templated=True,
                    inputs=(Field("id", type="integer", required=True),),
                    attributes=at(
                        "",
                        hrefSchema=TO_THING["hrefSchema"],
                        targetSchema=TO_THING["targetSchema"],
                    ),
                ),
            ),
            given={"tag:rel.example.com,2017:thing": {"id": 1234}},
        ),
    ),
    (MAIL, mail("without input", "subject=The%20Awesome%20Thing")),
    (MAIL, mail("another title", "subject=your%20work", title="your work")),
    (
        MAIL,
        mail(
            "another title and a cc",
            "subject=your%20work&cc=other%40elsewhere.org",
            title="your work",
            cc="other@elsewhere.org",
        ),
    ),
    (
        TREE,
        Example(
            section="9.4",
            # Its base is relative to the API, so that it must be the instance's base too.
            url=f"{API}/",
            data={"id": 123, "treeId": 1, "childIds": [456]},
            links=(
                link("self", f"{API}/trees/1/nodes/123", attributes=at("")),
                link(
                    # Its `Link` headers have them the other way round.
                    "up",
                    f"{API}/trees/1/nodes/456",
                    context=f"{API}/trees/1/nodes/123",
                    attributes=at("/childIds/0", ""),
                ),
            ),
        ),
    ),
    (
        COLLECTION,
        Example(
            section="9.5",
            url=THINGS,
            data=TWO_THINGS,
            links=(
                link(
                    "self",
                    THINGS,
                    attributes=at(
                        "", targetSchema={"$ref": "#"}, submissionSchema={"$ref": "thing"}
                    ),
                    **THING_FORM,
                ),
                *of_element(0, 12345),
                *of_element(1, 67890),
            ),
            items=TWO_THINGS["elements"],
        ),
    ),
    (
        PAGINATED,
        Example(
            section="9.5.1",
            url=THINGS,
            data={
                "elements": [],
                "meta": {"current": {"offset": 0, "limit": 2}, "next": {"offset": 3, "limit": 2}},
            },
            links=(
                link(
                    "self",
                    f"{THINGS}?offset=0&limit=2",
                    attributes=at("", targetSchema={"$ref": "#"}),
                ),
                link(
                    "next",
                    f"{THINGS}?offset=3&limit=2",
                    attributes=at("", targetSchema={"$ref": "#"}),
                ),
            ),
            items=[],
        ),
    ),
    (
        {**ENTRY, "links": [TO_THINGS]},
        Example(
            section="9.5.1: from the entry point",
            url=API,
            data={},
            links=(
                link(
                    "tag:rel.example.com,2017:thing-collection",
                    "https://example.com/things?offset=20",
                    templated=True,
                    inputs=(Field("offset", type="integer"), Field("limit", type="integer")),
                    attributes=at(
                        "",
                        hrefSchema=TO_THINGS["hrefSchema"],
                        submissionSchema=TO_THINGS["submissionSchema"],
                        targetSchema=TO_THINGS["targetSchema"],
                    ),
                    **THING_FORM,
                ),
            ),
            given={"tag:rel.example.com,2017:thing-collection": {"offset": 20}},
        ),
    ),
)
