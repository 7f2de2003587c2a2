"""What becomes of connections that a manager forgets: nobody's request fails, no socket is left.

Rule: the server holds the answer back until the thing under test is done, and its own records say
when a socket closed, and by whom.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import CapturingLogger

from sleepwalker import (
    ANONYMOUS,
    ClosedError,
    Connection,
    DirectHook,
    Policy,
)
from sleepwalker.connection import ResetReport
from sleepwalker.observability.events import AttemptFinished, RetryScheduled
from tests.crew import Job, Plain, SteppedClock, Witness, at_once, quiet, wait_for
from tests.servers import echo, raw, reset_after_reading, respond, stall

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker import ConnectionManager
    from tests.servers import CertificateAuthority, MakeServer, ScriptedServer

ONCE: Final = Policy(attempts=1)
"""So that no retry hides a request that failed."""
OTHER: Final = "https://other.example"


def closed(server: ScriptedServer, number: int) -> None:
    """Wait until the client has closed that connection."""
    server.wait_for(lambda: server.connections[number - 1].closed_by == "client")


def is_open(server: ScriptedServer, number: int) -> bool:
    return server.connections[number - 1].closed_by is None


def by_reset(manager: ConnectionManager, _: ScriptedServer) -> None:
    assert manager.reset() == ResetReport(closed=0, draining=1, forgotten=0, failed=0)


def by_replacing_add(manager: ConnectionManager, server: ScriptedServer) -> None:
    manager.add(server.url, ANONYMOUS, Plain())


def by_prune(manager: ConnectionManager, _: ScriptedServer) -> None:
    # With room for one pool alone, the one just established is that one.
    manager.find(OTHER, ANONYMOUS)
    assert list(manager.conns) == [(OTHER, ANONYMOUS)]


def by_closing(manager: ConnectionManager, _: ScriptedServer) -> None:
    assert manager.close(timeout=0) == ResetReport(closed=0, draining=1, forgotten=0, failed=0)


WAYS: Final = pytest.mark.parametrize(
    "forget", [by_reset, by_replacing_add, by_prune, by_closing], ids=lambda way: way.__name__
)


# --- in flight ---------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_request_in_flight_survives_and_its_socket_closes_after_it(
    forget: Callable[[ConnectionManager, ScriptedServer], None],
    make_server: MakeServer,
    ca: CertificateAuthority,
    tls: bool,  # noqa: FBT001 - pytest hands it over by name
) -> None:
    answer = threading.Event()
    server = make_server(stall(answer) + respond(json={"id": 1}), tls=tls)
    manager = quiet(DirectHook(verify=str(ca.bundle), policy=ONCE), max_pools=1)
    conn = manager.find(server.url, ANONYMOUS)
    job = Job(lambda: conn.json_request("GET", "/books/1"))
    server.wait_for(lambda: server.count() == 1)
    forget(manager, server)
    assert (server.url, ANONYMOUS) not in manager.conns or forget is by_replacing_add
    assert is_open(server, 1)
    assert not job.finished
    answer.set()
    assert job.result() == {"id": 1}
    closed(server, 1)
    assert len(server.connections) == server.count() == 1


@WAYS
def test_many_requests_in_flight_survive_and_the_last_one_closes_the_sockets(
    forget: Callable[[ConnectionManager, ScriptedServer], None], make_server: MakeServer
) -> None:
    answers = {f"/{number}": threading.Event() for number in range(8)}
    server = make_server(lambda request: [stall(answers[request.target]), echo()])
    manager = quiet(DirectHook(policy=ONCE), max_pools=1)
    conn = manager.find(server.url, ANONYMOUS)
    jobs = {target: Job(partial(conn.json_request, "GET", target)) for target in answers}
    server.wait_for(lambda: server.count() == 8)
    forget(manager, server)
    for target, answer in list(answers.items())[:-1]:
        answer.set()
        assert jobs[target].result()["target"] == target
    last_target, last_answer = list(answers.items())[-1]
    (busy,) = [r.connection for r in server.requests if r.target == last_target]
    assert is_open(server, busy)
    last_answer.set()
    assert jobs[last_target].result()["target"] == last_target
    for number in range(1, 9):
        closed(server, number)


@WAYS
def test_a_streamed_body_can_be_read_to_its_end(
    forget: Callable[[ConnectionManager, ScriptedServer], None], make_server: MakeServer
) -> None:
    rest = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

    def halves(_: Any) -> Any:
        return [raw(head + b"first"), stall(rest), raw(b"later")]

    server = make_server(halves)
    manager = quiet(DirectHook(policy=ONCE), max_pools=1)
    conn = manager.find(server.url, ANONYMOUS)
    with conn.request("GET", "/stream", stream=True) as response:
        body = response.iter_content(5)
        assert next(body) == b"first"
        if forget is by_reset:
            manager.reset()
        elif forget is by_closing:
            manager.close(timeout=0)
        else:
            forget(manager, server)
        rest.set()
        assert next(body) == b"later"
        assert next(body, None) is None
    closed(server, 1)


@WAYS
def test_a_request_that_goes_on_with_a_retry_survives(
    forget: Callable[[ConnectionManager, ScriptedServer], None], make_server: MakeServer
) -> None:
    answer = threading.Event()
    server = make_server()
    server.script(stall(answer) + respond(503), reset_after_reading(), respond(json={"id": 1}))
    manager = quiet(DirectHook(policy=Policy(attempts=3, backoff=None)), max_pools=1)
    conn = manager.find(server.url, ANONYMOUS)
    job = Job(lambda: conn.json_request("GET", "/books/1"))
    server.wait_for(lambda: server.count() == 1)
    forget(manager, server)
    answer.set()
    assert job.result() == {"id": 1}
    assert server.count() == 3
    server.wait_for(lambda: all(c.closed_by for c in server.connections))


# --- idle ones, and whoever still holds them ---------------------------------------------


def test_an_idle_connection_closes_its_sockets_at_once(server: ScriptedServer) -> None:
    manager = quiet(DirectHook())
    conn = manager.find(server.url, ANONYMOUS)
    conn.json_request("GET", "/")
    assert is_open(server, 1)
    assert manager.reset() == ResetReport(closed=1, draining=0, forgotten=0, failed=0)
    closed(server, 1)


def test_whoever_still_holds_it_may_go_on_using_it_and_leaves_no_socket_open(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    manager = quiet(DirectHook(verify=str(ca.bundle), policy=ONCE))
    conn = manager.find(tls_server.url, ANONYMOUS)
    manager.reset()
    for number in (1, 2, 3):
        assert conn.json_request("GET", f"/{number}")["target"] == f"/{number}"
        closed(tls_server, number)
    assert manager.find(tls_server.url, ANONYMOUS) is not conn


def test_a_connection_that_is_added_again_keeps_its_sockets_again(server: ScriptedServer) -> None:
    manager = quiet(DirectHook(policy=ONCE))
    conn = manager.find(server.url, ANONYMOUS)
    manager.reset()
    manager.add(server.url, ANONYMOUS, conn)
    for _ in range(3):
        conn.json_request("GET", "/")
    assert len(server.connections) == 1
    manager.close()
    closed(server, 1)


def test_no_request_fails_while_others_forget_and_find_again(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    """Many use it, one resets it again and again: every single attempt succeeds."""
    witness = Witness()
    manager = quiet(DirectHook(verify=str(ca.bundle), policy=ONCE), observers=[witness])
    over = threading.Event()

    def use(number: int) -> int:
        for step in range(40):
            target = f"/{number}/{step}"
            conn = manager.find(tls_server.url, ANONYMOUS)
            assert conn.json_request("GET", target)["target"] == target
        return 40

    def forget() -> int:
        rounds = 0
        while not over.is_set():
            manager.reset()
            manager.reset(idle=0)
            manager.add(
                tls_server.url,
                ANONYMOUS,
                Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle), policy=ONCE),
            )
            rounds += 1
            over.wait(0.002)
        return rounds

    forgetting = Job(forget)
    done = [job.result(30) for job in at_once([partial(use, number) for number in range(8)])]
    over.set()
    assert forgetting.result() > 1
    assert tls_server.count() == sum(done)
    attempts = witness.of(AttemptFinished)
    assert len(attempts) == sum(done)
    assert {attempt.error_type for attempt in attempts} == {"none"}
    manager.close()
    tls_server.wait_for(lambda: all(c.closed_by == "client" for c in tls_server.connections))


def test_no_request_of_those_who_share_a_forgotten_connection_fails(server: ScriptedServer) -> None:
    """The last one out closes the sockets, just when the next comes in."""
    witness = Witness()
    manager = quiet(DirectHook(policy=ONCE), observers=[witness])
    conn = manager.find(server.url, ANONYMOUS)
    manager.reset()

    def use(number: int) -> None:
        for step in range(60):
            target = f"/{number}/{step}"
            assert conn.json_request("GET", target)["target"] == target

    for job in at_once([partial(use, number) for number in range(6)]):
        job.result(30)
    assert server.count() == 6 * 60
    assert len(witness.of(AttemptFinished)) == 6 * 60
    assert witness.of(RetryScheduled) == []
    server.wait_for(lambda: all(c.closed_by == "client" for c in server.connections))


def test_a_request_that_begins_just_when_the_sockets_are_closed_succeeds(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its pool of sockets in hand already, and takes no socket from it yet."""
    conn = Connection(server.url, ANONYMOUS, policy=ONCE, registry=False)
    adapter: Any = conn.session.get_adapter(server.url)
    choose = adapter.get_connection_with_tls_context
    chosen, closing_done = threading.Event(), threading.Event()

    def chosen_before_the_closing(*args: Any, **kwargs: Any) -> Any:
        pool = choose(*args, **kwargs)
        if not chosen.is_set():
            chosen.set()
            wait_for(closing_done)
        return pool

    monkeypatch.setattr(adapter, "get_connection_with_tls_context", chosen_before_the_closing)
    job = Job(lambda: conn.json_request("GET", "/"))
    wait_for(chosen)
    conn.session.close()
    closing_done.set()
    assert job.result()["target"] == "/"
    assert server.count() == 1
    conn.close()


