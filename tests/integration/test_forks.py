"""A process that forks while its threads are busy, and what its children do.

Rule 1: the programs (`forking.py`) run as processes of their own with a limit each: what hangs is a
failed test, and shows where.
Rule 2: whose sockets were used is read from the server, which lives here: requests of two processes
never came on one connection.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.servers import Action, ForwardProxy, echo, raw, respond, stall

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority, MakeServer, Request, ScriptedServer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.timeout(90),
]

PROGRAMS: Final = Path(__file__).with_name("forking.py")
LIMIT: Final = 60.0
BOTH: Final = pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])


def run(
    program: str, server: ScriptedServer, ca: CertificateAuthority | None = None, **env: str
) -> dict[str, Any]:
    """Run a program to its end; give what it reported.

    Raises:
        AssertionError: it failed or hung, or a child of it did.
    """
    command = [sys.executable, "-P", str(PROGRAMS), program, server.url]
    if ca is not None:
        command.append(str(ca.bundle))
    try:
        done = subprocess.run(
            command,
            env=os.environ | env,
            cwd=PROGRAMS.parents[2],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{program} hangs: {late.stderr!r}") from None
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    reported: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        reported |= json.loads(line)
    return reported


def owner(request: Request) -> str:
    """Which process sent a request."""
    return request.path.split("/")[1]


def assert_no_socket_was_shared(server: ScriptedServer) -> None:
    """See that each connection carried the requests of one process."""
    owners: dict[int, set[str]] = defaultdict(set)
    for request in server.requests:
        owners[request.connection].add(owner(request))
    assert [names for names in owners.values() if len(names) > 1] == []
    assert [c.error for c in server.connections if c.error is not None] == []


def count_of(server: ScriptedServer, name: str) -> int:
    return sum(owner(request) == name for request in server.requests)


# --- the main thing ----------------------------------------------------------------------


@BOTH
def test_children_forked_while_16_threads_are_busy_do_their_own_work_and_exit(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    server = make_server(tls=tls)
    reported = run("busy", server, ca if tls else None)
    assert reported["children"] == (5 if tls else 20)
    for number in range(reported["children"]):
        assert count_of(server, f"child-{number}") == reported["each"]
    assert count_of(server, "parent") == reported["parent"]
    assert server.count() == reported["parent"] + reported["children"] * reported["each"]
    assert_no_socket_was_shared(server)
    server.wait_for(lambda: all(c.closed_by == "client" for c in server.connections))


@BOTH
def test_a_parents_kept_socket_goes_on_working_after_its_children_have_exited(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    server = make_server(tls=tls)
    run("keep_alive", server, ca if tls else None)
    assert_no_socket_was_shared(server)
    # One for the parent, for all of its four requests, and one for each child.
    assert len(server.connections) == 4
    assert server.connections[0].requests == count_of(server, "parent") == 4


@BOTH
def test_what_a_child_closes_stays_open_for_its_parent(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    server = make_server(tls=tls)
    run("closing", server, ca if tls else None)
    assert len(server.connections) == 1
    assert server.connections[0].requests == 2


@BOTH
@pytest.mark.parametrize("kept", [True, False], ids=["keep-alive", "close"])
def test_a_child_reads_nothing_of_an_answer_that_its_parent_is_streaming(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
    kept: bool,  # noqa: FBT001 - the same
) -> None:
    rest = threading.Event()
    connection = b"" if kept else b"Connection: close\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n" + connection + b"\r\n"

    def answer(request: Request) -> Any:
        if request.path == "/stream":
            return [raw(head + b"first"), stall(rest), raw(b"later")]
        rest.set()
        return echo()

    server = make_server(answer, tls=tls)
    assert run("streaming", server, ca if tls else None) == {"body": "firstlater"}
    assert len(server.connections) == 2
    assert_no_socket_was_shared(server)


@BOTH
def test_a_request_in_flight_at_the_fork_is_its_parents_alone(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    rest = threading.Event()

    def answer(request: Request) -> Any:
        if request.path == "/parent/stalled":
            return [stall(rest), echo()]
        if owner(request) == "child-0":
            rest.set()
        return echo()

    server = make_server(answer, tls=tls)
    run("in_flight", server, ca if tls else None)
    assert (count_of(server, "parent"), count_of(server, "child-0")) == (3, 1)
    assert_no_socket_was_shared(server)


# --- whatever was held -------------------------------------------------------------------


@BOTH
def test_a_child_does_its_work_whatever_lock_was_held_at_the_fork(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    server = make_server(tls=tls)
    reported = run("held", server, ca if tls else None)
    # The queues' mutexes, cookie jars', pool managers', managers', connections', tokens', logs' ...
    assert reported["held"] > 30
    assert count_of(server, "child-0") == 5
    assert_no_socket_was_shared(server)


def test_a_fork_waits_for_a_scrape_and_the_child_has_metrics_that_work(
    server: ScriptedServer,
) -> None:
    assert run("held_by_a_scrape", server)["held"] > 3
    assert (count_of(server, "child-0"), count_of(server, "parent")) == (1, 2)


def test_a_cookie_jar_that_the_user_brought_holds_no_other_connection_up(
    server: ScriptedServer,
) -> None:
    run("foreign_jar", server)
    assert (count_of(server, "child-0"), count_of(server, "parent")) == (2, 4)
    assert_no_socket_was_shared(server)


# --- where a fork may happen -------------------------------------------------------------


def test_a_fork_inside_a_hook_leaves_both_processes_their_establishment(
    server: ScriptedServer,
) -> None:
    run("in_hook", server)
    assert (count_of(server, "child-0"), count_of(server, "parent")) == (1, 2)
    assert_no_socket_was_shared(server)


@BOTH
def test_a_fork_inside_a_request_leaves_both_processes_a_connection_that_works(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    server = make_server(tls=tls)
    run("in_call", server, ca if tls else None)
    for number in range(3):
        assert count_of(server, f"child-{number}") == 1
    assert count_of(server, "parent") == 3


def test_threads_that_fork_at_the_same_time_do_not_hold_each_other_up(
    server: ScriptedServer,
) -> None:
    run("together", server)
    assert server.count(target="/parent/after") == 1


@BOTH
def test_processes_and_pools_of_multiprocessing_work(
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    server = make_server(tls=tls)
    run("by_multiprocessing", server, ca if tls else None)
    for number in range(4):
        assert count_of(server, f"child-{number}") == 4
    assert sum(owner(request).startswith("child-of-pool-") for request in server.requests) == 6
    assert_no_socket_was_shared(server)


def test_children_of_children_work(tls_server: ScriptedServer, ca: CertificateAuthority) -> None:
    run("generations", tls_server, ca)
    for number in range(4):
        assert count_of(tls_server, f"child-{number}") == 2
    assert len(tls_server.connections) == 4
    assert_no_socket_was_shared(tls_server)


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http proxy", "https proxy"])
def test_sockets_through_a_proxy_are_the_parents_alone_too(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    proxy_tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    with ForwardProxy(tls=ca.server_context() if proxy_tls else None) as proxy:
        env = {"HTTPS_PROXY": proxy.url, "REQUESTS_CA_BUNDLE": str(ca.bundle)}
        run("through_proxy", tls_server, ca, **env)
    assert (count_of(tls_server, "parent"), count_of(tls_server, "child-0")) == (4, 2)
    assert len(tls_server.connections) == 4
    assert_no_socket_was_shared(tls_server)


# --- traversals --------------------------------------------------------------------------


def linked(request: Request) -> Action:
    """A document that leads to two others of the same process, which lead nowhere."""
    who = owner(request)
    hrefs = [f"/{who}/2", f"/{who}/3"] if request.path.endswith("/1") else []
    links = {"item": [{"href": href} for href in hrefs]}
    return respond(200, {"Content-Type": "application/hal+json"}, json={"_links": links})


def test_a_child_begins_its_own_traversals_and_leaves_its_parents_alone(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(linked, tls=True)
    reported = run("traversing", server, ca)
    assert reported["refused"].startswith("a traversal belongs to the process that began it")
    assert (reported["fresh"], reported["own"]) == ([True] * 3, [True] * 3)
    assert reported["parent"] == [True] * 2
    assert (count_of(server, "parent"), count_of(server, "child-0")) == (3, 6)
    assert_no_socket_was_shared(server)


def test_a_child_traverses_whoever_held_the_locks_at_the_fork(make_server: MakeServer) -> None:
    server = make_server(linked)
    reported = run("traversing_held", server)
    assert reported["told"] == "<Traversal under way"
    assert (reported["own"], reported["parent"]) == ([True] * 3, [True] * 2)
    assert_no_socket_was_shared(server)
