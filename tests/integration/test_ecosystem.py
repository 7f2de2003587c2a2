"""What users have already: mocking libraries, adapters, response hooks, test suites, event loops.

Rule: whoever patches, mounts or mocks is called for every attempt, retries included.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock
import responses
from requests.adapters import HTTPAdapter
from responses import matchers

from sleepwalker import ANONYMOUS, BearerAuth, Connection, ConnectionManager, DirectHook, Policy
from sleepwalker.exceptions import (
    ConnectTimeout,
    HTTPNotFound,
    HTTPServiceUnavailable,
    ReadTimeout,
    SleepwalkerException,
    TransportError,
)
from sleepwalker.observability import events
from sleepwalker.testing import SkippingClock, no_wait
from tests.servers import reset_after_reading, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ScriptedServer

pytest_plugins = ["pytester"]

API = "https://api.example.com"
BUSY = {"status": 503, "headers": {"Retry-After": "7"}}


class Events:
    """An observer that counts attempts and keeps how calls ended."""

    def __init__(self) -> None:
        self.attempts = 0
        self.outcomes: list[str] = []

    def record(self, event: events.Event) -> None:
        if isinstance(event, events.AttemptFinished):
            self.attempts += 1
        if isinstance(event, events.RequestFinished):
            self.outcomes.append(event.outcome)


@pytest.fixture
def conn() -> Iterator[Connection]:
    """A connection to a host that isn't there."""
    with Connection(API, ("user", "secret"), clock=SkippingClock()) as made:
        yield made


# responses


@responses.activate
def test_responses_sees_every_attempt(conn: Connection) -> None:
    responses.get(API + "/books", status=503)
    responses.get(API + "/books", status=500)
    responses.get(API + "/books", json=[1, 2])

    assert conn.json_request("GET", "/books") == [1, 2]

    responses.assert_call_count(API + "/books", 3)
    assert {call.request.headers["Authorization"] for call in responses.calls} == {
        "Basic dXNlcjpzZWNyZXQ="
    }


@responses.activate
def test_responses_sees_the_body_and_the_key_of_a_post_each_time(conn: Connection) -> None:
    matched = [matchers.json_params_matcher({"title": "Walden"})]
    responses.post(API + "/books", status=503, match=matched)
    responses.post(API + "/books", status=201, json={"id": 7}, match=matched)

    assert conn.json_request("POST", "/books", {"title": "Walden"}, idempotency_key="k") == {
        "id": 7
    }

    assert [call.request.body for call in responses.calls] == [b'{"title": "Walden"}'] * 2
    assert [call.request.headers["Idempotency-Key"] for call in responses.calls] == ["k", "k"]


@responses.activate
def test_a_post_without_a_key_is_seen_once(conn: Connection) -> None:
    responses.post(API + "/books", status=503)

    with pytest.raises(HTTPServiceUnavailable):
        conn.json_request("POST", "/books", {})

    assert len(responses.calls) == 1


@responses.activate
def test_statuses_and_exceptions_of_responses_become_ours(conn: Connection) -> None:
    responses.get(API + "/404", status=404)
    responses.get(API + "/read", body=requests.exceptions.ReadTimeout("too slow"))
    responses.get(API + "/connect", body=requests.exceptions.ConnectTimeout("too slow"))
    responses.get(API + "/reset", body=requests.exceptions.ConnectionError("gone"))

    expected: list[tuple[str, type[SleepwalkerException], int]] = [
        ("/404", HTTPNotFound, 1),
        ("/read", ReadTimeout, 3),
        ("/connect", ConnectTimeout, 3),
        ("/reset", TransportError, 3),
        ("/not-mocked", TransportError, 3),
    ]
    for path, kind, calls in expected:
        before = len(responses.calls)
        with pytest.raises(kind) as raised:
            conn.request("GET", path)
        assert raised.value.attempts == len(responses.calls) - before == calls


@responses.activate
def test_a_mocked_failure_may_have_been_sent_so_a_post_does_not_go_again(conn: Connection) -> None:
    responses.post(API + "/", body=requests.exceptions.ConnectionError("gone"))

    with pytest.raises(TransportError) as raised:
        conn.request("POST", "/", json={})

    assert len(responses.calls) == 1
    assert raised.value.outcome_unknown


@responses.activate
def test_redirects_and_renewed_tokens_are_seen_by_responses() -> None:
    tokens = iter(["old", "new"])
    responses.get(API + "/", status=401)
    responses.get(API + "/", status=302, headers={"Location": "/moved"})
    responses.get(API + "/moved", json="here")

    with Connection(API, BearerAuth(lambda: next(tokens))) as conn:
        assert conn.json_request("GET", "/") == "here"

    seen = [(call.request.url, call.request.headers["Authorization"]) for call in responses.calls]
    assert seen == [
        (API + "/", "Bearer old"),
        (API + "/", "Bearer new"),
        (API + "/moved", "Bearer new"),
    ]


