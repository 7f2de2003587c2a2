"""Spans: their names, kinds and attributes, what goes into headers, and tracers that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.propagators.textmap import (
    CarrierT,
    Setter,
    TextMapPropagator,
    default_setter,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    NoOpTracerProvider,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
)
from requests.structures import CaseInsensitiveDict

from sleepwalker.observability.names import INSTRUMENTATION, METHODS, SCHEMA_URL
from sleepwalker.observability.tracing import Tracing
from tests.observability.examples import POOL
from tests.observability.programs import run
from tests.telemetry import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.context import Context


class Failures:
    """Counts how often the tracer raised."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
def tracing(watched: Watched, failures: Failures) -> Tracing:
    return Tracing(watched.provider, failed=failures)


def attempt(tracing: Tracing, call: Any = INVALID_SPAN, **different: Any) -> Any:
    """Start the span of an attempt."""
    arguments: dict[str, Any] = {
        "method": "GET",
        "url": "https://host.example/books",
        "server": ("host.example", 443),
        "name": None,
        "resend": 0,
    }
    return tracing.start_attempt(call, **{**arguments, **different})


# Names, kinds and attributes


def test_spans_are_of_our_scope_under_the_conventions_we_follow(
    watched: Watched, tracing: Tracing
) -> None:
    tracing.end(tracing.start("sleepwalker.connect", {}), {})

    [span] = watched.spans
    scope = span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.schema_url) == (INSTRUMENTATION, SCHEMA_URL)


def test_a_call_is_an_internal_span(watched: Watched, tracing: Tracing) -> None:
    tracing.end(tracing.start_request(POOL, "GET", "/books/{id}"), {"sleepwalker.attempts": 2})

    [span] = watched.spans
    assert (span.name, span.kind) == ("sleepwalker.request", SpanKind.INTERNAL)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "sleepwalker.host": "https://host.example",
        "sleepwalker.auth": "basic",
        "sleepwalker.attempts": 2,
        "http.request.method": "GET",
        "url.template": "/books/{id}",
    }


def test_an_attempt_is_a_client_span_below_its_call(watched: Watched, tracing: Tracing) -> None:
    call = tracing.start_request(POOL, "GET", None)
    tracing.end(attempt(tracing, call), {"http.response.status_code": 200})
    tracing.end(call, {})

    request, wire = watched.spans
    assert (wire.name, wire.kind) == ("GET", SpanKind.CLIENT)
    assert wire.parent is not None
    assert request.context is not None
    assert wire.parent.span_id == request.context.span_id
    assert dict(wire.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "host.example",
        "server.port": 443,
        "url.full": "https://host.example/books",
    }
    assert "url.template" not in (request.attributes or {})


@pytest.mark.parametrize(
    ("different", "name", "attributes"),
    [
        (
            {"name": "/books/{id}"},
            "GET /books/{id}",
            {"http.request.method": "GET", "url.template": "/books/{id}"},
        ),
        ({"resend": 2}, "GET", {"http.request.resend_count": 2}),
        (
            {"method": "PURGE"},
            "HTTP",
            {"http.request.method": "_OTHER", "http.request.method_original": "PURGE"},
        ),
        (
            {"method": "PURGE", "name": "/cache"},
            "HTTP /cache",
            {"http.request.method": "_OTHER", "http.request.method_original": "PURGE"},
        ),
        ({"server": ("::1", 8443)}, "GET", {"server.address": "::1", "server.port": 8443}),
    ],
)
def test_an_attempt_says_what_is_special_about_it(
    watched: Watched,
    tracing: Tracing,
    different: dict[str, Any],
    name: str,
    attributes: dict[str, Any],
) -> None:
    tracing.end(attempt(tracing, **different), {})

    [span] = watched.spans
    assert span.name == name
    assert attributes.items() <= dict(span.attributes or {}).items()


def test_a_first_attempt_has_no_resend_count(watched: Watched, tracing: Tracing) -> None:
    tracing.end(attempt(tracing), {})

    assert "http.request.resend_count" not in (watched.spans[0].attributes or {})


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_known_method_is_the_name(watched: Watched, tracing: Tracing, method: str) -> None:
    tracing.end(attempt(tracing, method=method), {})

    assert watched.spans[0].name == method


