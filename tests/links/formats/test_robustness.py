"""No document is too odd for a format: there are links in it, or none, or a `LinkFormatError`."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepwalker import LinkFormatError, LinkURLError
from sleepwalker.links import DEFAULT_FORMATS, Document, LinkFormat, Links, MediaType

HERE = "https://host.example/a/b"
MEMBERS = [
    *("links", "_links", "_embedded", "data", "included", "relationships", "entities", "actions"),
    *("self", "next", "item", "curies", "href", "rel", "name", "type", "id", "lid", "class"),
    *("fields", "method", "title", "related", "value", "url", "templated", "meta", "errors"),
    *("@context", "@odata.context", "@odata.id", "@id", "@odata.nextLink", "A@odata.nextLink"),
    *("A", "A@navigationLink", "@mediaEditLink", "@removed", "#M.F(x,y)", "A#M.F", "#", "@", ""),
]
TEXTS = st.sampled_from(
    [
        "",
        "a",
        "/x",
        "http://[",
        "//",
        "https://other.example/$metadata#A(B())",
        "x:{rel}",
        "\0",
        "é",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5)
    ),
    max_leaves=25,
)


def read(form: LinkFormat, document: Document) -> Links:
    """Have all of a document read that can be."""
    form.recognizes(document)
    form.embedded(document)
    form.items(document)
    form.etag(document)
    return Links(form.links(document), context=document.url)


@settings(max_examples=50)
@given(VALUES | st.dictionaries(st.sampled_from(MEMBERS), VALUES, min_size=2, max_size=6))
def test_no_json_is_too_odd(data: Any) -> None:
    for form in DEFAULT_FORMATS:
        with contextlib.suppress(LinkFormatError):
            for link in read(form, Document(HERE, data=data)).flat():
                with contextlib.suppress(LinkURLError):
                    assert isinstance(link.url(), str)


@pytest.mark.parametrize("member", ["A", "links", "data", "_embedded", "entities", "value"])
@pytest.mark.parametrize("within", ["objects", "arrays"])
def test_no_json_is_too_deep(member: str, within: str) -> None:
    data: dict[str, Any] = {}
    for _ in range(5_000):
        data = {member: [data] if within == "arrays" else data}

    for form in DEFAULT_FORMATS:
        assert len(read(form, Document(HERE, data=data))) == 0


MANY = 5_000


@pytest.mark.parametrize(
    ("form", "data", "links"),
    [
        (
            "HAL",
            {"_links": {"item": [{"href": "/a"}] * MANY}, "_embedded": {"a": [{}] * MANY}},
            MANY,
        ),
        ("Siren", {"links": [{"rel": ["item"], "href": "/a"}] * MANY}, MANY),
        (
            "JSONAPI",
            {
                "data": [
                    {"type": "a", "id": str(number), "links": {"self": "/a"}}
                    for number in range(MANY)
                ],
                "included": [{"type": "b", "id": str(number), "x": 1} for number in range(MANY)],
            },
            MANY,
        ),
        (
            "JSONAPI",
            {
                "data": {
                    "type": "a",
                    "relationships": {
                        f"r{number}": {
                            "data": {"type": "b", "id": str(number)},
                            "links": {"related": "/b"},
                        }
                        for number in range(MANY)
                    },
                },
                "included": [{"type": "b", "id": str(number), "x": 1} for number in range(MANY)],
            },
            MANY,
        ),
        (
            "OData",
            {"value": [{"@id": "a", "b": [1, 2], "c": {"d": [{}] * 5}} for _ in range(MANY)]},
            MANY,
        ),
        (
            "OData",
            {
                "@context": "/$metadata#" + ",a" * MANY,
                **{f"p{number}@navigationLink": "a" for number in range(MANY)},
            },
            MANY,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_json_is_too_large(form: str, data: Any, links: int) -> None:
    # Where the time grew with the square of its size, this would not end in time.
    (one,) = (each for each in DEFAULT_FORMATS if type(each).__name__ == form)

    assert len(read(one, Document(HERE, data=data)).flat()) == links


@settings(max_examples=50)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from([*"/;=\" \t\r\n,*'\\%", "application", "json", "a", "utf-8''", "\ud800"]),
        max_size=30,
    ).map("".join)
)
def test_no_media_type_is_too_odd(text: str) -> None:
    found = MediaType.of(text)

    assert all(isinstance(each, str) for each in [found.name, *found.parameters.values()])
    assert all(name == name.lower() for name in found.parameters)
    for form in DEFAULT_FORMATS:
        form.recognizes(Document(HERE, found, data={}))


@pytest.mark.parametrize(
    "text",
    ['application/json;a="' + ";" * 60_000, "application/json" + ";a=b" * 15_000],
    ids=["quoted", "many"],
)
def test_no_media_type_is_too_long(text: str) -> None:
    assert MediaType.of(text).name == "application/json"


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("application/json", "application/json", {}),
        (" Application/JSON ; Charset=UTF-8", "application/json", {"charset": "UTF-8"}),
        ('a/b; p="c; d, \\"e\\""', "a/b", {"p": 'c; d, "e"'}),
        ("a/b; p*=utf-8''%c2%a3", "a/b", {"p": "£"}),
        (None, "", {}),
        ("", "", {}),
        ("json", "", {}),
    ],
)
def test_a_media_type_has_a_name_and_parameters(
    text: str | None, name: str, parameters: dict[str, str]
) -> None:
    assert MediaType.of(text) == (name, parameters)
