"""A total deadline against servers that are never late by a single read: it holds all the same.

Rule: overshoot is what the call took beyond its deadline, less what the machine itself was late by
just then, which a sleeper beside it measures.
"""

from __future__ import annotations

import gzip
import io
import socket
import ssl
import threading
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import sleepwalker
from sleepwalker import Policy, ResponseLimits, exceptions
from tests.integration.retrying import Client
from tests.servers import (
    Action,
    CertificateAuthority,
    ForwardProxy,
    MakeServer,
    ScriptedServer,
    close_in_handshake,
    close_without_answer,
    raw,
    read_slowly,
    refused_port,
    respond,
    stall,
    stall_handshake,
    trickle,
    trickle_handshake,
    tunnel,
    unanswered_port,
    wire,
)
from tests.standstill import Standstill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

DEADLINE: Final = 0.3
OVERSHOOT: Final = 0.05
"""Seconds: the most that a call may take beyond its deadline."""
STEP: Final = 0.02
"""Seconds between the bytes of a server that trickles: no read of ours is ever late."""
LARGE: Final = 32 * 1024 * 1024
"""Bytes: more than the buffers of both systems hold."""
ONCE: Final = Policy(attempts=1)


def _withheld() -> float:
    """Seconds for which threads of ours were ready to run and had no core, where Linux tells."""
    waited = 0
    for task in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has just ended
            waited += int(task.read_text().split()[1])
    return waited / 1e9


@contextmanager
def taking(seconds: float) -> Iterator[None]:
    """Assert that what is inside takes so many seconds, and no more than 50 ms longer.

    Not counted is what a busy machine adds: for how long it stood still for a thread that only
    sleeps, or what it has withheld from all threads together, who wait for each other.
    """
    with Standstill() as machine:
        withheld, before = _withheld(), time.monotonic()
        yield
        took = time.monotonic() - before
        withheld = _withheld() - withheld
    assert seconds - 0.01 <= took < seconds + OVERSHOOT + max(machine.total, withheld)


