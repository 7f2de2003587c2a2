"""A streamed body that fails while the caller reads it: the errors are ours, and complete.

Rules:

1. However it is read, the error is that of a body which the call itself reads, with the method, the
   URL, the request, the attempts and the time since the call began.
2. No secret is in it, nor in its chain.
"""

from __future__ import annotations

import builtins
import functools
import gc
import gzip
import io
import pickle
import shutil
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
import urllib3

from sleepwalker import (
    ConnectionError,
    DeadlineExceeded,
    HTTPNotFound,
    Policy,
    ProtocolError,
    ReadTimeout,
    SleepwalkerException,
)
from tests.integration.retrying import Client
from tests.planting import everything_in, found, new_secret
from tests.servers import (
    Action,
    ScriptedServer,
    close_without_answer,
    raw,
    redirect,
    reset_after_reading,
    respond,
    stall,
    truncated_body,
    truncated_chunked,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EITHER: Final = "truncated or protocol"
"""Kinds: chunks are read by http.client or by urllib3, which tell of it differently."""
ANSWERS: Final[dict[str, tuple[Action, type[SleepwalkerException], str]]] = {
    "cut short": (truncated_body(b'{"half": 1'), ProtocolError, "truncated"),
    "cut short in chunks": (truncated_chunked(b'{"half": 1'), ProtocolError, EITHER),
    "reset": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf") + reset_after_reading(),
        ProtocolError,
        "reset",
    ),
    "stalled": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf") + stall(),
        ReadTimeout,
        "read_timeout",
    ),
    "stalled in chunks": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n") + stall(),
        ReadTimeout,
        "read_timeout",
    ),
    "broken gzip": (
        respond(200, {"Content-Encoding": "gzip"}, gzip.compress(b"{}")[:5] + b"x" * 50),
        ProtocolError,
        "protocol",
    ),
    "gzip cut short": (
        respond(200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"whole": 1}')[:-9]),
        ProtocolError,
        "truncated",
    ),
    "gzip cut short in chunks": (
        raw(
            wire(
                200,
                {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"},
                b"12\r\n" + gzip.compress(b'{"whole": 1}')[:18] + b"\r\n0\r\n\r\n",
            )
        ),
        ProtocolError,
        "truncated",
    ),
    "broken chunks": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n")
        + close_without_answer(),
        ProtocolError,
        EITHER,
    ),
}


def saved(response: requests.Response) -> None:
    """Save a body as the documentation of requests does."""
    response.raw.decode_content = True
    shutil.copyfileobj(response.raw, io.BytesIO())


def saved_decoded(response: requests.Response) -> None:
    """Save a body as many programs do."""
    response.raw.read = functools.partial(response.raw.read, decode_content=True)
    shutil.copyfileobj(response.raw, io.BytesIO())


READS: Final[dict[str, Callable[[requests.Response], Any]]] = {
    "content": lambda response: response.content,
    "text": lambda response: response.text,
    "json": lambda response: response.json(),
    "iter_content": lambda response: list(response.iter_content(3)),
    "iter_content as it comes": lambda response: list(response.iter_content(None)),
    "iter_lines": lambda response: list(response.iter_lines()),
    "iteration": list,
    "pickling": pickle.dumps,
    "saved": saved,
    "saved decoded": saved_decoded,
    "raw.stream": lambda response: list(response.raw.stream(3, decode_content=True)),
    "raw.read": lambda response: response.raw.read(decode_content=True),
    "raw.read in pieces": lambda response: list(
        iter(lambda: response.raw.read(3, decode_content=True), b"")
    ),
    "raw.readline": lambda response: list(iter(response.raw.readline, b"")),
}


def in_vain(answer: str, read: str) -> bool:
    """Whether a way to read doesn't meet the fault: it decodes nothing."""
    return "gzip" in answer and read == "raw.readline"


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_error_is_ours_however_the_body_is_read(
    server: ScriptedServer, answer: str, read: str
) -> None:
    if in_vain(answer, read):
        pytest.skip("it decodes nothing")
    action, kind, error_type = ANSWERS[answer]
    server.default = action
    # Only who stalls is to be too late: the machine itself may stand still for longer.
    patience = 0.1 if answer.startswith("stalled") else 5.0
    client = Client(server, timeout=(5.0, patience), allow_plaintext=True)
    secret = new_secret()
    response = client.conn.request(
        "GET",
        "/books",
        stream=True,
        params={"token": secret, "page": "1"},
        headers={"Authorization": f"Bearer {secret}"},
        cookies={"session": secret},
    )

    with response, pytest.raises(kind) as caught:
        READS[read](response)

    error = caught.value
    assert type(error) is kind
    assert error.message.startswith(f"GET {server.url}/books?token=REDACTED&page=1: ")
    assert error.error_type in error_type
    assert isinstance(error, requests.RequestException)
    assert isinstance(error, ConnectionError)
    assert isinstance(error, builtins.ConnectionError)
    assert error.request.method == "GET"
    assert error.request.headers["Authorization"] == "REDACTED"
    assert error.attempts == 1
    assert 0 < error.elapsed < 10
    assert not error.outcome_unknown
    for text in everything_in(error):
        assert found(secret, text) is None
    assert type(pickle.loads(pickle.dumps(error))) is kind  # noqa: S301 - our own pickle
    assert server.count() == 1


