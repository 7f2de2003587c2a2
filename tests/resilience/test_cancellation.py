"""Calls that are cancelled from elsewhere: they end now, wherever they wait, and leave nothing.

Rule 1: that somebody waits is known from the server or the clock before it is cancelled.
Rule 2: what is left of it is read from the server's own records.
"""

from __future__ import annotations

import contextvars
import os
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from sleepwalker import ANONYMOUS, CancelledError, Connection, Limit, Policy
from sleepwalker.resilience.cancellation import Cancellation, ambient, entered
from sleepwalker.resilience.clock import SYSTEM
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.limiter import ConcurrencyLimiter
from sleepwalker.testing import SkippingClock
from tests.crew import Job, until
from tests.integration.retrying import Client
from tests.servers import echo, raw, respond, stall, stall_handshake, trickle, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tests.servers import Answer, CertificateAuthority, MakeServer, ScriptedServer

QUIET: dict[str, Any] = {"registry": False, "tracer_provider": False, "logger": False}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with closing(one), closing(other):
        one.settimeout(5)
        other.settimeout(5)
        yield one, other


def is_open(pair: tuple[socket.socket, socket.socket]) -> bool:
    """Whether what one end of a pair sends gets to the other."""
    try:
        pair[1].sendall(b"x")
        return pair[0].recv(1) == b"x"
    except OSError:
        return False


# --- by itself -------------------------------------------------------------------------------


def test_it_belongs_to_the_context_that_entered_it() -> None:
    one, other = Cancellation(), Cancellation()

    with entered(one):
        assert ambient() is one
        with entered(other):
            assert ambient() is other
            copied = contextvars.copy_context()
        assert ambient() is one
        assert Job(ambient).result() is None
    assert ambient() is None
    assert copied.run(ambient) is other


def test_a_socket_that_is_waited_at_is_shut(pair: tuple[socket.socket, socket.socket]) -> None:
    cancellation = Cancellation()
    cancellation.uses(pair, pair[0])
    waiting = Job(lambda: pair[0].recv(1))

    cancellation.cancel()

    assert waiting.result() == b""
    assert pair[1].recv(1) == b""


def test_a_socket_that_was_let_go_is_left_alone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    cancellation = Cancellation()
    cancellation.uses(pair, pair[0])
    cancellation.let_go(pair)
    cancellation.let_go(pair)

    cancellation.cancel()

    assert is_open(pair)


def test_an_owner_waits_at_one_socket_at_a_time(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    cancellation = Cancellation()
    before, after = socket.socketpair()
    with closing(before), closing(after):
        cancellation.uses(pair, before)
        cancellation.uses(pair, pair[0])
        cancellation.cancel()

        assert not is_open(pair)
        assert is_open((before, after))


def test_what_comes_too_late_is_shut_and_refused(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    cancellation = Cancellation()
    cancellation.refuse("nothing yet")
    cancellation.cancel()
    cancellation.cancel()
    cancellation.uses(pair, pair[0])

    assert not is_open(pair)
    assert cancellation.cancelled
    with pytest.raises(CancelledError, match="GET /: cancelled"):
        cancellation.refuse("GET /")


def test_all_who_sleep_are_woken() -> None:
    cancellation = Cancellation()
    started = threading.Barrier(4)

    def sleep() -> None:
        started.wait(5)
        cancellation.sleep(60, SYSTEM, "waiting")

    jobs = [Job(sleep) for _ in range(3)]
    started.wait(5)

    cancellation.cancel()

    for job in jobs:
        with pytest.raises(CancelledError, match="waiting: cancelled"):
            job.result()


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.001])
def test_who_is_not_cancelled_sleeps_as_long_as_is_said(seconds: float) -> None:
    Cancellation().sleep(seconds, SYSTEM, "waiting")


def test_another_clock_sleeps_in_its_own_way() -> None:
    cancellation, clock = Cancellation(), SkippingClock()

    cancellation.sleep(60, clock, "waiting")
    assert clock.slept == [60]
    cancellation.cancel()
    with pytest.raises(CancelledError):
        cancellation.sleep(60, clock, "waiting")


