"""Quota, breaker and limit around real calls: what they refuse, what they learn, who shares them.

Rule 1: what was sent is counted by the server; a refusal leaves its count as it was.
"""

from __future__ import annotations

import contextvars
import pickle
import re
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import sleepwalker
from sleepwalker import (
    ANONYMOUS,
    AdaptiveLimit,
    BearerAuth,
    Breaker,
    CertificateError,
    CircuitOpenError,
    ConcurrencyLimitError,
    Connection,
    ConnectionError,
    ConnectionHook,
    ConnectionManager,
    DeadlineExceeded,
    DirectHook,
    EstablishmentError,
    HTTPNotFound,
    HTTPServiceUnavailable,
    HTTPTooManyRequests,
    HTTPUnauthorized,
    Limit,
    Policy,
    Quota,
    Redaction,
    RedirectError,
    RefusedError,
    SleepwalkerException,
)
from sleepwalker.observability.events import BreakerChanged, RequestFinished, RetryQuotaChanged
from sleepwalker.resilience.hosts import HostStates
from sleepwalker.testing import RecordingObserver
from tests.integration.retrying import Client, Clock
from tests.interrupting import Interrupter
from tests.servers import redirect, refused_port, reset_after_reading, respond, stall

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import CertificateAuthority, MakeServer, Request, ScriptedServer
    from tests.servers.actions import Action

ONCE = Policy(attempts=1)
NO_BREAKER = Policy(breaker=None)
QUICK = Breaker(calls=4, open_for=5.0)
"""Opens at the second of four calls that fails."""


def fails(client: Client, times: int = 1, policy: Policy | None = None) -> list[Any]:
    """Make calls that must fail, and give their errors."""
    errors = []
    for _ in range(times):
        with pytest.raises(HTTPServiceUnavailable) as caught:
            client.conn.request("GET", "/", policy=policy)
        errors.append(caught.value)
    return errors


def opened(client: Client) -> Client:
    """Have the client's breaker opened, by calls to a server that answers 503."""
    fails(client, 4, replace(client.conn.policy, attempts=1))
    return client


# The retry quota


def test_a_total_outage_gets_35_retries_and_no_more(server: ScriptedServer) -> None:
    server.default = respond(503)

    with Client(server, policy=NO_BREAKER) as client:
        errors = fails(client, 100)

    assert server.count() == 135
    assert [error.attempts for error in errors] == [3] * 17 + [2] + [1] * 82
    assert {error.not_retried for error in errors[:17]} == {"exhausted"}
    assert {error.not_retried for error in errors[17:]} == {"retry quota"}
    assert client.outcomes == {"exhausted": 17, "error": 83}


def test_an_error_that_the_quota_made_final_says_so_and_keeps_it_in_a_pickle(
    server: ScriptedServer,
) -> None:
    server.default = respond(503)
    small = Policy(quota=Quota(tokens=14), breaker=None)

    with Client(server, policy=small) as client:
        [error] = fails(client)

    assert error.attempts == 2
    assert any("retry quota of this host is used up" in note for note in error.__notes__)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    assert again.not_retried == "retry quota"


def test_a_retry_after_being_throttled_costs_less(server: ScriptedServer) -> None:
    server.default = respond(429)

    with Client(server, policy=NO_BREAKER) as client:
        for _ in range(60):
            with pytest.raises(HTTPTooManyRequests):
                client.conn.request("GET", "/")

    assert server.count() == 60 + 100


def test_a_retry_that_succeeds_has_its_cost_back_and_a_clean_success_earns_one(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), respond(503), respond(200), respond(200), respond(200))

    with Client(server) as client:
        client.conn.request("GET", "/")
        client.conn.request("GET", "/")
        client.conn.request("GET", "/")

    told = [event.tokens for event in client.told.all(RetryQuotaChanged)]
    assert told == [486, 472, 486, 487, 488]


def test_a_full_quota_is_not_told_of(server: ScriptedServer) -> None:
    with Client(server) as client:
        client.conn.request("GET", "/")

    assert client.told.all(RetryQuotaChanged) == []


