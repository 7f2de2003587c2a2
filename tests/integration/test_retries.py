"""Retries as a caller meets them: how long they wait, what they give back, what they leave behind.

What may be sent again stands in `test_what_is_sent_again`; deadlines, bodies and redirects have
modules of their own.
"""

from __future__ import annotations

import signal
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest
import requests
from opentelemetry.trace import StatusCode

from sleepwalker import ANONYMOUS, Backoff, Connection, Policy, exceptions
from sleepwalker.observability.events import RequestFinished, RetryScheduled
from sleepwalker.testing import no_wait
from tests.integration.retrying import STALLED, Client, Clock, lines
from tests.servers import (
    Action,
    CertificateAuthority,
    Request,
    ScriptedServer,
    close_without_answer,
    reset_after_reading,
    respond,
    stall,
    truncated_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENT: Final = Policy(attempts=6, deadline=None)
NOW: Final = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class FixedTime(Clock):
    """Noon of a day in March, and later only by what was waited."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return NOW.timestamp() + self._ahead


def closed_by_us(server: ScriptedServer) -> list[bool]:
    """Whether the client closed them: one for each connection that the server accepted."""
    return [record.closed_by == "client" for record in server.connections]


# --- backoff --------------------------------------------------------------------------------------


def test_the_widest_waits_after_transient_failures_double(server: ScriptedServer) -> None:
    server.default = respond(500)
    client = Client(server, policy=PATIENT, random=1.0)
    with pytest.raises(exceptions.HTTPInternalServerError):
        client.conn.request("GET", "/")
    assert client.slept == [0.05, 0.1, 0.2, 0.4, 0.8]


def test_the_widest_waits_after_being_throttled_double_from_a_second(
    server: ScriptedServer,
) -> None:
    server.default = respond(429)
    client = Client(server, policy=PATIENT, random=1.0)
    with pytest.raises(exceptions.HTTPTooManyRequests):
        client.conn.request("GET", "/")
    assert client.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_no_wait_is_drawn_from_a_wider_range_than_the_cap(server: ScriptedServer) -> None:
    server.default = respond(429)
    client = Client(server, policy=Policy(attempts=8, deadline=None), random=1.0)
    with pytest.raises(exceptions.HTTPTooManyRequests):
        client.conn.request("GET", "/")
    assert client.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


def test_jitter_is_full_and_drawn_anew_for_every_wait(server: ScriptedServer) -> None:
    server.default = respond(500)
    drawn = iter([0.0, 0.25, 0.5, 1.0, 0.125])
    client = Client(server, policy=PATIENT, random=lambda: next(drawn))
    with pytest.raises(exceptions.HTTPInternalServerError):
        client.conn.request("GET", "/")
    assert client.slept == [0.0, 0.025, 0.1, 0.4, 0.1]
    assert next(drawn, None) is None


def test_a_backoff_of_the_policys_own_is_used(server: ScriptedServer) -> None:
    server.script(respond(500), respond(429), respond(500))
    backoff = Backoff(base=0.5, throttled=3.0, cap=4.0)
    client = Client(server, policy=Policy(attempts=4, backoff=backoff), random=1.0)
    client.conn.request("GET", "/")
    assert client.slept == [0.5, 4.0, 2.0]


def test_without_backoff_only_the_server_makes_it_wait(server: ScriptedServer) -> None:
    server.script(respond(500), respond(503, {"Retry-After": "2"}))
    client = Client(server, policy=Policy(backoff=None), random=1.0)
    client.conn.request("GET", "/")
    assert client.slept == [0.0, 2.0]


def test_a_calls_policy_wins_over_its_connections(server: ScriptedServer) -> None:
    server.default = respond(500)
    client = Client(server, policy=Policy(attempts=5))
    with pytest.raises(exceptions.HTTPInternalServerError) as caught:
        client.conn.request("GET", "/", policy=Policy(attempts=2))
    assert caught.value.attempts == server.count() == 2


def test_waits_are_told_to_metrics_events_and_the_span(server: ScriptedServer) -> None:
    server.script(respond(500), respond(429))
    client = Client(server, random=1.0)
    client.conn.request("GET", "/")
    assert client.slept == [0.05, 2.0]
    assert [event.wait for event in client.told.all(RetryScheduled)] == [0.05, 2.0]
    (finished,) = client.told.all(RequestFinished)
    assert finished.waited == pytest.approx(2.05)
    assert finished.duration >= 2.05
    labels = {"host": server.url, "auth": "none"}
    waited = client.registry.get_sample_value("sleepwalker_retry_wait_seconds_total", labels)
    assert waited == pytest.approx(2.05)
    (span,) = client.call_spans
    assert (span.attributes or {})["sleepwalker.waited"] == pytest.approx(2.05)


# --- Retry-After ----------------------------------------------------------------------------------


def date(seconds: float) -> str:
    """The HTTP date so many seconds from noon."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


OBEYED: Final = {
    "0": 0.0,
    "1": 1.0,
    "07": 7.0,
    "25": 25.0,
    date(7): 7.0,
    date(-3600): 0.0,
    "  7  ": 7.0,
    "\t7": 7.0,
    "Thu, 01 Jan 1970 00:00:00 GMT": 0.0,
    # The wrong day of the week, a zone of one's own, one that there isn't, and none.
    "Fri, 01 Mar 2026 12:00:09 GMT": 9.0,
    "Sun, 01 Mar 2026 13:00:09 +0100": 9.0,
    "Sun, 01 Mar 2026 12:00:09 XYZ": 9.0,
    "Sun, 01 Mar 2026 12:00:09": 9.0,
    "Sunday, 01-Mar-26 12:00:09 GMT": 9.0,
    "Sun Mar  1 12:00:11 2026": 11.0,
}


@pytest.mark.parametrize(("value", "wait"), OBEYED.items(), ids=OBEYED)
def test_a_servers_retry_after_is_waited_for(
    server: ScriptedServer, value: str, wait: float
) -> None:
    server.script(respond(503, {"Retry-After": value}))
    clock = FixedTime()
    client = Client(server, clock=clock)
    client.conn.request("GET", "/")
    assert clock.slept == [wait]
    assert client.retries == {"throttled": 1}


GARBAGE: Final = [
    "soon",
    "-5",
    "1.5",
    "1e3",
    "0x10",
    "+3",
    "3 s",
    "inf",
    "nan",
    "1, 2",
    "",
    "Sun, 99 Mar 2026 12:00:09 GMT",
    "Sun, 01 Mar 99999 12:00:09 GMT",
    "9" * 5000,
    "٣",
    "Sun, 01 Mar 2026 12:00:09 +9999",
    "2026-03-01T12:00:09Z",
]


@pytest.mark.parametrize("value", GARBAGE, ids=lambda value: value[:30] or "empty")
def test_a_retry_after_that_says_nothing_is_ignored(server: ScriptedServer, value: str) -> None:
    encoded = value.encode().decode("latin-1")
    server.script(respond(503, {"Retry-After": encoded}), respond(503))
    clock = FixedTime()
    client = Client(server, clock=clock, random=1.0)
    client.conn.request("GET", "/")
    assert clock.slept == [0.05, 0.1]
    assert client.retries == {"status": 2}


@pytest.mark.parametrize("values", [("1", "2"), ("2", "2"), ("soon", "2")])
def test_two_retry_afters_say_nothing(server: ScriptedServer, values: tuple[str, ...]) -> None:
    server.script(respond(503, [("Retry-After", value) for value in values]))
    client = Client(server, random=1.0)
    client.conn.request("GET", "/")
    assert client.slept == [0.05]


@pytest.mark.parametrize("value", ["7", "9999999999", "soon"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 304])
def test_a_retry_after_of_an_answer_that_is_no_error_is_the_callers_to_read(
    server: ScriptedServer, status: int, value: str
) -> None:
    server.script(respond(status, {"Retry-After": value}))
    client = Client(server)
    response = client.conn.request("POST", "/")
    assert (response.status_code, response.headers["Retry-After"]) == (status, value)
    assert client.slept == []
    assert server.count() == 1


@pytest.mark.parametrize(("value", "carried"), [("7", 7.0), ("-7", None), ("9" * 10, 9999999999.0)])
@pytest.mark.parametrize("status", [401, 404, 413, 501])
def test_a_retry_after_of_a_final_error_is_carried_and_not_waited_for(
    server: ScriptedServer, status: int, value: str, carried: float | None
) -> None:
    server.script(respond(status, {"Retry-After": value}))
    client = Client(server)
    with pytest.raises(exceptions.HTTPError) as caught:
        client.conn.request("GET", "/")
    assert caught.value.retry_after == carried
    assert client.slept == []
    assert server.count() == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_the_longer_of_backoff_and_retry_after_is_waited(
    server: ScriptedServer, status: int
) -> None:
    server.script(respond(status, {"Retry-After": "3"}))
    client = Client(server, random=1.0)
    client.conn.request("GET", "/")
    assert client.slept == [3.0]


def test_a_retry_after_never_shortens_the_backoff(server: ScriptedServer) -> None:
    server.default = respond(503, {"Retry-After": "1"})
    client = Client(server, policy=PATIENT, random=1.0)
    with pytest.raises(exceptions.HTTPServiceUnavailable):
        client.conn.request("GET", "/")
    assert client.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("61", 61.0), ("3600", 3600.0), ("9999999999", 9999999999.0), (date(86400), 86400.0)],
)
def test_a_retry_after_beyond_the_ceiling_is_raised_now(
    server: ScriptedServer, value: str, seconds: float
) -> None:
    server.default = respond(503, {"Retry-After": value})
    clock = FixedTime()
    client = Client(server, clock=clock, policy=Policy(deadline=None))
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        client.conn.request("GET", "/")
    assert caught.value.retry_after == seconds
    assert f"{seconds:g}" in str(caught.value)
    assert caught.value.attempts == server.count() == 1
    assert clock.slept == []


