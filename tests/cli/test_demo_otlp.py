"""The demo's traces and metrics at a real collector, and what becomes of the demo without one.

Rule: what the collector received is held against what the hosts read and what the demo printed.
"""

from __future__ import annotations

import time

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from sleepwalker.cli.demo import otlp
from sleepwalker.cli.demo.otlp import Collector, Exported
from tests.servers import (
    Action,
    Answer,
    MakeServer,
    OtlpCollector,
    Request,
    RequireBasic,
    close_without_answer,
    garbage_status_line,
    redirect,
    refused_port,
    respond,
    stall,
    trickle,
    truncated_body,
)

# A collector that takes what it gets


@pytest.fixture(autouse=True)
def nothing_is_sent_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test of this process depend on how fast it is."""
    monkeypatch.setattr(otlp, "SPANS_EVERY", 60)
    monkeypatch.setattr(otlp, "METRICS_EVERY", 60)


def export(url: str, *, spans: int = 3) -> Exported:
    """Export some spans and one point of a metric; what became of them."""
    resource = Resource({"service.name": "exporting"})
    exporting = Collector.at(url).exporting(resource)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(exporting.processor)
    for number in range(spans):
        provider.get_tracer("test").start_span(f"span {number}").end()
    exporting.meter_provider.get_meter("test").create_histogram("lengths", "m").record(1.5)
    exporting.close()
    return exporting.exported(spans)


def test_spans_and_metrics_arrive_and_are_counted(make_server: MakeServer) -> None:
    collector = OtlpCollector()
    server = make_server(collector)

    exported = export(server.url)

    assert exported == Exported(
        origin=server.url, spans=3, spans_taken=3, points=1, points_taken=1, problem=None
    )
    assert collector.mistakes == []
    assert {span.name for span in collector.spans} == {"span 0", "span 1", "span 2"}
    assert {span.service for span in collector.spans} == {"exporting"}
    assert [[(p.service, p.name, p.count) for p in points] for points in collector.points] == [
        [("exporting", "lengths", 1)]
    ]
    assert {r.headers.get("Content-Encoding") for r in server.requests} == {"gzip"}


def test_what_the_collector_rejects_is_not_counted_as_exported(make_server: MakeServer) -> None:
    exported = export(make_server(OtlpCollector(rejecting=1)).url)

    assert (exported.spans_taken, exported.points_taken) == (2, 0)
    assert exported.problem == "some rejected"


class BusyAtFirst:
    """Answers 503 to the first request for each path."""

    def __init__(self, then: OtlpCollector) -> None:
        self._then = then
        self._seen: set[str] = set()

    def __call__(self, request: Request) -> Action:
        if request.path in self._seen:
            return self._then(request)
        self._seen.add(request.path)
        return respond(503)


def test_what_a_busy_collector_does_not_take_is_sent_again(make_server: MakeServer) -> None:
    collector = OtlpCollector()
    server = make_server(BusyAtFirst(collector))

    exported = export(server.url)

    assert (exported.spans_taken, exported.points_taken) == (3, 1)
    assert len(collector.spans) == 3
    assert {server.count(target=target) for target in ("/v1/traces", "/v1/metrics")} == {2}


# A collector that is none


def nothing_of(origin: str, problem: str) -> Exported:
    return Exported(
        origin=origin, spans=3, spans_taken=0, points=1, points_taken=0, problem=problem
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(respond(500), "status 500", id="500"),
        pytest.param(respond(404), "status 404", id="404"),
        pytest.param(redirect(307, "http://127.0.0.1:1/"), "status 307", id="a redirect"),
        pytest.param(respond(body=b"<html>"), "an answer that is not OTLP", id="a web page"),
        pytest.param(garbage_status_line(), "no connection", id="no HTTP"),
        pytest.param(close_without_answer(), "no connection", id="no answer"),
        pytest.param(truncated_body(), "no answer (ProtocolError)", id="half an answer"),
    ],
)
def test_a_collector_that_answers_nonsense_is_asked_once_for_each_kind_of_data(
    make_server: MakeServer, answer: Answer, problem: str
) -> None:
    server = make_server(answer)

    exported = export(server.url)

    assert exported == nothing_of(server.url, problem)
    assert sorted(request.path for request in server.requests) == ["/v1/metrics", "/v1/traces"]


def test_a_collector_that_stays_busy_is_not_waited_for_beyond_the_last_call(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "FIRST_WAIT", otlp.LAST_CALL)
    server = make_server(respond(503))

    exported = export(server.url)

    assert exported == nothing_of(server.url, "status 503")
    assert server.count() == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(stall(), id="a stall"),
        pytest.param(trickle(b"HTTP/1.1 200 OK" * 99, 0.1), id="a trickle"),
    ],
)
def test_a_collector_that_does_not_answer_is_left_in_time(
    make_server: MakeServer, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "TIMEOUT", 0.2)
    monkeypatch.setattr(otlp, "LAST_CALL", 0.4)
    server = make_server(answer)
    began = time.monotonic()

    exported = export(server.url)

    assert exported == nothing_of(server.url, "no answer in time")
    assert time.monotonic() - began < 2


def test_a_collector_that_is_down_is_told_as_such() -> None:
    with refused_port() as port:
        exported = export(f"http://127.0.0.1:{port}")

    assert exported == nothing_of(f"http://127.0.0.1:{port}", "no connection")


# The collector's URL


@pytest.mark.parametrize(
    ("url", "origin", "traces", "metrics"),
    [
        (
            "http://127.0.0.1:4318",
            "http://127.0.0.1:4318",
            "http://127.0.0.1:4318/v1/traces",
            "http://127.0.0.1:4318/v1/metrics",
        ),
        (
            "https://collector.example/",
            "https://collector.example",
            "https://collector.example/v1/traces",
            "https://collector.example/v1/metrics",
        ),
        (
            "https://[::1]:4318/otlp/t0ken?key=t0ken",
            "https://[::1]:4318",
            "https://[::1]:4318/otlp/t0ken/v1/traces?key=t0ken",
            "https://[::1]:4318/otlp/t0ken/v1/metrics?key=t0ken",
        ),
        (
            "HTTP://us%40er:t0ken@collector.example",
            "http://collector.example",
            "http://collector.example/v1/traces",
            "http://collector.example/v1/metrics",
        ),
    ],
)
def test_each_kind_of_data_has_its_path_below_the_base_url(
    url: str, origin: str, traces: str, metrics: str
) -> None:
    collector = Collector.at(url)

    assert (collector.origin, collector.traces, collector.metrics) == (origin, traces, metrics)
    assert collector.auth == (("us@er", "t0ken") if "@" in url else None)
    assert "t0ken" not in repr(collector)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "t0ken.example:4318",
        "grpc://t0ken.example",
        "http://",
        "http:///t0ken",
        "http://t0ken example",
        "http://[t0ken",
        "http://127.0.0.1:t0ken",
        "http://127.0.0.1:99999/t0ken",
        "http://127.0.0.1/#t0ken",
    ],
)
def test_what_is_no_url_of_a_collector_is_an_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"like http://127\.0\.0\.1:4318$") as raised:
        Collector.at(url)

    assert "t0ken" not in str(raised.value)


def test_a_user_and_a_token_in_the_url_reach_the_collector_and_nothing_else(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    guard = RequireBasic("us@er", "t0ken", OtlpCollector())
    server = make_server(guard)
    address = server.url.removeprefix("http://")

    exported = export(f"http://us%40er:t0ken@{address}")
    refused = export(f"http://us%40er:f4lse@{address}")

    assert (exported.spans_taken, exported.points_taken) == (3, 1)
    assert (refused.spans_taken, refused.problem) == (0, "status 401")
    told = f"{exported} {refused} {caplog.text}"
    assert [secret for secret in ("us@er", "us%40er", "t0ken", "f4lse") if secret in told] == []
