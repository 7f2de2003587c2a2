"""Sockets that nobody uses any more, and connections that more than one pool holds.

Rule: whether a socket is open, and who closed it, is read from the server's records.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from sleepwalker import ANONYMOUS, Connection, DirectHook
from sleepwalker.resilience.clock import SYSTEM
from sleepwalker.testing import SkippingClock
from tests.crew import Maker, Plain, quiet
from tests.servers import respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sleepwalker import ConnectionManager
    from tests.servers import MakeServer, ScriptedServer

HOSTS = 8


@pytest.fixture
def clock() -> Iterator[SkippingClock]:
    """The clock of everyone who was given none, which skips what is slept."""
    made = SkippingClock()
    with SYSTEM.installed(made):
        yield made


def open_sockets(server: ScriptedServer) -> int:
    return sum(record.closed_at is None for record in server.connections)


# Sockets that nobody uses any more


def test_idle_sockets_of_pools_that_nobody_asks_for_are_closed_as_others_are_used(
    make_server: MakeServer, clock: SkippingClock
) -> None:
    forgotten, used = make_server(respond(json=[])), make_server(respond(json=[]))
    with quiet(Maker(lambda host, _: Connection(host, ANONYMOUS, registry=False))) as manager:
        for number in range(HOSTS):
            manager.find(f"{forgotten.url}/{number}", ANONYMOUS).request("GET", "/")
        assert open_sockets(forgotten) == HOSTS

        for _ in range(5):
            clock.sleep(20.0)
            manager.find(used.url, ANONYMOUS).request("GET", "/")

        forgotten.wait_for(
            lambda: [c.closed_by for c in forgotten.connections] == ["client"] * HOSTS
        )
        # Closed, not forgotten: they are found as they were, and open sockets anew.
        manager.find(f"{forgotten.url}/0", ANONYMOUS).request("GET", "/")
        assert len(forgotten.connections) == HOSTS + 1
        assert open_sockets(forgotten) == 1


def test_finds_alone_close_idle_sockets_too(make_server: MakeServer, clock: SkippingClock) -> None:
    server = make_server(respond(json=[]))
    with quiet(Maker(lambda host, _: Connection(host, ANONYMOUS, registry=False))) as manager:
        for number in range(HOSTS):
            manager.find(f"{server.url}/{number}", ANONYMOUS).request("GET", "/")
        manager.add("a name", None, Plain())

        for _ in range(3):
            clock.sleep(31.0)
            manager.find("a name", None)

        server.wait_for(lambda: [c.closed_by for c in server.connections] == ["client"] * HOSTS)


def test_sockets_in_use_stay_open(make_server: MakeServer, clock: SkippingClock) -> None:
    server = make_server(respond(json=[]))
    with quiet(Maker(lambda host, _: Connection(host, ANONYMOUS, registry=False))) as manager:
        for _ in range(10):
            for number in range(HOSTS):
                manager.find(f"{server.url}/{number}", ANONYMOUS).request("GET", "/")
            clock.sleep(20.0)

        assert len(server.connections) == HOSTS
        assert open_sockets(server) == HOSTS


# A connection in two pools


def by_replacing(manager: ConnectionManager, _: SkippingClock) -> None:
    manager.add("one", None, Plain())


def by_age(manager: ConnectionManager, clock: SkippingClock) -> None:
    clock.sleep(5.0)
    manager.find("two", None)
    report = manager.reset(idle=5.0)
    assert (report.closed, report.draining, report.forgotten) == (0, 0, 1)


@pytest.mark.parametrize("forget", [by_replacing, by_age])
def test_a_connection_in_two_pools_is_closed_with_the_last_one(
    server: ScriptedServer,
    clock: SkippingClock,
    forget: Callable[[ConnectionManager, SkippingClock], None],
) -> None:
    server.default = respond(json=[])
    shared = Connection(server.url, ANONYMOUS, registry=False)
    with quiet(Maker(lambda *_: shared), clock=clock) as manager:
        assert manager.find("one", None) is manager.find("two", None) is shared
        shared.request("GET", "/")

        forget(manager, clock)

        for _ in range(3):
            manager.find("two", None).request("GET", "/")
        assert len(server.connections) == 1
        assert open_sockets(server) == 1
        assert "closed;" not in repr(shared)

        manager.reset()

        assert "closed;" in repr(shared)
        server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_a_connection_in_two_managers_is_closed_with_the_last_one(
    server: ScriptedServer,
) -> None:
    server.default = respond(json=[])
    shared = Connection(server.url, ANONYMOUS, registry=False)
    with quiet(Maker(lambda *_: shared)) as one, quiet(Maker(lambda *_: shared)) as other:
        one.find("a", None)
        other.find("a", None).request("GET", "/")

        assert one.close().forgotten == 1
        other.find("a", None).request("GET", "/")
        assert len(server.connections) == 1
        assert open_sockets(server) == 1

        assert other.close().closed == 1
        server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_a_connection_added_twice_to_one_pool_is_closed_with_it(server: ScriptedServer) -> None:
    shared = Connection(server.url, ANONYMOUS, registry=False)
    with quiet() as manager:
        manager.add("a", None, shared)
        manager.add("a", None, shared)
        shared.request("GET", "/")

        assert manager.reset().closed == 1
        server.wait_for(lambda: server.connections[0].closed_by == "client")


def test_a_connection_that_an_add_overtook_leaves_the_one_that_has_it_open(
    server: ScriptedServer,
) -> None:
    shared = Connection(server.url, ANONYMOUS, registry=False)

    def connect(host: str, _: object) -> Connection:
        if host == "overtaken":
            manager.add("overtaken", None, Plain())
        return shared

    with quiet(Maker(connect)) as manager:
        manager.find("a", None)
        assert isinstance(manager.find("overtaken", None), Plain)

        for _ in range(3):
            manager.find("a", None).request("GET", "/")

        assert len(server.connections) == 1
        assert open_sockets(server) == 1


# Connections that are closed


@pytest.mark.parametrize("how", ["with", "close", "in flight"])
def test_a_connection_that_its_user_closed_keeps_its_socket_for_who_finds_it_next(
    how: str, make_server: MakeServer
) -> None:
    server = make_server(respond(json=[]))
    with quiet(DirectHook(registry=False)) as manager:
        conn = manager.find(server.url, ANONYMOUS)
        if how == "with":
            with conn:
                conn.request("GET", "/")
        elif how == "close":
            conn.request("GET", "/")
            conn.close()
        else:
            conn.request("GET", "/", hooks={"response": lambda *_, **__: conn.close()})
        server.wait_for(lambda: [c.closed_by for c in server.connections] == ["client"])

        for _ in range(10):
            assert manager.find(server.url, ANONYMOUS) is conn
            conn.request("GET", "/")

        assert len(server.connections) == 2
        assert open_sockets(server) == 1
    server.wait_for(lambda: open_sockets(server) == 0)


@pytest.mark.parametrize("closed", [False, True])
def test_a_connection_that_was_forgotten_keeps_no_socket(
    closed: bool,  # noqa: FBT001 - pytest hands it over by name
    make_server: MakeServer,
) -> None:
    server = make_server(respond(json=[]))
    with quiet(DirectHook(registry=False)) as manager:
        conn = manager.find(server.url, ANONYMOUS)
        if closed:
            conn.close()
        manager.reset()
        for _ in range(3):
            conn.request("GET", "/")
        server.wait_for(lambda: [c.closed_by for c in server.connections] == ["client"] * 3)


@pytest.mark.parametrize("forget", ["reset", "prune", "replace"])
def test_a_connection_that_was_forgotten_is_not_kept_alive(
    forget: str, make_server: MakeServer
) -> None:
    """However fast they come and go, and whether or not the manager is used later."""
    server = make_server(respond(json=[]))
    manager = quiet(DirectHook(registry=False), max_pools=1 if forget == "prune" else 0)
    gone = []
    for number in range(5):
        conn = manager.find(f"{server.url}/{number}", ANONYMOUS)
        conn.request("GET", "/")
        if forget == "reset":
            manager.reset()
            conn.request("GET", "/")
        elif forget == "replace":
            manager.add(f"{server.url}/{number}", ANONYMOUS, Plain())
        gone.append(weakref.ref(conn))
        del conn
    gc.collect()
    left = [ref() for ref in gone if ref() is not None]
    assert len(left) == (1 if forget == "prune" else 0)
    manager.close()
