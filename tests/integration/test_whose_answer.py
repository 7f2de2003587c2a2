"""Every answer is that of its own request, whatever a server sends and whoever shares the socket.

HTTP/1.1 has no numbers: an answer belongs to a request by its turn alone. So a socket on which
anything may be left over, or be under way still, carries no other request. (What a server sends
unasked at the very moment of the next request can't be told from its answer, by nobody.)

Rule: the server gives every request's own path back, so that a swap shows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from sleepwalker import Policy, exceptions
from tests.integration.retrying import Client, lines
from tests.servers import (
    Action,
    CertificateAuthority,
    MakeServer,
    Request,
    ScriptedServer,
    close_without_answer,
    informational,
    raw,
    redirect,
    reset_after_reading,
    respond,
    stall,
    truncated_body,
    wire,
)
from tests.servers.actions import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from tests.servers.channel import Exchange

WRONG: Final = wire(200, {"X-Whose": "nobody's"}, b"smuggled")
"""An answer that nobody asked for."""
MUCH: Final = (b"z" * 99 + b"\n") * 3000


def own(request: Request) -> Action:
    """Answer with the path that was asked for."""
    return respond(200, {"X-Whose": request.path}, request.path.encode())


@pytest.fixture(params=[False, True], ids=["http", "https"])
def server(request: pytest.FixtureRequest, make_server: MakeServer) -> ScriptedServer:
    return make_server(own, tls=request.param)


@pytest.fixture
def client(server: ScriptedServer, ca: CertificateAuthority) -> Client:
    return Client(server, ca, policy=Policy(attempts=1))


def ask(client: Client, path: str) -> None:
    """Ask for a path, and hold the answer to it."""
    response = client.conn.request("GET", path)
    assert (response.headers["X-Whose"], response.text) == (path, path)


# --- more than an answer --------------------------------------------------------------------------


def head(status: int, length: int) -> bytes:
    """The head of an answer that has (or would have, were it not for HEAD) so many bytes."""
    return (
        wire(status, {"Content-Length": str(length)}, b"").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    )


LEFT_OVER: Final[dict[str, tuple[str, bytes]]] = {
    "a second answer": ("GET", wire(200, {}, b"ok") + WRONG),
    "a second answer behind chunks": (
        "GET",
        wire(200, {"Transfer-Encoding": "chunked"}, b"2\r\nok\r\n0\r\n\r\n") + WRONG,
    ),
    "a body for HEAD": ("HEAD", head(200, 8) + b"no body!"),
    "an answer for a body of HEAD": ("HEAD", head(200, len(WRONG)) + WRONG),
    "a body of 204": ("GET", head(204, 8) + b"no body!"),
    "an answer for a body of 204": ("DELETE", head(204, len(WRONG)) + WRONG),
    "a body of 304": ("GET", head(304, 8) + b"no body!"),
    "an answer for a body of 304": ("GET", head(304, len(WRONG)) + WRONG),
    "stray bytes": ("GET", wire(200, {}, b"ok") + b"\r\n\r\n"),
}


@pytest.mark.parametrize(("method", "sent"), LEFT_OVER.values(), ids=list(LEFT_OVER))
@pytest.mark.parametrize("stream", [False, True])
def test_what_comes_behind_an_answer_reaches_no_other_request(
    server: ScriptedServer, client: Client, method: str, sent: bytes, *, stream: bool
) -> None:
    server.script(raw(sent))
    with client.conn.request(method, "/first", stream=stream) as response:
        assert b"smuggled" not in response.content
    for number in range(3):
        ask(client, f"/{number}")
    assert client.retries == {}


BUFFER: Final = 8192
"""Bytes: as much as lower layers read ahead of what they are asked for."""


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_what_comes_behind_a_full_buffer_reaches_no_other_request(
    server: ScriptedServer, client: Client, method: str, status: int
) -> None:
    # In TLS it is decrypted by then, and the socket looks as if nothing had come.
    begin = head(status, BUFFER + len(WRONG))
    server.script(raw(begin + b"z" * (BUFFER - len(begin)) + WRONG))
    client.conn.request(method, "/first")
    ask(client, "/second")
    assert len(server.connections) == 2


def test_an_answer_behind_one_that_fills_the_buffer_reaches_no_other_request(
    server: ScriptedServer, client: Client
) -> None:
    unpadded = wire(200, {"X-Whose": "/first", "X-Padding": ""}, b"first")
    padding = "z" * (BUFFER - len(unpadded))
    server.script(raw(wire(200, {"X-Whose": "/first", "X-Padding": padding}, b"first") + WRONG))
    assert client.conn.request("GET", "/first").content == b"first"
    ask(client, "/second")
    assert len(server.connections) == 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_has_begun_behind_another_reaches_no_other_request(
    server: ScriptedServer, client: Client, method: str, *, stream: bool
) -> None:
    # Its beginning was read ahead with the first: the socket looks idle until the rest comes.
    first = head(200, 2) if method == "HEAD" else wire(200, {}, b"ok")
    server.script(raw(first + WRONG[:10]))
    with client.conn.request(method, "/first", stream=stream) as response:
        assert response.content == (b"" if method == "HEAD" else b"ok")
    ask(client, "/second")
    assert [record.requests for record in server.connections] == [1, 1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_socket_that_speaks_something_else_now_carries_no_other_request(
    server: ScriptedServer, client: Client, *, stream: bool
) -> None:
    server.script(informational(101, {"Upgrade": "something", "Connection": "Upgrade"}))
    with client.conn.request("GET", "/first", stream=stream) as response:
        assert response.status_code == 101
    ask(client, "/second")
    assert [record.requests for record in server.connections] == [1, 1]


@dataclass(frozen=True)
class Tell(Step):
    """Tell the test that the server has come this far."""

    event: threading.Event

    def perform(self, exchange: Exchange) -> None:
        """Set the event."""
        del exchange
        self.event.set()


def test_what_a_server_sends_on_an_idle_socket_reaches_no_request(
    server: ScriptedServer, client: Client
) -> None:
    idle, sent = threading.Event(), threading.Event()

    def late(request: Request) -> list[Action]:
        return [own(request), stall(idle), raw(WRONG), Tell(sent)]

    server.script(late)
    ask(client, "/first")
    idle.set()
    assert sent.wait(5)
    ask(client, "/second")
    assert len(server.connections) == 2


@pytest.mark.parametrize("count", [1, 16])
def test_interim_answers_are_no_answers_whichever_way_they_come(
    server: ScriptedServer, client: Client, count: int
) -> None:
    interim = b"".join(
        b"HTTP/1.1 %d Interim\r\nX-Whose: nobody's\r\n\r\n" % (100 if n % 3 else 103)
        for n in range(count)
    )

    def answered(request: Request) -> list[Action]:
        return [raw(interim), own(request)]

    server.script(*[answered] * 3)
    for number in range(5):
        ask(client, f"/{number}")
    assert len(server.connections) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_flood_of_interim_answers_is_no_answer_and_its_socket_is_not_used_again(
    server: ScriptedServer, client: Client, method: str
) -> None:
    server.script(*[lambda request: [*[informational(102)] * 17, own(request)]])
    with pytest.raises(exceptions.ProtocolError, match="more than 16 interim") as caught:
        client.conn.request(method, "/flooded")
    assert caught.value.outcome_unknown == (method == "POST")
    ask(client, "/next")
    assert lines(server) == [f"{method} /flooded", "GET /next"]
    assert len(server.connections) == 2


# --- less than an answer was read -----------------------------------------------------------------


def closed(response: requests.Response) -> None:
    """Close it unread."""
    response.close()


def read_in_part(response: requests.Response) -> None:
    """Read the beginning, and close it."""
    assert next(response.iter_content(10)) == b"z" * 10
    response.close()


def given_back(response: requests.Response) -> None:
    """Give its socket back though nothing was read."""
    response.raw.release_conn()


def forgotten(response: requests.Response) -> None:
    """Do nothing with it, and keep it."""


def left_by_iterating(response: requests.Response) -> None:
    """Stop within a loop over it."""
    for _ in response.iter_lines(100):
        break


LEAVING: Final = (closed, read_in_part, given_back, forgotten, left_by_iterating)


@pytest.mark.parametrize("leave", LEAVING)
@pytest.mark.parametrize("sent", [MUCH, MUCH[:100]], ids=["much", "little"])
def test_a_response_that_is_left_unread_reaches_no_other_request(
    server: ScriptedServer,
    ca: CertificateAuthority,
    leave: Callable[[requests.Response], None],
    sent: bytes,
) -> None:
    # A socket that was given back too early shows it when it is used: that costs a second attempt.
    client = Client(server, ca)
    server.script(respond(200, {}, sent), respond(200, {}, sent))
    kept = []
    for _ in range(2):
        response = client.conn.request("GET", "/left", stream=True)
        leave(response)
        kept.append(response)
    for number in range(3):
        ask(client, f"/{number}")
    for response in kept:
        response.close()
    ask(client, "/last")


@pytest.mark.parametrize("status", [302, 401, 404, 503])
def test_an_answer_that_nobody_reads_on_the_way_reaches_no_other_request(
    server: ScriptedServer, ca: CertificateAuthority, status: int
) -> None:
    client = Client(server, ca)
    server.script(respond(status, {"Location": "/new"}, MUCH))
    with client.conn.request("GET", "/old", stream=True, raise_for_status=False) as response:
        assert response.headers.get("X-Whose") == {302: "/new", 503: "/old"}.get(status)
    for number in range(3):
        ask(client, f"/{number}")


def test_a_truncated_answer_and_its_resend_reach_their_own_request_only(
    server: ScriptedServer, ca: CertificateAuthority
) -> None:
    client = Client(server, ca, policy=Policy(attempts=4))
    lost = (truncated_body(b"half of /1"), reset_after_reading(), close_without_answer())
    server.script(*lost)
    ask(client, "/1")
    server.script(truncated_body(b"half of /2"))
    ask(client, "/2")
    assert lines(server) == ["GET /1"] * 4 + ["GET /2"] * 2


# --- threads --------------------------------------------------------------------------------------


class Unruly:
    """A server that does something else at every turn, but never gives a wrong answer willingly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = 0

    def __call__(self, request: Request) -> Any:
        """Answer with the path, or fail in one of many ways."""
        with self._lock:
            self._turn += 1
            turn = self._turn % 11
        answer = own(request)
        return {
            1: [informational(103), answer],
            2: reset_after_reading(),
            3: close_without_answer(),
            4: truncated_body(request.path.encode(), headers={"X-Whose": request.path}),
            5: respond(503, {"X-Whose": "nobody's"}, MUCH[:70_000]),
            6: [*[informational(102)] * 17, answer],
            7: raw(wire(200, {"X-Whose": request.path}, request.path.encode()) + WRONG),
            8: redirect(307, request.target),
            9: [answer, close_without_answer()],
        }.get(turn, answer)


def test_threads_that_share_a_connection_get_their_own_answers_of_an_unruly_server(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(Unruly(), tls=True)
    patient = Policy(attempts=50, redirects=50, quota=None, breaker=None)
    client = Client(server, ca, policy=patient)
    failed: list[BaseException] = []
    right = []

    def work(number: int) -> None:
        try:
            for turn in range(8):
                path = f"/{number}/{turn}"
                if turn % 4 == 3:
                    with client.conn.request("GET", path, stream=True) as left:
                        assert left.headers["X-Whose"] == path
                    continue
                ask(client, path)
                right.append(path)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(right) == len(set(right)) == 16 * 6
    assert client.outcomes == {"success": 16 * 8}
