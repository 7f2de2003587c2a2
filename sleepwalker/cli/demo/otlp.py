"""Where traces and metrics go with `--otlp`: to a collector that may be slow, gone, or none at all.

Rules:

1. The demo never waits for the collector and never fails because of it, but for the `LAST_CALL` at
   its end.
2. Exported is what the collector says that it has accepted; all else is not.
3. Of the collector's URL only the origin is told: all else may be a token.
4. The exporters' requests are none of the demo's: a plain session sends them, no instrument sees
   them, and what OpenTelemetry would log of them goes nowhere.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import DefaultAggregation
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

TIMEOUT = 2.0
"""Seconds for connecting, and for each read of an answer."""
LAST_CALL = 3.0
"""Seconds at the end in which the collector may take what is left."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 2.0
"""Seconds until what could not be sent is sent again; doubled each time."""

SPANS_EVERY = 0.5
METRICS_EVERY = 5.0
"""Seconds between two exports."""
SPANS_KEPT = 8192
"""How many spans wait for a collector that is away; further ones are lost."""
SPANS_AT_ONCE = 512

TRANSIENT = frozenset({429, 502, 503, 504})
"""The statuses after which OTLP lets a client send again."""
LATE = "no answer in time"
ANSWER_LIMIT = 65_536
"""Bytes of an answer that are read: none of OTLP's is as long."""

_NOWHERE = logging.NullHandler()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """A collector's address, and what to show to it."""

    origin: str
    """The part of its URL that may be told."""
    traces: str = field(repr=False)
    metrics: str = field(repr=False)
    auth: tuple[str, str] | None = field(repr=False)

    @classmethod
    def at(cls, url: str) -> Self:
        """The collector with this base URL, below which OTLP has a path for each kind of data.

        :raises ValueError: when it is no such URL; the message doesn't repeat it
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if (
            not host
            or any(map(str.isspace, host))
            or parts.scheme not in {"http", "https"}
            or parts.fragment
        ):
            msg = "--otlp takes the base URL of a collector, like http://127.0.0.1:4318"
            raise ValueError(msg)
        netloc = f"[{host}]" if ":" in host else host
        if port is not None:
            netloc += f":{port}"

        def below(path: str) -> str:
            whole = f"{parts.path.removesuffix('/')}/{path}"
            return urlunsplit((parts.scheme, netloc, whole, parts.query, ""))

        return cls(
            origin=f"{parts.scheme}://{netloc}",
            traces=below("v1/traces"),
            metrics=below("v1/metrics"),
            auth=None
            if parts.username is None
            else (unquote(parts.username), unquote(parts.password or "")),
        )

    def exporting(self, resource: Resource) -> Exporting:
        """Begin to export.

        :param resource: what metrics say of who made them
        """
        return Exporting(self, resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What became of the demo's spans and metrics."""

    origin: str
    spans: int
    """How many there were."""
    spans_taken: int
    points: int
    """Points of metrics that were to be sent; each is sent again with every export."""
    points_taken: int
    problem: str | None
    """What went wrong last."""


