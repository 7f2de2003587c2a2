"""Siren as data: the example of its specification, and what its rules say, by heading."""

from __future__ import annotations

from typing import Any, Final

from sleepwalker.links import Field
from tests.links.formats.specification import Example, link

ORDER: Final = "http://api.x.io/orders/42"
CUSTOMER: Final[dict[str, Any]] = {
    "class": ["info", "customer"],
    "rel": ["http://x.io/rels/customer"],
    "properties": {"customerId": "pj123", "name": "Peter Joseph"},
    "links": [{"rel": ["self"], "href": "http://api.x.io/customers/pj123"}],
}
ITEMS: Final[dict[str, Any]] = {
    "class": ["items", "collection"],
    "rel": ["http://x.io/rels/order-items"],
    "href": "http://api.x.io/orders/42/items",
}
ENTITY: Final[dict[str, Any]] = {
    "class": ["order"],
    "properties": {"orderNumber": 42, "itemCount": 3, "status": "pending"},
    "entities": [ITEMS, CUSTOMER],
    "actions": [
        {
            "name": "add-item",
            "title": "Add Item",
            "method": "POST",
            "href": "http://api.x.io/orders/42/items",
            "type": "application/x-www-form-urlencoded",
            "fields": [
                {"name": "orderNumber", "type": "hidden", "value": "42"},
                {"name": "productCode", "type": "text"},
                {"name": "quantity", "type": "number"},
            ],
        },
    ],
    "links": [
        {"rel": ["self"], "href": "http://api.x.io/orders/42"},
        {"rel": ["previous"], "href": "http://api.x.io/orders/41"},
        {"rel": ["next"], "href": "http://api.x.io/orders/43"},
    ],
}

EXAMPLES: Final = (
    Example(
        section="Example",
        url=ORDER,
        data=ENTITY,
        links=(
            link("self", ORDER),
            link("previous", "http://api.x.io/orders/41"),
            link("next", "http://api.x.io/orders/43"),
            link(
                "http://x.io/rels/order-items",
                f"{ORDER}/items",
                attributes={"class": ("items", "collection")},
            ),
            link(
                "http://x.io/rels/customer",
                "http://api.x.io/customers/pj123",
                attributes={"class": ("info", "customer")},
                data=CUSTOMER,
            ),
            link(
                "add-item",
                f"{ORDER}/items",
                name="add-item",
                method="POST",
                title="Add Item",
                sends="application/x-www-form-urlencoded",
                fields=(
                    Field("orderNumber", "42", type="hidden"),
                    Field("productCode"),
                    Field("quantity", type="number"),
                ),
            ),
        ),
        embedded={"http://x.io/rels/customer": ["http://api.x.io/customers/pj123"]},
        items=[ITEMS, CUSTOMER],
    ),
    Example(
        section="links",
        url=ORDER,
        data={"links": [{"rel": ["self"], "href": "http://api.x.io/orders/1234"}]},
        links=(link("self", "http://api.x.io/orders/1234"),),
        embedded={},
    ),
)


def entity(section: str, data: dict[str, Any], *expected: dict[str, Any], **more: Any) -> Example:
    """Say what is read of an entity."""
    more.setdefault("embedded", {})
    return Example(section=section, url=ORDER, data=data, links=expected, **more)


def action(section: str, said: dict[str, Any], **more: Any) -> Example:
    """Say what is read of an entity's one action."""
    more.setdefault("name", "do")
    data = {"actions": [{"name": "do", "href": "/do", **said}]}
    return entity(f"Actions, {section}", data, link("do", "http://api.x.io/do", **more))


def field(section: str, said: dict[str, Any], read: Field) -> Example:
    """Say what is read of the one field of an action."""
    return action(
        section,
        {"fields": [{"name": "f", **said}]},
        fields=(read,),
        sends="application/x-www-form-urlencoded",
    )


