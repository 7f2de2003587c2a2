"""What is sent to links that take something: each form as its link says, or an error that says why.

Rule: the server is real, and its echo is what is looked at.
"""

from __future__ import annotations

import datetime as dt
import io
import uuid
from decimal import Decimal
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from sleepwalker import (
    ANONYMOUS,
    ConfigurationError,
    ConnectionManager,
    DirectHook,
    EncodeError,
    FormError,
)
from sleepwalker.links import Field, Link, ServiceManager
from tests.servers import ScriptedServer, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.links import Resource
    from tests.servers import Request

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
SIREN = {"Content-Type": "application/vnd.siren+json"}


@pytest.fixture(scope="module")
def echoing() -> Iterator[ScriptedServer]:
    """Give a server of the whole module's; who scripts it uses up what was scripted."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="module")
def services() -> Iterator[ServiceManager]:
    """Give services that go everywhere as nobody."""
    registry = CollectorRegistry()
    manager = ConnectionManager(
        hooks=[DirectHook()], registry=registry, tracer_provider=False, logger=False
    )
    with manager, ServiceManager(manager, credentials={"*": ANONYMOUS}) as made:
        yield made


@pytest.fixture
def order(services: ServiceManager, echoing: ScriptedServer) -> Resource:
    """Give a resource; what links lead to from it is an echo."""
    return services.get(f"{echoing.url}/orders/42")


def action(server: ScriptedServer, **more: Any) -> Link:
    """Give a link that takes something."""
    return Link(**{"rel": "add", "href": "/items", "base": server.url, "method": "POST", **more})


def last(server: ScriptedServer) -> Request:
    return server.requests[-1]


def parts(request: Request) -> list[tuple[Any, ...]]:
    """Read name, file name, type and content of each part of a multipart body."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message: Any = BytesParser(policy=HTTP).parsebytes(head + request.body)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


# --- Siren's actions ------------------------------------------------------------------------------


def siren(services: ServiceManager, server: ScriptedServer, **given: Any) -> Resource:
    """Get an entity with one action, `add`."""
    made = {"name": "add", "href": "/items", **given}
    server.script(respond(200, SIREN, json={"actions": [made]}))
    return services.get(f"{server.url}/orders/42")


FIELDS = [{"name": "code"}, {"name": "count", "type": "number", "value": 1}]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("kind", [None, URLENCODED, "application/json", "application/vnd.x+json"])
def test_an_action_is_done_with_its_method_and_its_form(
    method: str, kind: str | None, services: ServiceManager, echoing: ScriptedServer
) -> None:
    typed = {} if kind is None else {"type": kind}
    order = siren(services, echoing, method=method, fields=FIELDS, **typed)

    echo = order.act("add", {"code": "a b&c"}).data

    form = kind in {None, URLENCODED}
    body = "code=a+b%26c&count=1" if form else '{"code": "a b&c", "count": 1}'
    assert (echo["method"], echo["target"], echo["body"]) == (method, "/items", body)
    assert echo["headers"]["content-type"] == (kind or URLENCODED)


def test_the_fields_of_a_get_are_its_query(
    services: ServiceManager, echoing: ScriptedServer
) -> None:
    order = siren(services, echoing, href="/find?in=stock", fields=FIELDS)
    echo = order.act("add", {"code": ["a", "b"]}).data

    assert (echo["method"], echo["target"], echo["body"]) == (
        "GET",
        "/find?in=stock&code=a&code=b&count=1",
        "",
    )
    assert "content-type" not in echo["headers"]


def test_an_action_without_fields_is_just_done(
    services: ServiceManager, echoing: ScriptedServer
) -> None:
    echo = siren(services, echoing, method="DELETE").act("add").data

    assert (echo["method"], echo["target"], echo["body"]) == ("DELETE", "/items", "")


def test_an_action_that_may_change_something_is_not_followed(
    services: ServiceManager, echoing: ScriptedServer
) -> None:
    order = siren(services, echoing, method="POST")
    before = echoing.count()
    with pytest.raises(FormError) as caught:
        order.follow("add")

    assert str(caught.value) == ("the link 'add' is a POST, which may change something: use act()")
    assert echoing.count() == before