@responses.activate
def test_a_managers_connections_are_mocked_too() -> None:
    responses.get(API + "/v1/books", json=[])

    with ConnectionManager(hooks=[DirectHook()]) as manager:
        assert manager.find(API + "/v1", ANONYMOUS).json_request("GET", "/books") == []


# requests-mock


def test_requests_mock_sees_every_attempt_and_every_body(conn: Connection) -> None:
    with requests_mock.Mocker() as mock:
        mock.put(API + "/books/7", [{"status_code": 503}, {"status_code": 500}, {"json": "done"}])
        assert conn.json_request("PUT", "/books/7", {"title": "Walden"}) == "done"

        assert mock.call_count == 3
        assert [request.json() for request in mock.request_history] == [{"title": "Walden"}] * 3
        assert {request.headers["Authorization"] for request in mock.request_history} == {
            "Basic dXNlcjpzZWNyZXQ="
        }


def test_statuses_and_exceptions_of_requests_mock_become_ours(conn: Connection) -> None:
    with requests_mock.Mocker() as mock:
        mock.get(API + "/404", status_code=404, json={"error_text": "no such book"})
        mock.get(API + "/slow", exc=requests.exceptions.ReadTimeout)
        with pytest.raises(HTTPNotFound, match="no such book"):
            conn.json_request("GET", "/404")
        with pytest.raises(ReadTimeout):
            conn.json_request("GET", "/slow")

        assert mock.call_count == 1 + 3


def test_an_adapter_of_requests_mock_can_be_mounted(conn: Connection) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", API + "/", json="mounted")
    conn.session.mount(API, adapter)

    assert conn.json_request("GET", "/") == "mounted"
    assert adapter.call_count == 1


# Adapters that users mount


