"""One total deadline a call: what it bounds, what it leaves alone, and what its error says.

Real stalls are bounded by fractions of a second; all else runs on a clock that skips its waits.
"""

from __future__ import annotations

import contextvars
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from requests.auth import HTTPDigestAuth

import sleepwalker
from sleepwalker import ANONYMOUS, Backoff, BearerAuth, Connection, Policy, exceptions
from sleepwalker.testing import no_wait
from tests.integration.retrying import Client, Clock, Frozen, lines
from tests.servers import (
    Action,
    Answer,
    CertificateAuthority,
    ForwardProxy,
    Request,
    RequireDigest,
    ScriptedServer,
    close_in_handshake,
    raw,
    redirect,
    reset_after_reading,
    respond,
    stall,
    stall_handshake,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OVERSHOOT: Final = 0.5
"""Seconds that a busy machine may add."""


def frozen_client(server: ScriptedServer, **options: Any) -> tuple[Client, Frozen]:
    """A client on a clock that stands still between its waits."""
    clock = Frozen()
    return Client(server, clock=clock, **options), clock


def taking(clock: Clock, seconds: float, answer: Action) -> Callable[[Request], Action]:
    """An answer that takes so many seconds of the client's clock."""

    def handler(_: Request) -> Action:
        clock.jump(seconds)
        return answer

    return handler


def told(error: BaseException) -> str:
    """What a traceback shows of an error."""
    return " ".join([str(error), *getattr(error, "__notes__", [])])


# --- between attempts -----------------------------------------------------------------------------


def test_no_wait_passes_the_deadline(server: ScriptedServer) -> None:
    server.default = respond(503)
    policy = Policy(attempts=100, deadline=1.0, backoff=Backoff(base=0.25))
    client, clock = frozen_client(server, policy=policy, random=1.0)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        client.conn.request("GET", "/")
    # 0.25 + 0.5 are waited; another second would pass it, so the answer is given back now.
    assert clock.slept == [0.25, 0.5]
    assert caught.value.attempts == server.count() == 3
    assert caught.value.elapsed == 0.75


def test_attempts_end_with_the_deadline_however_many_are_allowed(server: ScriptedServer) -> None:
    policy = Policy(attempts=1000, deadline=30.0, backoff=None)
    client, clock = frozen_client(server, policy=policy)
    server.default = taking(clock, 4.0, reset_after_reading())
    with pytest.raises(exceptions.ConnectionError) as caught:
        client.conn.request("GET", "/")
    assert caught.value.attempts == server.count() == 8
    assert caught.value.elapsed == 32.0
    assert "deadline" in told(caught.value)


def test_no_attempt_starts_with_under_ten_milliseconds_left(server: ScriptedServer) -> None:
    client, _ = frozen_client(server)
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("GET", "/", deadline=0.0099)
    assert caught.value.attempts == 0
    assert server.connections == []
    assert client.outcomes == {"timeout": 1}


def test_no_wait_leaves_under_ten_milliseconds_for_the_attempt(server: ScriptedServer) -> None:
    server.default = respond(500)
    for base, times in [(0.985, 2), (0.995, 1)]:
        policy = Policy(attempts=2, deadline=1.0, backoff=Backoff(base=base))
        client, clock = frozen_client(server, policy=policy, random=1.0)
        before = server.count()
        # What is left is the attempt's connect timeout too: nothing hangs on the answer coming.
        with pytest.raises(exceptions.SleepwalkerException) as caught:
            client.conn.request("GET", "/")
        assert caught.value.attempts == times
        assert server.count() <= before + times
        assert clock.slept == [base][: times - 1]


def test_a_retry_after_that_leaves_no_time_for_the_attempt_is_not_waited_for(
    server: ScriptedServer,
) -> None:
    server.default = respond(503, {"Retry-After": "1"})
    client, clock = frozen_client(server)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        client.conn.request("GET", "/", deadline=1.0)
    assert caught.value.retry_after == 1.0
    assert server.count() == 1
    assert clock.slept == []


def test_a_failure_that_the_deadline_leaves_no_time_to_repeat_says_so(
    server: ScriptedServer,
) -> None:
    server.default = reset_after_reading()
    policy = Policy(deadline=0.5, backoff=Backoff(base=1.0))
    client, _ = frozen_client(server, policy=policy, random=1.0)
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("PUT", "/", data=b"x")
    assert server.count() == 1
    assert caught.value.outcome_unknown
    assert "deadline" in told(caught.value)


def test_a_sleep_that_overslept_starts_no_attempt(server: ScriptedServer) -> None:
    server.default = respond(503)
    client = Client(server)
    client.clock.at_next_sleep(lambda: client.clock.jump(40.0))
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("GET", "/")
    assert caught.value.attempts == server.count() == 1
    assert caught.value.elapsed is not None
    assert caught.value.elapsed >= 40.0


def test_raise_for_status_false_gives_the_answer_that_there_is_no_time_to_improve(
    server: ScriptedServer,
) -> None:
    server.default = respond(503, json="busy")
    client, _ = frozen_client(server, policy=Policy(backoff=Backoff(base=5.0)), random=1.0)
    response = client.conn.request("GET", "/", deadline=4.0, raise_for_status=False)
    assert response.json() == "busy"
    assert server.count() == 1


# --- whose deadline -------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "count"), [(None, 1), (10.0, 1), (50.0, 2), (50, 2)])
def test_a_calls_deadline_wins_over_its_policys(
    server: ScriptedServer, own: float | None, count: int
) -> None:
    server.script(respond(503, {"Retry-After": "40"}))
    client, _ = frozen_client(server)
    response = client.conn.request("GET", "/", deadline=own, raise_for_status=False)
    assert server.count() == count
    assert response.status_code == (503 if count == 1 else 200)


def test_without_a_deadline_any_wait_is_waited(server: ScriptedServer) -> None:
    server.script(*[respond(503, {"Retry-After": "60"})] * 50)
    client, clock = frozen_client(server, policy=Policy(attempts=51, deadline=None))
    client.conn.request("GET", "/")
    assert sum(clock.slept) == 3000.0


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "1", True])
def test_a_deadline_that_is_none_is_refused_before_anything_is_sent(
    server: ScriptedServer, value: Any
) -> None:
    client = Client(server)
    with pytest.raises(ValueError, match="deadline"):
        client.conn.request("GET", "/", deadline=value)
    with pytest.raises(ValueError, match="deadline"), sleepwalker.deadline(value):
        pass
    assert server.connections == []