def test_a_retry_after_at_the_ceiling_is_waited_for(server: ScriptedServer) -> None:
    server.script(respond(429, {"Retry-After": "60"}))
    client = Client(server, policy=Policy(deadline=120.0))
    client.conn.request("GET", "/")
    assert client.slept == [60.0]


def test_the_ceiling_is_the_policys(server: ScriptedServer) -> None:
    server.script(respond(429, {"Retry-After": "100"}), respond(429, {"Retry-After": "101"}))
    client = Client(server, policy=Policy(deadline=None, max_retry_after=100.0))
    with pytest.raises(exceptions.HTTPTooManyRequests) as caught:
        client.conn.request("GET", "/")
    assert client.slept == [100.0]
    assert caught.value.retry_after == 101.0
    assert caught.value.attempts == 2


def test_a_retry_after_beyond_the_deadline_is_raised_now(server: ScriptedServer) -> None:
    server.default = respond(503, {"Retry-After": "11"})
    client = Client(server)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        client.conn.request("GET", "/", deadline=10.0)
    assert caught.value.retry_after == 11.0
    assert caught.value.attempts == server.count() == 1
    assert client.slept == []
    assert caught.value.elapsed is not None
    assert caught.value.elapsed < 5.0


def test_an_error_that_is_final_carries_its_retry_after(server: ScriptedServer) -> None:
    server.default = respond(503, {"Retry-After": "9"})
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        Client(server).conn.request("POST", "/", data=b"x")
    assert caught.value.retry_after == 9.0
    assert server.count() == 1