@pytest.mark.parametrize("error", ["reset", "503"])
def test_an_error_is_the_status_and_its_type(
    watched: Watched, tracing: Tracing, error: str
) -> None:
    tracing.end(attempt(tracing), {}, error=error)

    [span] = watched.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert (span.attributes or {})["error.type"] == error


def test_a_span_may_link_to_others(watched: Watched, tracing: Tracing) -> None:
    establishing = tracing.start("sleepwalker.connect", {})
    before = tracing.context_of(establishing)
    assert before is not None
    waiting = tracing.start("sleepwalker.connect", {}, links=(before,))
    late = tracing.start("sleepwalker.connect", {})
    tracing.link(late, before)
    for span in (waiting, late, establishing):
        tracing.end(span, {})

    linked = [[link.context.span_id for link in span.links] for span in watched.spans]
    assert linked == [[], [before.span_id], [before.span_id]]


# The current span


class Looking(Sampler):
    """Goes through all that a span begins with."""

    def should_sample(self, *given: Any, **named: Any) -> SamplingResult:
        attributes, links = (*given, *named.values())[4:6]
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {**attributes, "links": len(list(links))})

    def get_description(self) -> str:
        return "Looking"


def test_a_sampler_may_go_through_what_a_span_begins_with(failures: Failures) -> None:
    tracing = Tracing(TracerProvider(sampler=Looking()), failed=failures)
    first: Any = tracing.start("first", {"a": 1})
    second: Any = tracing.start("second", {"a": 2}, links=(first.get_span_context(),))

    assert dict(first.attributes) == {"a": 1, "links": 0}
    assert dict(second.attributes) == {"a": 2, "links": 1}
    assert failures.count == 0


def test_a_span_is_current_between_enter_and_leave(tracing: Tracing) -> None:
    span = tracing.start("sleepwalker.connect", {})

    token = tracing.enter(span)
    inside = trace.get_current_span()
    tracing.leave(token)

    assert inside is span
    assert trace.get_current_span() is INVALID_SPAN


def test_spans_started_inside_are_children(watched: Watched, tracing: Tracing) -> None:
    outer = tracing.start("sleepwalker.connect", {})
    token = tracing.enter(outer)
    tracing.end(tracing.start("sleepwalker.hook", {}), {})
    tracing.leave(token)
    tracing.end(outer, {})

    connect, hook = watched.spans
    assert hook.parent is not None
    assert connect.context is not None
    assert hook.parent.span_id == connect.context.span_id


def test_leaving_what_was_never_entered_is_nothing(tracing: Tracing, failures: Failures) -> None:
    tracing.leave(None)

    assert failures.count == 0


# What goes into headers


def test_the_context_of_a_span_goes_into_the_headers(tracing: Tracing) -> None:
    span = attempt(tracing)
    headers = {"Accept": "*/*"}

    tracing.inject(span, headers)

    own = span.get_span_context()
    assert headers == {
        "Accept": "*/*",
        "traceparent": f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}",
    }


def test_baggage_stays_at_home(tracing: Tracing) -> None:
    token = context.attach(baggage.set_baggage("customer", "4711"))
    headers: dict[str, str] = {}

    try:
        tracing.inject(attempt(tracing), headers)
        kept = baggage.get_baggage("customer")
    finally:
        context.detach(token)

    assert set(headers) == {"traceparent"}
    assert kept == "4711"


def test_without_an_sdk_nothing_goes_into_the_headers() -> None:
    tracing = Tracing(NoOpTracerProvider(), failed=Failures())
    headers: dict[str, str] = {}

    tracing.inject(attempt(tracing), headers)

    assert headers == {}


def test_without_an_sdk_the_callers_trace_goes_on() -> None:
    tracing = Tracing(NoOpTracerProvider(), failed=Failures())
    outer = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    headers: dict[str, str] = {}

    with trace.use_span(NonRecordingSpan(outer)):
        tracing.inject(attempt(tracing, tracing.start_request(POOL, "GET", None)), headers)

    assert headers == {"traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-01"}


