"""Answers whose head is cut off, or says two things at once: none of them is an answer.

Rule: a server that dies while it writes its headers has answered nothing; what was sent to it may
have been done.
"""

from __future__ import annotations

import gc

import pytest

from sleepwalker.exceptions import HeaderError, HTTPNotFound, ProtocolError
from tests.integration.retrying import Client
from tests.servers import ScriptedServer, close_without_answer, informational, raw, respond

CUT_OFF = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: applic",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 404 Not Found\r\nX-Id: 7\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n",
]
CONTRADICTORY = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}",
]

HIDING = [b"this is no header", b"Content-Type : text/plain", "Größe: 1".encode(), b"\0: 1"]
"""Lines for which http.client leaves out those behind them."""


@pytest.mark.parametrize("head", CUT_OFF)
def test_an_answer_that_ends_within_its_headers_is_asked_for_again(
    server: ScriptedServer, head: bytes
) -> None:
    server.script(raw(head) + close_without_answer(), respond(json={"id": 1}))
    client = Client(server)

    assert client.conn.json_request("GET", "/books/1") == {"id": 1}
    assert server.count() == 2
    assert client.retries == {"protocol": 1}


@pytest.mark.parametrize("head", CUT_OFF)
def test_a_post_whose_answer_ends_within_its_headers_is_not_reported_done(
    server: ScriptedServer, head: bytes
) -> None:
    server.script(raw(head) + close_without_answer())
    client = Client(server)

    with pytest.raises(ProtocolError) as caught:
        client.conn.request("POST", "/books", data=b"x")

    assert caught.value.outcome_unknown
    assert server.count() == 1
    assert client.outcomes == {"error": 1}


def test_an_answer_that_ends_within_its_headers_behind_an_interim_one_is_none(
    server: ScriptedServer,
) -> None:
    cut = informational(103) + raw(b"HTTP/1.1 200 OK\r\n") + close_without_answer()
    server.script(cut, respond(json={"id": 1}))

    assert Client(server).conn.json_request("GET", "/books/1") == {"id": 1}
    assert server.count() == 2


@pytest.mark.parametrize(
    "whole",
    [
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\n\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
    ],
)
def test_an_answer_whose_headers_end_may_have_a_body_that_ends_with_the_connection(
    server: ScriptedServer, whole: bytes
) -> None:
    server.script(raw(whole) + close_without_answer())

    assert Client(server).conn.json_request("GET", "/books/1") == {}
    assert server.count() == 1


def test_an_error_of_which_only_the_head_came_is_that_error(server: ScriptedServer) -> None:
    server.script(raw(b"HTTP/1.1 404 Not Found\r\n\r\n") + close_without_answer())

    with pytest.raises(HTTPNotFound):
        Client(server).conn.request("GET", "/books/1")


@pytest.mark.parametrize("answer", CONTRADICTORY)
def test_an_answer_with_two_lengths_is_a_protocol_error_that_leaves_the_outcome_unknown(
    server: ScriptedServer, answer: bytes
) -> None:
    server.script(raw(answer) + close_without_answer())

    with pytest.raises(ProtocolError) as caught:
        Client(server).conn.request("POST", "/books", data=b"x")

    assert not isinstance(caught.value, HeaderError)
    assert caught.value.outcome_unknown
    assert server.count() == 1


@pytest.mark.parametrize("answer", CONTRADICTORY)
def test_the_socket_of_an_answer_with_two_lengths_is_closed_at_once(
    server: ScriptedServer, answer: bytes
) -> None:
    server.script(raw(answer))
    gc.disable()
    try:
        with pytest.raises(ProtocolError):
            Client(server).conn.request("POST", "/books", data=b"x")
        server.wait_for(lambda: server.connections[0].closed_by == "client")
    finally:
        gc.enable()


@pytest.mark.parametrize("answer", CONTRADICTORY)
def test_an_answer_with_two_lengths_is_asked_for_again(
    server: ScriptedServer, answer: bytes
) -> None:
    server.script(raw(answer) + close_without_answer(), respond(json={"id": 1}))

    assert Client(server).conn.json_request("GET", "/books/1") == {"id": 1}
    assert server.count() == 2


@pytest.mark.parametrize("lengths", [b"Content-Length: 5, 5", b"Content-Length: 5\r\n" * 2])
def test_one_length_that_is_said_twice_is_that_length(
    server: ScriptedServer, lengths: bytes
) -> None:
    server.script(raw(b"HTTP/1.1 200 OK\r\n" + lengths.strip() + b"\r\n\r\nwhole"))

    assert Client(server).conn.request("GET", "/", timeout=5).content == b"whole"
    assert server.count() == 1


def test_a_length_beyond_all_numbers_is_a_protocol_error(server: ScriptedServer) -> None:
    server.script(raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello"))
    with pytest.raises(ProtocolError):
        Client(server).conn.request("POST", "/")

    assert server.count() == 1


@pytest.mark.parametrize("line", HIDING)
@pytest.mark.parametrize("body", [b"half", b"whole", b""])
def test_a_line_that_hides_the_length_makes_no_whole_of_a_part(
    server: ScriptedServer, line: bytes, body: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 5\r\n\r\n"
    server.script(raw(head + body) + close_without_answer())

    with pytest.raises(ProtocolError) as caught:
        Client(server).conn.request("POST", "/books", data=b"x")

    assert caught.value.outcome_unknown
    assert server.count() == 1


@pytest.mark.parametrize("line", HIDING)
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 5\r\n", b"whole"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nwhole\r\n0\r\n\r\n"),
    ],
)
def test_a_line_that_is_no_header_does_no_harm_behind_the_length(
    server: ScriptedServer, line: bytes, framing: bytes, body: bytes
) -> None:
    server.script(raw(b"HTTP/1.1 200 OK\r\n" + framing + line + b"\r\n\r\n" + body))

    assert Client(server).conn.request("GET", "/", timeout=5).content == b"whole"
    assert server.count() == 1


def test_a_line_that_is_no_header_does_no_harm_where_there_is_no_body(
    server: ScriptedServer,
) -> None:
    server.script(raw(b"HTTP/1.1 204 No Content\r\nno header\r\n\r\n"))

    assert Client(server).conn.request("DELETE", "/", timeout=5).status_code == 204
