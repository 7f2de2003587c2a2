"""The test servers do what their actions say, as plain sockets and `http.client` see it.

Rule: the client here is never ours, so that a test of Sleepwalker can trust the server's counts.
"""

from __future__ import annotations

import http.client
import json
import netrc
import os
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
import requests
from requests.auth import HTTPDigestAuth

from tests.servers import (
    Action,
    Answer,
    CertificateAuthority,
    CertificateKind,
    DigestAlgorithm,
    ForwardProxy,
    Headers,
    MakeServer,
    NetrcFile,
    Request,
    RequireBasic,
    RequireBearer,
    RequireDigest,
    ScriptedServer,
    SetCookies,
    close_in_handshake,
    close_without_answer,
    cut,
    digest_response,
    echo,
    flood,
    garbage_status_line,
    hang_up,
    informational,
    raw,
    redirect,
    refuse_body,
    refused_port,
    reset_after_reading,
    reset_before_reading,
    reset_in_handshake,
    respond,
    restart,
    signal,
    stall,
    stall_before_reading,
    stall_handshake,
    trickle,
    truncated_body,
    truncated_chunked,
    tunnel,
    unanswered_port,
    wire,
)
from tests.servers.wire import BadRequestError, IncompleteRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE: Final = 5.0
RESET: Final = (
    "reset by peer"  # a close without an answer is a ConnectionResetError too, to http.client
)
CUT: Final = "EOF occurred in violation of protocol|UNEXPECTED_EOF"
"""How Python tells that a connection ended without TLS's good-bye; the latter before 3.11.4."""
TYPE: Final = b"Content-Type: application/json\r\n"
GET: Final = b"GET /books HTTP/1.1\r\nHost: h\r\n\r\n"


@contextmanager
def dial(server: ScriptedServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
        yield sock


def telling_cuts(context: ssl.SSLContext) -> ssl.SSLContext:
    """Give a context under which a cut is no fine end, as it is with Python from 3.11.4 on."""
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


@contextmanager
def browse(
    server: ScriptedServer, context: ssl.SSLContext | None = None
) -> Iterator[http.client.HTTPConnection]:
    client = (
        http.client.HTTPConnection("127.0.0.1", server.port, PATIENCE)
        if context is None
        else http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=PATIENCE, context=context
        )
    )
    with closing(client):
        yield client


def ask(
    client: http.client.HTTPConnection,
    method: str = "GET",
    target: str = "/",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    client.request(method, target, body, headers or {})
    with client.getresponse() as answer:
        return answer.status, answer.read()


def all_of(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def drain(client: http.client.HTTPConnection) -> None:
    """Read the bytes beneath any TLS to their end: some Pythons' ssl calls a reset an end, too."""
    while socket.socket.recv(client.sock, 65536):
        pass


def assert_reset_then_answered(server: ScriptedServer, context: ssl.SSLContext | None) -> None:
    with browse(server, context) as client:
        client.request("POST", "/")
        with pytest.raises(ConnectionResetError, match=RESET):
            drain(client)
        client.close()
        assert ask(client)[0] == 204


def exactly(sock: socket.socket, expected: bytes) -> None:
    got = b""
    while len(got) < len(expected):
        data = sock.recv(len(expected) - len(got))
        assert data, f"the server closed after {got!r}"
        got += data
    assert got == expected


# What is recorded


def test_a_request_is_recorded_as_it_was_sent(server: ScriptedServer) -> None:
    sent = (
        b"PUT /books/1?a=b%20c HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nx-two: 2\r\n"
        b'Content-Length: 7\r\n\r\n{"a":1}'
    )
    with dial(server) as sock:
        sock.sendall(sent)
        sock.recv(1)
    (request,) = server.requests
    assert (request.number, request.connection) == (1, 1)
    assert (request.method, request.target, request.path) == ("PUT", "/books/1?a=b%20c", "/books/1")
    assert (request.body, request.text, request.json()) == (b'{"a":1}', '{"a":1}', {"a": 1})
    assert request.headers["X-TWO"] == "1, 2"
    assert request.headers.get_all("x-Two") == ["1", "2"]
    assert request.headers.raw[1:3] == (("X-Two", "1"), ("x-two", "2"))
    assert request.client_cert is None
    assert server.connections[0].bytes_received == len(sent)


def test_headers_are_a_case_insensitive_mapping() -> None:
    headers = Headers([("A", "1"), ("b", "2"), ("a", "3")])
    assert dict(headers) == {"a": "1, 3", "b": "2"}
    assert len(headers) == 2
    assert "B" in headers
    assert "c" not in headers
    assert repr(headers) == "Headers([('A', '1'), ('b', '2'), ('a', '3')])"


def test_kept_alive_requests_share_a_connection_and_are_counted_on_it(
    server: ScriptedServer,
) -> None:
    with browse(server) as client:
        for target in ("/a", "/b", "/a"):
            assert ask(client, target=target)[0] == 200
    with browse(server) as client:
        ask(client, "POST", "/a")
    assert [request.connection for request in server.requests] == [1, 1, 1, 2]
    assert [request.number for request in server.requests] == [1, 2, 3, 4]
    assert [connection.requests for connection in server.connections] == [3, 1]
    assert server.count() == 4
    assert server.count(target="/a") == 3
    assert server.count(method="GET", target="/a") == 2


@pytest.mark.parametrize(
    ("request_line", "headers"),
    [("GET / HTTP/1.1", "Connection: Close\r\n"), ("GET / HTTP/1.0", "")],
)
def test_a_connection_ends_when_the_client_asks_for_it(
    server: ScriptedServer, request_line: str, headers: str
) -> None:
    with dial(server) as sock:
        sock.sendall(f"{request_line}\r\n{headers}\r\n".encode())
        assert all_of(sock).startswith(b"HTTP/1.1 200 OK\r\n")
    server.wait_for(lambda: server.connections[0].closed_by == "server")


def test_a_chunked_body_is_read_whole(server: ScriptedServer) -> None:
    with browse(server) as client:
        client.request("POST", "/", iter([b"one ", b"two"]), encode_chunked=True)
        assert json.loads(client.getresponse().read())["body"] == "one two"
        assert ask(client)[0] == 200
    assert server.requests[0].body == b"one two"
    assert "Content-Length" not in server.requests[0].headers


def test_a_client_that_expects_100_gets_it_before_its_body(server: ScriptedServer) -> None:
    with dial(server) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        exactly(sock, b"HTTP/1.1 100 Continue\r\n\r\n")
        assert server.requests == []
        sock.sendall(b"ok")
        exactly(sock, b"HTTP/1.1 200 OK\r\n")
    assert server.requests[0].body == b"ok"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\nInjected: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ],
)
def test_a_malformed_request_is_the_clients_fault_and_no_request(
    server: ScriptedServer, sent: bytes
) -> None:
    with dial(server) as sock:
        sock.sendall(sent)
        exactly(sock, b"HTTP/1.1 400 Bad Request\r\n")
    server.wait_for(lambda: server.connections[0].closed_by is not None)
    assert isinstance(server.connections[0].error, BadRequestError)
    assert server.requests == []