def test_it_may_be_cancelled_by_who_is_in_the_middle_of_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    cancellation = Cancellation()

    def cancel_within() -> None:
        with cancellation._lock:  # noqa: SLF001 - where a signal handler may come in
            cancellation.uses(pair, pair[0])
            cancellation.cancel()

    Job(cancel_within).result()

    assert not is_open(pair)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_shuts_no_socket_of_its_parents(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    cancellation = Cancellation()
    cancellation.uses(pair, pair[0])
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with cancellation._lock:  # noqa: SLF001 - as another thread may at the fork
            held.set()
            over.wait(5)

    holding = Job(hold)
    held.wait(5)
    pid = os.fork()
    if pid == 0:
        cancellation.let_go(cancellation)
        cancellation.cancel()
        os._exit(0 if cancellation.cancelled else 1)
    try:
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        over.set()
    holding.result()

    assert not cancellation.cancelled
    assert is_open(pair)


# --- with calls ------------------------------------------------------------------------------


def calling(
    conn: Connection, cancellation: Cancellation, method: str = "GET", **options: Any
) -> Job[Any]:
    """A call under a cancellation, in a thread of its own."""

    def call() -> Any:
        with entered(cancellation):
            return conn.request(method, "/", **options)

    return Job(call)


def cancelled(job: Job[Any]) -> CancelledError:
    """The error of a call that was cancelled."""
    with pytest.raises(CancelledError) as raised:
        job.result()
    return raised.value


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(stall(), id="the answer"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nServ") + stall(), id="the rest of the headers"),
        pytest.param(raw(wire(200, {"Content-Length": "9"}, b"")) + stall(), id="the body"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n\r\nhalf") + stall(), id="the end of the body"),
        pytest.param(trickle(wire(200, (), b"x" * 1000), 0.01), id="byte after byte"),
    ],
)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_call_that_waits_for_something_is_cancelled_and_its_socket_closed(
    make_server: MakeServer,
    ca: CertificateAuthority,
    answer: Answer,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    server = make_server(answer, tls=tls)
    cancellation = Cancellation()
    with Connection(
        server.url, ANONYMOUS, verify=str(ca.bundle), policy=Policy(attempts=3), **QUIET
    ) as conn:
        job = calling(conn, cancellation)
        server.wait_for(lambda: server.count() == 1)

        cancellation.cancel()

        error = cancelled(job)
        assert (error.attempts, error.outcome_unknown) == (1, False)
        server.wait_for(lambda: server.connections[0].closed_at is not None)
        # Neither sent again, nor on that socket.
        server.default = echo()
        assert conn.json_request("GET", "/")["method"] == "GET"
        assert (server.count(), len(server.connections)) == (2, 2)


def test_a_handshake_is_cancelled(make_server: MakeServer, ca: CertificateAuthority) -> None:
    server = make_server(stall_handshake(), tls=True)
    cancellation = Cancellation()
    with Connection(server.url, ANONYMOUS, verify=str(ca.bundle), **QUIET) as conn:
        job = calling(conn, cancellation)
        server.wait_for(lambda: len(server.connections) == 1)

        cancellation.cancel()

        cancelled(job)
        server.wait_for(lambda: server.connections[0].closed_at is not None)
        assert (server.count(), len(server.connections)) == (0, 1)


def test_a_wait_between_attempts_is_cancelled(server: ScriptedServer) -> None:
    server.default = respond(503, {"Retry-After": "20"})
    cancellation = Cancellation()
    with Connection(server.url, ANONYMOUS, policy=Policy(attempts=3), **QUIET) as conn:
        job = calling(conn, cancellation)
        server.wait_for(lambda: server.count() == 1)
        # It waits, or will: the answer is there.
        cancellation.cancel()

        assert cancelled(job).attempts == 1
        assert server.count() == 1
        # The answer that stood for the failure is let go of.
        assert conn.drained(5)


def test_a_wait_for_a_turn_at_a_hosts_limit_is_cancelled(server: ScriptedServer) -> None:
    server.script(stall())
    mine, others = Cancellation(), Cancellation()
    with Connection(server.url, ANONYMOUS, policy=Policy(limit=Limit(calls=1)), **QUIET) as conn:
        holding = calling(conn, others)
        server.wait_for(lambda: server.count() == 1)
        waiting = calling(conn, mine)
        until(lambda: "1 waiting" in repr(conn))

        mine.cancel()

        assert cancelled(waiting).attempts == 0
        assert "waiting" not in repr(conn)
        others.cancel()
        assert cancelled(holding).attempts == 1
        assert conn.request("GET", "/").status_code == 200
        assert server.count() == 2


def test_who_is_let_in_and_cancelled_at_once_is_woken_once() -> None:
    limiter = ConcurrencyLimiter(Limit(calls=1))
    holder, waiter = limiter.permit(), limiter.permit()
    holder.acquire()
    cancellation = Cancellation()

    def wait() -> None:
        with entered(cancellation):
            waiter.acquire(5.0)

    job = Job(wait)
    until(lambda: limiter.waiting == 1)
    holder.end(Result.SUCCESS)
    cancellation.cancel()

    job.result()
    waiter.end(Result.SUCCESS)
    assert limiter.in_flight == 0


def test_a_new_call_is_refused_before_anything_is_sent(server: ScriptedServer) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with Connection(server.url, ANONYMOUS, **QUIET) as conn:
        error = cancelled(calling(conn, cancellation))

        assert error.attempts == 0
        assert server.connections == []
        # Others are not concerned.
        assert conn.request("GET", "/").status_code == 200


def test_a_write_that_may_have_been_done_says_so(server: ScriptedServer) -> None:
    server.default = stall()
    cancellation = Cancellation()
    with Connection(server.url, ANONYMOUS, policy=Policy(attempts=3), **QUIET) as conn:
        job = calling(conn, cancellation, "POST", json={"a": 1}, idempotency_key=True)
        server.wait_for(lambda: server.count() == 1)

        cancellation.cancel()

        assert cancelled(job).outcome_unknown
        assert server.count() == 1


def test_a_call_of_others_on_the_same_connection_goes_on(server: ScriptedServer) -> None:
    go_on = threading.Event()
    server.script(stall(), stall(go_on) + respond(json="theirs"))
    cancellation = Cancellation()
    with Connection(server.url, ANONYMOUS, **QUIET) as conn:
        ours = calling(conn, cancellation)
        server.wait_for(lambda: server.count() == 1)
        theirs = Job(lambda: conn.json_request("GET", "/"))
        server.wait_for(lambda: server.count() == 2)

        cancellation.cancel()
        cancelled(ours)
        go_on.set()

        assert theirs.result() == "theirs"


def test_a_socket_that_has_served_us_and_serves_others_now_is_left_alone(
    server: ScriptedServer,
) -> None:
    cancellation, go_on = Cancellation(), threading.Event()
    server.script(respond(json="ours"), stall(go_on) + respond(json="theirs"))
    theirs: list[Job[Any]] = []

    def after(response: requests.Response, **_: object) -> None:
        assert response.json() == "ours"
        # The answer is read, its socket is back with the others, and our call is still under way.
        theirs.append(Job(lambda: conn.json_request("POST", "/")))
        server.wait_for(lambda: server.count() == 2)
        cancellation.cancel()

    with Connection(server.url, ANONYMOUS, **QUIET) as conn:
        cancelled(calling(conn, cancellation, hooks={"response": after}))
        go_on.set()

        assert theirs[0].result() == "theirs"
        assert len(server.connections) == 1


def test_a_call_is_told_as_cancelled(server: ScriptedServer) -> None:
    server.default = stall()
    cancellation = Cancellation()
    with Client(server) as client:
        job = calling(client.conn, cancellation)
        server.wait_for(lambda: server.count() == 1)
        cancellation.cancel()
        cancelled(job)

        assert client.outcomes == {"cancelled": 1}
        assert (client.retries, client.wire_attempts, client.in_flight) == ({}, 1, 0)
