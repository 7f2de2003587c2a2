"""Documents are read as hyper-schemas say, and as the draft says of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ANONYMOUS
from sleepwalker.exceptions import (
    ConfigurationError,
    FormError,
    TemplateError,
    TemplateHostError,
)
from sleepwalker.links import (
    Document,
    Field,
    HyperSchema,
    Link,
    Links,
    MediaType,
    ServiceManager,
)
from tests.links.formats.hyper_schema import ENTRY, EXAMPLES, OTHERS, TO_THING, TO_THINGS
from tests.links.formats.specification import Example, all_read
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE = "https://example.org"


@pytest.mark.parametrize(
    ("schema", "example"), EXAMPLES, ids=[example.section for _, example in EXAMPLES]
)
def test_a_document_has_the_links_that_the_draft_says(schema: Any, example: Example) -> None:
    form = HyperSchema(schema, schemas=OTHERS)
    document = example.document("application/json")

    assert all_read(form, document, example.given) == example.links
    assert form.items(document) == example.items


def read(schema: Any, data: Any, url: str = f"{SITE}/a/b", **given: Any) -> list[tuple[str, str]]:
    """Say the relations and URLs that a schema finds."""
    links = HyperSchema(schema).links(Document(url, data=data))
    return [(each.rel, each.url(**given)) for each in links]


def link(href: str, rel: Any = "x", **more: Any) -> dict[str, Any]:
    """Make a link description."""
    return {"rel": rel, "href": href, **more}


def one(data: Any, **said: Any) -> Link:
    """Give the one link that a description makes."""
    (found,) = HyperSchema({"links": [link(**said)]}).links(Document(f"{SITE}/a/b", data=data))
    return found


def test_several_relations_are_several_links() -> None:
    schema = {"links": [link("/x", ["a", "b", "a"])]}

    assert read(schema, {}) == [("a", f"{SITE}/x"), ("b", f"{SITE}/x")]


BELOW = {"links": [link("/{id}")]}
"""What links to a part by its `id`."""


@pytest.mark.parametrize(
    ("schema", "data", "ids"),
    [
        ({"properties": {"a": BELOW}}, {"a": {"id": 1}, "b": {"id": 2}}, [1]),
        ({"additionalProperties": BELOW}, {"a": {"id": 1}, "b": {"id": 2}}, [1, 2]),
        (
            {"properties": {"a": True}, "additionalProperties": BELOW},
            {"a": {"id": 1}, "b": {"id": 2}},
            [2],
        ),
        (
            {"patternProperties": {"^x": BELOW}, "additionalProperties": False},
            {"x1": {"id": 1}, "b": {"id": 2}},
            [1],
        ),
        ({"patternProperties": {"x": {}}, "additionalProperties": BELOW}, {"x": {"id": 1}}, []),
        ({"items": BELOW}, [{"id": 1}, {"id": 2}], [1, 2]),
        ({"items": [{}, BELOW]}, [{"id": 1}, {"id": 2}, {"id": 3}], [2]),
        ({"items": [{}], "additionalItems": BELOW}, [{"id": 1}, {"id": 2}, {"id": 3}], [2, 3]),
        ({"prefixItems": [BELOW], "items": {}}, [{"id": 1}, {"id": 2}], [1]),
        ({"prefixItems": [{}], "items": BELOW}, [{"id": 1}, {"id": 2}], [2]),
        ({"allOf": [{"properties": {"a": BELOW}}, BELOW]}, {"id": 1, "a": {"id": 2}}, [2, 1]),
        ({"dependentSchemas": {"a": BELOW}}, {"id": 1, "a": 0}, [1]),
        ({"dependentSchemas": {"a": BELOW}}, {"id": 1}, []),
        # An array has no members, and an object no elements.
        ({"properties": {"0": BELOW}}, [{"id": 1}], []),
        ({"items": BELOW}, {"0": {"id": 1}}, []),
        # What is not looked at.
        ({"if": True, "then": BELOW, "else": BELOW}, {"id": 1}, []),
        ({"not": BELOW, "contains": BELOW, "unevaluatedProperties": BELOW}, {"id": 1}, []),
        (True, {"id": 1}, []),
        (False, {"id": 1}, []),
    ],
)
def test_a_schema_is_for_the_parts_that_json_schema_says(
    schema: Any, data: Any, ids: list[int]
) -> None:
    schema = schema if isinstance(schema, bool) else {"templateRequired": ["id"], **schema}

    assert read(schema, data) == [("x", f"{SITE}/{each}") for each in ids]


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
@pytest.mark.parametrize(
    ("told_apart_by", "other"),
    [
        ({"properties": {"kind": {"const": "a"}}}, {"properties": {"kind": {"const": "b"}}}),
        ({"properties": {"kind": {"enum": ["a", "c"]}}}, {"properties": {"kind": {"enum": [0]}}}),
        ({"properties": {"id": {"type": "integer"}}}, {"properties": {"id": {"type": "string"}}}),
        ({"type": "object"}, {"type": ["array", "null"]}),
        ({"required": ["kind"]}, {"required": ["other"]}),
        ({"allOf": [{"required": ["kind"]}]}, {"allOf": [{"$ref": "#/$defs/no"}]}),
        ({"properties": {"other": False, "id": True}}, {"properties": {"kind": False}}),
        # 1 is no boolean, and true is no number.
        ({"properties": {"id": {"enum": [1]}}}, {"properties": {"id": {"const": True}}}),
        ({"properties": {"id": {"type": "number"}}}, {"properties": {"id": {"type": "boolean"}}}),
    ],
)
def test_of_several_schemas_those_apply_that_are_not_plainly_ruled_out(
    keyword: str, told_apart_by: dict[str, Any], other: dict[str, Any]
) -> None:
    schema = {
        keyword: [
            {**told_apart_by, "links": [link("/{id}", "yes")]},
            {**other, "links": [link("/{id}", "no")]},
        ],
        "$defs": {"no": {"required": ["other"]}},
    }

    assert read(schema, {"kind": "a", "id": 1}) == [("yes", f"{SITE}/1")]


def test_a_schema_may_refer_to_itself_and_instances_be_as_deep_as_json_may_be() -> None:
    tree = {
        "links": [link("/{id}")],
        "properties": {"child": {"$ref": "#"}},
        "anyOf": [{"$ref": "#"}],
        "allOf": [{"$ref": "#"}],
    }
    node: dict[str, Any] = {"id": 499}
    for number in reversed(range(499)):
        node = {"id": number, "child": node}

    assert read(tree, node) == [("x", f"{SITE}/{number}") for number in range(500)]


def test_a_base_that_refers_to_itself_is_applied_once() -> None:
    schema = {"base": "deeper/", "links": [link("x")], "anyOf": [{"$ref": "#"}]}

    assert read(schema, {}) == [("x", f"{SITE}/a/deeper/x")]


def test_references_lead_by_id_anchor_and_pointer_to_what_the_caller_gave() -> None:
    schemas: dict[str, Any] = {
        "https://schema.example/one": {
            "$defs": {"a/b": {"links": [link("/pointer")]}, "n": {"$ref": "two#here"}},
        },
        "https://schema.example/two#": {
            "$id": "https://schema.example/two",
            "$defs": {"h": {"$anchor": "here", "links": [link("/anchor")]}},
        },
    }
    schema = {
        "$id": "https://schema.example/root",
        "allOf": [
            {"$ref": "one#/$defs/a~1b"},
            {"$ref": "one#/$defs/n"},
            {"$ref": "inner"},
            {"$ref": "#own"},
            {"$ref": "#/$defs/c%25d"},
        ],
        "$defs": {
            "i": {"$id": "inner", "links": [link("/id")]},
            "o": {"$anchor": "own", "links": [link("/own")]},
            "c%d": {"links": [link("/percent")]},
            "no": {"enum": [{"$id": "inner", "links": [link("/none")]}]},
        },
    }
    form = HyperSchema(schema, schemas=schemas)

    found = [each.href for each in form.links(Document(SITE, data={}))]
    assert found == ["/pointer", "/anchor", "/id", "/own", "/percent"]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (7, "must be a dict"),
        ([], "must be a dict"),
        ({"properties": []}, "#/properties"),
        ({"properties": {"a": 7}}, "#/properties/a"),
        ({"allOf": {}}, "#/allOf"),
        ({"items": {"anyOf": [None]}}, "#/items/anyOf/0"),
        ({"patternProperties": {"(": {}}}, "no regular expression"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "https://schema.example/other"}, "nothing is fetched"),
        ({"$ref": "#none"}, "leads nowhere"),
        ({"$ref": "#/~2"}, "JSON Pointer"),
        ({"$ref": "//[/"}, "leads nowhere"),
        ({"$id": "https://schema.example/", "$ref": "//[/"}, "leads nowhere"),
        ({"$ref": 7}, "leads nowhere"),
        ({"$id": "//[/"}, "no URL"),
        ({"base": 7}, "#/base"),
        ({"base": "{a:b}"}, "#/base"),
        ({"links": {}}, "#/links must be a list"),
        ({"links": [None]}, "#/links/0"),
        ({"links": [{"rel": "a"}]}, "#/links/0/href"),
        ({"links": [{"href": "/a"}]}, "there must be a rel"),
        ({"links": [link("/a", [])]}, "there must be a rel"),
        ({"links": [link("{a:b}")]}, "#/links/0/href"),
        ({"links": [link("/a", anchor=7)]}, "#/links/0/anchor"),
        ({"links": [link("/a", anchorPointer="a")]}, "#/links/0/anchorPointer"),
        ({"links": [link("/a", templatePointers=[])]}, "#/links/0/templatePointers"),
        ({"links": [link("/{a}", templatePointers={"a": "b"})]}, "templatePointers/a"),
    ],
)
def test_what_is_wrong_in_a_schema_is_told_when_it_is_given(schema: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        HyperSchema(schema)


@pytest.mark.parametrize(
    ("href", "data", "more", "url"),
    [
        ("/{id}", {"id": None}, {}, "/null"),
        ("/{id}", {"id": False}, {}, "/false"),
        ("/{id}", {"id": 1.5}, {}, "/1.5"),
        ("/{id}", {}, {}, "/"),
        ("/{id}", [7], {}, "/"),
        ("{?id*}", {"id": [1, 2]}, {}, "/a/b?id=1&id=2"),
        ("/{a%20b}", {"a b": 1}, {}, "/1"),
        ("/{a}", {"b": [5, 6]}, {"templatePointers": {"a": "/b/1", "c": "/d"}}, "/6"),
        ("/{a}", {"b": 1}, {"templatePointers": {"a": "0/b"}}, "/1"),
        ("/{a}", {"a": 1}, {"templatePointers": {"a": "/b"}}, "/"),
        ("c", {}, {}, "/a/c"),
        ("", {}, {}, "/a/b"),
    ],
)
def test_variables_come_from_the_instance(
    href: str, data: Any, more: dict[str, Any], url: str
) -> None:
    found = one(data, href=href, **more)

    assert (found.url(), found.templated) == (f"{SITE}{url}", False)


@pytest.mark.parametrize(
    ("data", "more"),
    [
        ({}, {"templateRequired": ["id"]}),
        ({"id": 1}, {"templateRequired": ["id", "published"]}),
        ({"id": 1}, {"templateRequired": ["id"], "templatePointers": {"id": "/x"}}),
        ({"id": 1}, {"anchorPointer": "/nowhere"}),
        ({"id": 1}, {"anchorPointer": "0#"}),
        ({"id": [[1]]}, {}),
        ({"id": 1, "bad": [[1]]}, {"anchor": "/{bad}"}),
        ({"id": 1, "host": "["}, {"anchor": "//{+host}/"}),
        ({"id": 1}, {"templateRequired": ["other"], "hrefSchema": False}),
        (
            {},
            {"templateRequired": ["id"], "hrefSchema": {"properties": {"id": False}}},
        ),
    ],
)
def test_what_the_instance_lacks_costs_the_link_and_no_other(
    data: Any, more: dict[str, Any]
) -> None:
    schema = {"links": [link("/{id}", **more), link("/other")]}

    assert read(schema, data) == [("x", f"{SITE}/other")]


@pytest.mark.parametrize(
    ("schema", "takes", "refuses"),
    [
        (True, ["a", "b"], []),
        ({}, ["a", "b"], []),
        ({"properties": {"a": {}}}, ["a", "b"], []),
        ({"properties": {"a": False}}, ["b"], ["a"]),
        ({"properties": {"a": {}}, "additionalProperties": False}, ["a"], ["b"]),
        ({"allOf": [{"properties": {"a": False}}], "properties": {"a": {}}}, ["b"], ["a"]),
        ({"$ref": "#/$defs/none"}, ["a", "b"], []),
        ({"$ref": "#/$defs/input"}, ["b"], ["a"]),
    ],
)
def test_input_is_what_the_href_schema_accepts(
    schema: Any, takes: list[str], refuses: list[str]
) -> None:
    form = HyperSchema(
        {
            "links": [link("/{a}/{b}", hrefSchema=schema)],
            "$defs": {
                "input": {"properties": {"a": {"$ref": "#/$defs/never"}}, "x": 0},
                "never": False,
            },
        }
    )
    (found,) = form.links(Document(f"{SITE}/", data={"a": 1, "b": 2}))

    assert found.inputs is not None
    assert [field.name for field in found.inputs] == takes
    assert [field.value for field in found.inputs] == [{"a": 1, "b": 2}[name] for name in takes]
    assert found.url() == f"{SITE}/1/2"
    assert found.url(**dict.fromkeys(takes, "in")) == f"{SITE}/" + "/".join(
        "in" if name in takes else {"a": "1", "b": "2"}[name] for name in "ab"
    )
    for name in refuses:
        with pytest.raises(TemplateError, match=f"takes no variable {name}"):
            found.url(**{name: "in"})


@pytest.mark.parametrize("schema", [{}, {"hrefSchema": False}, {"hrefSchema": {"allOf": [False]}}])
def test_without_a_href_schema_nothing_is_accepted(schema: dict[str, Any]) -> None:
    found = one({"id": 1}, href="/{id}", **schema)

    with pytest.raises(TemplateError):
        found.url(id=2)


def test_what_input_must_have_is_required_and_what_the_schema_says_of_it_is_told() -> None:
    schema = {
        "required": ["q"],
        "properties": {
            "q": {"type": "string", "title": "Words"},
            "order": {"enum": ["up", "down"], "const": "up"},
            "when": {"allOf": [{"type": "string", "format": "date"}]},
        },
    }
    found = one(
        {}, href="/search{?q,order,when,page}", hrefSchema=schema, templateRequired=["page"]
    )

    assert found.inputs == (
        Field("q", type="string", title="Words", required=True),
        Field("order", type="any", options=("up", "down")),
        Field("when", type="date"),
        Field("page", type="any", required=True),
    )
    assert found.wants == ("q", "order", "when", "page")
    with pytest.raises(TemplateError, match="requires the variable 'q', 'page'"):
        found.url(order="up")
    assert found.url(q="a b", page=1) == f"{SITE}/search?q=a%20b&page=1"


def test_bases_are_resolved_one_upon_the_other() -> None:
    schema = {
        "base": "/api/{tenant}/",
        "links": [link("own")],
        "properties": {
            "part": {
                "base": "parts/{id}/",
                "properties": {"inner": {"base": "https://other.example/", "links": [link("x")]}},
                "links": [link("inner"), link("../up"), link("/root"), link("", anchor="about")],
            },
        },
    }
    data = {"tenant": "t/1", "part": {"id": 7, "inner": {}}}
    links = list(HyperSchema(schema).links(Document(f"{SITE}/x/y", data=data)))

    base = f"{SITE}/api/t%2F1/"
    assert [each.url() for each in links] == [
        f"{base}own",
        f"{base}parts/7/inner",
        f"{base}parts/up",
        f"{SITE}/root",
        f"{base}parts/7/",
        "https://other.example/x",
    ]
    assert links[4].context == f"{base}parts/7/about"


@pytest.mark.parametrize("host", ["[", "[::1"])
def test_a_base_that_is_no_url_costs_the_links_that_it_is_for(host: str) -> None:
    inner = {"base": "//{+host}/", "links": [link("/x")]}
    schema = {"properties": {"part": inner}, "links": [link("/y")]}

    assert read(schema, {"part": {"host": host}}) == [("x", f"{SITE}/y")]


def test_a_base_takes_input_too() -> None:
    schema = {
        "base": "/api/{tenant}/",
        "properties": {
            "part": {
                "base": "v{version}/",
                "links": [link("things/{id}", hrefSchema={"properties": {"version": False}})],
            },
        },
    }
    form = HyperSchema(schema)
    (found,) = form.links(Document(f"{SITE}/x", data={"tenant": "t", "part": {"version": 2}}))

    assert found.url(id=1) == f"{SITE}/api/t/v2/things/1"
    assert found.url(id=1, tenant="a/b") == f"{SITE}/api/a%2Fb/v2/things/1"


@pytest.mark.parametrize(
    ("more", "context", "pointer"),
    [
        ({}, f"{SITE}/a/b#/p~1%C3%BC/0", "/p~1ü/0"),
        ({"anchorPointer": ""}, None, ""),
        ({"anchorPointer": "1"}, f"{SITE}/a/b#/p~1%C3%BC", "/p~1ü"),
        ({"anchorPointer": "2/other"}, f"{SITE}/a/b#/other", "/other"),
        ({"anchor": "/there/{id}"}, f"{SITE}/there/7", ""),
        ({"anchor": "b"}, None, ""),
        ({"anchor": "/there", "anchorPointer": "/other"}, f"{SITE}/there#/other", "/other"),
    ],
)
def test_a_link_is_about_the_part_it_is_attached_to_or_what_its_anchors_say(
    more: dict[str, Any], context: str | None, pointer: str
) -> None:
    schema = {"properties": {"p/ü": {"items": {"links": [link("/x", **more)]}}}}
    document = Document(f"{SITE}/a/b", data={"p/ü": [{"id": 7}], "other": 1})
    (found,) = HyperSchema(schema).links(document)

    assert found.context == context
    assert found.attributes["contextPointer"] == pointer
    assert found.attributes["attachmentPointer"] == "/p~1ü/0"
    assert bool(Links([found], context=document.url).elsewhere) is (context is not None)


@pytest.mark.parametrize(
    ("said", "method", "submits"),
    [
        ({}, "GET", None),
        ({"submissionSchema": True}, "GET", "POST"),
        ({"submissionMediaType": "text/csv"}, "GET", "POST"),
        ({"targetHints": {"allow": ["GET", "PUT"]}}, "GET", None),
        ({"targetHints": {"allow": ["HEAD", "POST"]}, "submissionSchema": {}}, "GET", "POST"),
        ({"targetHints": {"allow": ["PUT", "POST"]}, "submissionSchema": {}}, "POST", None),
        ({"targetHints": {"allow": ["delete"]}}, "DELETE", None),
        ({"targetHints": {"allow": "PATCH"}, "submissionSchema": {}}, "PATCH", "POST"),
        ({"targetHints": {"allow": [7, "", "NO SUCH"]}}, "GET", None),
        ({"targetHints": ["allow"]}, "GET", None),
    ],
)
def test_how_a_link_is_followed_and_submitted_to(
    said: dict[str, Any], method: str, submits: str | None
) -> None:
    found = one({}, href="/x", **said)

    assert (found.method, found.submits) == (method, submits)


def test_a_form_has_the_fields_of_the_submission_schema() -> None:
    schema = {
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "title": "Name"},
            "kind": {"const": "thing"},
            "never": False,
        },
        "additionalProperties": False,
    }
    found = one({}, href="/x", submissionSchema=schema)

    assert found.fields == (
        Field("name", type="string", title="Name", required=True),
        Field("kind", "thing", type="any"),
    )
    assert (found.any_field, found.sends) == (False, "application/json")


def test_every_keyword_of_a_link_is_at_hand() -> None:
    said = {
        "title": "T",
        "targetMediaType": "image/png",
        "description": "D",
        "targetSchema": {"type": "string"},
        "headerSchema": {"properties": {"prefer": {}}},
        "targetHints": {"allow": ["GET"], "accept-patch": ["application/merge-patch+json"]},
        "$comment": "C",
        "ours": 1,
    }
    found = one({}, href="/x", **said)

    assert (found.title, found.type) == ("T", "image/png")
    assert found.attributes == {
        **{name: said[name] for name in said if name not in {"title", "targetMediaType"}},
        "contextPointer": "",
        "attachmentPointer": "",
    }


@pytest.mark.parametrize(
    ("schema_id", "media_type", "headers", "recognized"),
    [
        (
            "https://s.example/x",
            "application/json",
            ('<https://s.example/x>; rel="describedby"',),
            True,
        ),
        ("https://s.example/x#", "application/json", ("<//s.example/x#>; rel=DescribedBy",), True),
        ("https://s.example/x", 'application/json; schema="https://s.example/x"', (), True),
        ("https://s.example/x", 'application/a+json; profile="u:v https://s.example/x#"', (), True),
        (
            "https://s.example/x",
            "application/json",
            ("<https://s.example/y>; rel=describedby",),
            False,
        ),
        ("https://s.example/x", "application/json", ("<https://s.example/x>; rel=about",), False),
        ("https://s.example/x", "application/json", ("<https://[/>; rel=describedby",), False),
        ("https://s.example/x", "text/html", ("<https://s.example/x>; rel=describedby",), False),
        ("https://s.example/x", 'application/json; schema="//[#x"', (), False),
        ("https://s.example/x", "application/json", (), False),
        (None, "application/json", ("<>; rel=describedby",), False),
    ],
)
def test_it_is_for_the_documents_that_say_so(
    schema_id: str | None, media_type: str, headers: tuple[str, ...], recognized: object
) -> None:
    schema = {} if schema_id is None else {"$id": schema_id}
    document = Document(f"{SITE}/", MediaType.of(media_type), data={}, link_headers=headers)

    assert HyperSchema(schema).recognizes(document) is recognized


@pytest.fixture
def services(server: ScriptedServer) -> Iterator[ServiceManager]:
    forms = [HyperSchema(each, schemas=OTHERS) for each in (*OTHERS.values(), entry(server.url))]
    with ServiceManager(credentials={server.url: ANONYMOUS}, formats=forms) as services:
        yield services


def entry(base: str) -> dict[str, Any]:
    """Give the entry point of section 9, with all the links that it gets."""
    links = [*ENTRY["links"], TO_THING, TO_THINGS]
    return {**ENTRY, "base": f"{base}/api/", "links": links}


def described(schema: str, json: Any) -> Any:
    """Answer with a document and its schema's URL."""
    headers = [("Link", f'<https://schema.example.com/{schema}>; rel="describedby"')]
    return respond(headers=headers, json=json)