class Counting(HTTPAdapter):
    """Writes down what it is asked to send."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str | None, Any, Any]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        self.asked.append((request.method, request.body, kwargs["timeout"]))
        return super().send(request, *args, **kwargs)


def test_a_mounted_adapter_sends_every_attempt_with_its_timeouts(server: ScriptedServer) -> None:
    server.script(respond(503), respond(503))
    adapter, told = Counting(), Events()
    policy = Policy(deadline=None)
    with Connection(
        server.url,
        ANONYMOUS,
        timeout=(1, 2),
        policy=policy,
        clock=SkippingClock(),
        observers=[told],
    ) as conn:
        conn.session.mount("http://127.0.0.1", adapter)
        conn.json_request("PUT", "/", {"id": 1})

    assert adapter.asked == [("PUT", b'{"id": 1}', (1, 2))] * 3
    assert (server.count(), told.attempts, told.outcomes) == (3, 3, ["success"])


def test_an_adapter_is_for_the_urls_that_it_was_mounted_for(server: ScriptedServer) -> None:
    adapter = Counting()
    with Connection(server.url, ANONYMOUS) as conn:
        conn.session.mount(server.url + "/special", adapter)
        conn.request("GET", "/special/1")
        conn.request("GET", "/other")

    assert (len(adapter.asked), server.count()) == (1, 2)


def test_what_a_mounted_adapter_sends_may_have_been_sent(server: ScriptedServer) -> None:
    server.default = reset_after_reading()
    with Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn:
        conn.session.mount("http://", Counting())
        with pytest.raises(TransportError) as raised:
            conn.json_request("POST", "/", {})

    assert server.count() == 1
    assert raised.value.outcome_unknown


class Broken(HTTPAdapter):
    """Has a bug of its own."""

    def send(self, *_: Any, **__: Any) -> Any:
        raise LookupError("a bug of the user's")


def test_a_mounted_adapters_own_bug_comes_up_as_it_is(server: ScriptedServer) -> None:
    told = Events()
    with Connection(server.url, ANONYMOUS, observers=[told]) as conn:
        conn.session.mount("http://", Broken())
        with pytest.raises(LookupError, match="a bug of the user's"):
            conn.request("GET", "/")
        assert conn.in_flight == 0

    assert told.attempts == len(told.outcomes) == 1
    assert server.connections == []


def test_who_patches_session_send_is_called_for_every_attempt(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script(respond(503))
    seen: list[str | None] = []
    original = requests.Session.send

    def send(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        seen.append(request.url)
        return original(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", send)
    with Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn:
        conn.request("GET", "/a")

    assert seen == [server.url + "/a"] * 2


def test_who_patches_the_adapters_send_is_called_for_every_attempt(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script(respond(503))
    seen: list[str | None] = []
    original = HTTPAdapter.send

    def send(self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kw: Any) -> Any:
        seen.append(request.url)
        return original(self, request, *args, **kw)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    with Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn:
        conn.request("GET", "/a")

    assert seen == [server.url + "/a"] * 2


# A response hook that calls raise_for_status


def strict(response: requests.Response, *_: Any, **__: Any) -> None:
    response.raise_for_status()


@pytest.mark.parametrize("where", ["session", "call"])
def test_a_response_hook_that_raises_for_the_status_changes_no_decision(
    server: ScriptedServer, where: str
) -> None:
    hooks = {"response": strict} if where == "call" else None
    server.script(
        respond(503, body=b"busy"),
        respond(429, body=b"slowly"),
        respond(200, json="there"),
        respond(404, json={"error_text": "no such book"}),
    )
    with Connection(server.url, ANONYMOUS, clock=SkippingClock()) as conn:
        if where == "session":
            conn.session.hooks["response"].append(strict)
        assert conn.request("GET", "/", hooks=hooks).json() == "there"
        with pytest.raises(HTTPNotFound, match="no such book") as raised:
            conn.request("GET", "/", hooks=hooks)
        assert raised.value.response.json() == {"error_text": "no such book"}
        assert raised.value.attempts == 1
        assert conn.response is not None
        assert conn.response.status_code == 404

    assert server.count() == 4
    assert len(server.connections) == 1


def test_an_error_of_a_response_hooks_own_comes_up_as_it_is(server: ScriptedServer) -> None:
    def broken(response: requests.Response, *_: Any, **__: Any) -> None:
        raise LookupError(response.status_code)

    told = Events()
    with Connection(server.url, ANONYMOUS, observers=[told]) as conn:
        with pytest.raises(LookupError):
            conn.request("GET", "/", hooks={"response": broken})
        assert conn.in_flight == 0

    server.wait_for(lambda: server.connections[0].closed_by == "client")
    assert server.count() == told.attempts == 1


# no_wait


def test_no_wait_waits_no_time_and_decides_the_same() -> None:
    begun = time.monotonic()
    with no_wait() as clock, responses.RequestsMock() as mock, Connection(API, ANONYMOUS) as conn:
        mock.get(API + "/", **BUSY)
        mock.get(API + "/", **BUSY)
        mock.get(API + "/", json="there")
        assert conn.json_request("GET", "/") == "there"

    assert clock.slept == [7.0, 7.0]
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("retry_after", "slept"), [("61", []), ("31", []), ("20", [20.0]), ("12", [12.0, 12.0])]
)
def test_deadlines_and_ceilings_hold_under_no_wait(retry_after: str, slept: list[float]) -> None:
    with no_wait() as clock, responses.RequestsMock() as mock, Connection(API, ANONYMOUS) as conn:
        mock.get(API + "/", status=503, headers={"Retry-After": retry_after})
        with pytest.raises(HTTPServiceUnavailable) as raised:
            conn.request("GET", "/")

    assert clock.slept == slept
    assert raised.value.attempts == len(slept) + 1
    assert raised.value.retry_after == float(retry_after)


def test_no_wait_reaches_connections_that_exist_in_all_threads() -> None:
    with (
        Connection(API, ANONYMOUS) as conn,
        no_wait() as clock,
        responses.RequestsMock() as mock,
        ThreadPoolExecutor(1) as pool,
    ):
        mock.get(API + "/", **BUSY)
        mock.get(API + "/", json="there")
        assert pool.submit(conn.json_request, "GET", "/").result(5) == "there"

    assert clock.slept == [7.0]


def test_no_wait_leaves_a_clock_that_was_given() -> None:
    mine = SkippingClock()
    with (
        no_wait() as clock,
        responses.RequestsMock() as mock,
        Connection(API, ANONYMOUS, clock=mine) as conn,
    ):
        mock.get(API + "/", **BUSY)
        mock.get(API + "/", json="there")
        conn.request("GET", "/")

    assert (clock.slept, mine.slept) == ([], [7.0])


def test_blocks_of_no_wait_nest_and_end() -> None:
    with no_wait() as outer:
        with (
            no_wait() as inner,
            responses.RequestsMock() as mock,
            Connection(API, ANONYMOUS) as conn,
        ):
            mock.get(API + "/", **BUSY)
            mock.get(API + "/", json="there")
            conn.request("GET", "/")
        with responses.RequestsMock() as mock:
            mock.get(API + "/", status=503, headers={"Retry-After": "3"})
            mock.get(API + "/", json="there")
            conn.request("GET", "/")

    assert (inner.slept, outer.slept) == ([7.0], [3.0])


def test_what_was_warned_of_before_is_warned_of_anew(caplog: pytest.LogCaptureFixture) -> None:
    def warnings_of_7_failures() -> int:
        caplog.clear()
        with responses.RequestsMock() as mock, Connection(API + "/failing", ANONYMOUS) as conn:
            mock.get(API + "/failing", body=requests.exceptions.ConnectionError("gone"))
            for _ in range(7):
                with pytest.raises(TransportError):
                    conn.request("GET", "", policy=Policy(attempts=1))
        return sum("event=request.failed" in record.message for record in caplog.records)

    with no_wait():
        assert warnings_of_7_failures() == 5  # then the limit holds
        assert warnings_of_7_failures() == 0
    with no_wait():
        assert warnings_of_7_failures() == 5


# The pytest fixture


def test_the_pytest_fixture_works_where_warnings_are_errors(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import sleepwalker
        pytest_plugins = ["sleepwalker.testing"]
        """
    )
    pytester.makepyfile(
        """
        import pytest
        import responses
        from sleepwalker import ANONYMOUS, Connection
        from sleepwalker.exceptions import HTTPServiceUnavailable

        URL = "https://api.example.com/flaky"

        @responses.activate
        @pytest.mark.parametrize("seconds", [5.0, 9.0])
        def test_that_recovers(sleepwalker_no_wait, seconds):
            responses.get(URL, status=503, headers={"Retry-After": f"{seconds:.0f}"})
            responses.get(URL, json={"ok": True})
            with Connection("https://api.example.com", ANONYMOUS) as conn:
                assert conn.json_request("GET", "/flaky") == {"ok": True}
            assert sleepwalker_no_wait.slept == [seconds]

        @responses.activate
        def test_that_does_not_recover(sleepwalker_no_wait):
            responses.post(URL, status=503)
            with Connection("https://api.example.com", ANONYMOUS) as conn:
                with pytest.raises(HTTPServiceUnavailable):
                    conn.json_request("POST", "/flaky", {}, idempotency_key=True)
            assert len(responses.calls) == 3
            assert len(sleepwalker_no_wait.slept) == 2
        """
    )

    result = pytester.runpytest_subprocess("-q", "-W", "error", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=3)
    listed = pytester.runpytest_subprocess("--fixtures", "-q", "-p", "no:cacheprovider")
    listed.stdout.fnmatch_lines(["sleepwalker_no_wait*"])


