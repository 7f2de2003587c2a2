"""An OTLP/HTTP collector: what a tracing backend receives, in a form that tests can compare.

Rule 1: it is strict. What is no OTLP/HTTP (method, path, type, encoding, message) is answered as
    OTLP says, and kept as a mistake of the client's.
Rule 2: it keeps what it has accepted, and nothing else.
"""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.servers.actions import Action, respond

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.servers.wire import Request

_TYPE: Final = "application/x-protobuf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """A span as it arrived."""

    service: str
    scope: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for a root."""
    name: str
    kind: str
    status: str
    begins: int
    """Nanoseconds since the epoch."""
    ends: int
    attributes: Mapping[str, Any]
    links: tuple[tuple[str, str], ...]
    """The trace and span that each leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPoint:
    """A point of a histogram as it arrived."""

    service: str
    name: str
    unit: str
    bounds: tuple[float, ...]
    attributes: Mapping[str, Any]
    count: int
    exemplars: tuple[tuple[str, str], ...]
    """The trace and span of each."""


class OtlpCollector:
    """Answers a `ScriptedServer`'s requests as a collector does, and keeps what they brought.

    :ivar mistakes: what the client did that is no OTLP
    """

    def __init__(self, *, rejecting: int = 0) -> None:
        """Accept all but so many spans and points of each request."""
        self._rejecting = rejecting
        self._lock = threading.Lock()
        self._spans: list[ReceivedSpan] = []
        self._points: list[tuple[ReceivedPoint, ...]] = []
        self.mistakes: list[str] = []

    @property
    def spans(self) -> list[ReceivedSpan]:
        """Every span, in the order in which they came."""
        with self._lock:
            return list(self._spans)

    @property
    def points(self) -> list[tuple[ReceivedPoint, ...]]:
        """The points of histograms that each request brought; cumulative, so the last has all."""
        with self._lock:
            return list(self._points)

    def __call__(self, request: Request) -> Action:
        """Answer one request."""
        asked = (request.method, request.path, request.headers.get("Content-Type"))
        if asked == ("POST", "/v1/traces", _TYPE):
            return self._traces(request)
        if asked == ("POST", "/v1/metrics", _TYPE):
            return self._metrics(request)
        return self._refuse(404, f"asked for {asked}")

    def _traces(self, request: Request) -> Action:
        message, answer = ExportTraceServiceRequest(), ExportTraceServiceResponse()
        if not self._read(request, message):
            return self._refuse(400, f"sent to {request.path} what can't be read")
        spans = [
            _span(resource.resource, scope.scope.name, span)
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        if self._rejecting:
            answer.partial_success.rejected_spans = self._rejecting
        with self._lock:
            self._spans += spans[self._rejecting :]
        return respond(200, {"Content-Type": _TYPE}, answer.SerializeToString())

    def _metrics(self, request: Request) -> Action:
        message, answer = ExportMetricsServiceRequest(), ExportMetricsServiceResponse()
        if not self._read(request, message):
            return self._refuse(400, f"sent to {request.path} what can't be read")
        points = tuple(
            _point(resource.resource, metric, point)
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.histogram.data_points
        )
        if self._rejecting:
            answer.partial_success.rejected_data_points = self._rejecting
        with self._lock:
            self._points.append(points[self._rejecting :])
        return respond(200, {"Content-Type": _TYPE}, answer.SerializeToString())

    def _read(self, request: Request, message: Any) -> bool:
        try:
            packed = request.headers.get("Content-Encoding") == "gzip"
            message.ParseFromString(gzip.decompress(request.body) if packed else request.body)
        except Exception:  # noqa: BLE001 - gzip's errors and protobuf's have nothing else in common
            return False
        return True

    def _refuse(self, status: int, mistake: str) -> Action:
        with self._lock:
            self.mistakes.append(mistake)
        return respond(status, {"Content-Type": _TYPE}, b"")


def _span(resource: Any, scope: str, span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        service=_attributes(resource.attributes).get("service.name", ""),
        scope=scope,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        status=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        begins=span.start_time_unix_nano,
        ends=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _point(resource: Any, metric: Any, point: Any) -> ReceivedPoint:
    return ReceivedPoint(
        service=_attributes(resource.attributes).get("service.name", ""),
        name=metric.name,
        unit=metric.unit,
        bounds=tuple(point.explicit_bounds),
        attributes=_attributes(point.attributes),
        count=point.count,
        exemplars=tuple((e.trace_id.hex(), e.span_id.hex()) for e in point.exemplars),
    )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    """Give the attributes with their values; a list, which nothing here has, stays a message."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
