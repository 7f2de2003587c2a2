"""What is handed over from the short way to the long one is one request: written once, and its own.

Rule: the server gives every request's own mark back, and counts how often each was written.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client import CollectorRegistry

from sleepwalker import ANONYMOUS, Connection, Policy
from tests.servers import Action, MakeServer, Request, informational, respond

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


def at_each_place(conn: Connection, kind: str, nested: Callable[[int], object]) -> int:
    """Ask as often as there are places, with something else done in one of them each time."""
    for number in range(1, 1000):
        ask(conn, f"/{kind}/before/{number}")
        between = Between(number, partial(nested, number))
        sys.setprofile(between)
        try:
            ask(conn, f"/{kind}/{number}")
        finally:
            sys.setprofile(None)
        if not between.came:
            return number - 1
    pytest.fail("there are more places than are looked at")


def times_of(server: ScriptedServer) -> Counter[str]:
    """Count how often each mark came."""
    return Counter(request.path for request in server.requests)


@pytest.mark.parametrize("nested", [ask, streamed, past_it])
def test_a_call_that_comes_in_between_at_any_place_has_a_socket_of_its_own(
    server: ScriptedServer, conn: Connection, nested: Any
) -> None:
    places = at_each_place(
        conn, "unusual", lambda number: nested(conn, f"/unusual/within/{number}")
    )
    conn.close()

    times = times_of(server)
    assert set(times.values()) == {1}
    assert len(times) == 3 * places + 2
    assert places > 50


@pytest.mark.parametrize("kind", ["usual", "unusual"])
def test_who_closes_the_session_at_any_place_of_a_request_does_not_end_it(
    server: ScriptedServer, conn: Connection, kind: str
) -> None:
    places = at_each_place(conn, kind, lambda _: conn.session.close())
    conn.close()

    assert set(times_of(server).values()) == {1}
    assert places > 30
    server.wait_for(lambda: all(each.closed_by == "client" for each in server.connections))
