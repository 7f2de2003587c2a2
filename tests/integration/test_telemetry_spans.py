"""Which spans a call and a find have, whose context goes over the wire, how each ending is told.

Rule: a span, an attempt or a header too many fails as surely as one too few.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import (
    NonRecordingSpan,
    ProxyTracerProvider,
    SpanContext,
    TraceFlags,
    TraceState,
)
from requests.auth import HTTPDigestAuth

from sleepwalker import (
    ANONYMOUS,
    BearerAuth,
    CertificateError,
    ConfigurationError,
    ConnectError,
    Connection,
    ConnectionHook,
    ConnectionManager,
    DeadlineExceeded,
    DirectHook,
    EstablishmentError,
    HTTPNotFound,
    HTTPServiceUnavailable,
    Policy,
    ProtocolError,
    ReadTimeout,
    TLSError,
    TooManyRedirects,
)
from sleepwalker.observability import names
from tests.servers import (
    CertificateAuthority,
    MakeServer,
    Request,
    RequireBearer,
    RequireDigest,
    ScriptedServer,
    close_in_handshake,
    close_without_answer,
    garbage_status_line,
    redirect,
    refused_port,
    respond,
    stall,
    truncated_body,
)
from tests.telemetry import FrozenClock, Watched, traceparent

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from opentelemetry.context import Context


@pytest.fixture
def watched(ca: CertificateAuthority) -> Watched:
    """Give instruments of this test's own."""
    return Watched(ca)


# --- spans and context ---------------------------------------------------------------------------


def test_a_call_and_a_find_are_children_of_the_applications_span(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    tracer = watched.provider.get_tracer("app")
    with tracer.start_as_current_span("app"), ConnectionManager(**watched.instruments) as manager:
        watched.connection(tls_server.url).json_request("GET", "/")
        with pytest.raises(EstablishmentError):
            manager.find("nowhere", ANONYMOUS)
    (app,) = watched.forest()
    assert [child.name for child in app.children] == ["sleepwalker.request", "sleepwalker.connect"]


@pytest.mark.parametrize("given", [False, True], ids=["the manager's", "its own"])
def test_what_a_hook_calls_hangs_below_the_hooks_span(
    given: bool,  # noqa: FBT001 - a parameter of the test
    watched: Watched,
    ca: CertificateAuthority,
    tls_server: ScriptedServer,
) -> None:
    options = watched.instruments if given else {}

    class LogsIn(ConnectionHook):
        def connect(self, host: Any, auth: Any) -> Any:
            conn = Connection(host, auth, verify=str(ca.bundle), **options)
            conn.json_request("POST", "/login")
            return conn

    with ConnectionManager(hooks=[LogsIn()], **watched.instruments) as manager:
        manager.find(tls_server.url, ANONYMOUS).json_request("GET", "/")
    connected, called = watched.forest()
    (hook_span,) = connected.children
    (login,) = hook_span.children
    assert [one.name for one in (connected, hook_span, login, *login.children, called)] == [
        "sleepwalker.connect",
        "sleepwalker.hook",
        "sleepwalker.request",
        "POST",
        "sleepwalker.request",
    ]
    labels = {"host": tls_server.url, "auth": "none", "outcome": "success"}
    for method in ("POST", "GET"):
        count = watched.value(f"{names.REQUEST_DURATION}_count", **labels, method=method)
        assert count == 1


@pytest.mark.parametrize("spelling", ["traceparent", "Traceparent", "TRACEPARENT"])
@pytest.mark.parametrize("given", ["headers", "extra_headers", "added", "session"])
def test_a_callers_own_traceparent_is_left_alone(
    spelling: str, given: str, watched: Watched, tls_server: ScriptedServer
) -> None:
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {spelling: own, "tracestate": "vendor=1"}
    conn = watched.connection(tls_server.url)
    tls_server.script(respond(503), redirect(302, "/again"), respond(json={}))
    with watched.provider.get_tracer("app").start_as_current_span("app"):
        if given == "headers":
            conn.request("GET", "/", headers=headers)
        elif given == "extra_headers":
            conn.json_request("GET", "/", extra_headers=headers)
        elif given == "added":
            conn.add_headers(headers)
            conn.json_request("GET", "/")
        else:
            conn.session.headers.update(headers)
            conn.json_request("GET", "/")
    assert [request.headers.get_all("traceparent") for request in tls_server.requests] == [
        [own]
    ] * 3
    assert [request.headers.get_all("tracestate") for request in tls_server.requests] == [
        ["vendor=1"]
    ] * 3


def test_the_headers_of_a_caller_are_not_written_to(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    headers = {"X-Note": "a"}
    conn = watched.connection(tls_server.url)
    conn.request("GET", "/", headers=headers)
    assert headers == {"X-Note": "a"}
    assert "traceparent" not in conn.session.headers


def test_baggage_stays_at_home(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer], watched: Watched
) -> None:
    server, other = two_tls_hosts
    server.script(respond(503), redirect(302, "/a"), redirect(302, f"{other.localhost_url}/b"))
    with (
        entered(baggage.set_baggage("user", "me")),
        watched.provider.get_tracer("app").start_as_current_span("app"),
    ):
        watched.connection(server.url).json_request("GET", "/")
    seen = [*server.requests, *other.requests]
    assert len(seen) == 4
    assert all("baggage" not in request.headers for request in seen)
    assert all("traceparent" in request.headers for request in seen)


def test_baggage_goes_to_the_hosts_that_are_named_for_it_alone(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer], watched: Watched
) -> None:
    server, other = two_tls_hosts
    server.script(respond(503), redirect(302, f"{other.localhost_url}/b"))
    named = [f"https://127.0.0.1:{server.port}"]
    conn = watched.connection(server.url, baggage_hosts=named)
    with entered(baggage.set_baggage("user", "me")):
        conn.json_request("GET", "/")
        conn.request("GET", "/", headers={"Baggage": "mine=1"})

    first = [request.headers.get("baggage") for request in server.requests]
    assert first == ["user=me", "user=me", "mine=1"]
    assert [request.headers.get("baggage") for request in other.requests] == [None]