# --- close drains ------------------------------------------------------------------------


def test_close_waits_for_what_is_in_flight_and_refuses_new_finds_meanwhile(
    make_server: MakeServer,
) -> None:
    answer = threading.Event()
    server = make_server(stall(answer) + respond(json={"id": 1}))
    manager = quiet(DirectHook(policy=ONCE))
    conn = manager.find(server.url, ANONYMOUS)
    job = Job(lambda: conn.json_request("GET", "/books/1"))
    server.wait_for(lambda: server.count() == 1)
    closing = Job(manager.close)

    def refused() -> bool:
        try:
            manager.find(server.url, ANONYMOUS)
        except ClosedError:
            return True
        return False

    server.wait_for(refused)
    assert not closing.finished
    assert is_open(server, 1)
    answer.set()
    assert closing.result() == ResetReport(closed=1, draining=0, forgotten=0, failed=0)
    assert job.result() == {"id": 1}
    closed(server, 1)


def test_close_waits_for_all_connections_and_all_their_requests(make_server: MakeServer) -> None:
    answer = threading.Event()
    servers = [make_server(stall(answer) + respond(json={"id": 1})) for _ in range(3)]
    manager = quiet(DirectHook(policy=ONCE))
    jobs = [
        Job(partial(manager.find(server.url, ANONYMOUS).json_request, "GET", "/"))
        for server in servers
        for _ in range(2)
    ]
    for server in servers:
        server.wait_for(lambda server=server: server.count() == 2)  # type: ignore[misc]
    closing = Job(manager.close)
    answer.set()
    assert closing.result() == ResetReport(closed=3, draining=0, forgotten=0, failed=0)
    assert [job.result() for job in jobs] == [{"id": 1}] * 6
    for server in servers:
        server.wait_for(lambda server=server: all(c.closed_by for c in server.connections))  # type: ignore[misc]


