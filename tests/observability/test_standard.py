"""The standard HTTP metric, as OpenTelemetry's SDK gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from sleepwalker import ANONYMOUS, ConfigurationError, Connection, HTTPNotFound
from sleepwalker.observability import events, names
from sleepwalker.observability.standard import StandardMetrics
from sleepwalker.observability.telemetry import Telemetry
from sleepwalker.resilience.clock import SYSTEM
from tests.observability.examples import ONE_OF_EACH, POOL
from tests.servers import respond
from tests.telemetry import Meters, Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ScriptedServer


@pytest.fixture
def meters() -> Iterator[Meters]:
    """Give a meter provider of this test's own."""
    made = Meters()
    yield made
    made.provider.shutdown()


def attempt(**fields: Any) -> events.AttemptFinished:
    """Make the end of an attempt, of one that was answered unless it is said otherwise."""
    given: dict[str, Any] = {
        "pool": POOL,
        "method": "GET",
        "number": 1,
        "duration": 0.25,
        "status": 200,
        "error_type": "none",
        "address": "host.example",
        "port": 443,
        "protocol": "1.1",
    }
    return events.AttemptFinished(**{**given, **fields})


ANSWERED = {
    "http.request.method": "GET",
    "server.address": "host.example",
    "server.port": 443,
    "network.protocol.version": "1.1",
    "http.response.status_code": 200,
}


def test_it_has_the_name_the_unit_and_the_buckets_of_the_conventions(meters: Meters) -> None:
    StandardMetrics(meters.provider).record(attempt())

    ((scope, metric),) = meters.metrics()
    assert (scope.name, scope.schema_url) == (names.INSTRUMENTATION, names.SCHEMA_URL)
    assert (metric.name, metric.unit) == ("http.client.request.duration", "s")
    assert tuple(metric.data.data_points[0].explicit_bounds) == names.CLIENT_DURATION_BUCKETS


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {}),
        ({"status": 503}, {"http.response.status_code": 503, "error.type": "503"}),
        ({"method": "BREW"}, {"http.request.method": "_OTHER"}),
        (
            {"status": None, "protocol": None, "error_type": "reset"},
            {"http.response.status_code": None, "network.protocol.version": None}
            | {"error.type": "reset"},
        ),
        (
            {"pool": POOL._replace(series=(names.OVERFLOW, names.OVERFLOW))},
            {"server.address": "_other", "server.port": None},
        ),
    ],
)
def test_each_attempt_is_recorded_with_what_is_known_of_it(
    fields: dict[str, Any], changed: dict[str, Any], meters: Meters
) -> None:
    StandardMetrics(meters.provider).record(attempt(**fields))

    expected = {k: v for k, v in {**ANSWERED, **changed}.items() if v is not None}
    assert meters.points() == [(expected, 1, 0.25)]


def test_no_other_event_is_recorded(meters: Meters) -> None:
    standard = StandardMetrics(meters.provider)
    for event in ONE_OF_EACH:
        if not isinstance(event, events.AttemptFinished):
            standard.record(event)

    assert meters.points() == []


def test_a_connection_records_its_attempts(meters: Meters, server: ScriptedServer) -> None:
    conn = Connection(
        server.url, ANONYMOUS, meter_provider=meters.provider, registry=False, logger=False
    )
    conn.json_request("GET", "/")

    ((attributes, count, _),) = meters.points()
    assert attributes == {
        **ANSWERED,
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }
    assert count == 1


def test_an_exemplar_shows_the_attempt_and_not_its_call(
    meters: Meters, server: ScriptedServer
) -> None:
    watched = Watched()
    server.script(respond(503), respond(json={}))
    watched.connection(server.url, meter_provider=meters.provider).json_request("GET", "/")

    exemplars = [
        (exemplar.trace_id, exemplar.span_id)
        for _, metric in meters.metrics()
        for point in metric.data.data_points
        for exemplar in point.exemplars
    ]
    attempts = [span.context for span in watched.named("GET")]
    assert sorted(exemplars) == sorted(
        (span.trace_id, span.span_id) for span in attempts if span is not None
    )
    assert len(exemplars) == 2


def test_an_exemplar_shows_the_span_whose_context_is_handed_over(meters: Meters) -> None:
    span = Watched().provider.get_tracer("test").start_span("GET")
    made = Telemetry(registry=False, logger=False, meter_provider=meters.provider, clock=SYSTEM)

    made.record(attempt(), trace.set_span_in_context(span))

    ((_, metric),) = meters.metrics()
    [exemplar] = metric.data.data_points[0].exemplars
    assert exemplar.span_id == span.get_span_context().span_id


def test_an_attempt_that_is_not_sampled_has_none(meters: Meters, server: ScriptedServer) -> None:
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    conn = Watched().connection(
        server.url, meter_provider=meters.provider, tracer_provider=unsampled
    )
    conn.json_request("GET", "/")

    ((_, metric),) = meters.metrics()
    assert [list(point.exemplars) for point in metric.data.data_points] == [[]]


def test_it_can_be_off(meters: Meters, server: ScriptedServer) -> None:
    Connection(server.url, ANONYMOUS, meter_provider=False, registry=False).json_request("GET", "/")

    assert meters.points() == []


def test_what_is_no_meter_provider_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="meter_provider must be a MeterProvider"):
        Connection("https://host.example", ANONYMOUS, meter_provider="otlp")  # type: ignore[arg-type] # refused


class Broken:
    """A meter provider that works as long as it isn't asked."""

    def get_meter(self, *_: Any, **__: Any) -> Any:
        """Fail."""
        raise RuntimeError("no meter")


def test_a_provider_that_fails_fails_no_request(server: ScriptedServer) -> None:
    broken: Any = Broken()
    conn = Connection(server.url, ANONYMOUS, meter_provider=broken, registry=False)

    server.script(respond(200), respond(404))
    assert conn.request("GET", "/").status_code == 200
    with pytest.raises(HTTPNotFound):
        conn.request("GET", "/")
