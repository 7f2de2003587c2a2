"""What goes to the server again after a failure, counted by the server.

The table: each call below against each fault below. `again` is the only thing that tells one call
from another once the request may have been sent; before that, any call goes again.

Rule: no write is lost in silence, and none is made twice unless the caller allowed it.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth

from sleepwalker import BearerAuth, Policy, exceptions
from sleepwalker.observability.events import RequestFinished
from sleepwalker.testing import SkippingClock
from tests.integration.retrying import STALLED, Client, bodies, keys, lines
from tests.servers import (
    Action,
    CertificateAuthority,
    CertificateKind,
    ForwardProxy,
    MakeServer,
    Request,
    RequireBearer,
    RequireDigest,
    ScriptedServer,
    close_in_handshake,
    close_without_answer,
    garbage_status_line,
    informational,
    reset_after_reading,
    reset_before_reading,
    respond,
    stall,
    stall_before_reading,
    stall_handshake,
    truncated_body,
    truncated_chunked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BODY: Final = b'{"title": "Ulysses"}'


class Call(NamedTuple):
    """One way to call, and what its loss means."""

    method: str
    options: dict[str, Any]
    again: bool
    """Whether it may go again once it was maybe sent."""
    unknown: bool
    """Whether losing its answer leaves the caller with an unknown outcome."""

    def make(self, client: Client, uri: str = "/books", **options: Any) -> requests.Response:
        """Make it."""
        return client.conn.request(self.method, uri, **(self.options | options))


CALLS: Final = {
    "GET": Call("GET", {}, again=True, unknown=False),
    "OPTIONS": Call("OPTIONS", {}, again=True, unknown=False),
    "TRACE": Call("TRACE", {}, again=True, unknown=False),
    "PUT": Call("PUT", {"data": BODY}, again=True, unknown=True),
    "DELETE": Call("DELETE", {}, again=True, unknown=True),
    "POST": Call("POST", {"data": BODY}, again=False, unknown=True),
    "PATCH": Call("PATCH", {"data": BODY}, again=False, unknown=True),
    "a method that nobody knows": Call("PURGE", {}, again=False, unknown=True),
    "PATCH with a key": Call(
        "PATCH", {"data": BODY, "idempotency_key": "order-1"}, again=True, unknown=True
    ),
    "POST with a key": Call(
        "POST", {"data": BODY, "idempotency_key": "order-1"}, again=True, unknown=True
    ),
    "POST with a header of the caller's": Call(
        "POST", {"data": BODY, "headers": {"idempotency-key": "order-1"}}, again=True, unknown=True
    ),
    "POST that is idempotent": Call(
        "POST", {"data": BODY, "idempotent": True}, again=True, unknown=True
    ),
    "DELETE that is not idempotent": Call(
        "DELETE", {"idempotent": False}, again=False, unknown=True
    ),
    "GET that is not idempotent": Call("GET", {"idempotent": False}, again=False, unknown=True),
}

TIMELY: Final = ("GET", "PUT", "POST", "POST with a key", "GET that is not idempotent")
"""The calls that tell the rules apart: all that meet the faults which take real time."""


def each(faults: Mapping[str, Unreachable | Lost], *names: str) -> pytest.MarkDecorator:
    """Every fault with the calls of these names; those that take real time with fewer."""
    rows = [
        pytest.param(fault, CALLS[name], id=f"{what}: {name}")
        for what, fault in faults.items()
        for name in names
        if fault.timeout is None or name in TIMELY
    ]
    return pytest.mark.parametrize(("fault", "call"), rows)


def sent_body(call: Call) -> bytes:
    """What the server must read."""
    body: bytes = call.options.get("data", b"")
    return body


# --- certainly never sent -------------------------------------------------------------------------


class World(NamedTuple):
    """A server behind a proxy or not, and a client of it."""

    server: ScriptedServer
    proxy: ForwardProxy
    client: Client

    def script(self, action: Action, times: int) -> None:
        """Let the server do this at the next connections."""
        self.server.script(*[action] * times)

    def through_proxy(self, action: Action, times: int) -> None:
        """Let the proxy do this at the next CONNECTs."""
        self.client.conn.session.proxies = {"https": self.proxy.url}
        self.proxy.script(*[action] * times)

    def refuse(self, times: int, *, proxy: bool = False) -> None:
        """Let the server's port, or the proxy's, be closed for so many attempts."""
        if proxy:
            self.client.conn.session.proxies = {"https": self.proxy.url}
        closed = self.proxy if proxy else self.server
        closed.stop()
        self.client.clock.at_next_sleep(*[lambda: None] * (times - 1), closed.start)


class Unreachable(NamedTuple):
    """A fault before we had begun to write."""

    arrange: Callable[[World, int], None]
    """Given how many attempts it is for."""
    error: type[exceptions.SleepwalkerException]
    reason: str
    timeout: tuple[float, float] | None = None
    attempts: int = 3
    """A policy's; fewer where each takes real time."""