# --- multipart forms ------------------------------------------------------------------------------


def test_a_multipart_form_has_files_and_all_else_as_text(
    order: Resource, echoing: ScriptedServer
) -> None:
    order.act(
        action(echoing, sends=MULTIPART),
        {
            "title": "Solaris",
            "count": 3,
            "lent": False,
            "tags": ["a", "b"],
            "raw": b"\x00\xff",
            "cover": ("cover.png", io.BytesIO(b"picture"), "image/png"),
            "notes": io.BytesIO(b"written"),
            "nothing": None,
        },
    )

    assert parts(last(echoing)) == [
        ("title", None, "text/plain", b"Solaris"),
        ("count", None, "text/plain", b"3"),
        ("lent", None, "text/plain", b"false"),
        ("tags", None, "text/plain", b"a"),
        ("tags", None, "text/plain", b"b"),
        ("raw", None, "text/plain", b"\x00\xff"),
        ("cover", "cover.png", "image/png", b"picture"),
        ("notes", "notes", "text/plain", b"written"),
    ]


# --- what is in fields ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("a b", "f=a+b"),
        ("Łem", "f=%C5%81em"),
        (b"\xff", "f=%FF"),
        (7, "f=7"),
        (1.5, "f=1.5"),
        (True, "f=true"),
        ([1, False], "f=1&f=false"),
        (("a",), "f=a"),
        ([], ""),
        (dt.date(2026, 2, 3), "f=2026-02-03"),
        (Decimal("1.10"), "f=1.10"),
        (uuid.UUID(int=7), "f=00000000-0000-0000-0000-000000000007"),
        (None, ""),
    ],
)
def test_a_form_has_words_for_what_json_has_words_for(
    value: Any, encoded: str, order: Resource, echoing: ScriptedServer
) -> None:
    form = action(echoing, sends=URLENCODED)

    assert order.act(form, {"f": value}).data["body"] == encoded
    query = order.act(form, {"f": value}, method="GET").data["target"].partition("?")[2]
    assert query == encoded


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], object(), lambda: None])
@pytest.mark.parametrize("kind", [URLENCODED, MULTIPART])
def test_what_a_form_has_no_words_for_is_an_error(
    kind: str, value: Any, order: Resource, echoing: ScriptedServer
) -> None:
    before = echoing.count()
    with pytest.raises(FormError, match="the field f of the form of 'add' can't be of type "):
        order.act(action(echoing, sends=kind), {"f": value})

    assert echoing.count() == before


FORM = (Field("code", required=True), Field("count", 1), Field("note", "none"))


def test_a_field_left_out_has_its_default(order: Resource, echoing: ScriptedServer) -> None:
    form = action(echoing, fields=FORM, sends=URLENCODED)

    assert order.act(form, {"code": "x", "note": ""}).data["body"] == "code=x&count=1&note="


def test_none_leaves_a_field_out_though_it_has_a_default(
    order: Resource, echoing: ScriptedServer
) -> None:
    form = action(echoing, fields=FORM, sends=URLENCODED)

    assert order.act(form, {"code": "x", "note": None}).data["body"] == "code=x&count=1"


def test_in_json_none_is_null(order: Resource, echoing: ScriptedServer) -> None:
    order.act(action(echoing, fields=FORM, sends="application/json"), {"code": None, "note": None})

    assert last(echoing).json() == {"code": None, "count": 1, "note": None}


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (URLENCODED, {"cod": "x"}, "the form of 'add' has no field cod; it has code, count, note"),
        (
            URLENCODED,
            {"code": 1, 7: 1},
            "the form of 'add' has no field 7; it has code, count, note",
        ),
        (URLENCODED, {"count": 2}, "the form of 'add' requires code"),
        (URLENCODED, {"code": None}, "the form of 'add' requires code"),
        (URLENCODED, None, "the form of 'add' requires code"),
        (None, None, "the form of 'add' requires code"),
        (URLENCODED, "code=x", "the form of 'add' takes fields by name, not str"),
        ("application/json", [1], "the form of 'add' takes fields by name, not list"),
        (
            "text/csv",
            {"code": 1},
            "the form of 'add' takes text/csv; fields can't be made into that",
        ),
    ],
)
def test_a_form_says_what_is_wrong_with_what_it_gets(
    kind: str | None, value: Any, message: str, order: Resource, echoing: ScriptedServer
) -> None:
    before = echoing.count()
    with pytest.raises(FormError) as caught:
        order.act(action(echoing, fields=FORM, sends=kind), value)

    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)
    assert echoing.count() == before