READS_OF_WHOLE: Final[dict[str, Callable[[requests.Response], list[bytes]]]] = {
    "content": lambda response: [response.content],
    "iter_content by bytes": lambda response: list(response.iter_content(1)),
    "raw.read": lambda response: [response.raw.read(decode_content=True)],
    "raw.read in pieces": lambda response: list(
        iter(lambda: response.raw.read(3, decode_content=True), b"")
    ),
    "raw.stream": lambda response: list(response.raw.stream(3, decode_content=True)),
    "raw.data": lambda response: [response.raw.data],
    "raw.readlines": lambda response: response.raw.readlines(),
    "raw.read1": lambda response: list(iter(response.raw.read1, b"")),
    "raw.readinto": lambda response: list(iter(lambda: _read_into(response), b"")),
    "raw lines": lambda response: list(response.raw),
}


def _read_into(response: requests.Response) -> bytes:
    part = bytearray(3)
    return bytes(part[: response.raw.readinto(part)])


@pytest.mark.parametrize("read", READS_OF_WHOLE)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_compressed_body_is_whole_however_it_is_read(
    server: ScriptedServer, read: str, *, chunked: bool
) -> None:
    body = b"one\ntwo\n\nthree " * 9
    packed = gzip.compress(body)
    if chunked:
        parts = b"".join(b"1\r\n%c\r\n" % byte for byte in packed) + b"0\r\n\r\n"
        coded = {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}
        server.script(raw(wire(200, coded, parts)))
    else:
        server.script(respond(200, {"Content-Encoding": "gzip"}, packed))
    client = Client(server)

    with client.conn.request("GET", "/", stream=True) as response:
        response.raw.decode_content = True
        assert b"".join(READS_OF_WHOLE[read](response)) == body
        assert response.raw.read(decode_content=True) == b""
    client.conn.request("GET", "/")
    assert len(server.connections) == 1


def test_what_is_read_undecoded_is_what_came(server: ScriptedServer) -> None:
    cut = gzip.compress(b"whole")[:-1]
    server.default = respond(200, {"Content-Encoding": "gzip"}, cut)

    with Client(server).conn.request("GET", "/", stream=True) as response:
        assert response.raw.read() == cut


def test_a_compressed_body_that_is_closed_before_its_end_is_no_error(
    server: ScriptedServer,
) -> None:
    server.default = respond(200, {"Content-Encoding": "gzip"}, gzip.compress(b"z" * 10_000))

    with Client(server).conn.request("GET", "/", stream=True) as response:
        assert response.raw.read(1, decode_content=True) == b"z"
        response.close()
        rest = response.raw.read(decode_content=True)

    assert rest == b"z" * len(rest)


def test_a_stall_names_the_timeout_that_fired_also_when_the_deadline_was_nearer_before(
    server: ScriptedServer,
) -> None:
    server.default = ANSWERS["stalled"][0]
    policy = Policy(deadline=0.4, read_timeout=0.5)

    with (
        Client(server, policy=policy).conn.request("GET", "/", stream=True) as response,
        pytest.raises(ReadTimeout, match=r"read timeout of 0\.5 s \(read_timeout of the policy\)"),
    ):
        list(response.iter_content(4))


def test_a_stall_under_the_calls_own_deadline_is_its_end(server: ScriptedServer) -> None:
    server.default = ANSWERS["stalled"][0]
    conn = Client(server).conn

    with (
        conn.request("GET", "/", stream=True, deadline=0.2) as response,
        pytest.raises(DeadlineExceeded, match=r"total deadline of 0\.2 s"),
    ):
        list(response.iter_content(4))


def test_the_socket_of_a_body_that_failed_is_not_used_again(server: ScriptedServer) -> None:
    server.script(ANSWERS["broken chunks"][0], ANSWERS["stalled"][0], respond(json=1))
    conn = Client(server, timeout=(5.0, 0.1)).conn

    for _ in range(2):
        with (
            conn.request("GET", "/", stream=True) as response,
            pytest.raises(SleepwalkerException),
        ):
            _ = response.content

    assert conn.json_request("GET", "/") == 1
    assert [each.requests for each in server.connections] == [1, 1, 1]


def test_the_attempts_before_the_answer_count(server: ScriptedServer) -> None:
    server.script(respond(503), redirect(302, "/b"), truncated_body())
    conn = Client(server).conn

    with conn.request("GET", "/a", stream=True) as response, pytest.raises(ProtocolError) as caught:
        _ = response.content

    assert caught.value.attempts == 3
    assert caught.value.message.startswith(f"GET {server.url}/b: ")


def test_a_streamed_error_that_need_not_raise_has_our_errors_too(server: ScriptedServer) -> None:
    server.default = truncated_body(status=404)
    conn = Client(server).conn

    with (
        conn.request("GET", "/", stream=True, raise_for_status=False) as response,
        pytest.raises(ProtocolError),
    ):
        _ = response.content
    with pytest.raises(HTTPNotFound):
        conn.request("GET", "/", stream=True)