def silent(url: str, policy: Policy | None = None) -> Connection:
    """A connection on the system's clock, which `no_wait` skips, and the blocks go by."""
    return Connection(
        url, ANONYMOUS, policy=policy, registry=False, tracer_provider=False, logger=False
    )


@pytest.mark.parametrize(
    ("outer", "inner", "call", "passes"),
    [
        (5.0, 60.0, None, False),
        (60.0, 5.0, None, False),
        (60.0, 60.0, 5.0, False),
        (5.0, 60.0, 60.0, False),
        (60.0, 60.0, None, True),
        (60.0, 60.0, 60.0, True),
    ],
)
def test_deadlines_nest_and_an_inner_one_never_lengthens(
    server: ScriptedServer, outer: float, inner: float, call: float | None, *, passes: bool
) -> None:
    server.script(respond(503, {"Retry-After": "20"}))
    conn = silent(server.url)
    with no_wait(), sleepwalker.deadline(outer), sleepwalker.deadline(inner):
        response = conn.request("GET", "/", deadline=call, raise_for_status=False)
    assert response.status_code == (200 if passes else 503)


def test_a_block_bounds_all_calls_in_it_together_and_none_after_it(
    server: ScriptedServer,
) -> None:
    server.default = respond(503, {"Retry-After": "4"})
    conn = silent(server.url, Policy(attempts=2))
    with no_wait() as clock:
        with sleepwalker.deadline(10.0):
            for _ in range(3):
                with pytest.raises(exceptions.HTTPServiceUnavailable):
                    conn.request("GET", "/")
        # Two waits of 4 s fit into the 10 s; a third would not.
        assert clock.slept == [4.0, 4.0]
        with pytest.raises(exceptions.HTTPServiceUnavailable):
            conn.request("GET", "/")
        assert clock.slept == [4.0, 4.0, 4.0]
    assert server.count() == 2 + 2 + 1 + 2


def test_a_block_whose_time_is_over_sends_nothing(server: ScriptedServer) -> None:
    conn = silent(server.url)
    with no_wait() as clock, sleepwalker.deadline(5.0):
        clock.sleep(6.0)
        with pytest.raises(exceptions.DeadlineExceeded) as caught:
            conn.request("GET", "/", deadline=60.0)
    assert caught.value.attempts == 0
    assert "5 s" in str(caught.value)
    assert server.connections == []


