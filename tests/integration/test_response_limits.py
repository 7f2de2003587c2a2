"""What a server can make us take in: bodies, headers, trailers, nesting. Each has a clear error.

Rule: what is asserted of the wire (sockets, requests) is asserted of the server's own records.
"""

from __future__ import annotations

import gzip
import itertools
import json
import pickle
import random
import sys
import threading
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from requests.auth import HTTPDigestAuth

from sleepwalker import (
    DecodeError,
    HTTPInternalServerError,
    Policy,
    ProtocolError,
    ResponseTooLarge,
    TooManyRedirects,
)
from sleepwalker.resilience.policy import ResponseLimits
from tests.integration.retrying import Client
from tests.planting import everything_in, found, new_secret
from tests.servers import (
    Action,
    RequireDigest,
    ScriptedServer,
    close_without_answer,
    informational,
    raw,
    redirect,
    respond,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB: Final = 2**20
ZEROS: Final = bytes(16 * MIB)


def limited(**limits: Any) -> Policy:
    """Make a policy with these limits."""
    return Policy(response_limits=ResponseLimits(**limits))


def chunked(body: bytes, size: int = 1000, trailers: bytes = b"", *, coding: str = "") -> Action:
    """Answer with a chunked body."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    coded = f"Content-Encoding: {coding}\r\n" if coding else ""
    head = f"HTTP/1.1 200 OK\r\n{coded}Transfer-Encoding: chunked\r\n\r\n".encode()
    return raw(head + chunks + b"0\r\n" + trailers + b"\r\n")


def encoded(coding: str, body: bytes) -> Action:
    """Answer with a body under a content coding."""
    return respond(200, {"Content-Encoding": coding}, body)


def to_the_end(body: bytes) -> Action:
    """Answer with a body that ends with the connection."""
    return raw(b"HTTP/1.1 200 OK\r\n\r\n" + body) + close_without_answer()


def raw_deflate(body: bytes) -> bytes:
    """Compress without a header, as some servers do."""
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(body) + squeeze.flush()


FRAMES: Final[dict[str, Callable[[bytes], Action]]] = {
    "with a length": lambda body: respond(body=body),
    "chunked": chunked,
    "to the end": to_the_end,
    "gzip": lambda body: encoded("gzip", gzip.compress(body)),
    "deflate": lambda body: encoded("deflate", zlib.compress(body)),
    "raw deflate": lambda body: encoded("deflate", raw_deflate(body)),
    "gzip in chunks": lambda body: chunked(gzip.compress(body), coding="gzip"),
    "gzip twice": lambda body: encoded("gzip, gzip", gzip.compress(gzip.compress(body))),
    "two members": lambda body: encoded("gzip", gzip.compress(body[:9]) + gzip.compress(body[9:])),
}
NOISE: Final = random.Random(1).randbytes(200_000)  # noqa: S311 - nothing to guess
"""What can't be compressed, so that not all of it has come when it is too much."""
BODY: Final = bytes(itertools.islice(itertools.cycle(range(256)), 50_000))


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES)
def test_a_body_as_large_as_it_may_be_comes_whole(server: ScriptedServer, frame: str) -> None:
    server.default = FRAMES[frame](BODY)
    client = Client(server, policy=limited(body=len(BODY)))

    assert client.conn.request("GET", "/").content == BODY
    assert client.conn.request("GET", "/").content == BODY
    assert server.count() == 2


@pytest.mark.parametrize("frame", FRAMES)
def test_a_body_of_one_byte_more_is_an_error_that_is_not_tried_again(
    server: ScriptedServer, frame: str
) -> None:
    server.default = FRAMES[frame](BODY)
    client = Client(server, policy=limited(body=len(BODY) - 1))

    with pytest.raises(ResponseTooLarge, match=r"/big: .* more than 49999 bytes .*body=") as caught:
        client.conn.request("GET", "/big")

    error = caught.value
    assert (error.attempts, error.error_type, error.transient) == (1, "too_large", False)
    assert isinstance(error, requests.exceptions.ConnectionError)
    assert error.response.status_code == 200
    assert error.response.content == b""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert server.count() == 1
    assert client.outcomes == {"error": 1}
    assert type(pickle.loads(pickle.dumps(error))) is ResponseTooLarge  # noqa: S301 - our own


