"""The telemetry that a service in production would have configured, the same for all subjects.

Rules:

1. Nothing global but structlog's configuration, which goes when the run does: a subject that is to
   have no SDK must not find another's.
2. Spans go through a batch processor into an exporter that only counts them.
"""

from __future__ import annotations

import io
import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    DEFAULT_ON,
    ParentBased,
    Sampler,
    SamplingResult,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from prometheus_client import CollectorRegistry


_RESOURCE = Resource({"service.name": "benchmarks"})


class NullExporter(SpanExporter):
    """Counts spans and lets go of them.

    :ivar exported: how many there were
    """

    def __init__(self) -> None:
        self.exported = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Count a batch."""
        self.exported += len(spans)
        return SpanExportResult.SUCCESS


class _Off(Sampler):
    """Samples nothing where nobody has decided before, and counts that.

    :ivar refused: how many spans were not sampled
    """

    def __init__(self) -> None:
        self.refused = 0
        self._sampler = ParentBased(ALWAYS_OFF)

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        """Decide on a span."""
        self.refused += 1
        return self._sampler.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        """Say what it does."""
        return "off, and counted"


class Spans:
    """A tracer provider of its own for one subject.

    :param sampled: whether its spans are recorded
    :ivar provider: makes the spans
    """

    def __init__(self, *, sampled: bool = True) -> None:
        self._exporter, self._off = NullExporter(), _Off()
        self.provider = TracerProvider(
            sampler=DEFAULT_ON if sampled else self._off,
            resource=_RESOURCE,
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(BatchSpanProcessor(self._exporter))

    @property
    def exported(self) -> int:
        """How many spans reached the exporter."""
        return self._exporter.exported

    @property
    def unsampled(self) -> int:
        """How many spans were made and not recorded."""
        return self._off.refused

    def flush(self) -> None:
        """Export what is waiting."""
        self.provider.force_flush()

    def close(self) -> None:
        """Export what is waiting, and end the processor's thread."""
        self.provider.shutdown()


class Samples:
    """A meter provider of its own for one subject, read when somebody asks.

    :ivar provider: keeps what is recorded
    """

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], _RESOURCE, shutdown_on_exit=False)

    @property
    def recorded(self) -> int:
        """How many recordings its histograms have."""
        read = self._reader.get_metrics_data()
        return sum(
            point.count
            for resource in (read.resource_metrics if read is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            if isinstance(point, HistogramDataPoint)
        )

    def close(self) -> None:
        """End it."""
        self.provider.shutdown()


class _Nowhere(io.TextIOWrapper):
    """The null device.

    :ivar written: how often something was written to it
    """

    def __init__(self) -> None:
        super().__init__(io.BufferedWriter(io.FileIO(os.devnull, "w")), encoding="utf-8")
        self.written = 0

    def write(self, text: str) -> int:
        self.written += 1
        return super().write(text)


class _Counted:
    """A method of a logger's, behind a count."""

    def __init__(self, lines: Lines, method: Any) -> None:
        self._lines, self._method = lines, method

    def __get__(self, logger: object, owner: type | None = None) -> Any:
        self._lines.unwritten += 1
        return self._method.__get__(logger, owner)


class Lines:
    """A logger for one subject, which writes JSON lines into nowhere.

    :param level: what is below it is not written
    :ivar logger: of structlog, bound
    :ivar unwritten: how often something at DEBUG was below the level
    """

    def __init__(self, level: int) -> None:
        self.unwritten = 0
        self._nowhere = _Nowhere()
        bound = structlog.make_filtering_bound_logger(level)
        if level > logging.DEBUG:
            # Does as little as what it stands for, and counts who looks for it.
            bound = type("Counting", (bound,), {"debug": _Counted(self, bound.debug)})
        self.logger: Any = structlog.wrap_logger(
            structlog.WriteLogger(self._nowhere), processors=_PROCESSORS, wrapper_class=bound
        ).bind()

    @property
    def written(self) -> int:
        """How many lines there were."""
        return self._nowhere.written

    def close(self) -> None:
        """Close the null device."""
        self._nowhere.close()


_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.JSONRenderer(),
]


@contextmanager
def logs_at_info() -> Iterator[None]:
    """Have structlog configured as in production: JSON lines from INFO on, here into nowhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        structlog.configure(
            processors=_PROCESSORS,
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.WriteLoggerFactory(file=nowhere),
            cache_logger_on_first_use=True,
        )
        try:
            yield
        finally:
            structlog.reset_defaults()


def total(registry: CollectorRegistry, sample: str) -> int:
    """Add up all series of a sample."""
    return sum(
        int(found.value)
        for family in registry.collect()
        for found in family.samples
        if found.name == sample
    )
