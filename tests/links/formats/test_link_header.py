"""`Link` headers are read as RFC 8288 says, whoever wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepwalker import ANONYMOUS
from sleepwalker.links import Document, LinkHeader, Links, ServiceManager
from tests.links.formats.rfc8288 import EXAMPLES, HERE, RULES
from tests.links.formats.specification import Example, all_read
from tests.servers import ScriptedServer, raw, respond, wire

HEADER = LinkHeader()


@pytest.mark.parametrize("example", [*EXAMPLES, *RULES], ids=lambda example: example.section)
def test_a_header_has_the_links_that_the_rfc_says(example: Example) -> None:
    assert all_read(HEADER, example.document()) == example.links


def test_a_document_with_a_header_is_recognized_and_no_other() -> None:
    assert HEADER.recognizes(Document(HERE, link_headers=("</>; rel=up",)))
    assert not HEADER.recognizes(Document(HERE, data={"_links": {}}))


def test_what_is_about_something_else_is_not_among_the_links_of_the_document() -> None:
    header = (
        '</a>; rel=next; anchor="/other", </b>; rel=next; anchor="?page=1", </c>; rel=last, '
        '</d>; rel=copyright; anchor="#foo"'
    )
    document = Document(f"{HERE}#top", link_headers=(header,))
    links = Links(HEADER.links(document), context=document.url)

    assert [link.href for link in links.flat()] == ["/b", "/c"]
    assert [link.href for link in links.elsewhere] == ["/a", "/d"]


LONG = 100_000
"""Characters; `http.client` takes lines of 65,536 bytes, and a hundred of them."""


@pytest.mark.parametrize(
    ("header", "links"),
    [
        ("<a>; rel=a, " * (LONG // 12), LONG // 12),
        ('<a>; rel="' + " ".join(f"r{number}" for number in range(LONG // 7)) + '"', LONG // 7),
        ("<a>; rel=a" + "; hreflang=a" * (LONG // 12), 1),
        ("<a>; rel=a" + "; x*=UTF-8''a" * (LONG // 13), 1),
        ("<a>; rel=a; title*=UTF-8''" + "%c3%a4" * (LONG // 6), 1),
        ('<a>; rel=a; title="' + '\\"' * (LONG // 2), 1),
        ("<a>" + ";" * LONG + "rel=a", 1),
        ("<a>; rel=" + " " * LONG + "a", 1),
        ("<a>; rel=a\r\n" + "\r\n" * (LONG // 2), 1),
        ("," * LONG, 0),
        ("<" * LONG, 0),
        ("<>" * (LONG // 2), 0),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_a_long_header_is_read_in_one_go(header: str, links: int) -> None:
    # Where the time grew with the square of the length, this would not end in time.
    assert sum(1 for _ in HEADER.links(Document(HERE, link_headers=(header,)))) == links


ANY_HEADER = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            [*"<>;,=\"\\ *\t%'", "rel", "title", "anchor", "UTF-8''", "a", "[", "//", "\r\n "]
        ),
        max_size=40,
    ).map("".join),
)


@settings(max_examples=50)
@given(st.lists(ANY_HEADER, max_size=3))
def test_no_header_is_too_odd_to_be_read(headers: list[str]) -> None:
    document = Document(HERE, link_headers=tuple(headers))
    links = Links(HEADER.links(document), context=HERE)

    assert all(link.rel and not link.rel.isspace() for link in links.flat())


def test_headers_come_through_from_the_wire(server: ScriptedServer) -> None:
    folded = b"Link: </c>;\r\n rel=c;\r\n\ttitle*=UTF-8''%e2%82%ac\r\n"
    utf8 = "Link: </café>; rel=d\r\n".encode()
    several = [("Link", "</a>; rel=a, </b>; rel=b"), ("link", '</a,a>; rel="a"')]
    plain = wire(200, several, b"{}")
    server.script(raw(plain.replace(b"\r\n\r\n", b"\r\n" + folded + utf8 + b"\r\n", 1)))
    server.default = respond(json={})

    with ServiceManager(credentials={server.url: ANONYMOUS}) as services:
        links = services.get(f"{server.url}/").links
        assert [(link.rel, link.href, link.title) for link in links.flat()] == [
            ("a", "/a", None),
            ("a", "/a,a", None),
            ("b", "/b", None),
            ("c", "/c", "€"),
            ("d", "/café", None),
        ]
        services.get(f"{server.url}/").follow(links.one("d"))
    assert server.requests[-1].target == "/caf%C3%A9"
