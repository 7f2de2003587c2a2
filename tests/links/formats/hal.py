"""HAL as data: the examples of draft-kelly-json-hal, and what its rules say.

Rule: a section is named by its heading where the drafts number it differently.
"""

from __future__ import annotations

from typing import Any, Final

from tests.links.formats.specification import Example, link

SITE: Final = "https://example.org"
DOCS: Final = "https://docs.acme.com/relations"
FIRST: Final[dict[str, Any]] = {
    "_links": {
        "self": {"href": "/orders/123"},
        "basket": {"href": "/baskets/98712"},
        "customer": {"href": "/customers/7809"},
    },
    "total": 30.00,
    "currency": "USD",
    "status": "shipped",
}
SECOND: Final[dict[str, Any]] = {
    "_links": {
        "self": {"href": "/orders/124"},
        "basket": {"href": "/baskets/97213"},
        "customer": {"href": "/customers/12369"},
    },
    "total": 20.00,
    "currency": "USD",
    "status": "processing",
}
WATTS: Final[dict[str, Any]] = {
    "_links": {"self": {"href": "/people/alan-watts"}},
    "name": "Alan Watts",
    "born": "January 6, 1915",
    "died": "November 16, 1973",
}
CURIES: Final[dict[str, Any]] = {
    "_links": {
        "self": {"href": "/orders"},
        "curies": [{"name": "acme", "href": f"{DOCS}/{{rel}}", "templated": True}],
        "acme:widgets": {"href": "/widgets"},
    },
}

EXAMPLES: Final = (
    Example(
        section="3, HAL Documents",
        url=f"{SITE}/orders/523",
        data={
            "_links": {
                "self": {"href": "/orders/523"},
                "warehouse": {"href": "/warehouse/56"},
                "invoice": {"href": "/invoices/873"},
            },
            "currency": "USD",
            "status": "shipped",
            "total": 10.20,
        },
        links=(
            link("self", f"{SITE}/orders/523"),
            link("warehouse", f"{SITE}/warehouse/56"),
            link("invoice", f"{SITE}/invoices/873"),
        ),
        embedded={},
    ),
    Example(
        section="6, Example Document",
        url=f"{SITE}/orders",
        data={
            "_links": {
                "self": {"href": "/orders"},
                "next": {"href": "/orders?page=2"},
                "find": {"href": "/orders{?id}", "templated": True},
            },
            "_embedded": {"orders": [FIRST, SECOND]},
            "currentlyProcessing": 14,
            "shippedToday": 20,
        },
        given={"find": {"id": 7}},
        links=(
            link("self", f"{SITE}/orders"),
            link("next", f"{SITE}/orders?page=2"),
            link("find", f"{SITE}/orders?id=7", templated=True),
            link("orders", f"{SITE}/orders/123", data=FIRST),
            link("orders", f"{SITE}/orders/124", data=SECOND),
        ),
        embedded={"orders": [f"{SITE}/orders/123", f"{SITE}/orders/124"]},
        items=[FIRST, SECOND],
    ),
    Example(
        section="8, Link relations: a CURIE",
        url=f"{SITE}/orders",
        data=CURIES,
        given={"curies": {"rel": "widgets"}},
        links=(
            link("self", f"{SITE}/orders"),
            link("curies", f"{DOCS}/widgets", templated=True, name="acme"),
            link("acme:widgets", f"{SITE}/widgets", also=(f"{DOCS}/widgets",)),
        ),
        embedded={},
    ),
    Example(
        section="8, HAL curies: versions of relations",
        url="https://api.example.com/",
        data={
            "_links": {
                "self": {"href": "/"},
                "curies": [
                    {
                        "name": version,
                        "href": f"https://docs.example.com/relations/{version}/{{rel}}",
                        "templated": True,
                    }
                    for version in ("v1", "v2")
                ],
                "v1:orders": {
                    "href": "https://api.example.com/orders",
                    "deprecation": "https://dev.example.com/deprecations/v1-orders",
                },
                "v2:orders": {"href": "https://api.example.com/order-list"},
            },
        },
        given={"curies": {"rel": "orders"}},
        links=(
            link("self", "https://api.example.com/"),
            *(
                link(
                    "curies",
                    f"https://docs.example.com/relations/{version}/orders",
                    templated=True,
                    name=version,
                )
                for version in ("v1", "v2")
            ),
            link(
                "v1:orders",
                "https://api.example.com/orders",
                also=("https://docs.example.com/relations/v1/orders",),
                deprecation="https://dev.example.com/deprecations/v1-orders",
            ),
            link(
                "v2:orders",
                "https://api.example.com/order-list",
                also=("https://docs.example.com/relations/v2/orders",),
            ),
        ),
        embedded={},
    ),
    Example(
        section="8, Hypertext Cache Pattern: before",
        url=f"{SITE}/books/the-way-of-zen",
        data={
            "_links": {
                "self": {"href": "/books/the-way-of-zen"},
                "author": {"href": "/people/alan-watts"},
            },
        },
        links=(
            link("self", f"{SITE}/books/the-way-of-zen"),
            link("author", f"{SITE}/people/alan-watts"),
        ),
        embedded={},
    ),
    Example(
        section="8, Hypertext Cache Pattern: after",
        url=f"{SITE}/blog-post",
        data={
            "_links": {
                "self": {"href": "/blog-post"},
                "author": {"href": "/people/alan-watts"},
            },
            "_embedded": {"author": WATTS},
        },
        links=(
            link("self", f"{SITE}/blog-post"),
            link("author", f"{SITE}/people/alan-watts", data=WATTS),
        ),
        embedded={"author": [f"{SITE}/people/alan-watts"]},
        items=[WATTS],
    ),
)