def test_a_managers_connections_have_its_hosts_for_baggage(
    tls_server: ScriptedServer, watched: Watched, ca: CertificateAuthority
) -> None:
    hook = DirectHook(verify=str(ca.bundle))
    options = {**watched.instruments, "baggage_hosts": ["127.0.0.*"]}
    with (
        ConnectionManager(hooks=[hook], **options) as manager,
        entered(baggage.set_baggage("user", "me")),
    ):
        manager.find(tls_server.url, ANONYMOUS).json_request("GET", "/")

    assert tls_server.requests[0].headers.get("baggage") == "user=me"


@pytest.mark.parametrize("given", ["*.example", 7, ["https://x/path"], [""], [None]])
def test_hosts_for_baggage_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"baggage_hosts|host pattern"):
        ConnectionManager(baggage_hosts=given)
    with pytest.raises(ConfigurationError, match=r"baggage_hosts|host pattern"):
        Connection("https://host.example", ANONYMOUS, baggage_hosts=given)


@contextmanager
def entered(given: Context) -> Iterator[None]:
    """Make this the current context inside a ``with`` block."""
    token = context.attach(given)
    try:
        yield
    finally:
        context.detach(token)


@pytest.mark.parametrize("provider", [None, False], ids=["no SDK", "spans off"])
@pytest.mark.parametrize("sampled", [0, 1])
def test_without_spans_of_ours_a_remote_parents_context_goes_on(
    provider: Any, sampled: int, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    assert isinstance(trace.get_tracer_provider(), ProxyTracerProvider), "a test has set a global"
    parent = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
        is_remote=True,
        trace_flags=TraceFlags(sampled),
        trace_state=TraceState([("vendor", "1")]),
    )
    tls_server.script(respond(503), respond(json={}))
    conn = Connection(
        tls_server.url,
        ANONYMOUS,
        verify=str(ca.bundle),
        clock=FrozenClock(),
        registry=False,
        logger=False,
        tracer_provider=provider,
    )
    with entered(trace.set_span_in_context(NonRecordingSpan(parent))):
        assert conn.json_request("GET", "/") == {}
    sent = [
        (request.headers["traceparent"], request.headers["tracestate"])
        for request in tls_server.requests
    ]
    assert sent == [(traceparent(parent), "vendor=1")] * 2


