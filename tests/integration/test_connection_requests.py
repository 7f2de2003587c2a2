"""What goes out and what comes back: `json_request`, `request` and each of its keywords, headers.

Rule: what was sent is read from the server, not from our own objects.
"""

from __future__ import annotations

import dataclasses
import io
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

import sleepwalker
from sleepwalker import ANONYMOUS, Connection, Policy
from sleepwalker.connection._json import JsonEncoder
from sleepwalker.exceptions import (
    ClientHTTPError,
    DecodeError,
    HTTPError,
    HTTPNotFound,
    HTTPServiceUnavailable,
    ServerHTTPError,
)
from sleepwalker.testing import SkippingClock
from tests.servers import (
    SetCookies,
    informational,
    raw,
    redirect,
    respond,
    stall,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import MakeServer, Request, ScriptedServer

PATIENCE = 5.0  # seconds


@pytest.fixture
def conn(server: ScriptedServer) -> Iterator[Connection]:
    """A connection to the server, whose waits are skipped."""
    with Connection(server.url, ANONYMOUS, clock=SkippingClock()) as made:
        yield made


# json_request


def test_json_goes_out_and_comes_back(conn: Connection, server: ScriptedServer) -> None:
    server.script(respond(201, json={"id": 7, "title": "Walden"}))

    book = conn.json_request("POST", "/books", {"title": "Walden"}, params={"dry": "no"})

    assert book == {"id": 7, "title": "Walden"}
    [sent] = server.requests
    assert (sent.method, sent.target, sent.json()) == ("POST", "/books?dry=no", {"title": "Walden"})
    assert conn.response is not None
    assert conn.response.status_code == 201


@pytest.mark.parametrize("body", [None, {"title": "Walden"}])
def test_json_is_asked_for_and_announced_with_and_without_a_body(
    conn: Connection, server: ScriptedServer, body: object
) -> None:
    conn.json_request("GET", "/books", body)

    [sent] = server.requests
    assert sent.headers.get_all("Accept") == ["application/json"]
    assert sent.headers.get_all("Content-Type") == ["application/json"]


@pytest.mark.parametrize("name", ["Accept", "accept", "ACCEPT"])
def test_extra_headers_beat_those_of_json_in_any_spelling(
    conn: Connection, server: ScriptedServer, name: str
) -> None:
    conn.json_request("GET", "/", extra_headers={name: "application/hal+json", "X-Trace": "1"})

    [sent] = server.requests
    assert sent.headers.get_all("Accept") == ["application/hal+json"]
    assert sent.headers.get_all("Content-Type") == ["application/json"]
    assert sent.headers.get_all("X-Trace") == ["1"]


@pytest.mark.parametrize("body", [{}, [], 0, False, "", "text", 1.5, [None]])
def test_a_body_that_is_false_is_a_body_all_the_same(
    conn: Connection, server: ScriptedServer, body: object
) -> None:
    conn.json_request("POST", "/", body)

    assert server.requests[0].json() == body


def test_no_body_sends_none(conn: Connection, server: ScriptedServer) -> None:
    conn.json_request("POST", "/", None)

    assert server.requests[0].body == b""
    assert server.requests[0].headers["Content-Length"] == "0"


@dataclasses.dataclass
class Book:
    isbn: uuid.UUID
    tags: frozenset[str]


def test_bodies_are_encoded_by_the_connections_encoder(
    conn: Connection, server: ScriptedServer
) -> None:
    book = Book(uuid.UUID(int=7), frozenset({"pond", "woods"}))

    conn.json_request("POST", "/", {"book": book})
    conn.request("POST", "/", json={"book": book})

    expected = {"book": {"isbn": str(book.isbn), "tags": ["pond", "woods"]}}
    assert [request.json() for request in server.requests] == [expected, expected]


class MoodyEncoder(JsonEncoder):
    def default(self, o: Any) -> Any:
        return "moody" if isinstance(o, complex) else super().default(o)


class Moody(Connection):
    """Encodes as it pleases."""

    JsonEncoder = MoodyEncoder


class Plain(Connection):
    """Encodes as the standard library does."""

    JsonEncoder = json.JSONEncoder


def test_a_sub_classs_own_encoder_is_used(server: ScriptedServer) -> None:
    with Moody(server.url, ANONYMOUS) as conn:
        conn.json_request("POST", "/", {"z": 1j, "isbn": uuid.UUID(int=7)})
        conn.request("POST", "/", json=[1j])
        with pytest.raises(sleepwalker.EncodeError):
            conn.json_request("POST", "/", object())

    assert [request.json() for request in server.requests] == [
        {"z": "moody", "isbn": str(uuid.UUID(int=7))},
        ["moody"],
    ]


@pytest.mark.parametrize("body", [{1, 2}, uuid.UUID(int=7), float("nan"), {("a", 1): 1}])
def test_what_another_encoder_cannot_encode_is_the_same_error(
    server: ScriptedServer, body: Any
) -> None:
    with Plain(server.url, ANONYMOUS) as conn:
        with pytest.raises(sleepwalker.EncodeError, match=r"^JSONEncoder can't encode the value"):
            conn.json_request("POST", "/", {"a": body})
        conn.json_request("POST", "/", {"a": 1})

    assert [request.json() for request in server.requests] == [{"a": 1}]


@pytest.mark.parametrize(
    "answer",
    [respond(204), respond(200), respond(201, {"Content-Type": "application/json"}), respond(205)],
)
def test_no_content_is_none(conn: Connection, server: ScriptedServer, answer: Any) -> None:
    server.script(answer)

    assert conn.json_request("DELETE", "/books/1") is None
    assert conn.response is not None


@pytest.mark.parametrize(
    ("text", "value"), [(b"null", None), (b"[]", []), (b"0", 0), (b'"a"', "a"), (b"true", True)]
)
def test_any_json_value_comes_back(
    conn: Connection, server: ScriptedServer, text: bytes, value: object
) -> None:
    server.script(respond(body=text))

    assert conn.json_request("GET", "/") == value


@pytest.mark.parametrize(
    "body", [b"<html>busy</html>", b'{"a": ', b"NaN-ish", b"\xff\xfe\xfd", b"[" * 100_000]
)
def test_a_body_that_is_not_json_raises_an_error_that_carries_the_response(
    conn: Connection, server: ScriptedServer, body: bytes
) -> None:
    server.script(respond(200, {"Content-Type": "text/html"}, body))

    with pytest.raises(DecodeError) as raised:
        conn.json_request("GET", "/page")

    error = raised.value
    assert isinstance(error, requests.exceptions.JSONDecodeError)
    assert isinstance(error, requests.exceptions.RequestException)
    assert isinstance(error, json.JSONDecodeError)
    assert isinstance(error, ValueError)
    assert error.response.status_code == 200
    assert error.response.content == body
    assert error.request.url == server.url + "/page"
    assert error.attempts == 1
    assert error.elapsed is not None
    assert f"{server.url}/page is not JSON" in str(error)
    assert f"text/html, {len(body)} bytes, status 200" in str(error)
    assert conn.response is not None
    assert conn.response.content == body
    assert server.count() == 1


def test_a_decode_error_says_where_the_json_breaks(
    conn: Connection, server: ScriptedServer
) -> None:
    server.script(respond(body=b'{"a": 1,\n "b": oops}'))

    with pytest.raises(DecodeError, match=r"\(line 2, column 7\)") as raised:
        conn.json_request("GET", "/")

    assert (raised.value.lineno, raised.value.colno) == (2, 7)


# Statuses


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 418, 422, 451, 501, 505])
def test_a_status_of_400_or_more_raises_its_own_class(
    conn: Connection, server: ScriptedServer, status: int
) -> None:
    server.default = respond(status, {"X-Id": "7"}, json={"error_text": "no such book"})

    for ask in (conn.json_request, conn.request):
        with pytest.raises(HTTPError) as raised:
            ask("GET", "/books/1")
        error = raised.value
        assert type(error) is HTTPError.code_map[status]
        assert isinstance(error, requests.exceptions.HTTPError)
        assert error.http_code == error.response.status_code == status
        assert error.json_data == {"error_text": "no such book"}
        assert error.text is None
        assert error.headers["x-id"] == "7"
        assert error.attempts == 1
        assert error.request.url == server.url + "/books/1"
        assert "no such book" in str(error)
        assert conn.response is not None
        assert conn.response.status_code == status

    assert server.count() == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(499, ClientHTTPError), (444, ClientHTTPError), (599, ServerHTTPError)]
)
def test_a_status_without_a_class_raises_that_of_its_hundred(
    conn: Connection, server: ScriptedServer, status: int, kind: type[HTTPError]
) -> None:
    server.default = respond(status, body=b"plain words")

    with pytest.raises(kind) as raised:
        conn.json_request("GET", "/")

    assert type(raised.value) is kind
    assert (raised.value.json_data, raised.value.text) == (None, "plain words")


