"""Relations are compared as RFC 8288 says (2.1.1, 2.1.2), and links are found by them."""

from __future__ import annotations

import pytest

from sleepwalker import RelationError
from sleepwalker.links import Link, Links

HERE = "https://library.example/books/7"


def linked(rel: str, href: str = "/x", **more: object) -> Link:
    return Link(rel=rel, href=href, base=HERE, **more)  # type: ignore[arg-type] # whatever a link has


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("next", "NEXT"),
        ("Next", "nexT"),
        ("x-foo.bar", "X-Foo.Bar"),
        ("http://example.net/rel", "HTTP://Example.NET/Rel"),
        ("urn:x:%C3%A9", "URN:X:%c3%a9"),
        (" next", "next\t"),
    ],
)
def test_case_makes_no_difference_to_registered_and_extension_relations(
    one: str, other: str
) -> None:
    link = linked(one)
    links = Links([link])

    assert links[other] is link
    assert links.one(other) is link
    assert links.all(other) == [link]
    assert other in links
    assert list(links) == [one]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Extension relations are compared as text, not as URLs.
        ("http://example.net/rel", "http://example.net/rel/"),
        ("http://example.net/rel", "http://example.net:80/rel"),
        ("http://example.net/%7Erel", "http://example.net/~rel"),
        ("http://example.net/a/../rel", "http://example.net/rel"),
        ("next", "http://www.iana.org/assignments/relation/next"),
        ("next", "nexts"),
        ("prev", "previous"),
        # Character by character: what Unicode folds is not the same.
        ("straße", "strasse"),
        ("\u212aey", "key"),
        ("Ä", "ä"),
    ],
)
def test_anything_else_does(one: str, other: str) -> None:
    links = Links([linked(one)])

    assert other not in links
    assert links.all(other) == []
    with pytest.raises(KeyError):
        links[other]


def test_links_whose_relations_differ_in_case_are_several_under_one() -> None:
    first, second = linked("Item", "/1"), linked("item", "/2")
    links = Links([first, second])

    assert links["ITEM"] == [first, second]
    assert list(links) == ["Item"]
    assert len(links) == 1
    with pytest.raises(RelationError, match="there are 2 links 'item'"):
        links.one("item")


def test_a_link_given_twice_is_one_to_be_followed_and_two_to_be_seen() -> None:
    first = linked("next", "?page=2")
    again = linked("next", "https://library.example/books/7?page=2#top", title="Next")
    links = Links([first, again])

    assert links.one("next") is first
    assert links.all("next") == [first, again]
    assert links["next"] == [first, again]


@pytest.mark.parametrize(
    "other",
    [
        linked("next", "?page=3"),
        linked("next", "?page=2", method="POST"),
        linked("next", "?page=2", templated=True),
        linked("next", "http://["),
    ],
)
def test_links_that_lead_elsewhere_or_otherwise_are_two(other: Link) -> None:
    with pytest.raises(RelationError, match="there are 2 links 'next'"):
        Links([linked("next", "?page=2"), other]).one("next")


def test_a_missing_relation_names_those_there_are() -> None:
    links = Links([linked("self"), linked("http://example.net/rel")])

    with pytest.raises(RelationError) as caught:
        links.one("author")

    assert caught.value.relations == ("self", "http://example.net/rel")
    assert str(caught.value).startswith(
        "there is no link 'author'; there are 'self', 'http://example.net/rel'"
    )