def test_an_api_is_gone_through_by_its_schemas(
    server: ScriptedServer, services: ServiceManager
) -> None:
    server.script(
        described("entry", {}),
        respond(201, json={"id": 7, "data": {}}),
        described("thing", {"id": 7, "data": {}}),
    )
    api = services.get(f"{server.url}/api")

    created = api.act("tag:rel.example.com,2017:thing-collection", {"data": {"a": None}})
    thing = api.follow("tag:rel.example.com,2017:thing", id=7)

    assert created.data == thing.data
    assert thing.link("self").href == "things/7"
    with pytest.raises(FormError, match="requires data"):
        api.act("tag:rel.example.com,2017:thing-collection", {"id": 1})
    with pytest.raises(TemplateError, match="requires the variable 'id'"):
        api.follow("tag:rel.example.com,2017:thing")
    assert [(each.method, each.target, each.body) for each in server.requests] == [
        ("GET", "/api", b""),
        ("POST", "/things", b'{"data": {"a": null}}'),
        ("GET", "/api/things/7", b""),
    ]


def test_input_decides_on_no_host(server: ScriptedServer, services: ServiceManager) -> None:
    server.default = respond(json={"host": server.url.removeprefix("http://")})
    schema = {
        "links": [
            link("//{+host}/{id}", "closed"),
            link("//{+host}/{id}", "open", hrefSchema={}),
            link("/{id}", "path", hrefSchema={}),
        ],
    }
    page = services.get(f"{server.url}/", formats=[HyperSchema(schema)])

    page.follow("closed")
    page.follow("path", id="x")
    with pytest.raises(TemplateHostError):
        page.follow("open", host="elsewhere.example")
    assert [request.target for request in server.requests] == ["/", "/", "/x"]