@pytest.mark.parametrize("frame", FRAMES)
def test_the_socket_of_a_body_that_is_too_large_is_closed_and_not_used_again(
    server: ScriptedServer, frame: str
) -> None:
    server.script(FRAMES[frame](NOISE), respond(json={"id": 1}))
    client = Client(server, policy=limited(body=1000))

    with pytest.raises(ResponseTooLarge):
        client.conn.request("GET", "/")
    server.wait_for(lambda: server.connections[0].closed_at is not None)

    assert client.conn.json_request("GET", "/") == {"id": 1}
    assert [each.requests for each in server.connections] == [1, 1]


def test_a_length_that_is_too_large_is_refused_before_any_of_the_body_came(
    server: ScriptedServer,
) -> None:
    server.default = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 104857601\r\n\r\n") + stall()
    client = Client(server, timeout=30.0)

    with pytest.raises(ResponseTooLarge, match="104857600"):
        client.conn.request("GET", "/")

    server.wait_for(lambda: server.connections[0].closed_by == "client")
    assert client.clock.slept == []


def test_what_comes_compressed_may_not_be_longer_than_the_limit_either(
    server: ScriptedServer,
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1001\r\n\r\n"
    server.default = raw(head) + stall()

    with pytest.raises(ResponseTooLarge):
        Client(server, policy=limited(body=1000)).conn.request("GET", "/")


@pytest.mark.parametrize("status", [200, 304])
def test_a_length_without_a_body_is_no_body(server: ScriptedServer, status: int) -> None:
    server.default = raw(
        b"HTTP/1.1 %d X\r\nContent-Length: 104857601\r\nContent-Encoding: gzip\r\n\r\n" % status
    )
    method = "HEAD" if status == 200 else "GET"
    client = Client(server)

    for _ in range(2):
        assert client.conn.request(method, "/").status_code == status
    assert len(server.connections) == 1


@pytest.mark.parametrize("limits", [ResponseLimits(body=None), None])
def test_without_a_limit_a_body_may_be_of_any_size(
    server: ScriptedServer, limits: ResponseLimits | None
) -> None:
    server.default = chunked(gzip.compress(ZEROS) * 8, 1000, coding="gzip")
    client = Client(server, policy=Policy(response_limits=limits))

    assert len(client.conn.request("GET", "/").content) == 8 * len(ZEROS)


@pytest.mark.parametrize("frame", ["with a length", "gzip in chunks"])
def test_a_streamed_body_has_no_limit(server: ScriptedServer, frame: str) -> None:
    server.default = FRAMES[frame](BODY)
    client = Client(server, policy=limited(body=10))

    with client.conn.request("GET", "/", stream=True) as response:
        assert b"".join(response.iter_content(1000)) == BODY


BOMBS: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {
    "of one layer": ("gzip", lambda: gzip.compress(ZEROS) * 16),
    "of two layers": ("gzip, gzip", lambda: gzip.compress(gzip.compress(ZEROS, 9) * 500, 9)),
    "of zlib": ("deflate", lambda: zlib.compress(ZEROS)),
}


@pytest.mark.parametrize("framing", ["with a length", "chunked"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_not_decompressed_beyond_the_limit(
    server: ScriptedServer, bomb: str, framing: str
) -> None:
    coding, make = BOMBS[bomb]
    body = make()
    assert len(body) < MIB // 2
    server.default = (
        encoded(coding, body) if framing == "with a length" else chunked(body, 2**16, coding=coding)
    )
    client = Client(server, policy=limited(body=MIB))
    client.conn.request("HEAD", "/")

    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLarge):
            client.conn.request("GET", "/")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # A urllib3 that can't bound it is fed pieces out of which come some 4 MiB each.
    assert peak < 12 * MIB


def test_a_body_that_a_response_hook_reads_is_bounded_too(server: ScriptedServer) -> None:
    server.default = chunked(BODY)
    client = Client(server, policy=limited(body=1000))
    reads = {
        "content": lambda response: response.content,
        "pieces": lambda response: list(response.iter_content(10)),
        "raw": lambda response: response.raw.read(),
        "raw pieces": lambda response: list(iter(lambda: response.raw.read(100), b"")),
        "raw data": lambda response: response.raw.data,
        "raw chunks": lambda response: list(response.raw.read_chunked(10)),
        "raw lines": lambda response: list(response.raw),
    }
    for name, read in reads.items():

        def hook(response: requests.Response, read: Any = read, **_: Any) -> None:
            read(response)

        with pytest.raises(ResponseTooLarge):
            client.conn.request("GET", f"/{name}", hooks={"response": hook})

    assert server.count() == len(reads)


def test_a_body_within_the_limit_is_the_same_for_a_hook_that_reads_it_raw(
    server: ScriptedServer,
) -> None:
    server.default = encoded("gzip", gzip.compress(BODY))
    client = Client(server, policy=limited(body=len(BODY)))
    came: list[bytes] = []

    def hook(response: requests.Response, **_: Any) -> None:
        response.raw.decode_content = True
        came.append(response.raw.data)
        came.append(response.raw.data)

    client.conn.request("GET", "/", hooks={"response": hook})

    assert came == [BODY, BODY]


@pytest.mark.parametrize("status", [302, 401, 500, 503])
def test_the_body_of_any_answer_is_bounded(server: ScriptedServer, status: int) -> None:
    headers = (("Location", "/next"), ("Content-Length", "1001"), ("WWW-Authenticate", "Basic"))
    server.default = respond(status, headers, b"x" * 1001)
    client = Client(server, policy=limited(body=1000))

    with pytest.raises(ResponseTooLarge) as caught:
        client.conn.request("GET", "/")

    assert caught.value.response.status_code == status
    assert server.count() == 1


def test_the_body_of_a_digest_challenge_is_bounded(server: ScriptedServer) -> None:
    show = RequireDigest("user", "password")

    def large(request: Any) -> Action:
        challenge = show(request)
        value = challenge.steps[0].response.headers  # type: ignore[attr-defined]
        named = [pair for pair in value if pair[0].lower() == "www-authenticate"]
        return respond(
            401, (*named, ("Transfer-Encoding", "chunked")), b"3e9\r\n" + b"x" * 1001 + b"\r\n"
        )

    server.default = large
    client = Client(server, auth=HTTPDigestAuth("user", "password"), policy=limited(body=1000))

    with pytest.raises(ResponseTooLarge):
        client.conn.request("GET", "/")

    assert server.count() == 1


def test_a_write_whose_answer_is_too_large_was_answered(server: ScriptedServer) -> None:
    server.default = respond(201, body=b"x" * 1001)

    with pytest.raises(ResponseTooLarge) as caught:
        Client(server, policy=limited(body=1000)).conn.request("POST", "/books", data=b"x")

    assert not caught.value.outcome_unknown
    assert caught.value.response.status_code == 201


# --- headers --------------------------------------------------------------------------------------


def headed(count: int, size: int = 10, *, end: bytes = b"\r\n") -> Action:
    """Answer with so many headers beside the length."""
    lines = (b"X-%d: %b\r\n" % (n, b"v" * size) for n in range(count))
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + b"".join(lines) + end + b"{}")


def fails_with_headers(server: ScriptedServer, policy: Policy | None = None) -> ResponseTooLarge:
    """Get the error for headers, which is final and closes the socket."""
    client = Client(server, policy=policy)
    with pytest.raises(ResponseTooLarge) as caught:
        client.conn.request("POST", "/books", data=b"x", idempotency_key="key-1")
    assert server.count() == 1
    assert caught.value.response is None
    assert caught.value.outcome_unknown
    assert caught.value.error_type == "too_large"
    assert caught.value.__cause__ is None
    server.wait_for(lambda: server.connections[0].closed_at is not None)
    return caught.value


def test_as_many_headers_as_may_be_are_taken(server: ScriptedServer) -> None:
    server.default = headed(9)

    client = Client(server, policy=limited(headers=10))
    assert len(client.conn.request("GET", "/").headers) == 10


def test_one_header_more_is_an_error(server: ScriptedServer) -> None:
    server.default = headed(10)

    error = fails_with_headers(server, limited(headers=10))
    assert "more than 10 headers (ResponseLimits(headers=...))" in error.message


@pytest.mark.parametrize("policy", [Policy(), Policy(response_limits=None)])
@pytest.mark.parametrize("count", [100, 5000])
def test_a_flood_of_headers_is_an_error_whatever_the_limits(
    server: ScriptedServer, count: int, policy: Policy
) -> None:
    server.default = headed(count) + close_without_answer()

    assert "the answer is too large" in fails_with_headers(server, policy).message


@pytest.mark.parametrize("limits", [ResponseLimits(), None])
@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 200 " + b"y" * 70_000, b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 70_000],
)
def test_a_line_that_is_too_long_is_an_error(
    server: ScriptedServer, line: bytes, limits: ResponseLimits | None
) -> None:
    server.default = raw(line) + close_without_answer()

    error = fails_with_headers(server, Policy(response_limits=limits))
    assert "65536" in error.message
    assert "yyy" not in str(error)