def test_a_block_belongs_to_its_thread_and_goes_along_with_its_context(
    server: ScriptedServer,
) -> None:
    conn = silent(server.url)
    statuses: dict[str, int] = {}

    def call(name: str) -> None:
        server.script(respond(503, {"Retry-After": "20"}))
        statuses[name] = conn.request("GET", "/", raise_for_status=False).status_code

    with no_wait(), sleepwalker.deadline(5.0):
        # In this order: the plain one waits, and a skipped wait is later for everyone.
        within = threading.Thread(target=contextvars.copy_context().run, args=(call, "within"))
        within.start()
        within.join()
        plain = threading.Thread(target=call, args=("plain",))
        plain.start()
        plain.join()
    assert statuses == {"within": 503, "plain": 200}


def test_a_block_without_a_policys_deadline_bounds_too(server: ScriptedServer) -> None:
    server.default = respond(503, {"Retry-After": "20"})
    conn = silent(server.url, Policy(deadline=None))
    with no_wait() as clock:
        with sleepwalker.deadline(5.0), pytest.raises(exceptions.HTTPServiceUnavailable):
            conn.request("GET", "/")
        assert clock.slept == []


# --- what it covers -------------------------------------------------------------------------------


def test_redirects_are_under_the_calls_deadline(server: ScriptedServer) -> None:
    client, clock = frozen_client(server)
    server.default = taking(clock, 12.0, redirect(302, "/next"))
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("GET", "/")
    assert caught.value.attempts == server.count() == 3