UNREACHABLE: Final = {
    "connection refused": Unreachable(World.refuse, exceptions.ConnectError, "connect"),
    "TLS handshake stalled": Unreachable(
        lambda world, times: world.script(stall_handshake(), times),
        exceptions.ConnectTimeout,
        "timeout",
        STALLED,
        2,
    ),
    "closed in the TLS handshake": Unreachable(
        lambda world, times: world.script(close_in_handshake(), times),
        exceptions.TLSError,
        "connect",
    ),
    "proxy's port closed": Unreachable(
        lambda world, times: world.refuse(times, proxy=True), exceptions.ProxyError, "connect"
    ),
    "CONNECT stalled": Unreachable(
        lambda world, times: world.through_proxy(stall(), times),
        exceptions.ConnectTimeout,
        "timeout",
        STALLED,
        2,
    ),
    "CONNECT refused": Unreachable(
        lambda world, times: world.through_proxy(respond(502, close=True), times),
        exceptions.ProxyError,
        "connect",
    ),
    "CONNECT reset": Unreachable(
        lambda world, times: world.through_proxy(reset_after_reading(), times),
        exceptions.TransportError,
        "connect",
    ),
}


@pytest.fixture
def world(tls_server: ScriptedServer, proxy: ForwardProxy, ca: CertificateAuthority) -> World:
    return World(tls_server, proxy, Client(tls_server, ca))


@each(UNREACHABLE, *CALLS)
def test_what_was_never_sent_is_sent_again_whatever_it_is(
    world: World, fault: Unreachable, call: Call
) -> None:
    failures = fault.attempts - 1
    fault.arrange(world, failures)
    policy = Policy(attempts=fault.attempts)
    response = call.make(world.client, timeout=fault.timeout, policy=policy)
    assert response.status_code == 200
    assert lines(world.server) == [f"{call.method} /books"]
    assert bodies(world.server) == [sent_body(call)]
    assert world.client.retries == {fault.reason: failures}
    assert world.client.wire_attempts == fault.attempts
    assert len(world.client.slept) == failures


@each(UNREACHABLE, "POST", "DELETE", "POST that is idempotent")
def test_what_never_gets_out_ends_in_an_error_that_leaves_nothing_unknown(
    world: World, fault: Unreachable, call: Call
) -> None:
    fault.arrange(world, fault.attempts)
    policy = Policy(attempts=fault.attempts)
    with pytest.raises(fault.error) as caught:
        call.make(world.client, timeout=fault.timeout, policy=policy)
    assert caught.value.attempts == fault.attempts
    assert not caught.value.outcome_unknown
    assert "unknown" not in str(caught.value)
    assert world.server.count() == 0
    assert world.client.retries == {fault.reason: fault.attempts - 1}
    assert isinstance(caught.value, exceptions.ConnectionError)
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value, requests.ConnectionError | requests.Timeout)


@pytest.mark.parametrize("kind", ["wrong name", "expired", "unknown authority"])
def test_a_certificate_error_is_never_retried(
    make_server: MakeServer, ca: CertificateAuthority, kind: CertificateKind
) -> None:
    server = make_server(tls=ca.server_context(kind))
    client = Client(server, ca)
    with pytest.raises(exceptions.CertificateError) as caught:
        client.conn.request("GET", "/books")
    assert caught.value.attempts == 1
    assert not caught.value.outcome_unknown
    assert isinstance(caught.value, requests.exceptions.SSLError)
    assert len(server.connections) == 1
    assert server.count() == 0
    assert client.retries == {}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_misses_our_certificate_is_not_asked_again(
    make_server: MakeServer, ca: CertificateAuthority, method: str
) -> None:
    # In TLS 1.3 its alert comes when we have written already; what it refused it never read.
    server = make_server(tls=ca.server_context(require_client_cert=True))
    client = Client(server, ca)
    with pytest.raises(exceptions.TLSError) as caught:
        client.conn.request(method, "/books")
    assert caught.value.attempts == 1
    assert not caught.value.outcome_unknown
    assert "certificate" in str(caught.value)
    assert len(server.connections) == 1
    assert server.count() == 0