def test_close_waits_no_longer_than_its_timeout_and_what_is_left_closes_by_itself(
    make_server: MakeServer,
) -> None:
    answer = threading.Event()
    server = make_server(stall(answer) + respond(json={"id": 1}))
    manager = quiet(DirectHook(policy=ONCE))
    conn = manager.find(server.url, ANONYMOUS)
    job = Job(lambda: conn.json_request("GET", "/"))
    server.wait_for(lambda: server.count() == 1)
    assert Job(lambda: manager.close(timeout=0.1)).result(5).draining == 1
    answer.set()
    assert job.result() == {"id": 1}
    closed(server, 1)


def test_close_waits_no_longer_than_the_policys_deadline(make_server: MakeServer) -> None:
    answer = threading.Event()
    server = make_server(stall(answer) + respond(json={"id": 1}))
    manager = quiet(DirectHook(policy=ONCE), policy=Policy(deadline=0.1))
    conn = manager.find(server.url, ANONYMOUS)
    job = Job(lambda: conn.json_request("GET", "/"))
    server.wait_for(lambda: server.count() == 1)
    assert Job(manager.close).result(5).draining == 1
    answer.set()
    assert job.result() == {"id": 1}
    closed(server, 1)


def test_leaving_the_with_block_drains(make_server: MakeServer) -> None:
    answer = threading.Event()
    server = make_server(stall(answer) + respond(json={"id": 1}))
    with quiet(DirectHook(policy=ONCE)) as manager:
        conn = manager.find(server.url, ANONYMOUS)
        job = Job(lambda: conn.json_request("GET", "/"))
        server.wait_for(lambda: server.count() == 1)
        threading.Timer(0.1, answer.set).start()
    assert job.result() == {"id": 1}
    closed(server, 1)


