"""A connection's life: opening, idling, ageing, closing, being used after that, and its `repr`.

Rule: whether a socket is open or new is read from the server's records.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from sleepwalker import ANONYMOUS, BearerAuth, Connection
from sleepwalker.exceptions import HTTPNotFound
from sleepwalker.resilience.clock import SYSTEM
from tests.servers import respond, stall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import CertificateAuthority, MakeServer, ScriptedServer

PATIENCE = 5.0  # seconds


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + 1_700_000_000

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """The clock of everyone who was given none, faked."""
    fake = FakeClock()
    with SYSTEM.installed(fake):
        yield fake


# Opening and closing


def test_nothing_is_opened_before_the_first_request(server: ScriptedServer) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.get_url("/books")
        conn.add_headers({"X-Tenant": "pond"})
        repr(conn)

    assert server.connections == []


def test_leaving_the_block_closes_the_sockets(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        assert tls_server.connections[0].closed_by is None

    tls_server.wait_for(lambda: tls_server.connections[0].closed_by == "client")


def test_leaving_the_block_by_an_error_closes_the_sockets(server: ScriptedServer) -> None:
    server.script(respond(404))
    with pytest.raises(HTTPNotFound), Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/")

    server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_a_connection_may_be_closed_often_and_unused(server: ScriptedServer) -> None:
    unused = Connection(server.url, ANONYMOUS)
    unused.close()
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/")
        conn.close()
        conn.close()

    assert len(server.connections) == 1


def test_requests_share_a_socket_while_it_is_open(server: ScriptedServer) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        for _ in range(5):
            conn.json_request("POST", "/", {})

    assert [connection.requests for connection in server.connections] == [5]


def test_closing_never_breaks_a_request_in_flight(server: ScriptedServer) -> None:
    answer = threading.Event()
    server.script(stall(answer) + respond(200, json="here"))
    conn = Connection(server.url, ANONYMOUS)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(conn.json_request, "GET", "/")
        server.wait_for(lambda: server.count() == 1)
        conn.close()
        assert conn.in_flight == 1
        assert server.connections[0].closed_by is None
        answer.set()
        assert asked.result(PATIENCE) == "here"

    server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_who_still_holds_a_closed_connection_may_go_on_using_it(server: ScriptedServer) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/first")

    assert conn.json_request("GET", "/second")["target"] == "/second"

    server.wait_for(
        lambda: [record.closed_by for record in server.connections] == ["client", "client"]
    )


def test_drained_waits_for_the_last_request_in_flight(server: ScriptedServer) -> None:
    answer = threading.Event()
    server.script(stall(answer) + respond(204))
    conn = Connection(server.url, ANONYMOUS)
    assert conn.drained()
    with ThreadPoolExecutor(4) as pool:
        asked = pool.submit(conn.request, "GET", "/")
        server.wait_for(lambda: server.count() == 1)
        assert not conn.drained(0.01)
        waiting = [pool.submit(conn.drained, PATIENCE) for _ in range(3)]
        answer.set()
        asked.result(PATIENCE)
        assert [done.result(PATIENCE / 2) for done in waiting] == [True] * 3
    conn.close()


# Its repr


def test_a_repr_tells_the_state(server: ScriptedServer) -> None:
    answers = [threading.Event(), threading.Event()]
    server.script(*(stall(answer) + respond(204) for answer in answers))
    conn = Connection(server.url + "/api/", ANONYMOUS)
    what = f"<Connection {server.url}/api auth=none "
    assert repr(conn) == what + "idle>"
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(conn.request, "GET", "/") for _ in answers]
        server.wait_for(lambda: server.count() == 2)
        around = "; quota 500/500 tokens, breaker closed, "
        assert repr(conn) == what + "2 in flight" + around + "2/64 in flight>"
        conn.close()
        assert repr(conn) == what + "closing, 2 in flight" + around + "2/64 in flight>"
        answers[0].set()
        answers[1].set()
        for one in asked:
            one.result(PATIENCE)
    assert repr(conn) == what + "closed" + around + "0/64 in flight>"


@pytest.mark.parametrize(
    ("auth", "label", "shown"),
    [
        (("planted-user", "planted-secret"), None, "basic"),
        (BearerAuth("planted-token"), None, "bearer"),
        (requests.auth.HTTPDigestAuth("planted-user", "planted-secret"), None, "digest"),
        (None, None, "basic"),
        (("planted-user", "planted-secret"), "billing", "billing"),
    ],
)
def test_a_repr_names_the_auth_and_shows_no_secret(
    auth: object, label: str | None, shown: str
) -> None:
    conn = Connection("https://API.example.com:443/v1/", auth, auth_label=label)

    assert repr(conn) == f"<Connection https://api.example.com/v1 auth={shown} idle>"


# Sockets: idle 30 s, or older than 300 s give or take a tenth


@pytest.mark.parametrize(("idle", "opened"), [(29.9, 1), (30.0, 2)])
def test_a_socket_idle_for_30_seconds_is_not_used_again(
    server: ScriptedServer, clock: FakeClock, idle: float, opened: int
) -> None:
    with Connection(server.url, ANONYMOUS) as conn:
        conn.request("GET", "/")
        clock.now += idle
        conn.request("GET", "/")

    assert len(server.connections) == opened
    assert server.count() == 2


def test_a_post_is_sent_once_over_the_socket_that_replaces_an_idle_one(
    tls_server: ScriptedServer, ca: CertificateAuthority, clock: FakeClock
) -> None:
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.json_request("POST", "/", {"id": 1})
        clock.now += 31
        conn.json_request("POST", "/", {"id": 2})
        tls_server.wait_for(lambda: tls_server.connections[0].closed_by == "client")

    assert [request.connection for request in tls_server.requests] == [1, 2]


def test_idle_sockets_that_nobody_needs_are_closed_as_the_connection_is_used(
    make_server: MakeServer, clock: FakeClock
) -> None:
    together = threading.Barrier(4)

    def all_at_once(_: object) -> object:
        together.wait(PATIENCE)
        return respond(204)

    server = make_server(all_at_once)  # type: ignore[arg-type]
    with Connection(server.url, ANONYMOUS) as conn:
        with ThreadPoolExecutor(4) as pool:
            for asked in [pool.submit(conn.request, "GET", "/") for _ in range(4)]:
                asked.result(PATIENCE)
        assert len(server.connections) == 4
        server.default = respond(204)
        clock.now += 31
        conn.request("GET", "/")

        server.wait_for(
            lambda: (
                [record.closed_by for record in server.connections]
                == ["client", "client", "client", "client", None]
            )
        )


def test_a_socket_is_renewed_at_300_seconds_give_or_take_a_tenth(
    server: ScriptedServer, clock: FakeClock
) -> None:
    begun, step = clock.now, 5.0
    conns = [Connection(server.url, ANONYMOUS) for _ in range(8)]
    for conn in conns:
        conn.request("GET", "/")
    renewed_at: dict[int, float] = {}

    while clock.now - begun < 270 - step:
        clock.now += min(25.0, 270 - step - (clock.now - begun))
        for conn in conns:
            conn.request("GET", "/")
    assert len(server.connections) == len(conns)
    while len(renewed_at) < len(conns) and clock.now - begun < 400:
        clock.now += step
        for number, conn in enumerate(conns):
            before = len(server.connections)
            conn.request("GET", "/")
            if len(server.connections) > before:
                renewed_at.setdefault(number, clock.now - begun)
    for conn in conns:
        conn.close()

    assert len(renewed_at) == len(conns)
    assert all(270 <= age <= 330 + step for age in renewed_at.values())
    assert len(set(renewed_at.values())) > 1  # not all at the same moment
