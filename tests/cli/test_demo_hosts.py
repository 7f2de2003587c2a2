"""The demo's hosts misbehave as the script says and count exactly, as plain sockets see it.

Rule: the client here is never ours, so that the proof can trust what the hosts count.
"""

from __future__ import annotations

import errno
import gc
import json
import socket
import ssl
import struct
import threading
from contextlib import closing
from http.client import HTTPSConnection, RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from sleepwalker.cli.demo import hosts as hosts_module
from sleepwalker.cli.demo.apis import (
    API_KEY,
    AUTHORS,
    BOOKS,
    ERRAND,
    NAMES,
    RESOURCES,
    REVIEWS,
    Authors,
    Books,
    Reply,
    Request,
    Reviews,
    Stranger,
)
from sleepwalker.cli.demo.faults import DECK, DECK_SIZE, FIRST_DECK_SIZE, Fault, Script
from sleepwalker.cli.demo.hosts import Host
from sleepwalker.cli.demo.ledger import Ledger
from sleepwalker.cli.demo.planted import (
    CALLERS,
    COOKIE,
    CREDENTIAL,
    HEADER,
    KINDS,
    Owned,
    Planted,
    basic,
)
from sleepwalker.links import DEFAULT_FORMATS, Document, Links, MediaType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sleepwalker.cli.demo.apis import Api
    from tests.servers import CertificateAuthority

URLS = {name: f"https://{name}.example" for name in NAMES}
SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-4bf92f3577b34da6a3ce929d0e0e4736-{SPAN}-01"

NOTHING = {CREDENTIAL: 0, COOKIE: 0, HEADER: 0, CALLERS: 0}

RESET = (ConnectionError, ssl.SSLEOFError)
"""What a reset looks like through TLS depends on when it comes, and on the Python."""


class Planned:
    """A script of these faults, and none after them."""

    def __init__(self, *faults: Fault | None) -> None:
        self._faults = list(faults)

    def next(self) -> Fault | None:
        return self._faults.pop(0) if self._faults else None