def test_a_renewed_tokens_attempt_is_under_the_calls_deadline(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    clock = Frozen()
    tokens = iter(["old", "new"])
    client = Client(tls_server, ca, auth=BearerAuth(lambda: next(tokens)), clock=clock)
    tls_server.default = taking(clock, 31.0, respond(401))
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("POST", "/", data=b"x")
    assert caught.value.attempts == tls_server.count() == 1


def test_a_digest_replay_is_under_the_calls_deadline(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    clock = Frozen()
    client = Client(tls_server, ca, auth=HTTPDigestAuth("reader", "secret"), clock=clock)
    challenge = RequireDigest("reader", "secret")

    def slow(request: Request) -> Action:
        clock.jump(31.0)
        return challenge(request)

    tls_server.default = slow
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("GET", "/")
    assert tls_server.count() == 1
    assert caught.value.attempts == 1


def test_calls_of_an_auth_callable_are_under_the_outer_calls_deadline(
    server: ScriptedServer,
) -> None:
    server.default = lambda request: (
        respond(503, {"Retry-After": "20"}) if request.path == "/login" else respond(200)
    )
    client, clock = frozen_client(server)

    def auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        client.conn.request("GET", "/login", auth=ANONYMOUS, deadline=60.0)
        return request

    with pytest.raises(exceptions.HTTPServiceUnavailable):
        client.conn.request("GET", "/", auth=auth, deadline=10.0)
    assert lines(server) == ["GET /login"]
    assert clock.slept == []


# --- real stalls ----------------------------------------------------------------------------------


def test_an_attempt_gets_no_more_time_than_the_deadline_leaves(server: ScriptedServer) -> None:
    server.default = stall()
    client = Client(server, clock=None)
    before = time.monotonic()
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("POST", "/books", data=b"x", deadline=0.3)
    took = time.monotonic() - before
    assert 0.29 <= took < 0.3 + OVERSHOOT
    assert caught.value.attempts == server.count() == 1
    assert caught.value.outcome_unknown
    assert "deadline of 0.3 s" in str(caught.value)
    assert "deadline=" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, requests.Timeout)
    assert caught.value.request.url == f"{server.url}/books"
    assert client.outcomes == {"timeout": 1}


@pytest.mark.parametrize("where", ["handshake", "CONNECT"])
def test_connecting_gets_no_more_time_than_the_deadline_leaves(
    tls_server: ScriptedServer, ca: CertificateAuthority, proxy: ForwardProxy, where: str
) -> None:
    client = Client(tls_server, ca)
    if where == "CONNECT":
        proxy.default = stall()
        client.conn.session.proxies = {"https": proxy.url}
    else:
        tls_server.default = stall_handshake()
    before = time.monotonic()
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("POST", "/", data=b"x", deadline=0.3)
    assert 0.29 <= time.monotonic() - before < 0.3 + OVERSHOOT
    assert not caught.value.outcome_unknown
    assert caught.value.attempts == 1
    assert tls_server.count() == 0


def test_a_later_attempt_gets_what_is_left_and_its_own_timeout_at_most(
    server: ScriptedServer,
) -> None:
    server.default = stall()
    client = Client(server, policy=Policy(attempts=10, backoff=None))
    before = time.monotonic()
    with pytest.raises(exceptions.DeadlineExceeded) as caught:
        client.conn.request("GET", "/", timeout=0.25, deadline=0.4)
    assert 0.39 <= time.monotonic() - before < 0.4 + OVERSHOOT
    assert caught.value.attempts == server.count() == 2


def test_a_read_timeout_that_fires_first_is_named_and_retried(server: ScriptedServer) -> None:
    server.script(stall())
    client = Client(server, timeout=(1.0, 0.2))
    assert client.conn.request("GET", "/", deadline=20.0).status_code == 200
    assert client.retries == {"timeout": 1}
    server.default = stall()
    with pytest.raises(exceptions.ReadTimeout) as caught:
        client.conn.request("POST", "/", data=b"x")
    assert "read timeout of 0.2 s (timeout= of the connection)" in str(caught.value)
    with pytest.raises(exceptions.ReadTimeout) as named:
        client.conn.request("POST", "/", data=b"x", timeout=(1.0, 0.1))
    assert "read timeout of 0.1 s (timeout= of the call)" in str(named.value)


def test_the_policys_timeouts_are_each_attempts_own(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    policy = Policy(attempts=2, connect_timeout=1.0, read_timeout=0.2)
    client = Client(tls_server, ca, policy=policy)
    tls_server.default = stall()
    before = time.monotonic()
    with pytest.raises(exceptions.ReadTimeout) as caught:
        client.conn.request("GET", "/")
    # Two attempts of 0.2 s each: none is halved, none is added.
    assert 0.39 <= time.monotonic() - before < 0.4 + OVERSHOOT
    assert caught.value.attempts == 2
    assert "read_timeout of the policy" in str(caught.value)


def test_a_connect_timeout_is_named(tls_server: ScriptedServer, ca: CertificateAuthority) -> None:
    tls_server.default = stall_handshake()
    policy = Policy(attempts=1, connect_timeout=0.2)
    with pytest.raises(exceptions.ConnectTimeout) as caught:
        Client(tls_server, ca, policy=policy).conn.request("POST", "/", data=b"x")
    assert "connect timeout of 0.2 s (connect_timeout of the policy)" in str(caught.value)
    assert "Policy(connect_timeout=...)" in str(caught.value)


def test_the_time_of_an_outer_block_bounds_a_real_stall(server: ScriptedServer) -> None:
    server.default = stall()
    client = Client(server)
    before = time.monotonic()
    with pytest.raises(exceptions.DeadlineExceeded) as raised, sleepwalker.deadline(0.3):
        client.conn.request("GET", "/", deadline=10.0, timeout=10.0)
    assert 0.29 <= time.monotonic() - before < 0.3 + OVERSHOOT
    assert (
        "the total deadline of 0.3 s has passed; change it with the sleepwalker.deadline(...) "
        "around it" in str(raised.value)
    )


def test_a_calls_own_deadline_is_named_where_it_ends_before_the_blocks(
    server: ScriptedServer,
) -> None:
    server.default = stall()
    client = Client(server)
    with pytest.raises(exceptions.DeadlineExceeded) as raised, sleepwalker.deadline(10.0):
        client.conn.request("GET", "/", deadline=0.2)
    assert "of 0.2 s has passed; change it with deadline= or Policy(deadline=...)" in str(
        raised.value
    )


# --- streamed answers -----------------------------------------------------------------------------


def halves(go_on: threading.Event) -> Answer:
    """An answer whose second half comes when it is let."""
    head = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    return head + stall(go_on) + raw(b"half")


def test_a_streamed_body_is_not_under_the_policys_deadline(server: ScriptedServer) -> None:
    go_on = threading.Event()
    server.default = halves(go_on)
    client = Client(server, policy=Policy(deadline=0.3, read_timeout=10.0))
    with client.conn.request("GET", "/", stream=True) as response:
        later = threading.Timer(0.5, go_on.set)
        later.start()
        assert response.content == b"halfhalf"
        later.join()


def test_a_streamed_body_that_stalls_ends_with_its_read_timeout(server: ScriptedServer) -> None:
    server.default = halves(threading.Event())
    client = Client(server)
    with (
        client.conn.request("GET", "/", stream=True, timeout=(1.0, 0.2)) as response,
        pytest.raises(exceptions.ReadTimeout, match=r"read timeout of 0\.2 s"),
    ):
        list(response.iter_content(4))
    assert server.count() == 1
    assert client.retries == {}


def test_never_sent_and_out_of_time_is_known(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = close_in_handshake()
    client = Client(tls_server, ca, policy=Policy(attempts=50, deadline=5.0), random=1.0)
    with pytest.raises(exceptions.ConnectionError) as caught:
        client.conn.request("POST", "/", data=b"x")
    assert not caught.value.outcome_unknown
    assert sum(client.slept) < 5.0
    assert tls_server.count() == 0