# --- links without a form -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], "text", 0, False])
def test_a_plain_value_is_sent_as_json(
    value: Any, order: Resource, echoing: ScriptedServer
) -> None:
    echo = order.act(action(echoing), value).data

    assert last(echoing).json() == value
    assert echo["headers"]["content-type"] == "application/json"


def test_no_value_is_no_body(order: Resource, echoing: ScriptedServer) -> None:
    echo = order.act(action(echoing)).data

    assert (echo["method"], echo["body"]) == ("POST", "")
    assert "content-type" not in echo["headers"]


def test_a_method_of_the_callers_own_has_a_body_if_it_is_one_that_has(
    order: Resource, echoing: ScriptedServer
) -> None:
    plain = action(echoing, rel="edit", method="GET")
    put, got = order.act(plain, {"a": 1}, method="put").data, order.act(plain, {"a": 1}).data

    assert (put["method"], put["target"], put["body"]) == ("PUT", "/items", '{"a": 1}')
    assert (got["method"], got["target"], got["body"]) == ("GET", "/items?a=1", "")
    with pytest.raises(ConfigurationError, match="method must be a name such as 'GET'"):
        order.act(plain, method="P U T")


@pytest.mark.parametrize(
    ("kind", "value", "body"),
    [
        ("text/csv", "a,b\n1,2\n", b"a,b\n1,2\n"),
        ("application/octet-stream", b"\x00\x01", b"\x00\x01"),
        (URLENCODED, "a=1&a=2", b"a=1&a=2"),
    ],
)
def test_text_and_bytes_go_as_what_the_link_says(
    kind: str, value: str | bytes, body: bytes, order: Resource, echoing: ScriptedServer
) -> None:
    order.act(action(echoing, sends=kind), value)

    assert last(echoing).body == body
    assert last(echoing).headers["Content-Type"] == kind


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("text/csv", {"a": 1}, "the form of 'add' takes text/csv; send text or bytes"),
        ("text/csv", 7, "the form of 'add' takes text/csv; send text or bytes"),
        (URLENCODED, [1], "the form of 'add' takes fields by name, not list"),
        (MULTIPART, "text", "the form of 'add' takes fields by name, not str"),
    ],
)
def test_what_the_link_does_not_take_is_an_error(
    kind: str, value: Any, message: str, order: Resource, echoing: ScriptedServer
) -> None:
    with pytest.raises(FormError) as caught:
        order.act(action(echoing, sends=kind), value)

    assert str(caught.value) == message


def test_a_query_is_made_of_fields_alone(order: Resource, echoing: ScriptedServer) -> None:
    with pytest.raises(FormError, match="the form of 'find' takes fields by name, not str"):
        order.act(action(echoing, rel="find", method="GET"), "text")


def test_what_json_can_not_hold_is_an_error(order: Resource, echoing: ScriptedServer) -> None:
    with pytest.raises(EncodeError, match="can't be encoded as JSON"):
        order.act(action(echoing), {"a": float("nan")})


def test_the_callers_headers_win(order: Resource, echoing: ScriptedServer) -> None:
    headers = {"content-type": "application/vnd.mine+json", "Accept": "text/plain"}
    echo = order.act(action(echoing), {"a": 1}, headers=headers).data

    assert echo["headers"]["content-type"] == "application/vnd.mine+json"
    assert echo["headers"]["accept"] == "text/plain"
