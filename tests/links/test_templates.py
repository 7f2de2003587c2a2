"""URI templates are expanded as RFC 6570 says, and what can't be is an error of ours."""

from __future__ import annotations

from typing import Any

import pytest

from sleepwalker.exceptions import LinkURLError, TemplateError
from sleepwalker.links import Field, Link
from sleepwalker.links._templates import expanded, partly_expanded, variables_of

HOME = "home"
"""By itself, so that no URL of the RFC looks like somebody's folder."""
VALUES: dict[str, Any] = {
    "count": ["one", "two", "three"],
    "dom": ["example", "com"],
    "dub": "me/too",
    "hello": "Hello World!",
    "half": "50%",
    "var": "value",
    "who": "fred",
    "base": f"http://example.com/{HOME}/",
    "path": "/foo/bar",
    "list": ["red", "green", "blue"],
    "keys": {"semi": ";", "dot": ".", "comma": ","},
    "v": "6",
    "x": "1024",
    "y": "768",
    "empty": "",
    "empty_keys": {},
    "undef": None,
}
"""Section 3.2; of `keys` the order is free, and so it is sorted in what follows."""

TABLES = {
    "1.2, level 1": {"{var}": "value", "{hello}": "Hello%20World%21"},
    "1.2, level 2": {
        "{+var}": "value",
        "{+hello}": "Hello%20World!",
        "{+path}/here": "/foo/bar/here",
        "here?ref={+path}": "here?ref=/foo/bar",
        "X{#var}": "X#value",
        "X{#hello}": "X#Hello%20World!",
    },
    "1.2, level 3": {
        "map?{x,y}": "map?1024,768",
        "{x,hello,y}": "1024,Hello%20World%21,768",
        "{+x,hello,y}": "1024,Hello%20World!,768",
        "{+path,x}/here": "/foo/bar,1024/here",
        "{#x,hello,y}": "#1024,Hello%20World!,768",
        "{#path,x}/here": "#/foo/bar,1024/here",
        "X{.var}": "X.value",
        "X{.x,y}": "X.1024.768",
        "{/var}": "/value",
        "{/var,x}/here": "/value/1024/here",
        "{;x,y}": ";x=1024;y=768",
        "{;x,y,empty}": ";x=1024;y=768;empty",
        "{?x,y}": "?x=1024&y=768",
        "{?x,y,empty}": "?x=1024&y=768&empty=",
        "?fixed=yes{&x}": "?fixed=yes&x=1024",
        "{&x,y,empty}": "&x=1024&y=768&empty=",
    },
    "1.2, level 4": {
        "{var:3}": "val",
        "{var:30}": "value",
        "{list}": "red,green,blue",
        "{list*}": "red,green,blue",
        "{keys}": "comma,%2C,dot,.,semi,%3B",
        "{keys*}": "comma=%2C,dot=.,semi=%3B",
        "{+path:6}/here": "/foo/b/here",
        "{+list}": "red,green,blue",
        "{+list*}": "red,green,blue",
        "{+keys}": "comma,,,dot,.,semi,;",
        "{+keys*}": "comma=,,dot=.,semi=;",
        "{#path:6}/here": "#/foo/b/here",
        "{#list}": "#red,green,blue",
        "{#list*}": "#red,green,blue",
        "{#keys}": "#comma,,,dot,.,semi,;",
        "{#keys*}": "#comma=,,dot=.,semi=;",
        "X{.var:3}": "X.val",
        "X{.list}": "X.red,green,blue",
        "X{.list*}": "X.red.green.blue",
        "X{.keys}": "X.comma,%2C,dot,.,semi,%3B",
        "X{.keys*}": "X.comma=%2C.dot=..semi=%3B",
        "{/var:1,var}": "/v/value",
        "{/list}": "/red,green,blue",
        "{/list*}": "/red/green/blue",
        "{/list*,path:4}": "/red/green/blue/%2Ffoo",
        "{/keys}": "/comma,%2C,dot,.,semi,%3B",
        "{/keys*}": "/comma=%2C/dot=./semi=%3B",
        "{;hello:5}": ";hello=Hello",
        "{;list}": ";list=red,green,blue",
        "{;list*}": ";list=red;list=green;list=blue",
        "{;keys}": ";keys=comma,%2C,dot,.,semi,%3B",
        "{;keys*}": ";comma=%2C;dot=.;semi=%3B",
        "{?var:3}": "?var=val",
        "{?list}": "?list=red,green,blue",
        "{?list*}": "?list=red&list=green&list=blue",
        "{?keys}": "?keys=comma,%2C,dot,.,semi,%3B",
        "{?keys*}": "?comma=%2C&dot=.&semi=%3B",
        "{&var:3}": "&var=val",
        "{&list}": "&list=red,green,blue",
        "{&list*}": "&list=red&list=green&list=blue",
        "{&keys}": "&keys=comma,%2C,dot,.,semi,%3B",
        "{&keys*}": "&comma=%2C&dot=.&semi=%3B",
    },
    "3.2.1": {
        "{count}": "one,two,three",
        "{count*}": "one,two,three",
        "{/count}": "/one,two,three",
        "{/count*}": "/one/two/three",
        "{;count}": ";count=one,two,three",
        "{;count*}": ";count=one;count=two;count=three",
        "{?count}": "?count=one,two,three",
        "{?count*}": "?count=one&count=two&count=three",
        "{&count*}": "&count=one&count=two&count=three",
    },
    "3.2.2": {
        "{half}": "50%25",
        "O{empty}X": "OX",
        "O{undef}X": "OX",
        "{x,y}": "1024,768",
        "?{x,empty}": "?1024,",
        "?{x,undef}": "?1024",
        "?{undef,y}": "?768",
    },
    "3.2.3": {
        "{+half}": "50%25",
        "{base}index": "http%3A%2F%2Fexample.com%2Fhome%2Findex",
        "{+base}index": f"http://example.com/{HOME}/index",
        "O{+empty}X": "OX",
        "O{+undef}X": "OX",
        "up{+path}{var}/here": "up/foo/barvalue/here",
    },
    "3.2.4": {"{#half}": "#50%25", "foo{#empty}": "foo#", "foo{#undef}": "foo"},
    "3.2.5": {
        "{.who}": ".fred",
        "{.who,who}": ".fred.fred",
        "{.half,who}": ".50%25.fred",
        "www{.dom*}": "www.example.com",
        "X{.empty}": "X.",
        "X{.undef}": "X",
        "X{.empty_keys}": "X",
        "X{.empty_keys*}": "X",
    },
    "3.2.6": {
        "{/who}": "/fred",
        "{/who,who}": "/fred/fred",
        "{/half,who}": "/50%25/fred",
        "{/who,dub}": "/fred/me%2Ftoo",
        "{/var,empty}": "/value/",
        "{/var,undef}": "/value",
    },
    "3.2.7": {
        "{;who}": ";who=fred",
        "{;half}": ";half=50%25",
        "{;empty}": ";empty",
        "{;v,empty,who}": ";v=6;empty;who=fred",
        "{;v,bar,who}": ";v=6;who=fred",
        "{;x,y,undef}": ";x=1024;y=768",
    },
    "3.2.8": {
        "{?who}": "?who=fred",
        "{?half}": "?half=50%25",
        "{?x,y,undef}": "?x=1024&y=768",
    },
    "3.2.9": {
        "{&who}": "&who=fred",
        "{&half}": "&half=50%25",
        "{&x,y,undef}": "&x=1024&y=768",
    },
}