def test_a_client_is_told_of_its_malformed_request_though_it_sends_on(
    server: ScriptedServer,
) -> None:
    with dial(server) as sock:
        sock.sendall(b"nonsense\r\n\r\n" + b"x" * 10**7)
        exactly(sock, b"HTTP/1.1 400 Bad Request\r\n")


def test_a_request_cut_short_is_no_request(server: ScriptedServer) -> None:
    sent = b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf"
    with dial(server) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b""
    (connection,) = server.connections
    server.wait_for(lambda: connection.closed_at is not None)
    assert isinstance(connection.error, IncompleteRequestError)
    assert connection.bytes_received == len(sent)
    assert (connection.requests, server.requests) == (0, [])
    assert connection.closed_by == "client"


def test_who_closed_a_connection_is_recorded(server: ScriptedServer) -> None:
    before = time.monotonic()
    with browse(server) as client:
        ask(client)
        assert server.connections[0].closed_by is None
    (connection,) = server.connections
    server.wait_for(lambda: connection.closed_at is not None)
    assert connection.closed_by == "client"
    assert connection.closed_at is not None
    assert before <= connection.accepted_at <= server.requests[0].received_at
    assert server.requests[0].received_at <= connection.closed_at <= time.monotonic()


# What it answers


def test_the_script_is_used_in_order_and_then_the_default(server: ScriptedServer) -> None:
    server.script(respond(503), respond(201, json=None))
    server.default = respond(204)
    with browse(server) as client:
        assert ask(client) == (503, b"")
        server.script(lambda request: respond(418, body=request.target.encode()))
        assert ask(client) == (201, b"null")
        assert ask(client, target="/tea") == (418, b"/tea")
        assert [ask(client), ask(client)] == [(204, b""), (204, b"")]


