"""`Link` and `Links` as values: what compares, what is found, what is shown, what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any, assert_type

import pytest

from sleepwalker import LinkURLError, RelationError, TemplateError
from sleepwalker.links import Document, Embedded, Field, Link, Links

BASE = "https://library.example/books/7"
SECRET = "correct-horse-7781"
WRITTEN_OUT = "https://library.example/rels/widget"


def link(rel: str = "author", href: str = "/authors/3", **more: Any) -> Link:
    return Link(**{"rel": rel, "href": href, "base": BASE, **more})


# --- relations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("next", "next"),
        ("next", "NEXT"),
        ("Next", "next"),
        ("next", " next "),
        ("https://library.example/Rels/Shelf", "HTTPS://LIBRARY.example/rels/shelf"),
    ],
)
def test_relations_are_the_same_whatever_their_case(written: str, asked: str) -> None:
    links = Links([link(written)])

    assert asked in links
    assert links.one(asked) is links[asked] is links.all(asked)[0]
    assert list(links) == [written]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("next", "nextpage"),
        ("strasse", "stra\N{LATIN SMALL LETTER SHARP S}e"),
        # As text, not as URLs (RFC 8288, section 2.1.2).
        ("https://library.example/rels/a", "https://library.example:443/rels/a"),
        ("https://library.example/rels/~a", "https://library.example/rels/%7Ea"),
    ],
)
def test_relations_are_compared_as_text_and_as_nothing_else(written: str, asked: str) -> None:
    assert asked not in Links([link(written)])


def test_several_links_under_one_relation_are_a_list() -> None:
    one, other, author = link("item", "/1"), link("Item", "/2"), link()
    links = Links([one, author, other])

    assert links["item"] == [one, other]
    assert links["author"] is author
    assert dict(links) == {"item": [one, other], "author": author}
    assert len(links) == 2
    assert links.flat() == [one, other, author]
    assert links.all("nothing") == []
    assert links.get("nothing") is None


def test_a_list_of_them_is_the_callers_own() -> None:
    links = Links([link("item", "/1"), link("item", "/2")])
    links.all("item").clear()

    assert len(links.all("item")) == 2


def test_the_type_of_what_is_found_can_be_chosen() -> None:
    links = Links([link()])

    assert_type(links["author"], Link | list[Link])
    assert_type(links.one("author"), Link)
    assert_type(links.all("author"), list[Link])


SHORT, LONG = link("acme:widget", "/1", also=(WRITTEN_OUT,)), link(WRITTEN_OUT, "/2")


@pytest.mark.parametrize("both", [[SHORT, LONG], [LONG, SHORT]])
def test_another_spelling_finds_all_links_of_a_relation(both: list[Link]) -> None:
    links = Links(both)

    assert links.all("ACME:widget") == links.all(WRITTEN_OUT) == both
    assert len(links) == 1
    assert WRITTEN_OUT.upper() in links


@pytest.mark.parametrize("asked", ["author", 7, None])
def test_a_missing_relation_names_those_that_are_there(asked: Any) -> None:
    links = Links([link("next"), link("item", "/1"), link("item", "/2")])
    with pytest.raises(RelationError) as caught:
        links.one(asked)

    assert str(caught.value) == f"there is no link {asked!r}; there are 'next', 'item'"
    assert caught.value.relations == ("next", "item")
    assert isinstance(caught.value, KeyError)
    assert asked not in links
    assert links.get(asked) is None
    with pytest.raises(RelationError, match="there are 'next', 'item'"):
        links[asked]


def test_where_no_links_are_the_error_says_so() -> None:
    with pytest.raises(RelationError, match="there is no link 'next'; there are none"):
        Links().one("next")


def test_of_several_links_one_is_chosen_by_its_name() -> None:
    mobile, print_ = link("alternate", "/m", name="mobile"), link("alternate", "/p", name="print")
    links = Links([mobile, print_, link("item", "/1"), link("item", "/2")])

    assert links.one("alternate", name="print") is print_
    with pytest.raises(RelationError) as caught:
        links.one("alternate")
    assert str(caught.value) == (
        "there are 2 links 'alternate'; choose one by name=, one of 'mobile', 'print'"
    )
    with pytest.raises(RelationError) as caught:
        links.one("alternate", name="braille")
    assert str(caught.value) == (
        "no link 'alternate' is named 'braille'; there are 'mobile', 'print'"
    )
    with pytest.raises(RelationError) as caught:
        links.one("item")
    assert str(caught.value) == "there are 2 links 'item'; choose one by links.all(...)"


@pytest.mark.parametrize(
    "again",
    [
        link("next", "/books?page=2"),
        link("next", "HTTPS://library.EXAMPLE:443/books?page=2", title="the next page"),
        link("next", "?page=2", base="https://library.example/books"),
    ],
)
def test_a_link_that_is_told_twice_is_one(again: Link) -> None:
    first = link("next", "/books?page=2")
    links = Links([first, again])

    assert links.one("next") is first
    assert links["next"] == [first, again]


@pytest.mark.parametrize(
    "other",
    [
        link("next", "/books?page=3"),
        link("next", "/books?page=2", method="POST"),
        link("next", "/books?page=2", fields=(Field("page"),)),
        link("next", "/books?page={n}", templated=True),
        link("next", "/\nbooks"),
    ],
)
def test_links_that_lead_elsewhere_or_do_something_else_are_several(other: Link) -> None:
    links = Links([link("next", "/books?page=2"), other])

    with pytest.raises(RelationError, match="there are 2 links 'next'"):
        links.one("next")


# --- what they are about --------------------------------------------------------------------------


@pytest.mark.parametrize("context", [None, BASE, "HTTPS://library.example:443/books/7"])
def test_a_link_about_the_document_is_among_its_links(context: str | None) -> None:
    links = Links([link(context=context)], context=BASE)

    assert "author" in links
    assert links.elsewhere == ()


@pytest.mark.parametrize("context", [f"{BASE}#chapter-1", "https://library.example/books/8"])
def test_a_link_about_something_else_is_not(context: str) -> None:
    about = link(context=context)
    links = Links([about, link("next")], context=BASE)

    assert list(links) == ["next"]
    assert links.elsewhere == (about,)


# --- where they lead ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("/authors/3", "https://library.example/authors/3"),
        ("8", "https://library.example/books/8"),
        ("../authors/3", "https://library.example/authors/3"),
        ("?page=2", f"{BASE}?page=2"),
        ("", BASE),
        ("#chapter-1", BASE),
        ("/a#b", "https://library.example/a"),
        (" /a ", "https://library.example/a"),
        ("//other.example/a", "https://other.example/a"),
        ("http://other.example", "http://other.example"),
        ("/a b/{id}", "https://library.example/a b/{id}"),
        ("urn:isbn:0156027607", "urn:isbn:0156027607"),
    ],
)
def test_a_reference_is_resolved_against_its_base(href: str, url: str) -> None:
    assert link(href=href).url() == url


@pytest.mark.parametrize(
    "href", ["/a\nb", "/a\x00", "\thttps://a.example/", "/\\evil.example", "/\x7f"]
)
def test_what_readers_would_read_differently_is_no_url(href: str) -> None:
    with pytest.raises(LinkURLError) as caught:
        link(href=href).url()

    assert str(caught.value) == ("the link 'author' has control characters or backslashes in it")


def test_a_malformed_address_is_no_url() -> None:
    with pytest.raises(LinkURLError, match="the link 'author' leads to what is no URL"):
        link(href="https://[::1/").url()


def test_a_template_takes_its_variables_and_leaves_out_others() -> None:
    search = link(href="/find{?q,page,tags*}", templated=True)

    assert search.wants == ("q", "page", "tags")
    assert search.url() == "https://library.example/find"
    assert search.url(q="a b&c", tags=["x", "y"]) == (
        "https://library.example/find?q=a%20b%26c&tags=x&tags=y"
    )
    assert search.url(q=None, page=2) == "https://library.example/find?page=2"


def test_a_document_may_give_some_variables_itself() -> None:
    search = link(href="/find{?q,page}", templated=True, variables={"q": "lem"})

    assert search.wants == ("page",)
    assert search.url(page=2) == "https://library.example/find?q=lem&page=2"
    assert search.url(q="eco") == "https://library.example/find?q=eco"


@pytest.mark.parametrize("name", ["self", "rel", "name", "variables", "page.size"])
def test_a_variable_may_have_any_name(name: str) -> None:
    asked = link(href=f"/find{{?{name}}}", templated=True)

    assert asked.url(**{name: "x"}) == f"https://library.example/find?{name}=x"


def test_an_unknown_variable_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(TemplateError) as caught:
        link(href="/find{?q,page}", templated=True).url(query="x", pages=2)
    assert str(caught.value) == "the link's template has no variable pages, query; it has q, page"

    with pytest.raises(TemplateError) as caught:
        link().url(id=3)
    assert str(caught.value) == "the link's template has no variable id; it has none"


def test_a_variable_that_is_no_text_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(TemplateError) as caught:
        link(href="/find{?q}", templated=True).url(q={1, 2})

    assert str(caught.value) == (
        "the variable q must be text, a number, or a list or dict of them, not set"
    )


# --- as values ------------------------------------------------------------------------------------


FULL = link(
    templated=True,
    href="/authors/{id}",
    variables={"id": 3},
    fields=(Field("tags", ["a"], required=True),),
    attributes={"hreflang": ("de", "en")},
    data={"name": "Lem"},
)


def test_links_compare_and_hash_as_values() -> None:
    same = copy.deepcopy(FULL)

    assert same == FULL
    assert len({same, FULL, link()}) == 2
    assert link() != FULL


def test_links_pickle_and_copy() -> None:
    links = Links([FULL, link("next"), link("up", context="https://other.example/")], context=BASE)
    for again in (pickle.loads(pickle.dumps(links)), copy.copy(links), copy.deepcopy(links)):  # noqa: S301 - our own
        assert again == links
        assert again.elsewhere == links.elsewhere
        assert again.one("NEXT") == link("next")
    assert pickle.loads(pickle.dumps(FULL)) == FULL  # noqa: S301 - our own


def test_a_link_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        link().href = "/elsewhere"  # type: ignore[misc]


# --- what is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (link(), "<Link 'author' to https://library.example>"),
        (link(href=f"https://user:{SECRET}@a.example/x"), "<Link 'author' to https://a.example>"),
        (link(href=f"/reset/{SECRET}?t={SECRET}"), "<Link 'author' to https://library.example>"),
        (link(href="//{host}/x", templated=True), "<Link 'author' to where its variables say>"),
        (link(href="{+url}", templated=True), "<Link 'author' to where its variables say>"),
        (link(href="{?q}", templated=True), "<Link 'author' to https://library.example>"),
        (link(href="//a.example{/id}", templated=True), "<Link 'author' to https://a.example>"),
        (link(href="/x/{id}", templated=True), "<Link 'author' to https://library.example>"),
        (link(href="/x", templated=True), "<Link 'author' to https://library.example>"),
        (
            link(method="PUT", name="edit"),
            "<Link 'author' PUT name='edit' to https://library.example>",
        ),
        (link(href=f"mailto:{SECRET}@a.example"), "<Link 'author' to mailto:>"),
        (link(href="https://[::1/"), "<Link 'author' to no URL>"),
        (link(href="https://a\x1bc.example/"), "<Link 'author' to https://a\\x1bc.example>"),
        (link(base="/books/7"), "<Link 'author' to its own service>"),
    ],
)
def test_of_a_target_no_more_than_the_origin_is_shown(given: Link, shown: str) -> None:
    assert repr(given) == shown


def test_links_show_how_many_they_are() -> None:
    links = Links([link("next", f"/?key={SECRET}"), link("item", "/1"), link("item", "/2")])

    assert repr(links) == "<Links {'next': 1, 'item': 2}>"


def test_nothing_else_shows_what_a_document_says() -> None:
    document = Document(
        f"{BASE}?key={SECRET}", headers={"Set-Cookie": SECRET}, data={"key": SECRET}
    )

    assert repr(document) == "<Document of no media type>"
    assert repr(Embedded(None, SECRET)) == "<Embedded without a URL>"
    assert repr(Embedded(f"{BASE}?key={SECRET}", SECRET)) == "<Embedded with a URL>"
    assert SECRET not in repr(Field("csrf", SECRET, type="hidden"))
    assert SECRET not in repr(link(fields=(Field("csrf", SECRET),), data=SECRET))