def rule(section: str, links: object, *expected: dict[str, Any], **more: Any) -> Example:
    """A document with some ``_links``."""
    more.setdefault("embedded", {})
    return Example(
        section=section, url=f"{SITE}/a/b", data={"_links": links}, links=expected, **more
    )


_UNNAMED: Final = {"name": "nobody knows where"}
_TEMPLATED: Final = {"_links": {"self": {"href": "/found{?id}", "templated": True}}}
_NESTED: Final = {
    "_links": {"self": {"href": "/outer"}},
    "_embedded": {"inner": {"_links": {"self": {"href": "/inner"}}}},
}

_ODD: Final[tuple[Any, ...]] = (None, [], "text", 7, {"_links": []}, {"_links": None})

RULES: Final = (
    rule(
        "4.1.1: several links under a relation, each its own",
        {"item": [{"href": "1", "name": "one"}, {"href": "2", "name": "two", "title": "Two"}]},
        link("item", f"{SITE}/a/1", name="one"),
        link("item", f"{SITE}/a/2", name="two", title="Two"),
    ),
    rule(
        "5: everything that a link may say",
        {
            "related": {
                "href": "/there",
                "type": "text/html",
                "deprecation": "/why",
                "name": "n",
                "profile": "https://example.org/profiles/p",
                "title": "t",
                "hreflang": "de",
                "ours": [1],
            },
        },
        link(
            "related",
            f"{SITE}/there",
            type="text/html",
            deprecation="/why",
            name="n",
            title="t",
            attributes={
                "profile": "https://example.org/profiles/p",
                "hreflang": "de",
                "ours": [1],
            },
        ),
    ),
    rule(
        "5.1: without href there is no link, nor with null or the like in its place",
        {"a": {"title": "?"}, "b": None, "c": [None, 7, "/c", {"href": None}], "d": [], "e": {}},
    ),
    rule(
        "5.2: whatever is not true is false",
        {"a": {"href": "/{x}", "templated": "true"}, "b": {"href": "/{x}", "templated": 1}},
        link("a", f"{SITE}/{{x}}"),
        link("b", f"{SITE}/{{x}}"),
    ),
    rule(
        "5.4: that it is there is enough",
        {
            "a": {"href": "/a", "deprecation": True},
            "b": {"href": "/b", "deprecation": None},
            "c": {"href": "/c", "deprecation": False},
        },
        link("a", f"{SITE}/a", deprecation=""),
        link("b", f"{SITE}/b"),
        link("c", f"{SITE}/c"),
    ),
    rule(
        "8, HAL curies: what is none",
        {
            "curies": {"name": "x", "href": "https://example.org/{other}"},
            "x:a": {"href": "/a"},
            "y:b": {"href": "/b"},
            "z": {"href": "/z"},
        },
        link("curies", f"{SITE}/{{other}}", name="x"),
        link("x:a", f"{SITE}/a"),
        link("y:b", f"{SITE}/b"),
        link("z", f"{SITE}/z"),
    ),
    Example(
        section="4.1.2: embedded without a URL, or with a template for one",
        url=f"{SITE}/a/b",
        data={"_embedded": {"a": _UNNAMED, "b": [_TEMPLATED, None, 7]}},
        links=(),
        embedded={"a": [None], "b": [None]},
    ),
    Example(
        section="4.1.2: what is embedded in something embedded is that one's",
        url=f"{SITE}/a/b",
        data={"_embedded": {"outer": [_NESTED]}},
        links=(link("outer", f"{SITE}/outer", data=_NESTED),),
        embedded={"outer": [f"{SITE}/outer"]},
        items=[_NESTED],
    ),
    Example(
        section="4.1.2: an empty one is an empty collection",
        url=f"{SITE}/a/b",
        data={"_embedded": {}},
        links=(),
        embedded={},
        items=[],
    ),
    Example(
        section="4.1.2: items that are linked to come before something else that is embedded",
        url=f"{SITE}/a/b",
        data={"_links": {"item": [{"href": "/1"}]}, "_embedded": {"author": WATTS}},
        links=(
            link("item", f"{SITE}/1"),
            link("author", f"{SITE}/people/alan-watts", data=WATTS),
        ),
        embedded={"author": [f"{SITE}/people/alan-watts"]},
    ),
    *(
        Example(section=f"3: no object, but {data!r}", url=SITE, data=data, links=(), embedded={})
        for data in _ODD
    ),
)
