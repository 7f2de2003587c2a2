"""What is handed over from the short way to the long one is one request: written once, and its own.

Rule: the server gives every request's own mark back, and counts how often each was written.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
from prometheus_client import CollectorRegistry

from sleepwalker import ANONYMOUS, Connection, Policy, exceptions
from sleepwalker.connection._wire import _sockets
from tests.interrupting import Interrupter
from tests.servers import (
    Action,
    CertificateAuthority,
    MakeServer,
    Request,
    close_without_answer,
    cut,
    informational,
    raw,
    respond,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import ScriptedServer

ONCE: Final = Policy(attempts=1, breaker=None, quota=None)
WIRE: Final = tuple(
    f"/_wire/_{name}.py" for name in ("shortcut", "sockets", "socket_pools", "adapter")
)


def own(request: Request) -> Action:
    """Answer with the mark that came; with what no short way knows first, if it is to be so."""
    answer = respond(json={"mark": request.path, "body": request.text})
    return informational(103) + answer if request.path.startswith("/unusual") else answer


class Between:
    """Calls a function at the nth place of a call, as a signal's handler may be called.

    A place is where one of our functions begins, or one in C that it has called has ended.
    """

    def __init__(self, number: int, called: Callable[[], object]) -> None:
        self._left, self._called = number, called
        self.came = False

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        if event in {"call", "c_return"} and frame.f_code.co_filename.endswith(WIRE):
            self._left -= 1
            if not self._left:
                sys.setprofile(None)
                self.came = True
                self._called()


@pytest.fixture
def server(make_server: MakeServer) -> ScriptedServer:
    return make_server(own)


@pytest.fixture
def conn(server: ScriptedServer) -> Connection:
    return Connection(server.url, ANONYMOUS, policy=ONCE, registry=CollectorRegistry())


def ask(conn: Connection, path: str) -> None:
    """Send a mark, and hold the answer to it."""
    assert conn.json_request("POST", path, path) == {"mark": path, "body": f'"{path}"'}


def streamed(conn: Connection, path: str) -> None:
    """Send a mark by the long way, and hold the answer to it."""
    with conn.request("POST", path, stream=True) as response:
        assert response.json()["mark"] == path


def past_it(conn: Connection, path: str) -> None:
    """Send a mark past the connection, and hold the answer to it."""
    assert conn.session.post(conn.hostname + path).json()["mark"] == path


def at_places(
    conn: Connection, kind: str, nested: Callable[[int], object], *, every: int = 1
) -> int:
    """Ask for each place, or every so many, and have something else done there.

    Gives how often that was.
    """
    for number in range(1, 1000, every):
        ask(conn, f"/{kind}/before/{number}")
        between = Between(number, partial(nested, number))
        sys.setprofile(between)
        try:
            ask(conn, f"/{kind}/{number}")
        finally:
            sys.setprofile(None)
        if not between.came:
            return (number - 1) // every
    pytest.fail("there are more places than are looked at")


def times_of(server: ScriptedServer) -> Counter[str]:
    """Count how often each mark came."""
    return Counter(request.path for request in server.requests)


@pytest.mark.parametrize("nested", [ask, streamed, past_it])
def test_a_call_that_comes_in_between_at_any_place_has_a_socket_of_its_own(
    server: ScriptedServer, conn: Connection, nested: Any
) -> None:
    places = at_places(conn, "unusual", lambda number: nested(conn, f"/unusual/within/{number}"))
    conn.close()

    times = times_of(server)
    assert set(times.values()) == {1}
    assert len(times) == 3 * places + 2
    assert places > 25


@pytest.mark.parametrize("kind", ["usual", "unusual"])
def test_who_closes_the_session_at_any_place_of_a_request_does_not_end_it(
    server: ScriptedServer, conn: Connection, kind: str
) -> None:
    places = at_places(conn, kind, lambda _: conn.session.close(), every=2)
    conn.close()

    assert set(times_of(server).values()) == {1}
    assert places > 15
    server.wait_for(lambda: all(each.closed_by == "client" for each in server.connections))


ALL_OF_IT: Final = (
    *WIRE,
    *(f"/_wire/_{name}.py" for name in ("reading", "reply", "message", "pacing", "session")),
)


# Where it comes between two of our hands, a socket is closed by being let go of, as in urllib3; and
# it may come where an answer is let go of.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("kind", ["usual", "unusual"])
def test_an_interrupt_at_any_place_leaves_no_socket_and_no_answer_to_another(
    server: ScriptedServer, kind: str
) -> None:
    registry, number = CollectorRegistry(), 0
    conn = Connection(server.url, ANONYMOUS, policy=ONCE, registry=registry)

    def counted(state: str) -> float | None:
        pool = {"host": server.url, "auth": "none", "state": state}
        return registry.get_sample_value("sleepwalker_pool_connections", pool)

    for number in range(1, 1000, 2 if kind == "usual" else 5):
        ask(conn, f"/{kind}/before/{number}")
        interrupter = Interrupter(number, ALL_OF_IT)
        sys.setprofile(interrupter)
        try:
            ask(conn, f"/{kind}/{number}")
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        assert conn.in_flight == 0
        assert counted("active") == 0
        if not interrupter.came:
            break
    ask(conn, "/last")
    conn.close()
    gc.collect()

    times = times_of(server)
    assert number > 80
    assert set(times.values()) == {1}
    assert counted("idle") == 0
    server.wait_for(lambda: all(each.closed_by == "client" for each in server.connections))


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_threads_that_share_a_connection_get_their_own_answers(
    make_server: MakeServer, ca: CertificateAuthority, *, tls: bool
) -> None:
    def unruly(request: Request) -> Any:
        number = int(request.path.rpartition("/")[2])
        if number % 7 == 0:
            return own(request) + cut()
        return own(request)

    server, wrong = make_server(unruly, tls=tls), list[BaseException]()
    with Connection(
        server.url, ANONYMOUS, verify=str(ca.bundle), policy=ONCE, registry=CollectorRegistry()
    ) as conn:

        def many(thread: int) -> None:
            try:
                for number in range(6):
                    kind = "unusual" if (thread + number) % 5 == 0 else "usual"
                    ask(conn, f"/{kind}/{thread}/{number}")
            except BaseException as error:  # noqa: BLE001 - a test's thread tells
                wrong.append(error)

        threads = [threading.Thread(target=many, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # Where the server closes an idle socket at the moment that it is used, nobody can tell.
    assert all(isinstance(error, exceptions.ConnectionError) for error in wrong)
    assert set(times_of(server).values()) == {1}


ENDS: Final = {"in good order": close_without_answer, "by a cut": cut}
ANSWERS: Final = {
    "counted": wire(200, {}, b"whole"),
    "in chunks": wire(200, {"Transfer-Encoding": "chunked"}, b"5\r\nwhole\r\n0\r\n\r\n"),
    "to its end": b"HTTP/1.1 200 OK\r\n\r\nwhole",
    "cut in the body": wire(200, {}, b"whole")[:-1],
    "cut in the head": wire(200, {}, b"whole")[:-8],
    "nothing": b"",
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_server_that_closes_comes_to_the_same_both_ways(
    make_server: MakeServer, ca: CertificateAuthority, answer: str, end: str, *, tls: bool
) -> None:
    server, seen = make_server(own, tls=tls), list[Any]()
    for kinds in (frozenset(), _sockets.OWN):
        with (
            mock.patch.object(_sockets, "OWN", kinds),
            Connection(
                server.url, ANONYMOUS, verify=str(ca.bundle), policy=ONCE, registry=False
            ) as conn,
        ):
            ask(conn, "/first")
            server.script(raw(ANSWERS[answer]) + ENDS[end]())
            try:
                response = conn.request("POST", "/second")
                seen.append((response.content, response.status_code))
            except exceptions.ConnectionError as error:
                seen.append((type(error), error.message, error.attempts, error.outcome_unknown))
            server.wait_for(lambda: all(each.closed_at for each in server.connections))
            ask(conn, "/third")
    assert seen[0] == seen[1]
    assert times_of(server) == {"/first": 2, "/second": 2, "/third": 2}


def test_each_thing_that_is_sent_is_audited(conn: Connection) -> None:
    heard: list[bytes] = []
    going = [True]

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if going and event == "http.client.send":
            heard.append(bytes(args[1]))

    ask(conn, "/usual/first")
    sys.addaudithook(hear)
    try:
        ask(conn, "/usual/second")
        streamed(conn, "/usual/third")
    finally:
        going.clear()
    whole = b"".join(heard)
    assert whole.count(b"POST /usual/second HTTP/1.1\r\n") == 1
    assert whole.count(b'"/usual/second"') == 1
    assert whole.count(b"POST /usual/third HTTP/1.1\r\n") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("kind", ["usual", "unusual"])
def test_a_child_that_is_forked_at_any_place_writes_nothing_to_its_parents_socket(
    server: ScriptedServer, conn: Connection, kind: str
) -> None:
    children: list[int] = []

    def fork(_: int) -> None:
        child = os.fork()
        if child:
            children.append(child)
            return
        # What goes on here goes on with nothing: it fails, or is sent on a socket of its own.
        sys.setprofile(None)
        try:
            ask(conn, f"/{kind}/child/{os.getpid()}")
        finally:
            os._exit(0)

    at_places(conn, kind, fork, every=16)
    for child in children:
        os.waitpid(child, 0)
    conn.close()

    times = times_of(server)
    assert set(times.values()) == {1}
    assert sum(f"/{kind}/child/" in path for path in times) == len(children) > 2