def test_without_a_quota_every_call_is_retried(server: ScriptedServer) -> None:
    server.default = respond(503)

    with Client(server, policy=Policy(quota=None, breaker=None)) as client:
        fails(client, 40)

    assert server.count() == 120


def test_a_renewed_token_costs_nothing(server: ScriptedServer) -> None:
    server.script(respond(401), respond(200))
    tokens = iter(["first-token", "second-token"])

    with Client(server, auth=BearerAuth(lambda: next(tokens)), allow_plaintext=True) as client:
        client.conn.request("GET", "/")

    assert server.count() == 2
    assert client.told.all(RetryQuotaChanged) == []


# The circuit breaker


def test_a_host_that_fails_is_left_alone_and_then_probed(server: ScriptedServer) -> None:
    server.default = respond(503)

    with opened(Client(server, policy=Policy(breaker=QUICK), random=0.5)) as client:
        with pytest.raises(CircuitOpenError) as caught:
            client.conn.request("GET", "/secret-path")
        assert server.count() == 4
        assert caught.value.attempts == 0
        assert 0 < (caught.value.retry_after or 0) <= 5.0
        assert isinstance(caught.value, RefusedError)
        assert f"GET {server.url}/secret-path: {server.url} fails too often" in str(caught.value)

        client.clock.jump(5.1)
        server.default = respond(200)
        client.conn.request("GET", "/")
        client.conn.request("GET", "/")

    assert server.count() == 6
    assert [event.state for event in client.told.all(BreakerChanged)] == [
        "open",
        "half-open",
        "closed",
    ]
    assert client.outcomes == {"error": 4, "refused": 1, "success": 2}


def test_a_probe_that_fails_opens_it_again(server: ScriptedServer) -> None:
    server.default = respond(503)

    with opened(Client(server, policy=Policy(attempts=1, breaker=QUICK))) as client:
        client.clock.jump(6.1)
        fails(client)
        with pytest.raises(CircuitOpenError):
            client.conn.request("GET", "/")

    assert server.count() == 5


def test_a_probe_that_is_not_found_closes_it(server: ScriptedServer) -> None:
    server.default = respond(503)

    with opened(Client(server, policy=Policy(breaker=QUICK))) as client:
        client.clock.jump(6.1)
        server.default = respond(404)
        for _ in range(20):
            with pytest.raises(HTTPNotFound):
                client.conn.request("GET", "/")

    assert server.count() == 24


def test_refused_connections_open_it_too() -> None:
    with refused_port() as port:
        policy = Policy(attempts=1, breaker=QUICK)
        with Client(f"http://127.0.0.1:{port}", policy=policy) as client:
            for _ in range(4):
                with pytest.raises(ConnectionError, match="refused"):
                    client.conn.request("POST", "/")
            with pytest.raises(CircuitOpenError):
                client.conn.request("POST", "/")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 425, 429])
def test_what_is_the_requests_fault_never_opens_it(server: ScriptedServer, status: int) -> None:
    server.default = respond(status)

    with Client(server, policy=Policy(attempts=1, breaker=QUICK)) as client:
        for _ in range(10):
            client.conn.request("GET", "/", raise_for_status=False)

    assert server.count() == 10


def test_a_retry_that_the_breaker_forbids_leaves_the_failure_before_it(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), respond(503), respond(503), respond(503, json={"no": 4}))

    with (
        Client(server, policy=Policy(attempts=5, breaker=QUICK)) as client,
        pytest.raises(HTTPServiceUnavailable) as caught,
    ):
        client.conn.request("GET", "/")

    assert server.count() == 4
    assert caught.value.attempts == 4
    assert caught.value.json_data == {"no": 4}
    assert caught.value.not_retried == "circuit open"
    assert any("circuit of this host is open" in note for note in caught.value.__notes__)
    assert client.slept == [0.0, 0.0, 0.0]


def test_a_retry_whose_breaker_opened_while_it_waited_leaves_the_failure_before_it(
    server: ScriptedServer,
) -> None:
    server.default = respond(503)
    policy = Policy(attempts=2, breaker=QUICK)

    with Client(server, policy=policy) as client:
        client.clock.at_next_sleep(lambda: fails(client, 3, replace(policy, attempts=1)))
        with pytest.raises(HTTPServiceUnavailable) as caught:
            client.conn.request("GET", "/")

        assert "quota 500/500 tokens" in repr(client.conn)

    assert server.count() == 4
    assert caught.value.attempts == 1
    assert caught.value.not_retried == "circuit open"
    assert [event.tokens for event in client.told.all(RetryQuotaChanged)] == [486, 500]