@pytest.mark.parametrize("section", TABLES)
def test_the_examples_of_rfc_6570(section: str) -> None:
    for template, result in TABLES[section].items():
        names = variables_of(template)
        given = {name: value for name, value in VALUES.items() if name in names}
        assert (template, expanded(template, given)) == (template, result)


@pytest.mark.parametrize(
    ("template", "value", "result"),
    [
        ("{x}", 0, "0"),
        ("{?x}", 0, "?x=0"),
        ("{;x}", 0, ";x=0"),
        ("{x:2}", 12345, "12"),
        ("{x}", 1.5, "1.5"),
        ("{x}", True, "true"),
        ("{?x}", False, "?x=false"),
        ("{?x*}", [0, None, False], "?x=0&x=false"),
        ("{?x*}", {"a": 0, "b": None}, "?a=0"),
        ("{;x}", [], ""),
        ("a{x}{y}", [], "a"),
        ("{y,x}", [], ""),
        ("{;x*}", {}, ""),
        ("{x}", (1, 2), "1,2"),
    ],
)
def test_values_are_what_json_and_python_have(template: str, value: Any, result: str) -> None:
    assert expanded(template, {"x": value}) == result


@pytest.mark.parametrize("value", [[[1]], {"a": [1]}, [{"a": 1}], object(), b"bytes", "\ud800"])
def test_a_value_that_no_template_takes_is_an_error(value: Any) -> None:
    with pytest.raises(TemplateError):
        expanded("{x}", {"x": value})


