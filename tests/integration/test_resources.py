"""Services and their resources: what is got, followed, sent and got again, over real sockets.

Rule: what went over the wire is asserted of the servers' own records.
"""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
from prometheus_client import CollectorRegistry

import sleepwalker
from sleepwalker import (
    ANONYMOUS,
    ClosedError,
    ConfigurationError,
    Connection,
    ConnectionHook,
    ConnectionManager,
    CrossOriginError,
    DeadlineExceeded,
    DecodeError,
    DirectHook,
    DowngradeError,
    EstablishmentError,
    FormError,
    HTTPNotFound,
    HTTPPreconditionFailed,
    LinkCredentialsError,
    LinkError,
    LinkURLError,
    Policy,
    RelationError,
    TemplateError,
    TooManyHopsError,
    URLError,
)
from sleepwalker.links import (
    DEFAULT_FORMATS,
    Document,
    Embedded,
    Field,
    Link,
    LinkFormat,
    Resource,
    Service,
    ServiceManager,
)
from sleepwalker.observability import names
from sleepwalker.testing import SkippingClock
from tests.crew import at_once
from tests.integration.retrying import lines
from tests.servers import redirect, respond, stall
from tests.telemetry import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.servers import Action, CertificateAuthority, MakeServer, Request, ScriptedServer

READER: Final = ("reader", "correct-horse-7781")
HAL: Final = {"Content-Type": "application/hal+json"}
RAN: Final = "Tue, 03 Feb 2026 10:00:00 GMT"


class Reads(LinkFormat):
    """The links of an API that has no format, under `see`, and the entity tag in its `tag`."""

    def links(self, document: Document) -> Iterable[Link]:
        for rel, href in (document.data or {}).get("see", {}).items():
            yield Link(rel=rel, href=href, base=document.url)

    def etag(self, document: Document) -> str | None:
        return (document.data or {}).get("tag")


def unheard(*hooks: Any, **options: Any) -> ConnectionManager:
    """Give a manager that waits for nobody and tells nobody."""
    clock = SkippingClock()
    silent: dict[str, Any] = {
        "clock": clock,
        "registry": CollectorRegistry(),
        "tracer_provider": False,
        "logger": False,
    }
    return ConnectionManager(hooks=hooks or [DirectHook(clock=clock)], **{**silent, **options})


@pytest.fixture
def services() -> Iterator[ServiceManager]:
    """Give services that go everywhere as nobody."""
    with unheard() as manager, ServiceManager(manager, credentials={"*": ANONYMOUS}) as made:
        yield made


def linking(**links: str) -> Any:
    """Give an answer with `Link` headers."""
    return respond(200, [("Link", f'<{href}>; rel="{rel}"') for rel, href in links.items()], json=1)


def sent(server: ScriptedServer, name: str) -> list[str | None]:
    """The values of a header in the requests that came."""
    return [request.headers.get(name) for request in server.requests]


# --- what is got ----------------------------------------------------------------------------------


def test_a_resource_is_what_the_server_said(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(200, {"ETag": '"v1"', "Link": "</a/3>; rel=author"}, json={"id": 7}))
    book = services.get(f"{server.url}/books/7#chapter-1", params={"full": "yes"})

    assert book.data == {"id": 7}
    assert (book.status, book.etag) == (200, '"v1"')
    assert book.url == f"{server.url}/books/7?full=yes"
    assert book.links.one("author").url() == f"{server.url}/a/3"
    assert book.link("author") is book.links["author"]
    assert book.response is not None
    assert book.response.json() == {"id": 7}
    assert repr(book) == f"<Resource {server.url}/books/7?full=yes 200>"
    assert lines(server) == ["GET /books/7?full=yes"]
    assert "application/hal+json" in str(server.requests[0].headers["Accept"])


def test_its_links_are_read_once(services: ServiceManager, server: ScriptedServer) -> None:
    server.script(linking(author="/a"))
    book = services.get(server.url)

    assert book.links is book.links


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (respond(204), None),
        (respond(200, {"Content-Type": "application/json"}), None),
        (respond(200, {"Content-Type": "text/html"}, b"<p>7</p>"), None),
        (respond(200, {"Content-Type": "text/plain"}, b"[7]"), None),
        (respond(200, {"Content-Type": "text/json"}, b"[7]"), [7]),
        (respond(200, {"Content-Type": "application/problem+json"}, b"[7]"), [7]),
        (
            respond(
                200, {"Content-Type": "Application/JSON; charset=utf-16"}, "[7]".encode("utf-16")
            ),
            [7],
        ),
        (respond(200, (), b'\r\n {"a": 7}'), {"a": 7}),
        (respond(200, (), b"7"), None),
        (respond(200, {"Content-Type": "nonsense"}, b"7"), None),
        (respond(200, json=None), None),
    ],
)
def test_data_is_what_says_that_it_is_json(
    answer: Any, data: Any, services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(answer)
    resource = services.get(server.url)

    assert resource.data == data
    assert dict(resource.links) == {}


def test_broken_json_is_an_error_wherever_it_is_needed(
    services: ServiceManager, server: ScriptedServer
) -> None:
    headers = {"Content-Type": "application/json", "ETag": '"v1"', "Link": "</a>; rel=author"}
    server.script(respond(200, headers, b'{"id": 7'))
    book = services.get(f"{server.url}/books/7")

    depths = []
    for _ in range(3):
        with pytest.raises(DecodeError) as caught:
            _ = book.data
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1
    assert f"the answer of {server.url}/books/7 is not JSON (line 1, column 9)" in str(caught.value)
    assert caught.value.response.content == b'{"id": 7'
    for needed in (lambda: book.links, lambda: book.follow("author"), lambda: next(book.items())):
        with pytest.raises(DecodeError):
            needed()
    assert (book.status, book.etag) == (200, '"v1"')
    # To get it again is the way out.
    assert book.refresh().data["headers"].keys().isdisjoint({"if-none-match"})


def test_the_answer_to_a_head_has_its_links(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(linking(author="/a"))
    head = services.service(server.url).request("HEAD", "/books/7")

    assert head.data is None
    assert head.follow("author").data["target"] == "/a"
    assert head.refresh().data["method"] == "GET"


def test_links_may_be_read_by_other_formats(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.default = respond(json={"see": {"author": "/a"}})
    book = services.get(server.url)
    chosen = services.get(server.url, formats=[Reads()])

    assert dict(book.links) == {}
    assert list(book.links_by(Reads())) == ["author"]
    # From here on as well.
    assert list(chosen.follow("author").follow("author").links) == ["author"]


def test_many_link_headers_are_read(services: ServiceManager, server: ScriptedServer) -> None:
    pairs = [("Link", '</1>; rel="item", </2>; rel=item'), ("link", "</3>; rel=item")]
    server.script(respond(200, pairs, json=1))

    hrefs = [link.href for link in services.get(server.url).links.all("item")]
    assert hrefs == ["/1", "/2", "/3"]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("/books/7", URLError),
        ("books.example/7", URLError),
        ("ftp://books.example/", URLError),
        ("https://user:secretly@books.example/", URLError),
        ("", URLError),
        (None, URLError),
        (b"https://books.example/", URLError),
    ],
)
def test_only_absolute_urls_are_got_without_a_service(
    url: Any, error: type[Exception], services: ServiceManager
) -> None:
    with pytest.raises(error) as caught:
        services.get(url)

    assert "secretly" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": ["no"]},
        {"headers": {"X": "a\nb"}},
        {"timeout": -1},
        {"deadline": -1},
        {"policy": "none"},
        {"name": ""},
        {"formats": [Reads]},
        {"formats": 7},
    ],
)
def test_a_setting_that_can_not_work_is_an_error_before_anything_is_sent(
    wrong: Any, services: ServiceManager, server: ScriptedServer
) -> None:
    with pytest.raises(ConfigurationError):
        services.get(server.url, **wrong)

    assert server.count() == 0


