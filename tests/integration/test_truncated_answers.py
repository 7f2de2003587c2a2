"""Answers that are cut off, or say two things at once: none of them is an answer.

Rule: a server that dies while it writes its answer has answered nothing; what was sent to it may
have been done.
"""

from __future__ import annotations

import gc
import gzip
import ssl
import zlib
from typing import Any, Final

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from sleepwalker import Policy
from sleepwalker.connection._wire import _sockets
from sleepwalker.exceptions import HeaderError, HTTPNotFound, ProtocolError
from tests.integration.retrying import Client
from tests.servers import (
    CertificateAuthority,
    ScriptedServer,
    close_without_answer,
    cut,
    informational,
    raw,
    respond,
)

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
    half = informational(103) + raw(b"HTTP/1.1 200 OK\r\n") + close_without_answer()
    server.script(half, respond(json={"id": 1}))

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


# --- chunks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [b"-1", b"+5", b"0x5", b"0_5", b" 5", b"", b"5 5", b"5\xb2"])
@pytest.mark.parametrize("limited", [True, False])
def test_the_size_of_a_chunk_is_a_number_and_nothing_else(
    server: ScriptedServer, size: bytes, *, limited: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.script(raw(head + size + b"\r\nwhole\r\n0\r\n\r\n"))
    policy = Policy() if limited else Policy(response_limits=None)

    # Were it read to the end of the connection, which stays open, this would take until then.
    with pytest.raises(ProtocolError) as caught:
        Client(server, policy=policy).conn.request("POST", "/books", data=b"x", timeout=5)

    assert caught.value.outcome_unknown
    assert server.count() == 1


@pytest.mark.parametrize("size", [b"5", b"0005", b"5;a=b", b"5 ; a=b", b"5\t", b"5;\xff"])
def test_the_size_of_a_chunk_may_have_zeros_before_it_and_an_extension_behind_it(
    server: ScriptedServer, size: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.script(raw(head + size + b"\r\nwhole\r\n000\r\nX-Trailer: -1\r\n\r\n"))

    client = Client(server)
    assert client.conn.request("GET", "/", timeout=5).content == b"whole"
    client.conn.request("GET", "/")
    assert len(server.connections) == 1


# --- content codings ------------------------------------------------------------------------------


def raw_deflate(body: bytes) -> bytes:
    """Compress without a header, as some servers do."""
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(body) + squeeze.flush()


BODY: Final = bytes(range(256)) * 400
CODED: Final = {
    "gzip": ("gzip", gzip.compress(BODY)),
    "x-gzip": ("X-GZip", gzip.compress(BODY)),
    "two members": ("gzip", gzip.compress(BODY[:99]) + gzip.compress(BODY[99:])),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
    "deflate": ("deflate", zlib.compress(BODY)),
    "raw deflate": ("deflate", raw_deflate(BODY)),
    "both": ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
}
POLICIES: Final = {"limited": Policy(), "unlimited": Policy(response_limits=None)}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("coded", CODED)
def test_a_compressed_body_without_its_end_is_cut_short_whatever_its_length(
    server: ScriptedServer, coded: str, policy: str
) -> None:
    coding, body = CODED[coded]
    cuts = [1, 2, 12, len(body) // 2, len(body) - 1]
    server.script(*[respond(201, {"Content-Encoding": coding}, body[:at]) for at in cuts])
    client = Client(server, policy=POLICIES[policy])
    for _ in cuts:
        with pytest.raises(ProtocolError, match="the answer was cut short") as caught:
            client.conn.request("POST", "/books", data=b"x")

        assert caught.value.outcome_unknown
        assert caught.value.error_type == "truncated"
    assert server.count() == len(cuts)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("coded", CODED)
def test_a_compressed_body_with_its_end_is_whole(
    server: ScriptedServer, coded: str, policy: str
) -> None:
    coding, body = CODED[coded]
    server.script(respond(200, {"Content-Encoding": coding}, body))

    assert Client(server, policy=POLICIES[policy]).conn.request("GET", "/").content == BODY


def test_a_compressed_body_without_its_end_is_asked_for_again(server: ScriptedServer) -> None:
    coded = {"Content-Encoding": "gzip"}
    whole = gzip.compress(b'{"id": 1}')
    server.script(respond(200, coded, whole[:-1]), respond(200, coded, whole))
    client = Client(server)

    assert client.conn.json_request("GET", "/books/1") == {"id": 1}
    assert client.retries == {"protocol": 1}


@pytest.mark.parametrize("padding", [bytes(512), b"\r\n", b"no gzip"])
def test_what_is_no_gzip_behind_gzips_end_counts_for_nothing(
    server: ScriptedServer, padding: bytes
) -> None:
    server.script(respond(200, {"Content-Encoding": "gzip"}, gzip.compress(BODY) + padding))

    assert Client(server).conn.request("GET", "/").content == BODY


def test_a_second_member_that_is_broken_is_no_padding(server: ScriptedServer) -> None:
    second = bytearray(gzip.compress(BODY))
    second[-5] ^= 1  # of its checksum
    server.script(respond(200, {"Content-Encoding": "gzip"}, gzip.compress(BODY) + second))

    with pytest.raises(ProtocolError, match="content encoding is broken"):
        Client(server).conn.request("POST", "/", data=b"x")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 200)])