def test_headers_that_are_too_long_together_are_an_error(server: ScriptedServer) -> None:
    server.default = headed(6, 50_000) + close_without_answer()

    message = fails_with_headers(server).message
    assert "more than 262144 bytes of headers (ResponseLimits(header_bytes=...))" in message


def test_headers_as_long_as_they_may_be_together_are_taken(server: ScriptedServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    server.default = raw(head + b"{}")
    client = Client(server, policy=limited(header_bytes=len(head)))

    assert client.conn.json_request("GET", "/") == {}
    with pytest.raises(ResponseTooLarge):
        client.conn.json_request("GET", "/", policy=limited(header_bytes=len(head) - 1))


def test_the_headers_of_interim_answers_count_together(server: ScriptedServer) -> None:
    hints = informational(103, {"Link": "x" * 30_000})
    server.default = sum_of([hints] * 10) + respond(200)

    assert "262144 bytes" in fails_with_headers(server).message


def test_an_endless_row_of_interim_answers_is_an_error(server: ScriptedServer) -> None:
    server.default = sum_of([raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)] * 12) + respond(200)

    assert "262144 bytes" in fails_with_headers(server).message


def test_the_number_of_headers_is_that_of_one_answer(server: ScriptedServer) -> None:
    hints = informational(103, [(f"X-{n}", "v") for n in range(10)])
    server.default = sum_of([hints] * 10) + headed(9)

    assert Client(server, policy=limited(headers=10)).conn.json_request("GET", "/") == {}


