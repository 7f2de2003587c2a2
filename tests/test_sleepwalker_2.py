"""What scripts written against sleepwalker 2.0's connection module rely on, with `auth` explicit.

And what its services did, which ours do without service definitions. Its own tests and
docstrings are read here as a specification: each test says in our words what one of them promises,
against servers of ours. Left out is what 2.0 tested of its privates.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
import requests

import sleepwalker
from sleepwalker import (
    ANONYMOUS,
    BearerAuth,
    ClientHTTPError,
    DirectHook,
    HTTPError,
    HTTPNotFound,
    HTTPUnauthorized,
    LinkCredentialsError,
    LinkError,
    RelationError,
    ServerHTTPError,
    ServiceManager,
    TemplateError,
)
from sleepwalker.connection import (
    Connection,
    ConnectionHook,
    ConnectionManager,
    URLError,
)
from sleepwalker.connection import ConnectionError as ErrorOfItsModule
from sleepwalker.connection import HTTPError as HTTPErrorOfItsModule
from sleepwalker.links import Each, Pointers, Service, Template
from tests.servers import RequireBearer, refused_port, respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import (
        Action,
        CertificateAuthority,
        MakeServer,
        NetrcFile,
        Request,
        ScriptedServer,
    )


# --- connections -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostname",
    [
        "http://example.com",
        "https://example.com",
        "http://example.com/",
        "https://example.com/",
        "https://example.com:8443",
    ],
)
def test_a_connection_tells_its_hostname_as_it_was_given(hostname: str) -> None:
    assert Connection(hostname, auth=ANONYMOUS).hostname == hostname


@pytest.mark.parametrize("port", ["20483", 20483])
def test_a_port_given_apart_is_joined_to_the_hostname(port: Any) -> None:
    conn = Connection("https://example.com", auth=ANONYMOUS, port=port)
    assert conn.hostname == "https://example.com:20483"


def test_the_arguments_have_their_old_places() -> None:
    conn = Connection("https://example.com", ANONYMOUS, 20483, False, 5.0)  # noqa: FBT003 - as 2.0's scripts say it
    assert conn.hostname == "https://example.com:20483"
    assert conn.conn.verify is False


def test_a_hostname_without_a_scheme_is_a_url_error() -> None:
    with pytest.raises(URLError):
        Connection("example.com", auth=ANONYMOUS, port=666)


def test_two_ports_that_disagree_are_a_url_error() -> None:
    with pytest.raises(URLError):
        Connection("http://example.com:20483", auth=ANONYMOUS, port=666)


def test_two_ports_that_agree_are_fine() -> None:
    conn = Connection("http://example.com:666", auth=ANONYMOUS, port=666)
    assert conn.hostname == "http://example.com:666"


@pytest.mark.parametrize("timeout", [(1.0, 2.0, 3.0), (1.0,), "soon"])
def test_a_timeout_that_is_no_number_and_no_pair_is_a_value_error(timeout: Any) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Connection("https://example.com", auth=ANONYMOUS, timeout=timeout)


@pytest.mark.parametrize("timeout", [5, 5.0, (1.0, 2.0), None])
def test_a_timeout_may_be_a_number_a_pair_or_none(timeout: Any) -> None:
    Connection("https://example.com", auth=ANONYMOUS, timeout=timeout)


def test_a_host_that_does_not_answer_is_a_connection_error() -> None:
    with refused_port() as port:
        conn = Connection(f"http://127.0.0.1:{port}", auth=ANONYMOUS)
        with pytest.raises(sleepwalker.exceptions.ConnectionError):
            conn.json_request("GET", "/anything")


def test_tls_that_fails_is_a_connection_error(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    for tls in (True, ca.server_context("expired"), ca.server_context("wrong name")):
        server = make_server(tls=tls)
        trusted: Any = True if tls is True else str(ca.bundle)
        conn = Connection(server.url, auth=ANONYMOUS, verify=trusted)
        with pytest.raises(sleepwalker.exceptions.ConnectionError):
            conn.json_request("GET", "/anything")
        assert server.count() == 0


def test_json_goes_and_json_comes_back(server: ScriptedServer) -> None:
    conn = Connection(server.url, auth=ANONYMOUS)
    seen = conn.json_request("GET", f"{server.url}/get")
    assert seen["headers"]["accept"] == "application/json"
    assert seen["headers"]["content-type"] == "application/json"
    assert conn.response is not None
    assert conn.response.status_code == 200


def test_a_body_params_and_headers_are_sent_along(server: ScriptedServer) -> None:
    conn = Connection(server.url, auth=ANONYMOUS)
    seen = conn.json_request(
        "PUT", "/books/1", {"title": "Solaris"}, {"page": "2"}, {"X-Mine": "yes"}
    )
    assert seen["method"] == "PUT"
    assert seen["target"] == "/books/1?page=2"
    assert json.loads(seen["body"]) == {"title": "Solaris"}
    assert seen["headers"]["x-mine"] == "yes"


@pytest.mark.parametrize("answer", [respond(204), respond(200)], ids=["204", "empty"])
def test_no_content_is_none(server: ScriptedServer, answer: Any) -> None:
    server.default = answer
    assert Connection(server.url, auth=ANONYMOUS).json_request("DELETE", "/books/1") is None


def test_a_status_that_is_none_of_success_is_its_own_error(server: ScriptedServer) -> None:
    server.default = respond(404)
    conn = Connection(server.url, auth=ANONYMOUS)
    with pytest.raises(sleepwalker.exceptions.HTTPNotFound) as caught:
        conn.json_request("GET", "/get/notfound")
    assert caught.value.http_code == 404
    assert isinstance(caught.value, ClientHTTPError)
    assert conn.response is not None
    assert conn.response.status_code == 404


def test_an_error_has_the_servers_json_or_text_and_its_headers(server: ScriptedServer) -> None:
    server.script(respond(400, json={"error_text": "no such book"}), respond(400, body=b"<p>"))
    conn = Connection(server.url, auth=ANONYMOUS)
    with pytest.raises(HTTPError) as as_json:
        conn.json_request("GET", "/books/1")
    assert as_json.value.json_data == {"error_text": "no such book"}
    assert as_json.value.text is None
    assert "no such book" in str(as_json.value)
    assert "content-length" in as_json.value.headers
    with pytest.raises(HTTPError) as as_text:
        conn.json_request("GET", "/books/1")
    assert (as_text.value.json_data, as_text.value.text) == (None, "<p>")


def test_headers_added_are_common_to_all_requests(server: ScriptedServer) -> None:
    conn = Connection(server.url, auth=ANONYMOUS)
    conn.add_headers({"X-Common": "1"})
    for path in ("/a", "/b"):
        assert conn.json_request("GET", path)["headers"]["x-common"] == "1"


def test_a_pair_is_a_shortcut_for_basic_auth(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    conn = Connection(tls_server.url, auth=("user", "password"), verify=str(ca.bundle))
    seen = conn.json_request("GET", "/")
    assert seen["headers"]["authorization"] == requests.auth._basic_auth_str("user", "password")  # noqa: SLF001 - what requests itself would send


def test_without_an_auth_the_netrc_file_is_asked(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    with pytest.raises(sleepwalker.exceptions.SleepwalkerException):
        Connection(tls_server.url, verify=str(ca.bundle)).json_request("GET", "/")
    assert tls_server.connections == []
    netrc_file({"127.0.0.1": ("user", "password")})
    seen = Connection(tls_server.url, verify=str(ca.bundle)).json_request("GET", "/")
    assert seen["headers"]["authorization"].startswith("Basic ")


def test_conn_is_the_session_of_requests(server: ScriptedServer) -> None:
    conn = Connection(server.url, auth=ANONYMOUS)
    assert isinstance(conn.conn, requests.Session)
    assert conn.conn is conn.session
    conn.conn.headers["X-Session"] = "1"
    assert conn.json_request("GET", "/")["headers"]["x-session"] == "1"


def test_get_url_gives_the_whole_url() -> None:
    conn = Connection("https://example.com", auth=ANONYMOUS)
    assert conn.get_url("/books/1") == "https://example.com/books/1"
    assert conn.get_url("https://example.com/books/1") == "https://example.com/books/1"


def test_the_encoder_takes_objects_by_to_dict_or_by_their_attributes(
    server: ScriptedServer,
) -> None:
    class Book:
        def to_dict(self) -> dict[str, str]:
            return {"title": "Solaris"}

    class Author:
        def __init__(self) -> None:
            self.name = "Lem"

    assert json.loads(json.dumps([Book(), Author()], cls=Connection.JsonEncoder)) == [
        {"title": "Solaris"},
        {"name": "Lem"},
    ]
    seen = Connection(server.url, auth=ANONYMOUS).json_request("POST", "/books", Book())
    assert json.loads(seen["body"]) == {"title": "Solaris"}


# --- the manager and its hooks -----------------------------------------------------------


class Connecting:
    """A hook as 2.0's scripts have them: no sub-class of anything."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn
        self.asked: list[tuple[Any, Any]] = []

    def connect(self, host: Any, auth: Any) -> Any:
        self.asked.append((host, auth))
        return self.conn


