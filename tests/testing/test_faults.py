"""Injected faults, held against the real ones: to a caller nothing tells one from the other.

Rule: each fault in `FAULTS` is made twice, by a server (or a port) on loopback and by a
`FaultAdapter`, for the same URL; all that Sleepwalker or `requests` says of it must be the same.
"""

from __future__ import annotations

import gzip
import re
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import requests

from sleepwalker import exceptions
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability.events import AttemptFinished, RequestFinished, RetryScheduled
from sleepwalker.observability.redaction import causes
from sleepwalker.testing import FakeClock, Fault, FaultAdapter
from tests.integration.retrying import STALLED, Client
from tests.servers import (
    Action,
    ScriptedServer,
    close_without_answer,
    raw,
    refused_port,
    reset_after_reading,
    respond,
    stall,
    truncated_body,
    unanswered_port,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sleepwalker.resilience import Clock


class Pair(NamedTuple):
    """A fault, injected and real."""

    fault: Fault
    real: Action | str
    """What a server does, or what kind of place has none."""


HEADERS: Final = {"Content-Type": "text/plain", "Retry-After": "3", "Content-Length": "4"}

FAULTS: Final = {
    "refused": Pair(Fault.refused(), "refused"),
    "unresolved": Pair(Fault.unresolved(), "unresolved"),
    "connect timeout": Pair(Fault.connect_timeout(), "unanswered"),
    "reset": Pair(Fault.reset(), reset_after_reading()),
    "closed": Pair(Fault.closed(), close_without_answer()),
    "read timeout": Pair(Fault.read_timeout(), stall()),
    "stall": Pair(Fault.stall(STALLED[1] + 1.0), stall()),
    "truncated": Pair(Fault.truncated(), truncated_body(b"half o", 12)),
    "503": Pair(
        Fault.status(503, {"Content-Type": "text/plain", "Retry-After": "3"}, b"busy"),
        respond(503, {"Content-Type": "text/plain", "Retry-After": "3"}, b"busy"),
    ),
    "404": Pair(
        Fault.status(404, json={"error_text": "no"}), respond(404, json={"error_text": "no"})
    ),
}

CALLS: Final[dict[str, dict[str, Any]]] = {
    "GET": {"method": "GET"},
    "PUT": {"method": "PUT", "data": b"x"},
    "POST": {"method": "POST", "data": b"x"},
    "POST with a key": {"method": "POST", "data": b"x", "idempotency_key": "order-1"},
}


@contextmanager
def place(real: Action | str, server: ScriptedServer, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a URL at which the real fault happens."""
    if isinstance(real, Action):
        server.default = real
        yield server.url
    elif real == "refused":
        with refused_port() as port:
            yield f"http://127.0.0.1:{port}"
    elif real == "unanswered":
        with unanswered_port() as port:
            yield f"http://127.0.0.1:{port}"
    else:
        assert real == "unresolved"

        def resolve(*_: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        with patch.context() as patched:
            patched.setattr(socket, "getaddrinfo", resolve)
            yield "http://books.example"


def failing(
    where: ScriptedServer | str,
    fault: Fault,
    *,
    times: int = 1,
    answer: Fault | None = None,
    clock: Clock | None = None,
) -> tuple[Client, FaultAdapter]:
    """Give a client whose next requests get a fault."""
    client = Client(where) if clock is None else Client(where, clock=clock)
    adapter = FaultAdapter(answer=answer)
    adapter.mount_on(client.conn)
    adapter.fail_next(times, fault)
    return client, adapter


def told(client: Client, call: dict[str, Any]) -> dict[str, Any]:
    """Make a call that fails; give all that a caller and the instruments are told of it."""
    with pytest.raises(exceptions.SleepwalkerException) as caught:
        client.conn.request(uri="/books", timeout=STALLED, **call)
    error = caught.value
    response = error.response
    return {
        "class": type(error),
        "error type": error.error_type,
        "attempts": error.attempts,
        "outcome unknown": error.outcome_unknown,
        "retry after": error.retry_after,
        "text": re.sub(r"elapsed: [\d.]+ s", "", str(error)),
        "notes": getattr(error, "__notes__", []),
        "cause": repr(error.__cause__),
        "answer": None if response is None else (response.status_code, response.content),
        "retries": client.retries,
        "outcomes": client.outcomes,
        "waits": client.slept,
        "wire": [(e.status, e.error_type) for e in client.told.all(AttemptFinished)],
        "why": [(e.reason, e.wait, e.error_type) for e in client.told.all(RetryScheduled)],
        "end": [(e.outcome, e.status, e.error_type) for e in client.told.all(RequestFinished)],
        "resends": client.resend_counts(),
    }


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("pair", FAULTS.values(), ids=FAULTS)
def test_sleepwalker_takes_an_injected_fault_for_the_real_one(
    pair: Pair, call: dict[str, Any], server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place(pair.real, server, monkeypatch) as url:
        real = told(Client(url, random=1.0), call)
        # What was sent whole is read by the server, though its client has given up meanwhile.
        late = sum(error_type == "read_timeout" for _, error_type in real["wire"])
        server.wait_for(lambda: server.count() >= late)
        sent = server.count()
        injected = Client(url, random=1.0)
        adapter = FaultAdapter(answer=Fault.status(200))
        adapter.mount_on(injected.conn)
        adapter.fail_next(3, pair.fault)

        assert told(injected, call) == real

    assert len(adapter.injected) == len(adapter.requests) == real["attempts"]
    assert server.count() == sent  # nothing of the second call reached it


@pytest.mark.parametrize("pair", FAULTS.values(), ids=FAULTS)
def test_requests_raises_the_same_for_an_injected_fault_as_for_the_real_one(
    pair: Pair, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raised(session: requests.Session, url: str) -> list[type]:
        with pytest.raises((requests.RequestException, requests.HTTPError)) as caught:
            session.get(f"{url}/books", timeout=STALLED).raise_for_status()
        return [type(link) for link in causes(caught.value)]

    with place(pair.real, server, monkeypatch) as url:
        with requests.Session() as session:
            real = raised(session, url)
        with requests.Session() as session:
            adapter = FaultAdapter(answer=Fault.status(200))
            session.mount("http://", adapter)
            adapter.fail_next(1, pair.fault)
            assert raised(session, url) == real


@pytest.mark.parametrize(
    "fault", [Fault.refused(), Fault.unresolved(), Fault.connect_timeout()], ids=repr
)
def test_what_was_never_sent_is_sent_again_whatever_it_is(fault: Fault) -> None:
    client, adapter = failing("https://books.example", fault, times=2, answer=Fault.status(201))

    assert client.conn.request("POST", "/books", data=b"x").status_code == 201
    assert [sent.fault for sent in adapter.requests] == [fault, fault, None]
    assert client.retries == {"timeout" if fault == Fault.connect_timeout() else "connect": 2}


@pytest.mark.parametrize(
    "fault",
    [Fault.reset(), Fault.closed(), Fault.read_timeout(), Fault.truncated(), Fault.stall(99)],
    ids=repr,
)
def test_what_was_maybe_sent_is_sent_again_only_with_a_key(fault: Fault) -> None:
    client, adapter = failing("https://books.example", fault, times=2, answer=Fault.status(201))

    with pytest.raises(exceptions.ConnectionError) as caught:
        client.conn.request("POST", "/books", data=b"x")
    assert (caught.value.attempts, caught.value.outcome_unknown) == (1, True)

    client.conn.request("POST", "/books", data=b"x", idempotency_key="order-1")
    keys = [sent.request.headers.get("Idempotency-Key") for sent in adapter.requests]
    assert keys == [None, "order-1", "order-1"]


# --- what is processed, and its answer lost -------------------------------------------------------

LOST: Final = [
    Fault.reset(processed=True),
    Fault.closed(processed=True),
    Fault.read_timeout(processed=True),
    Fault.truncated(processed=True),
    Fault.stall(99),
]


@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_a_request_whose_answer_is_lost_reached_the_server(
    fault: Fault, server: ScriptedServer
) -> None:
    client, _ = failing(server, fault)

    with pytest.raises(exceptions.ConnectionError) as caught:
        client.conn.request("POST", "/books", data=b"once")

    assert caught.value.outcome_unknown
    assert [request.body for request in server.requests] == [b"once"]
    assert client.wire_attempts == caught.value.attempts == 1


@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_with_a_key_it_comes_to_the_server_twice_with_the_same(
    fault: Fault, server: ScriptedServer
) -> None:
    client, _ = failing(server, fault)

    client.conn.request("POST", "/books", data=b"once", idempotency_key="k")

    assert [r.headers["Idempotency-Key"] for r in server.requests] == ["k", "k"]
    assert [r.body for r in server.requests] == [b"once", b"once"]
    assert client.wire_attempts == 2


@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_a_body_that_can_be_read_but_once_reaches_the_server_whole(
    fault: Fault, server: ScriptedServer
) -> None:
    client, _ = failing(server, fault)

    with pytest.raises(exceptions.ConnectionError) as caught:
        client.conn.request("PUT", "/books", data=iter([b"on", b"ce"]))

    assert [request.body for request in server.requests] == [b"once"]
    assert caught.value.attempts == 1


def test_a_file_is_read_to_its_end_and_sent_again_whole(
    server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "book"
    path.write_bytes(b"x" * 100_000)
    client, _ = failing(server, Fault.reset())
    at: list[int] = []

    with path.open("rb") as body:
        client.clock.at_next_sleep(lambda: at.append(body.tell()))
        client.conn.request("PUT", "/books/1", data=body)

    assert at == [100_000]
    assert [request.body for request in server.requests] == [path.read_bytes()]


def test_a_server_that_refuses_what_goes_through_was_never_sent_anything() -> None:
    with refused_port() as port:
        client, _ = failing(f"http://127.0.0.1:{port}", Fault.reset(processed=True), times=3)

        with pytest.raises(exceptions.ConnectError) as caught:
            client.conn.request("POST", "/books", data=b"x")

    assert (caught.value.error_type, caught.value.attempts) == ("refused_connection", 3)
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_breaks_off_beneath_is_told_as_it_is(
    stream: bool,  # noqa: FBT001 - a parameter of the test
    server: ScriptedServer,
) -> None:
    server.default = truncated_body(b"half", 8)
    client, _ = failing(server, Fault.stall(1.0), times=3)

    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("GET", "/books", stream=stream)

    assert (caught.value.error_type, caught.value.attempts) == ("truncated", 3)
    assert server.count() == 3


def test_a_truncated_answer_is_that_of_the_server_up_to_its_middle(server: ScriptedServer) -> None:
    server.default = respond(200, {"X-Shelf": "7"}, b"0123456789")
    client, _ = failing(server, Fault.truncated(processed=True))

    with client.conn.request("GET", "/books", stream=True) as response:
        parts = response.iter_content(5)
        assert (response.headers["X-Shelf"], next(parts)) == ("7", b"01234")
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(parts)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "answer", [Fault.status(204), Fault.status(200), Fault.status(200, body="x")], ids=repr
)
def test_an_answer_too_short_to_be_cut_in_its_body_is_cut_in_its_headers(
    answer: Fault, method: str
) -> None:
    client, _ = failing(
        "https://books.example", Fault.truncated(processed=True), times=3, answer=answer
    )

    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request(method, "/books")

    assert caught.value.error_type == "truncated"


# --- answers that come late -----------------------------------------------------------------------


def test_a_stall_shorter_than_the_timeout_only_takes_its_time(server: ScriptedServer) -> None:
    clock = FakeClock()
    client, _ = failing(server, Fault.stall(9.5), clock=clock)

    assert client.conn.json_request("GET", "/books")["target"] == "/books"
    assert (clock.monotonic(), clock.slept, server.count()) == (9.5, [], 1)
    (finished,) = client.told.all(RequestFinished)
    assert (finished.duration, finished.waited, finished.outcome) == (9.5, 0.0, "success")


@pytest.mark.parametrize("seconds", [10.0, 11.0, 1e9])
def test_a_stall_takes_no_longer_than_the_timeout(seconds: float) -> None:
    clock = FakeClock()
    client, _ = failing(
        "https://books.example", Fault.stall(seconds), answer=Fault.status(200), clock=clock
    )

    with pytest.raises(exceptions.ReadTimeout) as caught:
        client.conn.request("POST", "/books", data=b"x")

    assert clock.monotonic() == caught.value.elapsed == 10.0


def test_a_stall_ends_with_the_deadline() -> None:
    clock = FakeClock()
    client = Client("https://books.example", clock=clock)
    adapter = FaultAdapter(answer=Fault.status(200))
    adapter.mount_on(client.conn)
    adapter.fail_next(9, Fault.stall(3.0), path="/slow")
    adapter.fail_next(9, Fault.stall(8.0))

    client.conn.request("GET", "/slow", deadline=4.0)
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("GET", "/slower", deadline=4.0)

    assert (caught.value.elapsed, clock.monotonic()) == (4.0, 7.0)


def test_on_a_clock_that_can_but_sleep_a_stall_is_slept_up_to_the_timeout() -> None:
    slept: list[float] = []

    clock = Foreign(slept)
    client, adapter = failing(
        "https://books.example", Fault.stall(1.5), answer=Fault.status(200), clock=clock
    )
    adapter.fail_next(1, Fault.stall(60.0))

    client.conn.request("GET", "/books")
    with pytest.raises(exceptions.ReadTimeout):
        client.conn.request("POST", "/books", timeout=2.0)

    assert slept == [1.5, 2.0]


class Foreign:
    """A clock of somebody else's, which can but sleep."""

    def __init__(self, slept: list[float]) -> None:
        self.slept = slept

    def monotonic(self) -> float:
        return sum(self.slept)

    def time(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_slow_answer_comes_whole_and_no_read_is_long(server: ScriptedServer) -> None:
    server.default = respond(200, {"X-Shelf": "7"}, b"0123456789" * 1000)
    clock = FakeClock()
    client, _ = failing(server, Fault.slow(20.0), clock=clock)

    response = client.conn.request("GET", "/books", timeout=2.5)

    assert (response.content, response.headers["X-Shelf"]) == (b"0123456789" * 1000, "7")
    assert clock.monotonic() == pytest.approx(20.0)


def test_a_slow_answers_pieces_can_be_too_late_for_the_read_timeout() -> None:
    client = Client("https://books.example", clock=FakeClock())
    adapter = FaultAdapter(answer=Fault.status(200, body="0123456789"))
    adapter.mount_on(client.conn)
    adapter.fail_next(1, Fault.slow(20.0))

    with pytest.raises(exceptions.ReadTimeout):
        client.conn.request("POST", "/books", timeout=1.5)


@pytest.mark.parametrize("answer", [Fault.status(204), Fault.status(200)], ids=repr)
def test_a_slow_answer_without_a_body_has_slow_headers(answer: Fault) -> None:
    clock = FakeClock()
    client, _ = failing("https://books.example", Fault.slow(5.0), answer=answer, clock=clock)

    assert client.conn.request("GET", "/books").content == b""
    assert clock.monotonic() == pytest.approx(5.0)


def test_an_encoded_answer_arrives_as_the_server_sent_it(server: ScriptedServer) -> None:
    server.default = respond(200, {"Content-Encoding": "gzip"}, gzip.compress(b"Solaris"))
    client, _ = failing(server, Fault.stall(1.0), times=2)

    assert client.conn.request("GET", "/books").content == b"Solaris"
    with client.conn.request("GET", "/books", stream=True) as response:
        assert response.raw.headers["Content-Encoding"] == "gzip"
        assert b"".join(response.iter_content(3)) == b"Solaris"


def test_a_chunked_answer_with_several_cookies_keeps_all_of_them(server: ScriptedServer) -> None:
    server.default = raw(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    client, _ = failing(server, Fault.stall(1.0))

    assert client.conn.request("GET", "/books").text == "abc"
    assert dict(client.conn.session.cookies) == {"a": "1", "b": "2"}


# --- answers on demand ----------------------------------------------------------------------------


def test_an_answer_has_its_status_headers_and_body() -> None:
    client = Client("https://books.example")
    adapter = FaultAdapter(answer=Fault.status(418, {"X-Shelf": "7"}, "Süß"))
    adapter.mount_on(client.conn)

    response = client.conn.request("GET", "/books", raise_for_status=False)

    assert (response.status_code, response.reason) == (418, "I'm a Teapot")
    assert (response.content.decode(), response.headers["X-Shelf"]) == ("Süß", "7")
    assert response.url == "https://books.example/books"


def test_an_answer_may_be_json() -> None:
    client = Client("https://books.example")
    adapter = FaultAdapter(answer=Fault.status(200, json={"title": "Solaris"}))
    adapter.mount_on(client.conn)

    assert client.conn.json_request("GET", "/books/1") == {"title": "Solaris"}
    assert client.conn.response is not None
    assert client.conn.response.headers["Content-Type"] == "application/json"


def test_redirects_are_followed_to_other_hosts() -> None:
    client, adapter = failing(
        "https://books.example",
        Fault.status(302, {"Location": "https://other.example/there"}),
        answer=Fault.status(200, json="here"),
    )

    assert client.conn.json_request("GET", "/books/1") == "here"
    assert [sent.request.url for sent in adapter.requests] == [
        "https://books.example/books/1",
        "https://other.example/there",
    ]


def test_digests_second_request_comes_to_the_adapter_too() -> None:
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    client = Client("https://books.example", auth=requests.auth.HTTPDigestAuth("user", "password"))
    adapter = FaultAdapter(answer=Fault.status(200))
    adapter.mount_on(client.conn)
    adapter.fail_next(1, Fault.status(401, challenge))
    adapter.fail_next(1, Fault.reset())

    assert client.conn.request("GET", "/books").status_code == 200
    assert len(adapter.requests) == client.wire_attempts
    assert client.retries == {"auth": 1, "protocol": 1}


# --- faults as values -----------------------------------------------------------------------------

SHOWN: Final = {
    "Fault.refused()": Fault.refused(),
    "Fault.unresolved()": Fault.unresolved(),
    "Fault.connect_timeout()": Fault.connect_timeout(),
    "Fault.reset()": Fault.reset(),
    "Fault.reset(processed=True)": Fault.reset(processed=True),
    "Fault.closed()": Fault.closed(),
    "Fault.read_timeout()": Fault.read_timeout(),
    "Fault.truncated(processed=True)": Fault.truncated(processed=True),
    "Fault.stall(2.5)": Fault.stall(2.5),
    "Fault.slow(2)": Fault.slow(2),
    "Fault.status(503, {'Retry-After': '7'})": Fault.status(503, {"Retry-After": "7"}),
    "Fault.status(200, {'Set-Cookie': 'REDACTED'}, <4 bytes>)": Fault.status(
        200, {"Set-Cookie": "session=planted"}, "text"
    ),
}


@pytest.mark.parametrize(("text", "fault"), SHOWN.items(), ids=SHOWN)
def test_a_fault_reads_as_it_is_written(text: str, fault: Fault) -> None:
    assert repr(fault) == text


def test_faults_are_values() -> None:
    assert len(set(SHOWN.values())) == len(SHOWN)
    assert Fault.stall(2) == Fault.stall(2.0) != Fault.slow(2)
    assert Fault.reset() != Fault.reset(processed=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault.stall(0),
        lambda: Fault.stall(-1.0),
        lambda: Fault.stall("1"),  # type: ignore[arg-type]
        lambda: Fault.slow(float("inf")),
        lambda: Fault.reset(processed="no"),  # type: ignore[arg-type]
        lambda: Fault.status(103),
        lambda: Fault.status(600),
        lambda: Fault.status("503"),  # type: ignore[arg-type]
        lambda: Fault.status(True),  # noqa: FBT003 - it is no status
        lambda: Fault.status(503, {"Retry-After": "7\r\nX: y"}),
        lambda: Fault.status(503, {"Retry-After": 7}),  # type: ignore[dict-item]
        lambda: Fault.status(503, body=7),  # type: ignore[arg-type]
        lambda: Fault.status(503, body="x", json={}),
        lambda: Fault.status(503, json=object()),
    ],
)
def test_what_can_be_no_fault_is_an_error_at_once(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()