def test_a_streamed_failure_that_stands_in_the_end_has_its_body_still(
    server: ScriptedServer,
) -> None:
    server.default = respond(503, json={"why": "busy"})
    policy = Policy(attempts=2, breaker=QUICK)

    with Client(server, policy=policy) as client:
        client.clock.at_next_sleep(lambda: fails(client, 3, replace(policy, attempts=1)))
        with client.conn.request("GET", "/", stream=True, raise_for_status=False) as answer:
            assert answer.json() == {"why": "busy"}

    with Client(server, policy=policy) as client:
        client.clock.at_next_sleep(lambda: fails(client, 3, replace(policy, attempts=1)))
        with pytest.raises(HTTPServiceUnavailable) as caught:
            client.conn.request("GET", "/", stream=True)

    assert caught.value.not_retried == "circuit open"
    assert caught.value.json_data == {"why": "busy"}


def test_a_streamed_failure_is_let_go_of_once_its_retry_is_made(server: ScriptedServer) -> None:
    failed = respond(503, body=b"x" * 100_000)
    server.script(failed, failed, respond(200))

    with Client(server) as client, client.conn.request("GET", "/", stream=True):
        server.wait_for(
            lambda: [each.closed_by is None for each in server.connections] == [False, False, True]
        )


def test_a_retry_that_is_interrupted_while_it_waits_is_not_paid_for(
    server: ScriptedServer,
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    server.default = respond(503)
    with Client(server) as client:
        client.clock.at_next_sleep(interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.conn.request("GET", "/")
        assert "quota 500/500 tokens" in repr(client.conn)


def test_a_401_stands_when_what_follows_its_renewed_token_is_refused(
    server: ScriptedServer,
) -> None:
    def token() -> str:
        if server.count():
            for _ in range(4):
                client.conn.request(
                    "GET", "/", headers={"Authorization": "none"}, raise_for_status=False
                )
        return f"token-number-{server.count()}"

    server.default = respond(503)
    server.script(respond(401))
    policy = Policy(attempts=1, breaker=QUICK)
    auth = BearerAuth(token)

    with (
        Client(server, auth=auth, allow_plaintext=True, policy=policy) as client,
        pytest.raises(HTTPUnauthorized) as caught,
    ):
        client.conn.request("POST", "/")

    assert server.count() == 5
    assert caught.value.attempts == 1
    assert caught.value.not_retried == "circuit open"


def test_a_post_whose_retry_is_refused_still_has_an_unknown_outcome(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), respond(503), respond(503), reset_after_reading())
    policy = Policy(attempts=1, breaker=QUICK)

    with Client(server, policy=policy) as client:
        fails(client, 3)
        with pytest.raises(ConnectionError) as caught:
            client.conn.request(
                "POST", "/", policy=replace(policy, attempts=3), idempotency_key=True
            )

    assert caught.value.not_retried == "circuit open"
    assert caught.value.outcome_unknown
    assert not isinstance(caught.value, RefusedError)


def test_an_answer_is_given_all_the_same_where_no_error_was_wanted(server: ScriptedServer) -> None:
    server.default = respond(503)

    with Client(server, policy=Policy(attempts=9, breaker=QUICK)) as client:
        answer = client.conn.request("GET", "/", raise_for_status=False)

    assert answer.status_code == 503
    assert server.count() == 4


def test_a_redirect_goes_under_the_targets_own_breaker(make_server: MakeServer) -> None:
    first, second = make_server(), make_server()
    first.default, second.default = redirect(303, f"{second.url}/there"), respond(503)
    policy = Policy(attempts=1, breaker=QUICK)

    with Client(first, policy=policy) as client:
        fails(client, 4)
        with pytest.raises(RedirectError, match="circuit is open") as caught:
            client.conn.request("POST", "/", data=b"done")
        first.default = respond(200)
        client.conn.request("GET", "/")

    assert (first.count(), second.count()) == (6, 4)
    assert not isinstance(caught.value, RefusedError)
    assert caught.value.attempts == 1
    assert 0 < (caught.value.retry_after or 0) <= 6.0


def test_who_trusts_no_certificate_of_a_host_does_not_close_it_to_others(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = respond(200)
    policy = Policy(breaker=QUICK)
    with ConnectionManager(
        hooks=[DirectHook(verify=str(ca.bundle))], policy=policy, clock=Clock()
    ) as manager:
        suspicious = Connection(tls_server.url, ("user", "password"))
        manager.add(tls_server.url, ("user", "password"), suspicious)
        for _ in range(10):
            with pytest.raises(CertificateError):
                suspicious.request("GET", "/")
        manager.find(tls_server.url, ANONYMOUS).request("GET", "/")


def test_the_callers_own_errors_are_no_failures_of_the_host(server: ScriptedServer) -> None:
    def hook(response: Any, **_: Any) -> None:
        raise KeyError(response.status_code)

    with Client(server, policy=Policy(breaker=QUICK)) as client:
        for _ in range(10):
            with pytest.raises(KeyError):
                client.conn.request("GET", "/", hooks={"response": hook})

    assert server.count() == 10


# The concurrency limit


class Gate:
    """A handler that counts who is in it, and lets nobody out before it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> list[Action]:
        del request
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.opened.wait(10)
        with self._lock:
            self.inside -= 1
        return [respond(200)]


def test_no_more_calls_are_in_flight_than_the_limit_and_the_others_wait(
    server: ScriptedServer,
) -> None:
    server.default = gate = Gate()
    with Client(server, policy=Policy(limit=Limit(calls=2))) as client, ThreadPoolExecutor(8) as ex:
        calls = [ex.submit(client.conn.request, "GET", "/") for _ in range(8)]
        server.wait_for(lambda: gate.inside == 2)
        gate.opened.set()
        assert [call.result().status_code for call in calls] == [200] * 8

    assert gate.most == 2
    assert server.count() == 8


def test_who_waits_until_the_deadline_is_refused_and_nothing_was_sent(
    server: ScriptedServer,
) -> None:
    server.default = gate = Gate()
    with Client(server, policy=Policy(limit=Limit(calls=1))) as client, ThreadPoolExecutor(1) as ex:
        first = ex.submit(client.conn.request, "GET", "/")
        server.wait_for(lambda: gate.inside == 1)
        with pytest.raises(ConcurrencyLimitError, match=r"1 calls to .* are in flight") as caught:
            client.conn.request("POST", "/", deadline=0.05)
        assert caught.value.attempts == 0
        assert isinstance(caught.value, RefusedError)
        gate.opened.set()
        first.result()
        client.conn.request("GET", "/")

    assert server.count() == 2
    assert client.outcomes == {"refused": 1, "success": 2}


def test_who_is_handed_a_place_with_the_deadline_is_refused_like_who_is_not(
    server: ScriptedServer,
) -> None:
    server.default = stall()
    with (
        Client(server, policy=Policy(limit=Limit(calls=1))) as client,
        ThreadPoolExecutor(8) as ex,
        sleepwalker.deadline(0.5),
    ):
        contexts = [contextvars.copy_context() for _ in range(8)]
        errors = [ex.submit(each.run, client.conn.request, "GET", "/") for each in contexts]
        told = Counter(type(error.exception()) for error in errors)

    assert told == {DeadlineExceeded: 1, ConcurrencyLimitError: 7}
    assert server.count() == 1
    assert client.outcomes == {"timeout": 1, "refused": 7}


@pytest.mark.parametrize(
    ("timeout", "waited"),
    [(None, 0.5), ((3.0, 0.8), 0.5), ((3.0, 0.2), 0.8)],
)
def test_an_adaptive_limits_place_is_waited_for_while_the_deadline_leaves_time_for_an_attempt_then(
    server: ScriptedServer, timeout: tuple[float, float] | None, waited: float
) -> None:
    server.default = gate = Gate()
    with (
        Client(server, policy=Policy(limit=AdaptiveLimit(start=1, most=1))) as client,
        ThreadPoolExecutor(1) as ex,
    ):
        first = ex.submit(client.conn.request, "GET", "/")
        server.wait_for(lambda: gate.inside == 1)
        with pytest.raises(ConcurrencyLimitError) as caught:
            client.conn.request("GET", "/", deadline=1.0, timeout=timeout)
        told = re.search(r"did not come within (\S+) s", str(caught.value))
        assert told is not None
        assert float(told[1]) == pytest.approx(waited, abs=0.1)
        gate.opened.set()
        first.result()


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        pytest.param(respond(429), 9, id="429"),
        pytest.param(stall(), 9, id="a timeout"),
        pytest.param(respond(503), 10, id="503"),
        pytest.param(respond(404), 10, id="404"),
    ],
)
def test_an_adaptive_limit_shrinks_with_429_and_timeouts_alone(
    server: ScriptedServer, answer: Action, limit: int
) -> None:
    server.script(answer)
    policy = Policy(attempts=1, limit=AdaptiveLimit(start=10), read_timeout=0.1)

    with Client(server, policy=policy) as client:
        with pytest.raises(SleepwalkerException):
            client.conn.request("GET", "/")
        assert f"0/{limit} in flight" in repr(client.conn)


def test_who_waits_for_a_place_is_not_sent_to_a_host_that_is_left_alone_by_then(
    server: ScriptedServer,
) -> None:
    def answer(request: Request) -> list[Action]:
        gate(request)
        return [respond(503)]

    gate = Gate()
    server.default = answer
    policy = Policy(attempts=1, breaker=Breaker(calls=1), limit=Limit(calls=1))

    with Client(server, policy=policy) as client, ThreadPoolExecutor(8) as ex:
        calls = [ex.submit(client.conn.request, "GET", "/") for _ in range(8)]
        server.wait_for(lambda: gate.inside == 1 and "7 waiting" in repr(client.conn))
        gate.opened.set()
        failed = Counter(type(call.exception()) for call in calls)

    assert failed == {HTTPServiceUnavailable: 1, CircuitOpenError: 7}
    assert server.count() == 1


def test_as_many_sockets_are_kept_as_calls_may_be_in_flight(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.default = respond(200)
    with Client(server) as client, ThreadPoolExecutor(80) as ex:
        client.conn.request("GET", "/")
        server.default = gate = Gate()
        many = Policy(limit=Limit(calls=80))
        calls = [ex.submit(client.conn.request, "GET", "/", policy=many) for _ in range(80)]
        server.wait_for(lambda: gate.inside == 80)
        gate.opened.set()
        assert [call.result().status_code for call in calls] == [200] * 80

    assert "pool is full" not in caplog.text


def test_a_call_within_a_calls_response_hook_has_its_place(server: ScriptedServer) -> None:
    seen = []

    def hook(response: Any, **_: Any) -> None:
        seen.append(response.status_code)
        if len(seen) < 3:
            client.conn.request("GET", "/inner", hooks={"response": hook}, deadline=2.0)

    with Client(server, policy=Policy(limit=Limit(calls=1))) as client:
        client.conn.request("GET", "/outer", hooks={"response": hook})
        assert server.count() == 3
        assert "0/1 in flight" in repr(client.conn)


def test_the_probes_own_hook_may_call_the_host_too(server: ScriptedServer) -> None:
    server.default = respond(503)

    def hook(*_: Any, **__: Any) -> None:
        client.conn.request("GET", "/inner")

    with opened(Client(server, policy=Policy(breaker=QUICK))) as client:
        client.clock.jump(6.1)
        server.default = respond(200)
        client.conn.request("GET", "/outer", hooks={"response": hook})

    assert server.count() == 6


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_call_that_is_interrupted_gives_its_place_back(
    server: ScriptedServer, interrupt: type[BaseException]
) -> None:
    def hook(*_: Any, **__: Any) -> None:
        raise interrupt

    with Client(server, policy=Policy(limit=Limit(calls=1))) as client:
        for _ in range(3):
            with pytest.raises(interrupt):
                client.conn.request("GET", "/", hooks={"response": hook})
        client.conn.request("GET", "/", deadline=2.0)


def test_no_place_is_lost_wherever_an_interrupt_comes(server: ScriptedServer) -> None:
    server.default = respond(200)
    policy = Policy(limit=Limit(calls=1), deadline=5.0)
    number = 0

    with Client(server, policy=policy) as client:
        client.conn.request("GET", "/")
        came = True
        while came:
            number += 1
            interrupter = Interrupter(number)
            try:
                sys.setprofile(interrupter)
                client.conn.request("GET", "/")
            except KeyboardInterrupt:
                pass
            finally:
                sys.setprofile(None)
            came = interrupter.came
            assert "0/1 in flight" in repr(client.conn), f"place {number}"
            assert client.conn.in_flight == 0, f"place {number}"

    assert number > 50


def test_a_token_may_be_fetched_from_the_very_host(server: ScriptedServer) -> None:
    policy = Policy(limit=Limit(calls=1), deadline=5.0)
    with ConnectionManager(hooks=[DirectHook(allow_plaintext=True)], policy=policy) as manager:

        def token() -> str:
            manager.find(server.url, ANONYMOUS).json_request("GET", "/token")
            return "the-token"

        manager.find(server.url, BearerAuth(token)).request("GET", "/")

    assert [request.target for request in server.requests] == ["/token", "/"]


def test_64_threads_end_with_exact_counts(server: ScriptedServer) -> None:
    def answer(request: Request) -> Action:
        with lock:
            inside.append(request.number)
            most.append(len(inside))
        try:
            return respond(503 if int(request.path[1:]) % 4 == 0 else 200)
        finally:
            with lock:
                inside.remove(request.number)

    lock, inside, most = threading.Lock(), [], [0]  # type: ignore[var-annotated]
    server.default = answer
    policy = Policy(attempts=1, breaker=None, limit=Limit(calls=8))

    with Client(server, policy=policy) as client, ThreadPoolExecutor(64) as ex:
        calls = [
            ex.submit(client.conn.request, "GET", f"/{number}", raise_for_status=False)
            for number in range(640)
        ]
        statuses = [call.result().status_code for call in calls]
        assert "quota 500/500 tokens, 0/8 in flight" in repr(client.conn)

    assert (statuses.count(200), statuses.count(503)) == (480, 160)
    assert server.count() == client.wire_attempts == 640
    assert max(most) <= 8
    assert client.in_flight == 0


# Who shares them


def manager_of(server: ScriptedServer, policy: Policy, **options: Any) -> ConnectionManager:
    """Give a manager whose calls to the server have failed until its breaker opened."""
    server.default = respond(503)
    manager = ConnectionManager(
        hooks=[DirectHook(allow_plaintext=True)], policy=policy, clock=Clock(), **options
    )
    conn = manager.find(server.url, ANONYMOUS)
    for _ in range(4):
        with pytest.raises(HTTPServiceUnavailable):
            conn.request("GET", "/", policy=replace(policy, attempts=1))
    return manager


def test_all_connections_of_a_manager_to_a_host_share_them_whatever_their_auth(
    server: ScriptedServer,
) -> None:
    with manager_of(server, Policy(breaker=QUICK)) as manager:
        for auth in (("user", "password"), ANONYMOUS):
            with pytest.raises(CircuitOpenError):
                manager.find(f"{server.url}/", auth).request("GET", "/")

    assert server.count() == 4


def test_another_base_path_scope_or_manager_has_its_own(server: ScriptedServer) -> None:
    policy = Policy(breaker=QUICK)
    with manager_of(server, policy) as manager, Client(server, policy=policy) as stranger:
        server.default = respond(200)
        manager.find(f"{server.url}/v2", ANONYMOUS).request("GET", "/")
        conn = manager.find(server.url, ANONYMOUS)
        conn.request("GET", "/", policy=replace(policy, scope="reports"))
        stranger.conn.request("GET", "/")
        with pytest.raises(CircuitOpenError):
            conn.request("GET", "/")


def test_one_bad_route_with_a_scope_does_not_trip_all(server: ScriptedServer) -> None:
    policy = Policy(breaker=QUICK)
    with manager_of(server, replace(policy, scope="reports")) as manager:
        server.default = respond(200)
        conn = manager.find(server.url, ANONYMOUS)
        conn.request("GET", "/", policy=policy)
        with pytest.raises(CircuitOpenError, match=r"\(reports\) fails too often"):
            conn.request("GET", "/")


def test_they_outlive_the_pool(server: ScriptedServer) -> None:
    with manager_of(server, Policy(breaker=QUICK)) as manager:
        manager.reset()
        with pytest.raises(CircuitOpenError):
            manager.find(server.url, ANONYMOUS).request("GET", "/")


def test_a_connection_that_is_added_shares_them_from_then_on(server: ScriptedServer) -> None:
    with manager_of(server, Policy(breaker=QUICK)) as manager:
        conn = Connection(server.url, ("user", "password"), allow_plaintext=True)
        server.default = respond(200)
        conn.request("GET", "/")
        manager.add(server.url, ("user", "password"), conn)
        with pytest.raises(CircuitOpenError):
            conn.request("GET", "/")


def test_a_connection_that_is_added_within_its_first_call_shares_them_too(
    server: ScriptedServer,
) -> None:
    class Slow(HostStates):
        def of(self, *args: Any, **kwargs: Any) -> Any:
            found = super().of(*args, **kwargs)
            manager.add(server.url, ("user", "password"), conn)
            return found

    with manager_of(server, Policy(breaker=QUICK)) as manager:
        conn = Connection(server.url, ("user", "password"), allow_plaintext=True)
        own = Slow(clock=Clock(), random=lambda: 0.5)
        conn._chosen_states = own  # noqa: SLF001 - in the place of a thread that comes between
        server.default = respond(200)
        conn.request("GET", "/")
        with pytest.raises(CircuitOpenError):
            conn.request("GET", "/")


def test_what_a_hook_does_counts_among_its_managers_calls(server: ScriptedServer) -> None:
    class Login(ConnectionHook):
        def connect(self, host: Any, auth: Any) -> Any:
            conn = Connection(host, auth, policy=replace(policy, attempts=1))
            conn.request("POST", "/login")
            return conn

    server.default = respond(503)
    policy = Policy(breaker=QUICK, backoff=None)
    with ConnectionManager(hooks=[Login()], policy=policy, clock=Clock()) as manager:
        with pytest.raises(EstablishmentError):
            manager.find(server.url, ANONYMOUS)
        with pytest.raises(EstablishmentError) as caught:
            manager.find(server.url, ANONYMOUS)

    assert server.count() == 4
    [outcome] = caught.value.outcomes
    assert isinstance(outcome.error, CircuitOpenError)
    assert caught.value.retry_after == outcome.error.retry_after is not None


def test_a_hooks_retries_are_paid_for_too() -> None:
    class Broken(ConnectionHook):
        calls = 0

        def connect(self, host: Any, auth: Any) -> Any:
            del host, auth
            self.calls += 1
            raise OSError

    hook = Broken()
    with ConnectionManager(hooks=[hook], clock=Clock()) as manager:
        for _ in range(100):
            with pytest.raises(EstablishmentError):
                manager.find("https://api.example", ANONYMOUS)

    assert hook.calls == 135


def test_a_hooks_retry_that_succeeds_has_its_cost_back() -> None:
    class Moody(ConnectionHook):
        calls = 0

        def connect(self, host: Any, auth: Any) -> Any:
            self.calls += 1
            if self.calls % 3:
                raise OSError
            return Connection(host, auth)

    told = RecordingObserver()
    with ConnectionManager(hooks=[Moody()], clock=Clock(), observers=[told]) as manager:
        manager.find("https://api.example", ANONYMOUS)

    assert [event.tokens for event in told.all(RetryQuotaChanged)] == [486, 472, 486]
    assert {event.host for event in told.all(RetryQuotaChanged)} == {"https://api.example"}


# What they tell


def test_the_reprs_show_how_they_are(server: ScriptedServer) -> None:
    with manager_of(server, Policy(breaker=QUICK), random=lambda: 0.5) as manager:
        conn = manager.find(server.url, ANONYMOUS)
        assert repr(manager).startswith(
            f"<ConnectionManager 1 pools, 1 hooks; {server.url}: breaker open for "
        )
        assert "quota 500/500 tokens, breaker open for " in repr(conn)
        assert "0/64 in flight" in repr(conn)


def test_a_connections_repr_tells_whose_state_it_shows(server: ScriptedServer) -> None:
    with Client(server) as client:
        client.conn.request("GET", "/", policy=Policy(scope="reports", limit=None))
        assert "; reports: quota 500/500 tokens, breaker closed>" in repr(client.conn)


def test_a_manager_whose_hosts_are_well_says_nothing_of_them(server: ScriptedServer) -> None:
    with ConnectionManager(hooks=[DirectHook()]) as manager:
        manager.find(server.url, ANONYMOUS).request("GET", "/")
        assert repr(manager) == "<ConnectionManager 1 pools, 1 hooks>"


def test_state_and_tokens_are_metrics_of_the_host(server: ScriptedServer) -> None:
    server.default = respond(503)
    with Client(server, policy=Policy(breaker=QUICK)) as client:
        fails(client, 2)
        value = client.registry.get_sample_value
        host = {"host": server.url}
        assert value("sleepwalker_breaker_state", host) == 2
        assert value("sleepwalker_retry_quota_tokens", host) == 500 - 2 * 14
        [*_, last] = client.told.all(RequestFinished)
        assert last.not_retried == "circuit open"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (stall, "timeout"),
        (lambda: respond(503), "error"),
    ],
)
def test_slow_and_failing_answers_open_it_alike(
    server: ScriptedServer, make: Callable[[], Action], expected: str
) -> None:
    server.default = make()
    policy = Policy(attempts=1, breaker=Breaker(calls=2))
    with Client(server, policy=policy, timeout=0.1) as client:
        for _ in range(2):
            with pytest.raises((ConnectionError, HTTPServiceUnavailable)):
                client.conn.request("GET", "/")
        with pytest.raises(CircuitOpenError):
            client.conn.request("GET", "/")

    assert client.outcomes == {expected: 2, "refused": 1}


def test_no_breaker_is_told_of_with_a_secret_of_its_base_path(
    server: ScriptedServer, ca: CertificateAuthority
) -> None:
    del ca
    server.default = respond(503)
    url = f"{server.url}/accounts/4711"

    redaction = Redaction(path=lambda path: path.replace("4711", "{number}"))
    policy = Policy(attempts=1, breaker=QUICK)
    with Client(url, policy=policy, redaction=redaction) as client:
        fails(client, 4)
        with pytest.raises(CircuitOpenError) as caught:
            client.conn.request("GET", "/")

    assert "4711" not in f"{caught.value} {client.conn!r} {client.told.all(BreakerChanged)}"


def test_a_scopes_breaker_has_a_series_of_its_own(server: ScriptedServer) -> None:
    policy = Policy(attempts=1, breaker=QUICK)
    reports = replace(policy, scope="reports")
    server.default = respond(503)
    with opened(Client(server, policy=policy)) as client:
        fails(client, 4, reports)
        client.clock.jump(6.1)
        server.default = respond(200)
        client.conn.request("GET", "/", policy=reports)
        value = client.registry.get_sample_value
        assert value("sleepwalker_breaker_state", {"host": server.url}) == 2
        assert value("sleepwalker_breaker_state", {"host": f"{server.url} (reports)"}) == 0


@pytest.mark.parametrize(
    "host", ["ssh://joe:hunter22@host", "https://api.example/accounts/hunter22"]
)
def test_no_manager_shows_a_secret_of_a_host_whose_hook_has_failed(host: str) -> None:
    class Broken(ConnectionHook):
        def connect(self, host: Any, auth: Any) -> Any:
            del host, auth
            raise OSError

    redaction = Redaction(path=lambda path: path.replace("hunter22", "{number}"))
    told = RecordingObserver()
    with ConnectionManager(
        hooks=[Broken()], clock=Clock(), redaction=redaction, observers=[told]
    ) as manager:
        with pytest.raises(EstablishmentError):
            manager.find(host, ANONYMOUS)
        assert "quota 472/500" in repr(manager)
        assert "hunter22" not in f"{manager!r} {told.all(RetryQuotaChanged)}"