def test_a_uri_is_text(services: ServiceManager, server: ScriptedServer) -> None:
    with pytest.raises(ConfigurationError, match="a URI must be text, not int"):
        services.service(server.url).get(7)  # type: ignore[arg-type]


# --- services -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("https://Library.example",), ("https://library.example:443/",)),
        (("https://library.example/api",), ("HTTPS://library.example/api/",)),
        (("https://l.example", READER), ("https://l.example", ("reader", "correct-horse-7781"))),
        (("https://l.example", None, "/west"), ("https://l.example", None, "west/")),
        (("books", ANONYMOUS), ("books", ANONYMOUS)),
    ],
)
def test_each_service_exists_once(one: Any, other: Any, services: ServiceManager) -> None:
    def service(host: Any, auth: Any = None, prefix: str = "") -> Service:
        return services.service(host, auth, prefix=prefix)

    assert service(*one) is service(*other)


def test_services_differ_by_host_auth_and_prefix(services: ServiceManager) -> None:
    host = "https://library.example"
    all_of_them = [
        services.service(host),
        services.service(f"{host}/api"),
        services.service("http://library.example"),
        services.service(f"{host}:8443"),
        services.service("library.example"),
        services.service(host, READER),
        services.service(host, prefix="/west"),
        services.service(host, prefix="/West"),
    ]

    assert len(set(all_of_them)) == len(all_of_them)


def test_who_we_are_is_what_is_registered_unless_it_is_said() -> None:
    with unheard() as manager:
        services = ServiceManager(manager, credentials={"*.library.example": READER})
        registered = services.service("https://west.library.example")

        assert registered is services.service("https://west.library.example", READER)
        assert services.same(registered.auth, READER)
        assert services.service("https://west.library.example", ANONYMOUS).auth is ANONYMOUS
        assert services.service("https://other.example").auth is None
        assert READER[1] not in repr(registered)
        assert repr(registered) == "<Service https://west.library.example auth=basic>"


def test_a_service_is_let_go_with_the_last_who_holds_it(
    services: ServiceManager, server: ScriptedServer
) -> None:
    service = services.service(server.url)
    resource = service.get("/")
    gone = weakref.ref(service)

    del service
    gc.collect()
    assert gone() is resource.service is services.service(server.url)

    del resource
    gc.collect()
    assert gone() is None


def test_64_threads_get_the_same_service(services: ServiceManager) -> None:
    spellings = ["https://Library.example", "https://library.example:443/"]
    jobs = at_once([lambda n=n: services.service(spellings[n % 2]) for n in range(64)])  # type: ignore[misc]

    assert len({id(job.result()) for job in jobs}) == 1


@pytest.mark.parametrize(
    ("prefix", "uri", "target"),
    [
        ("/api/west", "/books/7", "/base/api/west/books/7"),
        ("api/west/", "books/7?a=1", "/base/api/west/books/7?a=1"),
        ("/api/west", "", "/base/api/west"),
        ("/api/west", "?a=1", "/base/api/west?a=1"),
        ("", "/books/7", "/base/books/7"),
        ("", "", "/base"),
    ],
)
def test_a_prefix_stands_before_every_path(
    prefix: str, uri: str, target: str, services: ServiceManager, server: ScriptedServer
) -> None:
    service = services.service(f"{server.url}/base", prefix=prefix)

    assert service.get(uri).data["target"] == target
    assert service.get(f"{server.url}/elsewhere").data["target"] == "/elsewhere"
    shown = f"/{prefix.strip('/')}" if prefix else ""
    assert repr(service) == f"<Service {server.url}/base{shown} auth=none>"


@pytest.mark.parametrize("prefix", [None, 7, b"/api"])
def test_a_prefix_is_text(prefix: Any, services: ServiceManager) -> None:
    with pytest.raises(ConfigurationError, match="prefix must be a path such as '/api/west', not"):
        services.service("https://library.example", prefix=prefix)


@pytest.mark.parametrize("uri", ["https://other.example/1", "//other.example/1"])
def test_a_service_gives_nothing_of_another_origin(
    uri: str, services: ServiceManager, server: ScriptedServer
) -> None:
    with pytest.raises(CrossOriginError):
        services.service(server.url).get(uri)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_has_connections_is_not_copied(copied: Any, services: ServiceManager) -> None:
    for each in (services, services.service("https://library.example")):
        with pytest.raises(TypeError, match="has connections"):
            copied(each)


# --- other hooks, other connections ---------------------------------------------------------------


class Named(ConnectionHook):
    """Knows hosts by names of its own."""

    def __init__(self, **conns: Any) -> None:
        self.conns = conns

    def connect(self, host: Any, _auth: Any) -> Any:
        return self.conns.get(host)


