"""Beside other instrumentations of the same wire, and within the requests of exporters.

Rule: a span or a header too many fails as surely as one too few.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanKind
from requests.auth import HTTPDigestAuth

from sleepwalker import (
    ANONYMOUS,
    BearerAuth,
    Connection,
    ConnectionHook,
    ConnectionManager,
    DirectHook,
    Policy,
    SleepwalkerException,
)
from sleepwalker.observability import names
from tests.servers import (
    CertificateAuthority,
    MakeServer,
    RequireBearer,
    RequireDigest,
    ScriptedServer,
    close_without_answer,
    redirect,
    respond,
)
from tests.telemetry import Watched, traceparent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from sleepwalker.observability.events import Event

OURS: Final = names.INSTRUMENTATION
THEIRS: Final = "opentelemetry.instrumentation.requests"


@pytest.fixture
def watched(ca: CertificateAuthority) -> Watched:
    """Give instruments of this test's own."""
    return Watched(ca)


@pytest.fixture
def neighbours(watched: Watched) -> Iterator[Watched]:
    """Switch the instrumentations of requests and urllib3 on, into the same spans."""
    instrumentors = (RequestsInstrumentor(), URLLib3Instrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=watched.provider)
    try:
        yield watched
    finally:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()


def clients(watched: Watched) -> list[tuple[str, str]]:
    """Who told of which CLIENT span, in order."""
    return [
        (span.instrumentation_scope.name, span.name)
        for span in watched.spans
        if span.kind is SpanKind.CLIENT and span.instrumentation_scope is not None
    ]


def carried(*servers: ScriptedServer) -> list[str]:
    """Every ``traceparent`` that came over the wire: one a request."""
    found = []
    for server in servers:
        for request in server.requests:
            (header,) = request.headers.get_all("traceparent")
            found.append(header)
    return found


# --- one CLIENT span an attempt ------------------------------------------------------------------


def test_the_neighbours_do_tell_of_what_is_not_ours(
    neighbours: Watched, server: ScriptedServer
) -> None:
    requests.get(server.url, timeout=5)

    assert clients(neighbours) == [(THEIRS, "GET")]


def test_a_call_with_retries_has_one_client_span_and_one_traceparent_an_attempt(
    neighbours: Watched, tls_server: ScriptedServer
) -> None:
    tls_server.script(respond(503), close_without_answer(), respond(json={}))

    neighbours.connection(tls_server.url).json_request("GET", "/", name="/x")

    assert clients(neighbours) == [(OURS, "GET /x")] * 3
    assert carried(tls_server) == [traceparent(s.context) for s in neighbours.named("GET /x")]


def test_so_has_a_redirect_to_another_host(
    neighbours: Watched, two_tls_hosts: tuple[ScriptedServer, ScriptedServer]
) -> None:
    first, second = two_tls_hosts
    first.default = redirect(302, f"{second.url}/there")

    neighbours.connection(first.url).request("GET", "/")

    assert clients(neighbours) == [(OURS, "GET")] * 2
    assert carried(first, second) == [traceparent(s.context) for s in neighbours.named("GET")]


@pytest.mark.parametrize("kind", ["digest", "bearer"])
def test_so_have_replays(kind: str, neighbours: Watched, tls_server: ScriptedServer) -> None:
    tokens = iter(["old", "new"])
    auth: Any = HTTPDigestAuth("reader", "password")
    tls_server.default = RequireDigest("reader", "password")
    if kind == "bearer":
        auth, tls_server.default = BearerAuth(lambda: next(tokens)), RequireBearer("new")

    neighbours.connection(tls_server.url, auth).json_request("GET", "/")

    assert clients(neighbours) == [(OURS, "GET")] * 2
    assert carried(tls_server) == [traceparent(s.context) for s in neighbours.named("GET")]


def test_what_a_session_sends_past_its_connection_is_the_neighbours_to_tell(
    neighbours: Watched, tls_server: ScriptedServer
) -> None:
    conn = neighbours.connection(tls_server.url)

    conn.session.get(tls_server.url, verify=conn.session.verify)

    assert clients(neighbours) == [(THEIRS, "GET")]


# --- the users' own requests stay visible --------------------------------------------------------