# Event loops


BLOCKING = """
import asyncio, sys
import structlog
from sleepwalker import ANONYMOUS, Connection

structlog.configure(
    processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
)

async def main():
    for path in ("/a", "/b"):
        with Connection(sys.argv[1] + path, ANONYMOUS) as conn:
            conn.request("GET", "/1")
            conn.json_request("GET", "/2")

asyncio.run(main())
asyncio.run(main())
"""

IN_A_THREAD = """
import asyncio, sys
import structlog
from sleepwalker import ANONYMOUS, Connection

structlog.configure(
    processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()]
)

async def main():
    with Connection(sys.argv[1], ANONYMOUS) as conn:
        await asyncio.to_thread(conn.request, "GET", "/1")

asyncio.run(main())
"""


def logged(program: str, url: str) -> list[dict[str, Any]]:
    """Run a program in a process of its own, where warnings are errors; the events it logged."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, url],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_from_async_def_one_warning_event_says_it_once_for_the_process(
    server: ScriptedServer,
) -> None:
    told = logged(BLOCKING, server.url)

    assert server.count() == 8
    warnings = [event for event in told if event["event"] == "request.blocks_event_loop"]
    assert [(event["level"], event["host"]) for event in warnings] == [
        ("warning", server.url + "/a")
    ]


def test_under_no_wait_each_test_is_told_of_a_blocked_event_loop_anew(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def call(**options: Any) -> None:
        with Connection(server.url, ANONYMOUS, registry=False, **options) as conn:
            conn.request("GET", "/")

    for _ in range(2):
        caplog.clear()
        with no_wait():
            asyncio.run(call(logger=False))
            asyncio.run(call())
            asyncio.run(call())
        assert caplog.text.count("event=request.blocks_event_loop") == 1


def test_from_a_thread_of_an_event_loop_there_is_nothing_to_say(server: ScriptedServer) -> None:
    told = logged(IN_A_THREAD, server.url)

    assert server.count() == 1
    assert [event["event"] for event in told] == ["request.completed"]