def test_a_status_raises_after_its_retries(conn: Connection, server: ScriptedServer) -> None:
    server.default = respond(503)

    with pytest.raises(HTTPServiceUnavailable) as raised:
        conn.json_request("GET", "/")

    assert raised.value.attempts == server.count() == 3


def test_a_status_need_not_raise(conn: Connection, server: ScriptedServer) -> None:
    server.script(respond(404, body=b"gone"))

    response = conn.request("GET", "/books/1", raise_for_status=False)

    assert (response.status_code, response.text) == (404, "gone")
    assert conn.response is response


def test_a_status_that_need_not_raise_is_retried_all_the_same(
    conn: Connection, server: ScriptedServer
) -> None:
    server.script(respond(503), respond(503), respond(503, body=b"the last"))

    response = conn.request("GET", "/", raise_for_status=False)

    assert (response.status_code, response.text) == (503, "the last")
    assert server.count() == 3


@pytest.mark.parametrize("status", [200, 206, 299, 304])
def test_other_statuses_are_answers(conn: Connection, server: ScriptedServer, status: int) -> None:
    server.script(respond(status))

    assert conn.request("GET", "/").status_code == status


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_informational_answer_is_no_answer(
    conn: Connection, server: ScriptedServer, status: int
) -> None:
    server.script(informational(status, {"Link": "</style.css>"}) + respond(200, json=1))

    assert conn.json_request("GET", "/") == 1
    assert conn.json_request("GET", "/second")["target"] == "/second"