def test_what_a_connection_hook_sends_is_theirs(
    neighbours: Watched, server: ScriptedServer
) -> None:
    class LogsIn(ConnectionHook):
        def connect(self, host: Any, auth: Any) -> Connection:
            requests.post(f"{server.url}/login", timeout=5)
            return neighbours.connection(host, auth)

    with ConnectionManager(hooks=[LogsIn()], **neighbours.instruments) as manager:
        manager.find(server.url, ANONYMOUS)

    (login,) = neighbours.named("POST")
    (hook,) = neighbours.named("sleepwalker.hook")
    assert clients(neighbours) == [(THEIRS, "POST")]
    assert login.parent is not None
    assert hook.context is not None
    assert login.parent.span_id == hook.context.span_id


@pytest.mark.parametrize("digest", [False, True])
def test_what_a_response_hook_sends_is_theirs_and_the_attempt_ours(
    digest: bool,  # noqa: FBT001 - a parameter of the test
    neighbours: Watched,
    server: ScriptedServer,
    tls_server: ScriptedServer,
) -> None:
    def calls_home(_response: requests.Response, **_: Any) -> None:
        requests.put(server.url, timeout=5)

    auth: Any = HTTPDigestAuth("reader", "password") if digest else ANONYMOUS
    if digest:
        tls_server.default = RequireDigest("reader", "password")
    neighbours.connection(tls_server.url, auth).request("GET", "/", hooks={"response": calls_home})

    told = clients(neighbours)
    assert told.count((THEIRS, "PUT")) == server.count(method="PUT") == 1
    assert told.count((OURS, "GET")) == tls_server.count(method="GET") == 1 + digest
    assert len(told) == 2 + digest


@pytest.mark.parametrize("as_file", [False, True])
def test_what_the_making_of_a_body_sends_is_theirs(
    as_file: bool,  # noqa: FBT001 - a parameter of the test
    neighbours: Watched,
    server: ScriptedServer,
    tls_server: ScriptedServer,
) -> None:
    def parts() -> Iterator[bytes]:
        yield b"a"
        requests.put(server.url, timeout=5)
        yield b"b"

    made = parts()

    class File:
        def read(self, _size: int = -1) -> bytes:
            return next(made, b"")

    body = File() if as_file else parts()
    neighbours.connection(tls_server.url).request("POST", "/", data=body)

    assert sorted(clients(neighbours)) == [(THEIRS, "PUT"), (OURS, "POST")]
    assert tls_server.requests[0].body == b"ab"


def test_a_call_of_ours_within_a_call_of_ours_is_told(
    neighbours: Watched, server: ScriptedServer, tls_server: ScriptedServer
) -> None:
    other = neighbours.connection(server.url)

    def parts() -> Iterator[bytes]:
        other.request("PUT", "/")
        yield b"a"

    neighbours.connection(tls_server.url).request("POST", "/", data=parts())

    assert sorted(clients(neighbours)) == [(OURS, "POST"), (OURS, "PUT")]


@pytest.mark.parametrize("answer", [respond(json={}), respond(503), close_without_answer()])
def test_the_context_is_after_a_call_as_it_was_before(
    answer: Any, watched: Watched, tls_server: ScriptedServer
) -> None:
    tls_server.default = answer
    token = context.attach(context.set_value("mine", 1))
    before = context.get_current()

    with suppress(SleepwalkerException):
        watched.connection(tls_server.url).request("GET", "/")

    assert context.get_current() == before
    context.detach(token)


# --- exporters -----------------------------------------------------------------------------------