def test_all_who_wait_for_a_connection_to_drain_are_woken(make_server: MakeServer) -> None:
    answer = threading.Event()
    server = make_server(stall(answer) + respond(json={"id": 1}))
    conn = Connection(server.url, ANONYMOUS, policy=ONCE, registry=False)
    job = Job(lambda: conn.json_request("GET", "/"))
    server.wait_for(lambda: server.count() == 1)
    waiting = at_once([lambda: conn.drained(5)] * 8)
    assert not conn.drained(0.05)
    answer.set()
    assert job.result() == {"id": 1}
    assert all(waiter.result() for waiter in waiting)
    assert conn.drained(0)
    conn.close()


# --- what is told of it ------------------------------------------------------------------


def test_the_report_log_and_metrics_tell_which_drain(make_server: MakeServer) -> None:
    answer = threading.Event()
    busy, idle = make_server(stall(answer) + respond(204)), make_server()
    log, registry = CapturingLogger(), CollectorRegistry()
    manager = quiet(DirectHook(policy=ONCE), logger=log, registry=registry)
    conn = manager.find(busy.url, ANONYMOUS)
    manager.find(idle.url, ANONYMOUS).json_request("GET", "/")
    manager.add("plain", ANONYMOUS, Plain())
    job = Job(lambda: conn.json_request("GET", "/"))
    busy.wait_for(lambda: busy.count() == 1)
    told = {"closed": 1, "draining": 1, "forgotten": 1, "failed": 0}
    assert manager.reset()._asdict() == told
    assert [c.kwargs for c in log.calls if c.args == ("manager.reset",)] == [told]
    in_flight = {"host": busy.url, "auth": "none"}
    assert registry.get_sample_value("sleepwalker_requests_in_flight", in_flight) == 1
    evicted = in_flight | {"reason": "reset"}
    assert registry.get_sample_value("sleepwalker_pool_evictions_total", evicted) == 1
    assert "closing, 1 in flight" in repr(conn)
    answer.set()
    job.result()
    assert registry.get_sample_value("sleepwalker_requests_in_flight", in_flight) == 0
    assert "closed" in repr(conn)
    closed(busy, 1)
    closed(idle, 1)


def test_a_reset_by_age_leaves_what_is_in_flight_in_its_pool(make_server: MakeServer) -> None:
    answer, clock = threading.Event(), SteppedClock()
    server = make_server(stall(answer) + respond(json={"id": 1}))
    manager = quiet(DirectHook(policy=ONCE, clock=clock), clock=clock)
    conn = manager.find(server.url, ANONYMOUS)
    job = Job(lambda: conn.json_request("GET", "/"))
    server.wait_for(lambda: server.count() == 1)
    clock.now += 5
    assert sum(manager.reset(idle=5)) == 0
    answer.set()
    assert job.result() == {"id": 1}
    assert manager.find(server.url, ANONYMOUS) is conn
    assert manager.reset(idle=5).closed == 0
    clock.now += 5
    assert manager.reset(idle=5).closed == 1
    closed(server, 1)


def test_a_request_on_one_forgotten_connection_does_not_keep_another_open(
    make_server: MakeServer,
) -> None:
    answer = threading.Event()
    busy, idle = make_server(stall(answer) + respond(204)), make_server()
    manager = quiet(DirectHook(policy=ONCE))
    manager.find(idle.url, ANONYMOUS).json_request("GET", "/")
    job = Job(partial(manager.find(busy.url, ANONYMOUS).json_request, "GET", "/"))
    busy.wait_for(lambda: busy.count() == 1)
    manager.reset()
    closed(idle, 1)
    assert is_open(busy, 1)
    answer.set()
    job.result()
    closed(busy, 1)


def test_a_connection_that_a_closed_manager_refuses_is_none_of_its(server: ScriptedServer) -> None:
    manager = quiet()
    manager.close()
    conn = Connection(server.url, ANONYMOUS, registry=False)
    with pytest.raises(ClosedError):
        manager.add(server.url, ANONYMOUS, conn)
    conn.close()
    conn.request("GET", "/")

    server.wait_for(lambda: server.connections[0].closed_by == "client")