class Foreign:
    """A connection of another kind: it sends and receives JSON, and that is all."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.seen: list[tuple[Any, ...]] = []

    def json_request(
        self,
        method: str,
        uri: str,
        body: Any = None,
        params: Any = None,
        extra_headers: Any = None,
    ) -> Any:
        self.seen.append((method, uri, body, params, extra_headers))
        return self.answers.get(uri)


def test_a_host_may_have_a_name_that_its_hook_knows(
    make_server: MakeServer, services: ServiceManager
) -> None:
    books, authors = make_server(), make_server()
    books.script(linking(author=f"{authors.url}/a/3", next="/books/8"))
    authors.script(linking(books=f"{books.url}/books"))
    conn = Connection(books.url, ANONYMOUS, registry=False, tracer_provider=False, logger=False)
    services.connections.add_conn_hook(Named(books=conn))
    service = services.service("books", ANONYMOUS)

    book = service.get("/books/7")
    assert book.url == f"{books.url}/books/7"
    assert book.follow("next").service is service
    # There and back again, by the same way.
    assert book.follow("author").follow("books").service is service
    assert repr(service) == "<Service books auth=none>"
    assert [request.connection for request in books.requests] == [1, 1, 1]
    conn.close()


def test_a_connection_of_another_kind_is_given_json_alone() -> None:
    host = "https://books.example"
    conn = Foreign(
        {
            "/books/7": {"see": {"author": "/authors/3"}, "tag": '"v7"'},
            f"{host}/authors/3": {"name": "Lem"},
        }
    )
    with unheard(Named(**{host: conn})) as manager:
        services = ServiceManager(manager, formats=[Reads()], credentials={"*": ANONYMOUS})
        # It doesn't tell its headers, so it is the caller who knows how it is to be read.
        book = services.service(host).get(
            "/books/7", params={"a": 1}, headers={"X": "y"}, formats=[Reads()]
        )
        author = book.follow("author")
        author.post({1, 2})
        book.put({"title": "Solaris"})
        refreshed = book.refresh()

    assert (book.url, book.status, book.response) == (f"{host}/books/7?a=1", None, None)
    assert book.etag == '"v7"'
    assert author.data == {"name": "Lem"}
    assert author.url == f"{host}/authors/3"
    # Not a condition that its answer could not tell of.
    assert refreshed is not book
    assert conn.seen == [
        ("GET", "/books/7", None, {"a": 1}, {"X": "y"}),
        ("GET", f"{host}/authors/3", None, None, {"X": "y"}),
        ("POST", f"{host}/authors/3", {1, 2}, None, {"X": "y"}),
        ("PUT", f"{host}/books/7?a=1", {"title": "Solaris"}, None, {"If-Match": '"v7"', "X": "y"}),
        ("GET", f"{host}/books/7?a=1", None, None, {"X": "y"}),
    ]
    assert repr(book) == f"<Resource {host}/books/7?a=1>"


def test_where_only_the_connection_knows_the_host_its_links_are_followed_there(
    server: ScriptedServer,
) -> None:
    conn = Foreign(
        {
            "/books/7?key=hunter2hunter2": {
                "see": {"author": "/a/{id}", "shop": f"{server.url}/7", "x": "ftp://a/"}
            },
            "/a/3": {"name": "Lem"},
        }
    )
    watched = Watched()
    with ConnectionManager(
        hooks=[Named(books=conn), DirectHook()], **watched.instruments
    ) as manager:
        services = ServiceManager(manager, formats=[Reads()], credentials={"*": ANONYMOUS})
        book = services.service("books", ANONYMOUS).get(
            "/books/7?key=hunter2hunter2", formats=[Reads()]
        )
        author = book.follow(
            Link(rel="author", href="/a/{id}", base=book.url, templated=True), id=3
        )
        assert (author.data, author.url) == ({"name": "Lem"}, "/a/3")
        assert author.refresh().data == {"name": "Lem"}
        with pytest.raises(LinkURLError):
            book.follow("x")
        # Nobody knows whether the document came by https.
        with pytest.raises(DowngradeError):
            book.follow("shop")

    assert "hunter2" not in repr(book)
    assert [uri for _, uri, *_ in conn.seen] == ["/books/7?key=hunter2hunter2", "/a/3", "/a/3"]
    first = watched.named("sleepwalker.follow")[0].attributes or {}
    assert first[names.ATTR_SOURCE_HOST] == first[names.ATTR_TARGET_HOST] == "books"
    assert first[names.ATTR_CROSS_HOST] is False


def test_a_connection_of_another_kind_is_asked_for_nothing_of_another_origin() -> None:
    conn = Foreign({})
    with unheard(Named(**{"https://books.example": conn})) as manager:
        service = ServiceManager(manager).service("https://books.example", ANONYMOUS)
        for uri in ("https://other.example/", "//other.example/"):
            with pytest.raises(CrossOriginError):
                service.get(uri)

    assert conn.seen == []


def test_a_mock_is_a_connection_of_another_kind() -> None:
    conn = mock.Mock(spec=Connection)
    conn.json_request.return_value = {"id": 7}
    with unheard(Named(books=conn)) as manager:
        assert ServiceManager(manager).service("books", ANONYMOUS).get("/7").data == {"id": 7}

    conn.json_request.assert_called_once_with("GET", "/7", None, None, None)


def test_a_connection_of_another_kind_sends_no_other_forms() -> None:
    conn = Foreign({})
    with unheard(Named(books=conn)) as manager:
        book = ServiceManager(manager).service("books", ANONYMOUS).get("/")
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            link = Link(rel="add", href="/add", base="/", method="POST", sends=kind)
            with pytest.raises(ConfigurationError, match="a Foreign sends JSON only"):
                book.act(link, {"a": "b"})
        book.patch({"a": 1})

    assert conn.seen[1:] == [
        ("PATCH", "/", {"a": 1}, None, {"Content-Type": "application/merge-patch+json"})
    ]


def test_a_class_of_connections_may_have_an_encoder_of_its_own(server: ScriptedServer) -> None:
    class Terse(Connection):
        class JsonEncoder(json.JSONEncoder):
            def default(self, o: Any) -> Any:
                return "terse" if isinstance(o, complex) else super().default(o)

    conn = Terse(server.url, ANONYMOUS, registry=False, tracer_provider=False, logger=False)
    with conn, unheard(Named(books=conn)) as manager:
        ServiceManager(manager).service("books", ANONYMOUS).request("POST", "/", json=[1j])

    assert server.requests[0].json() == ["terse"]


# --- following ------------------------------------------------------------------------------------


def test_links_are_followed_wherever_they_lead(
    make_server: MakeServer, services: ServiceManager
) -> None:
    books, authors, shop = make_server(), make_server(), make_server()
    books.script(linking(author=f"{authors.url}/authors/3"))
    authors.script(linking(shop=f"{shop.url}/lem"))
    shop.script(linking(book=f"{books.url}/books/8"))

    book = services.get(f"{books.url}/books/7")
    back = book.follow("author").follow("shop").follow("book")

    assert back.data["target"] == "/books/8"
    assert back.service is book.service
    assert [lines(s) for s in (books, authors, shop)] == [
        ["GET /books/7", "GET /books/8"],
        ["GET /authors/3"],
        ["GET /lem"],
    ]


def test_64_threads_follow_links_through_one_manager(
    make_server: MakeServer, services: ServiceManager
) -> None:
    def linked(request: Request) -> Action:
        return respond(200, {"Link": f"<{hosts[1].url}{request.target}>; rel=other"}, json=1)

    hosts = [make_server(linked), make_server()]
    jobs = at_once(
        [lambda n=n: services.get(f"{hosts[0].url}/{n}").follow("other") for n in range(64)]  # type: ignore[misc]
    )
    found = [job.result() for job in jobs]

    assert [resource.data["target"] for resource in found] == [f"/{n}" for n in range(64)]
    assert len({id(resource.service) for resource in found}) == 1
    assert len(services.connections.conns) == 2
    assert [host.count() for host in hosts] == [64, 64]


FIND: Final = {"_links": {"find": {"href": "/find{?rel,self,page}", "templated": True}}}


def test_a_template_gets_its_variables_whatever_their_names(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(200, HAL, json=FIND))
    start = services.get(server.url)

    assert start.follow("find", rel="a", self="b", page=2).data["target"] == (
        "/find?rel=a&self=b&page=2"
    )
    assert start.follow_link("find", {"self": "b"}).data["target"] == "/find?self=b"
    assert start.follow("find").data["target"] == "/find"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 3}, "the link's template has no variable size; it has rel, self, page"),
        ({1: 3}, "variables must be a mapping of the names in the link's template"),
        ([("page", 3)], "variables must be a mapping of the names in the link's template"),
        ("page", "variables must be a mapping of the names in the link's template"),
    ],
)
def test_variables_that_do_not_fit_are_an_error(
    wrong: Any, message: str, services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(200, HAL, json=FIND))
    start = services.get(server.url)
    with pytest.raises(TemplateError, match=message):
        start.follow_link("find", wrong)

    assert server.count() == 1


def test_a_method_is_the_same_whatever_its_case(
    services: ServiceManager, server: ScriptedServer
) -> None:
    start = services.get(server.url)
    get, post = (Link(rel="x", href="/x", base=server.url, method=m) for m in ("get", "post"))
    start.follow(get)
    start.act(post, {"a": 1})
    with pytest.raises(FormError):
        start.follow(post)

    assert lines(server)[1:] == ["GET /x", "POST /x"]


def test_a_form_that_changes_nothing_is_followed_with_its_defaults(
    services: ServiceManager, server: ScriptedServer
) -> None:
    fields = (Field("in", "stock"), Field("q", required=True))
    start = services.get(server.url)
    find = Link(rel="find", href="/find", base=server.url, fields=fields[:1])

    assert start.follow(find).data["target"] == "/find?in=stock"
    with pytest.raises(FormError, match="the form of 'find' requires q"):
        start.follow(replace(find, fields=fields))


@pytest.mark.parametrize("asked", ["autor", None, 7])
def test_a_missing_relation_names_those_that_are_there(
    asked: Any, services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(linking(author="/a", next="/n"))
    book = services.get(server.url)
    with pytest.raises(RelationError) as caught:
        book.follow(asked)

    assert str(caught.value) == f"there is no link {asked!r}; there are 'author', 'next'"
    with pytest.raises(RelationError):
        book.act(asked)
    with pytest.raises(RelationError):
        book.link(asked)


def test_there_is_more_to_say_about_a_following(
    make_server: MakeServer, services: ServiceManager
) -> None:
    books, authors = make_server(), make_server()
    author = [
        {"href": f"{authors.url}/{path}{{?id}}", "templated": True, "name": name}
        for path, name in (("b", "first"), ("a", "second"))
    ]
    books.script(respond(200, HAL, json={"_links": {"author": author}}))
    authors.script(respond(503), linking(self="/self"))
    start = services.get(books.url)

    found = start.follow_link(
        "author",
        {"id": 3},
        name="second",
        headers={"X-Reader": "me", "If-None-Match": '"v1"'},
        auth=lambda request: request,
        timeout=(1, 5),
        deadline=20,
        policy=Policy(attempts=2),
        template="/a",
    )
    found.follow("self")

    assert lines(authors) == ["GET /a?id=3", "GET /a?id=3", "GET /self"]
    # The caller's headers go where he says, and on from there.
    assert sent(authors, "X-Reader") == ["me", "me", "me"]
    assert sent(authors, "If-None-Match") == ['"v1"', '"v1"', None]
    assert found.service is not services.service(authors.url)
    assert found.service.auth is not ANONYMOUS


def test_who_we_are_may_be_said_for_the_same_host_too(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.default = linking(next="/base/2")
    first = services.service(f"{server.url}/base", ANONYMOUS).get("/1")
    same, other = (first.follow_link("next", auth=a) for a in (ANONYMOUS, lambda request: request))

    assert same.service is first.service
    assert other.service is not first.service
    # And so it stays.
    assert other.follow("next").service is other.service


@pytest.mark.parametrize(
    "wrong",
    [{"headers": ["no"]}, {"timeout": -1}, {"deadline": "no"}, {"policy": 7}, {"template": 7}],
)
def test_a_following_that_can_not_work_is_an_error_before_anything_is_sent(
    wrong: Any, services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(linking(author="/a"))
    book = services.get(server.url)
    with pytest.raises(ConfigurationError):
        book.follow_link("author", **wrong)

    assert server.count() == 1


def test_headers_of_one_request_stay_with_it(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.default = linking(self="/")
    headers = {
        "X-Tenant": "west",
        "Accept": "text/x",
        "If-None-Match": '"v1"',
        "Range": "bytes=0-",
        "Content-Language": "en",
        "Idempotency-Key": "k-1",
    }
    services.get(server.url, headers=headers).follow("self").refresh()

    got, followed, refreshed = (
        {name for name in headers if name in request.headers} for request in server.requests
    )
    assert got == set(headers)
    assert followed == refreshed == {"X-Tenant", "Accept"}


def test_an_error_at_the_target_has_the_request_and_the_response(
    make_server: MakeServer, services: ServiceManager
) -> None:
    books, authors = make_server(), make_server()
    books.script(linking(author=f"{authors.url}/a/3?key=hunter2hunter2"))
    authors.script(respond(404, json={"why": "moved away"}))
    book = services.get(books.url)
    with pytest.raises(HTTPNotFound) as caught:
        book.follow("author")

    assert caught.value.response.json() == {"why": "moved away"}
    assert caught.value.request.method == "GET"
    assert caught.value.attempts == 1
    assert f"{authors.url}/a/3" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_get_by_a_link_is_sent_again_as_any_other_and_a_post_is_not(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(linking(author="/a"), respond(503), respond(502), respond(json=3), respond(503))
    book = services.get(server.url)

    assert book.follow("author").data == 3
    with pytest.raises(sleepwalker.HTTPServiceUnavailable):
        book.act("author", {}, method="POST")
    assert lines(server)[1:] == ["GET /a", "GET /a", "GET /a", "POST /a"]


def test_a_key_makes_what_a_link_does_repeatable(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(linking(add="/add"), respond(503))
    link_ = services.get(server.url)
    link_.act("add", {"a": 1}, method="POST", idempotency_key=True)
    server.script(respond(503))
    link_.act("add", {"a": 1}, method="POST", idempotent=True)

    keys = sent(server, "Idempotency-Key")[1:]
    assert keys[0] is not None
    assert keys == [keys[0], keys[0], None, None]


def test_the_deadline_around_it_governs_a_following(server: ScriptedServer) -> None:
    server.script(linking(author="/a"), stall())
    # Real time: the clock that skips waits would not end a real stall.
    with ConnectionManager(
        hooks=[DirectHook()], registry=CollectorRegistry(), logger=False
    ) as manager:
        book = ServiceManager(manager, credentials={"*": ANONYMOUS}).get(server.url)
        with sleepwalker.deadline(0.5), pytest.raises(DeadlineExceeded) as caught:
            book.follow("author")

    assert caught.value.elapsed is not None
    assert 0.4 < caught.value.elapsed < 5


def test_links_are_followed_so_many_times_and_staying_is_no_hop(server: ScriptedServer) -> None:
    server.default = linking(next="/next")
    with unheard() as manager:
        services = ServiceManager(manager, credentials={"*": ANONYMOUS}, max_hops=2)
        last = services.get(server.url).follow("next").follow("next")
        for _ in range(3):
            last = last.refresh()
            last.put({})
        with pytest.raises(
            TooManyHopsError, match=r"ServiceManager\(max_hops=\.\.\.\) allows more"
        ):
            last.follow("next")


# --- sending what was changed ---------------------------------------------------------------------


def got(services: ServiceManager, server: ScriptedServer, **headers: str) -> Resource:
    """Get a resource with these headers; `_` stands for a dash."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    server.script(respond(200, given, json={"id": 7}))
    return services.get(f"{server.url}/books/7")


