"""What an operator sees of one run: spans, metrics, log lines and events, told exactly.

Rule 1: the scripted run is played once and shown from every side; its clock stands still but for
    waits, so durations are exact.
Rule 2: expectations are whole: a span, sample or line too many fails as surely as one too few.
Rule 3: what is global to a process (the default registry, the global tracer provider, silence) is
    shown in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from typing import Any, Final

import pytest
from opentelemetry import trace

from sleepwalker import (
    ANONYMOUS,
    Backoff,
    Connection,
    ConnectionManager,
    CrossOriginError,
    DecodeError,
    EstablishmentError,
    HTTPNotFound,
    Policy,
)
from sleepwalker.observability import names
from sleepwalker.observability.events import AttemptFinished
from tests.servers import (
    CertificateAuthority,
    ScriptedServer,
    redirect,
    reset_after_reading,
    respond,
)
from tests.telemetry import (
    HALF,
    Declines,
    Flaky,
    FrozenClock,
    Node,
    Watched,
    node,
    sample,
    traceparent,
)

EXACT: Final = Policy(backoff=Backoff(base=0.0625))
"""A policy whose waits add up without rounding."""
WAIT: Final = 0.03125
"""Seconds: the first wait under it."""


# --- the scripted run ----------------------------------------------------------------------------


class Run:
    """The scripted run, and all that came of it."""

    def __init__(self, ca: CertificateAuthority) -> None:
        self.watched, self.clock = Watched(), FrozenClock()
        with (
            ScriptedServer(tls=ca.server_context()) as alpha,
            ScriptedServer(respond(json={}), tls=ca.server_context()) as beta,
        ):
            self.alpha, self.beta = alpha, beta
            self.hook = Flaky(ca, self.clock, beta.url)
            self.manager = ConnectionManager(
                hooks=[Declines(), self.hook],
                clock=self.clock,
                random=lambda: HALF,
                policy=EXACT,
                **self.watched.instruments,
            )
            self._play()
            self.seen = [*alpha.requests, *beta.requests]

    def _play(self) -> None:
        alpha, beta, manager = self.alpha, self.beta, self.manager
        conn = manager.find(alpha.url, ANONYMOUS)
        alpha.script(respond(503, {"Retry-After": "2"}), respond(json={"id": 1}))
        assert conn.json_request("GET", "/books", name="/books") == {"id": 1}
        alpha.script(redirect(301, "/new"), respond(json={}))
        conn.json_request("GET", "/old?page=2&token=t0ken")
        alpha.script(redirect(307, f"{beta.localhost_url}/elsewhere"))
        conn.json_request("GET", "/moved")
        alpha.script(reset_after_reading(), respond(201))
        conn.json_request("POST", "/reviews", {"stars": 5}, idempotency_key="k-1")
        alpha.script(respond(404))
        with pytest.raises(HTTPNotFound):
            conn.json_request("GET", "/missing")
        alpha.script(respond(body=b"<html>"))
        with pytest.raises(DecodeError):
            conn.json_request("GET", "/page")
        with pytest.raises(CrossOriginError):
            conn.json_request("GET", f"{beta.url}/books")
        assert manager.find(alpha.url, ANONYMOUS) is conn
        assert manager.find(alpha.url, ANONYMOUS) is conn
        self._find_together()
        with pytest.raises(EstablishmentError):
            manager.find("nowhere", ANONYMOUS)
        self.pools = self.watched.value("sleepwalker_pools")
        manager.reset()

    @property
    def broken(self) -> str:
        """What a reset is told as: a TLS library may hide that a closing was one."""
        (broken,) = {
            event.error_type
            for event in self.watched.events
            if isinstance(event, AttemptFinished) and event.status is None
        }
        assert broken in {"reset", "closed"}
        return broken

    def _find_together(self) -> None:
        conns: list[Connection] = []

        def find() -> None:
            conns.append(self.manager.find(self.beta.url, ANONYMOUS))

        threads = [threading.Thread(target=find) for _ in range(2)]
        for thread in threads:
            thread.start()
        self.watched.wait_for(lambda event: getattr(event, "result", "") == "coalesced")
        self.hook.go_on.set()
        for thread in threads:
            thread.join(5.0)
        assert conns[0] is conns[1]


_runs: list[Run] = []


@pytest.fixture
def run(ca: CertificateAuthority) -> Run:
    """Give the scripted run, played at the first need."""
    if not _runs:
        _runs.append(Run(ca))
    return _runs[0]


def attempt(method: str, url: str, status: int | str, resend: int = 0, name: str = "") -> Node:
    """Expect the CLIENT span of one wire attempt."""
    host, _, port = url.partition("://")[2].partition("/")[0].partition(":")
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "url.full": url,
        "server.address": host,
        "server.port": int(port),
    }
    failed = isinstance(status, str) or status >= 400
    if isinstance(status, int):
        attributes |= {"http.response.status_code": status, "network.protocol.version": "1.1"}
    if failed:
        attributes["error.type"] = str(status)
    if resend:
        attributes["http.request.resend_count"] = resend
    if name:
        attributes["url.template"] = name
    return node(
        f"{method} {name}" if name else method,
        attributes,
        kind="CLIENT",
        status="ERROR" if failed else "UNSET",
    )


def request(host: str, method: str, outcome: str, *attempts: Node, **more: Any) -> Node:
    """Expect the span of a logical call."""
    failed = more.pop("error", None)
    attributes = {
        "sleepwalker.host": host,
        "sleepwalker.auth": "none",
        "http.request.method": method,
        "sleepwalker.outcome": outcome,
        "sleepwalker.attempts": len(attempts),
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    if failed is not None:
        attributes["error.type"] = failed
    status = "UNSET" if failed is None else "ERROR"
    return node("sleepwalker.request", attributes, *attempts, status=status)


def hook(host: str, name: str, number: int, outcome: str, error: str | None = None) -> Node:
    """Expect the span of one call of a connection hook."""
    attributes = {
        "sleepwalker.host": host,
        "sleepwalker.auth": "none",
        "sleepwalker.hook.name": name,
        "sleepwalker.hook.attempt": number,
        "sleepwalker.outcome": outcome,
    }
    if error is not None:
        attributes["error.type"] = error
    return node("sleepwalker.hook", attributes, status="UNSET" if error is None else "ERROR")


def connect(host: str, lookup: str, *hooks: Node, error: str | None = None) -> Node:
    """Expect the span of a find that was no hit."""
    attributes = {
        "sleepwalker.host": host,
        "sleepwalker.auth": "none",
        "sleepwalker.lookup": lookup,
    }
    if error is not None:
        attributes["error.type"] = error
    status = "UNSET" if error is None else "ERROR"
    return node("sleepwalker.connect", attributes, *hooks, status=status)


def test_the_spans_of_a_run_are_these(run: Run) -> None:
    a, b, other = run.alpha.url, run.beta.url, run.beta.localhost_url
    code = "http__response__status_code"
    assert run.watched.forest() == [
        connect(
            a,
            "miss",
            hook(a, "Declines", 1, "declined"),
            hook(a, "Flaky", 1, "failed", "connect"),
            hook(a, "Flaky", 2, "connected"),
        ),
        # Succeeded in the end: an unset logical span over an attempt that is an error.
        request(
            a,
            "GET",
            "success",
            attempt("GET", f"{a}/books", 503, name="/books"),
            attempt("GET", f"{a}/books", 200, 1, name="/books"),
            sleepwalker__waited=2.0,
            url__template="/books",
            **{code: 200},
        ),
        request(
            a,
            "GET",
            "success",
            attempt("GET", f"{a}/old?page=2&token=REDACTED", 301),
            attempt("GET", f"{a}/new", 200, 1),
            **{code: 200},
        ),
        request(
            a,
            "GET",
            "success",
            attempt("GET", f"{a}/moved", 307),
            attempt("GET", f"{other}/elsewhere", 200, 1),
            **{code: 200},
        ),
        request(
            a,
            "POST",
            "success",
            attempt("POST", f"{a}/reviews", run.broken),
            attempt("POST", f"{a}/reviews", 201, 1),
            sleepwalker__waited=WAIT,
            **{code: 201},
        ),
        request(a, "GET", "error", attempt("GET", f"{a}/missing", 404), error="404", **{code: 404}),
        # The attempt was fine; the call was not.
        request(a, "GET", "error", attempt("GET", f"{a}/page", 200), error="decode", **{code: 200}),
        request(a, "GET", "refused", error="cross_origin"),
        connect(b, "miss", hook(b, "Declines", 1, "declined"), hook(b, "Flaky", 1, "connected")),
        connect(b, "coalesced"),
        connect(
            "nowhere",
            "miss",
            hook("nowhere", "Declines", 1, "declined"),
            hook("nowhere", "Flaky", 1, "declined"),
            error="establishment",
        ),
    ]


def test_every_span_says_whose_it_is_and_by_which_conventions(run: Run) -> None:
    scopes = {span.instrumentation_scope for span in run.watched.spans}
    assert [(scope.name, scope.schema_url) for scope in scopes if scope is not None] == [
        ("sleepwalker", "https://opentelemetry.io/schemas/1.44.0")
    ]


def test_a_find_that_waited_links_to_the_span_of_the_establishment(run: Run) -> None:
    finds = [
        (dict(span.attributes or {})["sleepwalker.lookup"], span)
        for span in run.watched.named("sleepwalker.connect")
    ]
    ((_, leader),) = [found for found in finds[1:] if found[0] == "miss"][:1]
    ((_, waiter),) = [found for found in finds if found[0] == "coalesced"]
    assert [link.context for link in waiter.links] == [leader.context]
    assert all(not span.links for _, span in finds if span is not waiter)


def test_every_attempt_carries_the_context_of_its_own_span(run: Run) -> None:
    spans = [span for span in run.watched.spans if span.kind is trace.SpanKind.CLIENT]
    told = Counter(
        (span.attributes["server.port"], traceparent(span.context))
        for span in spans
        if span.attributes is not None
    )
    seen = Counter(
        (port, request.headers["traceparent"])
        for port, server in ((run.alpha.port, run.alpha), (run.beta.port, run.beta))
        for request in server.requests
    )
    assert seen == told
    assert len(seen) == len(run.seen) == 10


def test_the_metrics_of_a_run_are_these(run: Run) -> None:
    a, b, other = run.alpha.url, run.beta.url, run.beta.localhost_url
    expected: dict[str, float] = {}

    def expect(value: float, name: str, host: str | None = None, **labels: str) -> None:
        pool = {} if host is None else {"host": host, "auth": "none"}
        expected[sample(f"sleepwalker_{name}", **pool, **labels)] = value

    def expect_times(name: str, host: str, count: int, total: float = 0.0, **labels: str) -> None:
        expect(count, f"{name}_seconds_count", host, **labels)
        expect(total, f"{name}_seconds_sum", host, **labels)

    expect_times("request_duration", a, 3, 2.0, method="GET", outcome="success")
    expect_times("request_duration", a, 1, WAIT, method="POST", outcome="success")
    expect_times("request_duration", a, 2, method="GET", outcome="error")
    expect_times("request_duration", a, 1, method="GET", outcome="refused")
    for host, method, status, error, count in (
        (a, "GET", "200", "none", 3),
        (a, "GET", "301", "none", 1),
        (a, "GET", "307", "none", 1),
        (a, "GET", "404", "none", 1),
        (a, "GET", "503", "none", 1),
        (a, "POST", "none", run.broken, 1),
        (a, "POST", "201", "none", 1),
        (other, "GET", "200", "none", 1),
    ):
        expect(count, "attempts_total", host, method=method, code=status, error_type=error)
    for host, method, status_class, count in (
        (a, "GET", "2xx", 3),
        (a, "GET", "3xx", 2),
        (a, "GET", "4xx", 1),
        (a, "GET", "5xx", 1),
        (a, "POST", "none", 1),
        (a, "POST", "2xx", 1),
        (other, "GET", "2xx", 1),
    ):
        expect_times("attempt_duration", host, count, method=method, status_class=status_class)
    expect(1, "retries_total", a, reason="throttled")
    expect(1, "retries_total", a, reason="protocol")
    expect(2 + WAIT, "retry_wait_seconds_total", a)
    expect(0, "requests_in_flight", a)
    for host in (a, other):  # all closed by the reset
        expect(0, "pool_connections", host, state="active")
        expect(0, "pool_connections", host, state="idle")
    expect(1, "pool_lookups_total", a, result="miss")
    expect(2, "pool_lookups_total", a, result="hit")
    expect(1, "pool_lookups_total", b, result="miss")
    expect(1, "pool_lookups_total", b, result="coalesced")
    expect(1, "pool_lookups_total", "nowhere", result="miss")
    expect_times("pool_wait", b, 1)
    expect(1, "pool_evictions_total", a, reason="reset")
    expect(1, "pool_evictions_total", b, reason="reset")
    for host, name, outcome in (
        (a, "Declines", "declined"),
        (a, "Flaky", "failed"),
        (a, "Flaky", "connected"),
        (b, "Declines", "declined"),
        (b, "Flaky", "connected"),
        ("nowhere", "Declines", "declined"),
        ("nowhere", "Flaky", "declined"),
    ):
        expect_times("hook_duration", host, 1, hook=name, outcome=outcome)
    expect(1, "connect_failures_total", "nowhere", error_type="establishment")
    expected[sample(names.RETRY_QUOTA, host=a)] = 500.0
    expect(0, "pools")
    expect(0, "label_overflow_total")
    expect(0, "telemetry_errors_total")
    assert run.watched.samples() == expected
    assert run.pools == 2  # before the reset


def test_every_label_is_of_its_closed_set(run: Run) -> None:
    sets = {
        "outcome": {*names.REQUEST_OUTCOMES, *names.HOOK_OUTCOMES},
        "reason": {*names.RETRY_REASONS, *names.EVICTION_REASONS},
        "error_type": names.ERROR_TYPES,
        "status_class": names.STATUS_CLASSES,
        "result": names.LOOKUP_RESULTS,
        "method": {*names.METHODS, names.OTHER_METHOD},
    }
    labels = [
        pair
        for family in run.watched.registry.collect()
        for one in family.samples
        for pair in one.labels.items()
    ]
    assert {name for name, _ in labels} >= set(sets)
    assert [pair for pair in labels if pair[0] in sets and pair[1] not in sets[pair[0]]] == []


def test_the_log_lines_of_a_run_are_these(run: Run) -> None:
    a, b, other = run.alpha.url, run.beta.url, run.beta.localhost_url
    spans = {
        f"{span.context.span_id:016x}": (span.name, f"{span.context.trace_id:032x}")
        for span in run.watched.spans
        if span.context is not None
    }
    lines = []
    for given in run.watched.lines:
        fields = dict(given)
        name, trace_id = spans.get(fields.pop("span_id", ""), ("none", None))
        assert fields.pop("trace_id", None) == trace_id
        level, event = fields.pop("level"), fields.pop("event")
        lines.append((level, event, name.removeprefix("sleepwalker."), fields))

    def line(level: str, event: str, span: str, host: str, **fields: Any) -> tuple[Any, ...]:
        return (level, event, span, {"host": host, "auth": "none", **fields})

    def done(**fields: Any) -> tuple[Any, ...]:
        given = {"method": "GET", "outcome": "success", "attempts": 2, "duration": 0.0}
        return line(
            "debug", "request.completed", "request", a, **{**given, "status": 200, **fields}
        )

    failed = {"method": "GET", "outcome": "error", "attempts": 1, "duration": 0.0}
    assert lines == [
        line(
            "info",
            "hook.attempt.failed",
            "hook",
            a,
            hook="Flaky",
            attempt=1,
            outcome="failed",
            duration=0.0,
            error_type="connect",
        ),
        line("info", "connection.established", "connect", a, hook="Flaky", duration=WAIT),
        line(
            "info",
            "request.retry_scheduled",
            "request",
            a,
            method="GET",
            attempt=1,
            reason="throttled",
            wait=2.0,
            status=503,
            error_type="status",
        ),
        done(duration=2.0, waited=2.0, url_template="/books"),
        line(
            "debug",
            "request.redirected",
            "request",
            a,
            method="GET",
            status=301,
            target=a,
            cross_origin=False,
        ),
        done(),
        line(
            "info",
            "request.redirected",
            "request",
            a,
            method="GET",
            status=307,
            target=other,
            cross_origin=True,
        ),
        done(),
        line(
            "info",
            "request.retry_scheduled",
            "request",
            a,
            method="POST",
            attempt=1,
            reason="protocol",
            wait=WAIT,
            status=None,
            error_type=run.broken,
        ),
        done(method="POST", duration=WAIT, waited=WAIT, status=201),
        line("info", "request.failed", "request", a, **failed, status=404, error_type="status"),
        line("info", "request.failed", "request", a, **failed, status=200, error_type="decode"),
        line(
            "warning",
            "request.refused",
            "request",
            a,
            **{**failed, "outcome": "refused", "attempts": 0},
            error_type="cross_origin",
        ),
        line("info", "connection.established", "connect", b, hook="Flaky", duration=0.0),
        line(
            "warning",
            "connection.failed",
            "connect",
            "nowhere",
            hooks=2,
            duration=0.0,
            error_type="establishment",
        ),
        line("debug", "pool.evicted", "none", a, reason="reset"),
        line("debug", "pool.evicted", "none", b, reason="reset"),
        (
            "info",
            "manager.reset",
            "none",
            {"closed": 2, "draining": 0, "forgotten": 0, "failed": 0},
        ),
    ]


# --- whole processes -----------------------------------------------------------------------------

UNCONFIGURED: Final = """
import sys
import sleepwalker
from sleepwalker import ANONYMOUS, Connection, ConnectionManager, DirectHook, Policy