# --- what a call gives back -----------------------------------------------------------------------


def test_an_error_carries_attempts_elapsed_request_and_response(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = respond(503, {"Set-Cookie": "s=planted-cookie"}, json={"error_text": "no"})
    client = Client(tls_server, ca, auth=("planted-user", "planted-password"), random=1.0)
    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        client.conn.request("GET", "/books?api_key=planted-key&page=2")
    error = caught.value
    assert error.attempts == 3
    assert error.elapsed is not None
    assert 0.15 <= error.elapsed < 5.0
    assert error.request.method == "GET"
    assert error.response.status_code == error.http_code == 503
    assert error.json_data == {"error_text": "no"}
    assert "page=2" in error.request.url
    shown = [
        str(error),
        repr(error),
        error.request.url,
        str(error.request.headers),
        error.response.url,
        str(error.response.headers),
        str(error.response.request.headers),
        str(vars(error.response)),
    ]
    assert not [text for text in shown if "planted" in text]
    assert "cGxhbnRlZC11c2Vy" not in "".join(shown)


def test_an_error_without_an_answer_carries_the_request_that_was_sent_last(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = reset_after_reading()
    client = Client(tls_server, ca, auth=("planted-user", "planted-password"))
    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("PUT", "/books?token=planted-key", data=b"x")
    error = caught.value
    assert error.response is None
    assert (error.request.method, error.attempts) == ("PUT", 3)
    assert "planted" not in f"{error}{error.request.url}{error.request.headers}{error.__cause__!r}"
    assert str(error).startswith(f"PUT {tls_server.url}/books?")
    assert "attempts: 3" in str(error)


def test_raise_for_status_false_gives_the_last_answer_when_retries_are_exhausted(
    server: ScriptedServer,
) -> None:
    server.script(*[respond(503, json=number) for number in (1, 2, 3)])
    client = Client(server)
    response = client.conn.request("GET", "/", raise_for_status=False)
    assert (response.status_code, response.json()) == (503, 3)
    assert server.count() == 3
    assert client.conn.response is response
    assert client.outcomes == {"exhausted": 1}


def test_raise_for_status_false_raises_all_the_same_when_no_answer_comes(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), reset_after_reading(), reset_after_reading())
    with pytest.raises(exceptions.ProtocolError) as caught:
        Client(server).conn.request("GET", "/", raise_for_status=False)
    assert caught.value.attempts == 3


def test_raise_for_status_false_gives_a_final_answer_at_once(server: ScriptedServer) -> None:
    server.default = respond(404, json="none")
    response = Client(server).conn.request("GET", "/", raise_for_status=False)
    assert response.status_code == 404
    assert server.count() == 1


def test_raise_for_status_false_gives_an_answer_whose_retry_after_is_too_long(
    server: ScriptedServer,
) -> None:
    server.default = respond(503, {"Retry-After": "9999"})
    response = Client(server).conn.request("GET", "/", raise_for_status=False)
    assert response.headers["Retry-After"] == "9999"
    assert server.count() == 1


def test_the_answer_of_the_last_attempt_is_the_connections_response(
    server: ScriptedServer,
) -> None:
    server.script(respond(503, json=1), respond(200, json=2))
    client = Client(server)
    response = client.conn.request("GET", "/")
    assert client.conn.response is response
    assert response.history == []
    server.default = respond(502, json=3)
    with pytest.raises(exceptions.HTTPBadGateway):
        client.conn.request("GET", "/")
    assert client.conn.response is not None
    assert client.conn.response.json() == 3


# --- streamed answers -----------------------------------------------------------------------------


def test_a_streamed_answer_is_retried_until_its_headers_are_good(server: ScriptedServer) -> None:
    server.script(
        respond(503, body=b"x" * 500_000), reset_after_reading(), respond(200, body=b"abc")
    )
    client = Client(server)
    with client.conn.request("GET", "/", stream=True) as response:
        assert b"".join(response.iter_content(2)) == b"abc"
    assert server.count() == 3
    client.conn.close()
    server.wait_for(lambda: all(record.closed_by for record in server.connections))


def test_nothing_is_sent_again_once_the_caller_has_bytes(server: ScriptedServer) -> None:
    server.default = truncated_body(b"half")
    client = Client(server)
    with client.conn.request("GET", "/", stream=True) as response:
        parts = response.iter_content(2)
        assert next(parts) == b"ha"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(parts)
    assert server.count() == 1
    assert client.retries == {}
    assert client.in_flight == 0


def test_a_streamed_errors_body_is_there_to_be_read(server: ScriptedServer) -> None:
    server.default = respond(404, json={"error_text": "no such book"})
    client = Client(server)
    with pytest.raises(exceptions.HTTPNotFound) as caught:
        client.conn.request("GET", "/", stream=True)
    assert caught.value.json_data == {"error_text": "no such book"}
    assert caught.value.message == "no such book"


def test_streamed_attempts_that_failed_hold_no_socket(server: ScriptedServer) -> None:
    server.default = respond(503, body=b"x" * 500_000)
    client = Client(server, policy=Policy(attempts=5))
    with pytest.raises(exceptions.HTTPServiceUnavailable):
        client.conn.request("GET", "/", stream=True)
    assert server.count() == 5
    server.wait_for(lambda: all(record.closed_by for record in server.connections))


# --- calls within calls ---------------------------------------------------------------------------


class Flaky:
    """Answers each target's first two requests with 503 and the others with the target."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}

    def __call__(self, request: Request) -> Action:
        """Answer."""
        with self._lock:
            self._seen[request.target] = self._seen.get(request.target, 0) + 1
            fails = self._seen[request.target] <= 2
        return respond(503, json="not yet") if fails else respond(200, json=request.target)


def test_a_response_hook_may_call_through_the_same_connection(server: ScriptedServer) -> None:
    server.default = Flaky()
    client = Client(server)
    inner = []

    def hook(response: requests.Response, **_: Any) -> None:
        inner.append(client.conn.json_request("GET", f"/inner/{response.status_code}"))

    response = client.conn.request("GET", "/outer", hooks={"response": hook})
    assert response.json() == "/outer"
    assert inner == ["/inner/503", "/inner/503", "/inner/200"]
    assert server.count(target="/outer") == 3
    assert server.count(target="/inner/503") == 4
    assert server.count(target="/inner/200") == 3
    assert client.outcomes == {"success": 4}
    assert client.retries == {"status": 6}
    assert client.in_flight == 0


def test_an_auth_callable_may_call_through_the_same_connection(server: ScriptedServer) -> None:
    server.default = Flaky()
    client = Client(server)
    numbers = iter(range(9))

    def auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        ticket = client.conn.request("GET", f"/ticket/{next(numbers)}", auth=ANONYMOUS).json()
        request.headers["X-Ticket"] = ticket
        return request

    response = client.conn.request("POST", "/outer", data=b"x", auth=auth, idempotent=True)
    assert response.json() == "/outer"
    shown = [r.headers.get("X-Ticket") for r in server.requests if r.target == "/outer"]
    assert shown == ["/ticket/0", "/ticket/1", "/ticket/2"]
    assert client.outcomes == {"success": 4}


def test_an_observer_may_call_through_the_same_connection(server: ScriptedServer) -> None:
    server.default = Flaky()
    inner = []

    class Curious:
        busy = False

        def record(self, event: object) -> None:
            if isinstance(event, RetryScheduled) and not self.busy:
                self.busy = True
                inner.append(client.conn.json_request("GET", f"/inner/{event.attempt}"))
                self.busy = False

    client = Client(server, observers=(Curious(),))
    assert client.conn.json_request("GET", "/outer") == "/outer"
    assert inner == ["/inner/1", "/inner/2"]
    assert server.count() == 9
    assert client.in_flight == 0


def test_what_a_hook_does_with_the_session_itself_is_no_attempt_of_the_call(
    server: ScriptedServer,
) -> None:
    client = Client(server)

    def hook(_: requests.Response, **__: Any) -> None:
        client.conn.session.get(f"{server.url}/inner", timeout=5)

    response = client.conn.request("GET", "/outer", hooks={"response": hook})
    assert response.json()["target"] == "/outer"
    assert lines(server) == ["GET /outer", "GET /inner"]
    assert client.retries == {}
    assert client.wire_attempts == 1
    assert client.resend_counts() == [None]


def test_a_hook_is_held_to_the_plaintext_rule_too(server: ScriptedServer) -> None:
    client = Client(server)

    def hook(_: requests.Response, **__: Any) -> None:
        client.conn.session.get(f"{server.url}/inner", auth=("reader", "planted"), timeout=5)

    with pytest.raises(exceptions.PlaintextError):
        client.conn.request("GET", "/outer", hooks={"response": hook})
    assert lines(server) == ["GET /outer"]


def test_a_calls_error_in_a_hook_is_not_the_outer_calls(server: ScriptedServer) -> None:
    # The outer request was answered: nothing of it is unknown, and nothing is to be sent again.
    server.default = lambda request: (
        reset_after_reading() if request.path == "/inner" else respond(200)
    )
    client = Client(server)
    raised = []

    def hook(_: requests.Response, **__: Any) -> None:
        try:
            client.conn.request("GET", "/inner")
        except exceptions.ProtocolError as error:
            # Not the error itself: kept here, it would keep this frame, and all its sockets.
            raised.append((id(error), error.attempts, error.outcome_unknown))
            raise

    with pytest.raises(exceptions.ProtocolError) as caught:
        client.conn.request("PUT", "/outer", data=b"x", hooks={"response": hook})
    assert server.count(target="/outer") == 1
    assert server.count(target="/inner") == 3
    assert [(id(caught.value), 3, False)] == raised
    assert (caught.value.attempts, caught.value.outcome_unknown) == (3, False)
    assert caught.value.request.url == f"{server.url}/inner"
    client.conn.close()


def test_a_status_error_of_a_call_in_a_hook_is_untouched(server: ScriptedServer) -> None:
    server.default = lambda request: respond(404 if request.path == "/inner" else 200)
    client = Client(server)

    def hook(_: requests.Response, **__: Any) -> None:
        client.conn.request("GET", "/inner")

    with pytest.raises(exceptions.HTTPNotFound) as caught:
        client.conn.request("POST", "/outer", data=b"x", hooks={"response": hook})
    assert lines(server) == ["POST /outer", "GET /inner"]
    assert not caught.value.outcome_unknown
    assert caught.value.attempts == 1


def test_a_calls_error_in_an_auth_callable_is_untouched(server: ScriptedServer) -> None:
    server.default = lambda request: respond(503 if request.path == "/login" else 200)
    client = Client(server)

    def auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        client.conn.request("GET", "/login", auth=ANONYMOUS)
        return request

    with pytest.raises(exceptions.HTTPServiceUnavailable) as caught:
        client.conn.request("POST", "/outer", data=b"x", auth=auth)
    assert caught.value.attempts == 3
    assert lines(server) == ["GET /login"] * 3
    assert client.in_flight == 0


def test_threads_that_retry_at_once_through_one_connection_keep_their_results(
    server: ScriptedServer,
) -> None:
    server.default = Flaky()
    # Two of three attempts fail: more than the breaker and the quota of a host would stand.
    client = Client(server, policy=Policy(quota=None, breaker=None))
    targets = [f"/book/{number}" for number in range(64)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda uri: client.conn.json_request("GET", uri), targets))
    assert answers == targets
    assert server.count() == 3 * 64
    assert client.retries == {"status": 128}
    assert client.outcomes == {"success": 64}
    assert client.in_flight == 0


# --- interrupted ----------------------------------------------------------------------------------


def test_an_interrupt_in_a_wait_goes_through_and_is_told_as_cancelled(
    server: ScriptedServer,
) -> None:
    server.default = respond(503)
    client = Client(server)

    def interrupt() -> None:
        raise KeyboardInterrupt

    client.clock.at_next_sleep(interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.conn.request("GET", "/")
    assert server.count() == 1
    assert client.outcomes == {"cancelled": 1}
    assert client.in_flight == client.conn.in_flight == 0
    assert len(client.call_spans) == len(client.wire_spans) == 1


def test_an_interrupt_within_an_attempt_goes_through_and_is_told_as_cancelled(
    server: ScriptedServer,
) -> None:
    client = Client(server)

    def body() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.conn.request("PUT", "/", data=body())
    assert server.count() == 0
    server.wait_for(lambda: closed_by_us(server) == [True])
    assert client.outcomes == {"cancelled": 1}
    assert client.in_flight == client.conn.in_flight == 0
    assert len(client.call_spans) == len(client.wire_spans) == 1
    client.conn.request("PUT", "/", data=b"whole")
    assert server.requests[0].body == b"whole"


def test_an_interrupt_in_a_response_hook_goes_through_and_holds_no_socket(
    server: ScriptedServer,
) -> None:
    client = Client(server)

    def hook(_: requests.Response, **__: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        client.conn.request("GET", "/", hooks={"response": hook})
    assert client.outcomes == {"cancelled": 1}
    assert client.in_flight == client.conn.in_flight == 0
    client.conn.close()
    server.wait_for(lambda: closed_by_us(server) == [True], 1.0)
    del caught


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals a thread")
def test_ctrl_c_while_the_server_is_silent_goes_through(server: ScriptedServer) -> None:
    assert threading.current_thread() is threading.main_thread()

    def interrupt(_: Request) -> Action:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        return stall()

    server.script(respond(503), interrupt)
    client = Client(server)
    with pytest.raises(KeyboardInterrupt):
        client.conn.request("GET", "/")
    assert server.count() == 2
    assert client.outcomes == {"cancelled": 1}
    assert client.in_flight == client.conn.in_flight == 0
    assert client.wire_attempts == 2
    server.wait_for(lambda: all(record.closed_by for record in server.connections))


# --- other people's exceptions --------------------------------------------------------------------

OTHERS: Final[dict[str, Callable[[], Exception]]] = {
    "ValueError": lambda: ValueError("planted"),
    "KeyError": lambda: KeyError("planted"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "planted"),
    "FileNotFoundError": lambda: FileNotFoundError(2, "planted"),
    "TimeoutError": lambda: TimeoutError("planted"),
    "requests.ConnectionError": lambda: requests.ConnectionError("planted"),
}


@pytest.fixture(params=OTHERS.values(), ids=list(OTHERS))
def mine(request: pytest.FixtureRequest) -> Exception:
    made: Exception = request.param()
    return made


def test_an_exception_of_a_response_hook_is_the_callers_own(
    server: ScriptedServer, mine: Exception
) -> None:
    client = Client(server)

    def hook(_: requests.Response, **__: Any) -> None:
        raise mine

    with pytest.raises(type(mine)) as caught:
        client.conn.request("PUT", "/", data=b"x", hooks={"response": hook})
    assert caught.value is mine
    assert server.count() == 1
    assert client.retries == {}
    assert client.in_flight == client.conn.in_flight == 0
    client.conn.close()
    server.wait_for(lambda: all(record.closed_by for record in server.connections), 1.0)


def test_an_exception_of_an_auth_callable_is_the_callers_own(
    server: ScriptedServer, mine: Exception
) -> None:
    client = Client(server)

    def auth(_: requests.PreparedRequest) -> requests.PreparedRequest:
        raise mine

    with pytest.raises(type(mine)) as caught:
        client.conn.request("PUT", "/", data=b"x", auth=auth)
    assert caught.value is mine
    assert len(server.connections) == 0
    assert client.in_flight == client.conn.in_flight == 0
    assert len(client.call_spans) == 1


def test_an_exception_of_a_body_is_the_callers_own(server: ScriptedServer, mine: Exception) -> None:
    client = Client(server)

    def body() -> Iterator[bytes]:
        yield b"half"
        raise mine

    with pytest.raises(type(mine)) as caught:
        client.conn.request("PUT", "/", data=body())
    assert caught.value is mine
    assert server.count() == 0
    server.wait_for(lambda: closed_by_us(server) == [True])
    assert client.in_flight == client.conn.in_flight == 0


def test_a_hook_that_raises_for_status_is_the_servers_answer(server: ScriptedServer) -> None:
    server.script(respond(503), respond(503))
    client = Client(server)

    def hook(response: requests.Response, **_: Any) -> None:
        response.raise_for_status()

    assert client.conn.request("GET", "/", hooks={"response": hook}).status_code == 200
    assert client.retries == {"status": 2}
    server.script(respond(404))
    with pytest.raises(exceptions.HTTPNotFound):
        client.conn.request("GET", "/", hooks={"response": hook})


def test_an_observer_that_raises_fails_no_request(server: ScriptedServer) -> None:
    server.script(respond(503))

    class Broken:
        def record(self, _: object) -> None:
            raise ValueError("planted")

    client = Client(server, observers=(Broken(),))
    assert client.conn.request("GET", "/").status_code == 200
    errors = client.registry.get_sample_value("sleepwalker_telemetry_errors_total")
    assert errors == len(client.told.events)


# --- within somebody's except ---------------------------------------------------------------------

BEFORE: Final = (
    ssl.SSLCertVerificationError,
    requests.ReadTimeout,
    requests.exceptions.ProxyError,
    ConnectionResetError,
    KeyError,
)

each_before = pytest.mark.parametrize("before", BEFORE)


def fail(kind: type[Exception]) -> NoReturn:
    """Raise what the caller will be handling."""
    raise kind("planted")


@each_before
def test_what_the_caller_is_handling_is_no_part_of_what_happens(
    server: ScriptedServer, before: type[Exception]
) -> None:
    server.script(close_without_answer(), respond(503))
    client = Client(server)
    try:
        fail(before)
    except Exception:  # noqa: BLE001 - whatever a fallback is for
        assert client.conn.request("GET", "/").status_code == 200
    assert client.retries == {"protocol": 1, "status": 1}


@each_before
def test_an_error_raised_while_another_is_handled_is_of_its_own_kind(
    server: ScriptedServer, before: type[Exception]
) -> None:
    client = Client(server)
    server.stop()
    try:
        try:
            fail(before)
        except Exception:  # noqa: BLE001 - whatever a fallback is for
            raise LookupError("planted") from None
    except LookupError:
        with pytest.raises(exceptions.ConnectError) as caught:
            client.conn.request("POST", "/", data=b"x")
    assert caught.value.attempts == 3
    assert not caught.value.outcome_unknown
    assert "planted" not in str(caught.value)
    server.start()
    server.default = stall()
    try:
        fail(before)
    except Exception:  # noqa: BLE001 - whatever a fallback is for
        with pytest.raises(exceptions.ReadTimeout):
            client.conn.request("POST", "/", data=b"x", timeout=STALLED)


# --- what is told ---------------------------------------------------------------------------------


def test_every_wire_attempt_is_a_client_span_below_one_logical_span(
    server: ScriptedServer,
) -> None:
    server.script(respond(503), reset_after_reading())
    client = Client(server)
    client.conn.request("GET", "/books/1", name="/books/{id}")
    (call,) = client.call_spans
    attempts = client.wire_spans
    assert client.resend_counts() == [None, 1, 2]
    assert call.status.status_code is StatusCode.UNSET
    assert (call.attributes or {})["sleepwalker.attempts"] == 3
    assert (call.attributes or {})["sleepwalker.outcome"] == "success"
    assert [span.status.status_code for span in attempts] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    errors = [(span.attributes or {}).get("error.type") for span in attempts]
    assert errors[0] == "503"
    assert errors[1] in {"closed", "reset"}
    assert errors[2] is None
    assert {span.name for span in attempts} == {"GET /books/{id}"}
    assert call.context is not None
    parents = {span.parent.span_id for span in attempts if span.parent is not None}
    assert parents == {call.context.span_id}


def test_every_attempt_carries_the_trace_context_of_its_own_span(server: ScriptedServer) -> None:
    server.script(respond(503), reset_after_reading())
    client = Client(server)
    client.conn.request("GET", "/")
    spans = [span.context.span_id for span in client.wire_spans if span.context is not None]
    sent = [int(request.headers["traceparent"].split("-")[2], 16) for request in server.requests]
    assert sent == spans
    assert len(set(sent)) == 3


def test_an_exhausted_call_is_an_error_span_and_an_exhausted_outcome(
    server: ScriptedServer,
) -> None:
    server.default = respond(503)
    client = Client(server)
    with pytest.raises(exceptions.HTTPServiceUnavailable):
        client.conn.request("GET", "/")
    (call,) = client.call_spans
    assert call.status.status_code is StatusCode.ERROR
    assert (call.attributes or {})["sleepwalker.outcome"] == "exhausted"
    assert (call.attributes or {})["error.type"] == "503"


def test_no_wait_makes_the_same_decisions_without_the_waiting(server: ScriptedServer) -> None:
    server.script(respond(503, {"Retry-After": "20"}))
    conn = Connection(server.url, ANONYMOUS, registry=False, tracer_provider=False, logger=False)
    with no_wait() as clock:
        conn.request("GET", "/")
        assert clock.slept == [20.0]
        server.script(respond(503, {"Retry-After": "31"}))
        with pytest.raises(exceptions.HTTPServiceUnavailable):
            conn.request("GET", "/")
        assert len(clock.slept) == 1
    assert server.count() == 3