CHANGES: Final[dict[str, Any]] = {
    "PUT": lambda resource, **more: resource.put({"id": 8}, **more),
    "PATCH": lambda resource, **more: resource.patch({"id": 8}, **more),
    "DELETE": lambda resource, **more: resource.delete(**more),
}


@pytest.mark.parametrize("tag", ['"v1"', 'W/"v1"'])
@pytest.mark.parametrize("method", CHANGES)
def test_what_is_changed_is_sent_with_the_resources_own_tag(
    method: str, tag: str, services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server, ETag=tag, Last_Modified=RAN)
    CHANGES[method](book)

    (request,) = server.requests[1:]
    assert (request.method, request.target) == (method, "/books/7")
    assert request.headers.get("If-Match") == tag
    assert "If-Unmodified-Since" not in request.headers
    assert request.text == ("" if method == "DELETE" else '{"id": 8}')
    kinds = {"PUT": "application/json", "PATCH": "application/merge-patch+json", "DELETE": None}
    assert request.headers.get("Content-Type") == kinds[method]


@pytest.mark.parametrize(
    ("given", "more", "conditions"),
    [
        ({"ETag": '"v1"'}, {"if_match": '"v0"'}, ['"v0"', None]),
        ({"ETag": '"v1"'}, {"if_match": "*"}, ["*", None]),
        ({"ETag": '"v1"', "Last_Modified": RAN}, {"if_match": False}, [None, None]),
        ({"ETag": '"v1"'}, {"headers": {"if-match": '"v0"'}}, ['"v0"', None]),
        ({"ETag": '"v1"'}, {"headers": {"If-Match": None}}, [None, None]),
        ({"Last_Modified": RAN}, {}, [None, RAN]),
        ({}, {}, [None, None]),
    ],
)
def test_the_condition_is_the_callers_to_choose(
    given: Any, more: Any, conditions: Any, services: ServiceManager, server: ScriptedServer
) -> None:
    got(services, server, **given).put({}, **more)

    assert [sent(server, name)[1] for name in ("If-Match", "If-Unmodified-Since")] == conditions