url, bundle = sys.argv[1:]
once = Policy(attempts=1)
with ConnectionManager(hooks=[DirectHook(verify=bundle, policy=once)]) as manager:
    conn = manager.find(url, ANONYMOUS)
    conn.json_request("GET", "/")
    for target in ("/404", "/503", "//elsewhere.test"):
        try:
            conn.json_request("GET", target)
        except sleepwalker.SleepwalkerException:
            pass
        else:
            raise SystemExit(f"{target} did not fail")
    try:
        manager.find("nowhere", ANONYMOUS)
    except sleepwalker.ConnectionError:
        pass
    Connection(url, ANONYMOUS, verify=bundle).json_request("GET", "/")
    manager.reset()

import logging
import structlog
from opentelemetry import metrics, trace

configured = [
    structlog.is_configured(),
    *logging.getLogger().handlers,
    "Proxy" not in type(trace.get_tracer_provider()).__name__,
    "Proxy" not in type(metrics.get_meter_provider()).__name__,
]
if any(configured):
    raise SystemExit(f"configured behind its back: {configured}")
"""

CONFIGURED: Final = """
import asyncio, json, sys
import prometheus_client, structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sleepwalker import ANONYMOUS, Connection, ConnectionManager, DirectHook

url, bundle = sys.argv[1:]
told = {}
lines = []