class Exports(SpanExporter):
    """Sends each batch with a connection of ours, as an exporter of the user's would.

    :param through: gives the connection
    """

    def __init__(self, through: Any) -> None:
        self._through = through
        self.exported: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the names of the spans."""
        self.exported += [span.name for span in spans]
        self._through().json_request(
            "POST", "/spans", [span.name for span in spans], idempotent=True
        )
        return SpanExportResult.SUCCESS


def test_nothing_is_told_of_an_exporters_own_requests(
    watched: Watched, tls_server: ScriptedServer, make_server: MakeServer
) -> None:
    collector = make_server(tls=True)
    collector.script(respond(503), close_without_answer(), redirect(307, "/elsewhere"))
    provider = TracerProvider(shutdown_on_exit=False)
    instruments = {**watched.instruments, "tracer_provider": provider}
    policy = Policy(quota=None, breaker=None, attempts=5)
    options: dict[str, Any] = {
        "verify": tls_server_bundle(watched),
        "clock": watched.clock,
        "policy": policy,
    }
    manager = ConnectionManager(hooks=[DirectHook(**options)], **instruments)
    exporter = Exports(lambda: manager.find(collector.url, ANONYMOUS))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    events: list[Event] = watched.events
    manager.find(tls_server.url, ANONYMOUS).json_request("GET", "/")
    told, lines, counts = list(events), list(watched.lines), watched.samples()

    provider.force_flush()
    provider.force_flush()

    assert exporter.exported == [
        *("sleepwalker.hook", "sleepwalker.connect", "GET", "sleepwalker.request")
    ]
    assert [request.target for request in collector.requests] == [
        *("/spans", "/spans", "/spans", "/elsewhere")
    ]
    assert all("traceparent" not in request.headers for request in collector.requests)
    assert (events, watched.lines) == (told, lines)
    changed = {
        name: value for name, value in watched.samples().items() if counts.get(name) != value
    }
    # What is there is there, whoever asked for it.
    assert changed == {
        "sleepwalker_pools": 2.0,
        f'sleepwalker_pool_connections{{auth="none",host="{collector.url}",state="active"}}': 0.0,
        f'sleepwalker_pool_connections{{auth="none",host="{collector.url}",state="idle"}}': 1.0,
    }
    provider.shutdown()
    manager.close()


def tls_server_bundle(watched: Watched) -> Any:
    """The authority that the test's servers are from."""
    with watched.connection("https://nowhere.example") as conn:
        return conn.session.verify


def test_what_an_exporter_has_established_is_told_when_others_use_it(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    hook = DirectHook(verify=tls_server_bundle(watched))
    with ConnectionManager(hooks=[hook], **watched.instruments) as manager:
        with suppress_instrumentation():
            manager.find(tls_server.url, ANONYMOUS).json_request("GET", "/")
        assert watched.spans == []

        manager.find(tls_server.url, ANONYMOUS).json_request("GET", "/")

        assert [span.name for span in watched.spans] == ["GET", "sleepwalker.request"][::-1]


def test_an_exporter_that_comes_when_hits_are_told_tells_those_of_others(
    watched: Watched, tls_server: ScriptedServer, make_server: MakeServer
) -> None:
    hook = DirectHook(verify=tls_server_bundle(watched), clock=watched.clock)
    with ConnectionManager(
        hooks=[hook], idle=60.0, clock=watched.clock, **watched.instruments
    ) as manager:
        old = make_server(tls=True)
        manager.find(old.url, ANONYMOUS)
        watched.clock.sleep(50.0)
        manager.find(tls_server.url, ANONYMOUS)
        for _ in range(3):
            manager.find(tls_server.url, ANONYMOUS)
        watched.clock.sleep(20.0)
        told, lines = len(watched.events), len(watched.lines)
        with suppress_instrumentation():
            manager.find(tls_server.url, ANONYMOUS)

        assert (len(watched.events), len(watched.lines)) == (told, lines)
        hits = {"host": tls_server.url, "auth": "none", "result": "hit"}
        # The exporter's own is a hit as well.
        assert watched.value(names.POOL_LOOKUPS, **hits) == 4
        evicted = {"host": old.url, "auth": "none", "reason": "idle"}
        assert watched.value(names.POOL_EVICTIONS, **evicted) == 1
        assert watched.value(names.POOLS) == 1


def test_the_otlp_exporter_may_send_through_a_connections_session(
    watched: Watched, server: ScriptedServer
) -> None:
    conn = watched.connection(server.url)
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{server.url}/v1/traces", session=conn.session)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    other = Connection(server.url, ANONYMOUS, **watched.instruments | {"tracer_provider": provider})
    other.json_request("GET", "/")

    provider.force_flush()

    assert [request.method for request in server.requests] == ["GET", "POST"]
    assert "traceparent" not in server.requests[1].headers
    assert watched.spans == []
    provider.shutdown()


def test_a_thread_that_is_not_suppressed_is_told_while_another_is(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    conn = watched.connection(tls_server.url)
    with suppress_instrumentation():
        worker = threading.Thread(target=conn.json_request, args=("GET", "/"))
        worker.start()
        worker.join()
        conn.json_request("GET", "/")

    assert [span.name for span in watched.spans] == ["sleepwalker.request", "GET"]