def test_what_the_caller_is_handling_is_no_cause_and_its_timeout_is_not_ours(
    server: ScriptedServer,
) -> None:
    server.default = truncated_body()

    def read_while_handling(response: requests.Response) -> None:
        try:
            raise builtins.TimeoutError("the caller's own")  # noqa: TRY301 - to be handled here
        except builtins.TimeoutError:
            _ = response.content

    with (
        Client(server).conn.request("GET", "/", stream=True) as response,
        pytest.raises(ProtocolError) as caught,
    ):
        read_while_handling(response)
    assert caught.value.error_type == "truncated"


@pytest.mark.parametrize("stream", [False, True])
def test_a_misuse_is_told_as_requests_tells_it(server: ScriptedServer, *, stream: bool) -> None:
    response = Client(server).conn.request("GET", "/", stream=stream)

    many: Any = "many"
    with pytest.raises(TypeError, match="chunk_size"):
        response.iter_content(many)
    if stream:
        list(response.iter_content(10))
        with pytest.raises(requests.exceptions.StreamConsumedError):
            response.iter_content(10)
        with pytest.raises(RuntimeError, match="consumed"):
            _ = response.content


def test_a_failed_stream_leaves_no_cycle_behind(server: ScriptedServer) -> None:
    server.default = truncated_body()
    conn = Client(server).conn
    gc.collect()
    gc.disable()
    try:
        response = conn.request("GET", "/", stream=True)
        conn.response = None  # type: ignore[assignment]
        raws = weakref.ref(response.raw)
        try:
            _ = response.content
        except ProtocolError as error:
            failure: ProtocolError | None = error
        errors = weakref.ref(failure)
        del response, failure
        assert raws() is None
        assert errors() is None
    finally:
        gc.enable()


def test_a_stream_that_nobody_reads_closes_its_socket_when_it_is_forgotten(
    server: ScriptedServer,
) -> None:
    server.default = ANSWERS["stalled"][0]
    conn = Client(server).conn
    gc.disable()
    try:
        response = conn.request("GET", "/", stream=True)
        conn.response = None  # type: ignore[assignment]
        del response
        server.wait_for(lambda: server.connections[0].closed_by == "client")
    finally:
        gc.enable()


# --- what else can be done with the raw body -----------------------------------------------------


@pytest.fixture
def body(server: ScriptedServer) -> Iterator[Any]:
    """Give the raw body of an answer of three lines."""
    lines = gzip.compress(b"one\ntwo\nthree\n")
    server.default = respond(200, {"Content-Encoding": "gzip"}, lines)
    with Client(server).conn.request("GET", "/", stream=True) as response:
        response.raw.decode_content = True
        yield response.raw


def test_the_raw_body_is_urllib3s_for_all_that_is_not_reading(body: Any) -> None:
    inner = body._inner  # noqa: SLF001 - what is behind it has no public name
    assert isinstance(inner, urllib3.HTTPResponse)
    assert inner.decode_content is True
    assert body.headers is inner.headers
    assert (body.status, body.version, body.closed) == (200, 11, False)
    assert body.readable()
    assert not body.isclosed()
    assert body.tell() == 0
    assert body.supports_chunked_reads()
    assert not hasattr(body, "no_such_thing")
    body.auto_close = False
    assert inner.auto_close is False


def test_the_raw_body_is_iterated_by_lines(body: Any) -> None:
    assert list(body) == [b"one\n", b"two\n", b"three\n"]


def test_the_raw_body_gives_the_next_line(body: Any) -> None:
    assert [next(body), next(body), next(body)] == [b"one\n", b"two\n", b"three\n"]
    with pytest.raises(StopIteration):
        next(body)


def test_the_raw_body_can_be_read_as_text(body: Any) -> None:
    body.auto_close = False
    with io.TextIOWrapper(body, encoding="utf-8") as text:
        assert text.readlines() == ["one\n", "two\n", "three\n"]


def test_the_raw_body_can_be_read_through_a_buffer(body: Any) -> None:
    body.auto_close = False
    assert io.BufferedReader(body).readline() == b"one\n"


def test_the_raw_body_is_a_context_manager(body: Any) -> None:
    with body as same:
        assert same.data == b"one\ntwo\nthree\n"
        assert same.data == b"one\ntwo\nthree\n"
    assert body.closed


def test_a_reader_of_pieces_that_stops_early_closes_the_socket(server: ScriptedServer) -> None:
    server.default = respond(200, {}, b"x" * 10_000_000)
    with Client(server).conn.request("GET", "/", stream=True) as response:
        for _ in response.iter_content(1000):
            break
    server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_threads_may_read_answers_of_their_own(server: ScriptedServer) -> None:
    server.default = truncated_body(b"x" * 10_000)
    conn = Client(server).conn
    failed: list[SleepwalkerException] = []

    def read(number: int) -> None:
        with conn.request("GET", f"/{number}", stream=True) as response:
            try:
                _ = response.content
            except ProtocolError as error:
                failed.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {error.request.path_url for error in failed} == {f"/{number}" for number in range(8)}