def keep(_, method, line):
    lines.append([method, line["event"]])
    raise structlog.DropEvent


def exposed():
    text = prometheus_client.generate_latest().decode()
    return [line for line in text.splitlines() if "sleepwalker" in line]


exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
hook = DirectHook(verify=bundle)
early = ConnectionManager(hooks=[hook], registry=False, logger=False)
trace.set_tracer_provider(provider)
structlog.configure(processors=[keep])

# All off: nothing anywhere, not even a family without samples.
off = {"registry": False, "tracer_provider": False, "logger": False}
with ConnectionManager(hooks=[hook], **off) as manager:
    manager.find(url, ANONYMOUS).json_request("GET", "/")
Connection(url, ANONYMOUS, verify=bundle, **off).json_request("GET", "/")
told["off"] = [exposed(), lines[:], [span.name for span in exporter.get_finished_spans()]]

# A manager made before the application set its tracer provider.
early.find(url, ANONYMOUS)
told["early"] = [span.name for span in exporter.get_finished_spans()]
exporter.clear()

# All by default, twice, and a connection without a manager.
for _ in range(2):
    with ConnectionManager(hooks=[hook]) as manager:
        manager.find(url, ANONYMOUS).json_request("GET", "/")
Connection(url, ANONYMOUS, verify=bundle).json_request("GET", "/")
told["spans"] = [span.name for span in exporter.get_finished_spans()]
told["lines"] = lines[:]