@pytest.mark.parametrize("wrong", ["", None, 7, b'"v1"'])
def test_what_is_no_condition_is_an_error(
    wrong: Any, services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server, ETag='"v1"')
    with pytest.raises(ConfigurationError, match="if_match must be True, False or an entity tag"):
        book.put({}, if_match=wrong)

    assert server.count() == 1


def test_a_tag_may_stand_in_the_body(services: ServiceManager, server: ScriptedServer) -> None:
    server.script(respond(json={"tag": 'W/"5"'}))
    book = services.get(server.url, formats=[Reads()])
    book.put({})

    assert sent(server, "If-Match") == [None, 'W/"5"']


@pytest.mark.parametrize("method", CHANGES)
def test_a_change_over_another_is_refused(
    method: str, services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server, ETag='"v1"')
    server.script(respond(412))
    with pytest.raises(HTTPPreconditionFailed):
        CHANGES[method](book)

    assert server.count() == 2


def test_the_next_change_has_the_tag_of_the_last(
    services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server, ETag='"v1"')
    server.script(respond(204, {"ETag": '"v2"'}), respond(200, {"ETag": '"v3"'}, json={"id": 9}))
    book.put({"id": 8}).put({"id": 9}).delete()

    assert sent(server, "If-Match") == [None, '"v1"', '"v2"', '"v3"']


