"""`sleepwalker_pool_connections` beside what the servers count themselves.

Rule: at rest, active and idle together are what the server has open, whatever happened before.
"""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client import CollectorRegistry
from requests.auth import HTTPDigestAuth

from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook, Policy
from sleepwalker.observability.metrics import Metrics
from tests.servers import (
    CertificateAuthority,
    MakeServer,
    RequireDigest,
    ScriptedServer,
    close_without_answer,
    redirect,
    refused_port,
    respond,
    stall,
    truncated_body,
)
from tests.telemetry import Watched

if TYPE_CHECKING:
    import requests

NAME: Final = "sleepwalker_pool_connections"


@pytest.fixture
def watched(ca: CertificateAuthority) -> Watched:
    """Give instruments of this test's own."""
    return Watched(ca)


def connections(watched: Watched, server: ScriptedServer, auth: str = "none") -> tuple[Any, Any]:
    """How many are active and idle, as a scrape sees them."""
    active, idle = (
        watched.value(NAME, host=server.url, auth=auth, state=state) for state in ("active", "idle")
    )
    return active, idle


def open_at(server: ScriptedServer) -> int:
    """How many connections the server has open, once those that we closed are closed there."""
    return sum(record.closed_at is None for record in server.connections)


def test_a_connection_is_active_during_a_request_and_idle_after_it(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    go_on = threading.Event()
    tls_server.script(stall(go_on) + respond(json={}))
    conn = watched.connection(tls_server.url)
    caller = threading.Thread(target=conn.json_request, args=("GET", "/"))
    caller.start()
    tls_server.wait_for(lambda: len(tls_server.requests) == 1)

    during = connections(watched, tls_server)
    go_on.set()
    caller.join()

    assert (during, connections(watched, tls_server)) == ((1, 0), (0, 1))
    assert open_at(tls_server) == 1


def test_a_second_request_opens_none(watched: Watched, tls_server: ScriptedServer) -> None:
    conn = watched.connection(tls_server.url)
    for _ in range(3):
        conn.json_request("GET", "/")

    assert connections(watched, tls_server) == (0, 1)
    assert len(tls_server.connections) == 1


def test_one_that_was_connected_past_the_connection_counts_from_its_first_call_on(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    conn = watched.connection(tls_server.url)
    conn.session.get(tls_server.url, verify=conn.session.verify)
    conn.json_request("GET", "/")

    assert connections(watched, tls_server) == (0, 1)
    conn.session.get(tls_server.url, verify=conn.session.verify)
    assert connections(watched, tls_server) == (0, 1)
    assert len(tls_server.connections) == 1
    conn.close()
    assert connections(watched, tls_server) == (0, 0)


def test_many_threads_leave_as_many_idle_as_the_server_has_open(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    go_on, conn = threading.Event(), watched.connection(tls_server.url)
    tls_server.default = stall(go_on) + respond(json={})
    callers = [
        threading.Thread(target=conn.json_request, args=("GET", "/"), daemon=True)
        for _ in range(16)
    ]
    for caller in callers:
        caller.start()
    tls_server.wait_for(lambda: len(tls_server.requests) == 16)
    during = connections(watched, tls_server)
    go_on.set()
    for caller in callers:
        caller.join()

    assert (during, connections(watched, tls_server)) == ((16, 0), (0, 16))
    assert open_at(tls_server) == 16


@pytest.mark.parametrize("how", ["close", "reset", "idle for too long"])
def test_what_is_closed_counts_no_more(
    how: str, watched: Watched, tls_server: ScriptedServer
) -> None:
    bundle = watched.connection(tls_server.url).session.verify
    with ConnectionManager(hooks=[DirectHook(verify=bundle)], **watched.instruments) as manager:
        conn = manager.find(tls_server.url, ANONYMOUS)
        conn.json_request("GET", "/")
        if how == "close":
            conn.close()
        elif how == "reset":
            manager.reset()
        else:
            for adapter in conn.session.adapters.values():
                for pool in adapter._pools:  # noqa: SLF001 - its sockets are to be old
                    for each in pool.pool.queue:
                        if each is not None:
                            each._until = 0.0  # noqa: SLF001 - as above
            conn.session.drop_stale()

        assert connections(watched, tls_server) == (0, 0)
        tls_server.wait_for(lambda: open_at(tls_server) == 0)


ENDINGS: Final[dict[str, Any]] = {
    "no answer": close_without_answer(),
    "half an answer": truncated_body(),
    "an answer that closes": respond(json={}, close=True),
    "an error that closes": respond(503, close=True),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_what_the_server_closes_counts_no_more(
    how: str, watched: Watched, tls_server: ScriptedServer
) -> None:
    tls_server.default = ENDINGS[how]

    watched_end(watched, tls_server)

    assert connections(watched, tls_server) == (0, 0)
    tls_server.wait_for(lambda: open_at(tls_server) == 0)


def watched_end(watched: Watched, server: ScriptedServer) -> None:
    """Make a call, however it ends."""
    conn = watched.connection(server.url, policy=Policy(attempts=2))
    try:
        conn.json_request("GET", "/")
    except Exception as error:  # noqa: BLE001 - how it ends is not the question
        assert error.args  # noqa: PT017 - nor is this


def test_one_that_was_never_open_is_never_counted(watched: Watched) -> None:
    with refused_port() as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(ConnectionError):
            watched.connection(url).json_request("GET", "/")

    assert watched.value(NAME, host=url, auth="none", state="idle") is None


def test_a_streamed_answer_that_is_dropped_unread_counts_no_more(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    tls_server.default = respond(body=b"x" * 1_000_000)
    conn = watched.connection(tls_server.url)
    response: requests.Response | None = conn.request("GET", "/", stream=True)
    assert response is not None
    during = connections(watched, tls_server)

    conn.close()
    del conn._responses.last  # type: ignore[union-attr] # noqa: SLF001 - it is the other one who has it
    response = None
    gc.collect()

    assert (during, connections(watched, tls_server)) == ((1, 0), (0, 0))
    tls_server.wait_for(lambda: open_at(tls_server) == 0)


def test_a_redirect_opens_one_of_the_host_that_it_leads_to(
    watched: Watched, two_tls_hosts: tuple[ScriptedServer, ScriptedServer]
) -> None:
    first, second = two_tls_hosts
    first.default = redirect(302, f"{second.url}/")

    conn = watched.connection(first.url)
    conn.request("GET", "/")

    assert connections(watched, first) == connections(watched, second) == (0, 1)


def test_a_replay_goes_over_the_same(watched: Watched, tls_server: ScriptedServer) -> None:
    tls_server.default = RequireDigest("reader", "password")

    conn = watched.connection(tls_server.url, HTTPDigestAuth("reader", "password"))
    conn.json_request("GET", "/")

    assert connections(watched, tls_server, "digest") == (0, 1)
    assert open_at(tls_server) == 1


def test_a_restarted_server_is_connected_to_anew(watched: Watched, make_server: MakeServer) -> None:
    server = make_server(tls=True)
    conn = watched.connection(server.url)
    conn.json_request("GET", "/")
    server.restart()

    conn.json_request("GET", "/")

    assert connections(watched, server) == (0, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_has_none_of_its_parents(watched: Watched, tls_server: ScriptedServer) -> None:
    conn = watched.connection(tls_server.url)
    conn.json_request("GET", "/")
    assert connections(watched, tls_server) == (0, 1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        before = connections(watched, tls_server)
        conn.json_request("GET", "/")
        os.write(write, repr((before, connections(watched, tls_server))).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(read, 100).decode() == "((0.0, 0.0), (0.0, 1.0))"
    assert connections(watched, tls_server) == (0, 1)
    os.close(read)
    os.close(write)


def test_a_finalizer_that_runs_while_a_metric_is_locked_waits_for_nobody(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    tls_server.default = respond(body=b"x" * 1_000_000)
    held, go_on = threading.Event(), threading.Event()
    waited_for: list[bool] = []
    counting = Metrics.on(watched.registry)._counting  # noqa: SLF001 - to be held by another thread

    def hold() -> None:
        counting.hold()
        held.set()
        waited_for.append(not go_on.wait(5.0))
        counting.release()

    conn = watched.connection(tls_server.url)
    kept = [conn.request("GET", "/", stream=True)]
    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5.0)
    try:
        kept.clear()
        del conn._responses.last  # type: ignore[union-attr] # noqa: SLF001 - as above
        conn.close()
        gc.collect()
    finally:
        go_on.set()
        holder.join()

    assert waited_for == [False]
    assert connections(watched, tls_server) == (0, 0)


def test_without_metrics_nothing_is_counted(watched: Watched, tls_server: ScriptedServer) -> None:
    conn = watched.connection(tls_server.url, registry=False)
    conn.json_request("GET", "/")

    assert CollectorRegistry().get_sample_value(NAME) is None
    assert connections(watched, tls_server) == (None, None)