async def blocking():
    conn = Connection(url, ANONYMOUS, verify=bundle)
    conn.json_request("GET", "/")
    conn.json_request("GET", "/")


lines.clear()
asyncio.run(blocking())
told["blocking"] = [line for line in lines if line[0] == "warning"]
told["samples"] = {
    name: prometheus_client.REGISTRY.get_sample_value(name, {"host": url, "auth": "none", **labels})
    for name, labels in {
        "sleepwalker_attempts_total": {"method": "GET", "code": "200", "error_type": "none"},
        "sleepwalker_pool_lookups_total": {"result": "miss"},
        "sleepwalker_requests_in_flight": {},
    }.items()
}
json.dump(told, sys.stdout)
"""


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, in which a warning is an error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_an_application_that_configures_nothing_prints_nothing_and_stays_so(
    ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    tls_server.default = lambda r: respond(int(r.path[1:] or 200), json={})
    done = python(UNCONFIGURED, tls_server.url, str(ca.bundle))
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert tls_server.count() == 4
    assert all("traceparent" not in request.headers for request in tls_server.requests)


def test_the_defaults_are_what_the_process_has(
    ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    done = python(CONFIGURED, tls_server.url, str(ca.bundle))
    assert (done.stderr, done.returncode) == ("", 0)
    told = json.loads(done.stdout)
    assert told["off"] == [[], [], []]
    assert told["early"] == ["sleepwalker.hook", "sleepwalker.connect"]
    found = ["sleepwalker.hook", "sleepwalker.connect"]
    called = ["GET", "sleepwalker.request"]
    assert told["spans"] == [*found, *called, *found, *called, *called]
    assert [line for line in told["lines"] if line[0] != "debug"] == [
        ["info", "connection.established"],
        ["info", "manager.reset"],
    ] * 2
    assert told["blocking"] == [["warning", "request.blocks_event_loop"]]
    assert told["samples"] == {
        "sleepwalker_attempts_total": 5,
        "sleepwalker_pool_lookups_total": 2,
        "sleepwalker_requests_in_flight": 0,
    }