def test_settings_go_along_with_what_is_sent(
    services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server)
    server.script(respond(503))
    book.patch(
        [{"op": "remove", "path": "/id"}],
        media_type="application/json-patch+json",
        headers={"X-Reader": "me"},
        idempotency_key="k-1",
        timeout=5,
        deadline=20,
        policy=Policy(attempts=2),
        name="/books/{id}",
    )
    put = got(services, server)
    server.script(respond(503))
    with pytest.raises(sleepwalker.HTTPServiceUnavailable):
        put.put({}, idempotent=False)

    patches = [request for request in server.requests if request.method == "PATCH"]
    assert len(patches) == 2
    assert {r.headers["Content-Type"] for r in patches} == {"application/json-patch+json"}
    assert {r.headers["Idempotency-Key"] for r in patches} == {"k-1"}
    assert {r.headers["X-Reader"] for r in patches} == {"me"}


@pytest.mark.parametrize("method", ["put", "patch", "post", "delete", "refresh"])
def test_a_wrong_keyword_is_an_error_with_its_name(
    method: str, services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server)
    arguments: tuple[Any, ...] = () if method in {"delete", "refresh"} else ({},)
    with pytest.raises(
        TypeError, match=rf"{method}\(\) got an unexpected keyword argument 'tmeout'"
    ):
        getattr(book, method)(*arguments, tmeout=3)
    for wrong in ({"timeout": "no"}, {"policy": 7}, {"name": 7}, {"headers": {"X": 7}}):
        with pytest.raises(ConfigurationError):
            getattr(book, method)(*arguments, **wrong)
    if method != "refresh":
        with pytest.raises(ConfigurationError, match="idempotent must be"):
            getattr(book, method)(*arguments, idempotent="yes")

    assert server.count() == 1


def test_a_value_of_none_is_null_in_a_put_and_nothing_in_a_post(
    services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server)
    book.put(None)
    book.post()

    assert [
        (request.text, request.headers.get("Content-Type")) for request in server.requests[1:]
    ] == [
        ("null", "application/json"),
        ("", None),
    ]


# --- what is created ------------------------------------------------------------------------------


def test_what_a_post_created_is_the_resource_that_comes_of_it(
    services: ServiceManager, server: ScriptedServer
) -> None:
    shelf = services.service(server.url, prefix="/api")
    headers = {"Location": "/api/books/8", "ETag": '"new"', "Link": "<shelf>; rel=up"}
    server.script(respond(201, headers, json={"created": True}))
    book = shelf.request("POST", "/books", json={"title": "Solaris"})

    assert (book.status, book.data) == (201, {"created": True})
    assert book.url == f"{server.url}/api/books/8"
    # What the answer refers to, it refers to from where it was given.
    assert book.links.one("up").url() == f"{server.url}/api/shelf"
    # Its tag is the new book's; but what it says need not be all of the book.
    assert book.refresh().data["target"] == "/api/books/8"
    book.put({"title": "Eden"})
    book.delete(if_match=False)
    assert lines(server) == [
        "POST /api/books",
        "GET /api/books/8",
        "PUT /api/books/8",
        "DELETE /api/books/8",
    ]
    assert sent(server, "If-None-Match")[1] is None
    assert sent(server, "If-Match")[2:] == ['"new"', None]


def test_a_resource_may_create_others(services: ServiceManager, server: ScriptedServer) -> None:
    shelf = got(services, server, ETag='"shelf"')
    server.script(respond(201, {"Location": "8"}))
    book = shelf.post({"title": "Solaris"}, idempotency_key="k-1")

    assert book.url == f"{server.url}/books/8"
    assert shelf.url == f"{server.url}/books/7"
    assert sent(server, "If-Match") == [None, None]


def test_what_was_created_elsewhere_is_gone_to_by_the_rules_for_links(
    make_server: MakeServer, services: ServiceManager
) -> None:
    here, there = make_server(), make_server()
    here.script(respond(201, {"Location": f"{there.url}/8"}))
    made = services.service(here.url).request("POST", "/", headers={"X-Tenant": "west"}).refresh()

    assert made.data["target"] == "/8"
    assert made.service is services.service(there.url)
    assert sent(there, "X-Tenant") == [None]


def test_nothing_is_sent_to_where_it_was_created_unless_somebody_vouched_for_that(
    make_server: MakeServer,
) -> None:
    here, there = make_server(), make_server()
    here.script(respond(201, {"Location": f"{there.url}/8"}))
    with unheard() as manager:
        services = ServiceManager(manager, credentials={here.url: ANONYMOUS})
        made = services.service(here.url).request("POST", "/")
        assert made.refresh().data["target"] == "/8"
        with pytest.raises(LinkCredentialsError):
            made.put({"title": "Solaris"})

    assert lines(there) == ["GET /8"]


