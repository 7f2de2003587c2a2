"""Instruments: where they send what they get, off, failing, a user's own, and whose they are.

Rule 1: whatever an instrument does, calls and the other instruments go on as without it.
Rule 2: an instrument's failure is counted exactly, where there is still something to count with.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import prometheus_client
import pytest
import structlog
from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import Span as SDKSpan
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import (
    Tracer,
)
from prometheus_client import Counter, Gauge, Histogram

from sleepwalker import (
    ANONYMOUS,
    Connection,
    ConnectionManager,
    CrossOriginError,
    DirectHook,
    EstablishmentError,
    HTTPNotFound,
    HTTPServiceUnavailable,
    PlaintextError,
    Policy,
    Redaction,
)
from sleepwalker.observability import names
from tests.servers import (
    CertificateAuthority,
    MakeServer,
    ScriptedServer,
    redirect,
    respond,
)
from tests.telemetry import HALF, Declines, Flaky, FrozenClock, Gives, Node, Watched, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.observability.events import Event


@pytest.fixture
def watched(ca: CertificateAuthority) -> Watched:
    """Give instruments of this test's own."""
    return Watched(ca)


@pytest.fixture
def clean_structlog() -> Iterator[None]:
    """Leave structlog unconfigured."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("clean_structlog")
def test_what_is_expensive_is_bound_by_the_first_call_and_not_by_each(
    watched: Watched,
    ca: CertificateAuthority,
    tls_server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[dict[str, Any]] = []
    bound: list[str] = []
    structlog.configure(processors=[into(lines)])
    manager = ConnectionManager(
        hooks=[DirectHook(verify=str(ca.bundle))],
        **{**watched.instruments, "logger": None},
        clock=watched.clock,
    )

    def call() -> None:
        lines.clear()
        tls_server.script(respond(503))
        manager.find(tls_server.url, ANONYMOUS).json_request("GET", "/")

    def counting(where: Any, name: str) -> None:
        original = getattr(where, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            bound.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(where, name, counted)

    call()
    call()  # the first that hits
    for family in (Counter, Gauge, Histogram):
        counting(family, "labels")
    counting(structlog, "get_logger")
    counting(trace, "get_tracer")
    call()

    assert bound == []
    assert [line["event"] for line in lines] == ["request.retry_scheduled", "request.completed"]
    assert [event for event in watched.samples() if event.startswith(names.RETRY_QUOTA)]


# --- logs ----------------------------------------------------------------------------------------


def into(lines: list[dict[str, Any]]) -> Any:
    """A last processor of structlog's that keeps what it gets."""

    def keep(_: object, method: str, line: Any) -> Any:
        lines.append({"level": method, **line})
        raise structlog.DropEvent

    return keep


@pytest.mark.usefixtures("clean_structlog")
@pytest.mark.parametrize("cached", [False, True])
def test_lines_go_where_structlog_is_configured_to_send_them_now(
    cached: bool,  # noqa: FBT001 - a parameter of the test
    ca: CertificateAuthority,
    tls_server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "sleepwalker")
    conn = Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle), registry=False)
    counts: list[tuple[int, int, int]] = []
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for lines in (first, second, None):
        if lines is None:
            structlog.reset_defaults()
        else:
            structlog.configure(processors=[into(lines)], cache_logger_on_first_use=cached)
        conn.json_request("GET", "/")
        ours = [record for record in caplog.records if record.name == "sleepwalker"]
        counts.append((len(first), len(second), len(ours)))
    assert counts == [(1, 0, 0), (1, 1, 0), (1, 1, 1)]
    assert (first[0]["event"], first[0]["level"]) == ("request.completed", "debug")


