"""No document is too odd for a format: what can't be understood costs links, or is one error."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepwalker.exceptions import ConfigurationError, LinkError, LinkFormatError
from sleepwalker.links import (
    HAL,
    Document,
    Each,
    HyperSchema,
    Link,
    LinkFormat,
    Links,
    MediaType,
    Pointers,
    Siren,
    Template,
)

HERE = "https://a.example/b/c"
FORMATS: list[LinkFormat] = [
    HAL({"a": "https://a.example/{rel}"}),
    Siren(),
    Pointers(
        {
            "a": "/a",
            "b": Each("", "/href"),
            "c": Each("/links", Template("{+a}{/href}{?q}", a="/a", href="/href")),
            "d": Template("/{a}", a="/rel/0"),
        },
        items="/items",
    ),
    HyperSchema(
        {
            "base": "{+href}",
            "links": [
                {"rel": "a", "href": "{+a}{?links*}", "anchor": "{rel}"},
                {"rel": "b", "href": "{rel:2}", "hrefSchema": {}, "anchorPointer": "0/a"},
                {
                    "rel": "item",
                    "href": "{x}",
                    "anchorPointer": "",
                    "templatePointers": {"x": "0#"},
                },
            ],
            "additionalProperties": {"$ref": "#"},
            "items": {"$ref": "#"},
            "anyOf": [{"type": "object", "$ref": "#"}, {"required": ["a"]}],
        }
    ),
]
WORDS = st.sampled_from(
    [
        *("_links", "_embedded", "curies", "self", "item", "a:b", "templated", "deprecation"),
        *("links", "entities", "actions", "fields", "rel", "href", "class", "name", "method"),
        *("type", "value", "title", "a", "a:rel", "items", "selected", "checkbox", "GET"),
    ]
)
URLS = st.sampled_from(
    ["", "/x", "https://b.example/", "//[", "{x", "{x:y}", "{rel}", "/\n", "\ud800", " ", "%zz"]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | URLS | st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=30,
)


def look_at(one: Link) -> None:
    """Ask a link all there is to ask."""
    assert one.base == HERE or one.base.startswith("http")
    assert repr(one)
    for ask in (one.url, lambda: one.wants, lambda: one.url(x=1), lambda: one.url(q="x")):
        with suppress(LinkError):
            ask()


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: type(form).__name__)
@settings(max_examples=30, deadline=None)
@given(data=JSON)
def test_whatever_a_document_says_is_read_or_is_one_kind_of_error(
    form: LinkFormat, data: Any
) -> None:
    document = Document(HERE, MediaType.of("application/json"), data=data)

    assert form.recognizes(document) in {True, False}
    with suppress(LinkFormatError):
        links = list(form.links(document))
        assert len(Links(links, context=HERE).flat()) <= len(links)
        for each in links:
            look_at(each)
    with suppress(LinkFormatError):
        for those in form.embedded(document).values():
            for one in those:
                assert one.url is None or isinstance(one.url, str)
    with suppress(LinkFormatError):
        list(form.items(document) or ())
    assert form.etag(document) is None


KEYWORDS = st.sampled_from(
    [
        *("$id", "$ref", "$anchor", "$defs", "base", "links", "rel", "href", "properties", "items"),
        *("allOf", "anyOf", "type", "const", "enum", "required", "hrefSchema", "submissionSchema"),
        *("templatePointers", "anchorPointer", "anchor", "targetHints", "allow", "a"),
    ]
)
VALUES = LEAVES | st.sampled_from(["#", "#/$defs/a", "0/a", "/a", "1#", "object", "{a}", "{&a}"])
SCHEMAS = st.dictionaries(
    KEYWORDS,
    st.recursive(
        VALUES,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | WORDS, inner, max_size=5)
        ),
        max_leaves=20,
    ),
    max_size=6,
)


@settings(max_examples=30, deadline=None)
@given(schema=SCHEMAS, data=JSON)
def test_whatever_a_schema_says_is_used_or_is_the_callers_mistake(schema: Any, data: Any) -> None:
    try:
        form = HyperSchema(schema)
    except ConfigurationError:
        return

    for each in form.links(Document(HERE, data=data)):
        look_at(each)