def test_from_https_it_is_not_gone_to_in_plaintext(
    tls_server: ScriptedServer, server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(respond(201, {"Location": f"{server.url}/8"}))
    with unheard(DirectHook(verify=str(ca.bundle))) as manager:
        services = ServiceManager(manager, credentials={"*": ANONYMOUS})
        made = services.service(tls_server.url).request("POST", "/")
        with pytest.raises(DowngradeError):
            made.refresh()

    assert server.count() == 0


@pytest.mark.parametrize("location", ["ftp://files.example/8", "https://[::1/", "/\\a.example"])
def test_a_location_that_leads_nowhere_is_never_taken_for_what_was_posted_to(
    location: str, services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(201, {"Location": location}))
    made = services.service(server.url).request("POST", "/books")
    with pytest.raises(LinkURLError):
        made.delete()

    assert lines(server) == ["POST /books"]


def test_other_answers_with_a_location_lead_there(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(202, {"Location": "/jobs/1"}))
    accepted = services.service(server.url).request("POST", "/books")

    assert accepted.url == f"{server.url}/books"
    assert accepted.location is not None
    assert accepted.follow(accepted.location).data["target"] == "/jobs/1"
    assert services.get(server.url).location is None


def test_after_a_redirect_to_what_came_of_it_the_resource_is_that(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(303, {"Location": "/results/1"}), respond(200, {"ETag": '"r"'}, json=1))
    result = services.service(server.url).request("POST", "/search", json={})
    server.script(respond(304))

    assert result.url == f"{server.url}/results/1"
    assert result.refresh() is result
    assert lines(server) == ["POST /search", "GET /results/1", "GET /results/1"]


# --- getting it again -----------------------------------------------------------------------------


def test_what_has_not_changed_is_the_very_same(
    services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server, ETag='W/"v1"', Last_Modified=RAN)
    server.script(respond(304, {"ETag": 'W/"v1"', "X-Age": "1"}))

    assert book.refresh(headers={"Cache-Control": "no-cache"}) is book
    request = server.requests[1]
    assert request.headers["If-None-Match"] == 'W/"v1"'
    assert request.headers["Cache-Control"] == "no-cache"
    assert "If-Modified-Since" not in request.headers


def test_what_it_is_redirected_to_is_another_one_though_it_has_the_same_tag(
    services: ServiceManager, server: ScriptedServer
) -> None:
    tag = {"ETag": '"1"'}
    server.script(
        respond(200, tag, json="old"),
        redirect(302, "/new"),
        respond(304, tag),
        redirect(302, "/new"),
        respond(200, tag, json="new"),
    )
    old = services.get(f"{server.url}/old")

    new = old.refresh()

    assert (new.url, new.data) == (f"{server.url}/new", "new")
    asked = [request.headers.get("If-None-Match") for request in server.requests]
    assert asked == [None, '"1"', '"1"', None, None]


def test_what_has_changed_is_another_one(services: ServiceManager, server: ScriptedServer) -> None:
    book = got(services, server, ETag='"v1"')
    server.script(respond(200, {"ETag": '"v2"'}, json={"id": 8}), respond(304))
    changed = book.refresh()

    assert (changed.data, changed.etag) == ({"id": 8}, '"v2"')
    assert (book.data, book.etag) == ({"id": 7}, '"v1"')
    assert changed.service is book.service
    assert changed.refresh() is changed
    assert sent(server, "If-None-Match") == [None, '"v1"', '"v2"']


def test_without_a_tag_the_time_of_the_last_change_counts(
    services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server, Last_Modified=RAN)
    server.script(respond(304))

    assert book.refresh() is book
    assert sent(server, "If-Modified-Since") == [None, RAN]


def test_without_either_it_is_just_got(services: ServiceManager, server: ScriptedServer) -> None:
    book = got(services, server)
    server.script(respond(304))

    # A condition of the caller's own says nothing of what is here.
    assert book.refresh(headers={"If-None-Match": "*"}).status == 304
    assert book.refresh().data["headers"].keys().isdisjoint({"if-none-match", "if-modified-since"})


@pytest.mark.parametrize("status", [200, 204])
def test_the_answer_to_a_change_is_no_representation_to_keep(
    status: int, services: ServiceManager, server: ScriptedServer
) -> None:
    book = got(services, server, ETag='"v1"')
    server.script(respond(status, {"ETag": '"v2"'}))
    refreshed = book.put({}).refresh()

    assert refreshed.data["target"] == "/books/7"
    assert sent(server, "If-None-Match") == [None, None, None]


def test_a_304_that_nobody_asked_for_is_what_it_is(
    services: ServiceManager, server: ScriptedServer
) -> None:
    server.script(respond(304, {"ETag": '"v1"'}))
    there = services.get(server.url, headers={"If-None-Match": '"v1"'})

    assert (there.status, there.data) == (304, None)
    assert there.refresh().status == 200
    assert sent(server, "If-None-Match") == ['"v1"', None]


def test_after_a_redirect_it_is_got_where_it_was_found(
    make_server: MakeServer, services: ServiceManager
) -> None:
    old, new = make_server(), make_server()
    old.script(respond(302, {"Location": f"{new.url}/books/7"}))
    new.script(respond(200, {"ETag": '"v1"', "Link": "<8>; rel=next"}, json=7), respond(304))
    book = services.get(f"{old.url}/b/7", headers={"X-Tenant": "west"})

    assert book.url == f"{new.url}/books/7"
    assert book.refresh() is book
    assert book.follow("next").url == f"{new.url}/books/8"
    assert lines(old) == ["GET /b/7"]
    assert sent(new, "X-Tenant") == [None, None, None]


# --- embedded resources ---------------------------------------------------------------------------

ORDERS: Final = {
    "_links": {
        "self": {"href": "/shop/orders"},
        "curies": [{"name": "ea", "href": "https://docs.example/rels/{rel}", "templated": True}],
    },
    "_embedded": {
        "ea:order": [
            {
                "_links": {"self": {"href": "/archive/30"}, "customer": {"href": "customers/1"}},
                "total": 3,
            },
            {"total": 5},
        ]
    },
}


@pytest.fixture
def orders(services: ServiceManager, server: ScriptedServer) -> Resource:
    """Give a collection of which one member says where it is, and one doesn't."""
    server.script(respond(200, {**HAL, "ETag": '"all"'}, json=ORDERS))
    return services.get(f"{server.url}/shop/orders")


@pytest.mark.parametrize("rel", ["ea:order", "EA:Order", "https://docs.example/rels/order"])
def test_what_is_embedded_is_a_resource_without_a_request(
    rel: str, orders: Resource, server: ScriptedServer
) -> None:
    first, second = orders.embedded(rel)

    assert (first.data["total"], second.data["total"]) == (3, 5)
    assert (first.url, second.url) == (f"{server.url}/archive/30", orders.url)
    assert (first.status, first.response, first.etag) == (None, None, None)
    assert repr(first) == f"<Resource {server.url}/archive/30>"
    assert orders.embedded("other") == []
    assert server.count() == 1


def test_its_links_are_resolved_against_its_document_and_lead_to_any_format(
    orders: Resource, server: ScriptedServer
) -> None:
    (first, _) = orders.embedded("ea:order")
    server.script(linking(orders="/shop/orders"))
    customer = first.follow("customer")

    assert customer.url == f"{server.url}/shop/customers/1"
    # It is no HAL, and its links are found all the same.
    assert list(customer.links) == ["orders"]


class Nests(LinkFormat):
    """Documents that say what they are once, at their top."""

    def recognizes(self, document: Document) -> bool:
        return "nest" in document.data

    def links(self, document: Document) -> Iterable[Link]:
        return [Link(rel="up", href="/up", base=document.url)]

    def embedded(self, document: Document) -> dict[str, list[Embedded]]:
        nested = document.data.get("nest", ())
        return {"item": [Embedded(each["at"], each) for each in nested]}


def test_it_is_read_by_the_format_that_its_document_has(server: ScriptedServer) -> None:
    places = ["/1", "urn:isbn:1", "/\\a", "https://me:secretly@a.example/", "https://[::1"]
    server.script(respond(json={"nest": [{"at": place} for place in places]}))
    with unheard() as manager:
        services = ServiceManager(
            manager, credentials={"*": ANONYMOUS}, formats=[Nests(), *DEFAULT_FORMATS]
        )
        first, *others = services.get(server.url).embedded("item")
        assert list(first.links) == ["up"]
        assert first.follow("up").data["target"] == "/up"
        assert first.refresh().url == f"{server.url}/1"
        for nowhere in others:
            with pytest.raises(LinkError, match="doesn't say where it is"):
                nowhere.refresh()


def test_it_is_got_from_where_it_is_in_any_case(orders: Resource, server: ScriptedServer) -> None:
    (first, _) = orders.embedded("ea:order")

    assert first.refresh().data["target"] == "/archive/30"
    first.delete()
    assert lines(server)[1:] == ["GET /archive/30", "DELETE /archive/30"]
    assert sent(server, "If-None-Match") == sent(server, "If-Match") == [None, None, None]


def test_one_that_is_nowhere_is_never_taken_for_its_document(
    orders: Resource, server: ScriptedServer
) -> None:
    (_, second) = orders.embedded("ea:order")
    sends: list[Callable[[], Any]]
    sends = [second.refresh, second.delete, second.post, lambda: second.put({})]
    for send in sends:
        with pytest.raises(LinkError, match="this embedded resource doesn't say where it is"):
            send()

    assert server.count() == 1


# --- the end --------------------------------------------------------------------------------------


def test_what_is_closed_connects_no_more(server: ScriptedServer) -> None:
    server.default = linking(next="/next")
    # Its own connections are those of a user who gave none.
    with ServiceManager(credentials={"*": ANONYMOUS}) as services:
        first = services.get(server.url)
        assert first.follow("next").status == 200
    server.wait_for(lambda: all(c.closed_by == "client" for c in server.connections))

    attempts: list[Callable[[], Any]]
    attempts = [first.refresh, lambda: first.follow("next"), lambda: services.get(server.url)]
    for attempt in attempts:
        with pytest.raises(ClosedError):
            attempt()


def test_a_callers_connections_are_the_callers(server: ScriptedServer) -> None:
    with unheard() as manager:
        with ServiceManager(manager, credentials={"*": ANONYMOUS}) as services:
            services.get(server.url)

        assert manager.find(server.url, ANONYMOUS).json_request("GET", "/")["target"] == "/"
        assert services.get(server.url).status == 200


def test_who_nobody_connects_for_is_an_error() -> None:
    with unheard(Named()) as manager:
        service = ServiceManager(manager).service("books", ANONYMOUS)
        with pytest.raises(EstablishmentError):
            service.get("/")


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": "https://a.example"},
        {"max_hops": 0},
        {"max_pages": True},
        {"formats": "hal"},
        {"crossing_headers": "X-Tenant"},
    ],
)
def test_a_manager_says_what_it_does_not_take(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        ServiceManager(**wrong)


# --- what is told ---------------------------------------------------------------------------------


def test_each_following_is_told_and_what_is_sent_to_a_resource_is_none(
    make_server: MakeServer,
) -> None:
    books, authors = make_server(), make_server()
    books.script(
        respond(
            200,
            HAL,
            json={**ORDERS, "_links": {"author": {"href": f"{authors.url}/a?key=hunter2hunter2"}}},
        )
    )
    authors.script(respond(200, {"Link": "</gone>; rel=next"}, json=1), respond(404))
    watched = Watched()
    hook = DirectHook(clock=watched.clock)
    with ConnectionManager(hooks=[hook], clock=watched.clock, **watched.instruments) as manager:
        start = ServiceManager(manager, credentials={"*": ANONYMOUS}).get(books.url)
        author = start.follow_link("author", template="/a")
        with pytest.raises(HTTPNotFound):
            author.follow("next")
        start.refresh()
        (first, _) = start.embedded("ea:order")
        first.follow("customer")

    told = [dict(span.attributes or {}) for span in watched.named("sleepwalker.follow")]
    where = [
        (s[names.ATTR_RELATION], s[names.ATTR_CROSS_HOST], s[names.ATTR_OUTCOME]) for s in told
    ]
    assert where == [
        ("author", True, "success"),
        ("next", False, "error"),
        ("customer", False, "success"),
    ]
    assert (told[0][names.ATTR_SOURCE_HOST], told[0][names.ATTR_TARGET_HOST]) == (
        books.url,
        authors.url,
    )
    # Each leads back to the document that its link stood in, an embedded one's to the whole.
    documents = [span.context for span in watched.named("sleepwalker.request")]
    back = [span.links[0].context for span in watched.named("sleepwalker.follow")]
    assert back == [documents[0], documents[1], documents[0]]
    assert [span.name for span in watched.spans].count("GET /a") == 1
    counted = {
        (sample, value)
        for sample, value in watched.samples().items()
        if names.LINK_FOLLOWS in sample
    }
    assert sum(value for _, value in counted) == 3
    assert "hunter2" not in repr(told) + repr(watched.lines)
    assert [line["host"] for line in watched.lines if line["event"] == "link.cross_host"] == [
        authors.url
    ]