def test_a_secret_in_headers_that_are_too_many_is_not_told(server: ScriptedServer) -> None:
    secret = new_secret()
    lines = b"".join(b"Set-Cookie: s%d=%b\r\n" % (n, secret.encode()) for n in range(200))
    server.default = raw(b"HTTP/1.1 200 OK\r\n" + lines) + close_without_answer()

    for text in everything_in(fails_with_headers(server)):
        assert found(secret, text) is None


@pytest.mark.parametrize("stream", [False, True])
def test_trailers_that_are_too_long_together_are_an_error(
    server: ScriptedServer, *, stream: bool
) -> None:
    trailers = b"".join(b"X-%d: %b\r\n" % (n, b"v" * 1000) for n in range(300))
    server.default = chunked(b"{}", trailers=trailers)
    client = Client(server)

    with pytest.raises(ResponseTooLarge, match="262144 bytes of headers") as caught:
        _ = client.conn.request("GET", "/", stream=stream).content

    assert caught.value.attempts == 1
    server.wait_for(lambda: server.connections[0].closed_at is not None)
    assert server.count() == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", ["a size", "a trailer"])
def test_a_line_of_a_chunked_body_that_never_ends_is_an_error(
    server: ScriptedServer, place: str, *, stream: bool
) -> None:
    begin = b"2;" if place == "a size" else b"2\r\n{}\r\n0\r\nX-Long: "
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.default = raw(head + begin + b"y" * 5 * MIB) + stall()
    client = Client(server, timeout=30.0)

    tracemalloc.start()
    try:
        with pytest.raises((ResponseTooLarge, ProtocolError)):
            _ = client.conn.request("GET", "/", stream=stream, policy=Policy(attempts=1)).content
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB


def test_trailers_within_the_limit_are_left_out(server: ScriptedServer) -> None:
    server.default = chunked(b"{}", trailers=b"X-Sum: 1\r\n" * 100)
    client = Client(server)

    assert [client.conn.json_request("GET", "/") for _ in range(2)] == [{}, {}]
    assert len(server.connections) == 1


def test_a_body_of_many_chunks_has_many_lines(server: ScriptedServer) -> None:
    server.default = chunked(BODY, 1)
    client = Client(server, policy=limited(header_bytes=1000))

    assert client.conn.request("GET", "/").content == BODY


def sum_of(actions: list[Action]) -> Action:
    """Do all of them."""
    first, *others = actions
    for other in others:
        first = first + other
    return first


# --- JSON -----------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    """Make a document that is nested so deep."""
    return b"[" * (depth - 1) + b'{"a": 1}' + b"]" * (depth - 1)


def deep_in_the_stack(levels: int, do: Any) -> Any:
    """Do something where the stack is nearly used up."""
    return do() if levels == 0 else deep_in_the_stack(levels - 1, do)


@pytest.fixture(params=[0, 700])
def levels(request: pytest.FixtureRequest) -> Iterator[int]:
    """Give a number of frames to call from."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1100)
    yield request.param
    sys.setrecursionlimit(before)


def test_a_document_may_be_nested_as_deep_as_the_limit_wherever_it_is_decoded(
    server: ScriptedServer, levels: int
) -> None:
    server.default = respond(body=nested(500))
    client = Client(server)

    value = deep_in_the_stack(levels, lambda: client.conn.json_request("GET", "/"))

    for _ in range(499):
        [value] = value
    assert value == {"a": 1}


def test_a_document_that_is_nested_deeper_is_none(server: ScriptedServer, levels: int) -> None:
    server.default = respond(body=nested(501))
    client = Client(server)

    with pytest.raises(DecodeError, match=r"nested more than 500 deep; .*json_depth") as caught:
        deep_in_the_stack(levels, lambda: client.conn.json_request("GET", "/"))

    assert caught.value.msg == "nested more than 500 deep"
    assert caught.value.response.content == nested(501)


@pytest.mark.parametrize("body", [b"[" * 3 * MIB, b'{"a":' * MIB, b"[[]," * MIB])
def test_a_hostile_document_is_refused_and_nothing_breaks(
    server: ScriptedServer, body: bytes
) -> None:
    # With as much recursion allowed as a program may ask for, json would run out of real stack.
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10**9)
    try:
        server.default = respond(body=body)
        with pytest.raises(DecodeError, match="nested more than 500 deep"):
            Client(server).conn.json_request("GET", "/")
        server.default = respond(500, {}, body)
        with pytest.raises(HTTPInternalServerError) as caught:
            Client(server, policy=Policy(attempts=1)).conn.json_request("GET", "/")
    finally:
        sys.setrecursionlimit(before)
    assert caught.value.json_data is None
    assert caught.value.text == body.decode()


@pytest.mark.parametrize("limits", [ResponseLimits(json_depth=None), None])
def test_without_a_limit_a_document_may_be_nested_as_deep_as_python_goes(
    server: ScriptedServer, limits: ResponseLimits | None
) -> None:
    client = Client(server, policy=Policy(response_limits=limits))
    server.default = respond(body=nested(700))
    assert len(client.conn.json_request("GET", "/")) == 1

    server.default = respond(body=nested(200_000))
    with pytest.raises(DecodeError, match="deeper than Python can go"):
        client.conn.json_request("GET", "/")


def test_a_limit_of_the_calls_own_policy_counts(server: ScriptedServer) -> None:
    server.default = respond(json=[[1]])
    client = Client(server)

    assert client.conn.json_request("GET", "/") == [[1]]
    with pytest.raises(DecodeError, match="more than 1 deep"):
        client.conn.json_request("GET", "/", policy=limited(json_depth=1))


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-32", "cp037", "utf-8-sig"])
def test_nesting_is_counted_in_every_charset(server: ScriptedServer, charset: str) -> None:
    kind = {"Content-Type": f"application/json; charset={charset}"}
    for depth in (20, 21):
        server.default = respond(200, kind, nested(depth).decode().encode(charset))
        conn, policy = Client(server).conn, limited(json_depth=20)
        if depth == 20:
            assert conn.json_request("GET", "/", policy=policy) == json.loads(nested(20))
        else:
            with pytest.raises(DecodeError, match="more than 20 deep"):
                conn.json_request("GET", "/", policy=policy)


@pytest.mark.parametrize(
    ("body", "trouble"),
    [(b"9" * 5000, "a number that is too long"), (b'"\xff"', "not text in its encoding")],
)
def test_what_else_is_wrong_with_a_document_is_told_as_what_it_is(
    server: ScriptedServer, body: bytes, trouble: str
) -> None:
    server.default = respond(body=body)

    with pytest.raises(DecodeError) as caught:
        Client(server).conn.json_request("GET", "/")

    assert caught.value.msg == trouble


def test_an_error_whose_body_is_nested_too_deep_pickles(server: ScriptedServer) -> None:
    server.default = respond(500, {}, nested(900))

    with pytest.raises(HTTPInternalServerError) as caught:
        Client(server, policy=Policy(attempts=1)).conn.request("GET", "/")

    assert caught.value.json_data is None
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own pickle
    assert again.text == nested(900).decode()


# --- redirects ------------------------------------------------------------------------------------


def test_a_redirect_loop_is_an_error_that_says_so(server: ScriptedServer) -> None:
    server.default = lambda request: redirect(302, "/b" if request.path == "/a" else "/a")
    client = Client(server)

    with pytest.raises(TooManyRedirects, match=r"more than 10 redirects, in a loop \(Policy"):
        client.conn.request("GET", "/a")

    assert server.count() == 11


def test_a_long_way_that_never_comes_back_is_no_loop(server: ScriptedServer) -> None:
    server.default = lambda request: redirect(302, f"/{int(request.path[1:]) + 1}")

    with pytest.raises(TooManyRedirects, match=r"more than 10 redirects \(Policy"):
        Client(server).conn.request("GET", "/1")


def test_a_page_that_sets_a_cookie_and_redirects_to_itself_is_followed(
    server: ScriptedServer,
) -> None:
    server.default = lambda request: (
        respond(json="in")
        if "seen=1" in request.headers.get("Cookie", "")
        else respond(302, {"Location": request.target, "Set-Cookie": "seen=1"})
    )

    assert Client(server).conn.json_request("GET", "/login") == "in"
    assert server.count() == 2


def test_a_page_that_redirects_to_itself_until_it_is_ready_is_followed(
    server: ScriptedServer,
) -> None:
    ready = threading.Event()

    def wait(request: Any) -> Action:
        if request.number == 5:
            ready.set()
        return respond(json="ready") if ready.is_set() else redirect(303, "/job")

    server.default = wait

    assert Client(server).conn.json_request("GET", "/job") == "ready"