class Minimal:
    """A connection with nothing but `json_request`, as 2.0's own test servers have it."""

    def json_request(
        self,
        method: str,
        uri: str,
        body: Any = None,
        params: Any = None,
        extra_headers: Any = None,
    ) -> Any:
        return [method, uri, body, params, extra_headers]


def test_a_manager_is_made_without_arguments_and_asks_the_hooks_it_is_given() -> None:
    manager = ConnectionManager()
    hook = Connecting(Minimal())
    manager.add_conn_hook(hook)
    conn = manager.find("bookstore-server", None)
    assert conn is hook.conn
    assert conn.json_request("GET", "/books")[:2] == ["GET", "/books"]
    assert hook.asked == [("bookstore-server", None)]


def test_a_hook_may_be_a_sub_class_too() -> None:
    class Mine(ConnectionHook):
        def connect(self, host: Any, auth: Any) -> Any:
            del auth
            return Minimal() if host == "mine" else None

    manager = ConnectionManager()
    manager.add_conn_hook(Mine())
    assert isinstance(manager.find("mine", None), Minimal)
    with pytest.raises(ErrorOfItsModule):
        manager.find("yours", None)


def test_the_direct_hook_does_what_the_default_one_did(server: ScriptedServer) -> None:
    manager = ConnectionManager()
    with pytest.raises(ErrorOfItsModule):
        manager.find(server.url, ANONYMOUS)
    manager.add_conn_hook(DirectHook())
    conn = manager.find(server.url, ANONYMOUS)
    assert isinstance(conn, Connection)
    assert conn.json_request("GET", "/x")["target"] == "/x"
    manager.reset()


