"""RFC 8288 as data: the examples of its section 3.5, and what its rules and RFC 8187's say."""

from __future__ import annotations

from typing import Final

from tests.links.formats.specification import Example, link

HERE: Final = "https://library.example/TheBook/chapter3?page=1"
SITE: Final = "https://library.example"

EXAMPLES: Final = (
    Example(
        section="3.5, a title",
        url=HERE,
        headers=(
            '<http://example.com/TheBook/chapter2>; rel="previous"; title="previous chapter"',
        ),
        links=(link("previous", "http://example.com/TheBook/chapter2", title="previous chapter"),),
    ),
    Example(
        section="3.5, an extension relation",
        url=HERE,
        headers=('</>; rel="http://example.net/foo"',),
        links=(link("http://example.net/foo", f"{SITE}/"),),
    ),
    Example(
        section="3.5, an anchor",
        url=HERE,
        headers=('</terms>; rel="copyright"; anchor="#foo"',),
        links=(link("copyright", f"{SITE}/terms", context=f"{HERE}#foo"),),
    ),
    Example(
        section="3.5, several links in a header, with titles in another charset and language",
        url=HERE,
        headers=(
            (
                "</TheBook/chapter2>;\r\n"
                "      rel=\"previous\"; title*=UTF-8'de'letztes%20Kapitel,\r\n"
                "      </TheBook/chapter4>;\r\n"
                "      rel=\"next\"; title*=UTF-8'de'n%c3%a4chstes%20Kapitel"
            ),
        ),
        links=(
            link("previous", f"{SITE}/TheBook/chapter2", title="letztes Kapitel"),
            link("next", f"{SITE}/TheBook/chapter4", title="nächstes Kapitel"),
        ),
    ),
    Example(
        section="3.5, several relations in one link",
        url=HERE,
        headers=('<http://example.org/>; rel="start http://example.net/relation/other"',),
        links=(
            link("start", "http://example.org/"),
            link("http://example.net/relation/other", "http://example.org/"),
        ),
    ),
    Example(
        section="3.5, two links",
        url=HERE,
        headers=('<https://example.org/>; rel="start", <https://example.org/index>; rel="index"',),
        links=(
            link("start", "https://example.org/"),
            link("index", "https://example.org/index"),
        ),
    ),
)
"""As the RFC writes them."""