@pytest.mark.parametrize("template", ["{x:a}", "{x:1:2}", f"{{x:{'9' * 5000}}}"])
def test_what_is_no_template_is_an_error_wherever_it_is_asked(template: str) -> None:
    link = Link(rel="a", href=template, base="https://a.example/", templated=True)

    for ask in (lambda: variables_of(template), lambda: link.wants, link.url):
        with pytest.raises(TemplateError, match="is malformed"):
            ask()


def test_a_variable_that_the_template_has_not_is_an_error() -> None:
    with pytest.raises(TemplateError, match="no variable z; it has x, y"):
        expanded("{x}{y}", {"z": 1})


@pytest.mark.parametrize(
    ("template", "values", "result"),
    [
        ("/a/{x}{?y}", {"x": "1/2"}, "/a/1%2F2{?y}"),
        ("/a{/x,y}", {"x": 1}, "/a{/x,y}"),
        ("/a{/x,y}", {"x": 1, "y": 2}, "/a/1/2"),
        ("{+x}/b", {"x": "https://a.example"}, "https://a.example/b"),
        ("/a", {}, "/a"),
        ("{", {}, "{"),
    ],
)
def test_some_values_may_be_put_in_before_the_others(
    template: str, values: dict[str, Any], result: str
) -> None:
    assert partly_expanded(template, values) == result


def test_a_value_that_is_put_in_before_the_others_brings_no_variables_of_its_own() -> None:
    assert "y" not in variables_of(partly_expanded("{+x}", {"x": "%20{y}"}))


def test_a_link_takes_the_inputs_that_it_names_and_requires_those_that_it_says() -> None:
    link = Link(
        rel="search",
        href="/search/{kind}{?q,page}",
        base="https://a.example/",
        templated=True,
        variables={"kind": "books", "page": 1},
        inputs=(Field("q", required=True), Field("page", 1)),
    )

    assert link.wants == ("q",)
    assert link.url(q="x") == "https://a.example/search/books?q=x&page=1"
    assert link.url(q="x", page=2) == "https://a.example/search/books?q=x&page=2"
    assert link.url(q="x", page=None) == "https://a.example/search/books?q=x"
    with pytest.raises(TemplateError, match="requires the variable 'q'"):
        link.url()
    with pytest.raises(TemplateError, match="takes no variable kind; it takes 'page', 'q'"):
        link.url(q="x", kind="films")


def test_bases_are_templates_that_take_inputs_too() -> None:
    link = Link(
        rel="a",
        href="things/{id}",
        base="https://a.example/api/",
        bases=("{tenant}/", "v{version}/"),
        templated=True,
        variables={"version": 2},
        inputs=(Field("tenant"), Field("id")),
    )

    assert link.url(tenant="x/y", id=7) == "https://a.example/api/x%2Fy/v2/things/7"


@pytest.mark.parametrize("bad", ["\n", "\x00", "\\", "\x7f"])
def test_characters_that_no_url_has_are_refused_wherever_they_come_from(bad: str) -> None:
    base = "https://a.example/"
    written = Link(rel="a", href=f"/x{bad}y", base=base)
    in_base = Link(rel="a", href="x", base=base, bases=(f"{bad}/",), templated=True, inputs=())

    for link in (written, in_base):
        with pytest.raises(LinkURLError, match="control characters"):
            link.url()