def test_hooks_that_decline_are_passed_over_and_none_left_is_a_connection_error() -> None:
    manager = ConnectionManager()
    first, second = Connecting(None), Connecting(Minimal())
    manager.add_conn_hook(first)
    with pytest.raises(sleepwalker.exceptions.ConnectionError):
        manager.find("host", None)
    manager.add_conn_hook(second)
    assert manager.find("host", None) is second.conn
    assert len(first.asked) == 2
    manager.clear_hooks()
    assert manager.find("host", None) is second.conn
    with pytest.raises(sleepwalker.exceptions.ConnectionError):
        manager.find("other", None)


def test_the_connections_are_indexed_by_host_and_auth() -> None:
    manager = ConnectionManager()
    manager.add_conn_hook(Connecting(Minimal()))
    conns = manager.conns
    assert len(conns) == 0
    one = manager.find("http://foo-server", None)
    assert len(conns) == 1
    assert ("http://foo-server", None) in conns
    assert ("http://bar-server", None) not in conns
    assert conns[("http://foo-server", None)] is one
    auth = ("test1", "test1")
    added = Minimal()
    manager.add("http://foo-server", auth, added)
    assert len(conns) == 2
    assert manager.conns[("http://foo-server", auth)] is added
    assert [conn for conn in conns.values() if conn is added] == [added]
    assert {tuple(key) for key in conns} == {
        ("http://foo-server", None),
        ("http://foo-server", auth),
    }