_CHOICES: Final = [
    {"title": "One", "value": 1, "selected": True},
    {"title": "Two", "value": 2},
    {"value": "3", "selected": True},
]
_UNSELECTED: Final = [{"value": "a"}, {"value": "b", "selected": False}]
_NAMELESS: Final[dict[str, Any]] = {"rel": ["a", "b"], "links": [{"rel": ["next"], "href": "/n"}]}
_LOUD: Final[dict[str, Any]] = {
    "rel": ["a"],
    "href": None,
    "links": [{"rel": ["SELF"], "href": "x"}],
}
_ODD: Final[tuple[Any, ...]] = (None, [], "text", 7)

RULES: Final = (
    entity(
        "Links: what they may have",
        {
            "links": [
                {
                    "rel": ["a", "b"],
                    "href": "/x",
                    "title": "t",
                    "type": "text/html",
                    "class": ["c", 7],
                }
            ]
        },
        *(
            link(
                rel,
                "http://api.x.io/x",
                title="t",
                type="text/html",
                attributes={"class": ("c",)},
            )
            for rel in ("a", "b")
        ),
    ),
    entity(
        "Links: rel as a text, and without what they need",
        {"links": [{"rel": "a", "href": "/a"}, {"rel": ["b"]}, {"href": "/c"}, None, "/d", 7]},
        link("a", "http://api.x.io/a"),
    ),
    entity(
        "Embedded Link: title and type",
        {"entities": [{"rel": ["a"], "href": "/a", "title": "t", "type": "text/html"}]},
        link("a", "http://api.x.io/a", title="t", type="text/html"),
        items=[{"rel": ["a"], "href": "/a", "title": "t", "type": "text/html"}],
    ),
    entity(
        "Embedded Representation: without a URL, under each of its relations",
        {"entities": [_NAMELESS]},
        embedded={"a": [None], "b": [None]},
        items=[_NAMELESS],
    ),
    entity(
        "Embedded Representation: an href of null is none",
        {"entities": [_LOUD]},
        link("a", "http://api.x.io/orders/x", data=_LOUD),
        embedded={"a": ["http://api.x.io/orders/x"]},
        items=[_LOUD],
    ),
    action("method: GET where there is none", {}),
    action("method: in any case", {"method": "patch"}, method="PATCH"),
    entity(
        "Actions, method: what is none, or not known, is no action",
        {
            "actions": [
                {"name": "a", "href": "/a", "method": "BREW"},
                {"name": "b", "href": "/b", "method": 7},
                {"name": "c", "href": "/c", "method": ""},
                {"name": "d"},
                {"href": "/e"},
                None,
            ]
        },
    ),
    action("type: none without fields", {"method": "DELETE"}, method="DELETE"),
    action(
        "type: urlencoded where there are fields",
        {"method": "PUT", "fields": []},
        method="PUT",
        sends="application/x-www-form-urlencoded",
    ),
    action(
        "type: as it says",
        {"method": "POST", "type": "application/json", "title": "Do", "class": ["c"]},
        method="POST",
        sends="application/json",
        title="Do",
        attributes={"class": ("c",)},
    ),
    field("fields: text where there is no type", {}, Field("f")),
    field(
        "fields: title, and a type that nobody knows",
        {"type": "colour-wheel", "title": "F"},
        Field("f", type="colour-wheel", title="F"),
    ),
    field("fields: the number 0 is a value", {"value": 0}, Field("f", 0)),
    field(
        "fields: a checkbox has all that is selected",
        {"type": "checkbox", "value": _CHOICES},
        Field("f", [1, "3"], type="checkbox", options=(1, 2, "3")),
    ),
    field(
        "fields: of radio buttons one is selected",
        {"type": "radio", "value": _CHOICES},
        Field("f", 1, type="radio", options=(1, 2, "3")),
    ),
    *(
        field(
            f"fields: a {kind} of which nothing is selected has no value",
            {"type": kind, "value": _UNSELECTED},
            Field("f", type=kind, options=("a", "b")),
        )
        for kind in ("checkbox", "radio")
    ),
    field("fields: what is no value is none", {"value": [[], {}]}, Field("f")),
    action(
        "fields: without a name they are none",
        {"fields": [{"value": "1"}, None, {"name": 7}]},
        sends="application/x-www-form-urlencoded",
    ),
    *(
        Example(section=f"Entities: none in {data!r}", url=ORDER, data=data, links=(), embedded={})
        for data in _ODD
    ),
)