RULES: Final = (
    Example(
        section="3: a token is what a quoted string is",
        url=HERE,
        headers=("</a>; rel=next; x=y", '</a>; rel="next"; x="y"'),
        links=(link("next", f"{SITE}/a", attributes={"x": "y"}),) * 2,
    ),
    Example(
        section="3: several headers, in their order",
        url=HERE,
        headers=("</a>; rel=a", "</b>; rel=b, </c>; rel=c"),
        links=(link("a", f"{SITE}/a"), link("b", f"{SITE}/b"), link("c", f"{SITE}/c")),
    ),
    Example(
        section="3: names of parameters in whatever case, space around the equals sign",
        url=HERE,
        headers=('</a>\t;  REL = "next" ; Title = x ;TYPE="text/plain"',),
        links=(link("next", f"{SITE}/a", title="x", type="text/plain"),),
    ),
    Example(
        section="3, and RFC 9110, 5.6.1: empty elements of a list",
        url=HERE,
        headers=(", ,</a>; rel=a,,\t</b>; rel=b,",),
        links=(link("a", f"{SITE}/a"), link("b", f"{SITE}/b")),
    ),
    Example(
        section="3.1: relative targets, an empty one, commas and semicolons in one, a fragment",
        url=HERE,
        headers=(
            (
                "<chapter4>; rel=a, <>; rel=b, </x,y;z?q=1,2>; rel=c, <//other.example/>; rel=d,"
                " <?page=2>; rel=e, </f#part>; rel=f"
            ),
        ),
        links=(
            link("a", f"{SITE}/TheBook/chapter4"),
            link("b", HERE),
            link("c", f"{SITE}/x,y;z?q=1,2"),
            link("d", "https://other.example/"),
            link("e", f"{SITE}/TheBook/chapter3?page=2"),
            link("f", f"{SITE}/f"),
        ),
    ),
    Example(
        section="3.2: contexts, relative, absolute and this document; the first counts",
        url=HERE,
        headers=(
            (
                '</a>; rel=a; anchor="chapter9", </b>; rel=b; anchor="https://other.example/x",'
                ' </c>; rel=c; anchor="", </d>; rel=d; anchor="/1"; anchor="/2"'
            ),
        ),
        links=(
            link("a", f"{SITE}/a", context=f"{SITE}/TheBook/chapter9"),
            link("b", f"{SITE}/b", context="https://other.example/x"),
            link("c", f"{SITE}/c", context=HERE),
            link("d", f"{SITE}/d", context=f"{SITE}/1"),
        ),
    ),
    Example(
        section="3.3: of several rel the first counts, and of what it has each one once",
        url=HERE,
        headers=('</a>; rel="next  prefetch\tnext "; rel=last',),
        links=(link("next", f"{SITE}/a"), link("prefetch", f"{SITE}/a")),
    ),
    Example(
        section="3.3: none without a relation",
        url=HERE,
        headers=('</a>, </b>; rel, </c>; rel="", </d>; rel=" ", </e>; title=rel, </f>; rel=f',),
        links=(link("f", f"{SITE}/f"),),
    ),
    Example(
        section="3.3: rev is not read",
        url=HERE,
        headers=("</a>; rev=made, </b>; rev=made; rel=next",),
        links=(link("next", f"{SITE}/b"),),
    ),
    Example(
        section="3.4.1: hreflang may be there several times; of media, title and type the first",
        url=HERE,
        headers=(
            (
                "</a>; rel=alternate; hreflang=en; hreflang=de; media=screen; media=print;"
                ' title=one; title=two; type="text/html"; type="text/plain"'
            ),
        ),
        links=(
            link(
                "alternate",
                f"{SITE}/a",
                title="one",
                type="text/html",
                attributes={"hreflang": ("en", "de"), "media": "screen"},
            ),
        ),
    ),
    Example(
        section="3.4.1: title* counts rather than title, wherever it stands",
        url=HERE,
        headers=(
            "</a>; rel=a; title=Apples; title*=UTF-8''%C3%84pfel",
            "</b>; rel=b; title*=UTF-8''%C3%84pfel; title=Apples; title*=UTF-8''Birnen",
        ),
        links=(
            link("a", f"{SITE}/a", title="Äpfel"),
            link("b", f"{SITE}/b", title="Äpfel"),
        ),
    ),
    Example(
        section="3.4.1: title counts where title* can't be decoded",
        url=HERE,
        headers=(
            "</a>; rel=a; title*=UTF-8''%C3; title=Apples",
            "</b>; rel=b; title*=Apples; title=Pears",
            "</c>; rel=c; title*=utf-7''+AMQ-pfel; title=Plums",
            "</d>; rel=d; title*=UTF-8''%E4; x*=UTF-8''%E4",
        ),
        links=(
            link("a", f"{SITE}/a", title="Apples"),
            link("b", f"{SITE}/b", title="Pears"),
            link("c", f"{SITE}/c", title="Plums"),
            link("d", f"{SITE}/d"),
        ),
    ),
    Example(
        section="3.4.2: extension parameters, with no value, several times, and extended ones",
        url=HERE,
        headers=(
            "</a>; rel=preload; as=style; crossorigin; x=1; x=2; y=plain; y*=utf-8'en'%c2%a3",
        ),
        links=(
            link(
                "preload",
                f"{SITE}/a",
                attributes={"as": "style", "crossorigin": "", "x": ("1", "2"), "y": "£"},
            ),
        ),
    ),
    Example(
        section="B.2: parameters that have no extended form have none",
        url=HERE,
        headers=("</a>; rel=a; rel*=UTF-8''b; anchor*=UTF-8''c; type*=UTF-8''d",),
        links=(link("a", f"{SITE}/a"),),
    ),
    Example(
        section="B.2: what comes behind what can't be read is left out",
        url=HERE,
        headers=(
            "</a>; rel=a, b; rel=b, </c>; rel=c",
            "</d>; rel=d </e>; rel=e",
            '</f>; rel="f"x; title=lost, </g>; rel=g',
            "</h; rel=h",
            ", </h; rel=h",
            '</j>; rel="j" </k>; rel=k',
            "nothing",
            "</i>; rel=i",
        ),
        links=(
            link("a", f"{SITE}/a"),
            # A token ends at a comma or a semicolon, as the algorithm has it.
            link("d", f"{SITE}/d"),
            link("</e>", f"{SITE}/d"),
            link("f", f"{SITE}/f"),
            link("j", f"{SITE}/j"),
            link("i", f"{SITE}/i"),
        ),
    ),
    Example(
        section="B.2: a context that is no URL leaves out its link alone",
        url=HERE,
        headers=('</a>; rel=a; anchor="http://[", </b>; rel=b',),
        links=(link("b", f"{SITE}/b"),),
    ),
    Example(
        section="B.3: parameters without a name or a value, and semicolons too many",
        url=HERE,
        headers=("</a>;; =x; rel=a;", "</b>; rel=b; x=", "</c>; rel="),
        links=(link("a", f"{SITE}/a"), link("b", f"{SITE}/b", attributes={"x": ""})),
    ),
    Example(
        section="B.4: quoted text with quotes, backslashes, commas, semicolons and brackets in it",
        url=HERE,
        headers=(r'</a>; title="a \"b\", \\c; <d>"; rel=a, </b>; rel=b',),
        links=(
            link("a", f"{SITE}/a", title=r'a "b", \c; <d>'),
            link("b", f"{SITE}/b"),
        ),
    ),
    Example(
        section="B.4: quoted text that doesn't end, and a backslash at its end",
        url=HERE,
        headers=('</a>; rel=a; title="b, </c>; rel=c', '</d>; rel=d; title="e\\'),
        links=(
            link("a", f"{SITE}/a", title="b, </c>; rel=c"),
            link("d", f"{SITE}/d", title="e"),
        ),
    ),
    Example(
        section="RFC 8187, 3.2.3",
        url=HERE,
        headers=(
            "</a>; rel=a; title=Economy",
            '</b>; rel=b; title="Economy"',
            "</c>; rel=c; title*=utf-8'en'%C2%A3%20rates",
            "</d>; rel=d; title*=UTF-8''%c2%a3%20and%20%e2%82%ac%20rates",
        ),
        links=(
            link("a", f"{SITE}/a", title="Economy"),
            link("b", f"{SITE}/b", title="Economy"),
            link("c", f"{SITE}/c", title="£ rates"),
            link("d", f"{SITE}/d", title="£ and € rates"),
        ),
    ),
    Example(
        section="RFC 8187, 4.2: both forms",
        url=HERE,
        headers=(
            (
                '</a>; rel=a; title="EURO exchange rates"; '
                "title*=utf-8''%e2%82%ac%20exchange%20rates"
            ),
        ),
        links=(link("a", f"{SITE}/a", title="€ exchange rates"),),
    ),
    Example(
        section="RFC 5987, 3.2.2: the charset that RFC 8187 dropped",
        url=HERE,
        headers=("</a>; rel=a; title*=iso-8859-1'en'%A3%20rates",),
        links=(link("a", f"{SITE}/a", title="£ rates"),),
    ),
    Example(
        section="RFC 9110, 5.5: bytes past ASCII, as `http.client` gives them; UTF-8, then Latin-1",
        url=HERE,
        headers=(
            "</caf\u00c3\u00a9>; rel=a; title=\u00e2\u0082\u00ac",
            "</b>; rel=b; title=caf\u00e9",
            "</c>; rel=c; title=\u20ac",
        ),
        links=(
            link("a", f"{SITE}/café", title="€"),
            link("b", f"{SITE}/b", title="café"),
            link("c", f"{SITE}/c", title="€"),
        ),
    ),
)
"""What the rules say of headers of ours."""