def test_a_connection_added_is_found_and_one_present_is_replaced() -> None:
    manager = ConnectionManager()
    first, second = Minimal(), Minimal()
    manager.add("host", None, first)
    assert manager.find("host", None) is first
    manager.add("host", None, second)
    assert manager.find("host", None) is second
    assert len(manager.conns) == 1


def test_reset_closes_and_forgets_all() -> None:
    manager = ConnectionManager()
    closable = mock.MagicMock()
    manager.add("a", None, closable)
    manager.add("b", None, Minimal())
    manager.reset()
    closable.close.assert_called_once_with()
    assert len(manager.conns) == 0


MOCKS: dict[str, Callable[[], Any]] = {
    "Mock": mock.Mock,
    "MagicMock": mock.MagicMock,
    "MagicMock with json_request alone": partial(mock.MagicMock, spec=["json_request"]),
    "Mock of a Connection": partial(mock.Mock, spec=Connection),
    "MagicMock of a Connection": partial(mock.MagicMock, spec=Connection),
    "autospec of a Connection": partial(mock.create_autospec, Connection, instance=True),
}


@pytest.mark.parametrize("make", MOCKS.values(), ids=MOCKS)
def test_a_mock_is_a_connection_wherever_one_is_asked_for(make: Any) -> None:
    by_hook, by_add = make(), make()
    by_hook.json_request.return_value = {"id": 1}
    manager = ConnectionManager(idle=1000, max_pools=5)
    manager.add_conn_hook(Connecting(by_hook))
    assert manager.find("host", None) is by_hook
    assert manager.find("host", None).json_request("GET", "/books/1") == {"id": 1}
    manager.add("other", None, by_add)
    assert manager.find("other", None) is by_add
    manager.add("other", None, make())
    manager.reset(idle=1000)
    assert manager.conns["host", None] is by_hook
    manager.reset()
    assert len(manager.conns) == 0
    if hasattr(by_hook, "close"):
        by_hook.close.assert_called_once_with()
    with ConnectionManager() as closing:
        closing.add("host", None, make())
        closing.find("host", None)


# --- services ----------------------------------------------------------------------------


PREFIX = "/api/bookstore/1.0"
BOOKSTORE = Pointers(
    {
        "author": Each("/author_ids", Template(f"{PREFIX}/authors/{{id}}", id="")),
        "full": Each("", Template(f"{PREFIX}/books/{{id}}", id="/id")),
        "books": Template(f"{PREFIX}/books?author={{id}}", id="/id"),
        "purchase": Template(f"{PREFIX}/books/{{id}}/purchase", id="/id"),
        "search": Template(f"{PREFIX}/books{{?author}}"),
        "stock": Template(
            "{+host}/api/{instance}/stock/1.0/books/{id}",
            host="/stock_host",
            instance="/stock_instance",
            id="/id",
        ),
    },
    hosts=["*"],
)
"""What a service definition of 2.0 said of the relations of its bookstore, one of which leads to
another service, on whichever host."""


def sent(request: Request) -> dict[str, Any]:
    """Give the object in a request's body."""
    value: Any = request.json()
    return dict(value)