def test_a_handler_answers_by_the_request(make_server: MakeServer) -> None:
    def handler(request: Request) -> Action | list[Action]:
        if request.method == "POST":
            return [informational(102), respond(201)]
        return respond(200, body=request.target.encode())

    server = make_server(handler)
    with browse(server) as client:
        assert ask(client, target="/a") == (200, b"/a")
    with dial(server) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\n\r\n")
        exactly(sock, b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Created\r\n")


def test_the_echo_tells_what_came(server: ScriptedServer) -> None:
    with browse(server) as client:
        status, body = ask(client, "POST", "/a?b", b"\xc3\xa9", {"X-Y": "z"})
    seen = json.loads(body)
    assert (status, seen["method"], seen["target"], seen["body"]) == (200, "POST", "/a?b", "é")
    assert seen["headers"]["x-y"] == "z"


@pytest.mark.parametrize(
    ("action", "method", "expected"),
    [
        (respond(), "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (respond(body=b"abc"), "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        (respond(body=b"abc"), "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
        (respond(204), "GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (respond(304, {"ETag": "x"}), "GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
        (
            respond(799, {"CONTENT-LENGTH": "0"}),
            "GET",
            b"HTTP/1.1 799 Unknown\r\nCONTENT-LENGTH: 0\r\n\r\n",
        ),
        (
            respond(200, [("A", "1"), ("A", "2")], json=[]),
            "GET",
            b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\n" + TYPE + b"Content-Length: 2\r\n\r\n[]",
        ),
        (
            respond(200, {"content-type": "x/y"}, json=1),
            "GET",
            b"HTTP/1.1 200 OK\r\ncontent-type: x/y\r\nContent-Length: 1\r\n\r\n1",
        ),
        (
            redirect(307, "/b"),
            "GET",
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            respond(200, close=True),
            "GET",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ),
        (raw(b"\x00\x01") + raw(wire(204)), "GET", b"\x00\x01HTTP/1.1 204 No Content\r\n\r\n"),
        (
            informational(103, {"Link": "</a>"}) + respond(204),
            "GET",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        ),
        (trickle(wire(204), 0.0), "GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
def test_an_answer_is_these_bytes_and_no_others(
    server: ScriptedServer, action: Action, method: str, expected: bytes
) -> None:
    server.script(action)
    with dial(server) as sock:
        sock.sendall(f"{method} / HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        assert all_of(sock) == expected


def test_a_closing_answer_closes_though_the_client_did_not_ask(server: ScriptedServer) -> None:
    server.script(respond(200, close=True))
    with dial(server) as sock:
        sock.sendall(GET)
        assert all_of(sock).endswith(b"\r\n\r\n")


def test_an_answer_has_a_body_or_json() -> None:
    with pytest.raises(ValueError, match="not both"):
        respond(200, body=b"a", json={})


# Faults after the request was read


@pytest.mark.parametrize("secure", [False, True])
def test_a_reset_after_reading_leaves_a_recorded_request(
    make_server: MakeServer, ca: CertificateAuthority, *, secure: bool
) -> None:
    server = make_server(tls=secure)
    server.script(reset_after_reading(), respond(204))
    assert_reset_then_answered(server, ca.client_context() if secure else None)
    assert [request.method for request in server.requests] == ["POST", "GET"]
    assert server.connections[0].closed_by == "server"
    assert server.connections[0].requests == 1


def test_a_reset_can_come_in_the_middle_of_an_answer(server: ScriptedServer) -> None:
    server.script(raw(b"HTTP/1.1 200 OK\r\n") + reset_after_reading() + raw(b"never sent"))
    with dial(server) as sock:
        sock.sendall(GET)
        exactly(sock, b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(ConnectionResetError, match=RESET):
            sock.recv(1)


@pytest.mark.parametrize("secure", [False, True])
def test_closing_without_an_answer_leaves_a_recorded_request(
    make_server: MakeServer, ca: CertificateAuthority, *, secure: bool
) -> None:
    server = make_server(tls=secure)
    server.script(close_without_answer())
    with (
        browse(server, ca.client_context() if secure else None) as client,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        ask(client)
    server.wait_for(lambda: server.connections[0].closed_by == "server")
    assert server.count() == 1


@pytest.mark.parametrize(
    ("action", "partial"),
    [
        (truncated_body(b"abc"), b"abc"),
        (truncated_body(b"abc", length=4), b"abc"),
        (truncated_body(b"", length=1), b""),
        (truncated_chunked(b"abc"), b"abc"),
    ],
)
def test_a_truncated_body_lacks_its_end(
    server: ScriptedServer, action: Action, partial: bytes
) -> None:
    server.script(action)
    with browse(server) as client, pytest.raises(http.client.IncompleteRead) as caught:
        ask(client)
    assert caught.value.partial == partial


def test_a_garbage_status_line_is_not_http(server: ScriptedServer) -> None:
    server.script(garbage_status_line())
    with browse(server) as client, pytest.raises(http.client.BadStatusLine):
        ask(client)


def test_a_stall_answers_nothing_until_its_event(server: ScriptedServer) -> None:
    event = threading.Event()
    server.script(stall(event) + respond(204))
    with dial(server) as sock:
        sock.sendall(GET)
        server.wait_for(lambda: server.count() == 1)
        sock.settimeout(0)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.settimeout(PATIENCE)
        event.set()
        exactly(sock, b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("action", [stall(), stall(threading.Event()), trickle(b"a" * 9, 60)])
def test_a_wait_ends_when_the_client_leaves(
    make_server: MakeServer, ca: CertificateAuthority, action: Action, *, secure: bool
) -> None:
    server = make_server(tls=secure)
    server.script(action + respond(204))
    with browse(server, ca.client_context() if secure else None) as client:
        client.request("GET", "/")
        server.wait_for(lambda: server.count() == 1)
        assert server.connections[0].closed_by is None
    server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_a_request_can_stay_unread_until_an_event(server: ScriptedServer) -> None:
    event = threading.Event()
    server.script(stall_before_reading(event) + respond(204))
    with dial(server) as sock:
        sock.sendall(GET)
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        assert server.count() == 0
        sock.settimeout(PATIENCE)
        event.set()
        exactly(sock, b"HTTP/1.1 204 No Content\r\n\r\n")
    assert server.count() == 1


def test_what_stays_unread_for_ever_ends_with_the_client(server: ScriptedServer) -> None:
    server.script(stall_before_reading())
    with dial(server) as sock:
        sock.sendall(GET)
        server.wait_for(lambda: len(server.connections) == 1)
    server.wait_for(lambda: server.connections[0].closed_by == "client")
    assert server.connections[0].bytes_received == 0


def test_a_server_can_hang_up_at_the_first_byte_whatever_it_is(server: ScriptedServer) -> None:
    server.script(hang_up(b"what?"))
    with dial(server) as sock:
        sock.sendall(b"\x16")
        assert all_of(sock) == b"what?"
    assert server.connections[0].closed_by == "server"
    assert server.requests == []


def test_a_flood_lasts_until_the_client_leaves(server: ScriptedServer) -> None:
    server.script(flood(b"0123456789"))
    with dial(server) as sock:
        sock.sendall(GET)
        exactly(sock, b"0123456789" * 100_000)
        assert server.connections[0].closed_by is None
    server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_a_signal_tells_what_was_done_before_it(server: ScriptedServer) -> None:
    event = threading.Event()
    server.script(respond(204) + signal(event) + stall())
    with dial(server) as sock:
        assert not event.is_set()
        sock.sendall(GET)
        assert event.wait(PATIENCE)
        sock.settimeout(0)
        exactly(sock, b"HTTP/1.1 204 No Content\r\n\r\n")


HALF_A_POST: Final = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\nbegun"


def test_a_body_that_is_refused_can_be_read_to_its_end(server: ScriptedServer) -> None:
    server.script(refuse_body(413, {"X-Why": "size"}))
    with dial(server) as sock:
        sock.sendall(HALF_A_POST)
        answer = all_of(sock)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"X-Why: size\r\n" in answer
        assert b"Connection: close\r\n" in answer
        sock.sendall(b"x" * 100_000)  # nobody resets it
    server.wait_for(lambda: server.connections[0].closed_at is not None)
    assert server.connections[0].closed_by == "server"
    assert server.count() == 0


def test_a_body_that_is_refused_can_be_closed_upon(server: ScriptedServer) -> None:
    server.script(refuse_body(rest="close"))
    with dial(server) as sock:
        sock.sendall(HALF_A_POST)
        answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")
        server.wait_for(lambda: server.connections[0].closed_at is not None)
        sock.sendall(b"x")  # which the other end answers with a reset
        with pytest.raises(BrokenPipeError):
            sock.sendall(b"x")
    assert server.count() == 0


def test_a_body_that_is_refused_can_be_left_unread(server: ScriptedServer) -> None:
    server.script(refuse_body(rest="stall"))
    with dial(server) as sock:
        sock.sendall(HALF_A_POST)
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.sendall(b"x" * 50_000_000)
        assert server.connections[0].closed_by is None
        server.close()  # which a client that can't get rid of its bytes does not show
    assert server.connections[0].closed_by == "server"
    assert server.count() == 0


def test_a_body_that_is_refused_does_not_answer_twice(server: ScriptedServer) -> None:
    server.script(refuse_body(), respond(204))
    with dial(server) as sock:
        sock.sendall(GET + GET)
        assert all_of(sock).count(b"HTTP/1.1 ") == 1
    with browse(server) as client:
        assert ask(client)[0] == 204


def test_a_cut_lacks_the_good_bye_of_tls(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(raw(b"half") + cut(), raw(b"whole") + close_without_answer())
    context = telling_cuts(ca.client_context())
    for data, ends in (
        (b"half", pytest.raises(ssl.SSLError, match=CUT)),
        (b"whole", nullcontext()),
    ):
        with (
            dial(tls_server) as sock,
            context.wrap_socket(
                sock, server_hostname="localhost", suppress_ragged_eofs=False
            ) as client,
        ):
            client.sendall(GET)
            exactly(client, data)
            with ends:
                assert client.recv(1) == b""
    assert [connection.closed_by for connection in tls_server.connections] == ["server"] * 2


def test_a_trickle_takes_its_time(server: ScriptedServer) -> None:
    server.script(trickle(b"abcd", 0.02))
    with dial(server) as sock:
        begun = time.monotonic()
        sock.sendall(GET)
        exactly(sock, b"abcd")
        assert time.monotonic() - begun >= 4 * 0.02


# Faults before the request is read


@pytest.mark.parametrize("secure", [False, True])
def test_a_reset_before_reading_leaves_no_request_and_no_byte(
    make_server: MakeServer, ca: CertificateAuthority, *, secure: bool
) -> None:
    server = make_server(tls=secure)
    server.script(reset_before_reading(), respond(204))
    assert_reset_then_answered(server, ca.client_context() if secure else None)
    assert [request.method for request in server.requests] == ["GET"]
    (connection, _) = server.connections
    assert (connection.bytes_received, connection.requests) == (0, 0)
    assert connection.closed_by == "server"
    assert connection.handshaken is secure


def test_a_reset_after_the_head_leaves_the_body_unread(server: ScriptedServer) -> None:
    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    server.script(reset_before_reading(head=True))
    with dial(server) as sock:
        sock.sendall(head)
        with pytest.raises(ConnectionResetError, match=RESET):
            sock.recv(1)
    assert server.requests == []
    assert server.connections[0].bytes_received == len(head)


def test_a_kept_alive_connection_can_be_reset_at_its_next_request(server: ScriptedServer) -> None:
    server.script(respond(204), reset_before_reading())
    with dial(server) as sock:
        sock.sendall(GET)
        exactly(sock, b"HTTP/1.1 204 No Content\r\n\r\n")
        sock.sendall(GET)
        with pytest.raises(ConnectionResetError, match=RESET):
            sock.recv(1)
    assert [connection.requests for connection in server.connections] == [1]


@pytest.mark.parametrize("secure", [False, True])
def test_a_client_that_leaves_uses_up_no_answer(
    make_server: MakeServer, ca: CertificateAuthority, *, secure: bool
) -> None:
    server = make_server(tls=secure)
    server.script(respond(204), reset_before_reading())
    with dial(server) as sock:
        client = (
            ca.client_context().wrap_socket(sock, server_hostname="127.0.0.1") if secure else sock
        )
        with client:
            client.sendall(GET)
            exactly(client, b"HTTP/1.1 204 No Content\r\n\r\n")
            if isinstance(client, ssl.SSLSocket):
                client.unwrap()  # a good-bye of several bytes
    server.wait_for(lambda: server.connections[0].closed_by == "client")
    assert repr(server).endswith("connections=1 requests=1 script=1>")


# TLS


def test_a_good_certificate_is_good_for_every_name(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=True)
    for name in ("127.0.0.1", "localhost", "::1"):
        with (
            dial(server) as sock,
            ca.client_context().wrap_socket(sock, server_hostname=name) as client,
        ):
            client.sendall(GET)
            exactly(client, b"HTTP/1.1 200 OK\r\n")
    assert [connection.handshaken for connection in server.connections] == [True] * 3


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("wrong name", "mismatch"),
        ("expired", "expired"),
        ("unknown authority", "unable to get local issuer certificate|self.signed"),
    ],
)
def test_a_bad_certificate_is_bad_in_one_way(
    make_server: MakeServer, ca: CertificateAuthority, kind: CertificateKind, reason: str
) -> None:
    server = make_server(tls=ca.server_context(kind))
    with (
        browse(server, ca.client_context()) as client,
        pytest.raises(ssl.SSLCertVerificationError, match=reason),
    ):
        ask(client)
    server.wait_for(lambda: server.connections[0].closed_by == "client")
    assert server.requests == []


def test_a_stalled_handshake_goes_on_after_its_event(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    event = threading.Event()
    tls_server.script(stall_handshake(event) + respond(201), stall_handshake(), respond(202))
    with browse(tls_server, ca.client_context()) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, client)
        tls_server.wait_for(lambda: len(tls_server.connections) == 1)
        assert not tls_server.connections[0].handshaken
        event.set()
        assert answer.result(PATIENCE)[0] == 201
        # The next stall is for a new connection; this one passes it by.
        assert ask(client)[0] == 202
    assert tls_server.connections[0].requests == 2


def test_a_stalled_handshake_times_out_and_ends_with_the_client(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(stall_handshake())
    with dial(tls_server) as sock:
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            ca.client_context().wrap_socket(sock, server_hostname="localhost")
    tls_server.wait_for(lambda: tls_server.connections[0].closed_by == "client")
    assert tls_server.connections[0].bytes_received == 0
    assert tls_server.requests == []


def test_a_close_in_the_handshake_is_no_reset(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(close_in_handshake())
    with browse(tls_server, telling_cuts(ca.client_context())) as client:
        with pytest.raises(ssl.SSLError, match=CUT):
            ask(client)
        client.close()
        assert ask(client)[0] == 200
    (connection, _) = tls_server.connections
    assert (connection.handshaken, connection.closed_by) == (False, "server")
    assert connection.bytes_received == 0


def test_a_reset_in_the_handshake_is_one(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(reset_in_handshake())
    with browse(tls_server, ca.client_context()) as client:
        with pytest.raises(ConnectionResetError, match=RESET):
            ask(client)
        client.close()
        assert ask(client)[0] == 200
    (connection, _) = tls_server.connections
    assert (connection.handshaken, connection.closed_by) == (False, "server")


def test_a_required_client_certificate_is_recorded(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    cert = ca.client_certificate("walker")
    with browse(server, ca.client_context(cert)) as client:
        assert ask(client)[0] == 200
    assert server.requests[0].client_cert is not None
    assert server.requests[0].client_name == "walker"


def test_a_client_without_the_required_certificate_is_told_so(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    with (
        browse(server, ca.client_context()) as client,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
    ):
        ask(client)
    server.wait_for(lambda: server.connections[0].closed_by == "server")
    assert isinstance(server.connections[0].error, ssl.SSLError)
    assert server.requests == []


def test_a_refused_client_may_send_on_before_it_reads_why(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    with (
        dial(server) as sock,
        ca.client_context().wrap_socket(sock, server_hostname="localhost") as client,
    ):
        server.wait_for(lambda: server.connections[0].closed_by == "server")
        for _ in range(3):
            client.sendall(GET)
        with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"):
            client.recv(1)


def test_two_tls_hosts_are_two_names(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer], ca: CertificateAuthority
) -> None:
    first, second = two_tls_hosts
    assert urlsplit(first.url).hostname == "127.0.0.1"
    assert urlsplit(second.localhost_url).hostname == "localhost"
    assert first.port != second.port
    for server in two_tls_hosts:
        with browse(server, ca.client_context()) as client:
            assert ask(client)[0] == 200
        assert server.count() == 1


def test_a_server_can_live_on_ipv6(make_server: MakeServer) -> None:
    try:
        server = make_server(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert server.url == f"http://[::1]:{server.port}"
    with closing(http.client.HTTPConnection("::1", server.port, PATIENCE)) as client:
        assert ask(client)[0] == 200


# Mistakes of the test itself


@pytest.mark.parametrize(
    "answer",
    [
        [respond(200), reset_before_reading()],
        [respond(200), stall_handshake()],
        [reset_before_reading(head=True), close_in_handshake()],
        [],
    ],
)
def test_an_impossible_order_is_refused_at_once(
    tls_server: ScriptedServer, answer: Sequence[Action]
) -> None:
    with pytest.raises(ValueError, match=r"too late|no action"):
        tls_server.script(answer)


def test_a_server_without_tls_can_not_stall_a_handshake(server: ScriptedServer) -> None:
    with pytest.raises(ValueError, match="no TLS"):
        server.script(stall_handshake())
    with pytest.raises(ValueError, match="no TLS"):
        server.default = close_in_handshake()


def _fails(request: Request) -> Action:
    raise LookupError(request.target)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(_fails, LookupError), (lambda _: reset_before_reading(), ValueError)],
)
def test_a_handlers_mistake_is_a_500_and_fails_the_test(
    answer: Answer, kind: type[Exception]
) -> None:
    with pytest.raises(kind), ScriptedServer(answer) as server, browse(server) as client:
        assert ask(client, target="/a")[0] == 500


def test_a_failed_test_is_not_hidden_by_a_handlers_mistake() -> None:
    def failing() -> None:
        with ScriptedServer(_fails) as server, browse(server) as client:
            assert ask(client)[0] == 200

    with pytest.raises(AssertionError, match="500"):
        failing()


def test_waiting_for_what_never_happens_fails_and_says_what_did(server: ScriptedServer) -> None:
    with browse(server) as client:
        ask(client)
        with pytest.raises(AssertionError, match=r"not within 0\.01 s: .*requests=1"):
            server.wait_for(lambda: server.count() == 2, timeout=0.01)


# Its life


def test_a_stopped_server_refuses_and_a_started_one_has_the_same_port(
    server: ScriptedServer,
) -> None:
    with browse(server) as client:
        assert ask(client)[0] == 200
        server.stop()
        with pytest.raises(http.client.RemoteDisconnected):
            ask(client)
        client.close()
        with pytest.raises(ConnectionRefusedError):
            ask(client)
        client.close()
        server.start()
        assert ask(client)[0] == 200
    assert [connection.closed_by for connection in server.connections][:1] == ["server"]
    assert server.count() == 2
    with pytest.raises(RuntimeError, match="is listening"):
        server.start()


def test_a_restart_closes_connections_and_keeps_script_and_port(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    port = tls_server.port
    with browse(tls_server, ca.client_context()) as client:
        ask(client)
        tls_server.script(respond(204))
        tls_server.restart()
        client.close()
        assert ask(client)[0] == 204
    assert tls_server.port == port
    assert len(tls_server.connections) == 2


def test_a_server_restarts_itself_in_the_middle_of_a_request(server: ScriptedServer) -> None:
    server.script(respond(200), restart() + respond(500))
    with browse(server) as other, browse(server) as client:
        assert ask(other)[0] == 200
        with pytest.raises(http.client.RemoteDisconnected):
            ask(client, "POST")
        server.wait_for(lambda: server.starts == 2)
        client.close()
        assert ask(client)[0] == 200
        server.wait_for(lambda: server.connections[1].closed_by is not None)
    assert [record.closed_by for record in server.connections][:2] == ["server", "server"]
    assert [request.method for request in server.requests] == ["GET", "POST", "GET"]


def test_a_refused_port_refuses() -> None:
    with refused_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), PATIENCE)


def test_an_unanswered_port_does_not_answer() -> None:
    with unanswered_port() as port:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port), 0.05)


def test_64_threads_are_served_at_once_with_exact_counts(make_server: MakeServer) -> None:
    barrier = threading.Barrier(64)

    def handler(request: Request) -> Action:
        if request.target == "/first":
            barrier.wait(PATIENCE)  # passes only if 64 requests are under way together
        return echo()

    server = make_server(handler)

    def work(_: int) -> list[int]:
        with browse(server) as client:
            return [ask(client, target=target)[0] for target in ("/first", "/a", "/b", "/c")]

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(work, range(64))) == [[200] * 4] * 64
    assert server.count() == 256
    assert server.count(target="/first") == 64
    assert [connection.requests for connection in server.connections] == [4] * 64
    assert sorted(request.number for request in server.requests) == list(range(1, 257))


@pytest.mark.parametrize("secure", [False, True])
def test_closing_ends_every_thread_and_socket_at_once(
    ca: CertificateAuthority, *, secure: bool
) -> None:
    threads = set(threading.enumerate())
    server = ScriptedServer(stall(), tls=ca.server_context() if secure else None)
    server.script(echo(), stall(threading.Event()), trickle(b"a" * 100, 60), raw(b"b" * 10**8))
    context = ca.client_context() if secure else None
    with (
        browse(server, context) as idle,
        browse(server, context) as stalled,
        browse(server, context) as trickled,
        browse(server, context) as flooded,
        dial(server) as silent,
    ):
        ask(idle)
        for count, client in enumerate([stalled, trickled, flooded], start=2):
            client.request("GET", "/")
            server.wait_for(lambda count=count: server.count() == count)  # type: ignore[misc]
        server.wait_for(lambda: len(server.connections) == 5)
        begun = time.monotonic()
        server.close()
        assert time.monotonic() - begun < 1
        server.close()
        assert set(threading.enumerate()) == threads
        assert {connection.closed_by for connection in server.connections} == {"server"}
        assert all_of(silent) == b""


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_keeps_no_connection_of_the_server_open(server: ScriptedServer) -> None:
    server.script(respond(204), close_without_answer())
    with dial(server) as sock:
        sock.sendall(GET)
        exactly(sock, b"HTTP/1.1 204 No Content\r\n\r\n")
        hold, release = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(release)
            os.read(hold, 1)
            os._exit(0)
        try:
            sock.sendall(GET)
            assert sock.recv(1) == b""
        finally:
            os.close(release)
            os.close(hold)
            os.waitpid(child, 0)


# Handlers


def test_basic_authentication_lets_one_user_in(make_server: MakeServer) -> None:
    guard = RequireBasic("Aladdin", "open sesame")
    right = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617, section 2
    server = make_server(guard)
    with browse(server) as client:
        client.request("GET", "/")
        with client.getresponse() as answer:
            assert answer.status == 401
            assert (answer.headers["WWW-Authenticate"] or "").startswith("Basic realm=")
            answer.read()
        assert ask(client, headers={"Authorization": right})[0] == 200
        assert ask(client, headers={"Authorization": right + "="})[0] == 401
    assert guard.seen == [None, right, right + "="]


def test_bearer_tokens_are_accepted_and_revoked(make_server: MakeServer) -> None:
    guard = RequireBearer("one", then=respond(204))
    server = make_server(guard)

    def with_token(token: str) -> int:
        with browse(server) as client:
            return ask(client, headers={"Authorization": f"Bearer {token}"})[0]

    assert [with_token("one"), with_token("two")] == [204, 401]
    guard.accept("two")
    guard.revoke("one")
    assert [with_token("one"), with_token("two")] == [401, 204]
    assert guard.seen == ["Bearer one", "Bearer two", "Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_a_digest_is_computed_as_in_rfc_7616(algorithm: DigestAlgorithm, expected: str) -> None:
    assert expected == digest_response(
        algorithm,
        user="Mufasa",
        realm="http-auth@example.org",
        password="Circle of Life",
        method="GET",
        uri="/dir/index.html",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        nc="00000001",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_digest_client_gets_in_after_one_401(
    make_server: MakeServer, algorithm: DigestAlgorithm
) -> None:
    guard = RequireDigest("user", "secret", algorithm)
    server = make_server(guard)
    with requests.Session() as session:
        session.auth = HTTPDigestAuth("user", "secret")
        assert session.get(f"{server.url}/a?b=c").status_code == 200
        assert session.post(f"{server.url}/d", data=b"x").status_code == 200
        session.auth = HTTPDigestAuth("user", "wrong")
        assert session.get(server.url).status_code == 401
    assert [value is None for value in guard.seen] == [True, False, False, True, False]
    replay = guard.seen[2]
    assert replay is not None
    with browse(server) as client:
        assert ask(client, "POST", "/d", b"x", {"Authorization": replay})[0] == 401


def test_cookies_are_set_and_seen(make_server: MakeServer) -> None:
    handler = SetCookies({"a": "1", "b": "2"}, "Path=/; HttpOnly")
    server = make_server(handler)
    with browse(server) as client:
        client.request("GET", "/", headers={"Cookie": "a=1; c=3"})
        with client.getresponse() as answer:
            assert answer.headers.get_all("Set-Cookie") == [
                "a=1; Path=/; HttpOnly",
                "b=2; Path=/; HttpOnly",
            ]
            assert json.loads(answer.read()) == {"a": "1", "c": "3"}
        ask(client)
    assert handler.seen == [{"a": "1", "c": "3"}, {}]


# The proxy


def test_a_proxy_forwards_absolute_urls(proxy: ForwardProxy, server: ScriptedServer) -> None:
    with browse(proxy) as client:
        status, body = ask(
            client,
            "POST",
            f"{server.url}/a?b",
            b"data",
            {"Proxy-Authorization": "Basic eDp5", "X-Kept": "yes"},
        )
    seen = json.loads(body)
    assert (status, seen["method"], seen["target"], seen["body"]) == (200, "POST", "/a?b", "data")
    assert seen["headers"]["x-kept"] == "yes"
    assert "proxy-authorization" not in seen["headers"]
    assert proxy.count(method="POST", target=f"{server.url}/a?b") == 1
    assert proxy.requests[0].headers["Proxy-Authorization"] == "Basic eDp5"


def test_a_proxy_tunnels_tls(
    proxy: ForwardProxy, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with browse(proxy, ca.client_context()) as client:
        client.set_tunnel("localhost", tls_server.port)
        assert [ask(client)[0], ask(client, "POST", body=b"x" * 10**6)[0]] == [200, 200]
    assert [request.target for request in proxy.requests] == [f"localhost:{tls_server.port}"]
    assert tls_server.count() == 2
    tls_server.wait_for(lambda: tls_server.connections[0].closed_by == "client")


def test_a_tunnel_passes_a_reset_on(proxy: ForwardProxy, server: ScriptedServer) -> None:
    server.script(reset_after_reading())
    with browse(proxy) as client:
        client.set_tunnel("127.0.0.1", server.port)
        with pytest.raises(ConnectionResetError, match=RESET):
            ask(client)


def test_a_proxy_behind_tls_tunnels_too(server: ScriptedServer, ca: CertificateAuthority) -> None:
    with (
        ForwardProxy(tls=ca.server_context()) as proxy,
        dial(proxy) as sock,
        ca.client_context().wrap_socket(sock, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode())
        exactly(client, b"HTTP/1.1 200 Connection established\r\n\r\n")
        client.sendall(GET)
        exactly(client, b"HTTP/1.1 200 OK\r\n")


def test_a_proxy_asks_for_credentials(server: ScriptedServer) -> None:
    with ForwardProxy(user=("Aladdin", "open sesame")) as proxy:
        with browse(proxy) as client:
            client.set_tunnel("127.0.0.1", server.port)
            with pytest.raises(OSError, match="407"):
                ask(client)
        with browse(proxy) as client:
            client.set_tunnel(
                "127.0.0.1",
                server.port,
                {"Proxy-Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
            )
            assert ask(client)[0] == 200
    assert proxy.count(method="CONNECT") == 2
    assert server.count() == 1


def test_a_proxy_can_refuse_a_tunnel_and_stall_the_next(
    proxy: ForwardProxy, server: ScriptedServer
) -> None:
    event = threading.Event()
    proxy.script(respond(502), stall(event) + tunnel())
    with browse(proxy) as client:
        client.set_tunnel("127.0.0.1", server.port)
        with pytest.raises(OSError, match="502"):
            ask(client)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, client)
            proxy.wait_for(lambda: proxy.count() == 2)
            assert server.connections == []
            event.set()
            assert answer.result(PATIENCE)[0] == 200


def test_a_proxy_says_so_when_it_can_not_connect(proxy: ForwardProxy) -> None:
    with refused_port() as port, browse(proxy) as client:
        assert ask(client, target=f"http://127.0.0.1:{port}/")[0] == 502


@pytest.mark.parametrize("target", ["http://example.com/", "ftp://127.0.0.1/", "/"])
def test_a_proxy_does_not_leave_loopback(proxy: ForwardProxy, target: str) -> None:
    with browse(proxy) as client:
        assert ask(client, target=target)[0] == 403
        assert ask(client, "CONNECT", "example.com:443")[0] == 403


# Fixtures


def test_a_test_sees_nothing_of_its_machine(isolation: Path) -> None:
    assert os.environ["HOME"] == str(isolation)
    assert list(isolation.iterdir()) == []
    assert not os.path.exists(os.environ["NETRC"])  # noqa: PTH110 - as the library will ask
    assert not {name for name in os.environ if name.lower().endswith("_proxy")}
    assert "REQUESTS_CA_BUNDLE" not in os.environ


def test_a_netrc_file_is_found_by_its_variable(netrc_file: NetrcFile) -> None:
    path = netrc_file({"127.0.0.1": ("user", "secret"), "default": ("any", "one")})
    assert os.environ["NETRC"] == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    entries = netrc.netrc(str(path))
    assert entries.authenticators("127.0.0.1") == ("user", "", "secret")
    assert entries.authenticators("elsewhere") == ("any", "", "one")