# The keywords of request


def test_request_gives_a_requests_response(conn: Connection, server: ScriptedServer) -> None:
    response = conn.request("GET", "/books")

    assert type(response) is requests.Response
    assert response.ok
    assert response.url == server.url + "/books"
    assert response.json()["target"] == "/books"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"])
def test_any_method_goes_out_in_upper_case(
    conn: Connection, server: ScriptedServer, method: str
) -> None:
    conn.request(method, "/")

    assert server.requests[0].method == method.upper()


def test_a_head_request_has_an_answer_without_a_body(
    conn: Connection, server: ScriptedServer
) -> None:
    server.script(respond(200, {"Content-Length": "10"}))

    response = conn.request("HEAD", "/")

    assert response.headers["Content-Length"] == "10"
    assert response.content == b""


@pytest.mark.parametrize(
    ("params", "target"),
    [
        ({"a": "1", "b": ["x", "y"]}, "/?a=1&b=x&b=y"),
        ([("b", "1"), ("a", "2")], "/?b=1&a=2"),
        ("raw=query", "/?raw=query"),
        ({"a": None, "b": "two words"}, "/?b=two+words"),
        ({}, "/"),
    ],
)
def test_params_are_as_in_requests(
    conn: Connection, server: ScriptedServer, params: Any, target: str
) -> None:
    conn.request("GET", "/", params=params)
    conn.json_request("GET", "/", params=params)

    assert [request.target for request in server.requests] == [target, target]


def test_params_join_a_query_that_the_uri_has(conn: Connection, server: ScriptedServer) -> None:
    conn.request("GET", "/?a=1", params={"b": "2"})

    assert server.requests[0].target == "/?a=1&b=2"