class Short(TextMapPropagator):
    """A form of propagation of an application's own."""

    def extract(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        own = trace.get_current_span(context).get_span_context()
        setter.set(carrier, "b3", f"{own.trace_id:x}")

    @property
    def fields(self) -> set[str]:
        return {"b3"}


@pytest.fixture
def short_form() -> Iterator[None]:
    """Let the application have a propagator of its own."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Short())
    yield
    propagate.set_global_textmap(before)


@pytest.mark.usefixtures("short_form")
def test_the_applications_propagator_decides_on_the_form(tracing: Tracing) -> None:
    headers: dict[str, str] = {}
    span = attempt(tracing)

    tracing.inject(span, headers)

    assert headers == {"b3": f"{span.get_span_context().trace_id:x}"}


class Writes(Short):
    """Writes what it was given, whatever the span is."""

    def __init__(self, headers: dict[Any, Any]) -> None:
        self._headers = headers

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        del context
        for name, value in self._headers.items():
            setter.set(carrier, name, value)


@pytest.mark.usefixtures("short_form")
@pytest.mark.parametrize(
    "odd",
    [{"x": None}, {7: "x"}, {"x": b"1"}, {"x": "a\r\nHost: b"}, {"x": "\u20ac"}, {"a b": "c"}],
)
def test_what_is_no_header_is_left_out_and_counted(
    odd: dict[Any, Any], tracing: Tracing, failures: Failures
) -> None:
    propagate.set_global_textmap(Writes({**odd, "b3": "1"}))
    headers = {"Accept": "*/*"}

    tracing.inject(attempt(tracing), headers)

    assert (headers, failures.count) == ({"Accept": "*/*", "b3": "1"}, 1)


B3: Final = {"X-B3-TraceId": "1", "X-B3-SpanId": "2", "X-B3-Sampled": "0", "baggage": "a=b"}


@pytest.mark.usefixtures("short_form")
@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({}, B3),
        ({"x-b3-traceid": "7", "x-b3-spanid": "8"}, {"baggage": "a=b"}),
        ({"Traceparent": "00-1-2-01"}, {"baggage": "a=b"}),
        ({"tracestate": "vendor=1"}, B3),
        ({"baggage": "mine=1"}, {k: v for k, v in B3.items() if k != "baggage"}),
    ],
)
def test_the_callers_own_context_is_not_mixed_with_ours(
    given: dict[str, str], added: dict[str, str], tracing: Tracing
) -> None:
    propagate.set_global_textmap(Writes(B3))
    headers: dict[str, str] = {}
    own: CaseInsensitiveDict[str] = CaseInsensitiveDict(given)

    tracing.inject(attempt(tracing), headers, given=own)

    assert headers == added


# An attempt, begun at one go


def begun(tracing: Tracing, call: Any, headers: dict[str, str], **different: Any) -> Any:
    """Begin an attempt."""
    arguments: dict[str, Any] = {
        "method": "GET",
        "url": "https://host.example/books",
        "server": ("host.example", 443),
        "name": None,
        "resend": 0,
    }
    return tracing.begin_attempt(call, headers, **{**arguments, **different})


def test_an_attempt_begins_with_its_span_in_the_headers_and_in_a_context(
    watched: Watched, tracing: Tracing
) -> None:
    call = tracing.start_request(POOL, "GET", None)
    headers: dict[str, str] = {}

    span, within = begun(tracing, call, headers)
    tracing.end(span, {})

    own = span.get_span_context()
    assert headers == {
        "traceparent": f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
    }
    assert trace.get_current_span(within) is span
    assert watched.spans[-1].parent == call.get_span_context()


class Asked(trace.NoOpTracer):
    """A tracer without an SDK, and how often it was asked for a span."""

    def __init__(self) -> None:
        self.times = 0

    def start_span(self, *_: Any, **__: Any) -> Any:
        self.times += 1
        return INVALID_SPAN


def test_where_a_call_has_no_span_its_attempts_ask_for_none(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer, headers = Asked(), dict[str, str]()
    monkeypatch.setattr(NoOpTracerProvider, "get_tracer", lambda *_, **__: tracer)
    tracing = Tracing(NoOpTracerProvider(), failed=failures)

    span, within = begun(tracing, tracing.start_request(POOL, "GET", None), headers)

    assert (span, within, headers) == (INVALID_SPAN, {}, {})
    assert tracer.times == 1


def test_where_a_calls_span_failed_its_attempts_ask_again(failures: Failures) -> None:
    tracing = Tracing(BrokenProvider(), failed=failures)

    span, _ = begun(tracing, tracing.start_request(POOL, "GET", None), {})

    assert (span, failures.count) == (INVALID_SPAN, 2)


@pytest.mark.usefixtures("short_form")
def test_a_propagator_of_the_applications_is_asked_also_where_the_context_is_empty(
    failures: Failures,
) -> None:
    tracing = Tracing(NoOpTracerProvider(), failed=failures)
    headers: dict[str, str] = {}
    propagate.set_global_textmap(Writes({"b3": "1"}))

    begun(tracing, INVALID_SPAN, headers)

    assert headers == {"b3": "1"}


# The global provider


def test_a_global_provider_that_is_set_later_is_used() -> None:
    program = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from sleepwalker.observability.tracing import Tracing\n"
        "tracing = Tracing(failed=lambda: print('failed'))\n"
        "print(type(trace.get_tracer_provider()).__name__)\n"
        "print(tracing.start('before', {}).is_recording())\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "print(tracing.start('after', {}).is_recording())\n"
    )

    out, err = run(program)

    assert (out.split(), err) == (["ProxyTracerProvider", "False", "True"], "")


# Tracers that fail


class BrokenSpan(NonRecordingSpan):
    """A span that raises whatever is asked of it."""

    def __init__(self) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)

    def _fail(self, *_: object, **__: object) -> Any:
        raise RuntimeError("no exporter")

    is_recording = set_attribute = set_status = end = get_span_context = add_link = _fail


class BrokenTracer(trace.NoOpTracer):
    """A tracer that can't start a span."""

    def start_span(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no exporter")


class BrokenProvider(NoOpTracerProvider):
    """A provider of tracers that fail."""

    def get_tracer(self, *_: Any, **__: Any) -> Any:
        return BrokenTracer()


def test_a_tracer_that_cannot_start_a_span_gives_one_that_does_nothing(failures: Failures) -> None:
    tracing = Tracing(BrokenProvider(), failed=failures)

    spans = [
        tracing.start("sleepwalker.connect", {}),
        tracing.start_request(POOL, "GET", None),
        attempt(tracing),
    ]

    assert spans == [INVALID_SPAN] * 3
    assert failures.count == 3
    for span in spans:
        token = tracing.enter(span)
        tracing.inject(span, {})
        tracing.end(span, {"a": 1}, error="reset")
        tracing.leave(token)
    assert failures.count == 3


@pytest.mark.parametrize("ids", [(0, 0), (1 << 200, 1), ("1", "2")])
def test_a_context_that_is_none_is_no_place(
    ids: tuple[Any, Any], tracing: Tracing, failures: Failures
) -> None:
    class Odd:
        trace_id, span_id = ids
        trace_flags = TraceFlags(1)
        is_valid = ids[0] == "1"

    assert tracing.point_of(NonRecordingSpan(Odd())) is None  # type: ignore[arg-type] # on purpose
    assert failures.count == (ids[0] == "1")


def test_a_span_that_raises_fails_nothing_and_is_counted(
    tracing: Tracing, failures: Failures
) -> None:
    span = BrokenSpan()

    tracing.end(span, {"a": 1}, error="reset")
    assert tracing.context_of(span) is None
    tracing.link(span, INVALID_SPAN_CONTEXT)

    assert failures.count == 3


def test_a_propagator_that_raises_fails_nothing_and_is_counted(
    tracing: Tracing, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such format")

    monkeypatch.setattr(propagate, "inject", fail)
    headers = {"Accept": "*/*"}

    tracing.inject(attempt(tracing), headers)

    assert (headers, failures.count) == ({"Accept": "*/*"}, 1)


def test_a_context_that_cannot_be_entered_fails_nothing_and_is_counted(
    tracing: Tracing, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no context")

    span = tracing.start("sleepwalker.connect", {})
    token = tracing.enter(span)
    with monkeypatch.context() as broken:
        broken.setattr(context, "attach", fail)
        broken.setattr(context, "detach", fail)
        assert tracing.enter(span) is None
        tracing.leave(token)
    tracing.leave(token)

    assert failures.count == 2
    assert trace.get_current_span() is INVALID_SPAN