@pytest.mark.usefixtures("clean_structlog")
@pytest.mark.parametrize(
    ("level", "told"),
    [
        (logging.DEBUG, ["DEBUG", "INFO", "INFO", "WARNING"]),
        (logging.INFO, ["INFO", "INFO", "WARNING"]),
        (logging.WARNING, ["WARNING"]),
        (logging.ERROR, []),
    ],
)
def test_lines_go_through_stdlib_logging_when_structlog_is_not_configured(
    level: int,
    told: list[str],
    ca: CertificateAuthority,
    tls_server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(level, "sleepwalker")
    conn = Connection(
        tls_server.url,
        ANONYMOUS,
        verify=str(ca.bundle),
        registry=False,
        clock=FrozenClock(),
        policy=Policy(attempts=2),
    )
    conn.json_request("GET", "/")
    tls_server.script(respond(404), respond(503), respond(503))
    for error in (HTTPNotFound, HTTPServiceUnavailable):
        with pytest.raises(error):
            conn.json_request("GET", "/")
    ours = [record for record in caplog.records if record.name == "sleepwalker"]
    assert [record.levelname for record in ours] == told
    if told:
        text = ours[-1].getMessage()
        assert text.startswith("event=request.retries_exhausted ")
        assert f" host={tls_server.url} auth=none " in text
        assert " status=503" in text


def test_warnings_of_a_pool_are_limited_and_the_rest_are_counted(watched: Watched) -> None:
    conn, other = watched.connection("https://host.test"), watched.connection("https://other.test")

    def refuse(conn: Connection, times: int) -> None:
        for _ in range(times):
            with pytest.raises(CrossOriginError):
                conn.json_request("GET", "//elsewhere.test")

    refuse(conn, 8)
    refuse(other, 1)
    watched.clock.sleep(10.0)
    refuse(conn, 1)
    told = [(line["host"], line.get("suppressed")) for line in watched.lines]
    assert told == [
        *[("https://host.test", None)] * 5,
        ("https://other.test", None),
        ("https://host.test", 3),
    ]


def test_a_custom_auth_over_plain_http_is_warned_of_once(
    watched: Watched, server: ScriptedServer
) -> None:
    conn = watched.connection(server.url, lambda request: request)
    conn.json_request("GET", "/")
    conn.json_request("GET", "/")
    warnings = [line for line in watched.lines if line["level"] == "warning"]
    assert [(line["event"], line["auth"]) for line in warnings] == [("auth.plaintext", "<lambda>")]
    with pytest.raises(PlaintextError):
        watched.connection(server.url, ("reader", "pw"))


# --- instruments: off, failing, a user's own -----------------------------------------------------


def small_run(server: ScriptedServer, ca: CertificateAuthority, **instruments: Any) -> list[Any]:
    """A find that fails and one that connects; calls that are retried, redirected and refused."""
    clock = FrozenClock()
    results: list[Any] = []
    manager = ConnectionManager(
        hooks=[Declines(), Flaky(ca, clock, "")], clock=clock, random=lambda: HALF, **instruments
    )
    with manager:
        with pytest.raises(EstablishmentError) as failed:
            manager.find("nowhere", ANONYMOUS)
        results.append(str(failed.value))
        conn = manager.find(server.url, ANONYMOUS)
        assert manager.find(server.url, ANONYMOUS) is conn
        server.script(respond(503), redirect(302, "/new"), respond(json={"id": 1}), respond(404))
        results.append(conn.json_request("GET", "/old"))
        with pytest.raises(HTTPNotFound) as missing:
            conn.json_request("GET", "/missing")
        results += [missing.value.http_code, missing.value.attempts]
        with pytest.raises(CrossOriginError):
            conn.json_request("GET", "//elsewhere.test")
        results.append(manager.reset().closed)
        results.append(manager.policy.attempts)
    results.append(len(server.requests))
    return results


RESULTS: Final = ["no connection", {"id": 1}, 404, 1, 1, 3, 4]


def check(results: list[Any]) -> None:
    """Expect what a small run gives, whatever becomes of its instruments."""
    assert [str(results[0])[:13], *results[1:]] == RESULTS


@pytest.mark.usefixtures("clean_structlog")
@pytest.mark.parametrize("off", ["registry", "tracer_provider", "logger"])
def test_an_instrument_that_is_off_tells_nothing_and_the_others_tell_all(
    off: str,
    watched: Watched,
    ca: CertificateAuthority,
    make_server: MakeServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "sleepwalker")
    elsewhere: list[dict[str, Any]] = []
    structlog.configure(processors=[into(elsewhere)])
    before = samples(prometheus_client.REGISTRY)
    check(small_run(make_server(tls=True), ca, **{**watched.instruments, off: False}))
    full = Watched()
    check(small_run(make_server(tls=True), ca, **full.instruments))
    assert (watched.samples() == {}) == (off == "registry")
    assert (watched.spans == []) == (off == "tracer_provider")
    assert (watched.lines == []) == (off == "logger")
    assert elsewhere == []
    assert [record for record in caplog.records if record.name == "sleepwalker"] == []
    changed = {
        key
        for key, value in samples(prometheus_client.REGISTRY).items()
        if key.startswith("sleepwalker") and value != before.get(key, 0)
    }
    assert changed == set()
    if off != "registry":
        assert len(watched.samples()) == len(full.samples())
    if off != "tracer_provider":
        assert [span.name for span in watched.spans] == [span.name for span in full.spans]
    if off != "logger":
        assert [line["event"] for line in watched.lines] == [line["event"] for line in full.lines]
    assert [type(event) for event in watched.events] == [type(event) for event in full.events]


class BrokenError(Exception):
    """What a broken instrument raises."""


class BrokenObserver:
    """An observer that fails at everything."""

    def record(self, _event: Event) -> None:
        raise BrokenError


class BrokenLogger:
    """A logger that fails at everything."""

    def __getattr__(self, _: str) -> Any:
        raise BrokenError


class BrokenTracer(Tracer):
    """A tracer that can't start a span."""

    def start_span(self, *_: Any, **__: Any) -> Any:
        raise BrokenError

    def start_as_current_span(self, *_: Any, **__: Any) -> Any:
        raise BrokenError


class BrokenProvider(TracerProvider):
    """A provider of broken tracers."""

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return BrokenTracer()


class BrokenSampler(Sampler):
    """A sampler that can't decide."""

    def should_sample(self, *_: Any, **__: Any) -> Any:
        raise BrokenError

    def get_description(self) -> str:
        return "broken"


def broken(*_: object, **__: object) -> Any:
    """Stands for any method that fails."""
    raise BrokenError


BROKEN_SPANS: Final = ("set_attributes", "set_status", "end", "get_span_context", "is_recording")


def test_an_observer_that_fails_fails_no_request_and_is_counted(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    instruments = {**watched.instruments, "observers": (BrokenObserver(), watched)}
    check(small_run(tls_server, ca, **instruments))
    assert watched.value(names.TELEMETRY_ERRORS) == len(watched.events) > 0


def test_a_logger_that_fails_fails_no_request_and_is_counted(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer, make_server: MakeServer
) -> None:
    check(small_run(tls_server, ca, **{**watched.instruments, "logger": BrokenLogger()}))
    healthy = Watched()
    check(small_run(make_server(tls=True), ca, **healthy.instruments))
    assert watched.value(names.TELEMETRY_ERRORS) == len(healthy.lines) > 0
    assert len(watched.events) == len(healthy.events)


@pytest.mark.parametrize("provider", ["tracer", "sampler"])
def test_a_tracer_that_fails_fails_no_request_and_is_counted(
    provider: str,
    watched: Watched,
    ca: CertificateAuthority,
    tls_server: ScriptedServer,
    make_server: MakeServer,
) -> None:
    made = (
        BrokenProvider(shutdown_on_exit=False)
        if provider == "tracer"
        else TracerProvider(sampler=BrokenSampler(), shutdown_on_exit=False)
    )
    check(small_run(tls_server, ca, **{**watched.instruments, "tracer_provider": made}))
    healthy = Watched()
    check(small_run(make_server(tls=True), ca, **healthy.instruments))
    assert watched.value(names.TELEMETRY_ERRORS) == len(healthy.spans) > 0
    assert [type(event) for event in watched.events] == [type(event) for event in healthy.events]
    assert all("traceparent" not in request.headers for request in tls_server.requests)


@pytest.mark.parametrize("method", BROKEN_SPANS)
def test_a_span_that_fails_fails_no_request_and_is_counted(
    method: str,
    watched: Watched,
    ca: CertificateAuthority,
    tls_server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SDKSpan, method, broken)
        check(small_run(tls_server, ca, **watched.instruments))
    assert (watched.value(names.TELEMETRY_ERRORS) or 0) > 0
    assert watched.value(names.IN_FLIGHT, host=tls_server.url, auth="none") == 0
    # Nobody was left waiting for the establishment either.
    with ConnectionManager(hooks=[Gives()], **watched.instruments) as manager:
        manager.find("a", ANONYMOUS)


def test_a_find_whose_span_fails_leaves_nobody_waiting(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectionManager(
        hooks=[Gives()], policy=Policy(deadline=1.0), **watched.instruments
    ) as m:
        for method in BROKEN_SPANS:
            with monkeypatch.context() as patch:
                patch.setattr(SDKSpan, method, broken)
                first = m.find(method, ANONYMOUS)
            assert m.find(method, ANONYMOUS) is first


def test_a_propagator_that_fails_fails_no_request_and_is_counted(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    class Broken(TextMapPropagator):
        extract = inject = broken

        @property
        def fields(self) -> set[str]:
            return set()

    working = propagate.get_global_textmap()
    propagate.set_global_textmap(Broken())
    try:
        check(small_run(tls_server, ca, **watched.instruments))
    finally:
        propagate.set_global_textmap(working)
    assert watched.value(names.TELEMETRY_ERRORS) == len(tls_server.requests) == 4


@pytest.mark.parametrize("family", ["Counter.inc", "Gauge.set", "Histogram.observe"])
def test_a_metric_that_fails_fails_no_request(
    family: str,
    watched: Watched,
    ca: CertificateAuthority,
    tls_server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, _, method = family.partition(".")
    with monkeypatch.context() as patch:
        patch.setattr(getattr(prometheus_client, name), method, broken)
        check(small_run(tls_server, ca, **watched.instruments))
    assert len(watched.named("sleepwalker.request")) == 3
    if name != "Counter":  # else there is nothing left to count with
        assert (watched.value(names.TELEMETRY_ERRORS) or 0) > 0


def test_a_path_rewriter_that_fails_fails_no_request_and_shows_no_path(
    watched: Watched, tls_server: ScriptedServer
) -> None:
    redaction = Redaction(path=broken)
    conn = watched.connection(tls_server.url, redaction=redaction)
    tls_server.script(respond(404), respond(json={}))
    with pytest.raises(HTTPNotFound) as failed:
        conn.json_request("GET", "/accounts/4711")
    conn.json_request("GET", "/accounts/4711")
    assert "4711" not in f"{failed.value} {failed.value.request.url} {failed.value.response.url}"
    assert all("4711" not in span.to_json() for span in watched.spans)
    assert tls_server.count(target="/accounts/4711") == 2


def test_an_observer_gets_every_event_as_a_value(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    check(small_run(tls_server, ca, **watched.instruments))
    # Hits are told in bulk, whenever there is something to be told.
    told = [type(event).__name__ for event in watched.events]
    assert [name for name in told if name != "LookedUp"] == [
        "HookCalled",
        "HookCalled",
        "ConnectionFailed",
        "HookCalled",
        "HookCalled",
        "RetryQuotaChanged",
        "HookCalled",
        "RetryQuotaChanged",
        "ConnectionEstablished",
        "PoolsChanged",
        "RequestStarted",
        "AttemptFinished",
        "RetryQuotaChanged",
        "RetryScheduled",
        "AttemptFinished",
        "Redirected",
        "AttemptFinished",
        "RetryQuotaChanged",
        "RequestFinished",
        "RequestStarted",
        "AttemptFinished",
        "RequestFinished",
        "RequestStarted",
        "RequestFinished",
        "PoolEvicted",
        "PoolsChanged",
        "ManagerReset",
    ]
    assert told.count("LookedUp") == 3


def test_no_observer_can_change_an_event(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    check(small_run(tls_server, ca, **watched.instruments))
    changeable = set()
    for event in watched.events:
        assert isinstance(event, tuple)
        hash(event)
        for thing, fields in ((event, event._fields), (getattr(event, "pool", None), POOL_FIELDS)):
            for name in fields if thing is not None else ():
                try:
                    setattr(thing, name, getattr(thing, name))
                except AttributeError:
                    continue
                changeable.add(f"{type(thing).__name__}.{name}")
    assert changeable == set()


POOL_FIELDS: Final = ("host", "auth", "series")


# --- whose telemetry it is -----------------------------------------------------------------------


def calls(watched: Watched) -> tuple[list[Node], dict[str, float], list[Any], list[Any]]:
    """What of a run is told of calls, and not of finding or forgetting."""
    ours = ("request", "attempt", "retries", "retry")
    return (
        [one for one in watched.forest() if one.name == "sleepwalker.request"],
        {
            key: value
            for key, value in watched.samples().items()
            if key.removeprefix("sleepwalker_").startswith(ours) and "_sum" not in key
        },
        [
            (line["event"], line["level"], sorted(line))
            for line in watched.lines
            if line["event"].startswith("request.")
        ],
        [type(event) for event in watched.events if hasattr(event, "method")],
    )


def test_a_connection_without_a_manager_tells_the_same(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    alone, held = Watched(), Watched()
    options: dict[str, Any] = {
        "verify": str(ca.bundle),
        "clock": watched.clock,
        "random": lambda: HALF,
    }
    manager = ConnectionManager(
        hooks=[DirectHook(**options)], clock=watched.clock, **held.instruments
    )
    for conn in (
        Connection(tls_server.url, ANONYMOUS, **options, **alone.instruments),
        manager.find(tls_server.url, ANONYMOUS),
    ):
        tls_server.script(respond(503), redirect(302, "/new"), respond(json={}), respond(404))
        conn.json_request("GET", "/old", name="/old")
        with pytest.raises(HTTPNotFound):
            conn.json_request("GET", "/missing")
        with pytest.raises(CrossOriginError):
            conn.json_request("GET", "//elsewhere.test")
    assert calls(alone) == calls(held)
    assert len(calls(alone)[0]) == 3


def test_a_connection_from_a_hook_or_added_has_its_managers_telemetry_and_policy(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    policy = Policy(attempts=2)
    manager = ConnectionManager(
        hooks=[DirectHook(verify=str(ca.bundle), clock=watched.clock)],
        policy=policy,
        **watched.instruments,
    )
    added = Connection(
        tls_server.localhost_url, ANONYMOUS, verify=str(ca.bundle), clock=watched.clock
    )
    manager.add(tls_server.localhost_url, ANONYMOUS, added)
    tls_server.default = respond(503)
    for conn in (manager.find(tls_server.url, ANONYMOUS), added):
        assert conn.policy is policy
        with pytest.raises(HTTPServiceUnavailable) as failed:
            conn.json_request("GET", "/")
        assert failed.value.attempts == 2
    told = [
        call.attributes["sleepwalker.host"]
        for call in watched.forest()
        if call.name == "sleepwalker.request"
    ]
    assert told == [tls_server.url, tls_server.localhost_url]


def test_a_connection_keeps_a_policy_and_instruments_of_its_own(
    watched: Watched, ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    own, policy = Watched(), Policy(attempts=1)
    hook = DirectHook(verify=str(ca.bundle), policy=policy, **own.instruments)
    manager = ConnectionManager(hooks=[hook], policy=Policy(attempts=2), **watched.instruments)
    conn = manager.find(tls_server.url, ANONYMOUS)
    assert conn.policy is policy
    conn.json_request("GET", "/")
    assert [call.name for call in own.forest()] == ["sleepwalker.request"]
    assert [call.name for call in watched.forest()] == ["sleepwalker.connect"]
    assert own.value(names.IN_FLIGHT, host=tls_server.url, auth="none") == 0
    assert watched.value(names.IN_FLIGHT, host=tls_server.url, auth="none") is None
    other = ConnectionManager(hooks=[DirectHook(policy=policy)], **watched.instruments)
    assert other.find("https://host.test", ANONYMOUS).policy is policy


def test_a_connection_stays_with_the_manager_that_had_it_first(
    ca: CertificateAuthority, tls_server: ScriptedServer
) -> None:
    first, second = Watched(), Watched()
    conn = Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle))
    for seen in (first, second):
        ConnectionManager(**seen.instruments).add(tls_server.url, ANONYMOUS, conn)
    conn.json_request("GET", "/")
    assert (len(first.spans), len(second.spans)) == (2, 0)