class Bookstore:
    """A service with collections, such as 2.0 is tested with."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[int, dict[str, Any]]] = {"books": {}, "authors": {}}

    def __call__(self, request: Request) -> Action:
        path, _, query = request.target.removeprefix(f"{PREFIX}/").partition("?")
        kind, *rest = path.split("/")
        there = self.kept[kind]
        if rest[1:] == ["purchase"]:
            return respond(json={"final_cost": 10 * sent(request)["num_copies"]})
        if not rest:
            if request.method == "POST":
                number = len(there) + 1
                there[number] = {"id": number, **sent(request)}
                return respond(201, json=there[number])
            author = int(query.partition("author=")[2] or 0)
            found = there.values()
            return respond(json=[b for b in found if not author or author in b["author_ids"]])
        if request.method == "PUT":
            there[int(rest[0])] = sent(request)
        if request.method == "DELETE":
            del there[int(rest[0])]
            return respond(204)
        return respond(json=there[int(rest[0])]) if int(rest[0]) in there else respond(404)


@pytest.fixture
def connections() -> Iterator[ConnectionManager]:
    with ConnectionManager(hooks=[DirectHook(allow_plaintext=True)]) as connections:
        yield connections


@pytest.fixture
def store(server: ScriptedServer, connections: ConnectionManager) -> Service:
    server.default = Bookstore()
    services = ServiceManager(connections, formats=[BOOKSTORE])
    return services.service(server.url, ANONYMOUS, prefix=PREFIX)


def test_a_service_is_known_by_host_auth_and_instance(store: Service) -> None:
    services, host = store.services, store.host
    assert services.service(host, ANONYMOUS, prefix=PREFIX) is store
    other = services.service(host, ANONYMOUS, prefix="/api/west/bookstore/1.0")
    somebody = services.service(host, BearerAuth("token"), prefix=PREFIX)
    assert len({id(each) for each in (store, other, somebody)}) == 3
    assert other.conn is store.conn
    assert somebody.conn is not store.conn


def test_relations_lead_from_collections_to_what_is_in_them_and_on_to_others(
    store: Service,
) -> None:
    harry, fred = (store.get("/authors").post({"name": name}) for name in ("Harry", "Fred"))
    both = [harry.data["id"], fred.data["id"]]
    books = store.get("/books")
    for authors in [both[:1]] * 3 + [both[1:]] * 4 + [both] * 2:
        books.post({"title": "a book", "author_ids": authors})
    assert books.data == []
    books = books.refresh()
    assert len(books.data) == 9
    last = books.follow(books.links.all("full")[-1])
    assert last.data == {"id": 9, "title": "a book", "author_ids": both}
    assert [last.follow(link).data for link in last.links.all("author")] == [harry.data, fred.data]
    assert len(harry.follow("books").data) == 5
    assert len(fred.follow("books").data) == 6
    assert len(books.follow("search", author=both[0]).data) == 5


def test_what_is_pulled_changed_and_pushed_is_there_and_may_be_deleted(store: Service) -> None:
    store.get("/books").post({"title": "Solaris", "author_ids": []})
    book = store.get("/books/1")
    book.data["title"] = "Fiasco"
    assert book.refresh().data["title"] == "Solaris"
    assert book.put(book.data).data["title"] == "Fiasco"
    assert book.refresh().data["title"] == "Fiasco"
    book.delete()
    with pytest.raises(HTTPNotFound):
        book.refresh()


def test_what_a_link_is_executed_with_is_sent_and_its_answer_is_a_resource(
    store: Service, server: ScriptedServer
) -> None:
    book = store.get("/books").post({"title": "Solaris", "author_ids": []})
    bought = book.act("purchase", {"num_copies": 2}, method="POST")
    assert bought.data == {"final_cost": 20}
    assert server.count(method="POST", target=f"{PREFIX}/books/1/purchase") == 1


def test_a_relation_or_variable_that_is_not_there_has_an_error_of_that_name(
    store: Service,
) -> None:
    books = store.get("/books")
    with pytest.raises(RelationError):
        books.follow("publisher")
    with pytest.raises(TemplateError):
        books.follow("search", title="Solaris")
    assert issubclass(RelationError, LinkError)


class Passport:
    """An auth that knows who we are on many hosts, as 2.0 wanted them."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self.tokens = tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self.tokens[urlsplit(request.url or "").netloc]
        request.headers["Authorization"] = f"Bearer {token}"
        return request