@pytest.mark.parametrize("provider", [None, False], ids=["no SDK", "spans off"])
def test_without_any_trace_no_context_is_sent(
    provider: Any, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    conn = Connection(
        tls_server.url, ANONYMOUS, verify=str(ca.bundle), tracer_provider=provider, registry=False
    )
    conn.json_request("GET", "/")
    (seen,) = tls_server.requests
    assert not {"traceparent", "tracestate", "baggage"} & set(seen.headers)


def test_with_spans_off_the_applications_own_span_goes_on(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    options = {**watched.instruments, "tracer_provider": False, "verify": str(ca.bundle)}
    with watched.provider.get_tracer("app").start_as_current_span("app") as app:
        Connection(tls_server.url, ANONYMOUS, **options).json_request("GET", "/")
    (seen,) = tls_server.requests
    assert seen.headers["traceparent"] == traceparent(app.get_span_context())
    assert [span.name for span in watched.spans] == ["app"]


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "not sampled"])
def test_an_attempt_has_an_exemplar_if_its_span_is_sampled_and_a_context_in_any_case(
    sampler: Sampler, watched: Watched, tls_server: ScriptedServer
) -> None:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    watched.connection(tls_server.url, tracer_provider=provider).json_request("GET", "/")

    (seen,) = tls_server.requests
    _, trace_id, span_id, flags = seen.headers["traceparent"].split("-")
    exemplars = [
        sample.exemplar.labels
        for family in watched.registry.collect()
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert bool(int(flags, 16) & TraceFlags.SAMPLED) == (sampler is ALWAYS_ON)
    expected = [{"trace_id": trace_id, "span_id": span_id}]
    assert exemplars == (expected if sampler is ALWAYS_ON else [])


def replays(watched: Watched, server: ScriptedServer) -> None:
    """Expect two attempts of one call, each with a span and a context of its own."""
    (call,) = watched.forest()
    assert (call.attributes["sleepwalker.attempts"], call.status) == (2, "UNSET")
    first, second = call.children
    assert (first.kind, first.status, first.attributes["error.type"]) == ("CLIENT", "ERROR", "401")
    assert (second.kind, second.status) == ("CLIENT", "UNSET")
    assert second.attributes["http.request.resend_count"] == 1
    contexts = [traceparent(span.context) for span in watched.spans if span.name == "GET"]
    assert [request.headers["traceparent"] for request in server.requests] == contexts
    assert len(set(contexts)) == 2
    retries = {key: value for key, value in watched.samples().items() if "retries_total" in key}
    assert list(retries.values()) == [1]
    assert 'reason="auth"' in "".join(retries)


def test_the_replay_of_digest_is_an_attempt(watched: Watched, tls_server: ScriptedServer) -> None:
    tls_server.default = RequireDigest("reader", "pw")
    watched.connection(tls_server.url, HTTPDigestAuth("reader", "pw")).json_request("GET", "/")
    replays(watched, tls_server)


def test_the_replay_with_a_new_token_is_an_attempt(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    tokens = iter(["old", "new"])
    tls_server.default = RequireBearer("new")
    watched.connection(tls_server.url, BearerAuth(lambda: next(tokens))).json_request("GET", "/")
    replays(watched, tls_server)


def test_a_method_that_nobody_knows_is_told_as_another(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    watched.connection(tls_server.url).request("BREW", "/")
    (call,) = watched.forest()
    (sent,) = call.children
    assert (sent.name, sent.attributes["http.request.method"]) == ("HTTP", "_OTHER")
    assert sent.attributes["http.request.method_original"] == "BREW"
    assert call.attributes["http.request.method"] == "_OTHER"
    assert all('method="_OTHER"' in key for key in watched.samples() if "method=" in key)


# --- how calls end -------------------------------------------------------------------------------

ENDS: Final[dict[str, tuple[Any, type[BaseException], str, str]]] = {
    "refused": (None, ConnectError, "refused_connection", "exhausted"),
    "wrong name": ("wrong name", CertificateError, "certificate", "error"),
    "no handshake": (close_in_handshake(), TLSError, "tls", "exhausted"),
    "closed": (close_without_answer(), ProtocolError, "closed", "exhausted"),
    "truncated": (truncated_body(), ProtocolError, "truncated", "exhausted"),
    "garbage": (garbage_status_line(), ProtocolError, "protocol", "exhausted"),
    "stalled": (stall(), ReadTimeout, "read_timeout", "exhausted"),
    "late": (stall(), DeadlineExceeded, "deadline", "timeout"),
    "looping": (redirect(302, "/"), TooManyRedirects, "none", "error"),
    "503": (respond(503), HTTPServiceUnavailable, "none", "exhausted"),
}


@pytest.mark.parametrize("how", ENDS)
def test_how_a_call_ended_is_told_everywhere(
    how: str, watched: Watched, make_server: MakeServer, ca: CertificateAuthority
) -> None:
    answer, expected, error_type, outcome = ENDS[how]
    policy = Policy(attempts=2, redirects=1, read_timeout=0.05 if how == "stalled" else 10.0)
    with refused_port() as port:
        tls: ssl.SSLContext | bool = True
        if isinstance(answer, str):
            tls = ca.server_context("wrong name")
        server = None if answer is None else make_server(tls=tls)
        if server is not None and not isinstance(answer, str):
            server.default = answer
        url = f"https://127.0.0.1:{port}" if server is None else server.url
        deadline = 0.05 if how == "late" else None
        with pytest.raises(expected):
            watched.connection(url, policy=policy).request("GET", "/", deadline=deadline)
    attempts = 1 if outcome in {"error", "timeout"} and how != "looping" else 2
    told = {"looping": "too_many_redirects", "503": "503"}.get(how, error_type)
    (call,) = watched.forest()
    assert call.status == "ERROR"
    assert call.attributes["error.type"] == told
    assert call.attributes["sleepwalker.outcome"] == outcome
    assert call.attributes["sleepwalker.attempts"] == len(call.children) == attempts
    if error_type != "none":
        assert {child.attributes["error.type"] for child in call.children} == {error_type}
    pool = {"host": url, "auth": "none"}
    code = {"looping": "302", "503": "503"}.get(how, "none")
    assert (
        watched.value(
            "sleepwalker_attempts_total", **pool, method="GET", code=code, error_type=error_type
        )
        == attempts
    )
    assert (
        watched.value(
            "sleepwalker_request_duration_seconds_count", **pool, method="GET", outcome=outcome
        )
        == 1
    )
    assert watched.value("sleepwalker_requests_in_flight", **pool) == 0
    last = watched.lines[-1]
    name = "request.retries_exhausted" if outcome == "exhausted" else "request.failed"
    assert (last["event"], last["level"], last["outcome"]) == (name, "warning", outcome)
    assert last["error_type"] == {"503": "status"}.get(how, told)


def test_a_call_is_in_flight_while_it_lasts(watched: Watched, tls_server: ScriptedServer) -> None:
    pool = {"host": tls_server.url, "auth": "none"}
    counted: list[float | None] = []

    def count(_: Request) -> Any:
        counted.append(watched.value("sleepwalker_requests_in_flight", **pool))
        return respond(503) if len(counted) == 1 else respond(json={})

    tls_server.default = count
    watched.connection(tls_server.url).json_request("GET", "/")
    counted.append(watched.value("sleepwalker_requests_in_flight", **pool))
    assert counted == [1, 1, 0]


def test_a_call_that_is_interrupted_is_told_as_cancelled(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watched.connection(tls_server.url).request("GET", "/", hooks={"response": interrupt})
    (call,) = watched.forest()
    assert call.attributes["sleepwalker.outcome"] == "cancelled"
    assert len(call.children) == 1
    pool = {"host": tls_server.url, "auth": "none"}
    assert watched.value("sleepwalker_requests_in_flight", **pool) == 0
    assert (watched.lines[-1]["event"], watched.lines[-1]["level"]) == ("request.cancelled", "info")


def test_an_error_of_the_callers_own_code_is_told_as_an_error(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError):
        watched.connection(tls_server.url).request("GET", "/", hooks={"response": fail})
    (call,) = watched.forest()
    assert (call.attributes["sleepwalker.outcome"], call.attributes["error.type"]) == (
        "error",
        "other",
    )


def test_a_body_that_is_not_read_yet_is_a_success(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    with watched.connection(tls_server.url).request("GET", "/", stream=True) as response:
        assert [call.status for call in watched.forest()] == ["UNSET"]
        assert response.json()


def test_a_status_of_another_call_is_told_as_one(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    conn = watched.connection(tls_server.url)
    tls_server.script(respond(json={}), respond(404))

    def asks(_response: Any, **_: Any) -> None:
        conn.request("GET", "/other")

    with pytest.raises(HTTPNotFound):
        conn.request("GET", "/", hooks={"response": asks})

    outer, inner = watched.named("sleepwalker.request")
    assert [dict(span.attributes or {})["error.type"] for span in (outer, inner)] == [
        *("status", "404")
    ]


def test_baggage_goes_to_its_hosts_beside_a_callers_own_trace(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    own = f"00-{'1' * 32}-{'2' * 16}-01"
    conn = watched.connection(tls_server.url, baggage_hosts=["https://127.0.0.1:*"])
    token = context.attach(baggage.set_baggage("customer", "4711"))
    try:
        conn.request("GET", "/", headers={"traceparent": own})
    finally:
        context.detach(token)

    (seen,) = tls_server.requests
    assert seen.headers.get_all("traceparent") == [own]
    assert seen.headers["baggage"] == "customer=4711"