def test_a_proxys_own_certificate_error_is_never_retried(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    with ForwardProxy(tls=ca.server_context("expired")) as proxy:
        client = Client(tls_server, ca)
        client.conn.session.proxies = {"https": proxy.url}
        with pytest.raises(exceptions.SleepwalkerException) as caught:
            client.conn.request("GET", "/books")
        assert caught.value.attempts == 1
        assert len(proxy.connections) == 1
    assert tls_server.count() == 0


# --- maybe sent -----------------------------------------------------------------------------------


class Lost(NamedTuple):
    """A fault after we had begun to write."""

    action: Action
    error: type[exceptions.SleepwalkerException]
    reason: str
    read: bool = True
    """Whether the server reads the request."""
    timeout: tuple[float, float] | None = None
    attempts: int = 3


LOST: Final = {
    "reset before reading": Lost(
        reset_before_reading(), exceptions.ProtocolError, "protocol", read=False
    ),
    "reset after the head": Lost(
        reset_before_reading(head=True), exceptions.ProtocolError, "protocol", read=False
    ),
    "reset after reading": Lost(reset_after_reading(), exceptions.ProtocolError, "protocol"),
    "closed without an answer": Lost(close_without_answer(), exceptions.ProtocolError, "protocol"),
    "lost in silence": Lost(
        stall_before_reading(),
        exceptions.ReadTimeout,
        "timeout",
        read=False,
        timeout=STALLED,
        attempts=2,
    ),
    "read timeout": Lost(stall(), exceptions.ReadTimeout, "timeout", timeout=STALLED, attempts=2),
    "truncated body": Lost(truncated_body(), exceptions.ProtocolError, "protocol"),
    "truncated chunks": Lost(truncated_chunked(), exceptions.ProtocolError, "protocol"),
    "truncated error": Lost(truncated_body(status=404), exceptions.ProtocolError, "protocol"),
    "garbage for a status line": Lost(garbage_status_line(), exceptions.ProtocolError, "protocol"),
}


@each(LOST, *CALLS)
def test_what_was_maybe_sent_goes_again_only_if_it_may_be_repeated(
    tls_server: ScriptedServer, ca: CertificateAuthority, fault: Lost, call: Call
) -> None:
    failures = fault.attempts - 1
    tls_server.script(*[fault.action] * failures)
    client = Client(tls_server, ca, policy=Policy(attempts=fault.attempts))
    if call.again:
        assert call.make(client, timeout=fault.timeout).status_code == 200
        received = fault.attempts if fault.read else 1
    else:
        with pytest.raises(fault.error) as caught:
            call.make(client, timeout=fault.timeout)
        assert caught.value.attempts == 1
        assert caught.value.outcome_unknown == call.unknown
        assert ("outcome unknown" in str(caught.value)) == call.unknown
        received = 1 if fault.read else 0
    assert tls_server.count() == received
    assert bodies(tls_server) == [sent_body(call)] * received
    assert client.retries == ({fault.reason: failures} if call.again else {})
    assert client.wire_attempts == (fault.attempts if call.again else 1)


@each(LOST, "GET", "DELETE", "POST with a key")
def test_when_attempts_run_out_the_error_says_whether_the_outcome_is_unknown(
    tls_server: ScriptedServer, ca: CertificateAuthority, fault: Lost, call: Call
) -> None:
    tls_server.default = fault.action
    client = Client(tls_server, ca, policy=Policy(attempts=fault.attempts))
    with pytest.raises(fault.error) as caught:
        call.make(client, timeout=fault.timeout)
    assert caught.value.attempts == fault.attempts
    assert caught.value.outcome_unknown == call.unknown
    assert ("outcome unknown" in str(caught.value)) == call.unknown
    assert tls_server.count() == (fault.attempts if fault.read else 0)
    assert client.retries == {fault.reason: fault.attempts - 1}
    assert client.outcomes == {"exhausted": 1}
    (finished,) = client.told.all(RequestFinished)
    assert finished.outcome_unknown == call.unknown


RACES: Final = {
    name: LOST[name]
    for name in (
        "reset before reading",
        "reset after the head",
        "reset after reading",
        "closed without an answer",
        "lost in silence",
    )
}
"""What becomes of a pooled socket that was in order when we took it."""


@each(RACES, *CALLS)
def test_a_pooled_socket_that_dies_as_we_send_is_under_the_same_rule(
    tls_server: ScriptedServer, ca: CertificateAuthority, fault: Lost, call: Call
) -> None:
    client = Client(tls_server, ca, timeout=fault.timeout)
    client.conn.request("GET", "/first")
    tls_server.script(fault.action)
    if call.again:
        assert call.make(client).status_code == 200
    else:
        with pytest.raises(fault.error) as caught:
            call.make(client)
        assert caught.value.attempts == 1
        assert caught.value.outcome_unknown == call.unknown
    assert tls_server.count(target="/books") == (1 if fault.read else 0) + call.again
    assert len(tls_server.connections) == 1 + call.again
    assert client.retries == ({fault.reason: 1} if call.again else {})


@pytest.mark.parametrize("deadline", [2.0, 0.75])
def test_what_was_lost_in_silence_goes_again_as_far_as_the_deadline_allows(
    server: ScriptedServer, deadline: float
) -> None:
    client = Client(server, clock=SkippingClock(), timeout=STALLED)
    client.conn.request("GET", "/first")
    server.script(*[stall_before_reading()] * 2)
    with pytest.raises(exceptions.TimeoutError) as caught:
        client.conn.request("PUT", "/", data=BODY, deadline=deadline, policy=Policy(attempts=2))
    assert isinstance(caught.value, exceptions.ReadTimeout) == (deadline == 2.0)
    assert caught.value.attempts == 2
    assert caught.value.elapsed == pytest.approx(min(1.0, deadline), abs=0.3)
    assert caught.value.outcome_unknown
    server.script(stall_before_reading())
    assert client.conn.request("PUT", "/", data=BODY, deadline=1.0).status_code == 200


def test_sockets_that_were_all_lost_in_silence_cost_one_attempt_together(
    server: ScriptedServer,
) -> None:
    client = Client(server, timeout=0.25)
    together = threading.Barrier(4)

    def answer(_: Request) -> Action:
        together.wait(5)
        return respond(200)

    server.script(*[answer] * 4)
    threads = [threading.Thread(target=client.conn.request, args=("GET", "/")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.connections) == 4
    server.script(stall_before_reading())
    client.conn.request("GET", "/")
    assert client.retries == {"timeout": 1}
    assert len(server.connections) == 5
    server.wait_for(lambda: [r.closed_by for r in server.connections[:4]] == ["client"] * 4)


def test_a_socket_of_which_something_was_heard_meanwhile_outlives_another_ones_timeout(
    server: ScriptedServer,
) -> None:
    client = Client(server, timeout=0.5, policy=Policy(attempts=1))
    stalled = threading.Event()

    def slow(_: Request) -> Action:
        stalled.set()
        return stall()

    server.script(slow)
    asked = threading.Thread(target=lambda: ignored(client, "/slow"))
    asked.start()
    assert stalled.wait(5)
    client.conn.request("GET", "/quick")
    asked.join()
    server.wait_for(lambda: server.connections[0].closed_by == "client")
    assert server.connections[1].closed_by is None


def ignored(client: Client, path: str) -> None:
    """Ask for something that doesn't come."""
    with pytest.raises(exceptions.ReadTimeout):
        client.conn.request("GET", path)


def test_a_head_whose_answer_is_lost_goes_again(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(reset_after_reading(), close_without_answer())
    client = Client(tls_server, ca)
    assert client.conn.request("HEAD", "/books").status_code == 200
    assert lines(tls_server) == ["HEAD /books"] * 3


# --- statuses -------------------------------------------------------------------------------------

AGAIN: Final = (408, 429, 500, 502, 503, 504)
FINAL: Final = (400, 401, 403, 404, 405, 409, 410, 412, 422, 425, 501, 505)


@pytest.mark.parametrize(
    ("call", "retry_after"),
    [pytest.param(call, None, id=name) for name, call in CALLS.items()]
    + [pytest.param(CALLS[name], "2", id=f"{name}, with Retry-After") for name in TIMELY],
)
@pytest.mark.parametrize("status", AGAIN)
def test_a_status_of_the_list_is_retried_under_the_same_rule(
    server: ScriptedServer, status: int, retry_after: str | None, call: Call
) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    server.default = respond(status, headers, json={"error_text": "not now"})
    client = Client(server)
    with pytest.raises(exceptions.HTTPError.code_map[status]) as caught:
        call.make(client)
    times = 3 if call.again else 1
    throttled = status == 429 or (status == 503 and retry_after is not None)
    assert server.count() == times
    assert bodies(server) == [sent_body(call)] * times
    assert caught.value.attempts == times
    assert caught.value.http_code == status
    assert caught.value.retry_after == (None if retry_after is None else 2.0)
    assert not caught.value.outcome_unknown
    reason = "throttled" if throttled else "status"
    assert client.retries == ({reason: 2} if call.again else {})
    assert client.outcomes == {"exhausted" if call.again else "error": 1}
    # An answered request leaves its socket in order.
    assert len(server.connections) == 1


@pytest.mark.parametrize("status", AGAIN)
def test_a_call_that_succeeds_in_the_end_gives_the_last_answer(
    server: ScriptedServer, status: int
) -> None:
    server.script(respond(status, json="no"), respond(status, json="no"), respond(200, json="yes"))
    client = Client(server)
    assert client.conn.json_request("PUT", "/books/1", {"id": 1}) == "yes"
    assert bodies(server) == [b'{"id": 1}'] * 3
    assert client.outcomes == {"success": 1}


@pytest.mark.parametrize("call", [CALLS[name] for name in TIMELY], ids=TIMELY)
@pytest.mark.parametrize("status", FINAL)
def test_any_other_status_is_final(server: ScriptedServer, status: int, call: Call) -> None:
    server.default = respond(status, {"Retry-After": "1"})
    client = Client(server)
    with pytest.raises(exceptions.HTTPError) as caught:
        call.make(client)
    assert caught.value.http_code == status
    assert caught.value.attempts == 1
    assert not caught.value.outcome_unknown
    assert server.count() == 1
    assert client.retries == {}
    assert client.slept == []


def test_the_statuses_that_are_sent_again_are_the_policys(server: ScriptedServer) -> None:
    server.default = respond(425)
    policy = Policy(retry_statuses=frozenset({425}))
    with pytest.raises(exceptions.HTTPTooEarly) as caught:
        Client(server, policy=policy).conn.request("GET", "/")
    assert caught.value.attempts == 3
    server.default = respond(503)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as unlisted:
        Client(server, policy=policy).conn.request("GET", "/")
    assert unlisted.value.attempts == 1
    assert server.count() == 4


# --- idempotency keys -----------------------------------------------------------------------------


def test_a_post_with_a_key_carries_the_same_key_on_every_attempt(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(reset_after_reading(), respond(503))
    client = Client(tls_server, ca)
    client.conn.request("POST", "/books", data=BODY, idempotency_key="order-1")
    assert keys(tls_server) == ["order-1"] * 3
    assert bodies(tls_server) == [BODY] * 3


def test_a_key_that_is_made_is_the_same_on_every_attempt_and_new_in_every_call(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    client = Client(tls_server, ca)
    for _ in range(2):
        tls_server.script(reset_after_reading(), reset_after_reading())
        client.conn.request("POST", "/books", data=BODY, idempotency_key=True)
    first, second = keys(tls_server)[:3], keys(tls_server)[3:]
    assert len(set(first)) == len(set(second)) == 1
    assert None not in {*first, *second}
    assert first != second
    assert len(second) == 3


@pytest.mark.parametrize("header", ["Idempotency-Key", "IDEMPOTENCY-KEY", "idempotency-key"])
def test_the_callers_own_header_counts_however_it_is_spelt(
    server: ScriptedServer, header: str
) -> None:
    server.script(reset_after_reading())
    Client(server).conn.request("POST", "/books", data=BODY, headers={header: "mine"})
    assert keys(server) == ["mine", "mine"]


def test_a_key_among_the_connections_common_headers_counts(server: ScriptedServer) -> None:
    server.script(reset_after_reading())
    client = Client(server)
    client.conn.add_headers({"Idempotency-Key": "common"})
    client.conn.request("POST", "/books", data=BODY)
    assert keys(server) == ["common", "common"]


def test_a_common_key_that_the_caller_takes_away_does_not_count(server: ScriptedServer) -> None:
    server.script(reset_after_reading())
    client = Client(server)
    client.conn.add_headers({"Idempotency-Key": "common"})
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("POST", "/books", data=BODY, headers={"Idempotency-Key": None})
    assert keys(server) == [None]
    assert caught.value.outcome_unknown


def test_an_empty_key_is_no_key(server: ScriptedServer) -> None:
    server.script(reset_after_reading())
    client = Client(server)
    with pytest.raises(exceptions.ProtocolError):
        client.conn.request("POST", "/books", data=BODY, headers={"Idempotency-Key": ""})
    assert server.count() == 1


def test_the_policy_names_the_header_and_no_other_counts_then(server: ScriptedServer) -> None:
    policy = Policy(idempotency_header="X-Request-Token")
    client = Client(server, policy=policy)
    server.script(reset_after_reading())
    client.conn.request("POST", "/books", data=BODY, idempotency_key="k")
    assert keys(server, "X-Request-Token") == ["k", "k"]
    assert keys(server) == [None, None]
    server.script(reset_after_reading())
    with pytest.raises(exceptions.ProtocolError):
        client.conn.request("POST", "/books", data=BODY, headers={"Idempotency-Key": "k"})
    assert server.count() == 3


def test_a_key_wins_over_idempotent_false(server: ScriptedServer) -> None:
    server.script(reset_after_reading())
    client = Client(server)
    client.conn.request("POST", "/", data=BODY, idempotency_key="k", idempotent=False)
    assert keys(server) == ["k", "k"]


def test_a_conflict_on_a_resend_with_a_key_is_throttling_and_retried(
    server: ScriptedServer,
) -> None:
    server.script(reset_after_reading(), respond(409), respond(201, json={"id": 7}))
    client = Client(server, random=1.0)
    answer = client.conn.json_request("POST", "/books", {"id": 7}, idempotency_key="k")
    assert answer == {"id": 7}
    assert keys(server) == ["k"] * 3
    assert client.retries == {"protocol": 1, "throttled": 1}
    assert client.slept == [0.05, 2.0]


def test_a_conflict_on_the_last_resend_is_the_error(server: ScriptedServer) -> None:
    server.script(reset_after_reading(), respond(409), respond(409))
    client = Client(server)
    with pytest.raises(exceptions.HTTPConflict) as caught:
        client.conn.request("POST", "/books", data=BODY, idempotency_key="k")
    assert caught.value.attempts == server.count() == 3
    assert client.outcomes == {"exhausted": 1}


def test_a_conflict_at_first_is_final_with_a_key_too(server: ScriptedServer) -> None:
    server.script(respond(409))
    client = Client(server)
    with pytest.raises(exceptions.HTTPConflict) as caught:
        client.conn.request("POST", "/books", data=BODY, idempotency_key="k")
    assert caught.value.attempts == server.count() == 1


def test_a_conflict_on_a_resend_without_a_key_is_final(server: ScriptedServer) -> None:
    server.script(reset_after_reading(), respond(409))
    client = Client(server)
    with pytest.raises(exceptions.HTTPConflict) as caught:
        client.conn.request("PUT", "/books/1", data=BODY)
    assert caught.value.attempts == server.count() == 2


def test_a_conflict_is_at_first_when_nothing_was_sent_before(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    # What failed in the handshake was never sent: no earlier attempt can be in the server's hands.
    tls_server.script(close_in_handshake(), respond(409))
    client = Client(tls_server, ca)
    with pytest.raises(exceptions.HTTPConflict):
        client.conn.request("POST", "/books", data=BODY, idempotency_key="k")
    assert keys(tls_server) == ["k"]


# --- an outcome that became unknown stays so ------------------------------------------------------


def test_an_outcome_stays_unknown_when_later_attempts_are_refused(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    # The first attempt may have been processed, whatever became of the others.
    tls_server.script(reset_after_reading())
    client = Client(tls_server, ca)
    client.clock.at_next_sleep(tls_server.stop)
    with pytest.raises(exceptions.ConnectError) as caught:
        client.conn.request("PUT", "/books/1", data=BODY)
    assert tls_server.count() == 1
    assert caught.value.attempts == 3
    assert caught.value.outcome_unknown
    assert "outcome unknown" in str(caught.value)


def test_an_outcome_stays_unknown_when_later_attempts_are_answered_with_503(
    server: ScriptedServer,
) -> None:
    server.script(reset_after_reading(), respond(503), respond(503))
    client = Client(server)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        client.conn.request("POST", "/books", data=BODY, idempotency_key="k")
    assert server.count() == 3
    assert caught.value.outcome_unknown
    assert "outcome unknown" in str(caught.value)


def test_an_outcome_stays_unknown_when_the_deadline_passes_before_the_next_attempt(
    server: ScriptedServer,
) -> None:
    server.script(reset_after_reading())
    client = Client(server)
    client.clock.at_next_sleep(lambda: client.clock.jump(60.0))
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("PUT", "/books/1", data=BODY)
    assert server.count() == 1
    assert caught.value.attempts == 1
    assert caught.value.outcome_unknown


def test_an_outcome_stays_unknown_when_the_callers_auth_fails_before_the_next_attempt(
    server: ScriptedServer,
) -> None:
    server.script(reset_after_reading())
    tokens = iter([("first", 0.0)])
    client = Client(server, auth=BearerAuth(lambda: next(tokens)), allow_plaintext=True)
    with pytest.raises(exceptions.TokenError) as caught:
        client.conn.request("PUT", "/books/1", data=BODY)
    assert server.count() == 1
    assert caught.value.outcome_unknown


def test_an_answer_that_came_leaves_nothing_unknown(server: ScriptedServer) -> None:
    # 503, then refused: the server said that it did nothing, and was asked no more.
    server.script(respond(503))
    client = Client(server)
    client.clock.at_next_sleep(server.stop)
    with pytest.raises(exceptions.ConnectError) as caught:
        client.conn.request("PUT", "/books/1", data=BODY)
    assert server.count() == 1
    assert not caught.value.outcome_unknown


# --- one layer, and no hidden retries -------------------------------------------------------------


def test_exactly_one_layer_retries(server: ScriptedServer) -> None:
    server.default = close_without_answer()
    client = Client(server, policy=Policy(attempts=4))
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("GET", "/books")
    assert caught.value.attempts == server.count() == len(server.connections) == 4
    assert client.wire_attempts == 4


def test_a_policy_of_one_attempt_sends_once(server: ScriptedServer) -> None:
    server.default = close_without_answer()
    client = Client(server, policy=Policy(attempts=1))
    with pytest.raises(exceptions.ProtocolError):
        client.conn.request("GET", "/books")
    assert server.count() == len(server.connections) == 1
    assert client.retries == {}


def test_connecting_is_not_tried_more_often_than_attempts_allow(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = close_in_handshake()
    with pytest.raises(exceptions.TLSError):
        Client(tls_server, ca).conn.request("GET", "/books")
    assert len(tls_server.connections) == 3


def test_a_socket_that_the_server_closed_while_idle_costs_no_attempt(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    client = Client(tls_server, ca)
    client.conn.request("GET", "/books")
    tls_server.restart()
    client.conn.request("POST", "/books", data=BODY)
    assert lines(tls_server) == ["GET /books", "POST /books"]
    assert client.wire_attempts == 2
    assert client.retries == {}


def test_a_post_on_a_pooled_socket_that_dies_is_not_sent_again(server: ScriptedServer) -> None:
    client = Client(server)
    client.conn.request("GET", "/books")
    server.script(reset_before_reading())
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("POST", "/books", data=BODY)
    assert caught.value.attempts == 1
    assert caught.value.outcome_unknown
    assert server.count(method="POST") == 0
    assert len(server.connections) == 1


def test_a_get_on_a_pooled_socket_that_dies_is_one_attempt_that_shows(
    server: ScriptedServer,
) -> None:
    client = Client(server)
    client.conn.request("GET", "/books")
    server.script(reset_before_reading())
    client.conn.request("GET", "/books")
    assert client.retries == {"protocol": 1}
    assert client.wire_attempts == 3
    assert len(server.connections) == 2


def test_retries_on_a_lost_connection_open_one_new_socket_each(server: ScriptedServer) -> None:
    server.script(reset_after_reading(), reset_after_reading())
    Client(server).conn.request("GET", "/books")
    assert [record.requests for record in server.connections] == [1, 1, 1]


def test_retries_after_a_status_use_the_same_socket(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(respond(503, body=b"x" * 100_000), respond(500))
    Client(tls_server, ca).conn.request("GET", "/books")
    assert [record.requests for record in tls_server.connections] == [3]


def test_an_auth_callable_signs_every_attempt_anew(server: ScriptedServer) -> None:
    server.script(reset_after_reading(), respond(503))
    numbers = iter("123")

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        number = next(numbers)
        assert isinstance(request.body, bytes)
        request.url = f"{request.url}?signature={number}"
        request.headers["X-Signature"] = number
        request.body = number.encode() + request.body
        request.prepare_content_length(request.body)
        return request

    Client(server).conn.request("PUT", "/books/1", data=BODY, auth=sign)
    # Nothing of an attempt's signature is left in the next one.
    assert lines(server) == [f"PUT /books/1?signature={n}" for n in "123"]
    assert bodies(server) == [n.encode() + BODY for n in "123"]
    assert [request.headers.get_all("X-Signature") for request in server.requests] == [
        ["1"],
        ["2"],
        ["3"],
    ]


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_interim_answer_is_not_the_answer(server: ScriptedServer, status: int) -> None:
    server.script(
        informational(status) + respond(503),
        informational(status) + informational(status) + respond(200, json=1),
        respond(200, json=2),
    )
    client = Client(server)
    assert client.conn.json_request("GET", "/1") == 1
    assert client.conn.json_request("GET", "/2") == 2
    assert lines(server) == ["GET /1", "GET /1", "GET /2"]


def test_a_mounted_adapter_counts_as_maybe_sent(server: ScriptedServer) -> None:
    # Only our own sockets know that nothing was written.
    client = Client(server)

    class Broken(HTTPAdapter):
        asked = 0

        def send(self, *_: Any, **__: Any) -> requests.Response:
            Broken.asked += 1
            raise requests.ConnectionError("who knows")

    client.conn.session.mount("http://", Broken())
    with pytest.raises(exceptions.TransportError) as caught:
        client.conn.request("POST", "/books", data=BODY)
    assert Broken.asked == 1
    assert caught.value.outcome_unknown
    with pytest.raises(exceptions.TransportError):
        client.conn.request("PUT", "/books/1", data=BODY)
    assert Broken.asked == 4


# --- replays that are no retries: 401 was not processed -------------------------------------------


def test_a_post_refused_for_its_token_is_sent_again_once_with_a_new_one(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    guard = RequireBearer("new")
    tls_server.default = guard
    tokens = iter(["old", "new"])
    client = Client(tls_server, ca, auth=BearerAuth(lambda: next(tokens)))
    client.conn.request("POST", "/books", data=BODY)
    assert guard.seen == ["Bearer old", "Bearer new"]
    assert bodies(tls_server) == [BODY, BODY]
    assert client.retries == {"auth": 1}
    assert client.resend_counts() == [None, 1]
    assert client.slept == []


def test_a_post_lost_after_its_token_was_renewed_is_not_sent_a_third_time(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(respond(401), reset_after_reading())
    tokens = iter(["old", "new"])
    client = Client(tls_server, ca, auth=BearerAuth(lambda: next(tokens)))
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("POST", "/books", data=BODY)
    assert caught.value.outcome_unknown
    assert caught.value.attempts == tls_server.count() == 2


def test_a_conflict_after_a_renewed_token_is_at_first(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.script(respond(401), respond(409))
    tokens = iter(["old", "new"])
    client = Client(tls_server, ca, auth=BearerAuth(lambda: next(tokens)))
    with pytest.raises(exceptions.HTTPConflict):
        client.conn.request("POST", "/books", data=BODY, idempotency_key="k")
    assert keys(tls_server) == ["k", "k"]


def test_a_digest_dance_sends_the_body_again_and_counts_as_no_retry_of_a_failure(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = RequireDigest("reader", "secret")
    client = Client(tls_server, ca, auth=HTTPDigestAuth("reader", "secret"))
    client.conn.request("POST", "/books", data=BODY)
    assert bodies(tls_server) == [BODY, BODY]
    assert client.retries == {"auth": 1}
    assert client.resend_counts() == [None, 1]


def test_a_post_lost_in_a_digest_replay_is_not_sent_again(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = RequireDigest("reader", "secret", then=reset_after_reading())
    client = Client(tls_server, ca, auth=HTTPDigestAuth("reader", "secret"))
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("POST", "/books", data=BODY)
    assert tls_server.count() == 2
    assert caught.value.attempts == 2
    assert caught.value.outcome_unknown


def test_a_get_lost_in_a_digest_replay_goes_again_with_credentials(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    lost = iter([reset_after_reading()])

    def answer(_: Request) -> Action:
        return next(lost, respond(200, json="in"))

    tls_server.default = RequireDigest("reader", "secret", then=answer)
    client = Client(tls_server, ca, auth=HTTPDigestAuth("reader", "secret"))
    assert client.conn.json_request("GET", "/books") == "in"
    assert client.retries["protocol"] == 1
    assert client.wire_attempts == tls_server.count()


# --- under load: no write twice -------------------------------------------------------------------


class Ledger:
    """A server's books: what each key or title was written, processed and then maybe lost."""

    def __init__(self, pattern: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._pattern = pattern
        self._turn = 0
        self.written: dict[str, int] = {}

    def __call__(self, request: Request) -> Action:
        """Write it down, unless its key was seen, and answer as the pattern says."""
        with self._lock:
            what = self._pattern[self._turn % len(self._pattern)]
            self._turn += 1
            if what == "503":
                return respond(503)
            name = request.text
            key = request.headers.get("Idempotency-Key")
            if key is None or name not in self.written:
                self.written[name] = self.written.get(name, 0) + 1
        return {"ok": respond(201), "lost": reset_after_reading()}[what]


def test_writes_of_many_threads_are_made_once_each_or_reported(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    ledger = Ledger(("ok", "lost", "503", "ok", "lost"))
    server = make_server(ledger, tls=True)
    client = Client(server, ca, policy=Policy(breaker=None))
    reported: dict[str, exceptions.SleepwalkerException] = {}
    lock = threading.Lock()

    def write(number: int) -> None:
        for turn in range(10):
            name = f"{number}-{turn}"
            try:
                client.conn.request("POST", "/books", data=name.encode())
            except exceptions.SleepwalkerException as error:
                with lock:
                    reported[name] = error

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(ledger.written.values()) == {1}
    assert server.count() == 80
    unknown = {name for name, error in reported.items() if error.outcome_unknown}
    refused = reported.keys() - unknown
    assert len(unknown) == 32
    assert len(refused) == 16
    assert refused.isdisjoint(ledger.written)
    assert len(ledger.written) == 64
    assert client.in_flight == 0


def test_keyed_writes_of_many_threads_are_all_made_once(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    ledger = Ledger(("ok", "lost", "503", "ok", "lost"))
    server = make_server(ledger, tls=True)
    client = Client(server, ca, policy=Policy(attempts=50, breaker=None, quota=None))

    def write(number: int) -> None:
        for turn in range(10):
            body = f"{number}-{turn}".encode()
            client.conn.request("POST", "/books", data=body, idempotency_key=True)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.written) == 80
    assert set(ledger.written.values()) == {1}
    by_body: dict[bytes, set[str | None]] = {}
    for request in server.requests:
        by_body.setdefault(request.body, set()).add(request.headers.get("Idempotency-Key"))
    assert all(len(used) == 1 for used in by_body.values())
    assert client.wire_attempts == server.count()


# --- HTTP/1.1 as it is ----------------------------------------------------------------------------


def test_a_name_that_does_not_resolve_is_retried_and_never_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def unresolvable(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unresolvable)
    client = Client("https://books.test")
    with pytest.raises(exceptions.ConnectError) as caught:
        client.conn.request("POST", "/books", data=BODY)
    assert asked == ["books.test"] * 3
    assert not caught.value.outcome_unknown
    assert client.retries == {"connect": 2}