def test_a_relation_leads_to_another_host_and_instance_as_who_we_are_there(
    connections: ConnectionManager, make_server: MakeServer
) -> None:
    stock = make_server(RequireBearer("of-stock", then=lambda seen: respond(json=seen.target)))
    books = {
        f"{PREFIX}/books/{number}": respond(
            json={"id": number, "stock_host": stock.localhost_url, "stock_instance": instance}
        )
        for number, instance in enumerate(("east", "west"), start=1)
    }
    shop = make_server(RequireBearer("of-shop", then=lambda seen: books[seen.target]))
    there, here = (url.partition("//")[2] for url in (stock.localhost_url, shop.url))
    first = Passport({here: "of-shop", there: "of-stock"})
    second = Passport({here: "of-shop", there: "unknown"})

    services = ServiceManager(connections, credentials=lambda _: first, formats=[BOOKSTORE])
    mine = services.service(shop.url, prefix=PREFIX)
    assert mine.auth is first
    reached = [mine.get(f"/books/{number}").follow("stock") for number in (1, 2)]
    assert [each.data for each in reached] == [
        "/api/east/stock/1.0/books/1",
        "/api/west/stock/1.0/books/2",
    ]
    assert reached[0].service is reached[1].service
    assert (reached[0].service.host, reached[0].service.auth) == (stock.localhost_url, first)
    assert {tuple(key) for key in connections.conns} == {
        (shop.url, first),
        (stock.localhost_url, first),
    }

    services = ServiceManager(connections, credentials=lambda _: second, formats=[BOOKSTORE])
    yours = services.service(shop.url, prefix=PREFIX).get("/books/1")
    with pytest.raises(HTTPUnauthorized):
        yours.follow("stock")
    assert len(connections.conns) == 4


def test_the_auth_of_one_host_is_no_longer_taken_along_to_another(
    connections: ConnectionManager, make_server: MakeServer
) -> None:
    stock = make_server()
    book = {"id": 1, "stock_host": stock.localhost_url, "stock_instance": "east"}
    shop = make_server(RequireBearer("of-shop", then=respond(json=book)))
    services = ServiceManager(connections, formats=[BOOKSTORE])
    mine = services.service(shop.url, BearerAuth("of-shop"), prefix=PREFIX)
    with pytest.raises(LinkCredentialsError):
        mine.get("/books/1").follow("stock")
    assert stock.connections == []


# --- errors ------------------------------------------------------------------------------


def answer(**parts: Any) -> Any:
    """Give a response that has these parts and no others."""
    response = mock.Mock(requests.Response)
    response.headers = {"content-type": "application/json"}
    for name, value in parts.items():
        setattr(response, name, value)
    return response


def test_an_errors_words_are_those_of_the_servers_json() -> None:
    body = {"error_id": "REQUEST_INVALID_INPUT", "error_text": "malformed", "error_info": {}}
    error = HTTPError(
        answer(status_code=400, reason="Bad Request", json=mock.Mock(return_value=body))
    )
    assert str(error) == "malformed"
    assert repr(error) == "HTTPError('malformed')"
    assert error.json_data == body
    assert error.text is None
    assert error.http_code == 400


@pytest.mark.parametrize("body", [None, [], {}, "text", 5])
def test_without_such_words_they_are_those_of_the_status(body: Any) -> None:
    error = HTTPError(
        answer(status_code=400, reason="Bad Request", json=mock.Mock(return_value=body))
    )
    assert str(error) == "Bad Request"
    assert repr(error) == "HTTPError('Bad Request')"