class TellingLedger(Ledger):
    """A ledger that a test can wait for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.has_unread = threading.Event()

    def unread(self) -> None:
        super().unread()
        self.has_unread.set()


class ReviewsHost:
    """The reviews' host, and what a test wants to know of it."""

    def __init__(self, ca: CertificateAuthority, *faults: Fault | None) -> None:
        self.planted = Planted(*NAMES)
        self.span_ids: list[str | None] = []
        self.ledger = TellingLedger(REVIEWS, self.planted, self.span_ids.append)
        self.api = Reviews(URLS, self.planted, self.ledger, warm=True)
        self.host = Host(
            self.api,
            "127.0.0.1",
            ca.server_context(),
            script=Planned(*faults),  # type: ignore[arg-type]
            ledger=self.ledger,
            planted=self.planted,
        )
        self._trust = ca.client_context()
        self.host.start()

    def connect(self) -> HTTPSConnection:
        return HTTPSConnection(*self.host.address, context=self._trust, timeout=10)

    def post(
        self, connection: HTTPSConnection, number: int = 1, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        body = json.dumps({"number": number, "book": "b", "author": 1, "stars": 5})
        connection.request(
            "POST",
            "/reviews",
            body,
            {API_KEY: self.api.api_key, **{k.replace("_", "-"): v for k, v in headers.items()}},
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read()), dict(response.headers)


@pytest.fixture
def reviews(ca: CertificateAuthority) -> Iterator[Callable[..., ReviewsHost]]:
    """Start hosts of reviews that end with the test, without an error of their own."""
    made = []

    def make(*faults: Fault | None) -> ReviewsHost:
        made.append(ReviewsHost(ca, *faults))
        return made[-1]

    yield make
    for each in made:
        each.host.stop()
        assert each.ledger.counts().errors == ()
        assert each.ledger.counts().open == 0


def test_a_host_counts_what_it_reads_and_answers(reviews: Callable[..., ReviewsHost]) -> None:
    host = reviews()
    with closing(host.connect()) as connection:
        first = host.post(connection, 7, traceparent=TRACEPARENT)
        cookie = first[2]["Set-Cookie"].partition(";")[0]
        second = host.post(connection, 8, Cookie=cookie)
    counts = host.ledger.counts()

    assert (first[0], second[0]) == (201, 201)
    assert "Set-Cookie" not in second[2]
    assert (counts.read, counts.unread, counts.arrived, counts.connections) == (2, 0, 1, 1)
    assert counts.statuses == {201: 2}
    assert counts.created == (7, 8)
    assert counts.own == {CREDENTIAL: 2, COOKIE: 1, HEADER: 0, CALLERS: 0}
    assert counts.leaked == NOTHING
    assert host.span_ids == [SPAN, None]


@pytest.mark.parametrize("kind", [CREDENTIAL, COOKIE, HEADER, CALLERS])
def test_a_host_notices_a_secret_of_another_host_wherever_it_stands(
    reviews: Callable[..., ReviewsHost], kind: str
) -> None:
    host = reviews()
    secret = host.planted.new(BOOKS, kind)
    with closing(host.connect()) as connection:
        host.post(connection, Referer=f"https://books.example/?q={secret}")
        host.post(connection)

    assert host.ledger.counts().leaked == {**NOTHING, kind: 1}


def test_a_host_notices_another_hosts_password_in_its_basic_form(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    user, password = host.planted.new_pair(BOOKS)
    with closing(host.connect()) as connection:
        host.post(connection, Authorization=f"Basic {basic(user, password)}")

    assert host.ledger.counts().leaked[CREDENTIAL] == 1


def test_a_key_keeps_a_review_from_being_created_again(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews(Fault.RESET_PROCESSED)
    with closing(host.connect()) as connection, pytest.raises(RESET):
        host.post(connection, Idempotency_Key="k")
    with closing(host.connect()) as connection:
        again = host.post(connection, Idempotency_Key="k")
    counts = host.ledger.counts()

    assert again[0] == 201
    assert again[1]["properties"] == {"id": 1, "book": "b", "stars": 5}
    assert (counts.read, counts.resent, counts.created) == (2, 1, (1,))
    assert counts.statuses == {201: 1}
    assert counts.faults == {Fault.RESET_PROCESSED: 1}


def test_without_a_key_a_review_is_created_again(reviews: Callable[..., ReviewsHost]) -> None:
    host = reviews()
    with closing(host.connect()) as connection:
        host.post(connection)
        host.post(connection)
    counts = host.ledger.counts()

    assert (counts.resent, counts.created) == (0, (1, 1))


def test_a_review_counts_as_accompanied_by_the_header_that_names_it_and_by_no_other(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    with closing(host.connect()) as connection:
        host.post(connection, 7, **{ERRAND: "review 7"})
        host.post(connection, 8, **{ERRAND: "review 7"})
        host.post(connection, 9)
    counts = host.ledger.counts()

    assert (counts.created, counts.accompanied) == ((7, 8, 9), 1)


def test_a_resource_counts_once_in_each_tour_however_often_it_is_asked_for(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    toured = []
    with closing(host.connect()) as connection:
        for tour, target in ((1, "/a"), (1, "/b?c=d"), (1, "/a"), (2, "/a"), (1, "/b?c=e")):
            connection.request("GET", target, headers={ERRAND: f"tour {tour}"})
            connection.getresponse().read()
            toured.append(host.ledger.counts().toured)

    assert toured == [1, 2, 2, 3, 3]


def test_a_request_that_is_reset_unread_is_counted_and_creates_nothing(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews(None, Fault.RESET_UNREAD)
    with closing(host.connect()) as connection:
        host.post(connection, 1)
        with pytest.raises(RESET):
            host.post(connection, 2)
    counts = host.ledger.counts()

    assert (counts.read, counts.unread, counts.created) == (1, 1, (1,))
    assert counts.faults == {Fault.RESET_UNREAD: 1}


def test_a_503_says_when_to_come_back_and_creates_nothing(
    reviews: Callable[..., ReviewsHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = reviews(Fault.UNAVAILABLE, Fault.UNAVAILABLE)
    with closing(host.connect()) as connection:
        monkeypatch.setattr("time.time", lambda: 784111777.4)
        odd = host.post(connection)
        monkeypatch.setattr("time.time", lambda: 784111776.4)
        even = host.post(connection)
    counts = host.ledger.counts()

    assert (odd[0], odd[2]["Retry-After"]) == (503, "1")
    assert (even[0], even[2]["Retry-After"]) == (503, "Sun, 06 Nov 1994 08:49:37 GMT")
    assert (counts.read, counts.created, counts.statuses) == (2, (), {503: 2})


def test_a_stall_processes_the_request_and_answers_nothing(
    reviews: Callable[..., ReviewsHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts_module, "STALL", 0.05)
    host = reviews(Fault.STALL)
    with closing(host.connect()) as connection, pytest.raises(RESET):
        host.post(connection)
    counts = host.ledger.counts()

    assert (counts.read, counts.created, counts.statuses) == (1, (1,), {})


def test_a_restarting_host_refuses_connections_and_comes_back_on_its_port(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    stopping = threading.Event()
    with closing(host.connect()) as idle:
        host.post(idle)
        restart = threading.Thread(target=host.host.restart, args=(30, stopping))
        restart.start()
        assert idle.sock.recv(1) == b""  # the host has closed its side: it is down
        with pytest.raises(ConnectionRefusedError) as refused:
            socket.create_connection(host.host.address)
        assert not host.host.up
    stopping.set()
    restart.join()
    with closing(host.connect()) as connection:
        again = host.post(connection)

    assert refused.value.errno == errno.ECONNREFUSED
    assert again[0] == 201
    assert host.host.up
    assert host.ledger.counts().faults == {"restart": 1}
    assert host.ledger.counts().read == 2


def test_a_request_that_arrives_as_a_host_goes_down_is_counted_as_unread(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    stopping = threading.Event()
    stopping.set()
    with closing(host.connect()) as idle:
        host.post(idle)
        restart = threading.Thread(target=host.host.restart, args=(0, stopping))
        restart.start()
        # Past the TLS layer, which would refuse to send once it has seen the host's side close.
        assert socket.socket.recv(idle.sock, 1, socket.MSG_PEEK) == b""
        idle.sock.sendall(b"GET /reviews HTTP/1.1\r\n\r\n")
        restart.join()
        assert host.ledger.has_unread.wait(10)

    assert (host.ledger.counts().read, host.ledger.counts().unread) == (1, 1)


def test_a_request_held_up_until_the_host_is_back_is_counted_as_unread_too(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    with closing(host.connect()) as held_up, closing(host.connect()) as other:
        host.post(held_up)
        host.host.restart(0.6, threading.Event())
        host.post(other)
        before = host.ledger.counts()
        held_up.sock.sendall(b"GET /reviews HTTP/1.1\r\n\r\n")
        assert host.ledger.has_unread.wait(10)
        after = host.ledger.counts()

    assert (before.read, before.unread, before.open) == (2, 0, 2)
    assert (after.read, after.unread) == (2, 1)


def test_a_host_that_stops_ends_a_connection_that_nobody_closes(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    with closing(host.connect()) as old, closing(host.connect()) as new:
        host.post(old)
        host.host.restart(0, threading.Event())
        host.post(new)
        before = host.ledger.counts()
        host.host.stop()
        after = host.ledger.counts()

    assert (before.open, after.open) == (2, 0)
    assert (after.read, after.unread) == (2, 0)


def test_a_client_that_leaves_during_the_handshake_has_asked_for_nothing(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    socket.create_connection(host.host.address).close()
    with closing(host.connect()) as connection:
        host.post(connection)

    counts = host.ledger.counts()
    assert (counts.arrived, counts.connections) == (2, 1)


def test_a_client_that_is_gone_before_the_handshake_leaves_no_socket(
    reviews: Callable[..., ReviewsHost],
) -> None:
    host = reviews()
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, address = server.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    host.host._listener.process_request(accepted, address)  # noqa: SLF001 - as if it had come by this
    host.host.stop()
    gc.collect()  # where a socket that was left open is told of, and fails the test

    assert accepted.fileno() == -1
    assert host.ledger.counts().connections == 0


def test_an_error_of_the_hosts_own_is_kept_for_the_proof(
    reviews: Callable[..., ReviewsHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = reviews()
    with monkeypatch.context() as patched:

        def fail(_: object) -> None:
            raise KeyError("stars")

        patched.setattr(host.api, "reply", fail)
        with closing(host.connect()) as connection, pytest.raises(RemoteDisconnected):
            host.post(connection)
    host.host.stop()
    errors = host.ledger.counts().errors
    host.ledger._errors.clear()  # noqa: SLF001 - the fixture wants none

    assert errors == ("reviews: KeyError: 'stars'",)


# The script


def test_the_same_seed_deals_the_same_faults_and_another_seed_others() -> None:
    def dealt(seed: int, host: str) -> list[Fault | None]:
        script = Script(seed, host)
        return [script.next() for _ in range(200)]

    assert dealt(1, "books") == dealt(1, "books")
    assert dealt(1, "books") != dealt(2, "books")
    assert dealt(1, "books") != dealt(1, "authors")


def test_each_deck_has_every_fault_as_often_as_it_says() -> None:
    script = Script(1, "books")
    first = [script.next() for _ in range(FIRST_DECK_SIZE)]
    second = [script.next() for _ in range(DECK_SIZE)]

    for deck in (first, second):
        assert sorted(fault for fault in deck if fault) == sorted(DECK)
    assert set(DECK) == set(Fault)


def test_with_faults_off_there_are_none() -> None:
    script = Script(1, "books", on=False)

    assert [script.next() for _ in range(100)] == [None] * 100


# The APIs


def ask(method: str, path: str, **headers: str) -> Request:
    return Request(method, path, {}, {k.replace("_", "-"): v for k, v in headers.items()}, None)


def links(url: str, reply: Reply) -> Links:
    """The links of an answer, as whoever asked at that URL reads them."""
    kind = reply.headers.get("Content-Type", "application/json")
    document = Document(
        url,
        MediaType.of(kind),
        data=reply.document,
        link_headers=tuple(filter(None, [reply.headers.get("Link")])),
    )
    read = [form for form in DEFAULT_FORMATS if form.recognizes(document)]
    return Links(link for form in read for link in form.links(document))


def books_and_login() -> tuple[Books, dict[str, str]]:
    books = Books(URLS, Planted(*NAMES), stranger="https://stranger.example")
    return books, {"Authorization": f"Basic {basic(books.user, books.password)}"}


def test_a_book_links_to_its_author_on_another_host_some_by_way_of_a_redirect() -> None:
    books, known = books_and_login()
    first, sixth = (books.reply(ask("GET", f"/books/{number}", **known)) for number in (1, 6))
    redirect = books.reply(ask("GET", "/books/6/author", **known))

    url = f"{URLS[BOOKS]}/books/1"
    assert links(url, first).one("author").url() == "https://authors.example/authors/1"
    assert links(url, sixth).one("author").url() == "https://books.example/books/6/author"
    assert links(url, first).one("preview").url() == "http://stranger.example/previews/1"
    assert links(url, first).one("seller").url() == "https://stranger.example/offers/1"
    assert (redirect.status, redirect.headers) == (
        307,
        {"Location": "https://authors.example/authors/3"},
    )
    assert books.reply(ask("GET", "/books/13", **known)).status == 404
    assert books.reply(ask("GET", "/books/1")).status == 401
    assert books.reply(ask("GET", "/books/1", Authorization="Basic eA==")).status == 401


def test_whoever_follows_all_links_of_all_hosts_comes_to_as_many_resources_as_there_are() -> None:
    planted = Planted(*NAMES)
    books, known = books_and_login()
    authors = Authors(URLS, planted)
    pair = f"Basic {basic(authors.client_id, authors.client_secret)}"
    token = authors.reply(ask("POST", "/token", Authorization=pair)).document["access_token"]
    reviews = Reviews(URLS, planted, Ledger(REVIEWS, planted, lambda _: None), warm=True)
    hosts: dict[str, tuple[Api, dict[str, str]]] = {
        URLS[BOOKS]: (books, known),
        URLS[AUTHORS]: (authors, {"Authorization": f"Bearer {token}"}),
        URLS[REVIEWS]: (reviews, {API_KEY: reviews.api_key}),
    }
    todo = [f"{URLS[name]}/{name}" for name in NAMES]
    found = set()
    while todo:
        url = todo.pop()
        parts = urlsplit(url)
        api, headers = hosts.get(f"{parts.scheme}://{parts.netloc}", (Stranger(), {}))
        if url in found or isinstance(api, Stranger):
            continue
        found.add(url)
        request = Request("GET", parts.path, dict(parse_qsl(parts.query)), headers, None)
        there = links(url, api.reply(request))
        wanted = ("item", "next", "book", "reviews", "preview", "seller")
        todo += [link.url() for rel in wanted for link in there.all(rel)]

    assert {name: sum(url.startswith(URLS[name]) for url in found) for name in NAMES} == RESOURCES


def test_a_token_is_good_until_it_expires_or_is_revoked() -> None:
    now = 100.0
    authors = Authors(URLS, Planted(*NAMES), monotonic=lambda: now)
    pair = f"Basic {basic(authors.client_id, authors.client_secret)}"

    def token() -> str:
        granted = authors.reply(ask("POST", "/token", Authorization=pair)).document
        assert granted["expires_in"] == 5.0
        return f"Bearer {granted['access_token']}"

    def status(authorization: str) -> int:
        return authors.reply(ask("GET", "/authors/1", Authorization=authorization)).status

    first = token()
    assert (status(first), status("Bearer x"), status(pair)) == (200, 401, 401)
    now = 104.9
    second = token()
    assert (status(first), status(second)) == (200, 200)
    now = 105.0
    assert (status(first), status(second)) == (401, 200)
    authors.revoke()
    assert (status(second), status(token())) == (401, 200)
    assert authors.reply(ask("POST", "/token", Authorization=first)).status == 401


def test_the_reviews_host_wakes_up_after_one_503() -> None:
    planted = Planted(*NAMES)
    api = Reviews(URLS, planted, Ledger(REVIEWS, planted, lambda _: None), warm=False)
    known = ask("GET", "/ready", X_Api_Key=api.api_key)

    assert [api.reply(known).status for _ in range(3)] == [503, 200, 200]
    assert api.reply(ask("GET", "/ready")).status == 403


# Planted secrets


def test_a_planted_secret_is_found_with_its_owner_and_kind() -> None:
    planted = Planted(*NAMES)
    cookie = planted.new(BOOKS, COOKIE)
    user, password = planted.new_pair(AUTHORS)

    assert planted.found_in(f"session={cookie}; Path=/") == {Owned(BOOKS, COOKIE)}
    assert planted.found_in(f"for {user}") == {Owned(AUTHORS, CREDENTIAL)}
    assert planted.found_in(f"Basic {basic(user, password)}") == {Owned(AUTHORS, CREDENTIAL)}
    assert planted.found_in("nothing of the kind") == set()


def test_no_two_planted_secrets_are_the_same() -> None:
    planted = Planted(*NAMES)
    made = [planted.new(BOOKS, COOKIE) for _ in range(100)]

    assert len(set(made)) == 100
    assert Planted(*NAMES).found_in(made[0]) == set()
    assert len(planted.needles) == len(NAMES) * len(KINDS)
