"""URLs within what is embedded are relative to what they are relative to where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from sleepwalker.links import HAL, JSONAPI, Document, LinkFormat, OData, Siren

OUTER = "https://host.example/shop/orders"
INNER = "https://host.example/shop/deep/down/1"


@pytest.mark.parametrize(
    ("form", "data", "rel", "base"),
    [
        (
            HAL(),
            {
                "_embedded": {
                    "a": {"_links": {"self": {"href": "deep/down/1"}, "next": {"href": "2"}}}
                }
            },
            "a",
            OUTER,
        ),
        (
            Siren(),
            {
                "entities": [
                    {
                        "rel": ["a"],
                        "links": [
                            {"rel": ["self"], "href": "deep/down/1"},
                            {"rel": ["next"], "href": "2"},
                        ],
                    }
                ]
            },
            "a",
            OUTER,
        ),
        (
            JSONAPI(),
            {"data": [{"type": "a", "links": {"self": "deep/down/1", "next": "2"}}]},
            "item",
            OUTER,
        ),
        (
            OData(),
            {"a": {"@readLink": "deep/down/1", "next@navigationLink": "2", "x": 1}},
            "a",
            OUTER,
        ),
        (
            OData(),
            {
                "@context": "/shop/$metadata#A",
                "a": {"@readLink": "deep/down/1", "next@navigationLink": "2", "x": 1},
            },
            "a",
            "https://host.example/shop/$metadata#A",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, LinkFormat) else "",
)
def test_a_relative_url_is_relative_to_the_whole_document(
    form: LinkFormat, data: Any, rel: str, base: str
) -> None:
    (embedded,) = form.embedded(Document(OUTER, data=data))[rel]
    assert embedded.url == INNER
    assert embedded.within == base

    inner = Document(embedded.url, data=embedded.data, within=embedded.within)
    (link,) = [link for link in form.links(inner) if link.rel == "next"]
    assert link.url() == "https://host.example/shop/2"


def test_a_document_by_itself_is_what_its_urls_are_relative_to() -> None:
    assert Document(OUTER).base == OUTER
    assert Document(INNER, within=OUTER).base == OUTER