def test_an_answer_that_is_no_json_is_kept_as_text() -> None:
    no_json = mock.Mock(side_effect=ValueError)
    error = HTTPError(answer(status_code=500, reason="Oops", json=no_json, text="<html>"))
    assert (error.json_data, error.text, str(error)) == (None, "<html>", "Oops")


def test_a_response_without_a_reason_is_no_response() -> None:
    with pytest.raises(AttributeError):
        HTTPError(answer(status_code=400, json=mock.Mock(return_value=None)))


def test_every_status_has_a_class_of_its_own() -> None:
    classes = list(HTTPError.code_map.values())
    assert len(set(classes)) == len(classes)
    assert not {HTTPError, ClientHTTPError, ServerHTTPError} & set(classes)
    for status, error in HTTPError.code_map.items():
        assert issubclass(error, ClientHTTPError if status < 500 else ServerHTTPError)


KNOWN = {
    400: "HTTPBadRequest",
    401: "HTTPUnauthorized",
    402: "HTTPPaymentRequired",
    403: "HTTPForbidden",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    406: "HTTPNotAcceptable",
    407: "HTTPProxyAuthenticationRequired",
    408: "HTTPRequestTimeout",
    409: "HTTPConflict",
    410: "HTTPGone",
    411: "HTTPLengthRequired",
    412: "HTTPPreconditionFailed",
    413: "HTTPRequestEntityTooLarge",
    414: "HTTPRequestURITooLong",
    415: "HTTPUnsupportedMediaType",
    416: "HTTPRequestedRangeNotSatisfiable",
    417: "HTTPExpectationFailed",
    418: "HTTPImATeapot",
    426: "HTTPUpgradeRequired",
    428: "HTTPPreconditionRequired",
    429: "HTTPTooManyRequests",
    431: "HTTPRequestHeaderFieldsTooLarge",
    500: "HTTPInternalServerError",
    501: "HTTPNotImplemented",
    502: "HTTPBadGateway",
    503: "HTTPServiceUnavailable",
    504: "HTTPGatewayTimeout",
    505: "HTTPVersionNotSupported",
    506: "HTTPVariantAlsoNegotiates",
    510: "HTTPNotExtended",
    511: "HTTPNetworkAuthenticationRequired",
}


@pytest.mark.parametrize(("status", "name"), KNOWN.items())
def test_the_statuses_known_to_2_0_raise_the_errors_of_that_name(status: int, name: str) -> None:
    with pytest.raises(HTTPError) as caught:
        HTTPError.raise_by_status(answer(status_code=status, reason="why", json=dict))
    assert type(caught.value).__name__ == name
    assert type(caught.value) is getattr(sleepwalker.exceptions, name)
    assert type(caught.value) is getattr(sleepwalker, name)
    assert caught.value.http_code == status


@pytest.mark.parametrize(
    ("status", "error"), [(499, ClientHTTPError), (599, ServerHTTPError), (399, HTTPError)]
)
def test_any_other_status_raises_the_error_of_its_class(
    status: int, error: type[HTTPError]
) -> None:
    with pytest.raises(error) as caught:
        HTTPError.raise_by_status(answer(status_code=status, reason="why", json=dict))
    assert type(caught.value) is error


def test_the_errors_are_one_tree_and_found_where_they_were() -> None:
    exceptions = sleepwalker.exceptions
    assert issubclass(URLError, exceptions.ConnectionError)
    assert issubclass(exceptions.ConnectionError, exceptions.SleepwalkerException)
    assert issubclass(HTTPError, exceptions.SleepwalkerException)
    assert not issubclass(HTTPError, exceptions.ConnectionError)
    assert sleepwalker.SleepwalkerException is exceptions.SleepwalkerException
    assert ErrorOfItsModule is exceptions.ConnectionError is sleepwalker.ConnectionError
    assert HTTPErrorOfItsModule is exceptions.HTTPError
    assert sleepwalker.Connection is Connection
    assert sleepwalker.ConnectionManager is ConnectionManager