class Exporting:
    """Sends spans and metrics to a collector until it is closed.

    :ivar processor: the span processor to be added to a tracer provider
    :ivar meter_provider: what to pass as `meter_provider` to a manager
    """

    def __init__(self, collector: Collector, resource: Resource) -> None:
        # Without any handler, Python prints warnings.
        logging.getLogger("opentelemetry").addHandler(_NOWHERE)
        self._origin = collector.origin
        self._spans = _Spans(collector)
        self._metrics = _Metrics(collector)
        self._closed = False
        self.processor = BatchSpanProcessor(
            self._spans,
            max_queue_size=SPANS_KEPT,
            schedule_delay_millis=SPANS_EVERY * 1000,
            max_export_batch_size=SPANS_AT_ONCE,
        )
        reader = PeriodicExportingMetricReader(
            self._metrics, export_interval_millis=METRICS_EVERY * 1000
        )
        self.meter_provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)

    def close(self) -> None:
        """Send what is left, as far as the collector takes it in time. Once is enough."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + LAST_CALL
        ends = (
            (self._spans.line, self.processor.shutdown),
            (self._metrics.line, self.meter_provider.shutdown),
        )
        for line, _ in ends:
            line.last_call(until)
        # Some versions of the SDK wait without end, so others wait for them.
        enders = [threading.Thread(target=_quietly, args=(end,), daemon=True) for _, end in ends]
        for ender in enders:
            ender.start()
        for (line, _), ender in zip(ends, enders, strict=True):
            ender.join(max(until - time.monotonic(), 0.0))
            if ender.is_alive():
                line.problem = LATE
            line.close()

    def exported(self, spans: int) -> Exported:
        """What was exported.

        :param spans: how many there were
        """
        return Exported(
            origin=self._origin,
            spans=spans,
            spans_taken=self._spans.taken,
            points=self._metrics.offered,
            points_taken=self._metrics.taken,
            problem=self._spans.line.problem or self._metrics.line.problem,
        )


class _Spans(OTLPSpanExporter):
    """The usual exporter, which also counts what is taken."""

    def __init__(self, collector: Collector) -> None:
        self.line = _Line(collector.auth, _rejected_spans)
        self.taken = 0
        super().__init__(collector.traces, compression=Compression.Gzip, session=self.line)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self.taken += len(spans) - self.line.rejected
        return result


class _Metrics(OTLPMetricExporter):
    """The usual exporter, which also counts what there is and what is taken."""

    def __init__(self, collector: Collector) -> None:
        self.line = _Line(collector.auth, _rejected_points)
        self.offered = self.taken = 0
        super().__init__(
            collector.metrics,
            compression=Compression.Gzip,
            session=self.line,
            # Some versions prefer buckets of their own to those that an instrument asks for.
            preferred_aggregation={Histogram: DefaultAggregation()},
        )

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send metrics."""
        points = sum(
            len(metric.data.data_points)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        self.offered += points
        result = super().export(metrics_data, timeout_millis=timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS:
            self.taken += points - self.line.rejected
        return result


class _NotTakenError(Exception):
    """The collector has not taken what it was sent.

    :ivar again: whether it may be sent again
    :ivar away: whether the collector seems not to be there
    """

    def __init__(self, problem: str, *, again: bool = False, away: bool = False) -> None:
        super().__init__(problem)
        self.again = again
        self.away = away


class _Line(requests.Session):
    """The way of one kind of data to the collector.

    What is sent again is sent again here: the exporters try for up to a minute, and some versions
    of them can't be stopped. Here they get an answer, or an error after which they don't try.

    :param rejected: reads from an answer how much of what it was sent the collector did not accept
    :ivar rejected: that of the last answer
    :ivar problem: what went wrong last
    """

    def __init__(self, auth: tuple[str, str] | None, rejected: Callable[[bytes], int]) -> None:
        super().__init__()
        self.trust_env = False
        self.auth = auth
        self._read_rejected = rejected
        self._closing = threading.Event()
        self._until = math.inf
        self.rejected = 0
        self.problem: str | None = None

    def last_call(self, until: float) -> None:
        """Wait no longer for a collector that is away, and beyond this time for none."""
        self._until = until
        self._closing.set()

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send what an exporter has encoded, until the collector takes it or refuses it."""
        wait = FIRST_WAIT
        while True:
            try:
                return self._ask(request, kwargs)
            except _NotTakenError as error:
                self.problem = str(error)
                closing = self._closing.is_set()
                if closing and error.away:
                    self._until = -math.inf
                if not error.again or time.monotonic() + wait >= self._until:
                    raise
            if closing:
                time.sleep(wait)
            else:
                self._closing.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def _ask(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        left = self._until - time.monotonic()
        if left <= 0:
            raise _NotTakenError(self.problem or LATE)
        options |= {"timeout": min(TIMEOUT, left), "stream": True, "allow_redirects": False}
        try:
            with super().send(request, **options) as response:
                status = response.status_code
                answer = response.raw.read(ANSWER_LIMIT, decode_content=True)
        except requests.Timeout as error:
            raise _NotTakenError(LATE, away=True) from error
        except requests.ConnectionError as error:
            raise _NotTakenError("no connection", again=True, away=True) from error
        except Exception as error:
            raise _NotTakenError(f"no answer ({type(error).__name__})") from error
        if status != HTTPStatus.OK:
            raise _NotTakenError(f"status {status}", again=status in TRANSIENT)
        try:
            self.rejected = self._read_rejected(answer)
        except Exception as error:
            raise _NotTakenError("an answer that is not OTLP") from error
        if self.rejected:
            self.problem = "some rejected"
        return response


def _rejected_spans(answer: bytes) -> int:
    return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)


def _rejected_points(answer: bytes) -> int:
    told = ExportMetricsServiceResponse.FromString(answer).partial_success
    return int(told.rejected_data_points)


def _quietly(end: Callable[[], Any]) -> None:
    with contextlib.suppress(Exception):  # whatever it is, it is no concern of who watches
        end()