def resolving(
    monkeypatch: pytest.MonkeyPatch, name: str, *hosts: str
) -> list[tuple[str, int | str | None]]:
    """Let a name have these addresses; what names were asked for."""
    asked: list[tuple[str, int | str | None]] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host != name:
            return real(host, port, *rest, **more)
        asked.append((host, port))
        return [found for each in hosts for found in real(each, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


# --- answers that trickle -------------------------------------------------------------------------

TAIL: Final = b"X-Filler: " + b"x" * 400 + b"\r\n\r\n"
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ZIPPED: Final = gzip.compress(bytes(range(256)) * 4)
TRICKLES: Final[dict[str, Action]] = {
    "status line": trickle(b"HTTP/1.1 200 " + b"O" * 400 + b"\r\n\r\n", STEP),
    "headers": raw(b"HTTP/1.1 200 OK\r\n") + trickle(TAIL, STEP),
    "1xx": raw(b"HTTP/1.1 103 Early Hints\r\n") + trickle(TAIL, STEP),
    "answer behind a 1xx": raw(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
    + trickle(TAIL, STEP),
    "body": trickle(wire(200, (), b"x" * 400), STEP / 4),
    "body until the end": raw(b"HTTP/1.1 200 OK\r\n\r\n") + trickle(b"x" * 400, STEP),
    "one chunk": raw(CHUNKED + b"190\r\n") + trickle(b"x" * 400, STEP),
    "many chunks": raw(CHUNKED) + trickle(b"1\r\nx\r\n" * 100, STEP),
    "chunk size": raw(CHUNKED) + trickle(b"1;" + b"x" * 400, STEP),
    "trailers": raw(CHUNKED + b"1\r\nx\r\n0\r\n") + trickle(TAIL, STEP),
    "gzip": raw(wire(200, {"Content-Encoding": "gzip"}, ZIPPED)[: -len(ZIPPED)])
    + trickle(ZIPPED, STEP),
}


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("what", TRICKLES)
def test_a_server_that_trickles_is_cut_short(
    make_server: MakeServer, ca: CertificateAuthority, what: str, *, tls: bool
) -> None:
    server = make_server(TRICKLES[what], tls=tls)
    with Client(server, ca if tls else None) as client:
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
            client.conn.request("POST", "/", data=b"x", deadline=DEADLINE)
        assert "while waiting for the answer: the total deadline of 0.3 s" in str(caught.value)
        assert caught.value.outcome_unknown
        assert caught.value.attempts == server.count() == 1


def test_a_body_that_takes_long_to_decompress_is_cut_short(server: ScriptedServer) -> None:
    # 400 MiB of nothing: the server is not late at all.
    squeezed = zlib.compressobj(1, wbits=31)
    nothing = b"".join(squeezed.compress(bytes(2**20)) for _ in range(400)) + squeezed.flush()
    server.default = respond(200, {"Content-Encoding": "gzip"}, nothing)
    with (
        Client(server, policy=Policy(response_limits=None)) as client,
        taking(0.1),
        pytest.raises(exceptions.DeadlineExceeded),
    ):
        client.conn.request("GET", "/", deadline=0.1)


def test_a_kept_connection_is_under_each_calls_own_deadline(server: ScriptedServer) -> None:
    server.script(respond(200), respond(200), TRICKLES["headers"])
    with Client(server) as client:
        client.conn.request("GET", "/", deadline=0.2)
        client.conn.request("GET", "/", timeout=5.0)
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded):
            client.conn.request("GET", "/", deadline=DEADLINE)
        assert len(server.connections) == 1
        assert client.conn.request("GET", "/").status_code == 200


def test_a_later_attempt_that_trickles_ends_with_the_calls_deadline(
    server: ScriptedServer,
) -> None:
    server.script(trickle(b"HTTP/1.", 0.01) + close_without_answer(), close_without_answer())
    server.default = TRICKLES["headers"]
    with Client(server, policy=Policy(attempts=100, backoff=None)) as client:
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
            client.conn.request("GET", "/", deadline=DEADLINE)
        assert caught.value.attempts == server.count() == 3


def test_an_ambient_deadline_cuts_a_server_that_trickles_short(server: ScriptedServer) -> None:
    server.default = TRICKLES["headers"]
    with (
        Client(server) as client,
        taking(DEADLINE),
        pytest.raises(exceptions.DeadlineExceeded),
        sleepwalker.deadline(DEADLINE),
    ):
        client.conn.request("GET", "/")


def test_a_read_timeout_that_fires_after_some_reads_is_named(server: ScriptedServer) -> None:
    server.default = trickle(b"HTTP/1.1 ", STEP / 2) + stall()
    with Client(server, policy=ONCE) as client:
        with pytest.raises(exceptions.ReadTimeout, match=r"read timeout of 0\.1 s"):
            client.conn.request("GET", "/", timeout=(5.0, 0.1), deadline=5.0)
        # The deadline is farther than the read timeout when it begins, and nearer when it fires.
        server.default = trickle(b"HTTP/1.1 ", STEP) + stall()
        with taking(0.3), pytest.raises(exceptions.DeadlineExceeded):
            client.conn.request("GET", "/", timeout=(5.0, 0.2), deadline=0.3)


def test_a_server_that_trickles_in_time_is_heard_out(server: ScriptedServer) -> None:
    server.default = trickle(wire(200, (), b"done"), 0.001)
    with Client(server, timeout=(5.0, 0.25)) as client:
        assert client.conn.request("GET", "/", deadline=20.0).content == b"done"


# --- streams --------------------------------------------------------------------------------------


def streamed(server: ScriptedServer) -> None:
    """Let a server answer at once with a body that trickles."""
    server.default = raw(wire(200, (), b"x" * 400)[:-400]) + trickle(b"x" * 400, STEP)


def test_a_streamed_body_is_under_the_deadline_that_the_call_gave(server: ScriptedServer) -> None:
    streamed(server)
    with Client(server) as client, taking(DEADLINE):
        response = client.conn.request("GET", "/", stream=True, deadline=DEADLINE)
        with response, pytest.raises(exceptions.DeadlineExceeded):
            list(response.iter_content(16))


def test_a_streamed_body_is_under_no_other_deadline(server: ScriptedServer) -> None:
    server.default = raw(wire(200, (), b"x" * 25)[:-25]) + trickle(b"x" * 25, STEP)
    with (
        Client(server, policy=Policy(deadline=0.25)) as client,
        sleepwalker.deadline(0.25),
        client.conn.request("GET", "/", stream=True) as response,
    ):
        assert response.content == b"x" * 25


def test_the_body_of_a_streamed_error_is_under_the_calls_deadline(server: ScriptedServer) -> None:
    server.default = raw(wire(418, (), b"x" * 400)[:-400]) + trickle(b"x" * 400, STEP)
    with Client(server, policy=Policy(deadline=DEADLINE)) as client, taking(DEADLINE):
        with pytest.raises(exceptions.HTTPError) as caught:
            client.conn.request("GET", "/", stream=True)
        assert caught.value.response.status_code == 418


# --- uploads --------------------------------------------------------------------------------------


def _parts() -> Iterator[bytes]:
    for _ in range(LARGE // 65536):
        yield bytes(65536)


BODIES: Final[dict[str, Callable[[], Any]]] = {
    "bytes": lambda: bytes(LARGE),
    "file": lambda: io.BytesIO(bytes(LARGE)),
    "iterator": _parts,
    "memory": lambda: memoryview(bytearray(LARGE)),
}


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("how", ["slowly", "not at all"])
def test_a_server_that_reads_an_upload_slowly_or_not_at_all_is_cut_short(
    make_server: MakeServer, ca: CertificateAuthority, body: str, how: str, *, tls: bool
) -> None:
    server = make_server(read_slowly(STEP if how == "slowly" else 10.0), tls=tls)
    data = BODIES[body]()
    with Client(server, ca if tls else None) as client:
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
            client.conn.request("POST", "/", data=data, deadline=DEADLINE)
        assert "while sending the request: the total deadline of 0.3 s" in str(caught.value)
        assert caught.value.outcome_unknown


def test_a_server_that_takes_nothing_is_a_read_timeout(server: ScriptedServer) -> None:
    server.default = read_slowly(10.0)
    with Client(server, policy=ONCE) as client:
        with taking(0.2), pytest.raises(exceptions.ReadTimeout) as caught:
            client.conn.request("PUT", "/", data=bytes(LARGE), timeout=(5.0, 0.2))
        assert "took nothing of the request for longer than the read timeout of 0.2 s" in str(
            caught.value
        )


def test_an_upload_that_goes_on_may_take_longer_than_one_write(server: ScriptedServer) -> None:
    with Client(server, policy=ONCE) as client:
        # Half of the pause between two parts is the caller's own.
        def parts() -> Iterator[bytes]:
            for _ in range(4):
                time.sleep(0.1)
                yield b"x" * 20_000

        answer = client.conn.request("PUT", "/", data=parts(), timeout=(5.0, 0.3))
        assert len(answer.json()["body"]) == 80_000


# --- decompressing --------------------------------------------------------------------------------

ZEROS: Final = gzip.compress(bytes(2**24))
"""16 MiB in 16 KiB."""
BOMBS: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {
    "many members": ("gzip", lambda: ZEROS * 100),
    "two layers": ("gzip, gzip", lambda: gzip.compress(ZEROS * 500, 1)),
}


def read_away(response: requests.Response) -> None:
    """Read a body and keep nothing of it."""
    for _ in response.iter_content(10_000):
        pass


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limits", [ResponseLimits(body=2**40), None], ids=["limit", "none"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_decompressing_is_cut_short(
    server: ScriptedServer, bomb: str, limits: ResponseLimits | None, *, stream: bool
) -> None:
    coding, make = BOMBS[bomb]
    server.default = respond(200, {"Content-Encoding": coding}, make())
    with Client(server, policy=Policy(attempts=1, response_limits=limits)) as client:
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
            read_away(client.conn.request("POST", "/", deadline=DEADLINE, stream=stream))
        assert "while waiting for the answer: the total deadline of 0.3 s" in str(caught.value)


# --- connecting -----------------------------------------------------------------------------------


def test_several_addresses_that_do_not_answer_are_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    resolving(monkeypatch, "many.test", *hosts)
    with unanswered_port(*hosts) as port, Client(f"http://many.test:{port}") as client:
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
            client.conn.request("POST", "/", data=b"x", deadline=DEADLINE)
        assert "while connecting" in str(caught.value)
        assert not caught.value.outcome_unknown


def test_the_connect_timeout_bounds_all_addresses_together(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    resolving(monkeypatch, "many.test", *hosts)
    with (
        unanswered_port(*hosts) as port,
        Client(f"http://many.test:{port}", policy=ONCE) as client,
        taking(0.3),
        pytest.raises(exceptions.ConnectTimeout, match=r"connect timeout of 0\.3 s"),
    ):
        client.conn.request("GET", "/", timeout=(0.3, 5.0))


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
    make_server: MakeServer,
    ca: CertificateAuthority,
    *,
    tls: bool,
) -> None:
    server = make_server(tls=tls, host="127.0.0.1")
    resolving(monkeypatch, "localhost", "127.0.0.2", "127.0.0.1")
    with (
        unanswered_port("127.0.0.2", port=server.port),
        Client(server.localhost_url, ca if tls else None, policy=ONCE) as client,
    ):
        before = time.monotonic()
        client.conn.request("GET", "/", timeout=(0.6, 5.0))
        # Half of the connect timeout was the first one's; more than all of it would have fired.
        assert time.monotonic() - before >= 0.29
    # Neither the certificate's name nor the Host header is the address.
    assert server.requests[0].headers["Host"] == f"localhost:{server.port}"


def test_an_address_that_refuses_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    asked = resolving(monkeypatch, "two.test", "127.0.0.2", "127.0.0.1")
    with Client(f"http://two.test:{server.port}", policy=ONCE) as client:
        assert client.conn.request("POST", "/", data=b"x").status_code == 200
        client.conn.request("GET", "/")
    assert asked == [("two.test", server.port)]
    assert len(server.connections) == 1


def test_when_all_addresses_refuse_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "two.test", "127.0.0.2", "127.0.0.1")
    with (
        refused_port() as port,
        Client(f"http://two.test:{port}", policy=ONCE) as client,
        pytest.raises(exceptions.ConnectError) as caught,
    ):
        client.conn.request("GET", "/")
    assert caught.value.error_type == "refused_connection"


def test_a_handshake_that_fails_is_no_reason_to_try_the_next_address(
    monkeypatch: pytest.MonkeyPatch, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(close_in_handshake())
    resolving(monkeypatch, "localhost", "127.0.0.1", "127.0.0.1", "::1")
    with (
        Client(tls_server.localhost_url, ca, policy=ONCE) as client,
        pytest.raises(exceptions.ConnectionError),
    ):
        client.conn.request("GET", "/")
    assert len(tls_server.connections) == 1


def test_the_certificate_must_be_the_names_whatever_the_address(
    monkeypatch: pytest.MonkeyPatch, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    resolving(monkeypatch, "books.test", "127.0.0.1")
    with (
        Client(f"https://books.test:{tls_server.port}", ca) as client,
        pytest.raises(exceptions.CertificateError, match=r"books\.test"),
    ):
        client.conn.request("GET", "/")


def test_a_resolver_that_stalls_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    over, threads = threading.Event(), []

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        threads.append(threading.current_thread())
        over.wait(20.0)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with Client("https://books.test", policy=ONCE) as client:
            with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
                client.conn.request("POST", "/", data=b"x", deadline=DEADLINE)
            assert not caught.value.outcome_unknown
            with taking(0.2), pytest.raises(exceptions.ConnectTimeout):
                client.conn.request("POST", "/", data=b"x", timeout=(0.2, 5.0))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert len(threads) == 2


def test_a_name_with_a_dot_at_its_end_is_asked_for_as_it_is(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    asked = resolving(monkeypatch, "books.test.", "127.0.0.1")
    with Client(f"http://books.test.:{server.port}") as client:
        client.conn.request("GET", "/")
        client.conn.session.get(f"http://books.test.:{server.port}/directly")
    assert asked == [("books.test.", server.port)]


def test_who_puts_a_function_of_their_own_for_connecting_is_asked_for_the_name(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    from urllib3.util import connection  # noqa: PLC0415 - as its users do it

    real, asked = connection.create_connection, []

    def create_connection(address: tuple[str, int], *rest: Any, **more: Any) -> Any:
        asked.append(address)
        return real(("127.0.0.1", address[1]), *rest, **more)

    monkeypatch.setattr(connection, "create_connection", create_connection)
    with Client(f"http://books.test:{server.port}") as client:
        client.conn.request("GET", "/")
    assert asked == [("books.test", server.port)]


def test_a_handshake_that_trickles_is_cut_short(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = trickle_handshake(STEP)
    with Client(tls_server, ca, policy=ONCE) as client:
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
            client.conn.request("POST", "/", data=b"x", deadline=DEADLINE)
        assert "while connecting" in str(caught.value)
        assert not caught.value.outcome_unknown
        with taking(0.2), pytest.raises(exceptions.ConnectTimeout):
            client.conn.request("POST", "/", data=b"x", timeout=(0.2, 5.0))


def test_reading_the_certificates_to_trust_counts_as_connecting(
    monkeypatch: pytest.MonkeyPatch, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    real = ssl.SSLContext.load_verify_locations

    def slow(*args: Any, **kwargs: Any) -> None:
        time.sleep(0.1)
        real(*args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", slow)
    tls_server.default = stall_handshake()
    with Client(tls_server, ca, policy=ONCE) as client:
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded):
            client.conn.request("GET", "/", deadline=DEADLINE)
        with taking(0.2), pytest.raises(exceptions.ConnectTimeout):
            client.conn.request("GET", "/", timeout=(0.2, 5.0))


ESTABLISHED: Final = b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 400 + b"\r\n\r\n"


def test_a_connect_that_trickles_is_cut_short(
    tls_server: ScriptedServer, ca: CertificateAuthority, proxy: ForwardProxy
) -> None:
    proxy.default = trickle(ESTABLISHED, STEP)
    with Client(tls_server, ca, policy=ONCE) as client:
        client.conn.session.proxies = {"https": proxy.url}
        with taking(DEADLINE), pytest.raises(exceptions.DeadlineExceeded) as caught:
            client.conn.request("POST", "/", data=b"x", deadline=DEADLINE)
        assert "while connecting" in str(caught.value)
        assert not caught.value.outcome_unknown
        with taking(0.2), pytest.raises(exceptions.ConnectTimeout):
            client.conn.request("POST", "/", data=b"x", timeout=(0.2, 5.0))
    assert tls_server.connections == []


@pytest.mark.parametrize("deadline", [True, False], ids=["deadline", "connect timeout"])
def test_a_handshake_has_what_the_connect_before_it_left(
    tls_server: ScriptedServer, ca: CertificateAuthority, proxy: ForwardProxy, *, deadline: bool
) -> None:
    proxy.default = _pause(0.2) + tunnel()
    tls_server.default = trickle_handshake(STEP)
    wanted = exceptions.DeadlineExceeded if deadline else exceptions.ConnectTimeout
    bounds: dict[str, Any] = {"deadline": 0.5} if deadline else {"timeout": (0.5, 5.0)}
    with Client(tls_server, ca, policy=ONCE) as client:
        client.conn.session.proxies = {"https": proxy.url}
        with taking(0.5), pytest.raises(wanted):
            client.conn.request("GET", "/", **bounds)
    assert len(tls_server.connections) == 1


def _pause(seconds: float) -> Action:
    """Do nothing for so long."""
    event = threading.Event()
    threading.Timer(seconds, event.set).start()
    return stall(event)