def chunks() -> Iterator[bytes]:
    yield b"one,"
    yield b"two"


@pytest.mark.parametrize(
    ("make", "body", "content_type"),
    [
        (lambda: {"a": "1", "b": "x y"}, b"a=1&b=x+y", "application/x-www-form-urlencoded"),
        (lambda: [("b", "1"), ("a", "2")], b"b=1&a=2", "application/x-www-form-urlencoded"),
        (lambda: b"\x00bytes", b"\x00bytes", None),
        (lambda: io.BytesIO(b"a file"), b"a file", None),
        (chunks, b"one,two", None),
    ],
)
def test_data_is_as_in_requests(
    conn: Connection,
    server: ScriptedServer,
    make: Callable[[], Any],
    body: bytes,
    content_type: str | None,
) -> None:
    conn.request("POST", "/", data=make())

    [sent] = server.requests
    assert sent.body == body
    assert sent.headers.get("Content-Type") == content_type


def test_json_is_announced_and_nothing_is_asked_for(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.request("PUT", "/", json=[1, 2])

    [sent] = server.requests
    assert sent.json() == [1, 2]
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Accept"] == "*/*"


def test_json_takes_another_content_type(conn: Connection, server: ScriptedServer) -> None:
    conn.request("PATCH", "/", json=[], headers={"content-type": "application/json-patch+json"})

    assert server.requests[0].headers.get_all("Content-Type") == ["application/json-patch+json"]


def test_files_are_sent_as_multipart_beside_form_fields(
    conn: Connection, server: ScriptedServer
) -> None:
    files = {"cover": ("cover.png", io.BytesIO(b"\x89PNG"), "image/png")}

    conn.request("POST", "/covers", data={"isbn": "7"}, files=files)

    [sent] = server.requests
    assert sent.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="isbn"\r\n\r\n7\r\n' in sent.body
    assert b'name="cover"; filename="cover.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n' in (
        sent.body
    )


def test_cookies_of_one_call_are_sent_and_not_kept(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.request("GET", "/", cookies={"taste": "oat"})
    conn.request("GET", "/")

    assert [request.headers.get("Cookie") for request in server.requests] == ["taste=oat", None]


def test_cookies_of_the_server_are_kept_and_sent_again(make_server: MakeServer) -> None:
    jar = SetCookies({"visit": "1"})
    server = make_server(jar)
    with Connection(server.url, ANONYMOUS) as conn:
        conn.json_request("GET", "/")
        conn.json_request("GET", "/", extra_headers={"X": "1"})
        conn.request("GET", "/", cookies={"taste": "oat"})

    assert jar.seen == [{}, {"visit": "1"}, {"visit": "1", "taste": "oat"}]


def test_response_hooks_are_called_as_in_requests(conn: Connection) -> None:
    seen: list[int] = []

    def hook(response: requests.Response, *_: Any, **__: Any) -> None:
        seen.append(response.status_code)

    conn.request("GET", "/", hooks={"response": hook})
    conn.request("GET", "/", hooks={"response": [hook, hook]})
    conn.request("GET", "/")

    assert seen == [200, 200, 200]


def test_a_response_hook_may_give_another_response(conn: Connection) -> None:
    other = requests.Response()
    other.status_code = 299

    def hook(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
        other.request, other.url = response.request, response.url
        return other

    assert conn.request("GET", "/", hooks={"response": hook}) is other


def test_redirects_are_followed_unless_told_not_to(
    conn: Connection, server: ScriptedServer
) -> None:
    server.default = lambda request: (
        redirect(302, "/new") if request.target == "/old" else respond(200)
    )

    followed = conn.request("GET", "/old")
    stayed = conn.request("GET", "/old", allow_redirects=False)

    assert (followed.status_code, followed.url) == (200, server.url + "/new")
    assert [response.status_code for response in followed.history] == [302]
    assert (stayed.status_code, stayed.headers["Location"]) == (302, "/new")
    assert [request.target for request in server.requests] == ["/old", "/new", "/old"]


def test_a_policy_of_one_call_wins_over_the_connections(server: ScriptedServer) -> None:
    server.default = respond(503)
    with Connection(
        server.url, ANONYMOUS, policy=Policy(attempts=2), clock=SkippingClock()
    ) as conn:
        for policy, expected in ((None, 2), (Policy(attempts=1), 1), (Policy(attempts=4), 4)):
            with pytest.raises(HTTPServiceUnavailable) as raised:
                conn.json_request("GET", "/", policy=policy)
            assert raised.value.attempts == expected

    assert server.count() == 7


def test_an_idempotency_key_is_sent_as_given_or_made(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.json_request("POST", "/", {}, idempotency_key="order-7")
    conn.request("POST", "/", idempotency_key=True)
    conn.request("POST", "/", idempotency_key=True)
    conn.request("POST", "/", idempotency_key=False)

    given, made, another, none = [r.headers.get("Idempotency-Key") for r in server.requests]
    assert given == "order-7"
    assert made is not None
    assert another is not None
    assert uuid.UUID(made) != uuid.UUID(another)
    assert none is None


def test_a_callers_word_makes_a_post_repeatable_and_a_get_not(
    conn: Connection, server: ScriptedServer
) -> None:
    for ask in (conn.request, conn.json_request):
        server.script(respond(503))
        ask("POST", "/repeatable", idempotent=True)
        server.script(respond(503))
        with pytest.raises(HTTPServiceUnavailable):
            ask("GET", "/once", idempotent=False)

    assert server.count(method="POST", target="/repeatable") == 4
    assert server.count(method="GET", target="/once") == 2


def test_both_take_the_same_keywords_of_a_call(conn: Connection, server: ScriptedServer) -> None:
    for ask in (conn.request, conn.json_request):
        ask(
            "POST",
            "/books/7",
            timeout=(1, None),
            deadline=2.5,
            policy=Policy(attempts=2),
            idempotency_key="k",
            idempotent=True,
            name="/books/{id}",
        )

    assert [request.headers["Idempotency-Key"] for request in server.requests] == ["k", "k"]


def test_a_name_changes_nothing_on_the_wire(conn: Connection, server: ScriptedServer) -> None:
    conn.request("GET", "/books/7", name="/books/{id}")

    assert server.requests[0].target == "/books/7"


# Streaming


def test_a_stream_is_read_piece_by_piece(conn: Connection, server: ScriptedServer) -> None:
    more = threading.Event()
    server.script(
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhead") + stall(more) + raw(b"tail")
    )

    with conn.request("GET", "/", stream=True) as response:
        pieces = response.iter_content(4)
        assert next(pieces) == b"head"
        more.set()
        assert next(pieces) == b"tail"

    assert conn.request("GET", "/").ok
    assert len(server.connections) == 1


def test_closing_a_connection_leaves_a_stream_that_is_being_read(
    conn: Connection, server: ScriptedServer
) -> None:
    more = threading.Event()
    server.script(
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhead") + stall(more) + raw(b"tail")
    )

    with conn.request("GET", "/", stream=True) as response:
        conn.close()
        more.set()
        assert response.content == b"headtail"

    server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_a_stream_closed_early_closes_its_socket_and_harms_nothing(
    conn: Connection, server: ScriptedServer
) -> None:
    server.script(raw(wire(200, body=b"x" * 10_000_000)))

    with conn.request("GET", "/big", stream=True) as response:
        assert next(response.iter_content(10)) == b"x" * 10
    server.wait_for(lambda: server.connections[0].closed_by == "client")

    assert conn.json_request("GET", "/")["target"] == "/"
    assert len(server.connections) == 2


def test_a_streamed_error_raises_with_the_beginning_of_its_body(
    conn: Connection, server: ScriptedServer
) -> None:
    server.script(respond(404, json={"error_text": "no such book"}))

    with pytest.raises(HTTPNotFound, match="no such book") as raised:
        conn.request("GET", "/", stream=True)

    assert raised.value.json_data == {"error_text": "no such book"}
    assert conn.request("GET", "/").ok


def test_a_streamed_error_that_need_not_raise_can_be_read(
    conn: Connection, server: ScriptedServer
) -> None:
    server.script(respond(404, body=b"gone"))

    with conn.request("GET", "/", stream=True, raise_for_status=False) as response:
        assert response.raw.read() == b"gone"


def test_answers_that_are_read_give_their_socket_back(
    conn: Connection, server: ScriptedServer
) -> None:
    server.script(respond(404, body=b"gone"), respond(503, body=b"busy"), respond(204))

    with pytest.raises(HTTPNotFound):
        conn.request("GET", "/")
    assert conn.json_request("GET", "/") is None
    conn.request("GET", "/")

    assert server.count() == 4
    assert len(server.connections) == 1


# Headers


def test_added_headers_are_common_to_all_requests(conn: Connection, server: ScriptedServer) -> None:
    conn.add_headers({"X-Tenant": "pond", "User-Agent": "walker/1"})
    conn.json_request("GET", "/")
    conn.request("GET", "/")
    conn.session.get(server.url)

    assert [r.headers["X-Tenant"] for r in server.requests] == ["pond"] * 3
    assert [r.headers["User-Agent"] for r in server.requests] == ["walker/1"] * 3


def test_a_callers_headers_beat_added_ones_and_added_ones_beat_defaults(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.add_headers({"Accept": "text/csv", "X-Tenant": "pond"})
    conn.request("GET", "/")
    conn.request("GET", "/", headers={"accept": "text/html", "x-tenant": "woods"})

    assert [r.headers["Accept"] for r in server.requests] == ["text/csv", "text/html"]
    assert [r.headers["X-Tenant"] for r in server.requests] == ["pond", "woods"]


def test_none_removes_an_added_header_for_one_call(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.add_headers({"X-Tenant": "pond"})
    conn.request("GET", "/", headers={"x-tenant": None})
    conn.json_request("GET", "/", extra_headers={"X-TENANT": None, "accept": None})
    conn.request("GET", "/")

    assert [r.headers.get("X-Tenant") for r in server.requests] == [None, None, "pond"]
    assert server.requests[1].headers.get("Accept") is None


def test_adding_none_removes_a_header_for_all_calls(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.add_headers({"X-Tenant": "pond"})
    conn.add_headers({"x-tenant": None, "Accept": None, "X-Never-There": None})
    conn.request("GET", "/")

    assert server.requests[0].headers.get("X-Tenant") is None
    assert server.requests[0].headers.get("Accept") is None


@pytest.mark.parametrize("name", ["Accept", "User-Agent", "Accept-Encoding", "Connection"])
def test_none_removes_a_default_header(conn: Connection, server: ScriptedServer, name: str) -> None:
    conn.request("GET", "/", headers={name: None})
    conn.json_request("GET", "/", extra_headers={name.lower(): None})

    assert [request.headers.get(name) for request in server.requests] == [None, None]


@pytest.mark.parametrize("value", [b"\xe9t\xe9", "\u00e9t\u00e9", "caf\u00e9 \t noir"])
def test_a_header_may_have_latin_1_text_or_bytes(
    conn: Connection, server: ScriptedServer, value: str | bytes
) -> None:
    conn.request("GET", "/", headers={"X-Season": value})

    expected = value.decode("latin-1") if isinstance(value, bytes) else value
    assert server.requests[0].headers["X-Season"] == expected


# Whose response


def test_the_last_response_is_that_of_the_calling_thread(
    conn: Connection, server: ScriptedServer
) -> None:
    asked = threading.Barrier(8)

    def ask(number: int) -> tuple[bool, str]:
        fresh = conn.response is None
        conn.json_request("GET", f"/{number}")
        asked.wait(PATIENCE)  # by now every other thread has had its answer too
        assert conn.response is not None
        return fresh, conn.response.json()["target"]

    assert conn.response is None
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))

    assert answers == [(True, f"/{number}") for number in range(8)]
    assert conn.response is None
    assert server.count() == 8


def test_a_call_without_an_answer_leaves_the_last_response(
    conn: Connection, server: ScriptedServer
) -> None:
    first = conn.request("GET", "/")
    server.stop()

    with pytest.raises(sleepwalker.ConnectionError):
        conn.request("GET", "/")

    assert conn.response is first


# The session beneath


def test_the_session_is_requests_own_kind_and_what_is_set_on_it_counts(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.session.headers["X-Tenant"] = "pond"
    conn.session.params = {"lang": "en"}
    conn.session.cookies.set("taste", "oat")
    conn.request("GET", "/")

    assert isinstance(conn.session, requests.Session)
    assert conn.conn is conn.session
    [sent] = server.requests
    assert sent.target == "/?lang=en"
    assert (sent.headers["X-Tenant"], sent.headers["Cookie"]) == ("pond", "taste=oat")


def test_the_session_can_be_used_directly(conn: Connection, server: ScriptedServer) -> None:
    server.script(redirect(301, "/new"))

    response = conn.session.get(f"{server.url}/old")

    assert response.json()["target"] == "/new"
    assert [r.status_code for r in response.history] == [301]


def test_many_threads_make_one_session(conn: Connection) -> None:
    together = threading.Barrier(16)

    def session(_: int) -> requests.Session:
        together.wait(PATIENCE)
        return conn.session

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(session, range(16)))) == 1


# 32 threads on one connection


def test_one_connection_serves_32_threads_with_exact_counts(make_server: MakeServer) -> None:
    rounds, threads = 6, 32
    together = threading.Barrier(threads)

    def handler(request: Request) -> Any:
        if request.path == "/0":
            together.wait(PATIENCE)  # passes only if 32 requests are under way together
        return respond(json=request.target)

    server = make_server(handler)
    with Connection(server.url, ANONYMOUS) as conn:

        def work(number: int) -> list[bool]:
            right = []
            for turn in range(rounds):
                uri = f"/{turn}?thread={number}"
                right.append(conn.json_request("GET", uri) == uri)
                assert conn.response is not None
                right.append(conn.response.json() == uri)
            return right

        with ThreadPoolExecutor(threads) as pool:
            answers = list(pool.map(work, range(threads)))

        assert answers == [[True] * 2 * rounds] * threads
        assert conn.in_flight == 0
    assert server.count() == rounds * threads
    assert len(server.connections) == threads
    assert {request.target for request in server.requests} == {
        f"/{turn}?thread={number}" for turn in range(rounds) for number in range(threads)
    }


def test_json_is_read_as_utf_8_whatever_a_server_calls_it(
    conn: Connection, server: ScriptedServer
) -> None:
    body = '{"name": "Müller"}'.encode()
    for kind in ("text/plain", "text/html", "application/json"):
        server.script(respond(200, {"Content-Type": kind}, body))
        assert conn.json_request("GET", "/") == {"name": "Müller"}
    server.script(
        respond(200, {"Content-Type": "application/json"}, body.decode().encode("cp1252"))
    )
    with pytest.raises(DecodeError):
        conn.json_request("GET", "/")


def test_headers_common_to_all_requests_beat_the_defaults_of_json(
    conn: Connection, server: ScriptedServer
) -> None:
    conn.json_request("POST", "/", {})
    conn.add_headers({"accept": "application/hal+json", "content-type": "application/hal+json"})
    conn.json_request("POST", "/", {})
    conn.request("POST", "/", json={})
    conn.json_request("POST", "/", {}, extra_headers={"Content-Type": "application/x"})

    sent = [(r.headers["Accept"], r.headers["Content-Type"]) for r in server.requests]
    assert sent == [
        ("application/json", "application/json"),
        ("application/hal+json", "application/hal+json"),
        ("application/hal+json", "application/hal+json"),
        ("application/hal+json", "application/x"),
    ]


def test_an_empty_body_beside_json_is_none(conn: Connection, server: ScriptedServer) -> None:
    conn.request("POST", "/", json={"a": 1}, data={}, files={})

    assert server.requests[0].json() == {"a": 1}