def test_no_body_at_all_lacks_no_end(server: ScriptedServer, method: str, status: int) -> None:
    server.script(respond(status, {"Content-Encoding": "gzip"}))

    assert Client(server).conn.request(method, "/").content == b""


# --- bodies that end with the connection ----------------------------------------------------------

UNTIL_CLOSED: Final = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", b'{"id": 1}', BODY], ids=["nothing", "a little", "more"])
def test_a_body_that_tls_says_no_good_bye_behind_is_cut_short(
    tls_server: ScriptedServer, ca: CertificateAuthority, sent: bytes
) -> None:
    tls_server.script(raw(UNTIL_CLOSED + sent) + cut())

    with pytest.raises(ProtocolError, match="the answer was cut short") as caught:
        Client(tls_server, ca).conn.request("POST", "/books", data=b"x")

    assert caught.value.outcome_unknown
    assert caught.value.error_type == "truncated"


def test_a_body_that_tls_says_no_good_bye_behind_is_asked_for_again(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(raw(UNTIL_CLOSED + b'{"id":') + cut(), respond(json={"id": 1}))
    client = Client(tls_server, ca)

    assert client.conn.json_request("GET", "/books/1") == {"id": 1}
    assert client.retries == {"protocol": 1}


def test_a_streamed_body_that_tls_says_no_good_bye_behind_is_cut_short_where_it_ends(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(raw(UNTIL_CLOSED + BODY) + cut())
    came: list[bytes] = []
    with Client(tls_server, ca).conn.request("GET", "/", stream=True) as response:
        pieces = response.iter_content(100)
        with pytest.raises(ProtocolError, match="the answer was cut short"):
            came.extend(pieces)

    assert b"".join(came) == BODY


@pytest.mark.skipif(
    not hasattr(ssl, "OP_IGNORE_UNEXPECTED_EOF"), reason="this OpenSSL always tells a cut"
)
def test_a_cut_is_told_also_where_python_would_have_openssl_ignore_it(
    tls_server: ScriptedServer, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def create(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        # As all contexts of Python before 3.11.4 are.
        context = create_urllib3_context(*args, **kwargs)
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
        made.append(context)
        return context

    monkeypatch.setattr(_sockets, "create_urllib3_context", create)
    tls_server.script(raw(UNTIL_CLOSED + BODY) + cut())

    with pytest.raises(ProtocolError, match="the answer was cut short"):
        Client(tls_server, ca).conn.request("POST", "/books", data=b"x")

    assert len(made) == 1


def test_a_body_that_tls_says_good_bye_behind_is_whole(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(raw(UNTIL_CLOSED + BODY) + close_without_answer())

    assert Client(tls_server, ca).conn.request("GET", "/").content == BODY


@pytest.mark.parametrize(
    "whole",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
def test_a_body_that_tells_its_length_needs_no_good_bye(
    tls_server: ScriptedServer, ca: CertificateAuthority, whole: bytes
) -> None:
    tls_server.script(raw(whole) + cut())

    assert Client(tls_server, ca).conn.request("GET", "/").content == b"whole"
